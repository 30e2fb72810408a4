"""The benchmark of the lessons measures what it says, on toys whose cost is known."""

from pathlib import Path

import toys

from benchmarks import lessons

HOLD_300_MB = """
import time
block = bytearray(300_000_000)
block[::4096] = bytes([1]) * len(block[::4096])  # memory counts once it is written to
time.sleep(2)
"""


def test_memory_of_the_kernel_and_its_children_is_counted(tmp_path: Path) -> None:
    small = toys.write(toys.code("import time\n\ntime.sleep(1)"), tmp_path / "small.ipynb")
    child = f"import subprocess, sys\n\nsubprocess.run([sys.executable, '-c', {HOLD_300_MB!r}], check=True)"
    large = toys.write(toys.code(HOLD_300_MB, "del block", child), tmp_path / "large.ipynb")
    before = large.read_bytes()
    base, measured = lessons.measure(small), lessons.measure(large)
    assert 0.02 < base.gigabytes < 0.25
    assert (
        0.29 < measured.gigabytes - base.gigabytes < 0.36
    )  # not 0.6: the two blocks are never held together
    assert measured.seconds > 4
    assert large.read_bytes() == before


def test_table_names_the_machine_in_words_and_what_is_over_budget() -> None:
    text = lessons.table([lessons.Measurement("00_fine", 12.3, 0.9), lessons.Measurement("01_slow", 91, 1.6)])
    assert "| 00_fine | 12 | 90 | 0.90 | 1.5 | yes |" in text
    assert "| 01_slow | 91 | 90 | 1.60 | 1.5 | **no** |" in text
    assert "cores" in text
    assert "torch" in text
