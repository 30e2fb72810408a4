"""Accuracy and its price on the same crops: `python -m authoring.measure_balance [PART ...]`

What lesson 12 shows beside its own short runs. All parts name the object in the middle of a crop of
`Scenes`, one of six classes, and test on the same 1,000 crops:

    probes        EfficientNet-Lite0/1/2 frozen under one linear head, random weights beside them
    scaling       the lesson's own small backbone, wider, deeper or on larger crops, with equal steps
    distillation  the small backbone taught by labels or by Lite2's answers, with equal steps

About ten minutes on one core. Writes backbones/lessons/measured/balance/PART.csv, a row for each run.
"""

import argparse
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torchvision.ops import roi_align

from authoring.recorded import write
from backbones import Backbone, Features, Network, cost, create_backbone
from backbones.backbone import ByStride
from backbones.data import Scenes
from backbones.heads import ClassificationHead
from backbones.lessons import FILES
from backbones.tasks import rate_factor

RESULTS = FILES / "measured" / "balance"
SEEDS = (0, 1, 2)
TRAIN, TEST, SIDE, BATCH = 3200, 1000, 64, 64  # crops, crops, pixels, crops per step
LITES = tuple(f"tf_efficientnet_lite{n}" for n in range(3))
_, MANY = LABELS = (200, 1000)  # how many crops have labels: no part compares different numbers
PROBE_SIDES, POOL = (48, 64, 96, 128), 1500  # a seed draws the labeled crops from the pool
BASE = {"width": 8, "depth": 2, "side": 32}
SCALES = {  # what is scaled -> configurations, to about four times the multiply-adds of the base
    "base": [BASE],
    "width": [BASE | {"width": width} for width in (4, 16)],
    "depth": [BASE | {"depth": depth} for depth in (1, 6)],
    "side": [BASE | {"side": side} for side in (16, 64)],
    "all three": [{"width": 10, "depth": 3, "side": 36}],
    "depth and side": [{"width": 8, "depth": 6, "side": 64}],
}
STEPS, RATE = 400, 5e-3
TEACHER_SIDE, TEMPERATURE = 96, 4.0
WAYS = ("labels", "labels and soft", "hard", "soft, T=1", "soft", "all labels")


# The next three stand word by word in the lesson, which explains them.
def object_crops(scenes, count, side):
    """The first objects of the scenes, each cut out as a square: (count, 3, side, side), labels (count,)."""
    images, labels = [], []
    for scene in scenes:
        low, high = scene.boxes[:, :2], scene.boxes[:, 2:]
        center, half = (low + high) / 2, 0.6 * (high - low).amax(dim=1, keepdim=True)
        squares = torch.cat([center - half, center + half], dim=1)  # (N, 4)
        images.append(roi_align(scene.image[None], [squares], side, sampling_ratio=2, aligned=True))
        labels.append(scene.labels - 1)
        if sum(map(len, labels)) >= count:
            return torch.cat(images)[:count], torch.cat(labels)[:count]


class Block(nn.Module):
    """3 x 3 convolution and batch norm; a path around where the shape stays (lesson 03)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.look = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.has_path = inputs == outputs and stride == 1

    def forward(self, x):
        out = self.norm(self.look(x))  # (B, inputs, H, W) => (B, outputs, H / stride, W / stride)
        return F.relu(x + out if self.has_path else out)


class SmallBackbone(Backbone):
    """Three stages of `depth` blocks; each halves the side and doubles the width."""

    def __init__(self, width=8, depth=2):
        super().__init__()
        self.name, self.channels = "small", ByStride({2: width, 4: 2 * width, 8: 4 * width})
        self.stages, inputs = nn.ModuleList(), 3
        for outputs in self.channels.values():
            same = [Block(outputs, outputs, 1) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(Block(inputs, outputs, 2), *same))
            inputs = outputs

    def forward(self, images):
        maps, x = {}, images
        for stride, stage in zip(self.channels, self.stages, strict=True):
            maps[stride] = x = stage(x)
        return Features(maps, size=images.shape[-2:])


def train(network, images, answers, steps, loss, rate=5e-3, batch=64, seed=0):
    """Adam, `steps` random batches, flipped at random. `answers`: labels (N,), or scores (N, 6)."""
    torch.manual_seed(seed)
    network.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * rate_factor(step, steps)  # up, then down (lesson 04)
        rows = torch.randint(len(images), (batch,))
        flips = [axis for axis in (-1, -2) if torch.rand(()) < 0.5]
        logits = network(images[rows].flip(flips))
        optimizer.zero_grad()
        loss(logits, answers[rows]).backward()
        optimizer.step()
    return network.eval()


def soft_loss(temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
    """T^2 times the cross-entropy with the teacher's softened answer. Hinton et al. (2015), section 2."""

    def loss(logits: Tensor, scores: Tensor) -> Tensor:
        softened = (scores / temperature).softmax(dim=1)
        return temperature**2 * F.cross_entropy(logits / temperature, softened)

    return loss


def mixed_loss(logits: Tensor, answers: Tensor) -> Tensor:
    """Half the teacher's scores, half the labels; answers: both side by side (B, 12), labels one-hot."""
    scores, labels = answers.split(6, dim=1)
    return (soft_loss(TEMPERATURE)(logits, scores) + F.cross_entropy(logits, labels)) / 2


def resize(images: Tensor, side: int) -> Tensor:
    """(N, 3, S, S) => (N, 3, side, side), in [-1, 1], channels last."""
    if side != images.shape[-1]:
        images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    return (images * 2 - 1).contiguous(memory_format=torch.channels_last)


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of right answers."""
    with torch.no_grad():
        answers = torch.cat([network(part).argmax(dim=1) for part in images.split(100)])
    return (answers == labels).float().mean().item()


def pooled(backbone: nn.Module, images: Tensor, side: int) -> np.ndarray:
    """What the head of a probe reads: (N, C), the mean of the deepest map."""
    backbone.eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        parts = [backbone(resize(part, side)) for part in images.split(50)]
    return torch.cat([features[max(features)].mean(dim=(2, 3)) for features in parts]).numpy()


def probe(features: np.ndarray, labels: Tensor) -> LogisticRegression:
    """The one linear head of all probes, trained until nothing moves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # features of random weights never settle
        return LogisticRegression(max_iter=300, C=0.1).fit(features, labels)


def price(backbone: Any, side: int) -> dict[str, object]:
    """Columns of a table: size of the input, multiply-adds and parameters of the backbone."""
    with torch.device("meta"):
        image = torch.empty(1, 3, side, side)
    return {
        "side": side,
        "multiply_adds": int(cost.multiply_adds(backbone, image)),
        "parameters": cost.count_parameters(backbone),
    }


def probes(data: dict[str, Tensor]) -> Iterator[dict[str, object]]:
    """Every finished backbone at every size; random weights, three draws, at one."""
    found = [(name, "imagenet", side) for name in LITES for side in PROBE_SIDES]
    for name, weights, side in [*found, *((name, "random", SIDE) for name in LITES[::2])]:
        known = None
        for seed in SEEDS:
            torch.manual_seed(seed)
            if known is None or weights == "random":
                backbone = create_backbone(name, None if weights == "random" else weights)
                known = pooled(backbone, data["images"][:POOL], side)
                new = pooled(backbone, data["test_images"], side)
            order = torch.randperm(len(known))
            for count in LABELS:
                rows = order[:count]
                row = {"backbone": name, "weights": weights, "labels": count, "seed": seed}
                score = probe(known[rows], data["labels"][rows]).score(new, data["test_labels"])
                yield row | price(backbone, side) | {"accuracy": score}


def small_network(width: int, depth: int, seed: int) -> Network:
    """The lesson's backbone with a head of six classes."""
    torch.manual_seed(seed)
    backbone = SmallBackbone(width, depth)
    return Network(backbone, ClassificationHead(backbone.channels, num_classes=6))


def scaling(data: dict[str, Tensor]) -> Iterator[dict[str, object]]:
    """Each configuration from three starts."""
    for what, configurations in SCALES.items():
        for configuration, seed in itertools.product(configurations, SEEDS):
            width, depth, side = configuration.values()
            network = small_network(width, depth, seed)
            images, new = (resize(data[key], side) for key in ("images", "test_images"))
            train(network, images[:MANY], data["labels"], STEPS, F.cross_entropy, RATE, BATCH, seed)
            yield {
                "scaled": what,
                "width": width,
                "depth": depth,
                "seed": seed,
                **price(network.backbone, side),
                "steps": STEPS,
                "accuracy": accuracy(network, new, data["test_labels"]),
            }


def distillation(data: dict[str, Tensor]) -> Iterator[dict[str, object]]:
    """A student taught in six ways. A seed chooses which crops have labels, and the student's start."""
    labels, new_labels = data["labels"], data["test_labels"]
    images, new = (resize(data[key], BASE["side"]) for key in ("images", "test_images"))
    lite2 = create_backbone(LITES[2], "imagenet")
    known, new_known = (pooled(lite2, data[key], TEACHER_SIDE) for key in ("images", "test_images"))
    for few, seed in itertools.product(LABELS, SEEDS):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        rows, others = order[:few], order[MANY:]  # others: nobody has labeled them
        teacher = probe(known[rows], labels[rows])
        scores = torch.tensor(teacher.decision_function(known), dtype=torch.float32)
        row = {"labels": few, "seed": seed, "steps": STEPS}
        yield row | {"way": "teacher", "accuracy": teacher.score(new_known, new_labels)}
        mixed = torch.cat([scores, F.one_hot(labels, 6)], dim=1)
        ways = {
            "labels": (rows, labels, F.cross_entropy),
            "labels and soft": (rows, mixed, mixed_loss),
            "hard": (others, scores.argmax(dim=1), F.cross_entropy),
            "soft, T=1": (others, scores, soft_loss(1.0)),
            "soft": (others, scores, soft_loss(TEMPERATURE)),
            "all labels": (others, labels, F.cross_entropy),
        }
        for way in WAYS:
            which, answers, loss = ways[way]
            student = small_network(BASE["width"], BASE["depth"], seed)
            train(student, images[which], answers[which], STEPS, loss, RATE, BATCH, seed)
            yield row | {"way": way, "accuracy": accuracy(student, new, new_labels)}


PARTS = {part.__name__: part for part in (distillation, scaling, probes)}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts named, or all; write each table after each run."""
    parser = argparse.ArgumentParser(
        prog="python -m authoring.measure_balance", description="Measure what lesson 12 shows."
    )
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parts = parser.parse_args(arguments).part or list(PARTS)
    for part in parts:
        if part not in PARTS:
            parser.error(f"no part {part}: choose from {', '.join(PARTS)}")
    scenes = Scenes(image_size=128, count=TRAIN, test_count=TEST)
    scenes.setup()
    data = {}
    data["images"], data["labels"] = object_crops(scenes.train, TRAIN, SIDE)
    data["test_images"], data["test_labels"] = object_crops(scenes.test, TEST, SIDE)
    for part in parts:
        rows = []
        for row in PARTS[part](data):
            rows.append(row | {"accuracy": f"{row['accuracy']:.3f}"})
            print(part, *rows[-1].values(), flush=True)
            write(RESULTS / f"{part}.csv", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
