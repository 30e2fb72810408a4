"""The benchmark of the start runs what a learner runs, and its tables say what was measured."""

import subprocess

import pytest
import toys

from authoring.notebooks import ROOT, lessons
from benchmarks import start
from benchmarks.start import EMPTY, LESSON, Seconds, Turn

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


def test_only_import_statements_of_the_first_cells_count(tmp_path):
    path = toys.write(toys.code(FIRST, "import math", "math.pi", "import late"), tmp_path / "toy.ipynb")
    assert start.first_imports(path) == (
        "import numpy as np, torch\nfrom backbones.data import Digits, Photos as P\nimport math"
    )


def test_imports_run_in_a_process_that_has_loaded_a_kernel():
    start.measure("import sys\nassert 'ipykernel.kernelapp' in sys.modules and 'torch' not in sys.modules")
    with pytest.raises(subprocess.CalledProcessError):
        start.measure("import no_such_module_anywhere")


def test_verdict_is_by_the_smallest_cpu_seconds():
    times = {
        "yardstick": [Seconds(9, 2.0), Seconds(3, 4.0, lightning=False)],
        "at the limit": [Seconds(30, 2.5), Seconds(31, 9.0)],
        "above": [Seconds(2, 2.6, lightning=True), Seconds(2, 2.7, lightning=True)],
    }
    text = start.table(times)
    assert "| at the limit | 2.50 | 30.00 | 1.25 | 1.25 | yes |  |" in text
    assert "| above | 2.60 | 2.00 | 1.30 | 1.25 | **no** | yes |" in text


@pytest.mark.slow
def test_the_first_picture_waits_for_no_training_library():
    """Lightning takes half as long as torch: lesson 00 imports it with the cell that needs it."""
    assert not start.measure(start.first_imports(lessons()[0])).lightning
    assert start.measure("import pytorch_lightning").lightning


def turns(lesson_picture: float) -> dict[str, dict[str, list[Turn]]]:
    empty, lesson = Turn(2, 3, 1, 4, 0), Turn(2, 3, 1, 5, lesson_picture)
    late = Turn(20, 30, 10, 40, 0)  # one of three: the median does not see it
    return {"warm": {EMPTY: [empty, late, empty], LESSON: [lesson, lesson, late]}}


def test_verdict_of_the_picture_is_by_medians_from_the_first_key_and_from_the_page():
    text = start.picture_table(turns(0.2))
    assert "| **all of it** | 10.0 | 11.2 |" in text
    assert "| **from opening the page** | 8.0 | 9.2 |" in text
    assert "| **from the first key** | 4.0 | 5.2 |" in text
    assert "warm, from the first key: 1.30 (limit 1.3): yes" in text
    assert start.in_time(turns(0.2))
    assert "warm, from the first key: 1.32 (limit 1.3): **no**" in start.picture_table(turns(0.3))
    assert "warm, from opening the page: 1.16 (limit 1.3): yes" in start.picture_table(turns(0.3))
    assert not start.in_time(turns(0.3))


def test_the_report_says_where_nothing_was_cold():
    times = {"yardstick": [Seconds(2, 2)]}
    warm = turns(0.2)
    assert "None is cold" in start.report("", warm, times)
    assert "medians of 3 warm turns" in start.report("", warm, times)
    assert "None is cold" not in start.report("", {"cold": warm["warm"]} | warm, times)


def test_the_first_picture_is_that_of_the_first_cell_saved_with_one(tmp_path):
    plain, drawn = toys.code("1", "2", "3"), toys.code("1", "2", "3")
    drawn.cells[1].outputs = [toys.figure()]
    assert start.first_picture(toys.write(drawn, tmp_path / "drawn.ipynb")) == 1
    with pytest.raises(ValueError, match=r"plain\.ipynb was saved without a picture"):
        start.first_picture(toys.write(plain, tmp_path / "plain.ipynb"))


@pytest.mark.parametrize(
    ("markdown", "count"),
    [
        ("Two words", 2),
        ("press [launch Binder](https://a.b/c d) **above** now.", 5),
        ("![a picture in words](x.png) one", 1),
        ("| a | b |\n|---|---|\n| Python 3.11 or `make lab` | don't |", 8),
    ],
)
def test_words_are_what_a_reader_sees(markdown, count):
    assert start.words(markdown) == count


def test_what_is_asked_of_a_learner_is_counted_up_to_the_commands():
    readme = "# Title\n\nNot these.\n\n## For learners\n\nThree more words:\n\n```\nclone\nmake lab\n```\n\nNor these."
    asked = start.asked_of_a_learner(readme, lessons()[0])
    assert asked.startswith("A learner reads 3 words of README.md, types 2 commands, reads ")
    with pytest.raises(ValueError, match="no commands"):
        start.asked_of_a_learner("# Title", lessons()[0])


def test_readme_has_commands_to_count():
    assert "types 2 commands" in start.asked_of_a_learner((ROOT / "README.md").read_text(), lessons()[0])
