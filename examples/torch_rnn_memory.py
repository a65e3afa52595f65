"""A long memory that a recurrent network cannot learn: what matters is the first of a hundred steps."""

import torch
from torch import nn

torch.manual_seed(1)

x = torch.randn(512, 100, 4)
y = (x[:, 0, 0] > 0).float().unsqueeze(1)


class Last(nn.Module):
    """Judge a sequence by the state after its last step."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, sequences):
        states, _ = self.rnn(sequences)
        return self.head(states[:, -1])


model = Last()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(5):
    for rows in torch.randperm(len(x)).split(32):
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.4f}")
