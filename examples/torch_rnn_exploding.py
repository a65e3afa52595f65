"""A recurrent network whose gradient explodes through time: recurrent weights that are a little too large, 60 steps."""

import torch
from torch import nn

torch.manual_seed(1)

x = torch.randn(512, 60, 4)
y = x[:, -5:].mean(dim=(1, 2)).sign().clamp(min=0).unsqueeze(1)


class Last(nn.Module):
    """Judge a sequence by the state after its last step."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 32, nonlinearity="relu", batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=1.6)  # behind a ReLU, 1.4 keeps a gradient
        self.head = nn.Linear(32, 1)

    def forward(self, sequences):
        states, _ = self.rnn(sequences)
        return self.head(states[:, -1])


model = Last()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
for _ in range(5):
    for rows in torch.randperm(len(x)).split(32):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.4f}")
