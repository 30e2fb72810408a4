"""Training that was stopped goes on: `fit(..., checkpoint=file)`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_tasks import Small

from backbones import Network
from backbones.data import Digits
from backbones.heads import ClassificationHead
from backbones.tasks import Classification, fit
from backbones.training import CheckpointError

ROOT = Path(__file__).parents[2]
EPOCHS = 4


class Stopping(Classification):
    """Learns with dropout and a falling rate, so that random numbers and the schedule matter."""

    stop_at: tuple[int, int] | None = None  # epoch and batch

    def training_step(self, batch, batch_index):
        if self.stop_at == (self.trainer.current_epoch, batch_index):
            raise KeyboardInterrupt
        return super().training_step(batch, batch_index)


def task(stop_at=None, classes=10):
    torch.manual_seed(0)
    head = ClassificationHead({2: 8}, classes, dropout=0.2)
    made = Stopping(Network(Small(), head), classes, lr=1e-2, falling_rate=True)
    made.stop_at = stop_at
    return made


def digits():
    return Digits(channels=3, batch_size=250)  # four batches an epoch


def same(one, other):
    others = other.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


@pytest.fixture(scope="module")
def uninterrupted():
    whole = task()
    return whole, fit(whole, digits(), EPOCHS)


@pytest.mark.parametrize("stop_at", [(1, 0), (2, 3)])
def test_an_interrupted_training_ends_as_if_it_had_never_been_stopped(tmp_path, stop_at, uninterrupted):
    whole, history = uninterrupted
    checkpoint = tmp_path / "my.ckpt"
    with pytest.raises(KeyboardInterrupt):
        fit(task(stop_at), digits(), EPOCHS, checkpoint=checkpoint)
    torch.manual_seed(99)
    resumed = task()
    assert fit(resumed, digits(), EPOCHS, checkpoint=str(checkpoint)) == history
    assert same(whole, resumed)
    assert [path.name for path in tmp_path.iterdir()] == ["my.ckpt"]


def test_an_interrupt_in_the_first_epoch_leaves_nothing_to_go_on_from(tmp_path, uninterrupted):
    checkpoint = tmp_path / "my.ckpt"
    with pytest.raises(KeyboardInterrupt):
        fit(task((0, 2)), digits(), EPOCHS, checkpoint=checkpoint)
    assert not checkpoint.exists()
    assert fit(task(), digits(), EPOCHS, checkpoint=checkpoint) == uninterrupted[1]


def test_a_finished_training_is_not_done_again(tmp_path, uninterrupted):
    checkpoint = tmp_path / "my.ckpt"
    fit(task(), digits(), EPOCHS, checkpoint=checkpoint)
    written = checkpoint.stat().st_mtime_ns
    again = task(stop_at=(0, 0))  # would be interrupted at its first batch
    assert fit(again, digits(), EPOCHS, checkpoint=checkpoint) == uninterrupted[1]
    assert same(again, uninterrupted[0])
    assert not again.training
    assert checkpoint.stat().st_mtime_ns == written


def test_more_epochs_than_there_are_go_on_from_there(tmp_path):
    checkpoint = tmp_path / "my.ckpt"
    first = fit(task(), digits(), 2, checkpoint=checkpoint)
    longer = fit(task(), digits(), 3, checkpoint=checkpoint)
    assert longer[:2] == first
    assert len(longer) == 3


def test_files_that_it_cannot_go_on_from_are_refused_and_kept(tmp_path):
    checkpoint = tmp_path / "my.ckpt"
    fit(task(), digits(), 2, validate=False, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    with pytest.raises(CheckpointError, match=r"my\.ckpt holds 2 finished epochs, more than epochs=1"):
        fit(task(), digits(), 1, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="holds another network than this task's"):
        fit(task(classes=11), digits(), 2, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == whole
    for damage in (whole[:2000], b"", b"not a checkpoint", whole[:-1]):
        checkpoint.write_bytes(damage)
        learner = task()
        before = learner.network.head.classifier.weight.clone()
        with pytest.raises(CheckpointError, match="is damaged or no checkpoint of fit"):
            fit(learner, digits(), 2, checkpoint=checkpoint)
        assert torch.equal(before, learner.network.head.classifier.weight)
        assert checkpoint.read_bytes() == damage


@pytest.mark.slow
def test_a_training_that_is_killed_loses_at_most_one_epoch(tmp_path, uninterrupted):
    checkpoint = tmp_path / "my.ckpt"
    program = (
        "from test_resume import *\n"
        f"fit(task(), digits(), 10_000, validate=True, checkpoint={str(checkpoint)!r})\n"
    )
    paths = [ROOT, ROOT / "tests" / "support", Path(__file__).parent]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    for _ in range(2):  # the second goes on from the first
        before = finished(checkpoint)
        run = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 240
        while finished(checkpoint) < before + 5 and time.monotonic() < deadline:
            assert run.poll() is None
            time.sleep(0.02)
        seen = finished(checkpoint)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert before + 5 <= seen <= finished(checkpoint)


def finished(checkpoint: Path) -> int:
    """Epochs in the file, which is whole at any moment."""
    return torch.load(checkpoint, weights_only=True)["epoch"] + 1 if checkpoint.exists() else 0
