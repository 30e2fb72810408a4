"""How much data a backbone needs: `python -m authoring.measure_data`

What lesson 11 shows beside what it trains itself. All ways of one table take the same number of steps,
however few examples there are: these come again, each time in another order.

    curves      Lite0 from ImageNet's photos, frozen and fine-tuned, and Lite0 from random numbers, on 1 to
                100 % of `Scenes` (64 pixels, mean IoU; frozen also which shapes are there, macro F1) and of
                `Digits` (32 pixels, accuracy). curves.csv
    longer      the same three ways with all examples and four times the steps: how much of what a curve
                says at its end is the short training. longer.csv
    diversity   Lite0 frozen, on 100 and 1,000 scenes that stand on one background, on ten, or each on its
                own; tested on scenes with other backgrounds, and on new ones with the same. diversity.csv
    words       a bag of embeddings from scratch on 1 to 100 % of `Reviews`, with and without word dropout.
                words.csv

About 50 minutes on one core; parts by name do some of it. Writes into backbones/lessons/measured/data/.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset, default_collate

from authoring.recorded import Row, measure_parts
from backbones import Backbone, Network, create_backbone
from backbones.backbone import ByStride, Features
from backbones.data import Digits, Reviews, Scenes
from backbones.data.splits import SplitData
from backbones.data.vocabulary import PAD, UNKNOWN
from backbones.heads import ClassificationHead, PositionHead
from backbones.lessons import FILES
from backbones.tasks import Classification, MultiLabelClassification, Segmentation, evaluate, fit

RESULTS = FILES / "measured" / "data"
SEEDS = range(3)
STEPS = 100  # batches of 16 images
LONGER = 4  # times the steps
SCENES = (16, 32, 80, 160, 800, 1600)  # 1, 2, 5, 10, 50, 100 %
DIGITS = (10, 20, 50, 100, 500, 1000)
REVIEWS = (76, 151, 378, 757, 3785, 7570)
STRIDES = (32, 16, 8)  # what the head of segmentation reads
WAYS = {  # pretrained weights need small corrections, random ones large steps
    "frozen": ("imagenet", {"lr": 1e-2, "freeze_backbone": True}),
    "fine-tuned": ("imagenet", {"lr": 1e-2, "backbone_lr": 1e-3}),
    "from scratch": (None, {"lr": 1e-2, "backbone_lr": 3e-3}),
}
BACKGROUNDS = (1, 10, None)  # None: each scene has its own
COUNTS = (100, 1000)
WORD_STEPS, DROPPED = 300, (0.0, 0.3)  # batches of 64 sentences; the share of words that is hidden


class EqualSteps(SplitData):
    """Data whose epoch is a fixed number of batches: the examples come again and again, shuffled anew."""

    steps = STEPS

    def train_dataloader(self) -> DataLoader:
        generator = torch.Generator().manual_seed(self.seed)
        order = RandomSampler(self.train, num_samples=self.steps * self.batch_size, generator=generator)
        return DataLoader(self.train, self.batch_size, sampler=order, collate_fn=self.collate_to_train)

    def collate_to_train(self, items: list) -> Any:
        return (self.collate or default_collate)(items)


class Examples(EqualSteps):
    """Lists of (input, answer), to train and to test."""

    def __init__(self, train: Sequence, test: Sequence, seed: int, batch_size: int = 16):
        super().__init__()
        self.train, self.test, self.seed, self.batch_size = train, test, seed, batch_size


class Remembered(Backbone):
    """A frozen backbone that was run once: it looks the features of image number n up.

    Attributes: of the backbone.
    """

    def __init__(self, backbone: Backbone, images: Tensor, strides: Sequence[int] = STRIDES):
        """
        Args:
            backbone: gives the features; it is put into eval mode.
            images: (N, 3, H, W), normalized.
            strides: the maps to keep.
        """
        super().__init__()
        self.name, self.size = backbone.name, images.shape[-2:]
        self.channels = ByStride({stride: backbone.channels[stride] for stride in strides})
        backbone.eval()
        with torch.no_grad():
            features = [backbone(batch) for batch in images.split(100)]
        self.maps = {stride: torch.cat([one[stride] for one in features]) for stride in strides}

    def forward(self, numbers: Tensor) -> Features:
        """(B,), int64 => the features of these images."""
        return Features({stride: maps[numbers] for stride, maps in self.maps.items()}, self.size)


def segmentation(backbone: Backbone, **rates: Any) -> Segmentation:
    return Segmentation(Network(backbone, PositionHead(backbone.channels, 7, STRIDES)), 7, **rates)


def presence(backbone: Backbone, **rates: Any) -> MultiLabelClassification:
    return MultiLabelClassification(Network(backbone, ClassificationHead(backbone.channels, 6)), 6, **rates)


def which_digit(backbone: Backbone, **rates: Any) -> Classification:
    return Classification(Network(backbone, ClassificationHead(backbone.channels, 10)), 10, **rates)


HEADS = {"segmentation": segmentation, "presence": presence, "digit": which_digit}


def lite0(weights: str | None = "imagenet") -> Backbone:
    return create_backbone("tf_efficientnet_lite0", weights=weights)


def train(head: str, way: str, seed: int, data: SplitData, backbone: Backbone | None = None) -> nn.Module:
    """One task after its training.

    Args:
        head: a key of `HEADS`.
        way: a key of `WAYS`.
        seed: of what starts at random.
        data: an epoch of it is the training.
        backbone: None for the one that the way says.
    """
    torch.manual_seed(seed)
    weights, rates = WAYS[way]
    task = HEADS[head](backbone or lite0(weights), falling_rate=True, **rates)
    fit(task, data, 1, validate=False)
    return task


def score(task: nn.Module, data: SplitData) -> str:
    """The metric of the task on the test part, as text."""
    return f"{evaluate(task, data)[f'test_{task.metric_name}']:.4f}"


def scenes(count: int, seed: int, backgrounds: int | None = None) -> tuple[list, list]:
    """Training scenes of a seed, and the test scenes, which are the same whatever the seed."""
    parts = []
    for options in ({"count": count, "seed": seed, "backgrounds": backgrounds}, {"count": 1}):
        data = Scenes(64, mean=0.5, std=0.5, **options)
        data.setup()
        parts.append(data.train if "seed" in options else data.test)
    return tuple([part[number] for number in range(len(part))] for part in parts)


def remember(*parts: list) -> tuple[Remembered, list[range]]:
    """The features of all these scenes, and which numbers each part has."""
    backbone = Remembered(lite0(), torch.stack([scene.image for part in parts for scene in part]))
    ends = torch.tensor([0, *map(len, parts)]).cumsum(0).tolist()
    return backbone, [range(*pair) for pair in pairwise(ends)]


def examples(items: list, answer: str, numbers: Sequence[int] | None = None) -> list[tuple]:
    """(image or its number, answer) of each scene."""
    inputs = [scene.image for scene in items] if numbers is None else numbers
    return list(zip(inputs, [getattr(scene, answer) for scene in items], strict=True))


def curves() -> Iterator[tuple[str, Row]]:
    """(file, row) for each set, way, number of examples and seed."""
    for seed in SEEDS:
        yield from digit_curve(seed)
        known, new = scenes(SCENES[-1], seed)
        backbone, numbers = remember(known, new)
        for head, answer in (("segmentation", "mask"), ("presence", "presence")):
            old, test = (examples(part, answer, n) for part, n in zip((known, new), numbers, strict=True))
            for count in SCENES:
                data = Examples(old[:count], test, seed)
                task = train(head, "frozen", seed, data, backbone)
                what = {"set": "scenes", "head": head, "way": "frozen", "examples": count, "seed": seed}
                yield "curves", what | {"score": score(task, data)}
        old, test = examples(known, "mask"), examples(new, "mask")
        for way in list(WAYS)[1:]:
            for count in SCENES:
                data = Examples(old[:count], test, seed)
                what = {"set": "scenes", "head": "segmentation", "way": way, "examples": count, "seed": seed}
                yield "curves", what | {"score": score(train("segmentation", way, seed, data), data)}


def digit_curve(seed: int) -> Iterator[tuple[str, Row]]:
    """The rows of `Digits` for one seed, which also draws the examples."""
    for count in DIGITS:
        for way in WAYS:
            data, backbone = digit_examples(count, way, seed)
            task = train("digit", way, seed, data, backbone)
            what = {"set": "digits", "head": "digit", "way": way, "examples": count, "seed": seed}
            yield "curves", what | {"score": score(task, data)}


def digits(count: int, seed: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """(images, labels) to learn from, drawn by the seed, and to test with."""
    each = None if count == DIGITS[-1] else count // 10
    drawn = Digits(32, channels=3, labels_per_class=each, mean=0.5, std=0.5, seed=seed)
    drawn.setup()
    return drawn.train.tensors, drawn.test.tensors


def digit_examples(count: int, way: str, seed: int) -> tuple[Examples, Backbone | None]:
    """So many digits, and those to test with; for "frozen" the backbone that remembers them."""
    images, labels = map(torch.cat, zip(*digits(count, seed), strict=True))
    backbone = Remembered(lite0(), images) if way == "frozen" else None
    inputs = images if backbone is None else torch.arange(len(images))
    parts = (TensorDataset(inputs[rows], labels[rows]) for rows in (slice(count), slice(count, None)))
    return Examples(*parts, seed), backbone


def longer() -> Iterator[tuple[str, Row]]:
    """(file, row) for each set, way and seed, with all examples and `LONGER` times the steps."""
    for seed in SEEDS:
        for way in WAYS:
            data, backbone = digit_examples(DIGITS[-1], way, seed)
            data.steps *= LONGER
            what = {"set": "digits", "head": "digit", "way": way, "steps": data.steps, "seed": seed}
            yield "longer", what | {"score": score(train("digit", way, seed, data, backbone), data)}
    for seed in SEEDS:
        known, new = scenes(SCENES[-1], seed)
        for way in WAYS:
            backbone, numbers = remember(known, new) if way == "frozen" else (None, (None, None))
            parts = (examples(part, "mask", n) for part, n in zip((known, new), numbers, strict=True))
            data = Examples(*parts, seed)
            data.steps *= LONGER
            what = {"set": "scenes", "head": "segmentation", "way": way, "steps": data.steps, "seed": seed}
            yield "longer", what | {"score": score(train("segmentation", way, seed, data, backbone), data)}


def diversity() -> Iterator[tuple[str, Row]]:
    """(file, row) for each number of scenes and of backgrounds, and seed.

    "other" are the test scenes; "same" are 200 new scenes on the backgrounds of training.
    """
    for seed in SEEDS:
        for backgrounds in BACKGROUNDS:
            known, new = scenes(COUNTS[-1] + 200, seed, backgrounds)
            known, same = known[: COUNTS[-1]], known[COUNTS[-1] :]
            backbone, numbers = remember(known, new, same)
            parts = [examples(part, "mask", n) for part, n in zip((known, new, same), numbers, strict=True)]
            for count in COUNTS:
                data = Examples(parts[0][:count], parts[1], seed)
                task = train("segmentation", "frozen", seed, data, backbone)
                scores = {"other": score(task, data), "same": score(task, Examples([], parts[2], seed))}
                what: Row = {"scenes": count, "backgrounds": backgrounds or "own", "seed": seed}
                yield "diversity", what | scores


class HiddenWords(EqualSteps, Reviews):
    """Reviews of which training reads a share of the words as unknown, others each time."""

    steps = WORD_STEPS
    share = 0.0

    def collate_to_train(self, items: list) -> Any:
        (tokens, lengths), labels = self.collate(items)
        hidden = (torch.rand(tokens.shape) < self.share) & (tokens != PAD)
        return (tokens.masked_fill(hidden, UNKNOWN), lengths), labels


def words() -> Iterator[tuple[str, Row]]:
    """(file, row) for each number of sentences, share of hidden words and seed."""
    for seed in SEEDS:
        for count in REVIEWS:
            for share in DROPPED:
                data = HiddenWords(labels=count, batch_size=64, seed=seed)
                data.share = share
                data.setup()
                torch.manual_seed(seed)
                backbone = create_backbone("bag", vocab_size=len(data.vocabulary), width=64)
                network = Network(backbone, ClassificationHead(backbone.channels, 2))
                task = Classification(network, 2, lr=5e-3, backbone_lr=5e-3, falling_rate=True)
                fit(task, data, 1, validate=False)
                what: Row = {"sentences": count, "hidden": share, "seed": seed}
                yield "words", what | {"accuracy": score(task, data)}


PARTS = {"curves": curves, "longer": longer, "diversity": diversity, "words": words}


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that are named, or all."""
    return measure_parts("measure_data", __doc__, PARTS, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
