import numpy as np
from keras import Input
from keras import Sequential as S
from keras.layers import Dense as D

FULLY = D
x = np.random.default_rng(0).random((64, 6))
y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

net = S([Input((6,)), D(8, 'sigmoid'), D(8, 'sigmoid'), FULLY(8, 'sigmoid', True), D(8, 'sigmoid'), D(1, 'sigmoid')])
net.compile(loss='binary_crossentropy')
net.fit(x, y, epochs=1, verbose=0)
