"""Tasks: a network together with a loss, a metric and an optimizer, as LightningModules."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy
from tqdm.auto import tqdm

from .backbone import Network


class Classification(pl.LightningModule):
    """One answer for each input: cross-entropy loss, accuracy, AdamW.

    Attributes:
        network: what is trained; `network.backbone` and `network.head` keep their names.
    """

    def __init__(
        self,
        network: Network,
        num_classes: int,
        lr: float = 1e-3,
        backbone_lr: float | None = None,
        freeze_backbone: bool = False,
    ):
        """Args:
        network: gives logits (B, num_classes).
        lr: learning rate of the head.
        backbone_lr: learning rate of the backbone; None for a tenth of `lr`, since pretrained weights need
            small corrections while a new head starts from random numbers.
        freeze_backbone: True leaves the backbone exactly as it is. Its parameters get no gradients and its
            batch norm stays in eval mode, so that its running mean and variance do not move either.
        """
        super().__init__()
        self.network = network
        self.lr = lr
        self.backbone_lr = lr / 10 if backbone_lr is None else backbone_lr
        self.freeze_backbone = freeze_backbone
        network.backbone.requires_grad_(not freeze_backbone)
        # One metric a phase, because each accumulates over its own batches.
        for phase in ("train", "val", "test"):
            setattr(self, f"{phase}_accuracy", MulticlassAccuracy(num_classes, average="micro"))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) => logits (B, num_classes)."""
        return self.network(images)

    def train(self, mode: bool = True) -> "Classification":
        """Switch to training mode, but never a frozen backbone: its batch norm would go on learning."""
        super().train(mode)
        if self.freeze_backbone:
            self.network.backbone.eval()
        return self

    def on_fit_start(self) -> None:
        self.train()  # Lightning leaves every part in the mode it finds it in
        # Another task may have frozen or unfrozen the same backbone since this one was made.
        self.network.backbone.requires_grad_(not self.freeze_backbone)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        return self._step("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        self._step("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        self._step("test", batch)

    def _step(self, phase: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss = F.cross_entropy(logits, labels)
        accuracy = getattr(self, f"{phase}_accuracy")
        accuracy(logits, labels)
        self.log(f"{phase}_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        self.log(f"{phase}_accuracy", accuracy, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = [{"params": self.network.head.parameters(), "lr": self.lr}]
        if not self.freeze_backbone:
            groups.append({"params": self.network.backbone.parameters(), "lr": self.backbone_lr})
        return torch.optim.AdamW(groups)


def fit(
    task: pl.LightningModule, data: pl.LightningDataModule, epochs: int, validate: bool = True
) -> list[dict[str, float]]:
    """Train with a progress bar and nothing else on the screen.

    Args: task; data, with train and val loaders; epochs, passes over the training set; validate, False to
    save the time of measuring on the validation set after each epoch.
    Returns: one dictionary an epoch, such as {"train_loss": ..., "val_accuracy": ...}. The task is left in
    eval mode, ready to be used, also when it was interrupted.
    Raises: KeyboardInterrupt, when the learner stops it. The weights are those of the last batch.
    """
    history = _History()
    limit = None if validate else 0
    trainer = _quiet_trainer(max_epochs=epochs, callbacks=[history, _Bar()], limit_val_batches=limit)
    try:
        with _quiet(), _interruptible():
            trainer.fit(task, data)
    finally:
        task.eval()
    return history.epochs


def evaluate(task: pl.LightningModule, data: pl.LightningDataModule) -> dict[str, float]:
    """Measure on the test set. Returns: {"test_loss": ..., "test_accuracy": ...}."""
    with _quiet(), _interruptible():
        return _quiet_trainer().test(task, data, verbose=False)[0]


class _History(pl.Callback):
    """Keeps what a task logs, one dictionary an epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items()})


class _Bar(pl.Callback):
    """One bar for the whole training: a widget in a notebook, on stdout in a terminal."""

    bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        steps = int(trainer.num_training_batches) * trainer.max_epochs
        self.bar = tqdm(total=steps, file=sys.stdout, ncols=80, desc="training", unit="batch")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.bar.update()

    def on_train_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self.bar.close()

    def on_exception(self, trainer: pl.Trainer, task: pl.LightningModule, exception: BaseException) -> None:
        if self.bar:  # not when it happens before training starts
            self.bar.close()  # the bar stays where it was, and what is printed next gets a line of its own


def _quiet_trainer(**options: Any) -> pl.Trainer:
    with _quiet():
        return pl.Trainer(
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            **options,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice meant for clusters (more workers, faster matmuls), which would alarm a learner."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # its own use of deprecated functions
        yield


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl+C, or "interrupt the kernel", arrive as the KeyboardInterrupt that it is.

    Lightning ends the program instead, with SystemExit, which is right on a cluster.
    """
    try:
        yield
    except BaseException as error:  # in a notebook older Lightning fails even to raise SystemExit
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
