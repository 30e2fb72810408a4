"""Which notebooks there are: the one place that looks for them. Labs it asks `grading.labs` for."""

import argparse
from pathlib import Path

from authoring.repository import ROOT, read
from grading.labs import find_labs

# How a notebook begins its first code cell, for who has nothing but this one file (Colab, Kaggle, VS Code). Only a
# comment: a cell that installed would need the network every time, and change what the learner has installed.
ALONE = f"# Opened alone? First run, in a new cell: %pip install git+{read().code}"


def lessons() -> list[Path]:
    """Every lesson, in order. (The glossary beside them is none.)"""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def solutions() -> list[Path]:
    """The source of every lab, in order."""
    return [lab.source for lab in find_labs(ROOT)]


def every_notebook() -> list[Path]:
    """Every notebook that people write: lessons, then solutions. (labs/ is generated.)"""
    return lessons() + solutions()


def find_notebook(name: str) -> Path:
    """The notebook that a person names by its file, or by how its name begins ("00", "lab01").

    Raises:
        argparse.ArgumentTypeError: for a name that fits none or several; it lists the notebooks there are.
    """
    if Path(name).is_file():
        return Path(name)
    found = [path for path in every_notebook() if path.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    there_are = ", ".join(path.stem for path in found or every_notebook())
    raise argparse.ArgumentTypeError(
        f"{len(found) or 'no'} notebooks begin with {name!r}; there are: {there_are}"
    )


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Let a command take the names of notebooks."""
    parser.add_argument(
        "notebook", nargs="*", type=find_notebook, help="a file, or 00, lab01, ...; default: every one"
    )


def display_name(path: Path) -> str:
    """The path as seen from the course's folder, where it lies in it."""
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
