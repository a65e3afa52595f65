"""Public helpers: specimens with exact gradients, a slow float64 reference."""
