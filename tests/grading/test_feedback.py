"""Feedback pages are those that nbgrader makes, in less time."""

from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from grading.feedback import COMPILED, NO_ALT, Feedback, Page, described


def test_a_page_is_the_same_once_it_is_parsed() -> None:
    printed = new_output("stream", name="stdout", text="1 < 2 <img> & \x1b[31mred\x1b[0m\n")
    notebook = new_notebook(
        cells=[
            new_markdown_cell(
                '# A\n<img src="a.png">\n![x](b.png)\n<script>a = "<img src=1>"</script> $a<b$'
            ),
            new_code_cell("print('<img>')  # é", outputs=[printed]),
        ]
    )
    for _ in range(2):  # the second time with templates that are compiled
        theirs, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
        ours, _ = Page(template_name="classic").from_notebook_node(notebook)
        assert str(BeautifulSoup(ours, features="html.parser")) == theirs
    assert NO_ALT in ours
    assert COMPILED.codes


def test_only_images_without_a_description_get_one() -> None:
    given = '<img src="a"><IMG><img alt="b"><imge><style>c<img></style><SCRIPT>"<img>"</SCRIPT><img/>&lt;img>'
    told = f' alt="{NO_ALT}"'
    assert described(given) == (
        f'<img{told} src="a"><IMG{told}><img alt="b"><imge><style>c<img></style><SCRIPT>"<img>"</SCRIPT>'
        f"<img{told}/>&lt;img>"
    )


def test_nbgraders_step_makes_such_pages() -> None:
    assert Feedback().exporter_class is Page
