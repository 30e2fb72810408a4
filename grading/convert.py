"""nbgrader's steps: how they are set up, and run for one lab."""

import logging
import os
import sysconfig
from pathlib import Path

from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import BaseConverter
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config, PyFileConfigLoader
from traitlets.log import get_logger

from grading.labs import CourseError, Lab

STEPS_OF = {"Autograde": "autograde_preprocessors"}  # elsewhere: preprocessors


class NbgraderError(Exception):
    """nbgrader gave up; the text is the reason, which nbgrader itself only writes to its log."""


def load_config(root: Path, out: Path | None = None) -> Config:
    """The settings in `root`/nbgrader_config.py.

    Raises:
        CourseError: for a folder, `out` too, that nbgrader would take for a pattern, and then find nothing.
    """
    for folder in (root, out):
        if set("[]*?") & set(str(folder)):
            raise CourseError(f"nbgrader cannot work in {folder}: choose a path without [ ] * ?")
    return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()


def run_converter(
    converter: type[BaseConverter],
    config: Config,
    lab: Lab,
    student: str = "*",
    steps: list | None = None,
    **settings: str,
) -> None:
    """Run one step of nbgrader (`GenerateAssignment`, `Autograde`, `GenerateFeedback`), over older results.

    Args:
        converter: the step.
        config: from `load_config`.
        lab: nbgrader's assignment.
        student: nbgrader's id, "*" for all.
        steps: nbconvert's preprocessors, in place of the converter's own.
        settings: for nbgrader's `CourseDirectory`: root, db_url, submitted_directory ...

    Raises:
        NbgraderError: with nbgrader's reason.
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
    os.environ["BACKBONES_PROGRESS"] = "off"  # what students passed is not the instructor's progress
    course = CourseDirectory(config=config, assignment_id=lab.folder.name, student_id=student, **settings)
    try:
        own = {} if steps is None else {STEPS_OF.get(converter.__name__, "preprocessors"): steps}
        converter(coursedir=course, config=config, force=True, **own).start()
    except Exception as error:
        traces = [text.strip().splitlines()[-1] for text in errors if text.startswith("Traceback")]
        raise NbgraderError(traces[0].rpartition("exceptions.")[2] if traces else str(error)) from error
    finally:
        get_logger().removeHandler(listener)
        os.environ.clear()
        os.environ.update(environment)


def generate(root: Path, lab: Lab, release: Path, database: str | None = None) -> Path:
    """Build the learner's version of `lab` below `release` and record its graded cells in a gradebook.

    Args:
        root: the course's folder.
        lab: the lab to build.
        release: the folder for what is built.
        database: the gradebook as SQLAlchemy wants it (sqlite:///path); None for no gradebook.

    Returns:
        The path of the learner's notebook.

    Raises:
        NbgraderError: with nbgrader's reason.
    """
    config = load_config(root)
    config.GenerateAssignment.no_database = database is None
    config.SaveCells.enabled = database is not None
    settings = {"root": str(root), "release_directory": str(release), "db_url": database or ""}
    run_converter(GenerateAssignment, config, lab, **settings)
    return release / lab.folder.name / lab.source.name
