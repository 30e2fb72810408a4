"""The glossary knows every term of the lessons, and says of each where it comes from.

A term is what a lesson prints **bold** in running text: at most three words, from a letter to a letter or a
figure, so that a lead-in ("**What happened.**", "**Next:**") is none. Emphasis is *italic*.
"""

import functools
import re

import nbformat
import pytest

from authoring import check
from authoring.notebooks import ROOT, lessons

GLOSSARY = ROOT / "notebooks" / "glossary.ipynb"
BOLD = re.compile(r"\*\*([^\W\d_](?:[^*]*?[^\W_])?)\*\*")
NO_TERMS = {"predict"}  # how lesson 00 says what to look for
LONGEST = 3  # words
ENTRY = re.compile(
    r"- \*\*(?P<name>[^*]+)\*\*(?: \((?P<also>[^)]+)\))?: (?P<sentence>.+)\."
    r" \[Lesson (?P<number>\d\d)\]\((?P<lesson>[^)]+)\)(?:; \[(?P<source>.+ \d{4})\]\((?P<link>[^)]+)\))?\."
)


def same(term: str) -> str:
    """A term as it is compared: "Features" is "feature", "stride 32" is "stride", "mAP@50" is "mAP"."""
    return re.sub(r"[ @]\d+$", "", term.lower()).removesuffix("s")


@functools.cache
def text(lesson: str) -> str:
    """What a lesson says, without code."""
    cells = nbformat.read(ROOT / "notebooks" / lesson, as_version=4).cells
    return "\n\n".join(
        re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
        for cell in cells
        if cell.cell_type == "markdown"
    )


def terms(markdown: str) -> list[str]:
    """The terms that a text prints bold, in its order. Tables and headings print other things bold, too."""
    running = "\n".join(line for line in markdown.splitlines() if not line.startswith(("|", "#")))
    found = [" ".join(phrase.split()) for phrase in BOLD.findall(running)]
    kept = [term for term in found if len(term.split()) <= LONGEST and len(term) > 1]
    return [term for term in kept if term.lower() not in NO_TERMS]


CELLS = nbformat.read(GLOSSARY, as_version=4).cells
LINES = [line for cell in CELLS for line in cell.source.splitlines() if line.startswith("- ")]
ENTRIES = [found.groupdict() for line in LINES if (found := ENTRY.fullmatch(line))]
LESSONS = [path.name for path in lessons()]


def names(entry: dict[str, str]) -> list[str]:
    """How a term is called, its usual name first."""
    return [entry["name"], *filter(None, (entry["also"] or "").split(", "))]


def test_every_line_is_an_entry() -> None:
    assert [line for line in LINES if not ENTRY.fullmatch(line)] == []
    assert len(ENTRIES) > 100


def test_entries_are_sorted_below_their_letters() -> None:
    order = [entry["name"].casefold() for entry in ENTRIES]
    assert order == sorted(order)
    for cell in CELLS[1:]:
        heading, _, *lines = cell.source.splitlines()
        assert {line[4].upper() for line in lines} == {heading.removeprefix("## ")}
    letters = [cell.source.splitlines()[0].removeprefix("## ") for cell in CELLS[1:]]
    assert re.findall(r"\[(.)\]\(#(.)\)", CELLS[0].source) == [(letter, letter) for letter in letters]


def test_no_term_stands_twice() -> None:
    every = [same(name) for entry in ENTRIES for name in names(entry)]
    assert [name for name in every if every.count(name) > 1] == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_bold_term_of_a_lesson_is_in_it(lesson: str) -> None:
    """Write an entry, or, where the word is only emphasized, print it *italic*."""
    known = {same(name) for entry in ENTRIES for name in names(entry)}
    assert [term for term in terms(text(lesson)) if same(term) not in known] == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_links_to_it(lesson: str) -> None:
    assert "[glossary](glossary.ipynb)" in text(lesson).splitlines()[-1]


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["name"] for entry in ENTRIES])
def test_the_lesson_of_an_entry_introduces_it(entry: dict[str, str]) -> None:
    """It uses the term, and no earlier lesson prints it bold."""
    lesson, (term, *_) = entry["lesson"], names(entry)
    assert lesson in LESSONS
    assert lesson.startswith(entry["number"])
    said = " ".join(text(lesson).lower().split())
    assert any(re.search(rf"\b{re.escape(same(name))}", said) for name in names(entry)), (
        f"{lesson}: no {term}"
    )
    earlier = LESSONS[: LESSONS.index(lesson)]
    bold = {name: {same(term) for term in terms(text(name))} for name in earlier}
    assert [name for name in earlier if {same(name) for name in names(entry)} & bold[name]] == []


def test_sources_stand_in_the_lessons_references() -> None:
    """So a link that nobody checked cannot slip in, and a reader finds the title there."""
    references = "\n".join(text(lesson).rpartition("## References")[2] for lesson in LESSONS)
    links = {entry["link"] for entry in ENTRIES if entry["link"]}
    assert [link for link in links if f"({link})" not in references] == []


def test_the_glossary_can_be_committed() -> None:
    assert check.check(GLOSSARY, lesson=False) == []


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("The **linear\nprobe** and **Stride** 2.", ["linear probe", "Stride"]),
        ("**What happened.** **Next:** **Predict** **why is that so long?**", []),
        ("| **head** | **a** |\n## **neck**", []),
        ("**a phrase of four words**, **b**egins, **200 labels**", []),
        ("**mAP@50**, **stride 32**, **top-k**, **T5**", ["mAP@50", "stride 32", "top-k", "T5"]),
    ],
)
def test_what_counts_as_a_term(markdown: str, expected: list[str]) -> None:
    assert terms(markdown) == expected
