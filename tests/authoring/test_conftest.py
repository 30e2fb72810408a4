"""Tests come in an order in which two workers finish together: conftest.py."""

from types import ModuleType, SimpleNamespace

import pytest

from authoring.notebooks import ROOT

FILES = [
    "notebooks/00_a.ipynb",
    "notebooks/01_a.ipynb",
    "solutions/lab01_a/lab01.ipynb",
    "tests/labs/test_isolated.py",
    "tests/labs/test_labs.py",
    "tests/browser/test_site_browser.py",
    "tests/grading/test_corpus.py",
    "tests/authoring/test_conftest.py",
    "tests/deploy/test_hub.py",
    "tests/backbones/test_cost.py",
]


@pytest.fixture
def rules(pytestconfig: pytest.Config) -> ModuleType:
    return pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py"))


def test_long_files_come_first_and_short_ones_last(rules: ModuleType) -> None:
    items = [SimpleNamespace(nodeid=f"{file}::test_{number}") for file in sorted(FILES) for number in (2, 1)]
    rules.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == [
        f"{file}::test_{number}" for file in FILES for number in (2, 1)
    ]


def test_every_folder_of_that_order_is_there(rules: ModuleType) -> None:
    assert all((ROOT / folder).is_dir() for folder in (*rules.FIRST, rules.LAST))
