"""INSTRUCTORS.md says what is so: commands, files, points, minutes, and the container's command."""

import re
import shlex
from pathlib import Path

import nbformat
import pytest
from grading_samples import ROOT
from nbgrader.utils import is_grade, is_solution

from grading.__main__ import read_options
from grading.isolation.container import container_command
from grading.labs import find_labs

GUIDE = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def minutes() -> tuple[dict[int, int], dict[int, int]]:
    """Minutes of lessons and of labs by their number, as the README's table has them."""
    lessons, labs = {}, {}
    for row in re.findall(r"^\| \[\d\d ·.*$", README, re.MULTILINE):
        _, lesson, _, time, lab, _ = row.split("|")
        number = int(re.search(r"\d\d", lesson)[0])
        lessons[number] = int(time)
        if found := re.search(r"\((\d+)\)\s*$", lab):
            labs[number] = int(found[1])
    return lessons, labs


def test_the_readme_leads_here():
    assert "](INSTRUCTORS.md)" in README
    heading = re.search(r"\]\(INSTRUCTORS.md#([a-z-]+)\)", README)[1]
    slugs = [re.sub(r"[^a-z ]", "", line.lower()).strip().replace(" ", "-") for line in GUIDE.splitlines()]
    assert heading in slugs


def test_the_guide_is_at_most_three_screens():
    assert sum(1 + len(line) // 160 for line in GUIDE.splitlines()) <= 3 * 45


def test_minutes_are_those_of_the_readme():
    lessons, labs = minutes()
    assert len(lessons) == 14
    assert len(labs) == len(find_labs(ROOT))
    assert f"lessons {sum(lessons.values()):,} in all, labs {sum(labs.values()):,}." in GUIDE
    between = [lessons[number] for number in range(2, 13)]
    assert f"{min(between)} to {max(between)} minutes" in GUIDE
    between = [labs[number] for number in range(2, 13)]
    assert f"{min(between)} to {max(between)} minutes" in GUIDE
    days = re.findall(r"^\| \d \| lessons ([\d, ]+); ([lab\d, ]+) \| (\d+) \|$", GUIDE, re.MULTILINE)
    assert len(days) == 5
    for of_lessons, of_labs, total in days:
        taught = [lessons[int(number)] for number in of_lessons.split(", ")]
        taught += [labs[int(number.removeprefix("lab"))] for number in of_labs.split(", ")]
        assert sum(taught) == int(total)


@pytest.mark.parametrize("lab", find_labs(ROOT), ids=lambda lab: lab.notebook)
def test_each_lab_has_the_points_that_the_guide_tells(lab):
    cells = [
        cell for cell in nbformat.read(lab.source, as_version=nbformat.NO_CONVERT).cells if is_grade(cell)
    ]
    told, least, most = map(
        int, re.search(r"has (\d+) points\*\*, (\d+) or (\d+) of them for the free text", GUIDE).groups()
    )
    assert sum(cell.metadata.nbgrader.points for cell in cells) == told
    (text,) = (cell for cell in cells if is_solution(cell))
    assert text.cell_type == "markdown"
    assert text.metadata.nbgrader.points in (least, most)


def test_commands_and_options_exist():
    """Each `make` target and each option of the grading, read by the command itself."""
    targets = re.search(r"^COMMANDS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert set(re.findall(r"(?m)(?:`|^ *)make ([a-z-]+)", GUIDE)) <= set(targets)
    options = re.search(r'`(--due "[^`]*)`', GUIDE)[1] + " "
    options += " ".join(re.findall(r"`(--export [^`]*)`", GUIDE)) + " --column Lab --out x --no-sandbox"
    asked = read_options(["grade", "lab01", "submissions.zip", *shlex.split(options)])
    assert asked.penalty == 0.1
    assert [system for system, _ in asked.exports] == ["moodle", "canvas"]
    typed = re.findall(r"(?m)python3? -m grading ((?!--help)[^`\n(]*)", GUIDE)
    assert {read_options(shlex.split(line)).command for line in typed} == {"grade", "regrade", "collect"}
    for path in re.findall(r"(?:labs|solutions)/\S+\.ipynb", GUIDE):
        assert (ROOT / path).is_file(), path


def test_the_containers_command_is_the_one_that_is_printed(tmp_path):
    archive = tmp_path / "submissions.zip"
    archive.touch()
    real = container_command(Path("COURSE"), "lab01", archive, Path("GRADED"), program="docker")
    told = re.search(r"^docker run.*?^```", GUIDE, re.DOTALL | re.MULTILINE)[0].removesuffix("```").split()
    assert told == [part.replace(str(archive), "SUBMISSIONS").replace("\\", "/") for part in real]
