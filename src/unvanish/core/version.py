"""The version of unvanish."""

VERSION = "0.1.0"
