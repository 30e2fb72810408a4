"""Every lesson gives its committed outputs on four threads too. (On one, `make test` compares them.)"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from authoring.notebooks import ROOT, lessons

THREADS = "import torch; print(torch.get_num_threads())"


def with_threads(count: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python whose kernels compute with so many threads, whatever the machine has."""
    environment = os.environ | {"OMP_NUM_THREADS": str(count), "MKL_NUM_THREADS": str(count)}
    environment.pop("CPU_LIMIT", None)
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500
    )


@pytest.mark.slow
def test_the_threads_that_are_asked_for_are_used() -> None:
    """Never more than the machine has cores."""
    several = min(4, os.cpu_count() or 1)
    found = [with_threads(count, "-c", THREADS).stdout.strip() for count in (1, several)]
    assert found == ["1", str(several)]


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("lesson", lessons(), ids=lambda path: path.stem)
def test_the_outputs_are_the_same_on_four_threads(lesson: Path) -> None:
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "-p", "no:cacheprovider", "-q"]
    options += ["--nbval-sanitize-with", "tests/nbval_sanitize.cfg", str(lesson.relative_to(ROOT))]
    done = with_threads(4, "-m", "pytest", *options)
    assert done.returncode == 0, done.stdout[-6000:]
