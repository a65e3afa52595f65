"""One picture, one file: records in, a matplotlib Figure out; no pyplot, no global settings left behind."""
