"""Records and arithmetic: numpy, msgspec and the standard library only."""
