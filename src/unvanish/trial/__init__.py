"""Trials: trainings with a change and without, over the same seeds and batches, and what they prove."""
