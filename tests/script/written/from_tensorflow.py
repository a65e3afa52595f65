# -*- coding: utf-8 -*-
"""Größe und Tiefe: alles wie im Kurs."""
import numpy as np
from tensorflow.keras.layers import Dense, Input
from tensorflow.keras.models import Sequential

breite = 8; tiefe = 4  # Maß aller Dinge
x = np.random.default_rng(0).random((64, 6)); y = (x.sum(axis=1, keepdims=True) > 3).astype(int)

überall = 'sigmoid'
model = Sequential([Input((6,))])
for _ in range(tiefe): model.add(Dense(breite, activation=überall, name=f'ä{_}'.replace('ä', 'a')))
model.add(Dense(1, activation='sigmoid')); model.compile(optimizer='Adam', loss='binary_crossentropy')
model.fit(x, y, epochs=1, verbose=0)
