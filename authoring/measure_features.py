"""What training makes of pretrained features: `python -m authoring.measure_features`

Lesson 01 shows this beside what it trains itself.

    tuning      Lite0 on 200 and on 1,000 `Digits` (32 pixels): only the head trained, or the backbone too,
                from ImageNet's weights and from random ones; accuracy on the images it learned from (with
                1,000: the first 500 of them) and on the 500 test images. All ways take the same number of
                steps with the same rates. The seed draws the 200 images, their order, and what starts at
                random. tuning.csv

About five minutes on one core. Writes into backbones/lessons/measured/features/.
"""

import sys
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from authoring.measure_data import EqualSteps, Remembered, lite0, score, which_digit
from authoring.recorded import Row, measure_parts
from backbones.data import Digits
from backbones.lessons import FILES
from backbones.tasks import fit

RESULTS = FILES / "measured" / "features"
SEEDS = range(3)
COUNTS = (200, 1000)  # images to learn from
ALL = 1000  # that there are
STEPS, BATCH = 150, 32
RATES = {"lr": 1e-2, "backbone_lr": 1e-3}
WAYS = {  # weights at the start, and the stride of the map that the head reads; 0: the backbone learns, too
    "frozen": ("imagenet", 32),
    "frozen, stride 16": ("imagenet", 16),
    "frozen, random weights": (None, 32),
    "fine-tuned": ("imagenet", 0),
    "from scratch": (None, 0),
}


class Images(EqualSteps):
    """Images, or their numbers, and labels; one epoch of them is the whole training."""

    steps, batch_size = STEPS, BATCH

    def __init__(self, train: TensorDataset, test: TensorDataset, seed: int):
        super().__init__()
        self.train, self.test, self.seed = train, test, seed


def digits(count: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """(images, labels) to learn from, drawn by the seed, and to test with."""
    labels_per_class = None if count == ALL else count // 10
    data = Digits(32, channels=3, labels_per_class=labels_per_class, mean=0.5, std=0.5, seed=seed)
    data.setup()
    return data.train.tensors, data.test.tensors


def train(way: str, count: int, seed: int) -> Row:
    """Both accuracies after one training."""
    torch.manual_seed(seed)
    (images, labels), (test_images, test_labels) = digits(count, seed)
    weights, stride = WAYS[way]
    backbone = lite0(weights)
    if stride:
        backbone = Remembered(backbone, torch.cat([images, test_images]), [stride])
        images, test_images = torch.arange(len(images)), torch.arange(len(test_images)) + len(images)
    task = which_digit(backbone, freeze_backbone=bool(stride), falling_rate=True, **RATES)
    learned, new = TensorDataset(images, labels), TensorDataset(test_images, test_labels)
    data = Images(learned, new, seed)
    fit(task, data, 1, validate=False)
    again = Images(learned, TensorDataset(images[:500], labels[:500]), seed)
    return {"train": score(task, again), "test": score(task, data)}


def tuning() -> Iterator[tuple[str, Row]]:
    """(file, row) for each way, number of images and seed."""
    for seed in SEEDS:
        for count in COUNTS:
            for way in WAYS:
                what: Row = {"images": count, "way": way, "seed": seed}
                yield "tuning", what | train(way, count, seed)


PARTS = {"tuning": tuning}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that are named, or all."""
    return measure_parts("measure_features", __doc__, PARTS, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
