"""Hostile, broken and unusual submissions get exactly the points they deserve, and nothing else happens."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus import EXERCISES, Submission, corpus_lab
from corpus_honest import HONEST
from corpus_hostile import HOSTILE, LOUD

from grading.isolation import sandbox
from grading.isolation.notebook import cells_to_run
from grading.isolation.run import Runner
from grading.isolation.sandbox import Limits
from grading.labs import CourseError

CELL_SECONDS = 5
PLACES = ("/", "/tmp", "/dev", "/dev/shm", str(Path.home()), str(sandbox.COURSE))


class Host:
    """What a submission must not change: files, processes, and who is called over the network."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self.folder, self.runner, self.calls = folder, runner, 0
        (folder / "secret").write_text("the instructor's secret")
        self.others = set(descendants(os.getpid()))  # of tests before these
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while True:
            try:
                self.server.accept()[0].close()
            except OSError:
                return
            self.calls += 1

    def text(self, source: str) -> str:
        """A cell with this host's folder and port in it."""
        return source.replace("WATCHED", str(self.folder)).replace("PORT", str(self.server.getsockname()[1]))

    def points(self, submission: Submission) -> tuple[dict[str, float], list[dict]]:
        """The points of each exercise, and the outcomes of all cells."""
        lab = corpus_lab()
        notebook = submission.notebook()
        cells = cells_to_run(notebook, lab)
        for cell in cells:
            cell["source"] = self.text(cell["source"])
        outcomes = self.runner.run(cells)
        assert len(outcomes) == len(cells)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        by_id = {cell.id: outcome for cell, outcome in zip(code, outcomes, strict=True)}
        points = {
            name: 0 if by_id[f"test_{name}"]["error"] else points
            for name, (_, _, points) in EXERCISES.items()
        }
        return points, outcomes

    def check(self) -> None:
        """Nothing changed on this side."""
        assert [path.name for path in self.folder.iterdir()] == ["secret"]
        assert (self.folder / "secret").read_text() == "the instructor's secret"
        evil = [
            name for place in PLACES for name in os.listdir(place) if "evil" in name and "corpus_" in name
        ]
        assert not evil, evil
        assert self.calls == 0, "somebody called the instructor's port"
        assert (self.runner.starts, self.runner.ended()) == (1, False), "the tests' side ended"
        deadline = time.monotonic() + 10
        while len(left := descendants(self.runner.process.pid)) > self.usual and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(left) <= self.usual, f"processes that stayed: {left}"
        mine = set(descendants(os.getpid())) - {self.runner.process.pid} - set(left) - self.others
        assert not [one for one in mine if "learner.py" in command(one)], "a learner's side stayed"


def descendants(pid: int) -> list[int]:
    """The numbers of all processes under one, itself not counted."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        more = children.get(waiting.pop(), [])
        found += more
        waiting += more
    return found


def command(pid: int) -> str:
    """The command line of a process, empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    try:
        runner = Runner(limits=Limits(cell_seconds=CELL_SECONDS, notebook_seconds=90))
    except CourseError as error:
        if "bubblewrap" in str(error):
            pytest.skip(f"the corpus needs bubblewrap: {error}")
        raise
    with runner:
        runner.warm()  # then it has the processes that it keeps
        made = Host(tmp_path_factory.mktemp("watched"), runner)
        made.usual = len(descendants(runner.process.pid))
        yield made
        made.server.close()


@pytest.mark.parametrize("submission", HONEST, ids=lambda one: one.name)
def test_a_right_answer_keeps_all_points(host: Host, submission: Submission) -> None:
    points, outcomes = host.points(submission)
    assert points == submission.points(), [outcome["error"] for outcome in outcomes if outcome["error"]]


@pytest.mark.parametrize("submission", HOSTILE, ids=lambda one: one.name)
def test_a_trick_gets_what_it_deserves(host: Host, submission: Submission) -> None:
    points, outcomes = host.points(submission)
    said = [(outcome["printed"][-3000:], outcome["error"]) for outcome in outcomes]
    assert points == submission.points(), said
    printed = "".join(outcome["printed"] for outcome in outcomes)
    assert not [word for word in LOUD if word in printed], printed
    assert len(printed) < 500_000
    host.check()
    points, outcomes = host.points(Submission("honest"))
    assert points == Submission("honest").points(), "the next one pays for it"


def test_the_corpus_is_large_enough() -> None:
    assert len(HOSTILE) >= 40
    assert len(HONEST) >= 20
    names = [one.name for one in [*HOSTILE, *HONEST]]
    assert len(names) == len(set(names))
