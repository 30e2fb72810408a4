"""Build the site: lessons with their outputs, labs as learners get them, the guide for instructors, the reference.

    python -m authoring.site          (make site)          writes build/site/; open index.html there

Pages are files of the repository, copied: each lies on the site where it lies in the repository, so that links
between them stay right. Four pages are made here from what stands elsewhere: the first one and the one on
grading from the README, the references from the lessons' last sections, the package's reference from its
modules. What is not in `gather` is not on the site; solutions never are (tests/authoring/test_site.py looks).

Sphinx builds it, with what site/ says; a warning of Sphinx is a mistake, and the command fails.
"""

import argparse
import ast
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from sphinx.cmd.build import build_main

from authoring.notebooks import ROOT, lessons
from grading.labs import find_labs

SOURCE, TARGET = Path("build", "site-source"), Path("build", "site")
# By what name learners import what lies elsewhere.
SHORT_NAMES = {"cost.py": "measure.cost", "plots.py": "show.plots", "explore.py": "show.quiz"}


def section(readme: str, heading: str) -> str:
    """A README's section of that heading, without the heading."""
    return re.split(rf"(?m)^## {re.escape(heading)}\n", readme)[1].split("\n## ")[0].strip() + "\n"


def toctree(caption: str, pages: list[str]) -> str:
    """Pages for the menu at the side."""
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def first_page(readme: str, lesson_pages: list[str], lab_pages: list[str]) -> str:
    """What the course is, how to begin, its map; and the menu of all pages."""
    opening = re.sub(r" \[Read it online\]\([^)]*\)", "", readme.split("\n## ")[0])
    learners = section(readme, "For learners")
    license_ = section(readme, "Licence")
    menu = [
        toctree("Lessons", lesson_pages),
        toctree("Labs", lab_pages),
        toctree("Look up", ["notebooks/glossary", "references"]),
        toctree("For instructors", ["grading", "INSTRUCTORS"]),
        toctree("The package", ["api/index", *(f"api/{name}" for name in modules())]),
    ]
    return "\n".join([opening, "\n## For learners\n", learners, "\n## Licence\n", license_, *menu])


def references() -> str:
    """What the lessons cite, lesson by lesson."""
    parts = ["# References\n", "What the lessons cite, in their order.\n"]
    for path in lessons():
        cells = nbformat.read(path, as_version=4).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        title = texts[0].splitlines()[0].removeprefix("# ")
        cited = "\n".join(texts).rpartition("\n## References\n")[2]
        cited = re.split(r"\n\*\*(Next|Words):\*\*", cited)[0].strip()
        parts += [f"## {title}\n", f"From [lesson {path.name[:2]}](notebooks/{path.name}).\n", cited, ""]
    return "\n".join(parts)


def modules() -> dict[str, list[str]]:
    """The package's modules by the page that they stand on, each package with what is in it.

    Returns:
        {"backbones.backbone": ["backbones.backbone"], "backbones.heads": ["backbones.heads", ...]}
    """
    package = ROOT / "backbones"
    pages = {}
    for path in sorted(package.iterdir()):
        if path.suffix == ".py" and path.name != "__init__.py" and path.name not in SHORT_NAMES:
            pages[f"backbones.{path.stem}"] = [f"backbones.{path.stem}"]
        elif (path / "__init__.py").is_file():
            name = f"backbones.{path.name}"
            inner = sorted(part.stem for part in path.glob("*.py") if part.name != "__init__.py")
            pages[name] = [name, *(f"{name}.{stem}" for stem in inner)]
    return pages


def summary(name: str) -> str:
    """The first sentence of a module's docstring."""
    path = ROOT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=[.:])\s", " ".join(text.split()))[0].rstrip(":.") + "."


def reference_pages() -> Iterator[tuple[str, str]]:
    """The package's reference: (name of a page, its text)."""
    pages = modules()
    text = [
        "# The package",
        "",
        "What lessons and labs import, made from the docstrings. Begin with the contract,",
    ]
    text += ["[backbones.backbone](backbones.backbone.md). `from backbones import ...` and"]
    text += ["`from backbones.data import ...` give the usual names; and", ""]
    text += [f"- `backbones.{Path(file).stem}` is `backbones.{name}`" for file, name in SHORT_NAMES.items()]
    text += ["", "| module | what it is |", "|---|---|"]
    text += [f"| [{name}]({name}.md) | {summary(name)} |" for name in pages]
    yield "index", "\n".join([*text, ""])
    for name, parts in pages.items():
        text = [f"# {name}", ""]
        for part in parts:
            text += [f"## {part}", ""] if part != name else []
            package = part == name and len(parts) > 1  # whose members are those of its modules
            text += ["```{eval-rst}", f".. automodule:: {part}", *["   :no-members:"] * package, "```", ""]
        yield name, "\n".join(text)


def gather(source: Path) -> None:
    """Put everything that the site is made of into `source`, a folder of nothing else."""
    shutil.rmtree(source, ignore_errors=True)
    lesson_paths = lessons()
    lab_paths = [ROOT / "labs" / lab.folder.name / lab.source.name for lab in find_labs(ROOT)]
    glossary = ROOT / "notebooks" / "glossary.ipynb"
    copied = [
        *lesson_paths,
        *lab_paths,
        glossary,
        ROOT / "INSTRUCTORS.md",
        ROOT / "notebooks" / "anatomy.png",
    ]
    for path in copied:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    docname = [
        [path.relative_to(ROOT).with_suffix("").as_posix() for path in paths]
        for paths in (lesson_paths, lab_paths)
    ]
    made = {
        "index": first_page(readme, *docname),
        "grading": f"# Grading\n\n{section(readme, 'For instructors')}",
        "references": references(),
        **{f"api/{name}": text for name, text in reference_pages()},
    }
    (source / "api").mkdir()
    for name, text in made.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")


def build(source: Path, target: Path) -> int:
    """Gather the pages into `source` and build the site into `target`; both are emptied first.

    Returns:
        Sphinx's exit status: 0, or another where it warned of anything.
    """
    gather(source)
    shutil.rmtree(target, ignore_errors=True)
    doctrees = source.with_name(f"{source.name}-doctrees")
    shutil.rmtree(doctrees, ignore_errors=True)
    options = ["-b", "html", "-q", "-W", "--keep-going", "-E", "-c", str(ROOT / "site"), "-d", str(doctrees)]
    return build_main([*options, str(source), str(target)])


def main(arguments: list[str] | None = None) -> int:
    """The command, which takes no options.

    Returns:
        0; 1 with a sentence where something is wrong with a page.
    """
    argparse.ArgumentParser(prog="python -m authoring.site", description=__doc__.split("\n")[0]).parse_args(
        arguments
    )
    if build(ROOT / SOURCE, ROOT / TARGET):
        print("the site was not built without mistakes: the lines above name each", file=sys.stderr)
        return 1
    pages = len(list((ROOT / TARGET).rglob("*.html")))
    print(f"{TARGET}: {pages} pages; open {TARGET / 'index.html'} in a browser, no network is needed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
