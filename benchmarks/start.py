"""How long a learner waits for a notebook's first cell to import: `python course.py bench start`

The import statements of each lesson's and each lab's first cell run in a fresh process that has loaded what
a notebook's kernel has; beside them, as a yardstick, `import torch, torchvision`, which no lesson can do
without. All take turns, in another drawn order each round, so that what else the machine does meets all of
them. The first round only writes bytecode and warms the file cache. Writes benchmarks/start.md.

Wall seconds are what a learner waits. CPU-seconds (user and system, of that process) hardly change when the
machine has other work, so the verdict is theirs: the smallest over the rounds against the yardstick's.
"""

import argparse
import ast
import datetime
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat

from authoring import notebooks

from .lessons import machine

RESULTS = Path(__file__).with_suffix(".md")
YARDSTICK = "import torch, torchvision"
LIMIT = 1.25  # times the yardstick
COMMAND = "python course.py bench start"

# A process that has loaded what a kernel has runs the statements of its argument and prints two numbers.
KERNEL = """
import ipykernel.kernelapp, json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


class Seconds(NamedTuple):
    """What some import statements take, once or as the smallest of several times."""

    wall: float
    cpu: float


def first_imports(path: Path) -> str:
    """The import statements at the top level of a notebook's first code cell, one a line."""
    cells = nbformat.read(path, as_version=4).cells
    first = next(cell.source for cell in cells if cell.cell_type == "code")
    imports = [node for node in ast.parse(first).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, imports))


def measure(statements: str) -> Seconds:
    """Run import statements in a fresh process. Raises: subprocess.CalledProcessError."""
    # Without bytecode on disk every process would compile all modules anew, five times as long.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", KERNEL, statements]
    done = subprocess.run(command, cwd=notebooks.ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    return Seconds(*json.loads(done.stdout.splitlines()[-1]))


def take_turns(programs: dict[str, str], rounds: int) -> dict[str, list[Seconds]]:
    """Measure each program once a round, in another order each round, after one round that does not count."""
    times: dict[str, list[Seconds]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name in random.sample(list(programs), len(programs)):
            seconds = measure(programs[name])
            if number:
                times[name].append(seconds)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return times


def table(times: dict[str, list[Seconds]]) -> str:
    """The results as Markdown; the first entry of `times` is the yardstick."""
    yardstick, *_ = times
    rounds = len(times[yardstick])
    lines = [
        "# How long the first cell's imports take",
        "",
        f"Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}.",
        f"Only import statements, in a fresh process each, {rounds} rounds taking turns, bytecode on disk.",
        "CPU-seconds change little with what else the machine does; ratio and verdict are of their minimum.",
        "",
        "| imports | CPU s, min | median | wall s, min | median | ratio | limit | within |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, runs in times.items():
        wall, cpu = zip(*runs, strict=True)
        figures = [min(cpu), statistics.median(cpu), min(wall), statistics.median(wall)]
        verdict = "yes" if within(times, name) else "**no**"
        columns = " | ".join(f"{seconds:.2f}" for seconds in figures)
        lines.append(f"| {name} | {columns} | {ratio(times, name):.2f} | {LIMIT} | {verdict} |")
    return "\n".join(lines) + "\n"


def ratio(times: dict[str, list[Seconds]], name: str) -> float:
    """CPU-seconds of one entry over those of the first, the yardstick; of each the smallest."""
    yardstick, *_ = times
    return min(run.cpu for run in times[name]) / min(run.cpu for run in times[yardstick])


def within(times: dict[str, list[Seconds]], name: str) -> bool:
    """Whether an entry keeps the limit, as the table prints its ratio."""
    return round(ratio(times, name), 2) <= LIMIT


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write it when all were measured; return 1 when one is over the limit."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure the first cells' imports.")
    notebooks.add_argument(parser)
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured; default: 7")
    options = parser.parse_args(arguments)
    programs = {f"`{YARDSTICK}`": YARDSTICK, "`import backbones`": "import backbones"}
    programs |= {path.stem: first_imports(path) for path in options.notebook or notebooks.every_notebook()}
    times = take_turns(programs, options.rounds)
    print(table(times), end="")
    if not options.notebook:
        RESULTS.write_text(table(times), encoding="utf-8")
        print(f"written: {notebooks.display_name(RESULTS)}", file=sys.stderr)
    return int(not all(within(times, name) for name in times))


if __name__ == "__main__":
    sys.exit(main())
