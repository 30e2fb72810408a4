"""Where the course is published stands in one place, and all that repeats it agrees."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from authoring import repository
from authoring.notebooks import ROOT


def checkout(folder: Path, paths: list[Path]) -> Path:
    """A git checkout with these files of the course."""
    for path in paths:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, "add", "-A"], check=True)
    return folder


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The setting and two files that repeat it."""
    return checkout(tmp_path, [ROOT / name for name in ("pyproject.toml", "README.md", "CITATION.cff")])


def test_every_place_agrees_with_the_setting() -> None:
    """Where one does not: python -m authoring.repository."""
    assert [path.name for path in repository.outdated(ROOT)] == []


def test_the_command_moves_the_course_and_forgets_no_place(tmp_path: Path) -> None:
    course = checkout(tmp_path, [ROOT / "pyproject.toml", *repository.files(ROOT)])
    old = repository.read(course)
    assert repository.main(["ada.b-c/my.course"], course) == 0
    assert repository.read(course) == repository.Repository("ada.b-c", "my.course")
    assert repository.outdated(course) == {}
    texts = {
        path.relative_to(course).as_posix(): path.read_text(encoding="utf-8")
        for path in repository.files(course)
    }
    left = [name for name, text in texts.items() if old.owner in text or f"{old.owner}/{old.name}" in text]
    assert left == [], "name the repository there in a form of PLACES, or add the form"
    assert "https://mybinder.org/v2/gh/ada.b-c/my.course/HEAD" in texts["README.md"]
    assert "git clone https://github.com/ada.b-c/my.course && cd my.course\n" in texts["README.md"]
    citation = yaml.safe_load(texts["CITATION.cff"])
    assert citation["repository-code"] == "https://github.com/ada.b-c/my.course"
    assert citation["url"] == "https://ada.b-c.github.io/my.course/"
    assert repository.main([f"{old.owner}/{old.name}"], course) == 0
    for path in repository.files(course):
        assert path.read_bytes() == (ROOT / path.relative_to(course)).read_bytes(), path.name


def test_a_setting_changed_by_hand_names_the_places_that_stay_behind(course: Path) -> None:
    setting = course / "pyproject.toml"
    old = repository.read(course)
    moved = setting.read_text().replace(f'"{old.owner}/{old.name}"', '"ada/backbones"')
    setting.write_text(moved)
    assert {"README.md", "CITATION.cff"} <= {path.name for path in repository.outdated(course)}
    assert repository.main([], course) == 0
    assert repository.outdated(course) == {}


@pytest.mark.parametrize(
    "wrong", ["ada", "ada/", "/course", "https://github.com/ada/course", "a b/c", "a/b/c"]
)
def test_what_is_no_repository_is_refused_and_nothing_is_changed(
    course: Path, wrong: str, capsys: pytest.CaptureFixture
) -> None:
    before = {path: path.read_bytes() for path in repository.files(course)}
    assert repository.main([wrong], course) == 1
    assert "as in you/backbones" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in repository.files(course)} == before


def test_without_the_setting_a_sentence_says_what_to_add(course: Path, capsys: pytest.CaptureFixture) -> None:
    (course / "pyproject.toml").write_text("[tool.other]\n")
    assert repository.main([], course) == 1
    assert "add [tool.backbones]" in capsys.readouterr().err


def run(course: Path, *command: str) -> subprocess.CompletedProcess:
    """Python in a course of its own; it finds that course's packages, not these."""
    environment = {"PYTHONPATH": str(course), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=course, env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_setting_is_read_in_one_place(course: Path) -> None:
    """What notebooks begin with follows it, and where it is missing the command still says so."""
    for name in ("authoring/repository.py", "authoring/notebooks.py", "grading/labs.py"):
        (course / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, course / name)
    assert run(course, "-m", "authoring.repository", "ada/course").returncode == 0
    said = run(course, "-c", "from authoring import notebooks; print(notebooks.ALONE)")
    assert said.stdout.strip().endswith("git+https://github.com/ada/course"), said.stderr
    (course / "pyproject.toml").write_text("[tool.other]\n")
    said = run(course, "-m", "authoring.repository")
    assert said.stderr.startswith("pyproject.toml does not say where the course is: add [tool.backbones]")


def test_other_peoples_repositories_are_left_alone() -> None:
    text = "See https://github.com/containers/bubblewrap and https://github.com/ada/course/issues."
    assert repository.renewed(text, repository.Repository("new", "place")) == text


def test_the_end_of_a_sentence_is_no_part_of_a_name() -> None:
    moved = repository.renewed("git clone https://github.com/a/b.", repository.Repository("new", "place"))
    assert moved == "git clone https://github.com/new/place."
