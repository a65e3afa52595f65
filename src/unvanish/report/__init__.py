"""One reporter, one file: records in, text out. A reporter computes nothing."""
