"""Shallow and deep towers, with and without the identity path: `python -m authoring.measure_towers`

What lesson 03 shows beside the one start and the one rate that it has time for. Each tower, all of them with
batch norm, learns 1,000 digits in ten rounds: from five starts at each of three rates, with the same batches.

About five minutes on one core. Writes backbones/lessons/measured/towers.csv, a row for each run.
"""

import sys
from collections.abc import Iterator
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from authoring.recorded import Row, measure_parts
from backbones.data import Digits
from backbones.lessons import FILES

RESULTS = FILES / "measured"
SEEDS = range(5)
RATES = (0.01, 0.03, 0.1)
DEPTHS = (4, 30)
ROUNDS = 10


# The next three stand word by word in the lesson, which explains them.
class Layer(nn.Module):
    """One 3x3 convolution: with or without batch norm, with or without a path around it."""

    def __init__(self, norm, path, width=16):
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.path = path

    def forward(self, x):
        out = self.norm(self.conv(x))
        return F.relu(x + out) if self.path else F.relu(out)  # the whole difference: "x +"


def tower(depth, norm, path, seed=0):
    """`depth` layers between a first convolution and a head for ten digits."""
    torch.manual_seed(seed)
    stem = nn.Conv2d(1, 16, kernel_size=3, padding=1)  # (B, 1, 8, 8) => (B, 16, 8, 8)
    layers = [Layer(norm, path) for _ in range(depth)]  # nothing changes the shape
    return nn.Sequential(stem, *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def train(network, images, labels, rate, rounds, seed=0, batch=50):
    """The mean training loss of each round."""
    # lesson 01's gradient descent, with momentum: steps that go the same way get longer
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    generator, history = torch.Generator().manual_seed(seed), []
    for _ in range(rounds):
        losses = []
        for chosen in torch.randperm(len(images), generator=generator).split(batch):
            loss = F.cross_entropy(network(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
    return history


def towers() -> Iterator[tuple[str, Row]]:
    """(file, row) for each start, rate, depth, and with and without the path."""
    digits = Digits()
    digits.setup()
    for seed, rate, depth, path in product(SEEDS, RATES, DEPTHS, (False, True)):
        losses = train(tower(depth, True, path, seed), *digits.train.tensors, rate, ROUNDS, seed)
        what: Row = {"seed": seed, "rate": rate, "depth": depth, "path": int(path)}
        yield "towers", what | {f"loss_{number}": f"{losses[number - 1]:.4f}" for number in (4, ROUNDS)}


PARTS = {"towers": towers}


def main(arguments: list[str] | None = None) -> int:
    """Measure all of them."""
    return measure_parts("measure_towers", __doc__, PARTS, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
