"""What every test of the package wants."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The networks here are tiny and pytest runs several workers: more threads would wait for one another."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def what_is_imported_stays() -> Iterator[None]:
    """`fit` tidies up behind itself: without this it looks through all of torch each time, 0.2 of 0.25 s."""
    gc.freeze()
    yield
    gc.unfreeze()
