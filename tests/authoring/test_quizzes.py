"""The quizzes that are saved in lessons are those of their files, and work without a kernel."""

import json

import nbformat
import pytest

from authoring import quizzes
from authoring.notebooks import ROOT, lessons
from backbones.explore import Quiz


def test_a_saved_quiz_that_differs_from_its_file_is_mended(tmp_path):
    lesson = lessons()[0]
    copy = tmp_path / lesson.name
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    quiz = next(cell for cell in notebook["cells"] if "".join(cell["source"]).startswith("Quiz("))
    quiz["outputs"][0]["data"]["text/html"] = ["<p>older</p>"]
    copy.write_text(json.dumps(notebook), encoding="utf-8")
    quizzes.main([copy])
    assert copy.read_bytes() == lesson.read_bytes()


@pytest.mark.parametrize("lesson", [path.name for path in lessons()])
def test_saved_quizzes_are_those_of_their_files(lesson):
    """Where they differ: python -m authoring.quizzes."""
    path = ROOT / "notebooks" / lesson
    assert list(quizzes.outdated(nbformat.read(path, as_version=4))) == []


def test_without_a_kernel_each_option_unfolds_its_reason():
    quiz = Quiz(lessons()[0].stem)
    page = quiz._repr_html_()
    options = [option for question in quiz.questions for option in question["option"]]
    assert page.count("<details><summary>") == len(options)
    assert page.count("✔ Right.") == len(quiz.questions)
    assert "<script" not in page
    assert "onclick" not in page
