"""Tasks: a network together with a loss, a metric and an optimizer, as LightningModules.

    Classification              one answer for each input     cross-entropy           accuracy
    MultiLabelClassification    several answers, or none      binary cross-entropy    macro F1
    PositionClassification      one answer at each position   cross-entropy           accuracy
    Segmentation                the same, of pixels           cross-entropy           mean IoU
    Translation                 one token after the other     cross-entropy           exact match
    Detection                   boxes with classes            the detector's own      mean average precision

`fit(task, data, epochs)` trains any of them, `evaluate(task, data)` measures it. A batch is a pair (inputs,
answers): inputs are images, or a tuple that the network takes one by one, (tokens, lengths) or (nodes,
adjacency). Or it is a named tuple with more fields, such as a SceneBatch; each task takes what it needs.
"""

import math
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex, MultilabelF1Score
from torchmetrics.detection import MeanAveragePrecision

from .data.vocabulary import PAD
from .heads import Detector, Translator, check_targets
from .training import evaluate as evaluate
from .training import fit as fit

IGNORE = 255  # label of pixels that nobody has labeled, such as the outlines in Pascal VOC


class Task(pl.LightningModule):
    """What all tasks share: AdamW with two learning rates, and a frozen backbone that stays as it is."""

    answers: ClassVar[str]  # the field of a batch that has the right answers
    metric_name: ClassVar[str]  # in the history, after "train_", "val_" or "test_"

    def __init__(
        self,
        network: nn.Module,
        metric: Metric,
        lr: float = 1e-3,
        backbone_lr: float | None = None,
        freeze_backbone: bool = False,
        falling_rate: bool = False,
    ):
        """
        Args:
            network: with a part called `backbone`; all the rest, what a subclass adds included, is its head.
            metric: compares decisions with answers.
            lr: learning rate of the head.
            backbone_lr: that of the backbone; None for a tenth of `lr`: a good start needs small corrections.
            freeze_backbone: True leaves the backbone exactly as it is, whoever calls `train()`: without
                gradients, and in eval mode, so that batch norm's mean and variance do not move either.
            falling_rate: True lets both rates rise and then fall during the training, see `rate_factor`.
        """
        super().__init__()
        self.network, self.freeze_backbone, self.falling_rate = network, freeze_backbone, falling_rate
        self.lr, self.backbone_lr = lr, lr / 10 if backbone_lr is None else backbone_lr
        network.backbone.requires_grad_(not freeze_backbone)
        for phase in ("train", "val", "test"):  # each accumulates over batches of its own
            setattr(self, f"{phase}_{self.metric_name}", metric.clone())

    def loss(self, logits: Tensor, answers: Tensor) -> Tensor:
        """How wrong the logits are, a scalar; raises ValueError for answers that cannot be meant."""
        raise NotImplementedError(f"{type(self).__name__} has to say what its loss is")

    def decide(self, logits: Tensor) -> Tensor:
        """What the metric compares with the answers; of the scores of classes it takes the highest."""
        return logits

    def forward(self, *inputs: Any) -> Any:
        """What the network answers."""
        self._keep_frozen()
        return self.network(*inputs)

    def train(self, mode: bool = True) -> "Task":
        """Switch to training mode, but never a frozen backbone: its batch norm would go on learning."""
        super().train(mode)
        self._keep_frozen()
        return self

    def _keep_frozen(self, *_: Any) -> None:
        """Undo `network.train()`, which knows nothing of this task and which any callback may have called."""
        if self.freeze_backbone:
            self.network.backbone.eval()

    on_train_batch_start = _keep_frozen

    def on_fit_start(self) -> None:
        self.train()  # Lightning leaves every part in the mode it finds it in
        # Another task may have frozen or unfrozen the same backbone since this one was made.
        self.network.backbone.requires_grad_(not self.freeze_backbone)

    def training_step(self, batch: tuple, batch_index: int) -> Tensor:
        return self._step("train", batch)

    def validation_step(self, batch: tuple, batch_index: int) -> None:
        self._step("val", batch)

    def test_step(self, batch: tuple, batch_index: int) -> None:
        self._step("test", batch)

    def _step(self, phase: str, batch: tuple) -> Tensor:
        inputs, answers = self._pair(batch)
        logits = self(*inputs) if isinstance(inputs, tuple) else self(inputs)
        loss = self.loss(logits, answers)
        self._log(phase, loss, self.weight(answers), self.decide(logits), answers)
        return loss

    def weight(self, answers: Tensor) -> int:
        """How many answers the loss of a batch is the mean of: the loss of an epoch weighs batches by it."""
        return len(answers)

    def _log(self, phase: str, loss: Tensor, weight: int, *compared: Tensor) -> None:
        """Put the loss, and where something is compared the metric, into the history."""
        self.log(f"{phase}_loss", loss, on_step=False, on_epoch=True, batch_size=weight)
        if compared:
            metric = getattr(self, f"{phase}_{self.metric_name}")
            metric(*compared)
            self.log(f"{phase}_{self.metric_name}", metric, on_step=False, on_epoch=True)

    def _pair(self, batch: tuple) -> tuple[Any, Any]:
        """Inputs and answers of a batch."""
        if getattr(batch, self.answers, None) is not None:
            return batch.image, getattr(batch, self.answers)
        if len(batch) == 2:
            return batch
        known = [name for name in getattr(batch, "_fields", []) if getattr(batch, name) is not None]
        fields = ", ".join(known) or f"{len(batch)} things without names"
        raise TypeError(f"{type(self).__name__} needs batches (inputs, {self.answers}), these have: {fields}")

    def configure_optimizers(self) -> torch.optim.Optimizer | dict[str, Any]:
        rest = [p for name, p in self.named_parameters() if not name.startswith("network.backbone.")]
        groups = [{"params": rest, "lr": self.lr}]
        if not self.freeze_backbone:
            groups.append({"params": self.network.backbone.parameters(), "lr": self.backbone_lr})
        optimizer = torch.optim.AdamW(groups)
        if not self.falling_rate:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        schedule = LambdaLR(optimizer, lambda step: rate_factor(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_factor(step: int, steps: int) -> float:
    """What both learning rates are multiplied by: up in a straight line, then down half a cosine wave.

    The rise (Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2) spares pretrained weights the
    first gradients of a random head; the small steps at the end (Loshchilov, Hutter, SGDR, 2017, equation 5)
    settle what large ones leave jumping about.

    Args:
        step: batches trained on so far, from 0.
        steps: batches in the whole training.
    Returns:
        A number from 0 to 1: 1 after a tenth of the steps, 0 after the last.
    """
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return (1 + math.cos(math.pi * (step + 1 - rise) / (steps + 1 - rise))) / 2


class Classification(Task):
    """One answer for each image or text: cross-entropy, accuracy. Answers are labels int64 (B,), from 0.

    Args:
        network: gives logits (B, num_classes).
        num_classes: how many different answers there are.
        options: `lr`, `backbone_lr`, `freeze_backbone` and `falling_rate`, see `Task`.
    """

    answers, metric_name = "label", "accuracy"

    def __init__(self, network: nn.Module, num_classes: int, **options: Any):
        super().__init__(network, MulticlassAccuracy(num_classes, average="micro"), **options)
        self.num_classes = num_classes

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        _check_labels(labels, logits, self.num_classes)
        return F.cross_entropy(logits, labels)


class MultiLabelClassification(Task):
    """Any number of answers for each image: binary cross-entropy a class, F1 averaged over classes.

    Made like `Classification`. Answers are presence (B, num_classes) of any type: 1 in the image, 0 not.
    """

    answers, metric_name = "presence", "f1"

    def __init__(self, network: nn.Module, num_classes: int, **options: Any):
        super().__init__(network, MultilabelF1Score(num_classes, average="macro"), **options)

    def loss(self, logits: Tensor, presence: Tensor) -> Tensor:
        if presence.shape != logits.shape:
            shapes = f"presence {tuple(presence.shape)} does not fit logits {tuple(logits.shape)}"
            raise ValueError(f"{shapes}: one number for each image and class is needed")
        if len(strange := presence[(presence != 0) & (presence != 1)]):
            raise ValueError(f"presence contains {strange[0].item()}: 1 is for a class in the image, else 0")
        return F.binary_cross_entropy_with_logits(logits, presence.to(logits.dtype))

    def decide(self, logits: Tensor) -> Tensor:
        return (logits > 0).int()  # present if more likely than not


class PositionClassification(Task):
    """One answer at each position, be it token, node or pixel: cross-entropy, accuracy.

    Tags of words, the next token of a language model, classes of nodes. Answers are int64, from 0, shaped as
    the logits without their channels: (B, T), (N,) or (B, H, W). All positions are counted together, so that
    exp(test_loss) is a language model's perplexity.

    Args:
        network: gives logits (B, num_classes, T), (N, num_classes) or (B, num_classes, H, W).
        num_classes: how many different answers there are.
        ignore_index: the label of positions that do not count, as of padding, or of nodes without a label.
        options: as of `Classification`.
    """

    answers, metric_name = "tags", "accuracy"

    def __init__(self, network: nn.Module, num_classes: int, *, ignore_index: int = -100, **options: Any):
        super().__init__(network, self._metric(num_classes, ignore_index), **options)
        self.num_classes, self.ignore_index = num_classes, ignore_index

    def _metric(self, num_classes: int, ignore_index: int) -> Metric:
        # `loss` checks the labels; torchmetrics would do so once more, and slowly.
        return MulticlassAccuracy(
            num_classes, average="micro", ignore_index=ignore_index, validate_args=False
        )

    def weight(self, answers: Tensor) -> int:
        """How many positions count; 1 where none does, for a mean needs a weight."""
        return max(1, int((answers != self.ignore_index).sum()))

    def loss(self, logits: Tensor, answers: Tensor) -> Tensor:
        """The mean over all positions that count, 0 if there are none."""
        counted = _check_labels(answers, logits, self.num_classes, self.ignore_index)
        total = F.cross_entropy(logits, answers, ignore_index=self.ignore_index, reduction="sum")
        return total / max(1, len(counted))

    def decide(self, logits: Tensor) -> Tensor:
        """The class with the highest score at each position."""
        return logits.max(dim=1).indices  # argmax gives the same, five times as slowly


class Segmentation(PositionClassification):
    """`PositionClassification` of pixels, measured by the mean intersection over union.

    The positions of all images are counted together; the mean leaves out a class that is neither in the masks
    nor in the predictions.

    Args:
        network: gives logits (B, num_classes, H, W), or as for `PositionClassification`.
        num_classes: how many different answers there are, the background included.
        ignore_index: the label of positions that do not count. None for 255, as in Pascal VOC, or where 255
            is a class -100, as in torch; then an epoch of nothing but 0 and 255, as black and white pictures
            look, raises a ValueError.
        options: as of `Classification`.
    """

    answers, metric_name = "mask", "miou"

    def __init__(
        self, network: nn.Module, num_classes: int, *, ignore_index: int | None = None, **options: Any
    ):
        ignored = ignore_index if ignore_index is not None else IGNORE if num_classes <= IGNORE else -100
        super().__init__(network, num_classes, ignore_index=ignored, **options)
        self._suspects_black_and_white = ignore_index is None and ignored == IGNORE
        self.on_train_epoch_start()

    def _metric(self, num_classes: int, ignore_index: int) -> Metric:
        return MulticlassJaccardIndex(num_classes, ignore_index=ignore_index, validate_args=False)

    def loss(self, logits: Tensor, masks: Tensor) -> Tensor:
        """See `PositionClassification`; remembers whether there was anything but background."""
        loss = super().loss(logits, masks)
        ignored = masks == self.ignore_index
        self._ignored_met |= bool(ignored.any())
        self._objects_met |= bool(((masks != 0) & ~ignored).any())
        return loss

    def on_train_epoch_start(self) -> None:
        self._objects_met = self._ignored_met = False

    def on_train_epoch_end(self) -> None:
        # Some images may well show no object and have borders that do not count; not all images.
        if self._suspects_black_and_white and self._ignored_met and not self._objects_met:
            raise ValueError(
                f"all masks are 0 and {IGNORE} only, and {IGNORE} marks what does not count. If white is the "
                f"object, convert each mask by (mask == {IGNORE}).long(); if no image shows any object, give "
                f"Segmentation(..., ignore_index={IGNORE})"
            )

    on_test_epoch_start, on_test_epoch_end = on_train_epoch_start, on_train_epoch_end


class Translation(Task):
    """One token after the other: cross-entropy by teacher forcing, exact match of what is written freely.

    Answers are targets int64 (B, S), from `<begin>` to `<end>` and then padding. The loss is the mean over
    all tokens of the targets but `<begin>`. Validation and test count the share of targets that the network,
    given nothing of them, writes without a single mistake.

    Args:
        network: a Translator.
        options: as of `Classification`.
    """

    answers, metric_name = "target", "exact_match"

    def __init__(self, network: Translator, **options: Any):
        super().__init__(network, MeanMetric(), **options)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD)

    def _step(self, phase: str, batch: tuple) -> Tensor:
        (tokens, lengths), target = self._pair(batch)
        loss = self.loss(self(tokens, lengths, target), target)
        right = () if phase == "train" else (exact_matches(self(tokens, lengths), target).float(),)
        self._log(phase, loss, int((target[:, 1:] != PAD).sum()), *right)
        return loss


def exact_matches(written: Tensor, target: Tensor) -> Tensor:
    """Which rows were written without a single mistake.

    Args:
        written: int64 (B, L), from after `<begin>`, padded after `<end>`.
        target: int64 (B, S), from `<begin>`.
    Returns:
        bool (B,).
    """
    target = target[:, 1:]
    length = max(written.shape[1], target.shape[1])
    written, target = (F.pad(rows, (0, length - rows.shape[1]), value=PAD) for rows in (written, target))
    return (written == target).all(dim=1)


class Detection(Task):
    """Boxes with classes: the detector's own losses, mean average precision (mAP).

    Answers are targets, a dictionary for each image: see `Detector`. For `map50` an object is found if a box
    overlaps it by an IoU of at least 0.5; `map` is the mean over ten such thresholds, 0.5 to 0.95. Training
    logs the loss, validation and test log the metric.

    Args:
        network: a Detector.
        options: as of `Classification`.
    """

    answers, metric_name = "targets", "map"

    def __init__(self, network: Detector, **options: Any):
        super().__init__(network, MeanAveragePrecision(), **options)

    def _step(self, phase: str, batch: tuple) -> Tensor | None:
        images, targets = self._pair(batch)
        if phase == "train":
            loss = sum(self(images, targets).values())
            self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(images))
            return loss
        if isinstance(self.network, Detector):  # it looks at targets only where it measures losses
            size = images.shape[-2:] if isinstance(images, Tensor) else None
            targets = check_targets(targets, self.network.num_classes, len(images), size)
        getattr(self, f"{phase}_map").update(self(images), targets)

    def on_validation_epoch_end(self) -> None:
        phase, metric = ("test", self.test_map) if self.trainer.testing else ("val", self.val_map)
        found = metric.compute()
        metric.reset()
        for name, value in (("map50", found["map_50"]), ("map", found["map"])):
            # torchmetrics says -1 when there is no object in any image.
            self.log(f"{phase}_{name}", value if value >= 0 else torch.nan)

    on_test_epoch_end = on_validation_epoch_end


def _check_labels(labels: Tensor, logits: Tensor, num_classes: int, ignored: int | None = None) -> Tensor:
    """The labels that count, in one row. Raises ValueError for those that no network could answer with."""
    if labels.shape != logits[:, 0].shape:
        advice = "one label for each image, or for each of its positions, is needed"
        if labels.shape == logits[:, :1].shape:
            advice = f"labels have no channels, take the one away by .squeeze({1 - logits.ndim})"
        elif labels.ndim > 1:
            advice += "; resize a mask with its image, taking the nearest label"
        raise ValueError(f"labels {tuple(labels.shape)} do not fit logits {tuple(logits.shape)}: {advice}")
    if labels.dtype != torch.int64:
        raise ValueError(
            f"labels are {labels.dtype}, but classes are counted in torch.int64: convert them by .long(); a "
            "mask that was resized must have taken the nearest label, not a mixture"
        )
    counted = labels if ignored is None else labels[labels != ignored]
    if len(strange := counted[(counted < 0) | (counted >= num_classes)]):
        known = f"num_classes={num_classes}, so 0 to {num_classes - 1} are"
        known += "" if ignored is None else f"; {ignored} marks what does not count"
        raise ValueError(f"label {strange[0].item()} is no class: {known}")
    return counted
