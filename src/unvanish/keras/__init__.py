"""The Keras adapter: describe, probe, watch, capture a running fit. It sees no threshold."""
