"""What a notebook must be before it is committed.

    python -m authoring.check [NOTEBOOK ...]      files, or 00, lab01, ...; default: all lessons and solutions

Each check is a function from a notebook to sentences about what is wrong, each naming the cell.
tests/authoring/test_notebooks.py runs them over the course, and over notebooks broken on purpose.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat.reader
import nbformat.validator
from nbformat import NotebookNode

from authoring import notebooks
from authoring.order import order_problems

MEGABYTES = 1.5
CODE_LINES, LAB_CODE_LINES, MEDIAN_CODE_LINES = 20, 25, 12  # a learner reads a cell in one look
COMPARED_SHARE = 0.8
# Nothing that an editor, an extension or the moment of saving adds.
NOTEBOOK_METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"tags", "nbgrader"}
NOT_COMPARED_TAGS = {"nbval-ignore-output", "nbval-skip"}
NOT_COMPARED_COMMENT = re.compile(
    r"^\s*#\s*(NBVAL_IGNORE_OUTPUT|NBVAL_SKIP|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.M
)
MACHINE_PATH = re.compile(
    r"(?<![\w.~/:-])/(?:home|Users|root|tmp|work|workspace|mnt|var/folders|private|opt)\b[\w./-]*"
    r"|(?<!\w)[A-Za-z]:\\+[\w.]+[\w.\\-]*"
    r"|(?:site-packages|ipykernel_\d+)[\w./\\-]*"
)
NETWORK_CALL = re.compile(
    r"urlopen|urlretrieve|\brequests\.|\bhttpx\.|\bwget\b|\bcurl\b|download\s*=\s*True|pretrained\s*=\s*True"
    r"|weights\s*=\s*[\"']timm|load_state_dict_from_url|from_pretrained|snapshot_download|hf_hub_download"
)
SHELL = re.compile(r"^\s*(?:!|%%?(?:pip|conda|mamba|bash|sh|system|sx|cmd)\b).*", re.M)
WIDGET_REPR = re.compile(r"^\w+\((?:children=|value=|.*_dom_classes=)")
BACKBONES = re.compile(r"^(?:from|import) backbones\b", re.M)
OWN_FOLDER = re.compile(r"(?<!FILES / )(?<!FILES / f)[\"'](?:measured|published|quizzes)/[^\"']*[\"']")
WITHOUT_LINK = re.compile(r"^(?:\| \*\*Time\*\*|\*\*Next:\*\*).*?(?<![\[/\w])(lab\d\d)\b", re.M)
EMPTY_ALT = re.compile(
    r"!\[\s*\]\([^)]*\)|<img\b(?![^>]*\balt\s*=\s*(?:\"[^\"]*\w[^\"]*\"|'[^']*\w[^']*'))[^>]*>", re.I
)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells in which there is something to run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def tags(cell: NotebookNode) -> set[str]:
    """The cell's tags."""
    return set(cell.metadata.get("tags", []))


def where(cell: NotebookNode) -> str:
    """How a sentence names a cell: by its id and how it begins."""
    first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    return f"cell {cell.get('id', '(no id)')} ({first[:40]!r})"


def texts(cell: NotebookNode) -> Iterator[str]:
    """Every text that a reader of the cell's outputs sees."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield "\n".join([output.get("evalue", ""), *output.get("traceback", [])])
        for kind, value in output.get("data", {}).items():
            if not kind.startswith("image/") or kind == "image/svg+xml":
                yield value if isinstance(value, str) else json.dumps(value)


def count_problems(notebook: NotebookNode) -> Iterator[str]:
    """Executed from top to bottom, once: counts 1, 2, 3, ... nbval skips a cell without a count, silently."""
    cells = code_cells(notebook)
    if cells and all(cell.execution_count is None for cell in cells):
        yield "never executed: run python -m authoring.execute"
        return
    for expected, cell in enumerate(cells, start=1):
        if cell.execution_count != expected:
            yield (
                f"{where(cell)}: execution count {cell.execution_count}, expected {expected}: "
                "run python -m authoring.execute, which executes it top to bottom"
            )


def format_problems(notebook: NotebookNode) -> Iterator[str]:
    """A valid notebook of format 4.5, every cell with an id of its own."""
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        yield f"format {notebook.nbformat}.{notebook.nbformat_minor} has no cell ids: save it with JupyterLab"
        return
    ids = [cell.get("id") for cell in notebook.cells]
    for double in sorted({i for i in ids if i is not None and ids.count(i) > 1}):
        yield f"cell id {double} is used {ids.count(double)} times: give each cell its own"
    for error in nbformat.validator.iter_validate(notebook):
        yield f"not a valid notebook: {str(error).splitlines()[0]}"


def metadata_problems(notebook: NotebookNode) -> Iterator[str]:
    """Only the metadata that the course needs; editors add more at every save."""
    if notebook.metadata != NOTEBOOK_METADATA:
        yield (
            "the notebook's metadata are not the plain ones (kernelspec python3, language python): "
            "run python -m authoring.execute"
        )
    for cell in notebook.cells:
        if extra := sorted(set(cell.metadata) - CELL_METADATA):
            yield f"{where(cell)}: metadata {', '.join(extra)}: python -m authoring.execute removes them"
        for output in cell.get("outputs", []):
            if extra := sorted(set(output.get("metadata", {})) - set(output.get("data", {}))):
                yield f"{where(cell)}: an output carries metadata {', '.join(extra)}"


def output_problems(notebook: NotebookNode) -> Iterator[str]:
    """No errors but announced ones, nothing on stderr, no random ids, no path of the machine it ran on."""
    for cell in code_cells(notebook):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            yield f"{where(cell)}: ends in {errors[0].ename}; tag it raises-exception if that is the lesson"
        if not errors and "raises-exception" in tags(cell):  # nbval would let it pass
            yield f"{where(cell)}: tagged raises-exception, but nothing is raised"
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                yield f"{where(cell)}: writes to stderr: {output.text.strip()[:100]!r}"
            data = output.get("data", {})
            if any("widget-view" in kind for kind in data):
                yield f"{where(cell)}: holds a widget's random id: run python -m authoring.execute"
            if WIDGET_REPR.match(data.get("text/plain", "")):
                yield (
                    f"{where(cell)}: readers without a kernel see {data['text/plain'][:30]!r} in place of "
                    "the widget: give it a __repr__ that says what it would show"
                )
        if found := next((hit for text in texts(cell) if (hit := MACHINE_PATH.search(text))), None):
            yield f"{where(cell)}: the path {found[0]!r} in its output exists on one machine only"


def source_problems(notebook: NotebookNode) -> Iterator[str]:
    """Sources that work on every machine, without the network and without a shell."""
    for cell in notebook.cells:
        if found := MACHINE_PATH.search(cell.source):
            yield f"{where(cell)}: the path {found[0]!r} exists on one machine only"
    for cell in code_cells(notebook):
        if found := SHELL.search(cell.source):
            yield f"{where(cell)}: {found[0].strip()!r} needs a shell, or installs what pyproject.toml should"
        if found := NETWORK_CALL.search(cell.source):
            yield f"{where(cell)}: {found[0]!r} reaches for the network; the course works unplugged"


def comparison_problems(notebook: NotebookNode) -> Iterator[str]:
    """Most cells are compared by nbval: a lesson whose every cell is tagged out is not tested."""
    cells = code_cells(notebook)
    compared = [
        cell
        for cell in cells
        if not tags(cell) & NOT_COMPARED_TAGS and not NOT_COMPARED_COMMENT.search(cell.source)
    ]
    if cells and len(compared) < COMPARED_SHARE * len(cells):
        yield (
            f"nbval compares {len(compared)} of {len(cells)} code cells, expected at least "
            f"{COMPARED_SHARE:.0%}: print measured figures after the sign ≈ instead of tagging the cell out"
        )


def picture_problems(notebook: NotebookNode) -> Iterator[str]:
    """Every picture says in words what a sighted reader concludes from it."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := EMPTY_ALT.search(cell.source)):
            yield f"{where(cell)}: no alt text in {found[0][:60]!r}"
        for output in cell.get("outputs", []):
            data, metadata = output.get("data", {}), output.get("metadata", {})
            for kind in [kind for kind in data if kind.startswith("image/")]:
                if not metadata.get(kind, {}).get("alt", "").strip():
                    yield f"{where(cell)}: its picture has no alt text"
                elif not data.get("text/plain", "").startswith("Figure: "):
                    yield f"{where(cell)}: its picture's text/plain does not begin with 'Figure: '"
            if found := EMPTY_ALT.search(str(data.get("text/html", ""))):
                yield f"{where(cell)}: no alt text in its output {found[0][:60]!r}"


def length_problems(notebook: NotebookNode) -> Iterator[str]:
    """Short cells. Checks of a lab (nbgrader's grade cells) are not read by learners and may be longer."""
    cells = [cell for cell in code_cells(notebook) if not is_lab_check(cell)]
    lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in cells]
    if cells and cells[0].source.startswith(notebooks.ALONE):
        lines[0] -= 1  # only who has nothing but this file has to read it
    # An exercise with its docstring is one cell, and has to be.
    most = LAB_CODE_LINES if any("nbgrader" in cell.metadata for cell in notebook.cells) else CODE_LINES
    for cell, count in zip(cells, lines, strict=True):
        if count > most:
            yield f"{where(cell)}: {count} lines, expected at most {most}: split it"
    if lines and statistics.median(lines) > MEDIAN_CODE_LINES:
        yield (
            f"half of the code cells have {statistics.median(lines):g} lines or more, "
            f"expected at most {MEDIAN_CODE_LINES}: split the longest"
        )


def is_lab_check(cell: NotebookNode) -> bool:
    """Whether nbgrader gives points by this cell, rather than to it."""
    nbgrader = cell.metadata.get("nbgrader", {})
    return bool(nbgrader.get("grade")) and not nbgrader.get("solution")


def lesson_problems(notebook: NotebookNode) -> Iterator[str]:
    """The course of a lesson: what for, predict, measure, check yourself, take away, read on."""
    cells = notebook.cells
    first_code = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    opening = "\n".join(cell.source for cell in cells[:first_code])
    for word, pattern in {
        "a title": r"^# \S",
        "Goals": r"\bgoals?\b",
        "Prerequisites": r"\bprerequisites?\b",
        "Minutes": r"\bminutes?\b|\btime\b",
        "the question it answers": r"\bquestion\b",
    }.items():
        if not re.search(pattern, opening, re.I | re.M):
            yield f"the opening, before the first code cell, lacks {word}"
    predict = next((i for i, cell in enumerate(cells) if asks_to_predict(cell)), None)
    if predict is None or not any(cell.cell_type == "code" for cell in cells[predict + 1 :]):
        yield "no experiment is preceded by a text with **Predict**: the learner commits to an answer first"
    headings = {
        re.sub(r"[^a-z ]", "", line.lower().replace("-", " ")).strip(): cell
        for cell in cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    }
    for cell in cells:
        if cell.cell_type == "markdown" and (found := WITHOUT_LINK.search(cell.source)):
            yield f"{where(cell)}: {found[1]} without a link, where readers look for the way to the lab"
    for section in ("self check", "takeaways", "references"):
        if not any(section in heading for heading in headings):
            yield f"no heading {section.capitalize()!r}"
    references = next((cell.source for heading, cell in headings.items() if "references" in heading), None)
    if references is not None and not (
        re.search(r"https?://", references) and re.search(r"\b(19|20)\d\d\b", references)
    ):
        yield "the references name no year or no link"


def alone_problems(notebook: NotebookNode) -> Iterator[str]:
    """Who opens nothing but this file finds the one command that fetches the rest above the first import."""
    cells = code_cells(notebook)
    if any(BACKBONES.search(cell.source) for cell in cells):
        if cells[0].source.splitlines()[0] != notebooks.ALONE:
            yield f"{where(cells[0])}: the first line of the first code cell has to be {notebooks.ALONE!r}"
        for cell in cells:
            for found in OWN_FOLDER.findall(cell.source):
                yield f"{where(cell)}: {found} is not there when the notebook is opened alone: FILES / {found}"


def asks_to_predict(cell: NotebookNode) -> bool:
    """Whether a text cell asks for a prediction."""
    return cell.cell_type == "markdown" and bool(
        re.search(r"\*\*predict|^#+ .*predict", cell.source, re.I | re.M)
    )


EVERY_NOTEBOOK = (
    count_problems,
    format_problems,
    metadata_problems,
    output_problems,
    source_problems,
    comparison_problems,
    picture_problems,
    length_problems,
    alone_problems,
    order_problems,
)


def check(path: Path, lesson: bool | None = None) -> list[str]:
    """All that is wrong with a notebook, in sentences that begin with its name.

    Args:
        path: the notebook's file.
        lesson: whether it must have a lesson's parts too; default: whether it lies in a folder "notebooks".
    """
    problems: list[str] = []
    if (size := path.stat().st_size / 1e6) > MEGABYTES:
        problems.append(
            f"{size:.1f} MB, expected at most {MEGABYTES}: fewer or smaller pictures (90 dpi at most)"
        )
    # Not nbformat.read: that mends what is to be found here, duplicate ids for instance.
    notebook = nbformat.reader.reads(path.read_text(encoding="utf-8"))
    checks = EVERY_NOTEBOOK
    if lesson or (lesson is None and path.resolve().parent.name == "notebooks"):
        checks = (*checks, lesson_problems)
    problems += [problem for find in checks for problem in find(notebook)]
    return [f"{notebooks.display_name(path)}: {problem}" for problem in problems]


def main(arguments: list[str] | None = None) -> int:
    """Print what is wrong with the notebooks named, or with all; return 1 when anything is."""
    parser = argparse.ArgumentParser(
        prog="python -m authoring.check", description="Say what is wrong with lessons and solutions."
    )
    notebooks.add_argument(parser)
    paths = parser.parse_args(arguments).notebook or notebooks.every_notebook()
    problems = [problem for path in paths for problem in check(path)]
    print(*problems or [f"{len(paths)} notebooks checked: nothing is wrong"], sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
