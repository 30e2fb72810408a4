"""Starts a learner's side: a Python with nothing but its standard library, under bubblewrap."""

import socket
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

from grading.isolation.examiner import Examiner
from grading.isolation.wire import Wire

HERE = Path(__file__).resolve().parent


def python() -> str:
    """The Python that made this environment: its standard library without the environment's packages."""
    return getattr(sys, "_base_executable", None) or sys.executable


def start(variables: dict[str, Any], seconds: float, sandboxed: bool = True) -> Examiner:
    """A learner's side in a process of its own, and the tests' side of it.

    Args:
        variables: of the lab.
        seconds: that an answer may take without a word.
        sandboxed: under bubblewrap.
    """
    ours, theirs = socket.socketpair()
    command = [python(), "-I", "-S", "-B", "-X", "faulthandler", str(HERE / "learner.py"), str(theirs.fileno())]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    ours.settimeout(seconds)
    examiner = Examiner(Wire(ours), variables)
    examiner.process = process
    weakref.finalize(examiner, process.kill)
    return examiner
