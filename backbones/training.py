"""Training and measuring: one call each, one progress bar, nothing else on the screen.

history = fit(task, data, epochs=3)               # [{"train_loss": ..., "val_accuracy": ...}, ...]
fit(task, data, epochs=50, checkpoint="my.ckpt")  # stopped or killed, the same line goes on where it was
evaluate(task, data)                              # {"test_loss": ..., "test_accuracy": ...}
"""

import contextlib
import gc
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from tqdm.auto import tqdm

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
# torch and Lightning are 400,000 objects that stay for good: `fit`, which tidies up, need not search them.
gc.freeze()


def fit(
    task: pl.LightningModule,
    data: pl.LightningDataModule,
    epochs: int,
    validate: bool = True,
    checkpoint: str | Path | None = None,
) -> list[dict[str, float]]:
    """Train with a progress bar; called again, go on from the weights as they are, with a new optimizer.

    Meanwhile the weights lie in memory with the channels last, as convolutions on a CPU like them best: that
    doubles the speed of EfficientNets. The values are the same, and afterwards they lie as before.

    Args:
        task: what learns.
        data: with train and val loaders.
        epochs: passes over the training set.
        validate: False saves the time of measuring on the validation set after each epoch.
        checkpoint: a file that keeps weights, optimizer and random numbers as each epoch leaves them. If it
            is there, training goes on after the last epoch in it, and ends as if it had never been stopped;
            if that was the last one, nothing is left to do. Delete the file to begin anew.
    Returns:
        One dictionary an epoch. The task is left in eval mode, also when it was interrupted.
    Raises:
        CheckpointError: the file cannot be gone on from; the message says why. Nothing was learned.
        ValueError: for a training or validation set that gives no batch, before anything is learned.
        KeyboardInterrupt: when the learner stops it. The weights are those of the last batch.
    """
    progress = _Progress()
    keeper = None if checkpoint is None else _Keeper(Path(checkpoint), progress, epochs)
    start = keeper.path if keeper and keeper.path.exists() else None
    callbacks = [progress, *([keeper] if keeper else [])]
    limit = None if validate else 0
    try:
        task.to(memory_format=torch.channels_last)
        with _silent_trainer(max_epochs=epochs, callbacks=callbacks, limit_val_batches=limit) as trainer:
            if start:
                keeper.check(task)
            trainer.fit(task, data, ckpt_path=start)
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


class CheckpointError(ValueError):
    """Training cannot go on from this file; the message says why and what to do."""


class _Keeper(pl.Callback):
    """Keeps the training as each epoch leaves it, by Lightning's checkpoint, and what that leaves out."""

    def __init__(self, path: Path, progress: "_Progress", epochs: int):
        self.path, self.progress, self.epochs = path, progress, epochs

    def check(self, task: pl.LightningModule) -> None:
        """Raise CheckpointError unless the file is of such a training."""
        again = f"choose another file for this training, or delete {self.path.name} to begin anew"
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            shapes = {name: value.shape for name, value in kept["state_dict"].items()}
            finished = kept["epoch"] + 1
        except Exception as error:
            raise CheckpointError(f"{self.path} is damaged or no checkpoint of fit(): {again}") from error
        if shapes != {name: value.shape for name, value in task.state_dict().items()}:
            raise CheckpointError(f"{self.path} holds another network than this task's: {again}")
        if finished > self.epochs:
            raise CheckpointError(
                f"{self.path} holds {finished} finished epochs, more than epochs={self.epochs}: ask for at "
                f"least {finished}, or {again}"
            )

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self.progress.bar.update(trainer.global_step)  # what was learned before

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        """Write beside the old file, then put it in its place at once: a kill leaves one of the two whole."""
        partial = self.path.with_name(f"{self.path.name}.partial")
        trainer.save_checkpoint(partial)
        partial.replace(self.path)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.progress.history, "random": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.progress.history = state["history"]
        torch.set_rng_state(state["random"])  # dropout and augmentation go on, too


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
