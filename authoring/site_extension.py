"""What the site needs of Sphinx beyond its own extensions (site/conf.py loads this).

- *Formulas* become MathML while the site is built: browsers draw it and screen readers read it, without a script.
- *Figures* get the alternative texts that `plots.show` saved beside them; myst-nb reads width and height only.
- *Links* to files of the repository that are no page here lead to GitHub. Pictures from elsewhere, such as
  badges, would be asked for when the page is opened: their words stand there instead.
- *Docstrings* are written to be read in an editor: an indented table there is shown as it is.
"""

import binascii
import hashlib
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

import nbformat
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

from authoring import repository
from authoring.notebooks import ROOT

LOGGER = logging.getLogger(__name__)
LINK = re.compile(r"\]\((?![a-z]+:|#)(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
ELSEWHERE = re.compile(r"!\[([^\]]*)\]\(https?://[^)\s]*\)")
# Of a docstring: code, emphasis, or a single character that Sphinx would take for the beginning of markup.
MARKUP = re.compile(r"`[^`]*`|(?<![\w*])\*\w(?:[^*]*[^\s*(,])?\*(?![\w*])|\*|(?<=\w)_(?!\w)")
ANCHOR = re.compile(r"(?<=\]\(#)[^)\s]+(?=\))")


def renewed_links(text: str, docname: str, source: Path) -> str:
    """A page's text, as it stands in its file, with links that lead somewhere from the site.

    Args:
        text: Markdown, or a notebook's JSON: links look the same in both.
        docname: the page's path without suffix, as in "notebooks/00_name".
        source: the folder with everything that the site is made of.
    """
    where = repository.read()

    def lead(link: re.Match) -> str:
        path = normpath(PurePosixPath(docname).parent / link["path"])
        if (source / path).is_file() or path.startswith("..") or not (ROOT / path).exists():
            return link[0]  # on the site; or nowhere, of which Sphinx warns
        return f"]({where.file(path)}{link['anchor'] or ''})"

    text = ELSEWHERE.sub(r"\1", text)
    text = ANCHOR.sub(lambda anchor: anchor[0].lower(), text)  # "#A" in Jupyter is "#a" here
    return LINK.sub(lead, text)


def on_source(app: Sphinx, docname: str, content: list[str]) -> None:
    """Mend the links of a page before it is read."""
    content[0] = renewed_links(content[0], docname, Path(app.srcdir))


def alternative_texts(path: Path) -> dict[str, str]:
    """The alternative texts of a notebook's figures, by the SHA-256 of the picture, after which myst-nb names it."""
    texts = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt and "image/png" in output.data:
                picture = binascii.a2b_base64(output.data["image/png"])
                texts[hashlib.sha256(picture).hexdigest()] = alt
    return texts


def on_doctree(app: Sphinx, doctree: nodes.document) -> None:
    """Give every figure of a notebook its alternative text."""
    path = Path(app.env.doc2path(app.env.docname))
    texts = alternative_texts(path) if path.suffix == ".ipynb" else {}
    for image in doctree.findall(nodes.image):
        if alt := texts.get(Path(image["uri"]).stem):
            image["alt"] = alt


def without_empty_headers(app: Sphinx, doctree: nodes.document) -> None:
    """Take the head off a table whose columns have no names: Markdown has no other way to write one."""
    for head in list(doctree.findall(nodes.thead)):
        if not head.astext().strip():
            head.parent.remove(head)


def mathml(visitor: Any, node: nodes.Element, as_block: bool) -> None:
    """Write one formula."""
    try:
        formula = str(tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        LOGGER.warning("this formula cannot be written: %s: %s", node.astext(), error, location=node)
        formula = visitor.encode(node.astext())
    if as_block:  # a long one is scrolled, by keyboard too
        formula = f'<div class="formula" role="group" aria-label="Formula" tabindex="0">{formula}</div>\n'
    visitor.body.append(formula)
    raise nodes.SkipNode


def visit_math(visitor: Any, node: nodes.Element) -> None:
    """A formula in running text."""
    mathml(visitor, node, as_block=False)


def visit_displaymath(visitor: Any, node: nodes.Element) -> None:
    """A formula on a line of its own."""
    mathml(visitor, node, as_block=True)


def as_markup(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText.

    An indented block after an empty line is shown to the letter. (What follows a colon on the line above, as
    in `Args:`, is a section and stays.) Stars and underscores of names, as in (B, *size) or tf_, are no markup.
    """
    result: list[str] = []
    indented = literal = False
    for line in lines:
        if line.strip():
            before, indented = indented, line.startswith("    ")
            if indented and not before and result and not result[-1].strip():
                result += ["::", ""]
                literal = True
            literal = literal and indented
        result.append(line if literal else MARKUP.sub(escaped, line))
    return result


def escaped(found: re.Match) -> str:
    """Code and emphasis as they are, a star or an underscore with a backslash."""
    return found[0] if len(found[0]) > 1 else f"\\{found[0]}"


def on_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make a docstring what Sphinx reads."""
    lines[:] = as_markup(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    app.connect("source-read", on_source)
    app.connect("doctree-read", on_doctree)
    app.connect("doctree-read", without_empty_headers)
    app.connect("autodoc-process-docstring", on_docstring, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
