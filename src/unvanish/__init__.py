"""unvanish shows where a deep network's gradient dies, says why, and what to do about it."""
