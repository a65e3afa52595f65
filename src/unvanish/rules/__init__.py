"""One rule, one file; the table is in `table.py`."""
