"""The two processes of a grading and what they may do: bubblewrap around each, limits inside.

    nbgrader (the instructor's rights; runs nothing)
       |  cells, outputs
    tests' side   bubblewrap: no network, the system and the course's package read-only, no solutions, no
       |          gradebook, an empty home; runs the lab's own cells and the tests
    learner's side   bubblewrap: no network, Python's standard library read-only, no environment, an empty home;
                     no new process or thread; runs the learner's cells

Without bubblewrap nothing is graded, unless the instructor says `--no-sandbox`: then both are plain processes.
"""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from grading.labs import CourseError

HERE = Path(__file__).resolve().parent
COURSE = HERE.parents[1]
HIDDEN_FOLDERS = ("solutions", "labs", "graded", "tests", ".git", "benchmarks", "authoring")


@dataclass(frozen=True)
class Limits:
    """What one submission may use."""

    cell_seconds: float = 120
    notebook_seconds: float = 900
    learner_megabytes: int = 1000  # of the learner's side: it holds numbers of tensors, not tensors
    tests_megabytes: int = 6000  # of the tests' side, where the tensors are; what torch maps counts too
    output_characters: int = 100_000  # of one cell


def require() -> str:
    """The path of bubblewrap.

    Raises:
        CourseError: where it is missing or does not work; says what to do.
    """
    path = shutil.which("bwrap")
    if path is None:
        raise CourseError(
            "bubblewrap is missing, which keeps students' code away from your files. On Debian or Ubuntu: sudo apt "
            "install bubblewrap; Fedora: sudo dnf install bubblewrap. On macOS or Windows grade in a container "
            "(INSTRUCTORS.md says how). Or add --no-sandbox: then their code runs with all your rights"
        )
    try:
        tried = subprocess.run(
            [path, "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CourseError(f"bubblewrap ({path}) does not run here: {error}") from error
    if tried.returncode != 0:
        reason = tried.stderr.decode(errors="replace").strip() or f"status {tried.returncode}"
        raise CourseError(
            f"bubblewrap is here but may not make namespaces ({reason}). In a container start it with "
            "--security-opt seccomp=unconfined, on Ubuntu 24.04 allow user namespaces for bwrap; or add --no-sandbox"
        )
    return path


def base_python() -> str:
    """The Python that made this environment: its standard library without the environment's packages."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def system_folders() -> list[str]:
    """Arguments that show the system's libraries and the Python that runs, read-only."""
    arguments = []
    for folder in (
        "/usr",
        "/lib",
        "/lib64",
        "/lib32",
        "/bin",
        "/sbin",
        "/etc/ld.so.cache",
        "/etc/alternatives",
    ):
        if os.path.islink(folder):
            arguments += ["--symlink", os.readlink(folder), folder]
        elif os.path.exists(folder):
            arguments += ["--ro-bind", folder, folder]
    prefix = os.path.realpath(sys.base_prefix)
    if not prefix.startswith(("/usr/", "/lib")) and prefix != "/usr":
        arguments += ["--ro-bind", prefix, prefix]
    return arguments


def walls(bubblewrap: str) -> list[str]:
    """The start of a command: namespaces, an empty home, a temporary folder in memory, no environment."""
    return [
        *(bubblewrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"),
        *("--hostname", "grading", "--dev", "/dev", "--size", str(64 << 20), "--tmpfs", "/dev/shm"),
        *("--remount-ro", "/dev", "--size", str(64 << 20), "--tmpfs", "/tmp"),
        *("--size", str(64 << 20), "--tmpfs", "/home", "--setenv", "HOME", "/home"),
        *("--setenv", "PATH", "/usr/bin:/bin"),
        *("--setenv", "LANG", "C.UTF-8", "--chdir", "/home"),
    ]  # fmt: skip


def learner_command(bubblewrap: str | None, number: int, limits: Limits) -> list[str]:
    """The command of a learner's side that talks on file descriptor `number`."""
    script = str(HERE / "learner.py") if bubblewrap is None else "/side/learner.py"
    command = [
        *(base_python(), "-I", "-S", "-B", script, str(number), str(limits.learner_megabytes)),
        *(str(int(limits.notebook_seconds)), str(limits.output_characters)),
    ]
    if bubblewrap is None:
        return command
    shown = [
        part
        for name in ("learner.py", "wire.py", "kernel.py")
        for part in ("--ro-bind", str(HERE / name), f"/side/{name}")
    ]
    return [*walls(bubblewrap), *system_folders(), *shown, *CLOSED, *command]


def tests_command(bubblewrap: str | None, number: int, limits: Limits) -> list[str]:
    """The command of the tests' side, which waits for submissions on file descriptor `number`."""
    command = [
        *(sys.executable, "-B", "-W", "ignore", "-m", "grading.isolation.tests_side", str(number)),
        *(str(limits.tests_megabytes),),
    ]
    if bubblewrap is None:
        return command
    shown = ["--ro-bind", sys.prefix, sys.prefix]
    for name in (
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/sys/devices/system/cpu",
    ):  # torch asks what machine it is on
        shown += ["--ro-bind-try", name, name]
    for name in ("backbones", "grading", "notebooks", "pyproject.toml"):
        shown += ["--ro-bind", str(COURSE / name), str(COURSE / name)]
    environment = {
        "PYTHONPATH": str(COURSE),
        "MALLOC_PERTURB_": "165",  # what is freed is overwritten: torch.empty shows no tests
        **{name: os.environ[name] for name in KEPT if name in os.environ},
    }
    for name, value in environment.items():
        shown += ["--setenv", name, value]
    return [*walls(bubblewrap), *system_folders(), *shown, *CLOSED, *command]


CLOSED = ("--remount-ro", "/")  # it is a folder in memory, and files in it would have no limit
KEPT = ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def start(command_of, **popen) -> tuple[subprocess.Popen, socket.socket]:
    """Start a side; the process and this end of the socket to it.

    Args:
        command_of: from the number of its file descriptor to its command.
        popen: for subprocess.Popen.
    """
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            command_of(theirs.fileno()), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, **popen
        )
    finally:
        theirs.close()
    return process, ours
