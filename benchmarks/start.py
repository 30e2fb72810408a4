"""How long a learner waits for the first picture: `python course.py bench start`

Lesson 00 and an empty notebook, whose one cell imports what no lesson can do without, torch and torchvision, take
turns in a real browser. In each turn JupyterLab is started anew, the notebook is opened, and Shift+Enter is pressed
up to the first picture. *Cold* turns drop what the system keeps of files in memory, which only root on Linux may;
the warm ones follow. What is done once, at the installation, is not in it.

Then, in a fresh process each that has loaded what a notebook's kernel has, the import statements of every first
cell, with `import torch, torchvision` as a yardstick. Wall seconds are what a learner waits; CPU-seconds (user and
system, of that process) hardly change when the machine has other work, so there the verdict is theirs.

Writes benchmarks/start.md, in less than six minutes on two cores that have nothing else to do. Notebooks that are
named have only their imports measured, and nothing is written.
"""

import argparse
import ast
import datetime
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
from playwright.sync_api import Browser

from authoring import browser, notebooks

from .lessons import machine

RESULTS = Path(__file__).with_suffix(".md")
YARDSTICK = "import torch, torchvision"
LIMIT = 1.25  # times the yardstick, for imports
PICTURE_LIMIT = 1.3  # times the empty notebook, for the first picture
COMMAND = "python course.py bench start"
EMPTY, LESSON = "the empty notebook", "lesson 00"

# A process that has loaded what a kernel has runs the statements of its argument and prints what they took.
KERNEL = """
import ipykernel.kernelapp, json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[1])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu, "pytorch_lightning" in sys.modules]))
"""


# ---- The first picture ---------------------------------------------------------------------------


class Turn(NamedTuple):
    """From the start of JupyterLab to a notebook's first picture: seconds, each after the one before."""

    server: float  # until JupyterLab answers
    page: float  # until the notebook's cells stand in the browser
    kernel: float  # until it is connected
    first_cell: float  # from the first key until the first code cell, the imports, is done
    picture: float  # until the picture is drawn; 0 in the empty notebook, which has none

    @property
    def from_key(self) -> float:
        """Seconds from the first key."""
        return self.first_cell + self.picture

    @property
    def from_page(self) -> float:
        """Seconds from the notebook's address, on a JupyterLab that runs."""
        return self.page + self.kernel + self.from_key


def first_picture(path: Path) -> int:
    """The number, from 0, of the first cell that was saved with a picture. Raises: ValueError, without one."""
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            return number
    raise ValueError(f"{path.name} was saved without a picture")


def take_turn(chromium: Browser, folder: Path, path: str, last: int) -> Turn:
    """Start JupyterLab, open a notebook there, press Shift+Enter down to the cell with the number `last`."""
    begin = time.perf_counter()
    with browser.jupyterlab(folder) as address:
        server = time.perf_counter() - begin
        page = browser.new_page(chromium)
        notebook = browser.Notebook(page, address, path)
        first_cell, done = notebook.run_through(last)
        page.close()
    kernel = notebook.seconds_ready - notebook.seconds_shown
    return Turn(server, notebook.seconds_shown, kernel, first_cell, done - first_cell)


def drop_file_cache() -> bool:
    """Let the system forget what it keeps of files in memory; whether it did."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def first_pictures(lesson: Path, cold: int, warm: int) -> dict[str, dict[str, list[Turn]]]:
    """Both notebooks, one after the other in a drawn order, in so many rounds: "cold" or "warm" -> name -> turns."""
    turns: dict[str, dict[str, list[Turn]]] = {}
    with tempfile.TemporaryDirectory() as name, browser.chromium() as chromium:
        folder = Path(name)
        empty = browser.copy_course(folder) / "notebooks" / "empty.ipynb"
        kernel = nbformat.read(lesson, as_version=4).metadata.kernelspec  # without one JupyterLab asks which
        cell = nbformat.v4.new_code_cell(YARDSTICK)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), empty)
        plan = {EMPTY: (empty.name, 0), LESSON: (lesson.name, first_picture(lesson))}
        for number in range(cold + warm):
            state = "cold" if number < cold else "warm"
            if state == "cold" and not drop_file_cache():
                print("no cold turns: the file cache cannot be dropped here", file=sys.stderr)
                continue
            for who in random.sample(list(plan), len(plan)):
                if state == "cold":
                    drop_file_cache()
                turn = take_turn(chromium, folder, f"notebooks/{plan[who][0]}", plan[who][1])
                turns.setdefault(state, {}).setdefault(who, []).append(turn)
            print(f"{state} round {number + 1} of {cold + warm}", file=sys.stderr, flush=True)
    return turns


def picture_ratio(turns: dict[str, list[Turn]], since: str) -> float:
    """Lesson 00's seconds over the empty notebook's, medians of both; `since` is a property of Turn."""
    lesson, empty = (
        statistics.median(getattr(turn, since) for turn in turns[who]) for who in (LESSON, EMPTY)
    )
    return lesson / empty


def picture_table(turns: dict[str, dict[str, list[Turn]]]) -> str:
    """The medians as Markdown, and both ratios with their verdicts."""
    steps = {
        "JupyterLab starts": lambda turn: turn.server,
        "its page shows the notebook": lambda turn: turn.page,
        "the kernel is connected": lambda turn: turn.kernel,
        "first cell, the imports": lambda turn: turn.first_cell,
        "picture": lambda turn: turn.picture,
        "**all of it**": sum,
        "**from opening the page**": lambda turn: turn.from_page,
        "**from the first key**": lambda turn: turn.from_key,
    }
    columns = [(state, who) for state in turns for who in (EMPTY, LESSON)]
    lines = [
        "| seconds | " + " | ".join(f"{who}, {state}" for state, who in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for step, seconds in steps.items():
        medians = [statistics.median(map(seconds, turns[state][who])) for state, who in columns]
        lines.append(f"| {step} | " + " | ".join(f"{median:.1f}" for median in medians) + " |")
    lines.append("")
    for state in turns:
        for since, words in (("from_key", "from the first key"), ("from_page", "from opening the page")):
            ratio = picture_ratio(turns[state], since)
            verdict = "yes" if round(ratio, 2) <= PICTURE_LIMIT else "**no**"
            lines.append(
                f"- {LESSON} over {EMPTY}, {state}, {words}: {ratio:.2f} (limit {PICTURE_LIMIT}): {verdict}"
            )
    return "\n".join(lines) + "\n"


def in_time(turns: dict[str, dict[str, list[Turn]]]) -> bool:
    """Whether the warm first picture keeps its limit, as the table prints it, from the first key and the page."""
    ratios = [picture_ratio(turns["warm"], since) for since in ("from_key", "from_page")]
    return all(round(ratio, 2) <= PICTURE_LIMIT for ratio in ratios)


def words(markdown: str) -> int:
    """How many words a reader sees: addresses of links and alternative texts of pictures are none."""
    seen = re.sub(r"!\[[^]]*\]\([^)]*\)", " ", markdown)
    seen = re.sub(r"\]\([^)]*\)", "] ", seen)
    return len(re.findall(r"[^\W_]+(?:['’.\-][^\W_]+)*", seen))


def asked_of_a_learner(readme: str, lesson: Path) -> str:
    """What README and lesson want before the first picture, as Markdown. Raises: ValueError, without commands."""
    found = re.search(r"^## For learners\n(.*?)^```\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError("README.md has no commands under the heading For learners")
    before, commands = found.groups()
    last = first_picture(lesson)
    cells = nbformat.read(lesson, as_version=4).cells[:last]
    read = sum(words(cell.source) for cell in cells if cell.cell_type == "markdown")
    return (
        f"A learner reads {words(before)} words of README.md, types {len(commands.splitlines())} commands, reads "
        f"{read} words of the lesson,\nand presses Shift+Enter {last + 1} times. Clicks: none, where the browser opens "
        "by itself.\n"
    )


# ---- The imports ---------------------------------------------------------------------------------


class Seconds(NamedTuple):
    """What some import statements take, once or as the smallest of several times."""

    wall: float
    cpu: float
    lightning: bool = False  # whether they load Lightning


def first_imports(path: Path) -> str:
    """The import statements at the top level of a notebook's first code cells, as far as these hold any, one a line."""
    result: list[str] = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        imports = [
            node for node in ast.parse(cell.source).body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        if not imports:
            break
        result += map(ast.unparse, imports)
    return "\n".join(result)


def measure(statements: str) -> Seconds:
    """Run import statements in a fresh process. Raises: subprocess.CalledProcessError."""
    command = [sys.executable, "-c", KERNEL, statements]
    done = subprocess.run(command, cwd=notebooks.ROOT, stdout=subprocess.PIPE, check=True)
    return Seconds(*json.loads(done.stdout.splitlines()[-1]))


def take_turns(programs: dict[str, str], rounds: int) -> dict[str, list[Seconds]]:
    """Measure each program once a round, in another order each round.

    The first entry, the yardstick, runs before that as well: the first time writes bytecode and counts nothing.
    """
    measure(next(iter(programs.values())))
    times: dict[str, list[Seconds]] = {name: [] for name in programs}
    for number in range(rounds):
        for name in random.sample(list(programs), len(programs)):
            times[name].append(measure(programs[name]))
        print(f"imports, round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return times


def table(times: dict[str, list[Seconds]]) -> str:
    """The imports as Markdown; the first entry of `times` is the yardstick."""
    lines = [
        "| imports | CPU s | wall s | ratio | limit | within | loads Lightning |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for name, runs in times.items():
        figures = f"{min(run.cpu for run in runs):.2f} | {min(run.wall for run in runs):.2f}"
        verdict = "yes" if within(times, name) else "**no**"
        lightning = "yes" if runs[0].lightning else ""
        lines.append(f"| {name} | {figures} | {ratio(times, name):.2f} | {LIMIT} | {verdict} | {lightning} |")
    return "\n".join(lines) + "\n"


def ratio(times: dict[str, list[Seconds]], name: str) -> float:
    """CPU-seconds of one entry over those of the first, the yardstick; of each the smallest."""
    yardstick, *_ = times
    return min(run.cpu for run in times[name]) / min(run.cpu for run in times[yardstick])


def within(times: dict[str, list[Seconds]], name: str) -> bool:
    """Whether an entry keeps the limit, as the table prints its ratio."""
    return round(ratio(times, name), 2) <= LIMIT


# ---- The report ----------------------------------------------------------------------------------


def report(asked: str, turns: dict[str, dict[str, list[Turn]]], times: dict[str, list[Seconds]]) -> str:
    """The file benchmarks/start.md."""
    counts = ", ".join(f"{len(turns[state][EMPTY])} {state}" for state in turns)
    rounds = len(next(iter(times.values())))
    note = "" if "cold" in turns else " None is cold: the file cache could not be dropped there."
    return "\n".join(
        [
            "# How long a learner waits for the first picture",
            "",
            f"Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}.",
            "",
            asked,
            f"Seconds in a browser, medians of {counts} turns, each with a JupyterLab of its own.{note}",
            f"The empty notebook has one cell, `{YARDSTICK}`.",
            "",
            picture_table(turns),
            "## The first cells' imports",
            "",
            f"Only import statements, in a fresh process each, bytecode on disk, the smallest of {rounds} rounds.",
            "CPU-seconds change little with what else the machine does; ratio and verdict are theirs.",
            "",
            table(times),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write the report when all was measured; return 1 when something is over its limit."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure the wait for the first picture.")
    notebooks.add_argument(parser)
    parser.add_argument("--cold", type=int, default=2, help="rounds without files in memory; default: 2")
    parser.add_argument("--warm", type=int, default=3, help="rounds with them; default: 3")
    parser.add_argument("--rounds", type=int, default=2, help="how often imports are measured; default: 2")
    options = parser.parse_args(arguments)
    if min(options.warm, options.rounds) < 1:
        parser.error("--warm and --rounds: at least 1")
    # Without bytecode on disk every process would compile all modules anew, five times as long.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    programs = {f"`{YARDSTICK}`": YARDSTICK, "`import backbones`": "import backbones"}
    programs |= {path.stem: first_imports(path) for path in options.notebook or notebooks.every_notebook()}
    if options.notebook:
        times = take_turns(programs, options.rounds)
        print(table(times), end="")
        return int(not all(within(times, name) for name in times))
    if browser.CHROMIUM is None:
        sys.exit(
            "no Chromium here: install it (`apt install chromium`), or name notebooks to measure their imports"
        )
    lesson = notebooks.lessons()[0]
    asked = asked_of_a_learner((notebooks.ROOT / "README.md").read_text(encoding="utf-8"), lesson)
    turns = first_pictures(lesson, options.cold, options.warm)
    times = take_turns(programs, options.rounds)
    print(report(asked, turns, times), end="")
    RESULTS.write_text(report(asked, turns, times), encoding="utf-8")
    print(f"written: {notebooks.display_name(RESULTS)}", file=sys.stderr)
    return int(not (in_time(turns) and all(within(times, name) for name in times)))


if __name__ == "__main__":
    sys.exit(main())
