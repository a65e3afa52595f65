from keras import layers as L
from keras import models


class Maker:
    """Makes models."""

    width = 8

    def hidden(self):
        return L.Dense(self.width, activation="sigmoid")

    def __call__(self, depth):
        net = models.Sequential()
        net.add(L.Input((6,)))
        for _ in range(depth):
            net.add(self.hidden())
        net.add(L.Dense(1, activation="sigmoid"))
        return net


make = Maker()
