"""A lesson or lab that was opened alone: on Colab, on Kaggle, in VS Code, or as a downloaded file.

The course is built into a wheel and unpacked, and a notebook runs in a folder that holds nothing else. Where the
package is missing, the first line of the first code cell names the command that brings it (authoring/check.py).
"""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from authoring import notebooks, offline
from authoring.notebooks import ROOT
from backbones.lessons import FILES

LABS = sorted(ROOT.glob("labs/*/lab*.ipynb"))
USED = re.compile(r'FILES / (?:f?"([^"]+)")')


def tracked(*folders: str) -> list[str]:
    """What git tracks of these folders and files."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *folders]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the course's wheel was unpacked, as installers do."""
    source, built, site = (tmp_path_factory.mktemp(name) for name in ("source", "built", "Zoë's päckages"))
    for name in tracked("backbones", "grading", "pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXTS"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    # The build backend itself: pip and uv would fetch it.
    program = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", program, str(built)], cwd=source, check=True, capture_output=True, timeout=120
    )
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def test_every_file_that_a_notebook_reads_is_there() -> None:
    """A name with {braces} stands for any."""
    read = 0
    for path in notebooks.every_notebook():
        for cell in nbformat.read(path, as_version=4).cells:
            for name in USED.findall(cell.source):
                read += 1
                assert list(FILES.glob(re.sub(r"\{[^}]*\}", "*", name))), f"{path.name}: {name}"
    assert read > 10


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(site: Path) -> None:
    """Measurements, quizzes and trained models too."""
    there = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert set(tracked("backbones", "grading/*.py")) <= there
    assert "backbones/lessons/quizzes/00_what_is_a_backbone.toml" in there


def alone(notebook: Path, folder: Path, site: Path) -> nbformat.NotebookNode:
    """Execute a copy of a notebook in an empty home, with the package from `site`.

    A lab runs up to its first exercise, where a learner begins to write.
    """
    whole = nbformat.read(notebook, as_version=4)
    exercises = [i for i, cell in enumerate(whole.cells) if cell.metadata.get("nbgrader", {}).get("solution")]
    if exercises:
        del whole.cells[exercises[0] :]
    check = "import backbones; print(backbones.__file__)"
    whole.cells.append(nbformat.v4.new_code_cell(check))
    environment = offline.environment() | {"HOME": str(folder), "BACKBONES_PROGRESS": "off"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [environment["PYTHONPATH"].partition(os.pathsep)[0], str(site)]
    )
    client = NotebookClient(
        whole, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    assert site.as_posix() in Path(whole.cells.pop().outputs[0].text.strip()).as_posix()
    return whole


FAST = {"00_what_is_a_backbone", "lab01"}  # the others each night


@pytest.mark.slow
@pytest.mark.parametrize(
    "notebook",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in FAST else pytest.mark.nightly)
        for path in (*notebooks.lessons(), *LABS)
    ],
)
def test_a_notebook_runs_alone(notebook: Path, tmp_path: Path, site: Path) -> None:
    home = tmp_path / "Zoë Müller"
    home.mkdir()
    executed = alone(notebook, home, site)
    assert any(cell.get("outputs") for cell in executed.cells) or notebook in LABS
