"""Which labs there are: the one place that looks for them, for grading and for authoring."""

from dataclasses import dataclass
from pathlib import Path


class CourseError(Exception):
    """Something the person at the keyboard can put right; the text is a sentence that says how."""


@dataclass(frozen=True)
class Lab:
    """One lab: its folder in solutions/ (nbgrader's assignment) and the notebook's name in there."""

    folder: Path
    notebook: str  # without .ipynb

    @property
    def source(self) -> Path:
        """The notebook that everything else is made from."""
        return self.folder / f"{self.notebook}.ipynb"


def find_labs(root: Path) -> list[Lab]:
    """Every lab of the course at `root`, in order.

    Raises:
        CourseError: when there is no lab, or a folder has not exactly one notebook.
    """
    labs = []
    for folder in sorted((root / "solutions").glob("[!.]*/")):  # Jupyter keeps checkpoints in a dot folder
        notebooks = list(folder.glob("[!.]*.ipynb"))
        if len(notebooks) != 1:
            raise CourseError(f"{folder} must hold exactly one notebook, but it holds {len(notebooks)}")
        labs.append(Lab(folder, notebooks[0].stem))
    if not labs:
        raise CourseError(f"there are no labs in {root / 'solutions'}: run this in the course's folder")
    return labs


def find_lab(root: Path, name: str) -> Lab:
    """The lab called "lab01" or "lab01_feature_extraction".

    Raises:
        CourseError: for any other name; it lists the known labs.
    """
    labs = find_labs(root)
    for lab in labs:
        if name in (lab.notebook, lab.folder.name):
            return lab
    known = ", ".join(f"{lab.notebook} ({lab.folder.name})" for lab in labs)
    raise CourseError(f"there is no lab {name!r}; there are: {known}")
