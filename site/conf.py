"""How Sphinx makes the site. `make site` gathers the pages and calls it: authoring/site.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from authoring import repository
from authoring.notebooks import ROOT

HERE = repository.read()

project = "Backbones"
author = "the authors of the course Backbones"
project_copyright = f"{author}. Texts and figures: CC BY 4.0, code: MIT"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.linkcode",
    "authoring.site_extension",
]

# ---- Notebooks: shown as they were committed -----------------------------------------------------

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # saved notebooks hold no widgets; without this, pages would ask a CDN for their scripts
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"  # made while building: no script, nothing to fetch

# ---- The package's reference, from its docstrings ------------------------------------------------

default_role = (
    "py:obj"  # `Features` in a docstring is a link where there is such a thing, and code everywhere
)
add_module_names = False
python_use_unqualified_type_names = True
autodoc_typehints = "signature"
autoclass_content = "both"  # the class, then what it is made with
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # Lightning's and torch's own words are in their documentation
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # a dataclass's fields are objects already


def linkcode_resolve(domain: str, info: dict[str, str]) -> str:
    """Where the code of a module is read: its file in the repository."""
    path = Path(*info["module"].split("."))
    path = path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")
    return HERE.file(path.as_posix())


# ---- Look ----------------------------------------------------------------------------------------

html_theme = "sphinx_book_theme"
html_title = "Backbones"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_use_index = html_domain_indices = False  # there is a search
html_copy_source = True  # what the download button gives
html_baseurl = HERE.site
html_theme_options = {
    "repository_url": HERE.code,
    "repository_branch": "main",
    "path_to_docs": "",  # pages lie here where they lie in the repository
    "use_repository_button": True,
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search stands at the side
    "footer_content_items": ["copyright.html"],
    "show_toc_level": 2,
    "search_bar_text": "Search the course",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
