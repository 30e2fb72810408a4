"""From a notebook to the cells that the two sides run, and from what they said back to a notebook."""

import re
from collections.abc import Callable

from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.utils import is_grade, is_solution

from grading.isolation.checks import count, reasons, share
from grading.isolation.needed import skip_unneeded
from grading.isolation.syntax import IMPORTS, bound, parse
from grading.repair import grade_id

HIDDEN = re.compile(
    r"^[ \t]*### BEGIN HIDDEN TESTS.*?(?:^[ \t]*### END HIDDEN TESTS[^\n]*\n?|\Z)", re.DOTALL | re.MULTILINE
)
MAGIC = re.compile(r"^\s*[%!?]|^[^\n]*\?\s*$", re.MULTILINE)


def defined(source: str) -> set[str]:
    """The variables that a cell sets at its top level, but for what it imports."""
    return {name for name, by in bound(parse(source)) if not isinstance(by, IMPORTS)}


def asked_for(source: NotebookNode) -> set[str]:
    """The names that the lab's exercises ask for: what their answers define.

    Args:
        source: the lab with its solutions.
    """
    answers = [cell.source for cell in source.cells if cell.cell_type == "code" and is_solution(cell)]
    return {name for answer in answers for name in defined(answer)}


def cells_to_run(notebook: NotebookNode, source: NotebookNode, partial: bool = False) -> list[dict]:
    """The code cells of a notebook, each with the side that runs it.

    The lab's own cells and tests run as they stand in `source`, whatever the notebook says. Answers, and cells
    that the lab does not have, run on the learner's side. What no check needs runs on neither.

    Args:
        notebook: as `repair.prepare` makes it.
        source: the lab with its solutions and hidden tests.
        partial: each check of a test counts, so that all of them run.

    Returns:
        Of each code cell {"side", "source", "names", "hidden", "partial"}, see tests_side.Notebook.
    """
    names = sorted(asked_for(source))
    own = {key: cell for cell in source.cells if (key := grade_id(cell))}
    given = {cell.source.strip() for cell in source.cells if cell.cell_type == "code" and not grade_id(cell)}
    cells = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        lab_cell = own.get(grade_id(cell) or "")
        if lab_cell is not None and not is_solution(lab_cell):
            cells.append(
                {"side": "tests", "source": lab_cell.source, "names": [], "hidden": bool(is_grade(lab_cell))}
            )
        elif lab_cell is None and cell.source.strip() in given:
            cells.append({"side": "tests", "source": cell.source, "names": [], "hidden": False})
        else:
            cells.append({"side": "learner", "source": plain(cell.source), "names": names, "hidden": False})
    return [cell | {"partial": partial} for cell in skip_unneeded(cells, set(names))]


def plain(source: str) -> str:
    """A cell as Python: IPython's %magic, !command and help? become calls that do nothing while grading."""
    if not MAGIC.search(source):
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return TransformerManager().transform_cell(source)
    except SyntaxError:
        return source


def filling(
    outcomes: list[dict], marks: dict[str, object] | None = None, free: dict[str, set[int]] | None = None
) -> Callable[[NotebookNode, dict], tuple]:
    """A step for nbgrader in place of running a notebook: write what the sides said into its cells.

    Args:
        outcomes: of its code cells, from Runner.run.
        marks: for the notebook's metadata: how it was graded.
        free: for partial credit: of each test cell the checks that count nothing, see `checks.share`.
    """

    def fill_in(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if len(code) != len(outcomes):
            raise ValueError(f"the notebook has {len(code)} code cells, but {len(outcomes)} were run")
        for number, (cell, outcome) in enumerate(zip(code, outcomes, strict=True), 1):
            cell.execution_count, cell.outputs = number, []
            if "outputs" in outcome:  # of an earlier grading
                cell.outputs = outcome["outputs"]
                continue
            if outcome["printed"]:
                cell.outputs.append(new_output("stream", name="stdout", text=outcome["printed"]))
            if part := partly(cell, outcome, free):
                cell.outputs += part
                continue
            if outcome["error"]:
                name, text, lines = outcome["error"]
                cell.outputs.append(
                    new_output("error", ename=name, evalue=text, traceback=lines.splitlines())
                )
        notebook.metadata.update(marks or {})
        return notebook, resources

    return fill_in


def partly(cell: NotebookNode, outcome: dict, free: dict[str, set[int]] | None) -> list[NotebookNode]:
    """What stands below a test cell some of whose checks passed: the reasons and, for nbgrader, the points.

    Returns:
        Outputs; none for all points, for none, and without partial credit.
    """
    if free is None or not outcome["error"] or not is_grade(cell):
        return []
    nothing = free[grade_id(cell)]
    total = count(cell.source)
    counted = max(total - len(nothing), 1)
    # Something failed, be it a statement that is no check: not all points.
    part = min(share(outcome["checks"], total, nothing), 1 - 1 / counted)
    points = round(float(cell.metadata.nbgrader.points) * part, 2)
    if not points:
        return []
    lost = "\n".join(f"- {reason}" for reason in reasons(outcome["checks"], nothing))
    text = f"{round(part * counted)} of {counted} checks pass. What the others say:\n{lost}\n"
    result = new_output("execute_result", {"text/plain": str(points)}, execution_count=cell.execution_count)
    return [new_output("stream", name="stdout", text=text), result]


def without_hidden_tests(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
    """A step for nbgrader's feedback: hidden checks show what they said, not how they are written."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_grade(cell):
            cell.source = HIDDEN.sub("# (hidden checks)\n", cell.source)
    return notebook, resources
