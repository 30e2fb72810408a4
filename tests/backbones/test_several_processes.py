"""backbones/lessons/several_processes.py: one training by several processes, which can be lost."""

import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backbones.lessons import FILES

ROOT = Path(__file__).parents[2]
SCRIPT = FILES / "several_processes.py"
EPOCHS = 6  # so that there is time to kill a process after the first
SECONDS = 240  # for what takes ten on a machine with nothing else to do

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="fork, and signals that kill"),
]


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    """Starts programs whose output goes to a file; all that is left of them ends with the test."""
    running = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}

    def start(log: str, *command: object) -> subprocess.Popen:
        with open(tmp_path / log, "w") as output:
            running.append(
                subprocess.Popen(
                    [sys.executable, *map(str, command)],
                    cwd=tmp_path,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a process group of their own, with those that they start
                )
            )
        return running[-1]

    yield start
    for process in running:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.wait()


@pytest.fixture(scope="module")
def losses_of_one(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The curve of one process that nobody disturbs."""
    file = tmp_path_factory.mktemp("one") / "one.json"
    command = [sys.executable, SCRIPT, "--processes", "1", "--epochs", str(EPOCHS), "--write", file]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    subprocess.run(command, env=environment, check=True, timeout=SECONDS)
    losses = json.loads(file.read_text())["losses"]
    assert len(losses) == EPOCHS * 5  # 1,000 digits, 200 per step
    assert losses[-1] < 0.5 * losses[0]  # it learns: a curve that stands still would be the same anywhere
    return losses


def wait_until(there: Path, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while not there.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_a_killed_process_ends_all_and_the_same_command_goes_on(
    start, tmp_path: Path, losses_of_one: list[float]
) -> None:
    command = (
        SCRIPT,
        "--processes",
        2,
        "--epochs",
        EPOCHS,
        "--checkpoint",
        "digits.ckpt",
        "--write",
        "two.json",
    )
    log = tmp_path / "killed.txt"
    process = start(log.name, *command)
    wait_until(tmp_path / "digits.ckpt", process, log)
    victim = re.search(r"process 1 of 2: pid (\d+)", log.read_text())
    os.kill(int(victim[1]), signal.SIGKILL)
    assert process.wait(SECONDS) != 0
    assert "stops: process 1 terminated with signal SIGKILL" in log.read_text()
    assert not (tmp_path / "two.json").exists()

    again = start("again.txt", *command)
    assert again.wait(SECONDS) == 0, (tmp_path / "again.txt").read_text()
    assert "epoch 0" not in (tmp_path / "again.txt").read_text()  # that was done
    report = json.loads((tmp_path / "two.json").read_text())
    assert report["losses"] == pytest.approx(losses_of_one, abs=1e-3)


def test_two_machines_meet_on_loopback(start, tmp_path: Path, losses_of_one: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meet = ["--nnodes", 2, "--nproc-per-node", 1, "--rdzv-backend", "c10d", "--rdzv-id", "digits"]
    meet += ["--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1"]
    train = [SCRIPT, "--epochs", EPOCHS, "--write", "torchrun.json"]
    machines = [start(f"{name}.txt", "-m", "torch.distributed.run", *meet, *train) for name in "ab"]
    for machine, name in zip(machines, "ab", strict=True):
        assert machine.wait(SECONDS) == 0, (tmp_path / f"{name}.txt").read_text()
    report = json.loads((tmp_path / "torchrun.json").read_text())
    assert report["losses"] == pytest.approx(losses_of_one, abs=1e-3)


def test_a_batch_that_cannot_be_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--processes", "3"])
    with pytest.raises(SystemExit, match="3 processes cannot share a batch of 200 equally"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
