"""The command that grades in a container, as text: no container is started by these tests."""

import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from grading_samples import ROOT, hand_in

from grading.__main__ import main
from grading.isolation import container
from grading.labs import CourseError


def command(tmp_path: Path, **options) -> list[str]:
    """The command for a folder of submissions."""
    (tmp_path / "in").mkdir(exist_ok=True)
    options = {"source": tmp_path / "in", "out": tmp_path / "out", "program": "docker"} | options
    return container.container_command(ROOT, "lab01", **options)


def test_the_command_to_the_letter(tmp_path):
    walls = "docker run --rm --network none --read-only --tmpfs /tmp --tmpfs /home --security-opt seccomp=unconfined"
    inside = "--env HOME=/home --env PYTHONDONTWRITEBYTECODE=1 --workdir /course"
    grading = f"{container.IMAGE} python -m grading grade lab01 /submissions --out /graded --late 10%"
    assert command(tmp_path, options=["--late", "10%"]) == [
        *walls.split(),
        *inside.split(),
        *("--mount", f"type=bind,source={ROOT},target=/course,readonly"),
        *("--mount", f"type=bind,source={tmp_path / 'in'},target=/submissions,readonly"),
        *("--mount", f"type=bind,source={tmp_path / 'out'},target=/graded"),
        *grading.split(),
    ]


def test_only_the_results_can_be_written(tmp_path):
    worksheet = hand_in(tmp_path / "grades.csv", "a,b")
    full = command(tmp_path, exports=[("moodle", worksheet)], program="podman")
    mounts = [value for option, value in pairwise(full) if option == "--mount"]
    assert [one for one in mounts if not one.endswith(",readonly")] == [
        f"type=bind,source={tmp_path / 'out'},target=/graded"
    ]
    assert f"type=bind,source={worksheet},target=/exports/0/grades.csv,readonly" in mounts
    assert full[-3:] == ["--export", "moodle", "/exports/0/grades.csv"]
    assert full[full.index("--network") + 1] == "none"
    assert "--read-only" in full
    assert not {"--privileged", "--cap-add", "--no-sandbox"} & set(full)


def test_a_zip_keeps_its_ending_and_a_comma_is_a_sentence(tmp_path):
    full = command(tmp_path, source=hand_in(tmp_path / "all of them.zip", ""))
    assert f"type=bind,source={tmp_path / 'all of them.zip'},target=/submissions.zip,readonly" in full
    assert full[full.index("grading") + 3] == "/submissions.zip"
    with pytest.raises(CourseError, match="choose a path without ,"):
        command(tmp_path, source=tmp_path / "a,readonly=false")


def test_the_engine_is_the_one_that_is_there(monkeypatch, tmp_path):
    for there, expected in ((["podman"], "podman"), (["docker", "podman"], "docker"), ([], "docker")):
        monkeypatch.setattr(
            container.shutil, "which", lambda name, there=there: name if name in there else None
        )
        assert command(tmp_path, program=None)[0] == container.image_command(ROOT)[0] == expected


def test_the_option_prints_both_commands_and_grades_nothing(tmp_path, capsys, monkeypatch):
    hand_in(tmp_path / "my submissions" / "ada.ipynb", "")
    worksheet = hand_in(
        tmp_path / "grades.csv", "Identifier,Full name,Grade,Maximum Grade\nParticipant 1,Ada,,20\n"
    )
    monkeypatch.chdir(tmp_path)
    asked = [
        "grade",
        "lab01",
        "my submissions",
        "--print-container-command",
        "--out",
        "results",
        "--course",
        str(ROOT),
    ]
    asked += [
        "--due",
        "2026-12-01 23:59",
        "--late",
        "10%",
        "--workers",
        "3",
        "--export",
        "moodle",
        "grades.csv",
    ]
    assert main(asked) == 0
    build, run = (line for line in capsys.readouterr().out.splitlines() if re.match("docker|podman", line))
    assert shlex.split(build)[1:] == container.image_command(ROOT)[1:]
    words = shlex.split(run)
    assert f"type=bind,source={tmp_path / 'my submissions'},target=/submissions,readonly" in words
    assert f"type=bind,source={worksheet},target=/exports/0/grades.csv,readonly" in words
    late = ["--due", "2026-12-01 23:59", "--late", "10%", "--workers", "3"]
    assert words[words.index("grading") :] == [
        *("grading", "grade", "lab01", "/submissions", "--out", "/graded", *late),
        *("--export", "moodle", "/exports/0/grades.csv"),
    ]
    assert list((tmp_path / "results").iterdir()) == [], "nothing was graded"


def test_options_without_a_path_are_passed_on():
    """A new option of the command line must be here or among those that the container gets another way."""
    source = (ROOT / "grading" / "__main__.py").read_text(encoding="utf-8")
    there = set(re.findall(r'add_argument\(\s*"--([a-z-]+)"', source))
    other = {"out", "course", "export", "no-sandbox", "print-container-command"}
    other |= {"exercise", "scheduler"}  # of regrade; it has no network
    passed = set(
        re.search(r"for name in \(([^)]*)\)\}\n    return tuple", source)[1].replace('"', "").split(", ")
    )
    assert there - other == passed


def test_the_image_holds_what_instructors_need():
    recipe = (ROOT / container.RECIPE).read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "bubblewrap" in recipe
    assert "--extra instructor" in recipe
    assert "instructor" in project["project"]["optional-dependencies"]
    for name in re.search(r"COPY (.*) \./", recipe)[1].split():
        assert (ROOT / name).is_file()
