"""Lesson 00 as Binder runs it: the packages of environment.yml, one CPU, 2 GB.

    python course.py bench binder [LESSON ...]       default: 00

An environment is made of environment.yml, its conda names replaced by those that the same packages have on PyPI, in a
copy of what git tracks; postBuild runs there; then nbval executes the lesson, beside a JupyterLab, on one CPU and in
a control group that the kernel ends when it takes more than 2 GB. Needs uv, root on Linux, and a network. Writes
benchmarks/binder.md.
"""

import argparse
import contextlib
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from authoring import notebooks, pack
from authoring.notebooks import ROOT, display_name

from .lessons import machine

RESULTS = Path(__file__).with_suffix(".md")
COMMAND = "python course.py bench binder"
TWINS = {"pytorch": "torch"}  # conda's name -> PyPI's
NOT_TO_INSTALL = {"python", "pip"}
GIGABYTES = 2
CGROUPS = Path("/sys/fs/cgroup")


class BinderError(RuntimeError):
    """The lesson cannot be run as on Binder; the message says why."""


def requirements(environment: str) -> list[str]:
    """What pip would have to install in conda's place.

    Args:
        environment: the text of environment.yml.
    Returns:
        Requirements by PyPI's names, then the lines of the pip part.
    """
    found, pip = [], []
    for line in yaml.safe_load(environment)["dependencies"]:
        if isinstance(line, dict):
            pip = line["pip"]
            continue
        name, version = re.fullmatch(r"([\w-]+) ?([<>=][^ ]*)?(?: \S+)?", line).groups()
        if name not in NOT_TO_INSTALL:
            found.append(TWINS.get(name, name) + (version or ""))
    return [*found, *(part for line in pip for part in line.split(" ", 1))]


def control_group() -> tuple[Path, str, str]:
    """An empty control group's folder, and its files for the limit and for the peak. Raises: BinderError."""
    for parent, limit, peak in (
        (CGROUPS / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),  # version 1
        (CGROUPS, "memory.max", "memory.peak"),
    ):
        folder = parent / f"backbones-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            if (folder / limit).exists():
                return folder, limit, peak
            folder.rmdir()
    raise BinderError("no control group for memory can be made here: it takes root on Linux")


@contextlib.contextmanager
def limited(gigabytes: float) -> Iterator[tuple[list[str], Path]]:
    """A control group with a limit. Gives: what to put before a command, and the file with the peak in bytes."""
    folder, limit, peak = control_group()
    try:
        (folder / limit).write_text(str(int(gigabytes * 1e9)))
        enter = 'echo $$ > "$0/cgroup.procs" && exec taskset --cpu-list 0 "$@"'
        yield ["bash", "-c", enter, str(folder)], folder / peak
    finally:
        for _ in range(100):  # until the kernel has noticed that everybody is gone
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)


def make_environment(folder: Path) -> Path:
    """The course and its environment, as Binder's image has them. Returns: the environment's folder of programs.

    Raises:
        subprocess.CalledProcessError: where a step fails; it has said why.
    """
    course = folder / "backbones"
    for path in pack.git(ROOT, "ls-files"):
        (course / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, course / path)
    programs = folder / "env" / "bin"
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--seed", programs.parent], check=True)
    wanted = requirements((course / "environment.yml").read_text(encoding="utf-8"))
    install = [uv, "pip", "install", "--quiet", "--python", programs / "python", *wanted]
    subprocess.run(install, cwd=course, check=True)
    subprocess.run(["./postBuild"], cwd=course, env=environment(programs), check=True)
    return programs


def environment(programs: Path) -> dict[str, str]:
    """What a process finds in Binder's image."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "OMP"))
    }
    path = os.pathsep.join([str(programs), kept.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "CPU_LIMIT": "1", "MEM_LIMIT": str(GIGABYTES * 10**9)}


def run(lesson: Path, course: Path, programs: Path) -> tuple[bool, float, float]:
    """Execute a lesson under the limits. Returns: whether it gives its outputs, seconds, peak in gigabytes."""
    variables = environment(programs)
    with limited(GIGABYTES) as (enter, peak):
        command = [*enter, str(programs / "jupyter-lab"), "--no-browser", "--allow-root", "--port=0"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        lab = subprocess.Popen(command, cwd=course, env=variables, **quiet)
        try:
            start = time.monotonic()
            compare = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
            compare += ["--nbval-cell-timeout=600", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
            # Without the repository's own settings, whose plugins Binder's environment has not.
            compare += ["-c", os.devnull, "--rootdir", ".", str(lesson)]
            done = subprocess.run([*enter, str(programs / "python"), *compare], cwd=course, env=variables)
            seconds = time.monotonic() - start
            gigabytes = int(peak.read_text()) / 1e9
        finally:
            lab.terminate()
            lab.wait()
    return done.returncode == 0, seconds, gigabytes


def main(arguments: list[str] | None = None) -> int:
    """Run lessons as on Binder and write the table; return 1 where one does not give its outputs."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Run lessons under Binder's limits.")
    notebooks.add_argument(parser)
    chosen = parser.parse_args(arguments).notebook or notebooks.lessons()[:1]
    lines = [
        "# Under Binder's limits",
        "",
        f"Measured {datetime.date.today():%Y-%m-%d} by `{COMMAND}` on {machine()}.",
        f"One CPU, {GIGABYTES} GB in a control group, with a JupyterLab beside; packages of environment.yml from PyPI.",
        "",
        "| lesson | gives its outputs | seconds | peak memory, GB |",
        "|---|---|---:|---:|",
    ]
    failed = False
    with tempfile.TemporaryDirectory(prefix="binder") as folder:
        programs = make_environment(Path(folder))
        for lesson in chosen:
            path = lesson.resolve().relative_to(ROOT)
            right, seconds, gigabytes = run(path, Path(folder) / "backbones", programs)
            failed |= not right
            lines.append(
                f"| {lesson.stem} | {'yes' if right else '**no**'} | {seconds:.0f} | {gigabytes:.2f} |"
            )
            print(lines[-1], flush=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"written: {display_name(RESULTS)}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BinderError as error:
        sys.exit(str(error))
