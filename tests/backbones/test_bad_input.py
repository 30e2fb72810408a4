"""What learners feed by mistake, through training and evaluation of every task: right behavior or a sentence.

Nothing to find, one image, a gray image, an image of one pixel, and an answer that is no answer.
"""

import math
from typing import NamedTuple

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from backbones import Network, create_backbone
from backbones.heads import ClassificationHead, Detector, SegmentationHead, SegmentationNetwork
from backbones.tasks import (
    Classification,
    Detection,
    MultiLabelClassification,
    Segmentation,
    Task,
    evaluate,
    fit,
)
from backbones.vision import ImageError

pytestmark = pytest.mark.slow  # each trains


class Batches(pl.LightningDataModule):
    """The same pictures with the same answers, to train, validate and test."""

    def __init__(self, images: Tensor, answers: Tensor | list, batch_size: int = 4):
        super().__init__()
        self.pairs = list(zip(images, answers, strict=True))
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader:
        def together(pairs: list) -> tuple:
            images, answers = zip(*pairs, strict=True)
            return torch.stack(images), torch.stack(answers) if isinstance(answers[0], Tensor) else answers

        return DataLoader(self.pairs, self.batch_size, collate_fn=together)

    val_dataloader = test_dataloader = train_dataloader


def classification(**options) -> Task:
    backbone = create_backbone("test_efficientnet")
    head = ClassificationHead(backbone.channels, num_classes=3)
    return Classification(Network(backbone, head), num_classes=3, **options)


def multi_label(**options) -> Task:
    backbone = create_backbone("test_efficientnet")
    head = ClassificationHead(backbone.channels, num_classes=3)
    return MultiLabelClassification(Network(backbone, head), num_classes=3, **options)


def segmentation(**options) -> Task:
    backbone = create_backbone("test_efficientnet")
    head = SegmentationHead(backbone.channels, num_classes=3)
    return Segmentation(SegmentationNetwork(backbone, head), num_classes=3, **options)


def detection(**options) -> Task:
    return Detection(Detector(create_backbone("test_efficientnet"), num_classes=3), **options)


def target(boxes: list[list[float]], labels: list[int]) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes).float().reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def right_answers(make, count: int, size: int) -> Tensor | list:
    """Class 1 everywhere, for pictures of size x size."""
    return {
        classification: torch.ones(count, dtype=torch.int64),
        multi_label: torch.tensor([[0.0, 1.0, 0.0]]).repeat(count, 1),
        segmentation: torch.ones(count, size, size, dtype=torch.int64),
        detection: [target([[0, 0, size, size]], [1])] * count,
    }[make]


METRICS = {classification: "accuracy", multi_label: "f1", segmentation: "miou", detection: "map50"}
EVERY_TASK = pytest.mark.parametrize("make", METRICS)


def train_and_test(make, data: Batches) -> tuple[float, float]:
    """The loss of an epoch and the test metric; everything that was learned must be a number."""
    torch.manual_seed(0)
    task = make()
    (history,) = fit(task, data, epochs=1)
    assert all(value.isfinite().all() for value in task.network.state_dict().values())
    return history["train_loss"], evaluate(task, data)[f"test_{METRICS[make]}"]


# ---- Nothing in the picture -----------------------------------------------------------------------

NOTHING = {
    "no class": (multi_label, torch.zeros(4, 3)),
    "background": (segmentation, torch.zeros(4, 32, 32, dtype=torch.int64)),
    "unlabeled": (segmentation, torch.full((4, 32, 32), 255)),
    "no boxes": (detection, [target([], [])] * 4),
}


@pytest.mark.parametrize("case", NOTHING)
def test_pictures_with_nothing_in_them_train_and_are_measured(case):
    make, answers = NOTHING[case]
    loss, metric = train_and_test(make, Batches(torch.rand(4, 3, 32, 32), answers))
    assert loss >= 0
    assert (loss == 0) == (case == "unlabeled")
    if case in ("no boxes", "unlabeled"):
        assert math.isnan(metric), "there is nothing that could have been right or wrong"
    else:
        assert 0 <= metric <= 1


# ---- One image -----------------------------------------------------------------------------------


@EVERY_TASK
def test_one_image_a_batch_trains_and_is_measured(make):
    data = Batches(torch.rand(2, 3, 64, 64), right_answers(make, 2, 64), batch_size=1)
    loss, metric = train_and_test(make, data)
    assert loss > 0
    assert 0 <= metric <= 1


@EVERY_TASK
def test_a_last_batch_of_one_image_trains(make):
    data = Batches(torch.rand(5, 3, 64, 64), right_answers(make, 5, 64), batch_size=4)
    assert train_and_test(make, data)[0] > 0


# ---- Gray images ---------------------------------------------------------------------------------


@EVERY_TASK
@pytest.mark.parametrize(
    "run", [evaluate, lambda task, data: fit(task, data, epochs=1)], ids=["test", "train"]
)
def test_gray_images_are_refused_with_advice_that_works(make, run):
    gray = torch.rand(4, 1, 32, 32)
    with pytest.raises(ImageError, match=r"gray images repeat the channel: images\.expand\(-1, 3, -1, -1\)"):
        run(make(), Batches(gray, right_answers(make, 4, 32)))
    run(make(), Batches(gray.expand(-1, 3, -1, -1), right_answers(make, 4, 32)))


# ---- One pixel -----------------------------------------------------------------------------------


@EVERY_TASK
def test_one_image_of_one_pixel_is_too_little_for_batch_norm_and_two_are_enough(make):
    one = Batches(torch.rand(1, 3, 1, 1), right_answers(make, 1, 1))
    assert 0 <= evaluate(make(), one)[f"test_{METRICS[make]}"] <= 1
    task = make()
    with pytest.raises(
        ValueError, match=r"one position of one image is too little for batch norm\. Use more"
    ):
        fit(task, one, epochs=1)
    (history,) = fit(make(freeze_backbone=True), one, epochs=1)
    assert history["train_loss"] >= 0
    assert train_and_test(make, Batches(torch.rand(2, 3, 1, 1), right_answers(make, 2, 1)))[0] >= 0


# ---- Answers that are none ------------------------------------------------------------------------


class Wrong(NamedTuple):
    make: object
    answers: Tensor | list
    sentence: str


def one_pixel(label: int) -> Tensor:
    masks = torch.zeros(2, 32, 32, dtype=torch.int64)
    masks[1, 5, 7] = label
    return masks


def without(name: str) -> list[dict[str, Tensor]]:
    whole = target([[1, 1, 9, 9]], [1])
    return [whole, {key: value for key, value in whole.items() if key != name}]


SIZED = target([[1, 1, 9, 9]], [1])
WRONG = [
    Wrong(classification, torch.tensor([0, 3]), "label 3 is no class: num_classes=3, so 0 to 2 are$"),
    Wrong(classification, torch.tensor([0, -1]), "label -1 is no class"),
    Wrong(
        classification, torch.tensor([0.0, 1.0]), r"labels are torch\.float32, .* convert them by \.long\(\)"
    ),
    Wrong(
        classification, torch.tensor([[0], [1]]), r"labels \(2, 1\) do not fit logits \(2, 3\): one label for"
    ),
    Wrong(
        multi_label, torch.full((2, 3), 2.0), "presence contains 2.0: 1 is for a class in the image, else 0"
    ),
    Wrong(multi_label, torch.full((2, 3), -1), "presence contains -1:"),
    Wrong(multi_label, torch.full((2, 3), math.nan), "presence contains nan:"),
    Wrong(
        multi_label, torch.zeros(2, 4), r"presence \(2, 4\) does not fit logits \(2, 3\): one number for each"
    ),
    Wrong(multi_label, torch.tensor([0, 1]), r"presence \(2,\) does not fit logits \(2, 3\)"),
    Wrong(segmentation, one_pixel(3), "label 3 is no class: num_classes=3, so 0 to 2 are; 255 marks pixels"),
    Wrong(segmentation, one_pixel(-1), "label -1 is no class"),
    Wrong(segmentation, one_pixel(254), "label 254 is no class"),
    Wrong(segmentation, one_pixel(1).byte(), r"labels are torch\.uint8, .* convert them by \.long\(\)"),
    Wrong(segmentation, one_pixel(1) * 0.5, r"labels are torch\.float32, .* nearest label, not a mixture"),
    Wrong(
        segmentation, torch.zeros(2, 16, 16).long(), r"masks \(2, 16, 16\) do not fit .* resize a mask with"
    ),
    Wrong(detection, [SIZED, target([[1, 1, 9, 9]], [3])], "image 1 has label 3, but labels go from 1 to 2"),
    Wrong(
        detection, [SIZED, target([[1, 1, 9, 9]], [0])], "image 1 has label 0, .* the background as class 0"
    ),
    Wrong(detection, [SIZED, target([[9, 1, 1, 9]], [1])], "image 1 has a box without area"),
    Wrong(detection, [SIZED, {**SIZED, "boxes": torch.zeros(0)}], r"image 1 has boxes of shape \(0,\)"),
    Wrong(detection, without("labels"), "the target of image 1 has no labels"),
    Wrong(detection, without("boxes"), "the target of image 1 has no boxes"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.make.__name__}: {wrong.sentence}")
def test_answers_that_are_none_are_named_when_training_and_when_measuring(wrong):
    data = Batches(torch.rand(2, 3, 32, 32), wrong.answers)
    for run in (evaluate, lambda task, data: fit(task, data, epochs=1)):
        with pytest.raises(ValueError, match=wrong.sentence):
            run(wrong.make(), data)


def test_what_is_no_number_but_says_yes_or_no_is_an_answer():
    for presence in (torch.tensor([[True, False, True]] * 2), torch.tensor([[1, 0, 1]] * 2)):
        loss, metric = train_and_test(multi_label, Batches(torch.rand(2, 3, 32, 32), presence))
        assert loss > 0
        assert 0 <= metric <= 1
