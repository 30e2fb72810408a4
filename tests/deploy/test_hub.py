"""deploy/: what can be looked at without a hub, and a class that is held on one.

The class needs root on Linux, JupyterHub and its proxy (`npm install --global configurable-http-proxy@5.1`); where one
of them is missing the test says so, and fails where BACKBONES_REQUIRE_HUB is set, as each night in CI. Two learners
take three minutes on two cores; eight run all of the lesson.
"""

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from authoring.notebooks import ROOT
from benchmarks import hub

DEPLOY = ROOT / "deploy"


def module(name: str):
    """A module of deploy/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DEPLOY / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A learner's home, after the first start."""
    (tmp_path / "lessons" / "notebooks" / "more").mkdir(parents=True)
    (tmp_path / "lessons" / "notebooks" / "00.ipynb").write_text("new")
    (tmp_path / "lessons" / "notebooks" / "more" / "a.png").write_text("picture")
    (tmp_path / "home").mkdir(mode=0o755)
    module("start").hand_out(tmp_path / "lessons", tmp_path / "home")
    return tmp_path / "home"


def test_a_learner_finds_the_lessons_and_nobody_else_their_home(home: Path) -> None:
    assert (home / "backbones" / "notebooks" / "00.ipynb").read_text() == "new"
    assert (home / "backbones" / "notebooks" / "more" / "a.png").is_file()
    assert (home / "backbones" / "labs").is_dir(), "the lessons' links and nbgrader expect labs there"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_what_a_learner_wrote_stays_and_what_is_new_comes(home: Path) -> None:
    own = home / "backbones" / "notebooks"
    (own / "00.ipynb").write_text("with my guesses")
    lessons = home.parent / "lessons"
    (lessons / "notebooks" / "01.ipynb").write_text("next week")
    (lessons / "notebooks" / "02.ipynb").write_text("?")
    (own / "02.ipynb").symlink_to(home.parent / "elsewhere")  # not even through a link that leads nowhere
    module("start").hand_out(lessons, home)
    assert (own / "00.ipynb").read_text() == "with my guesses"
    assert (own / "01.ipynb").read_text() == "next week"
    assert not (home.parent / "elsewhere").exists()


def test_learners_do_not_get_the_menus_of_those_who_grade() -> None:
    disabled = json.loads((DEPLOY / "learner" / "labconfig" / "page_config.json").read_text())[
        "disabledExtensions"
    ]
    assert {"@jupyter/nbgrader:formgrader", "@jupyter/nbgrader:create-assignment"} <= disabled.keys()
    assert not {"@jupyter/nbgrader:assignment-list", "@jupyter/nbgrader:menu"} & disabled.keys()
    server = json.loads((DEPLOY / "learner" / "jupyter_server_config.json").read_text())
    assert server["ServerApp"]["jpserver_extensions"]["nbgrader.server_extensions.formgrader"] is False


def test_the_script_for_the_administrator_can_be_run() -> None:
    assert os.access(DEPLOY / "prepare.sh", os.X_OK)
    assert subprocess.run(["bash", "-n", DEPLOY / "prepare.sh"]).returncode == 0


# ---- Kubernetes ----------------------------------------------------------------------------------

SCHEMA = yaml.safe_load((Path(__file__).parent / "kubernetes.schema.yaml").read_text(encoding="utf-8"))
VALUES = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")


def test_the_values_for_kubernetes_follow_their_schema() -> None:
    jsonschema.validate(yaml.safe_load(VALUES), SCHEMA)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("defaultUrl", "default_url"),
        ("limit: 2.5G", "limit: 2.5 gigabytes"),
        ("timeout: 3600", "timeout: 1h"),
    ],
)
def test_the_schema_refuses_what_helm_would_refuse(right: str, wrong: str) -> None:
    assert right in VALUES
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(VALUES.replace(right, wrong)), SCHEMA)


# ---- A class -------------------------------------------------------------------------------------


def test_ci_has_the_proxy_that_the_administrator_is_told() -> None:
    """So that the class is held there, with what a real one is held with."""
    told = re.findall(rf"npm install --global .*\b({hub.PROXY}@\S+)", hub.GUIDE.read_text(encoding="utf-8"))
    script = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert told == re.findall(rf"npm install --global .*\b({hub.PROXY}@\S+)", script) != []
    assert "BACKBONES_REQUIRE_HUB=1 make test-nightly" in script


@pytest.mark.slow
def test_the_instructor_is_told_commands_that_there_are() -> None:
    *hand_out, collect, grade = hub.instructors_commands()
    assert hand_out[-1] == f"nbgrader release_assignment {hub.LAB.folder.name}"
    assert collect.startswith(f"nbgrader collect {hub.LAB.folder.name} ")
    python, *arguments = grade.split()
    done = subprocess.run([sys.executable, *arguments, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert python == "python"
    assert done.returncode == 0, done.stderr


WHY_NOT = "" if os.environ.get("BACKBONES_REQUIRE_HUB") else hub.missing()


@pytest.mark.nightly
@pytest.mark.skipif(WHY_NOT != "", reason=WHY_NOT)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("learners", "cells"), [(2, 3), (8, None)], ids=["2", "8"])
def test_a_class_works_and_is_graded_and_nobody_sees_what_is_anothers(
    learners: int, cells: int | None
) -> None:
    assert hub.missing() == ""
    report = hub.try_class(learners, cells)
    assert len(report["learners"]) == learners
    assert report["walls"] == dict.fromkeys(report["walls"], True)
    assert len(report["walls"]) > 8
    *diligent, last = report["learners"]
    points = {name: float(report["points"][name]) for name in report["learners"]}
    assert points[last] == 0, "handed in as it was handed out"
    assert min(points[name] for name in diligent) == max(points[name] for name in diligent) > 10
