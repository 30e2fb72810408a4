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

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
# torch and Lightning are 400,000 objects that stay for good: `fit`, which tidies up, need not search them.
gc.freeze()


def fit(
    task: pl.LightningModule, data: pl.LightningDataModule, epochs: int, validate: bool = True
) -> list[dict[str, float]]:
    """Train with a progress bar; called again, go on from the weights as they are, with a new optimizer.

    Meanwhile the weights lie in memory with the channels last, as convolutions on a CPU like them best: that
    doubles the speed of EfficientNets. The values are the same, and afterwards they lie as before.

    Args:
        task: what learns.
        data: with train and val loaders.
        epochs: passes over the training set.
        validate: False saves the time of measuring on the validation set after each epoch.
    Returns:
        One dictionary an epoch. The task is left in eval mode, also when it was interrupted.
    Raises:
        ValueError: for a training or validation set that gives no batch, before anything is learned.
        KeyboardInterrupt: when the learner stops it. The weights are those of the last batch.
    """
    progress = _Progress()
    limit = None if validate else 0
    try:
        task.to(memory_format=torch.channels_last)
        with _silent_trainer(max_epochs=epochs, callbacks=[progress], limit_val_batches=limit) as trainer:
            trainer.fit(task, data)
        if epochs > 0 and trainer.global_step == 0:
            raise _no_batch("training", trainer.train_dataloader)
    except ValueError as error:
        if "num_samples=0" in str(error):  # torch's words for an empty set that is to be shuffled
            raise _no_batch("training") from error
        raise
    finally:
        if progress.bar is not None:
            progress.bar.close()  # it stays where it is, and what is printed next gets a line of its own
        task.to(memory_format=torch.contiguous_format)
        task.eval()
        # Gradients and the optimizer's averages take three times the memory of the weights.
        task.zero_grad()
        task.trainer = data.trainer = trainer = None
        gc.collect()  # the trainer and its loops refer to each other
    return progress.history


def evaluate(task: pl.LightningModule, data: pl.LightningDataModule) -> dict[str, float]:
    """Measure on the test set, in eval mode.

    Args:
        task: what is measured.
        data: with a test loader.
    Returns:
        What the task logs, each name after "test_".
    Raises:
        ValueError: for a test set that gives no batch.
    """
    with _silent_trainer() as trainer:
        results = trainer.test(task, data, verbose=False)
    if not any(results):
        raise _no_batch("test", trainer.test_dataloaders)
    return results[0]


class _Progress(pl.Callback):
    """One bar for the whole training, a widget in a notebook, on stdout in a terminal; what a task logs."""

    bar: tqdm | None = None  # not before training starts

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []  # one dictionary an epoch

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if trainer.enable_validation and sum(trainer.num_val_batches) == 0:
            raise _no_batch("validation", trainer.val_dataloaders)
        steps = trainer.num_training_batches * trainer.max_epochs  # infinite where nobody knows
        self.bar = tqdm(total=steps, file=sys.stdout, ncols=80, desc="training", unit="batch")

    def on_train_batch_end(self, *_: Any) -> None:
        self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self.history.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def _no_batch(name: str, loader: Any = None) -> ValueError:
    """What to say where Lightning would do nothing, without a word."""
    if getattr(loader, "drop_last", False) and (size := len(loader.dataset)):
        return ValueError(
            f"the {name} set of {size} gives no batch: batch_size is {loader.batch_size}, and drop_last=True "
            "leaves out what does not fill one. Take smaller batches, or drop_last=False"
        )
    return ValueError(f"the {name} set is empty: look at the folder, or the split, that it comes from")


@contextlib.contextmanager
def _silent_trainer(**options: Any) -> Iterator[pl.Trainer]:
    """A trainer without advice meant for clusters, such as more workers, which would alarm a learner.

    Ctrl+C stays a KeyboardInterrupt; Lightning would end the program, which is right on a cluster.
    """
    silent = ("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # its own use of deprecated functions
        try:
            yield pl.Trainer(**dict.fromkeys(silent, False), **options)
        except BaseException as error:  # in a notebook older Lightning fails even to raise SystemExit
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
