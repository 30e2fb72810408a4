"""Which labs there are, and how nbgrader is set up and run for them."""

import logging
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config, PyFileConfigLoader
from traitlets.log import get_logger


class CourseError(Exception):
    """Something the person at the keyboard can put right; the text is a sentence that says how."""


class NbgraderError(Exception):
    """nbgrader gave up; the text is the reason, which nbgrader itself only writes to its log."""


@dataclass(frozen=True)
class Lab:
    """One lab: its folder in solutions/ (nbgrader's assignment) and the notebook's name in there."""

    folder: Path
    notebook: str  # without .ipynb

    @property
    def source(self) -> Path:
        return self.folder / f"{self.notebook}.ipynb"


def find_labs(root: Path) -> list[Lab]:
    """Every lab of the course at `root`, in order.

    Raises: CourseError when there is no lab, or a folder has not exactly one notebook.
    """
    labs = []
    for folder in sorted(path for path in root.glob("solutions/*") if path.is_dir()):
        notebooks = list(folder.glob("*.ipynb"))
        if len(notebooks) != 1:
            raise CourseError(f"{folder} must hold exactly one notebook, but it holds {len(notebooks)}")
        labs.append(Lab(folder, notebooks[0].stem))
    if not labs:
        raise CourseError(f"there are no labs in {root / 'solutions'}: run this in the course's folder")
    return labs


def find_lab(root: Path, name: str) -> Lab:
    """The lab called "lab01" or "lab01_feature_extraction". Raises: CourseError that lists the known labs."""
    labs = find_labs(root)
    for lab in labs:
        if name in (lab.notebook, lab.folder.name):
            return lab
    known = ", ".join(f"{lab.notebook} ({lab.folder.name})" for lab in labs)
    raise CourseError(f"there is no lab {name!r}; there are: {known}")


def load_config(root: Path, out: Path | None = None) -> Config:
    """The settings in `root`/nbgrader_config.py.

    Raises: CourseError for a folder that nbgrader would take for a pattern, and then find nothing.
    """
    for folder in (root, out):
        if set("[]*?") & set(str(folder)):
            raise CourseError(f"nbgrader cannot work in {folder}: choose a path without [ ] * ?")
    return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()


def run_converter(
    converter: type[BaseConverter], config: Config, lab: Lab, student: str = "*", **settings: str
) -> None:
    """Run one step of nbgrader (`GenerateAssignment`, `Autograde`, `GenerateFeedback`), over older results.

    Args: settings, for nbgrader's `CourseDirectory`: root, db_url, submitted_directory ...
    Raises: NbgraderError.
    """
    errors: list[str] = []
    listener = logging.Handler(logging.ERROR)
    listener.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    get_logger().addHandler(listener)
    environment = dict(os.environ)
    # For a new gradebook nbgrader calls `alembic`, which lies beside this Python and need not be on the path.
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    # Labs are small; on a busy machine a second thread costs more in waiting than it brings.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    course = CourseDirectory(config=config, assignment_id=lab.folder.name, student_id=student, **settings)
    try:
        converter(coursedir=course, config=config, force=True).start()
    except Exception as error:
        traces = [text.strip().splitlines()[-1] for text in errors if text.startswith("Traceback")]
        raise NbgraderError(traces[0].rpartition("exceptions.")[2] if traces else str(error)) from error
    finally:
        get_logger().removeHandler(listener)
        os.environ.clear()
        os.environ.update(environment)


def generate(root: Path, lab: Lab, release: Path, database: str | None = None) -> Path:
    """Build the learner's version of `lab` below `release` and record its graded cells in a gradebook.

    Args: database, as SQLAlchemy wants it (sqlite:///path); None for no gradebook.
    Returns: the learner's notebook.
    Raises: NbgraderError.
    """
    config = load_config(root)
    config.GenerateAssignment.no_database = database is None
    config.SaveCells.enabled = database is not None
    settings = {"root": str(root), "release_directory": str(release), "db_url": database or ""}
    run_converter(GenerateAssignment, config, lab, **settings)
    return release / lab.folder.name / lab.source.name
