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
gc.freeze()  # Lightning stays for good, as torch does: `fit` need not search it for garbage, see __init__.py


def fit(
    task: pl.LightningModule, data: pl.LightningDataModule, epochs: int, validate: bool = True
) -> list[dict[str, float]]:
    """Train with a progress bar and nothing else on the screen.

    Called again, after an interruption as well, it goes on from the weights as they are; the optimizer's
    averages and a falling rate start anew. Meanwhile the network's weights lie in memory with the channels
    last, as convolutions on a CPU like them best: that doubles the speed of EfficientNets. The values are the
    same, and afterwards they lie as before.

    Args:
        task: what learns.
        data: with train and val loaders.
        epochs: passes over the training set.
        validate: False saves the time of measuring on the validation set after each epoch.
    Returns:
        One dictionary an epoch, such as {"train_loss": ..., "val_accuracy": ...}. The task is left in eval
        mode, ready to be used, also when it was interrupted.
    Raises:
        ValueError: for a training or validation set that gives no batch, before anything is learned.
        KeyboardInterrupt: when the learner stops it. The weights are those of the last batch.
    """
    progress = _Progress()
    limit = None if validate else 0
    try:
        task.to(memory_format=torch.channels_last)
        with _undisturbed():
            trainer = _trainer(max_epochs=epochs, callbacks=[progress], limit_val_batches=limit)
            trainer.fit(task, data)
        if epochs > 0 and progress.batches == 0:
            raise _no_batch("training", trainer.train_dataloader)
    except ValueError as error:
        if "num_samples=0" in str(error):  # torch's words for an empty set that is to be shuffled
            raise _no_batch("training") from error
        raise
    finally:
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
        Such as {"test_loss": ..., "test_accuracy": ...}.
    Raises:
        ValueError: for a test set that gives no batch.
    """
    with _undisturbed():
        trainer = _trainer()
        results = trainer.test(task, data, verbose=False)
    if not any(results):
        raise _no_batch("test", trainer.test_dataloaders)
    return results[0]


class _Progress(pl.Callback):
    """One bar for the whole training, a widget in a notebook, on stdout in a terminal; what a task logs."""

    bar: tqdm | None = None
    batches = 0

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []  # one dictionary an epoch

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if trainer.enable_validation and sum(trainer.num_val_batches) == 0:
            raise _no_batch("validation", trainer.val_dataloaders)
        steps = trainer.num_training_batches * trainer.max_epochs  # infinite where nobody knows
        self.bar = tqdm(total=steps, file=sys.stdout, ncols=80, desc="training", unit="batch")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.batches += 1
        self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self.history.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_train_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self.bar.close()

    def on_exception(self, trainer: pl.Trainer, task: pl.LightningModule, exception: BaseException) -> None:
        if self.bar is not None:  # not when it happens before training starts
            self.bar.close()  # the bar stays where it was, and what is printed next gets a line of its own


def _no_batch(name: str, loader: Any = None) -> ValueError:
    """What to say where Lightning would do nothing, without a word."""
    if getattr(loader, "drop_last", False) and (size := len(loader.dataset)):
        return ValueError(
            f"the {name} set of {size} gives no batch: batch_size is {loader.batch_size}, and drop_last=True "
            "leaves out what does not fill one. Take smaller batches, or drop_last=False"
        )
    return ValueError(f"the {name} set is empty: look at the folder, or the split, that it comes from")


def _trainer(**options: Any) -> pl.Trainer:
    silent = ("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar")
    return pl.Trainer(**dict.fromkeys(silent, False), **options)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Without advice meant for clusters (more workers, faster matmuls), which would alarm a learner, and with
    Ctrl+C, or "interrupt the kernel", as the KeyboardInterrupt that it is.

    Lightning ends the program instead, with SystemExit, which is right on a cluster.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # its own use of deprecated functions
        try:
            yield
        except BaseException as error:  # in a notebook older Lightning fails even to raise SystemExit
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
