"""What every adapter needs to watch a training; knows no framework."""
