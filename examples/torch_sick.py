"""The tutorial's sick network as a loop of PyTorch: eleven sigmoid layers."""

import torch
from torch import nn
from torch_data import glorot, load

x, y = load()

layers = [nn.Linear(20, 64), nn.Sigmoid()]
for _ in range(10):
    layers += [nn.Linear(64, 64), nn.Sigmoid()]
layers += [nn.Linear(64, 1), nn.Sigmoid()]
model = glorot(nn.Sequential(*layers))

optimizer = torch.optim.Adam(model.parameters(), eps=1e-7)
loss_function = nn.BCELoss()
for _ in range(5):
    for rows in torch.randperm(len(x)).split(32):
        optimizer.zero_grad()
        loss = loss_function(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.4f}")
