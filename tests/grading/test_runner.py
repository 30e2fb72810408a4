"""The runner of notebooks when its warm process does not come up, or ends, and what it leaves open."""

import gc
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import pytest

from grading.isolation import run, sandbox
from grading.isolation.run import Runner
from grading.labs import CourseError

# In place of the tests' side: each cell prints its source; "die" ends it, so many times; "leave" ends
# what runs the notebook, and not the warm process.
FAKE = """
import json, os, signal, socket, sys
here = socket.socket(fileno=int(sys.argv[1]))
here.sendall(b"w")
while True:
    data, numbers, _, _ = socket.recv_fds(here, 1, 1)
    if not data:
        break
    with socket.socket(fileno=numbers[0]) as control, control.makefile("rb") as lines:
        for cell in json.loads(lines.readline())["cells"]:
            if cell["source"] == "die" and os.path.getsize(sys.argv[2]) < int(sys.argv[3]):
                with open(sys.argv[2], "a") as file:
                    file.write("x")
                os.kill(os.getpid(), signal.SIGKILL)
            if cell["source"] == "leave":
                break
            control.sendall(json.dumps({"printed": cell["source"], "error": None}).encode() + b"\\n")
        control.sendall(b'{"end": true}\\n')
"""


def fake(monkeypatch: pytest.MonkeyPatch, folder: Path, deaths: int = 0) -> Runner:
    """A runner whose tests' side needs no torch, and dies so many times."""
    (folder / "count").write_text("")
    command = [sys.executable, "-c", FAKE]
    monkeypatch.setattr(
        sandbox,
        "tests_command",
        lambda _, number, __: [*command, str(number), str(folder / "count"), str(deaths)],
    )
    return Runner(sandboxed=False)


def cells(*sources: str) -> list[dict]:
    return [{"source": source} for source in sources]


def test_a_tests_side_that_does_not_start_is_said_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = [sys.executable, "-c", "raise SystemExit('torch is broken here')"]
    monkeypatch.setattr(sandbox, "tests_command", lambda *arguments: command)
    with (
        Runner(sandboxed=False) as runner,
        pytest.raises(CourseError, match="does not start: torch is broken"),
    ):
        runner.run([])  # it starts while the caller has other things to do


def test_a_tests_side_that_is_killed_is_started_anew_and_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with fake(monkeypatch, tmp_path, deaths=run.LOSSES - 1) as runner:
        outcomes = runner.run(cells("a", "die", "b"))
        assert [one["printed"] for one in outcomes] == ["a", "die", "b"]
        assert [one["error"] for one in outcomes] == [None] * 3
        assert runner.starts == run.LOSSES
        os.kill(runner.process.pid, signal.SIGKILL)  # between two notebooks
        assert runner.ended(20)
        assert runner.run(cells("c"))[0]["printed"] == "c"
        runner.rest()
        assert runner.process.poll() is not None
        assert runner.run(cells("d"))[0]["printed"] == "d"


def test_a_notebook_during_which_it_ends_again_and_again_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with fake(monkeypatch, tmp_path, deaths=run.LOSSES) as runner:
        with pytest.raises(RuntimeError, match=f"ended {run.LOSSES} times"):
            runner.run(cells("a", "die"))
        assert runner.run(cells("b"))[0]["printed"] == "b", "the next one runs"


def test_cells_that_end_their_own_processes_pay_for_it_and_say_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with fake(monkeypatch, tmp_path) as runner:
        errors = [one["error"] for one in runner.run(cells("a", "leave", "b"))]
        assert errors[0] is None
        assert errors[1][1].startswith("the process that runs the tests ended in this cell")
        assert errors[2][1] == f"this cell was not run: cells of this notebook ended {run.TRIES} processes"
        assert runner.starts == 1


def test_after_its_end_nothing_starts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with fake(monkeypatch, tmp_path) as runner:
        runner.run(cells("a"))
    with pytest.raises(CourseError, match="over"):
        runner.run(cells("b"))
    assert runner.starts == 1


def test_nothing_stays_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither in a run, nor where the tests' side ended in one."""
    seen: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: seen.append(str(one.exc_value)))
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with fake(monkeypatch, tmp_path, deaths=1) as runner:
            gc.disable()
            try:
                runner.run(cells("a", "die"))
                runner.run(cells("b"))
            finally:
                gc.enable()
        del runner
        end = time.monotonic() + 20  # a thread still reads the last words
        while (
            sys.platform == "linux" and len(os.listdir("/proc/self/fd")) > before and time.monotonic() < end
        ):
            time.sleep(0.05)
        after = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
        gc.collect()
    assert after <= before
    assert seen == []
