"""Cures: what may be changed against a finding, as edits of the network. One cure, one file."""
