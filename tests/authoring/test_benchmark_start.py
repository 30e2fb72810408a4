"""The benchmark of the first cells runs what a learner imports, and its table says what was measured."""

import subprocess

import pytest
import toys

from benchmarks import start
from benchmarks.start import Seconds

FIRST = """
import numpy as np, torch
from backbones.data import (
    Digits,
    Photos as P,
)
photos = P(image_size=256)
def late():
    import sklearn
"""


def test_only_import_statements_of_the_first_cell_count(tmp_path):
    path = toys.write(toys.code(FIRST, "import math"), tmp_path / "toy.ipynb")
    assert start.first_imports(path) == (
        "import numpy as np, torch\nfrom backbones.data import Digits, Photos as P"
    )


def test_imports_run_in_a_process_that_has_loaded_a_kernel():
    start.measure("import sys\nassert 'ipykernel.kernelapp' in sys.modules and 'torch' not in sys.modules")
    with pytest.raises(subprocess.CalledProcessError):
        start.measure("import no_such_module_anywhere")


def test_verdict_is_by_the_smallest_cpu_seconds():
    times = {
        "yardstick": [Seconds(9, 2.0), Seconds(3, 4.0)],
        "at the limit": [Seconds(30, 2.5), Seconds(31, 9.0)],
        "above": [Seconds(2, 2.6), Seconds(2, 2.7)],
    }
    text = start.table(times)
    assert "| at the limit | 2.50 | 5.75 | 30.00 | 30.50 | 1.25 | 1.25 | yes |" in text
    assert "| above | 2.60 | 2.65 | 2.00 | 2.00 | 1.30 | 1.25 | **no** |" in text
    assert "2 rounds" in text
