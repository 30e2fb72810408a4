"""The site: complete, every link right, nothing to fetch, and no answer to a lab on it.

It is built once for all tests. In a browser it is looked at by tests/browser/test_site_browser.py.
"""

import re
import shutil
import zipfile
from pathlib import Path

import nbformat
import pytest
import website
import yaml

from authoring import leaks, repository, site_extension
from authoring import site as site_module
from authoring.notebooks import ROOT, lessons
from backbones.explore import Quiz
from backbones.show.quiz import plain
from grading.labs import find_labs

LESSONS = [f"notebooks/{path.stem}" for path in lessons()]
LABS = [f"labs/{lab.folder.name}/{lab.source.stem}" for lab in find_labs(ROOT)]


@pytest.fixture(scope="module")
def index(site: Path) -> website.Page:
    return website.read(site / "index.html")


# ---- What is on it -------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_part_of_the_course_is_reached_from_the_first_page(site, index):
    others = ["notebooks/glossary", "references", "api/index", "grading", "INSTRUCTORS"]
    wanted = {f"{name}.html" for name in [*LESSONS, *LABS, *others]}
    assert wanted - set(index.links) == set()
    assert [name for name in wanted if not (site / name).is_file()] == []


@pytest.mark.slow
def test_the_map_of_the_course_leads_to_every_lesson_and_lab(index):
    """Beside the menu, which has each of them once."""
    assert [name for name in [*LESSONS, *LABS] if index.links.count(f"{name}.html") < 2] == []


@pytest.mark.slow
def test_every_module_of_the_package_is_in_the_reference(site):
    page_of = {part: page for page, parts in site_module.modules().items() for part in parts}
    shims = {f"backbones.{Path(name).stem}" for name in site_module.SHORT_NAMES}
    for path in (ROOT / "backbones").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name != "backbones" and name not in shims:
            assert f"module-{name}" in website.read(site / "api" / f"{page_of[name]}.html").ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "name", "words"),
    [
        ("backbones.backbone", "backbones.backbone.create_backbone", "output_stride"),
        ("backbones.deeplab", "backbones.deeplab.DeepLabV3Plus", "num_classes: int"),
        ("backbones.data", "backbones.data.scenes.Scenes", "LightningDataModule"),
    ],
)
def test_the_reference_says_names_and_types(site, page, name, words):
    found = website.read(site / "api" / f"{page}.html")
    assert name in found.ids
    assert words in found.text


@pytest.mark.slow
def test_lessons_are_shown_with_the_outputs_that_are_committed(site):
    for path in lessons():
        page = website.read(site / "notebooks" / f"{path.stem}.html")
        shown = " ".join(page.text.split())
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                for line in output.get("text", "").splitlines():
                    assert " ".join(line.split()) in shown, (path.name, line)


@pytest.mark.slow
def test_quizzes_work_without_a_kernel(site):
    for path in lessons():
        page = website.read(site / "notebooks" / f"{path.stem}.html")
        shown = " ".join(page.text.split())
        for question in Quiz(path.stem).questions:
            for option in question["option"]:
                verdict = "✔ Right." if option.get("right") else "✘ Not quite."
                said = " ".join(plain(f"{option['text']}{verdict} {option['why']}").split())
                assert said in shown, f"{path.name}: run `python -m authoring.quizzes`"


@pytest.mark.slow
def test_formulas_are_drawn_by_the_browser_itself(site):
    with_formulas = [path for path in website.pages(site) if "math" in website.read(path).tags]
    assert len(with_formulas) >= 5
    for name in [*LESSONS, *LABS]:
        assert not re.search(
            r"\$[^$\n]*\\\w+[^$\n]*\$|\\frac|mathjax", website.read(site / f"{name}.html").text
        ), name


@pytest.mark.slow
def test_binder_and_colab_open_the_page_that_is_read(site):
    where = repository.read()
    for name in [*LESSONS, *LABS]:
        links = website.read(site / f"{name}.html").links
        colab = "https://colab.research.google.com/github"
        assert f"{colab}/{where.owner}/{where.name}/blob/main/{name}.ipynb" in links
        binder = f"https://mybinder.org/v2/gh/{where.owner}/{where.name}/main?urlpath=lab/tree"
        assert f"{binder}/{name}.ipynb" in links
        assert (ROOT / f"{name}.ipynb").is_file()


# ---- Every link, picture and heading -------------------------------------------------------------


@pytest.mark.slow
def test_every_link_within_the_site_leads_somewhere(site):
    assert website.broken_links(site) == []


def test_a_broken_link_and_a_missing_anchor_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="b.html#there">1</a><a href="b.html#gone">2</a><a href="c.html">3</a>'
        '<a href="#here">4</a><a href="#gone">5</a><img src="d.png"><a href="https://example.org/e">6</a>'
        '<link rel="next" href="f.html"><link rel="canonical" href="https://example.org/a.html">'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    assert website.broken_links(tmp_path) == [
        "a.html: #gone",
        "a.html: b.html#gone",
        "a.html: c.html",
        "a.html: d.png",
        "a.html: f.html",
    ]


@pytest.mark.slow
def test_links_to_the_repository_name_files_that_are_in_it(site):
    start = repository.read().file("")
    links = {
        link for path in website.pages(site) for link in website.read(path).links if link.startswith(start)
    }
    files = {link.removeprefix(start).partition("#")[0] for link in links}
    assert {"LICENSE", "backbones/measure/roofline.py"} <= files
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.slow
def test_every_picture_says_in_words_what_it_shows(site):
    silent = {
        (path.relative_to(site).as_posix(), source)
        for path in website.pages(site)
        for source, alt in website.read(path).pictures
        if alt is None or (not alt.strip() and "/_images/" in source) or alt.startswith(("../", "_images"))
    }
    assert silent == set()


@pytest.mark.slow
def test_headings_begin_at_one_and_leave_out_no_level(site):
    for path in [path for path in website.pages(site) if path.name != "search.html"]:  # a form, no article
        levels = website.read(path).headings
        assert levels.count(1) == 1, (path.name, levels)
        steps = list(zip(levels[levels.index(1) :], levels[levels.index(1) + 1 :], strict=False))
        assert all(lower - upper <= 1 for upper, lower in steps), (path.name, levels)


# ---- Nothing to fetch ----------------------------------------------------------------------------


@pytest.mark.slow
def test_no_page_asks_another_machine_for_anything(site):
    elsewhere = re.compile(r"^(https?:)?//")
    for path in website.pages(site):
        page = website.read(path)
        fetched = [*page.loads, *(source for source, _ in page.pictures)]
        assert [address for address in fetched if elsewhere.match(address)] == [], path.name
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"url\(\s*[\"']?((?:https?:)?//[^)]*)|@import\s+[\"'](?:https?:)?//", text) == [], (
            path.name
        )


# ---- Nothing that learners must not see ----------------------------------------------------------


def zipped(site: Path, target: Path) -> Path:
    """The words of the site as a zip, which `leaks` can search: pages without their markup.

    Left out are lessons and labs to download that are, to the byte, those of the repository.
    """
    with zipfile.ZipFile(target, "w") as archive:
        for path in site.rglob("*"):
            name = path.relative_to(site)
            if path.suffix == ".html" and name.parts[0] != "_static":
                archive.writestr(f"site/{name.as_posix()}.txt", website.read(path).text)
            elif name.parts[0] == "_sources" and path.is_file():
                original = ROOT / name.relative_to("_sources")
                public = name.parts[1] in ("notebooks", "labs") and original.is_file()
                if not public or original.read_bytes() != path.read_bytes():
                    archive.write(path, f"site/sources/{name.relative_to('_sources').as_posix()}")
    return target


@pytest.fixture(scope="module")
def needles() -> list[tuple[str, str]]:
    return leaks.needles(ROOT)


@pytest.mark.slow
def test_no_solution_and_no_hidden_test_is_on_it(site, needles, tmp_path):
    assert leaks.leaks(zipped(site, tmp_path / "site.zip"), ROOT, needles) == []
    names = [path.relative_to(site).as_posix() for path in site.rglob("*")]
    assert [name for name in names if "solution" in name or "mutants" in name] == []


@pytest.mark.slow
def test_a_solution_on_it_would_be_found(site, needles, tmp_path):
    """As code with colours, in a notebook to download, and in a page's text."""
    lab = find_labs(ROOT)[4]
    source = nbformat.read(lab.source, as_version=4)
    blocks = [block for cell in source.cells for block in leaks.marked(cell.source, leaks.HIDDEN)]
    secret = max(blocks, key=len)
    page = Path("labs", lab.folder.name, lab.source.stem)
    (tmp_path / page).parent.mkdir(parents=True)
    coloured = "\n".join(
        re.sub(r"(\w+)", r"<span>\1</span>", line.replace("<", "&lt;")) for line in secret.splitlines()
    )
    plain = (site / page.with_suffix(".html")).read_text(encoding="utf-8")
    (tmp_path / page.with_suffix(".html")).write_text(
        plain.replace("</article>", f"<pre>{coloured}</pre></article>")
    )
    download = (tmp_path / "_sources" / page).with_suffix(".ipynb")
    download.parent.mkdir(parents=True)
    shutil.copy(lab.source, download)
    found = "\n".join(leaks.leaks(zipped(tmp_path, tmp_path / "site.zip"), ROOT, needles))
    assert f"{page}.html.txt: it holds a hidden test of {lab.notebook}" in found
    assert f"sources/{page}.ipynb: it holds a solution of {lab.notebook}" in found


# ---- The parts that make it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("[a](b.md) [c](https://example.org/d)", "[a](b.md) [c](https://example.org/d)"),
        ("[a](../README.md#for-learners)", "[a](CODE/README.md#for-learners)"),
        ("[a](../backbones/deeplab.py)", "[a](CODE/backbones/deeplab.py)"),
        ("[a](nowhere.md)", "[a](nowhere.md)"),
        ("[A](#A)", "[A](#a)"),
        (
            "[![Launch](https://example.org/badge.svg)](https://example.org/x)",
            "[Launch](https://example.org/x)",
        ),
        ("![a picture](anatomy.png)", "![a picture](anatomy.png)"),
    ],
)
def test_links_lead_to_a_page_or_to_the_repository(tmp_path, markdown, expected):
    for name in ("b.md", "anatomy.png"):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        (tmp_path / "notebooks" / name).touch()
    found = site_extension.renewed_links(markdown, "notebooks/00_page", tmp_path)
    assert found == expected.replace("CODE/", repository.read().file(""))


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (
            ["Text.", "", "    a  table", "    b", "", "More."],
            ["Text.", "", "::", "", "    a  table", "    b", "", "More."],
        ),
        (["Args:", "    x: a number."], ["Args:", "    x: a number."]),
        (["Text.", "", "    a", "", "    b*"], ["Text.", "", "::", "", "    a", "", "    b*"]),
        (
            ["(B, *size) -> (C, *size), tf_", "an *empty* `*_`"],
            [r"(B, \*size) -> (C, \*size), tf\_", "an *empty* `*_`"],
        ),
    ],
)
def test_docstrings_are_shown_as_they_are_written(docstring, expected):
    assert site_extension.as_markup(docstring) == expected


def test_alternative_texts_are_found_by_the_picture(tmp_path):
    output = nbformat.v4.new_output(
        "display_data", {"image/png": "aGVsbG8="}, metadata={"image/png": {"alt": "a greeting"}}
    )
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    (name,) = site_extension.alternative_texts(tmp_path / "a.ipynb")
    assert name.startswith("2cf24dba5fb0a30e")  # SHA-256 of "hello"


def test_the_workflow_publishes_what_the_command_builds():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "site.yml").read_text(encoding="utf-8"))
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert [step["run"] for step in build["steps"] if "run" in step] == ["make site"]
    (upload,) = [step for step in build["steps"] if "upload-pages-artifact" in step.get("uses", "")]
    assert upload["with"]["path"] == site_module.TARGET.as_posix()
    assert workflow[True]["push"]["branches"] == ["main"]
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert workflow["permissions"] == {"contents": "read"}
