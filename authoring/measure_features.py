"""What training makes of pretrained features: `python -m authoring.measure_features`

Lesson 01 shows this beside what it trains itself.

    tuning      Lite0 on 200 and on 1,000 `Digits` (32 pixels): only the head trained, or the backbone too,
                from ImageNet's weights and from random ones; accuracy on the images it learned from (with
                1,000: the first 500 of them) and on the 500 test images. A head on a frozen backbone is
                trained until it gets no better, as lesson 01 trains its own: after 150 steps it still
                missed a twentieth of the 1,000. A backbone sees each image about twenty times, always with
                the same rates; from random weights only 200. The seed draws the 200 images, their order,
                and what starts at random. tuning.csv

About ten minutes on one core. Writes into backbones/lessons/measured/features/.
"""

import sys
from collections.abc import Iterator

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import TensorDataset

from authoring.measure_data import EqualSteps, Remembered, digits, lite0, score, which_digit
from authoring.recorded import Row, measure_parts
from backbones.lessons import FILES
from backbones.tasks import fit

RESULTS = FILES / "measured" / "features"
SEEDS = range(3)
COUNTS = (200, 1000)  # images to learn from
BATCH = 32
RATES = {"lr": 1e-2, "backbone_lr": 1e-3}
FROZEN = {  # weights of the backbone, and the stride of the map that the head reads
    "frozen": ("imagenet", 32),
    "frozen, stride 16": ("imagenet", 16),
    "frozen, random weights": (None, 32),
}
TRAINED = {  # weights at the start, and {images: for how many steps backbone and head are trained}
    "fine-tuned": ("imagenet", {200: 150, 1000: 600}),
    "from scratch": (None, {200: 150}),
}


class Images(EqualSteps):
    """Images and labels; one epoch of them is the whole training."""

    batch_size = BATCH

    def __init__(self, train: TensorDataset, test: TensorDataset, seed: int, steps: int):
        super().__init__()
        self.train, self.test, self.seed, self.steps = train, test, seed, steps


def train_head(way: str, count: int, seed: int) -> Row:
    """Both accuracies of a linear head on the averages of one map of a frozen backbone."""
    torch.manual_seed(seed)
    (images, labels), (test_images, test_labels) = digits(count, seed)
    weights, stride = FROZEN[way]
    maps = Remembered(lite0(weights), torch.cat([images, test_images]), [stride]).maps[stride]
    learned, new = maps.mean((2, 3)).split([len(images), len(test_images)])
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3)).fit(learned, labels)
    return {
        "train": f"{head.score(learned[:500], labels[:500]):.4f}",
        "test": f"{head.score(new, test_labels):.4f}",
    }


def train_all(way: str, count: int, seed: int) -> Row:
    """Both accuracies after backbone and head were trained together."""
    torch.manual_seed(seed)
    (images, labels), (test_images, test_labels) = digits(count, seed)
    weights, steps = TRAINED[way]
    task = which_digit(lite0(weights), falling_rate=True, **RATES)
    learned, new = TensorDataset(images, labels), TensorDataset(test_images, test_labels)
    data = Images(learned, new, seed, steps[count])
    fit(task, data, 1, validate=False)
    again = Images(learned, TensorDataset(images[:500], labels[:500]), seed, steps[count])
    return {"train": score(task, again), "test": score(task, data)}


def ways(count: int) -> list[str]:
    """What is measured with so many images."""
    return [*FROZEN, *(way for way, (_, steps) in TRAINED.items() if count in steps)]


def tuning() -> Iterator[tuple[str, Row]]:
    """(file, row) for each way, number of images and seed."""
    for seed in SEEDS:
        for count in COUNTS:
            for way in ways(count):
                what: Row = {"images": count, "way": way, "seed": seed}
                train = train_head if way in FROZEN else train_all
                yield "tuning", what | train(way, count, seed)


PARTS = {"tuning": tuning}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that are named, or all."""
    return measure_parts("measure_features", __doc__, PARTS, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
