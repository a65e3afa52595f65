"""Runs the user's script with an adapter's capture."""
