"""Grading on a Dask cluster: one of two workers is killed in the middle; workers that must not grade do not."""

import contextlib
import copy
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from distributed import Client, LocalCluster
from grading_samples import ROOT, cell_of, hand_in, tiny_course
from nbgrader.api import Gradebook

from grading import cluster
from grading.__main__ import main
from grading.canary import try_out
from grading.isolation.sandbox import Limits
from grading.labs import CourseError

STUDENTS = 8
needs_bubblewrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="workers need bubblewrap")


def local_cluster(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=":0"
    )


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster with two workers."""
    with local_cluster(2) as local:
        yield local.scheduler_address


@pytest.fixture
def course(tiny: dict, tmp_path: Path) -> dict:
    """A class whose answers take a moment, each right, and the command that grades it."""
    root = tiny_course(tmp_path / "course")
    for number in range(STUDENTS):
        notebook = copy.deepcopy(tiny["right"])
        cell_of(notebook, "double").source += f"\nimport time\ntime.sleep(0.5)  # student {number}"
        hand_in(tmp_path / "handed in" / f"student{number}.ipynb", notebook)
    command = ["grade", "lab77", str(tmp_path / "handed in"), "--course", str(root), "--partial"]
    return {"root": root, "command": command, "out": root / "graded"}


def points(out: Path) -> dict[str, str]:
    with (out / "lab77.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row["points"] for row in csv.DictReader(file)}


def kill_a_busy_worker(address: str) -> None:
    """SIGKILL, as the system does where memory ends."""
    with Client(address, set_as_default=False) as client:
        deadline = time.monotonic() + 60
        while not (busy := [worker for worker, tasks in client.processing().items() if tasks]):
            assert time.monotonic() < deadline, "nobody works"
            time.sleep(0.02)
        busy = busy[0]
        os.kill(client.run(os.getpid, workers=[busy])[busy], signal.SIGKILL)


@contextlib.contextmanager
def another_worker(address: str, **environment: str) -> Iterator[None]:
    """A worker in a process with another environment."""
    command = [sys.executable, "-m", "dask", "worker", address, "--no-nanny", "--nthreads", "1"]
    process = subprocess.Popen(
        [*command, "--no-dashboard", "--host", "127.0.0.1"], cwd=ROOT, env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(len(client.scheduler_info(n_workers=-1)["workers"]) + 1, timeout=60)
        yield
    finally:
        process.kill()
        process.wait()


# --- the whole way


@pytest.mark.slow
@needs_bubblewrap
def test_a_worker_that_is_killed_loses_nothing_and_nobody_is_graded_twice(course, scheduler, capsys):
    command = [sys.executable, "-u", "-m", "grading", *course["command"], "--scheduler", scheduler]
    lines, killed = [], False
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as run:
        for line in run.stdout:
            lines.append(line)
            if line.startswith(f"1/{STUDENTS}"):
                kill_a_busy_worker(scheduler)
                killed = True
    assert run.returncode == 0, lines
    assert killed
    everybody = {f"student{number}" for number in range(STUDENTS)}
    assert points(course["out"]) == dict.fromkeys(everybody, "8.0")
    done = [json.loads(line) for line in (course["out"] / "lab77.done.jsonl").read_text().splitlines()]
    assert Counter(student for student, *_ in done) == Counter(everybody), "marked once each"
    with Gradebook(f"sqlite:///{course['out'] / 'gradebook.db'}") as gradebook:
        assert {one.student_id for one in gradebook.assignment_submissions("lab77_tiny")} == everybody
    # Graded is graded, on whatever machine: here nobody runs again.
    assert main(course["command"]) == 0
    assert capsys.readouterr().out.count("(graded before)") == STUDENTS


@pytest.mark.slow
@needs_bubblewrap
def test_workers_that_cannot_grade_are_named_and_the_others_do_it(course, scheduler, capfd, tmp_path):
    (tmp_path / "other" / "torch-0.1.dist-info").mkdir(parents=True)
    (tmp_path / "other" / "torch-0.1.dist-info" / "METADATA").write_text("Name: torch\nVersion: 0.1\n")
    paths = os.pathsep.join([str(tmp_path / "other"), os.environ.get("PYTHONPATH", "")])
    for number in range(2, STUDENTS):
        (tmp_path / "handed in" / f"student{number}.ipynb").unlink()
    path = tmp_path / "handed in" / "student1.ipynb"  # half of what is checked of this exercise is right
    path.write_text(path.read_text().replace("return 2 * x", "return abs(2 * x)"))
    with another_worker(scheduler, PATH=str(tmp_path)), another_worker(scheduler, PYTHONPATH=paths):
        assert main([*course["command"], "--scheduler", scheduler]) == 0
    assert points(course["out"]) == {"student0": "8.0", "student1": "6.5"}
    said = [line for line in capfd.readouterr().out.splitlines() if line.startswith("Not used: the worker")]
    assert len(said) == 2
    assert any("bubblewrap is missing" in line for line in said)
    assert any("set up in another way: torch 0.1 (here " in line for line in said)


@pytest.mark.slow
def test_a_cluster_without_a_fit_worker_grades_nobody(course, tmp_path, capfd):
    with local_cluster(0) as local, another_worker(local.scheduler_address, PATH=str(tmp_path)):
        assert main([*course["command"], "--scheduler", local.scheduler_address]) == 2
    said = capfd.readouterr()
    assert "bubblewrap is missing" in said.out
    assert "none of its workers can be used" in said.err
    assert "dask worker tcp://127.0.0.1" in said.err
    assert not (course["out"] / "lab77.csv").exists()


def test_an_address_at_which_nobody_answers_is_a_sentence(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(CourseError, match="no Dask scheduler answers at"):
            cluster.Cluster(address)


def test_without_dask_a_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CourseError, match=r"course\.py dask --version` installs it"):
        cluster.Cluster("tcp://127.0.0.1:9")


# --- its parts


def test_the_environment_tells_versions_and_the_text_of_the_code(tmp_path, monkeypatch):
    here = cluster.environment()
    assert here["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert "+" not in here["torch"]
    assert cluster.differences(here, dict(here)) == ""
    there = {**here, "python": "3.9", "torch": "missing"}
    assert cluster.differences(here, there) == (
        f"python 3.9 (here {here['python']}), torch missing (here {here['torch']})"
    )
    for name in ("pyproject.toml", "backbones", "grading"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    monkeypatch.setattr(cluster, "COURSE", tmp_path)
    cluster.environment.cache_clear()
    assert cluster.environment() == here
    with (tmp_path / "grading" / "kinds.py").open("a") as file:
        file.write("# mended\n")
    cluster.environment.cache_clear()
    assert "the course's code" in cluster.differences(here, cluster.environment())
    cluster.environment.cache_clear()


class Fake:
    """In place of a Runner: runs nothing, and says of each cell what it has for an error."""

    def __init__(self, sandboxed: bool, limits: Limits) -> None:
        self.limits, self.runs, self.state = limits, 0, "warm"

    def run(self, cells: list[dict]) -> list[dict]:
        self.runs += 1
        return [{"printed": "", "error": cell["error"], "seconds": 30.0} for cell in cells]

    def allow(self, cell_seconds: float, notebook_seconds: float) -> None:
        self.limits = Limits(cell_seconds, notebook_seconds)

    def rest(self) -> None:
        self.state = "resting"

    def close(self) -> None:
        self.state = "closed"


WRONG = ["AssertionError", "expected 4", ""]
TRIALS = [
    {"cells": [{"error": None}, {"error": None}], "points": {1: "test_double"}, "right": True},
    {"cells": [{"error": None}, {"error": WRONG}], "points": {1: "test_double"}, "right": False},
]


def test_a_worker_is_tried_once_and_a_slow_one_gets_more_time(monkeypatch):
    monkeypatch.setattr(cluster, "Runner", Fake)
    monkeypatch.setattr(cluster, "STATIONS", {})
    station = cluster.Station(True, Limits())
    tried = station.check(TRIALS)
    assert (station.runner.limits.cell_seconds, station.runner.limits.notebook_seconds) == (300, 300)
    assert [[cell["error"] for cell in outcomes] for outcomes in tried.outcomes] == [
        [None, None],
        [None, WRONG],
    ]
    assert (
        station.check([{"cells": [], "points": {0: "would fail"}, "right": True}]) is tried
    )  # it passed before
    assert station.run([{"error": None}])[0]["error"] is None
    assert station.runner.runs == len(TRIALS) + 1
    with station.in_use():
        station.cool()
        assert station.runner.state == "warm", "somebody uses it"
    station.cool()
    assert station.runner.state == "resting"
    station.timer.cancel()
    terms = (cluster.environment(), True, {}, TRIALS)
    assert cluster.may_grade("key", *terms) == {"outcomes": tried.outcomes}
    wrong = [{**TRIALS[0], "cells": TRIALS[1]["cells"]}]
    said = cluster.may_grade("other", cluster.environment(), True, {}, wrong)
    assert "loses the points of test_double there (AssertionError: expected 4)" in said["trouble"]
    assert set(cluster.STATIONS) == {"key"}
    cluster.STATIONS["key"].timer.cancel()


def test_a_notebook_that_ends_each_process_stops_neither_worker_nor_run(monkeypatch):
    def run(cells: list[dict]) -> list[dict]:
        raise RuntimeError("ended 3 times")

    monkeypatch.setattr(cluster, "STATIONS", {"key": SimpleNamespace(run=run)})
    assert cluster.work("key", []) == {"lost": "ended 3 times"}


def test_tests_that_anybody_passes_are_a_sentence():
    fake = Fake(True, Limits())
    assert try_out(fake.run, TRIALS)[:2] == (300, 300)
    with pytest.raises(
        CourseError, match="the lab without answers gets the points of test_double on this machine"
    ):
        try_out(fake.run, [{**TRIALS[0], "right": False}])
    slow = [{"error": None}, {"error": ["TimeoutError", "late", ""]}]
    with pytest.raises(CourseError, match=r"points of test_double here \(TimeoutError: late\).* Is it busy"):
        try_out(fake.run, [{**TRIALS[0], "cells": slow}], "here")
    with pytest.raises(CourseError, match="cannot be run on this machine: no memory"):
        try_out(lambda _: (_ for _ in ()).throw(RuntimeError("no memory")), TRIALS)
