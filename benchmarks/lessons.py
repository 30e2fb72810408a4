"""How long each lesson takes and how much memory: `make bench`, or

    python -m benchmarks.lessons [NOTEBOOK ...]       default: every lesson

Each lesson runs top to bottom in a kernel of its own. Its seconds count from the kernel's start to its end,
as a learner waits for "Run All"; its CPU-seconds are those of the kernel and its child processes (0 on
Windows); its memory is the largest sum, seen every 0.3 s, of what these occupy (on Linux the proportional set
size, which counts shared pages once; elsewhere the resident set size). The package index has torch with CUDA's
libraries only, and pages of theirs are in memory even where there is no GPU; Binder installs torch without them,
so on Linux they are left out.

A machine is not equally fast every day, and other work on it is measured too. So right before each lesson a
yardstick is timed: a fresh Python that imports torch and torchvision and then convolves, always the same.
Seconds divided by it can be compared between days.

With no lesson named, the table in benchmarks/lessons.md is written anew.
"""

import argparse
import datetime
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil

from authoring import execute, notebooks

RESULTS = Path(__file__).with_name("lessons.md")
SECONDS, GIGABYTES = 90, 1.4  # so that a lesson works on Binder: one or two cores, 2 GB
MORE_GIGABYTES = {
    "09": 1.9,  # it holds MiniLM and what MiniLM has said of thousands of sentences
    "10": 2.0,  # it starts two more processes that train together
}
CUDA = re.compile(r"/nvidia/|/triton/|libtorch_cuda|libc10_cuda")
COMMAND = "python course.py bench"
YARDSTICK = """
import torch, torchvision

layer, maps = torch.nn.Conv2d(64, 64, 3), torch.ones(8, 64, 56, 56)
for _ in range(50):
    layer(maps).sum().backward()
"""


@dataclass
class Measurement:
    """One lesson, run once."""

    lesson: str
    seconds: float
    cpu_seconds: float
    gigabytes: float
    yardstick: float  # seconds, right before

    @property
    def within(self) -> bool:
        """Whether both budgets are kept."""
        allowed = MORE_GIGABYTES.get(self.lesson[:2], GIGABYTES)
        return self.seconds <= SECONDS and self.gigabytes <= allowed


class PeakMemory:
    """Watches a process and its children from a thread, until `stop` gives the peak."""

    def __init__(self, pid: int, interval: float = 0.3) -> None:
        self.process = psutil.Process(pid)
        self.peak = 0
        self.interval = interval
        self.left_out: dict[int, tuple[float, int]] = {}  # by pid: when last looked at, bytes of CUDA's files
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        """Look again and again, until stopped."""
        while not self.stopped.wait(self.interval):
            self.peak = max(self.peak, self.occupied())

    def occupied(self) -> int:
        """Bytes that the process and its descendants occupy now; those that have ended count nothing."""
        total = 0
        try:
            family = [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0
        for member in family:
            try:
                memory = member.memory_full_info()
                total += getattr(memory, "pss", memory.rss) - self.cuda(member)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return total

    def cuda(self, process: psutil.Process) -> int:
        """Bytes of CUDA's libraries; as the list of files is long, looked up every two seconds."""
        looked, size = self.left_out.get(process.pid, (-10.0, 0))
        if sys.platform == "linux" and time.monotonic() - looked > 2:
            size = sum(one.pss for one in process.memory_maps() if CUDA.search(one.path))
            self.left_out[process.pid] = time.monotonic(), size
        return size

    def stop(self) -> float:
        """The peak in gigabytes (10^9 bytes)."""
        self.stopped.set()
        self.thread.join()
        return self.peak / 1e9


def yardstick() -> float:
    """Seconds of what is the same every day: see the top of this file."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", YARDSTICK], check=True)
    return time.perf_counter() - begin


def cpu_seconds() -> float:
    """Of all child processes so far that have ended, and of theirs."""
    times = os.times()
    return times.children_user + times.children_system


def measure(path: Path) -> Measurement:
    """Run the yardstick and one lesson, whose file is not changed.

    Raises:
        authoring.execute.ExecutionFailed: where a cell fails.
    """
    reference = yardstick()
    watcher: list[PeakMemory] = []
    cpu, begin = cpu_seconds(), time.perf_counter()
    try:
        execute.run(
            nbformat.read(path, as_version=4),
            path.parent,
            on_start=lambda pid: watcher.append(PeakMemory(pid)),
        )
    finally:
        seconds = time.perf_counter() - begin
        gigabytes = watcher[0].stop() if watcher else 0.0
    return Measurement(path.stem, seconds, cpu_seconds() - cpu, gigabytes, reference)


def machine() -> str:
    """This machine in words, without its name."""
    memory = psutil.virtual_memory().total / 1e9
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}, torch {version('torch')}"
    )


def table(measurements: list[Measurement]) -> str:
    """The results as Markdown."""
    reference = statistics.median(m.yardstick for m in measurements)
    lines = [
        "# What the lessons cost",
        "",
        f"Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}.",
        "Each lesson ran once, from top to bottom, in a kernel of its own (benchmarks/lessons.py).",
        f"Budget: {SECONDS} s and {GIGABYTES} GB"
        + "".join(f", lesson {number} {more} GB" for number, more in MORE_GIGABYTES.items())
        + ".",
        f"Yardstick: imports and convolutions, always the same; it took {reference:.1f} s (median).",
        "",
        "| lesson | seconds | seconds / yardstick | CPU-seconds | peak memory, GB | within |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for m in measurements:
        figures = f"{m.seconds:.0f} | {m.seconds / m.yardstick:.1f} | {m.cpu_seconds:.0f} | {m.gigabytes:.2f}"
        lines.append(f"| {m.lesson} | {figures} | {'yes' if m.within else '**no**'} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure, say so, write the table; return 1 when a lesson failed or is over a budget."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure the lessons' seconds and memory.")
    notebooks.add_argument(parser)
    named = parser.parse_args(arguments).notebook
    measurements: list[Measurement] = []
    failed = False
    for path in named or notebooks.lessons():
        try:
            m = measure(path)
        except execute.ExecutionFailed as error:
            print(f"{path.stem}: could not be measured: {error}", file=sys.stderr)
            failed = True
            continue
        measurements.append(m)
        verdict = "" if m.within else "  OVER BUDGET"
        what = f"{m.seconds:.0f} s ({m.seconds / m.yardstick:.1f} yardsticks), {m.gigabytes:.2f} GB"
        print(f"{m.lesson}: {what}{verdict}", flush=True)
    if not named and not failed:
        RESULTS.write_text(table(measurements), encoding="utf-8")
        print(f"written: {notebooks.display_name(RESULTS)}")
    return int(failed or not all(m.within for m in measurements))


if __name__ == "__main__":
    sys.exit(main())
