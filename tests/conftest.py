"""What every test of the package wants."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The networks here are tiny and pytest runs several workers: more threads would wait for one another."""
    import torch

    torch.set_num_threads(1)
