"""One measure, one file: arrays in, one number out."""
