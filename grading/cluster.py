"""A class of a thousand: notebooks run on the workers of a Dask cluster, and are marked here as ever.

    python -m grading grade lab05 submissions.zip --scheduler tcp://host:8786

To the grader a `Cluster` is what a Runner is on one machine. What goes to a worker is the text of a notebook's cells,
what comes back is what they printed; a worker keeps nothing and writes nothing. So Dask may run the notebooks of a
worker that died on another one, as often as it likes: marks are given once, by the process that asked.

A worker builds its own Runner, and is asked before it gets anybody's notebook: is its environment ours, has it
bubblewrap, do the lab's solution and the empty lab get there what they should? Who fails is not used, with a sentence.
"""

import contextlib
import importlib.metadata
import json
import logging
import re
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from grading.canary import Trial, Tried, try_out
from grading.isolation.run import Runner
from grading.isolation.sandbox import COURSE, Limits
from grading.labs import CourseError

if TYPE_CHECKING:
    from distributed import Future

IDLE = 300  # seconds, after which a worker ends its warm process
PATIENCE = 60  # seconds to wait for a worker where there is none (any more)
CONNECT = 15  # seconds to wait for the scheduler
LOOK = 2  # seconds between two looks at who is there
ALIVE = ("running", "connecting")  # states of Dask's client
TRIES = 5  # of a notebook, where workers fail; beside Dask's own for workers that die
INSTALL = (
    "--scheduler needs Dask, which is not installed here: `python3 course.py dask --version` installs it, on the "
    "machines of the workers too"
)


# --- What runs on a worker


@cache
def environment() -> dict[str, str]:
    """What decides points beside the notebook: versions of Python and packages, and the text of the course's code."""
    project = tomllib.loads((COURSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    for line in project["dependencies"]:
        name = re.match(r"[\w.-]+", line)[0]
        try:
            found[name] = importlib.metadata.version(name).partition("+")[0]  # "2.10+cpu" is 2.10
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    code = sha256()
    for path in sorted(path for part in ("backbones", "grading") for path in (COURSE / part).rglob("*.py")):
        code.update(path.relative_to(COURSE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {**found, "the course's code": code.hexdigest()[:12]}


def differences(here: dict[str, str], there: dict[str, str]) -> str:
    """How a worker's environment differs, in words; "" where it does not."""
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    several = [f"{name} {there.get(name, 'missing')} (here {here.get(name, 'missing')})" for name in names]
    return ", ".join(several)


class Station:
    """On a worker: the warm tests' side, shared by its threads. It starts when asked and ends when idle.

    Args:
        sandboxed: see Runner.
        limits: see Runner.

    Raises:
        CourseError: see Runner.
    """

    def __init__(self, sandboxed: bool, limits: Limits) -> None:
        self.runner = Runner(sandboxed, limits)
        self.lock = threading.Lock()
        self.users = 0
        self.tried: Tried | None = None
        self.timer: threading.Timer | None = None

    def check(self, trials: list[Trial]) -> Tried:
        """Grade the lab's solution and the empty lab, once.

        Raises:
            CourseError: see canary.py and Runner.
        """
        if self.tried is None:
            self.tried = try_out(self.run, trials, "there")
            self.runner.allow(self.tried.cell_seconds, self.tried.notebook_seconds)
        return self.tried

    def run(self, cells: list[dict]) -> list[dict]:
        """See Runner.run."""
        with self.in_use():
            return self.runner.run(cells)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Until this is over, the tests' side does not rest."""
        with self.lock:
            if self.timer:
                self.timer.cancel()
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                if not self.users:
                    self.timer = threading.Timer(IDLE, self.cool)
                    self.timer.daemon = True
                    self.timer.start()

    def cool(self) -> None:
        """End the tests' side if nobody uses it."""
        with self.lock:
            if not self.users:
                self.runner.rest()


STATIONS: dict[str, Station] = {}  # on a worker, by what was agreed
OPENING = threading.Lock()


def may_grade(key: str, wanted: dict[str, str], sandboxed: bool, limits: dict, trials: list[Trial]) -> dict:
    """On a worker: is it fit to grade?

    Args:
        key: of what is agreed from now on.
        wanted: the environment that it must have.
        sandboxed: with bubblewrap.
        limits: of a notebook.
        trials: what it must get right.

    Returns:
        {"outcomes": of each trial}, or {"trouble": why it may not}.
    """
    if unlike := differences(wanted, environment()):
        return {
            "trouble": f"it is set up in another way: {unlike}. Install the same course there as here and start it "
            "anew"
        }
    with OPENING, contextlib.ExitStack() as failing:  # a worker that is asked twice at a time tries once
        try:
            if (station := STATIONS.get(key)) is None:
                station = Station(sandboxed, Limits(**limits))
                failing.callback(station.runner.close)
            tried = station.check(trials)
        except CourseError as error:
            return {"trouble": str(error)}
        STATIONS[key] = station
        failing.pop_all()
    return {"outcomes": tried.outcomes}


def work(key: str, cells: list[dict]) -> dict:
    """On a worker: run one notebook.

    Returns:
        {"outcomes": as Runner.run gives them}, {"lost": why it has none of this notebook}, or {"worker": its
        address, "trouble": why it runs nothing}.
    """
    from distributed import get_worker

    try:
        if key in STATIONS:
            return {"outcomes": STATIONS[key].run(cells)}
        trouble = "it is another process than the one that was asked"
    except RuntimeError as error:
        return {"lost": str(error)}
    except Exception as error:
        trouble = str(error)
    return {"worker": get_worker().address, "trouble": trouble}


# --- Here


class Cluster:
    """Runs notebooks on the workers of a Dask cluster; the grader takes it for a Runner.

    Args:
        address: of the scheduler, tcp://host:8786, or tls:// with the certificates of Dask's configuration.
        sandboxed: workers must have bubblewrap.
        limits: for each notebook.
        say: where sentences about workers go.

    Raises:
        CourseError: where Dask is not installed, or no scheduler answers.
    """

    def __init__(
        self, address: str, sandboxed: bool = True, limits: Limits | None = None,
        say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        try:
            from distributed import Client
        except ImportError as error:
            raise CourseError(INSTALL) from error
        self.address, self.say = address, say
        self.sandboxed, self.limits = sandboxed, limits or Limits()
        self.bubblewrap = "bubblewrap" if sandboxed else None
        self.description = f"{'bubblewrap' if sandboxed else 'no sandbox'} {self.limits}"  # as Runner's
        try:
            self.client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise CourseError(
                f"no Dask scheduler answers at {address} ({error}): start one with `python3 course.py dask scheduler`, "
                "which prints its address"
            ) from error
        self.agreement: tuple = ()
        self.good: set[str] = set()
        self.refused: set[str] = set()
        self.outcomes: list[list[dict]] | None = None  # of the trials, by the first who was fit
        self.idle = False  # nobody is being asked
        self.changed = threading.Condition()
        self.closing = threading.Event()

    # ... who works

    def check(self, trials: list[Trial]) -> list[list[dict]]:
        """Ask every worker, and from now on everyone who comes later; returns when one is fit.

        Args:
            trials: of the lab.

        Returns:
            What that one says of each trial, see Runner.run.

        Raises:
            CourseError: where no worker is fit.
        """
        terms = (environment(), self.sandboxed, asdict(self.limits), trials)
        self.agreement = (sha256(json.dumps(terms).encode()).hexdigest(), *terms)
        self.idle = False
        threading.Thread(target=self.keep_looking, daemon=True).start()
        self.workers()
        return self.outcomes

    def present(self) -> dict[str, int]:
        """Threads by worker, of all that the scheduler knows now."""
        found = self.client.scheduler_info(n_workers=-1)["workers"]
        return {address: one["nthreads"] for address, one in found.items()}

    def keep_looking(self) -> None:
        """Until the end: ask who is new, forget who is gone."""
        asked: dict[str, Future] = {}
        while not self.closing.is_set():
            self.look(asked)
            self.closing.wait(0.5 if asked else LOOK)

    def look(self, asked: "dict[str, Future]") -> None:
        """Look once who is there.

        Args:
            asked: workers that have not answered yet; is kept up to date.
        """
        try:
            present = self.present()
            for address in present.keys() - self.good - self.refused - asked.keys():
                asked[address] = self.client.submit(
                    may_grade, *self.agreement, workers=[address], pure=False, retries=0
                )
        except Exception:  # the connection: `run` sees it, too, and says so
            logging.getLogger(__name__).exception("no news from %s", self.address)
            return
        for address in [one for one, future in asked.items() if future.done() or one not in present]:
            self.judge(address, asked.pop(address))
        with self.changed:
            self.good &= present.keys()
            self.refused &= present.keys()
            self.idle = not asked
            self.changed.notify_all()

    def judge(self, address: str, answer: "Future") -> None:
        """Take a worker or refuse it."""
        if answer.status == "finished":
            said = answer.result()
        elif answer.status == "error":
            error = (
                f"it cannot run the course ({answer.exception()!r}): install the same course there as here"
            )
            said = {"trouble": error}
        else:  # it left
            answer.cancel()
            return
        trouble = said.get("trouble")
        with self.changed:
            (self.refused if trouble else self.good).add(address)
            self.outcomes = self.outcomes or said.get("outcomes")
        if trouble:
            self.say(f"Not used: the worker {address}: {trouble}")

    def workers(self) -> list[str]:
        """The addresses of all that are fit; waits for one.

        Raises:
            CourseError: where there is none, or no scheduler any more.
        """
        end = time.monotonic() + PATIENCE
        with self.changed:
            while not self.good:
                if self.client.status not in ALIVE:
                    raise CourseError(self.gone())
                if self.idle and (time.monotonic() > end or (self.refused and self.outcomes is None)):
                    why = "none of its workers can be used" if self.refused else "it has no workers"
                    raise CourseError(
                        f"the cluster at {self.address} cannot grade: {why}. Start one with `python3 course.py dask "
                        f"worker {self.address}` on each machine; then the same command goes on"
                    )
                self.changed.wait(LOOK)
            return sorted(self.good)

    def places(self) -> int:
        """How many notebooks run at a time."""
        present = self.present()
        return sum(present.get(address, 0) for address in self.workers())

    def gone(self) -> str:
        return (
            f"the scheduler at {self.address} does not answer any more. Whoever was graded stays graded; when it is "
            "back, the same command goes on"
        )

    # ... as a Runner

    def allow(self, cell_seconds: float, notebook_seconds: float) -> None:
        """Nothing: each worker knows by its own trial how slow it is."""

    def run(self, cells: list[dict]) -> list[dict]:
        """See Runner.run. May be called from several threads at a time.

        Raises:
            CourseError: where nobody can be graded any more.
            RuntimeError: where this notebook ended all processes that ran it.
        """
        from distributed import KilledWorker

        trouble = "they left while it ran"
        for _ in range(TRIES):
            workers = self.workers()
            future = self.client.submit(work, self.agreement[0], cells, workers=workers, pure=False)
            self.wait(future, workers)
            if future.status == "finished":
                answer = future.result()
                if "outcomes" in answer:
                    return answer["outcomes"]
                if "lost" in answer:
                    raise RuntimeError(answer["lost"])
                trouble = f"{answer['worker']}: {answer['trouble']}"
                with self.changed:
                    self.good.discard(answer["worker"])  # it is asked again
            elif future.status == "error":
                error = future.exception()
                if isinstance(error, KilledWorker):
                    raise RuntimeError(
                        "each of several workers ended while it ran this notebook; without --scheduler it runs on this "
                        "machine"
                    )
                trouble = repr(error)
            elif self.client.status not in ALIVE:
                raise CourseError(self.gone())
        raise CourseError(f"the workers at {self.address} cannot run a notebook ({trouble}): start them anew")

    def wait(self, future: "Future", workers: list[str]) -> None:
        """Until it is done, or none of the workers that may do it is there any more."""
        finished = threading.Event()
        future.add_done_callback(lambda _: finished.set())
        while not finished.wait(LOOK):
            with self.changed:
                if not self.good & set(workers):
                    future.cancel()
                    return
            if self.client.status not in ALIVE:
                return

    def close(self) -> None:
        """Leave the cluster; what is still running there is forgotten."""
        self.closing.set()
        with contextlib.suppress(Exception):
            self.client.close(timeout=5)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
