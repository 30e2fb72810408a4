"""Generate the learners' labs/ from solutions/, by nbgrader.

    python -m authoring.release             all labs
    python -m authoring.release lab01       one
    python -m authoring.release --check     write nothing; exit 1 and name the files that drifted

Run it in the course's folder. It needs and changes no gradebook.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution

from grading.convert import NbgraderError, generate
from grading.labs import CourseError, Lab, find_lab, find_labs
from grading.repair import grade_id

SOLUTION = ("BEGIN SOLUTION", "END SOLUTION")
HIDDEN = ("BEGIN HIDDEN TESTS", "END HIDDEN TESTS")


def paired(source: str, markers: tuple[str, str]) -> bool:
    """Whether the two markers take turns in `source`, none of them without the other."""
    lines = [line for line in source.splitlines() if any(marker in line for marker in markers)]
    return len(lines) % 2 == 0 and all(markers[place % 2] in line for place, line in enumerate(lines))


def mistakes(notebook: NotebookNode) -> list[str]:
    """What in a lab's source would reach learners wrongly, a sentence each.

    nbgrader refuses some of these with a traceback and lets others through: it ignores an END without
    a BEGIN, and replaces a whole exercise, signature and docstring too, when it finds no markers.
    """
    found = []
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        found.append("the notebook has no cell ids: save it once in a current JupyterLab")
    ids = Counter(key for cell in notebook.cells if (key := grade_id(cell)))
    found += [
        f"{count} cells have the grade_id {key!r}: rename all but one"
        for key, count in ids.items()
        if count > 1
    ]
    for number, cell in enumerate(notebook.cells):
        name = f"cell {grade_id(cell) or number}"
        if not paired(cell.source, SOLUTION):
            found.append(f"{name}: ### BEGIN SOLUTION and ### END SOLUTION do not pair up")
        if not paired(cell.source, HIDDEN):
            found.append(f"{name}: ### BEGIN HIDDEN TESTS and ### END HIDDEN TESTS do not pair up")
        answer = cell.cell_type == "code" and is_solution(cell)
        if answer and SOLUTION[0] not in cell.source:
            found.append(f"{name}: put the answer between ### BEGIN SOLUTION and ### END SOLUTION")
        if not is_solution(cell) and SOLUTION[0] in cell.source:
            found.append(f"{name}: it holds a solution, but nbgrader does not know: make it a solution cell")
        if not is_grade(cell) and HIDDEN[0] in cell.source:
            found.append(f"{name}: it holds hidden tests, but nbgrader does not know: make it a test cell")
    return found


def build(root: Path, lab: Lab, target: Path) -> Path:
    """Generate the learner's version of one lab below `target`.

    Args:
        root: the course's folder.
        lab: which one.
        target: the folder that is to hold the lab's own.

    Returns:
        The lab's folder in there.

    Raises:
        CourseError: it names the mistakes in the lab's source.
    """
    try:
        with warnings.catch_warnings():
            # Missing and double cell ids: nbformat would put in new random ones at each run.
            warnings.simplefilter("error")
            notebook = nbformat.read(lab.source, as_version=nbformat.NO_CONVERT)
    except Exception as error:
        raise CourseError(f"{lab.source.relative_to(root)} is not a sound notebook: {error}") from error
    found = mistakes(notebook)
    if not found:
        try:
            return generate(root, lab, target).parent
        except NbgraderError as error:
            found.append(f"nbgrader refuses it: {error}")
    raise CourseError("\n".join(f"{lab.source.relative_to(root)}: {sentence}" for sentence in found))


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file's content by its path below `folder`, without what Jupyter and Python leave behind."""
    litter = {".ipynb_checkpoints", "__pycache__"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not litter & set(path.parts)
    }


def differences(labs: Path, built: Path) -> list[str]:
    """How the committed `labs` differ from the freshly `built` ones, a line for each file."""
    there, expected = files_below(labs), files_below(built)
    lines = [f"labs/{name} is missing" for name in expected.keys() - there.keys()]
    lines += [f"labs/{name} comes from no solution: delete it" for name in there.keys() - expected.keys()]
    both = there.keys() & expected.keys()
    lines += [f"labs/{name} differs from its solution" for name in both if there[name] != expected[name]]
    return sorted(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command.

    Returns:
        0; 1 when a lab has a mistake, or with --check when labs/ drifted; 2 for an unknown lab.
    """
    parser = argparse.ArgumentParser(prog="release", description="Generate labs/ from solutions/.")
    parser.add_argument(
        "labs", nargs="*", metavar="LAB", help="lab01, or the name of its folder (default: all)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare all labs")
    parser.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")
    options = parser.parse_args(arguments)
    root = options.course.resolve()
    # nbgrader tells each of its steps; what goes wrong comes as an error.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        labs = [find_lab(root, name) for name in options.labs] or find_labs(root)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    # Built elsewhere first: nbgrader deletes a lab that it fails to build.
    with tempfile.TemporaryDirectory() as scratch:
        try:
            built = [build(root, lab, Path(scratch)) for lab in (find_labs(root) if options.check else labs)]
        except CourseError as error:
            print(error, file=sys.stderr)
            return 1
        if options.check:
            drift = differences(root / "labs", Path(scratch))
            if drift:
                print("\n".join([*drift, "run: python -m authoring.release"]), file=sys.stderr)
            return 1 if drift else 0
        for folder in built:
            target = root / "labs" / folder.name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(folder, target)
            print(f"labs/{folder.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
