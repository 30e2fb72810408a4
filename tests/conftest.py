"""What every test of the package wants."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The networks here are tiny and pytest runs several workers: more threads would wait for one another."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A course with the tiny lab, its learner's version, and a right answer to it."""
    import nbformat
    from grading_samples import tiny_course, tiny_lab, with_answers

    from authoring import release

    root = tiny_course(tmp_path_factory.mktemp("course"))
    assert release.main(["--course", str(root)]) == 0
    stubs = nbformat.read(root / "labs" / "lab77_tiny" / "lab77.ipynb", as_version=4)
    return {"root": root, "stubs": stubs, "right": with_answers(stubs, tiny_lab())}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course's website, built once for all workers."""
    import website

    own = tmp_path_factory.getbasetemp()
    return website.build(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
