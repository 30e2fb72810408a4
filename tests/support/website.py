"""The site as it is built, and its pages as a program reads them: what the tests of the site need."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import sys
from pathlib import Path
from authoring import site
sys.exit(site.build(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def build(shared: Path) -> Path:
    """The folder of the site, built by whoever asks first.

    Args:
        shared: a folder that all workers of one run of pytest know.

    Raises:
        AssertionError: with what Sphinx said, where it was not built without a warning.
    """
    target, report = shared / "site" / "html", shared / "site" / "failed.txt"
    with FileLock(shared / "site.lock"):
        if not report.exists():
            report.parent.mkdir()
            done = subprocess.run(
                [sys.executable, "-c", BUILD, shared / "site" / "source", target],
                cwd=ROOT,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=500,
            )
            report.write_text(done.stdout if done.returncode else "", encoding="utf-8")
    failed = report.read_text(encoding="utf-8")
    assert not failed, failed
    return target


@dataclass
class Page(HTMLParser):
    """What stands on one page.

    Attributes:
        ids: anchors.
        links: what its links lead to.
        loads: what a browser fetches to show it.
        pictures: (address, alternative text or None).
        headings: the levels of its own headings, in order; not those of menus and dialogues.
    """

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    pictures: list[tuple[str, str | None]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    in_article: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.pictures.append((given.get("src") or "", given.get("alt")))
        if tag == "link" and given.get("rel") != "canonical":
            named = given.get("rel") in ("index", "search", "next", "prev")  # fetched by nobody
            (self.links if named else self.loads).append(given.get("href") or "")
        if given.get("src"):
            self.loads.append(given["src"])
        self.in_article |= tag == "article"
        if self.in_article and tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        self.in_article &= tag != "article"

    def handle_data(self, data: str) -> None:
        self.lines.append(data)

    @property
    def text(self) -> str:
        """All of its words, code with its lines as they are."""
        return "".join(self.lines)


@cache
def read(path: Path) -> Page:
    """A page by its file."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def pages(site: Path) -> list[Path]:
    """The files of all pages. (What lies in _static/ with such a name is a part of the theme.)"""
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)


def broken_links(site: Path) -> list[str]:
    """Each link to the site itself that leads to no file, or to no anchor there: "page: link"."""
    found = []
    for path in pages(site):
        page = read(path)
        for link in {*page.links, *page.loads, *(source for source, _ in page.pictures)}:
            if link.partition(":")[0] in ("http", "https", "mailto", "data"):
                continue
            address, anchor = map(unquote, urldefrag(link))
            target = (path.parent / address.partition("?")[0]).resolve() if address else path
            target = target / "index.html" if target.is_dir() else target
            gone = anchor and target.suffix == ".html" and target.is_file() and anchor not in read(target).ids
            if gone or not target.is_file():
                found.append(f"{path.relative_to(site)}: {link}")
    return sorted(found)
