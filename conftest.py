"""Rules for every pytest run in this folder: no network, and no notebooks but lessons and solutions."""

import os
import signal

import pytest

from authoring import offline
from authoring.offline import sitecustomize  # noqa: F401  importing it cuts this process off

# ... and this cuts off what is started from here: pytest's workers, kernels, servers.
os.environ.update(offline.environment())
os.environ["BACKBONES_PROGRESS"] = "off"  # what tests pass is nothing that the person here has learned

# A shell that starts the tests in the background (`make test &` in a script) has them ignore Ctrl-C, and what is
# ignored stays so in every process that they start: no test could stop one. A handler is not handed down.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda *_: None)

# `--nbval` would take any notebook. Labs are generated and stop at their first stub on purpose.
collect_ignore_glob = ["labs/*", "graded/*", "tests/*.ipynb"]

# Where the long files are; those of LAST take seconds each. All others come in between.
FIRST = ("notebooks", "solutions", "tests/labs", "tests/browser", "tests/grading")
LAST = "tests/backbones"


def turn(nodeid: str) -> int:
    """When a test runs, by its folder: the smallest number first."""
    if nodeid.startswith(f"{LAST}/"):
        return len(FIRST) + 1
    return next((number for number, name in enumerate(FIRST) if nodeid.startswith(f"{name}/")), len(FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first and short ones last, so that both workers finish together.

    A worker takes a whole file at a time. By the alphabet the labs' two files, the longest, were the last.
    """
    items.sort(key=lambda item: turn(item.nodeid))
