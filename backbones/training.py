"""Training and measuring: one call each, one progress bar, nothing else on the screen.

history = fit(task, data, epochs=3)     # [{"train_loss": ..., "val_accuracy": ...}, ...]
evaluate(task, data)                    # {"test_loss": ..., "test_accuracy": ...}
"""

import contextlib
import gc
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from tqdm.auto import tqdm


def fit(
    task: pl.LightningModule, data: pl.LightningDataModule, epochs: int, validate: bool = True
) -> list[dict[str, float]]:
    """Train with a progress bar and nothing else on the screen.

    Meanwhile the network's weights lie in memory with the channels last, as convolutions on a CPU like them
    best: that doubles the speed of EfficientNets. The values are the same, and afterwards they lie as before.

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
        task.to(memory_format=torch.channels_last)
        with _quiet(), _interruptible():
            trainer.fit(task, data)
    finally:
        task.to(memory_format=torch.contiguous_format)
        task.eval()
        # Gradients and the optimizer's averages take three times the memory of the weights.
        task.zero_grad()
        task.trainer = data.trainer = None
        del trainer
        gc.collect()  # the trainer and its loops refer to each other
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
