"""A network told in one line of text, `dense(64, sigmoid)*11, dense(1)`: read, and built as a record."""
