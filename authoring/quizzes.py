"""Bring the quizzes that stand in lessons into line with their files, without executing the lessons.

python -m authoring.quizzes          after a change in backbones/lessons/quizzes/
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from authoring.notebooks import ROOT, lessons
from backbones.show.quiz import Quiz

CALL = re.compile(r'^Quiz\("([^"\n]+)"\)$', re.MULTILINE)


def outdated(notebook: NotebookNode) -> Iterator[str]:
    """The quizzes whose saved output is not what their file says; each is mended, in place, when it is named.

    Args:
        notebook: of a lesson.
    """
    for cell in notebook.cells:
        found = CALL.search(cell.source) if cell.cell_type == "code" else None
        if not found:
            continue
        quiz = Quiz(found[1])
        now = {"text/plain": repr(quiz), "text/html": quiz._repr_html_()}
        for output in cell.outputs:
            if dict(output.get("data", {})) != now:
                output.data = nbformat.from_dict(now)
                yield found[1]


def main(paths: list[Path] | None = None) -> int:
    """Mend the lessons, and say which were changed; returns 0."""
    for path in lessons() if paths is None else paths:
        notebook = nbformat.read(path, as_version=4)
        if list(outdated(notebook)):
            nbformat.write(notebook, path)
            print(f"changed: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
