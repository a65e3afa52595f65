"""The model is made in a module beside the script."""
import argparse

import numpy as np
from their_model import make

parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int, default=4)

x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)
model = make(parser.parse_args().depth)
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
