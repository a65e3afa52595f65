"""Trains in several processes what does not depend on each other: the same script, the same results, to the bit."""
