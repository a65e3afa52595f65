"""The PyTorch adapter: sees the user's own forward and backward passes, and says what they show."""
