"""What learners feed by mistake, through training and evaluation of every task: right behavior or a sentence.

Nothing to find, one image, a gray image, an image of one pixel, and an answer that is no answer.
"""

import math
from typing import NamedTuple

import pytest
import torch
from small_tasks import (
    METRICS,
    NOTHING,
    Batches,
    Deeper,
    classification,
    detection,
    multi_label,
    segmentation,
    target,
)
from torch import Tensor

from backbones import BackboneError, create_backbone
from backbones.tasks import Task
from backbones.training import evaluate, fit
from backbones.vision import ImageError

pytestmark = pytest.mark.slow  # most of them train

EVERY_TASK = pytest.mark.parametrize("make", METRICS)


def timm_task(make, **options) -> Task:
    return make(create_backbone("test_efficientnet"), **options)


def train(task: Task, data: Batches) -> None:
    fit(task, data, epochs=1, validate=False)  # validation would look at the same images before


TRAINING_AND_TEST = pytest.mark.parametrize("run", [train, evaluate])


def right_answers(make, count: int, size: int) -> Tensor | list:
    """Class 1 everywhere, for pictures of size x size."""
    return {
        classification: torch.ones(count, dtype=torch.int64),
        multi_label: torch.tensor([[0.0, 1.0]]).repeat(count, 1),
        segmentation: torch.ones(count, size, size, dtype=torch.int64),
        detection: [target([[0, 0, size, size]], [1])] * count,
    }[make]


def train_and_test(make, data: Batches, **options) -> tuple[float, float]:
    """The loss of an epoch and the test metric; everything that was learned must be a number."""
    torch.manual_seed(0)
    task = timm_task(make, **options)
    (history,) = fit(task, data, epochs=1)
    assert all(value.isfinite().all() for value in task.network.state_dict().values())
    return history["train_loss"], evaluate(task, data)[f"test_{METRICS[make]}"]


# ---- Nothing in the picture -----------------------------------------------------------------------

NOTHING_IN_IT = {
    "no class": (multi_label, torch.zeros(4, 2), {}),
    "background": (segmentation, torch.zeros(4, 32, 32, dtype=torch.int64), {}),
    "unlabeled": (segmentation, torch.full((4, 32, 32), 255), {"ignore_index": 255}),
    "no boxes": (detection, [NOTHING] * 4, {}),
}


@pytest.mark.parametrize("case", NOTHING_IN_IT)
def test_pictures_with_nothing_in_them_train_and_are_measured(case):
    make, answers, options = NOTHING_IN_IT[case]
    loss, metric = train_and_test(make, Batches(torch.rand(4, 3, 32, 32), answers), **options)
    assert loss >= 0
    assert (loss == 0) == (case == "unlabeled")
    if case in ("no boxes", "unlabeled"):
        assert math.isnan(metric), "there is nothing that could have been right or wrong"
    else:
        assert 0 <= metric <= 1


# ---- Masks in black and white --------------------------------------------------------------------

WHITE_SQUARE = torch.zeros(32, 32, dtype=torch.int64)
WHITE_SQUARE[4:20, 4:20] = 255


@TRAINING_AND_TEST
@pytest.mark.parametrize("masks", [[WHITE_SQUARE] * 2, [torch.full_like(WHITE_SQUARE, 255)] * 2])
def test_masks_saved_in_black_and_white_are_refused_with_advice_that_works(run, masks):
    images = torch.rand(2, 3, 32, 32)
    with pytest.raises(ValueError, match=r"all masks are 0 and 255 only.* by \(mask == 255\)\.long\(\)"):
        run(segmentation(Deeper()), Batches(images, masks))
    run(segmentation(Deeper()), Batches(images, [(mask == 255).long() for mask in masks]))
    run(segmentation(Deeper(), ignore_index=255), Batches(images, masks))


def test_black_and_white_is_said_after_one_epoch(capfd):
    with pytest.raises(ValueError, match="all masks are 0 and 255 only"):
        fit(segmentation(Deeper()), Batches(torch.rand(2, 3, 32, 32), [WHITE_SQUARE] * 2, 1), epochs=3)
    assert " 2/6 " in capfd.readouterr().out.split("\r")[-1]


@TRAINING_AND_TEST
@pytest.mark.parametrize("first", [0, 1, 2])
def test_some_pictures_may_show_background_and_what_does_not_count(run, first):
    """Filled up to a square, and nothing in it; such pictures alone in their batches, and in any order."""
    masks = [WHITE_SQUARE, WHITE_SQUARE, WHITE_SQUARE.where(WHITE_SQUARE == 0, 1)]
    masks = masks[first:] + masks[:first]
    run(segmentation(Deeper()), Batches(torch.rand(3, 3, 32, 32), masks, batch_size=1))


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
@TRAINING_AND_TEST
def test_gray_images_are_refused_with_advice_that_works(make, run):
    gray = torch.rand(4, 1, 32, 32)
    with pytest.raises(ImageError, match=r"gray images repeat the channel: images\.expand\(-1, 3, -1, -1\)"):
        run(timm_task(make), Batches(gray, right_answers(make, 4, 32)))
    run(timm_task(make), Batches(gray.expand(-1, 3, -1, -1), right_answers(make, 4, 32)))


# ---- One pixel -----------------------------------------------------------------------------------


@EVERY_TASK
def test_one_image_of_one_pixel_is_too_little_for_batch_norm(make):
    with pytest.raises(
        BackboneError, match=r"too little for batch norm\. Use more .* or freeze_backbone=True"
    ):
        fit(timm_task(make), Batches(torch.rand(1, 3, 1, 1), right_answers(make, 1, 1)), epochs=1)


@EVERY_TASK
def test_one_pixel_is_enough_for_a_frozen_backbone_to_measure_and_for_two_images(make):
    one = Batches(torch.rand(1, 3, 1, 1), right_answers(make, 1, 1))
    assert 0 <= evaluate(timm_task(make), one)[f"test_{METRICS[make]}"] <= 1
    (history,) = fit(timm_task(make, freeze_backbone=True), one, epochs=1)
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
        classification, torch.zeros(2, 0), r"labels \(2, 0\) do not fit logits \(2, 3\): one label for each"
    ),
    Wrong(
        classification, torch.eye(3)[:2], r"labels \(2, 3\) do not fit logits \(2, 3\): one label for each"
    ),
    Wrong(
        multi_label, torch.full((2, 2), 2.0), "presence contains 2.0: 1 is for a class in the image, else 0"
    ),
    Wrong(multi_label, torch.full((2, 2), -1), "presence contains -1:"),
    Wrong(multi_label, torch.full((2, 2), math.nan), "presence contains nan:"),
    Wrong(multi_label, torch.full((2, 2), 0.5).half(), "presence contains 0.5:"),
    Wrong(
        multi_label, torch.zeros(2, 4), r"presence \(2, 4\) does not fit logits \(2, 2\): one number for each"
    ),
    Wrong(multi_label, torch.zeros(2, 2, 1), r"presence \(2, 2, 1\) does not fit logits \(2, 2\)"),
    Wrong(multi_label, torch.tensor([0, 1]), r"presence \(2,\) does not fit logits \(2, 2\)"),
    Wrong(multi_label, torch.zeros(2, 0), r"presence \(2, 0\) does not fit logits \(2, 2\)"),
    Wrong(segmentation, one_pixel(3), "label 3 is no class: num_classes=3, so 0 to 2 are; 255 marks what"),
    Wrong(segmentation, one_pixel(-1), "label -1 is no class"),
    Wrong(segmentation, one_pixel(254), "label 254 is no class"),
    Wrong(
        segmentation, torch.zeros(2, 16, 16).long(), r"labels \(2, 16, 16\) do not fit .* resize a mask with"
    ),
    Wrong(segmentation, torch.zeros(2, 0), r"labels \(2, 0\) do not fit logits \(2, 3, 32, 32\)"),
    Wrong(
        segmentation, torch.tensor([0, 1]), r"labels \(2,\) do not fit logits \(2, 3, 32, 32\): one label for"
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


@TRAINING_AND_TEST
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.make.__name__}: {wrong.sentence}")
def test_answers_that_are_none_are_named(wrong, run):
    with pytest.raises(ValueError, match=wrong.sentence):
        run(wrong.make(Deeper()), Batches(torch.rand(2, 3, 32, 32), wrong.answers))


ANSWERS = {classification: torch.tensor([0, 1]), segmentation: one_pixel(1)}
NO_CHANNELS = {classification: ".squeeze(-1)", segmentation: ".squeeze(-3)"}
OTHER_TYPES = (torch.bool, torch.uint8, torch.int32, torch.float16, torch.float32, torch.float64)


@TRAINING_AND_TEST
@pytest.mark.parametrize("make", ANSWERS)
@pytest.mark.parametrize("other", [None, *OTHER_TYPES], ids=str)
def test_labels_of_another_form_are_refused_with_advice_that_works(make, run, other):
    """A dimension for a channel, or another type; mended in the data set, an image at a time."""
    right, images = ANSWERS[make], torch.rand(2, 3, 32, 32)
    wrong, advice = (right.to(other), ".long()") if other else (right.unsqueeze(1), NO_CHANNELS[make])
    with pytest.raises(ValueError, match=r"^labels .*\.(long|squeeze)\(") as caught:
        run(make(Deeper()), Batches(images, wrong))
    assert advice in str(caught.value)
    mended = [eval(f"label{advice}", {"label": label}) for label in wrong]
    assert torch.equal(torch.stack(mended), right)
    run(make(Deeper()), Batches(images, mended))


@pytest.mark.parametrize("kind", OTHER_TYPES, ids=str)
def test_presence_may_be_of_any_type(kind):
    presence = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = train_and_test(multi_label, Batches(torch.ones(2, 3, 32, 32), presence))
    assert train_and_test(multi_label, Batches(torch.ones(2, 3, 32, 32), presence.to(kind))) == expected
