"""Grading on macOS and Windows, which have no bubblewrap: in a Linux container, by Docker or Podman.

    python -m grading grade lab01 submissions.zip --print-container-command

prints two commands: one makes the container's image, once and with a network; the other grades, without one.
Nothing here starts them, and the tests compare their text only: they have not been run by this course's tests.

The container sees the course and the submissions read-only, and may write into the folder of results and into
memory. In there grading is what it is on Linux: bubblewrap around each side of every submission.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from grading.labs import CourseError

IMAGE = "backbones-grading"
RECIPE = Path("grading", "isolation", "Containerfile")  # in the course's folder
ENGINES = ("docker", "podman")  # the first one that is there, else the first


def engine() -> str:
    """The program that runs containers here."""
    return next((name for name in ENGINES if shutil.which(name)), ENGINES[0])


def mount(source: Path, target: str, writable: bool = False) -> list[str]:
    """Arguments that show a file or folder to the container.

    Raises:
        CourseError: for a path that cannot be said in them.
    """
    if set(',"\n') & set(str(source)):  # the argument is a line of CSV
        raise CourseError(f'a container cannot be shown {source}: choose a path without , and "')
    access = "" if writable else ",readonly"
    return ["--mount", f"type=bind,source={source},target={target}{access}"]


def image_command(root: Path, program: str | None = None) -> list[str]:
    """The command that makes the image; needs a network, and takes minutes.

    Args:
        root: the course's folder.
        program: docker or podman; by itself the one that is installed.
    """
    return [program or engine(), "build", "--tag", IMAGE, "--file", str(root / RECIPE), str(root)]


def container_command(
    root: Path,
    lab: str,
    source: Path,
    out: Path,
    options: Sequence[str] = (),
    exports: Sequence[tuple[str, Path]] = (),
    program: str | None = None,
) -> list[str]:
    """The command that grades in a container.

    Args:
        root: the course's folder; read-only in there.
        lab: which lab.
        source: the zip or folder of submissions; read-only in there.
        out: where results go: the one place that is written to. It has to be there.
        options: further ones of `python -m grading grade`, without paths.
        exports: the system and its file, as for `--export`.
        program: docker or podman; by itself the one that is installed.

    Raises:
        CourseError: for a path that cannot be shown to a container.
    """
    program = program or engine()
    inside = "/submissions.zip" if source.is_file() else "/submissions"
    command = [
        program,
        "run",
        "--rm",
        "--network",
        "none",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/home",
    ]
    # bubblewrap makes namespaces, which the usual list of system calls forbids; it then forbids more than that list.
    command += ["--security-opt", "seccomp=unconfined"]
    if program == "podman":
        command += ["--security-opt", "label=disable"]  # else SELinux hides the folders that are shown
    command += ["--env", "HOME=/home", "--env", "PYTHONDONTWRITEBYTECODE=1", "--workdir", "/course"]
    command += mount(root, "/course") + mount(source, inside) + mount(out, "/graded", writable=True)
    asked = [*options]
    for number, (system, file) in enumerate(exports):
        shown = f"/exports/{number}/{file.name}"
        command += mount(file, shown)
        asked += ["--export", system, shown]
    return [*command, IMAGE, "python", "-m", "grading", "grade", lab, inside, "--out", "/graded", *asked]


def as_typed(command: list[str]) -> str:
    """A command as a person types it in this system's terminal."""
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)
