"""The tests' side as a process: a warm Python forks a child for each submission, which runs one notebook.

    python -m grading.isolation.tests_side FD MEGABYTES

The first message on the socket FD comes with a socket for each submission. On that one the child gets its cells,
asks for learner's sides (a file descriptor each), and gives the outcome of each cell as soon as it is known, so
that whatever happens afterwards, these points are safe.
"""

import builtins
import contextlib
import functools
import io
import json
import linecache
import mmap
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from grading.isolation.checks import statements
from grading.isolation.examiner import Examiner
from grading.isolation.kernel import NOBODY, SIGNALS, give_up
from grading.isolation.wire import Lost, Wire

WARM = ("torch", "torchvision", "numpy", "backbones", "backbones.tasks", "backbones.data", "backbones.plots",
        "backbones.explore", "grading.kinds", "matplotlib.pyplot", "ipywidgets", "torch.utils.flop_counter",
        )  # fmt: skip
GRACE = 3  # seconds for a cell to hear that its time is over
NOT_RUN = "(not run while grading: no check needs this cell)\n"
TRIES = 8  # learner's sides for one notebook: each exercise may end one


class OutOfTime(BaseException):
    """A cell or the notebook used up its time. No `except Exception` of a cell may swallow it."""


class Notebook:
    """One submission: its variables on this side, and a learner's side that is replaced when it is lost.

    Args:
        control: to the instructor's process.
        cells: each {"side": "tests", "learner" or "none", "source": text, "names": what an answer defines}.
        cell_seconds: for one cell.
        seconds: for all of them.
        failed: outcome of cells that must not run (again), by their place.
    """

    def __init__(
        self, control: socket.socket, cells: list[dict], cell_seconds: float, seconds: float,
        failed: dict[int, dict] | None = None,
    ) -> None:  # fmt: skip
        self.control, self.cells, self.failed = control, cells, failed or {}
        self.cell_seconds, self.end = cell_seconds, time.monotonic() + seconds
        self.variables: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.hidden: set[str] = set()  # variables that a test made: none of the learner's business
        self.before_test: dict[str, Any] = {}  # what a test changed of the others, as it was before
        self.testing = False
        self.done: list[tuple[str, list[str], str]] = []  # the learner's cells that ran: source, names, title
        self.examiner: Examiner | None = None
        self.tries = 0

    def run(self) -> Iterator[dict]:
        """The outcome of each cell: what it printed, and its error as [name, text, lines] or None."""
        for number, cell in enumerate(self.cells):
            title = f"<cell {number + 1}>"
            if time.monotonic() > self.end:
                yield outcome("", too_late("the notebook used up its time: this cell was not run"))
                continue
            if number in self.failed:
                yield self.failed[number]
                continue
            if cell["side"] == "none":
                yield outcome(NOT_RUN, None)
                continue
            run = self.run_learners if cell["side"] == "learner" else self.run_ours
            start = time.monotonic()
            yield run(cell, title) | {"seconds": time.monotonic() - start}

    def run_ours(self, cell: dict, title: str) -> dict:
        """Run a cell of the lab: what it gives, or a test."""
        source = cell["source"]
        linecache.cache[title] = len(source), None, source.splitlines(keepends=True), title
        before, self.testing = dict(self.variables), bool(cell.get("hidden"))
        if self.testing:
            shown = {name: value for name, value in before.items() if name not in self.hidden}
            self.before_test = shown | self.before_test
        printed, trouble, checks = io.StringIO(), None, []
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), self.clock():
                try:
                    if self.testing and cell.get("partial"):
                        self.run_checks(source, title, checks)
                    else:
                        exec(compile(source, title, "exec"), self.variables)
                except (Lost, OutOfTime):
                    raise
                except BaseException as error:  # its text may ask the learner's side, so the clock still runs
                    trouble = told(error, "" if self.testing else title)
        except BaseException as error:
            trouble = too_late(self.replace(error))
        changed = {name for name, value in self.variables.items() if before.get(name, before) is not value}
        if self.testing:
            self.hidden |= changed - set(self.before_test)
            self.before_test = {name: value for name, value in self.before_test.items()
                                if self.variables.get(name, self) is not value}  # fmt: skip
        else:
            self.now_shown(changed)
        self.testing = False
        self.tidy()
        return outcome(printed.getvalue(), trouble) | {"checks": checks}

    def run_checks(self, source: str, title: str, checks: list[list]) -> None:
        """Run a test cell for partial credit.

        Args:
            source: of the cell.
            title: of the cell.
            checks: gets [passed, reason] of each check.

        Raises:
            Exception: the first one of the cell, after all its checks.
        """
        before, missing, first = dict(self.variables), set(), None
        try:
            for one in statements(source, title):
                reason = ""
                try:
                    exec(one.code, self.variables)
                    missing -= one.sets
                except Exception as error:
                    # That a name is missing which a failed statement did not set is not what was wrong.
                    cause = first if first is not None and isinstance(error, NameError) else error
                    first = first or error
                    reason = ": ".join(filter(None, told(cause, "")[:2]))
                    missing |= one.sets
                    for name in one.sets:
                        self.variables.pop(name, None)
                if one.is_check:
                    checks.append([not reason, reason])
        finally:
            self.variables |= {name: before[name] for name in missing & before.keys()}
        if first is not None:
            raise first

    def shown(self, name: str) -> tuple[bool, Any]:
        """Whether the learner's side may see a variable, and what it is: nothing that a test made or changed."""
        if name in self.before_test:
            return True, self.before_test[name]
        if self.testing or name in self.hidden:
            return False, None
        return name in self.variables, self.variables.get(name)

    def now_shown(self, names: Iterable[str]) -> None:
        """The lab or an answer set these variables, whatever a test did with them before."""
        self.hidden -= set(names)
        for name in names:
            self.before_test.pop(name, None)

    def run_learners(self, cell: dict, title: str) -> dict:
        """Run a cell of the learner's, and take over the names that the exercise asks for."""
        try:
            with self.clock():
                printed, trouble, names = self.side().run(cell["source"], title)
                wanted = [name for name in names if name in cell["names"]]
                for name in wanted:
                    self.variables[name] = self.side().fetch(name)
                self.now_shown(wanted)
        except (Lost, OutOfTime) as error:
            return outcome("", too_late(self.replace(error)))
        except Exception as error:
            return outcome("", told(error, title))
        self.done.append((cell["source"], wanted, title))
        return outcome(printed, trouble and [part[:8000] for part in trouble])

    def side(self) -> Examiner:
        """The learner's side; a new one where the last was lost, in which the cells so far run again."""
        if self.examiner is None:
            if self.tries >= TRIES:
                raise Lost(
                    f"{TRIES} times something in this notebook hung or ended its process: no more tries"
                )
            self.tries += 1
            send(self.control, {"learner": True})
            _, numbers, _, _ = socket.recv_fds(self.control, 1, 1)
            self.examiner = Examiner(Wire(socket.socket(fileno=numbers[0])), self.variables)
            self.examiner.shown = self.shown
            for source, names, title in self.done:
                self.examiner.run(source, title)
                for name in names:
                    with contextlib.suppress(Exception):
                        self.variables[name] = self.examiner.fetch(name)
        return self.examiner

    def replace(self, error: BaseException) -> str:
        """End the learner's side; what happened, for the learner."""
        if self.examiner is not None:
            self.examiner.wire.connection.close()
            self.examiner = None
            with contextlib.suppress(Exception, Lost, OutOfTime), self.clock():
                self.side()
        if isinstance(error, OutOfTime):
            return f"this cell did not end within {self.cell_seconds:g} s: does a loop never end?"
        return f"the process of your code ended, or did not answer ({error}): exit(), too much memory, or a crash"

    @contextlib.contextmanager
    def clock(self) -> Iterator[None]:
        """Raise OutOfTime when the cell's or the notebook's time is over.

        One call of torch's may take hours and hears no signal before it ends. Then the processor's clock ends
        this process, and the instructor's goes on with the next cell in another one.
        """
        seconds = max(min(self.cell_seconds, self.end - time.monotonic()), 1)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds + GRACE)
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again each second, where the first was swallowed
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)

    def tidy(self) -> None:
        """Between cells: gradients on, the usual type, no figure left open."""
        import matplotlib.pyplot as plt
        import torch

        while torch._C._len_torch_function_stack():  # with torch.device(...) that was never left
            torch._C._pop_torch_function_stack()
        torch.set_autocast_enabled("cpu", False)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        plt.close("all")


def ring(*_: object) -> None:
    raise OutOfTime


def outcome(printed: str, trouble: list | None) -> dict:
    return {"printed": printed, "error": trouble}


def too_late(text: str) -> list:
    return ["TimeoutError", text, text]


def told(error: BaseException, title: str) -> list:
    """An error in words: name, text, the lines of the cell that led to it; of hidden tests no lines."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if title and frame.filename == title
    ]
    try:
        lines = traceback.format_list(frames) + traceback.format_exception_only(error)
        return [type(error).__name__, str(error)[:4000], "".join(lines)[-8000:]]
    except (Lost, OutOfTime):
        raise
    except BaseException:  # an error whose text is an error
        return [type(error).__name__, "", title]


def send(connection: socket.socket, message: dict) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def memory_used() -> int:
    """Bytes that RLIMIT_DATA counts for this process now, found by asking for a page under other limits.

    The limit on addresses (RLIMIT_AS) is no help: torch maps many gigabytes that it does not use. And the
    process has no /proc to read the figure from.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    low, high = 0, 1 << 37
    try:
        while high - low > 4_000_000:
            middle = (low + high) // 2
            try:
                resource.setrlimit(resource.RLIMIT_DATA, (middle, most))
                mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
                high = middle
            except (OSError, MemoryError):
                low = middle
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    return high


def serve(control: socket.socket, megabytes: int, used: int) -> None:
    """Run the notebook that comes over `control`.

    Args:
        control: to the instructor's process.
        megabytes: for the notebook, beside the `used` bytes of the warm process.
        used: see `memory_used`.
    """
    request = json.loads(control.makefile("rb").readline())
    with contextlib.suppress(ValueError, OSError):
        space = used + megabytes * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (space, space))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # /tmp is the next submission's, too: no files
        seconds = int(request["seconds"]) + 60  # also of a process that torch starts and leaves behind
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    give_up(NOBODY, SIGNALS, threads=True)
    notebook = Notebook(control, request["cells"], request["cell_seconds"], request["seconds"],
                        {int(place): result for place, result in request["failed"].items()})  # fmt: skip
    for result in notebook.run():
        result["printed"] = result["printed"][: request["characters"]]
        send(control, result)
    send(control, {"end": True})


def without_workers() -> None:
    """A DataLoader reads in this process, whatever it is told: a worker would share the socket."""
    from torch.utils.data import DataLoader

    real = DataLoader.__init__

    @functools.wraps(real)
    def init(self: Any, *args: Any, **options: Any) -> None:
        for name in ("num_workers", "persistent_workers", "prefetch_factor", "multiprocessing_context"):
            options.pop(name, None)
        real(self, *args, **options)

    DataLoader.__init__ = init


def main() -> None:
    """Get warm, then fork a child for each socket that comes."""
    here, megabytes = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    os.environ["BACKBONES_PROGRESS"] = "off"
    os.environ["MPLBACKEND"] = "agg"
    builtins.display = lambda *things, **options: None
    builtins.get_ipython = lambda: None
    for name in WARM:
        with contextlib.suppress(ImportError):
            __import__(name)
    import torch

    torch.set_num_threads(1)
    without_workers()
    torch.sparse.check_sparse_tensor_invariants.enable()  # an index past the end writes past the end
    used = memory_used() if sys.platform == "linux" else 0
    here.sendall(b"w")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        data, numbers, _, _ = socket.recv_fds(here, 1, 1)
        if not data:
            return
        if os.fork() == 0:
            here.close()
            status = 1
            try:
                serve(socket.socket(fileno=numbers[0]), megabytes, used)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(numbers[0])


if __name__ == "__main__":
    main()
