"""Mean-field theory: Gaussian moments, forward and backward recursions, the forecast."""
