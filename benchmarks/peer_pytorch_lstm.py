"""PyTorch's contestant of `lstm_throughput.py`.

Command: python benchmarks/peer_pytorch_lstm.py SECONDS UNITS ROWS WINDOW
"""

import statistics
import sys
import time

import torch


class CharRNN(torch.nn.Module):
    """Two LSTM layers that predict the next of 65 characters."""

    def __init__(self, units: int, characters: int = 65):
        super().__init__()
        self.vectors = torch.nn.Embedding(characters, units)
        self.recurrent = torch.nn.LSTM(units, units, num_layers=2, batch_first=True)
        self.logits = torch.nn.Linear(units, characters)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns `(batch, time, characters)` logits."""
        return self.logits(self.recurrent(self.vectors(ids))[0])


def main(seconds: float, units: int, rows: int, window: int) -> None:
    """Prints the characters a second."""
    torch.manual_seed(0)
    model = CharRNN(units)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    ids = torch.randint(0, 65, (rows, window))
    loss_of = torch.nn.CrossEntropyLoss()
    steps: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(steps) < 4:
        started = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(model(ids).flatten(0, 1), ids.flatten())
        loss.backward()
        optimizer.step()
        loss.item()
        steps.append(time.perf_counter() - started)
    print(rows * window / statistics.median(steps[3:]))


if __name__ == "__main__":
    main(float(sys.argv[1]), *map(int, sys.argv[2:5]))
