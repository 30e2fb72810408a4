"""The peak of memory, against numbers worked out by hand."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.memory import peak_bytes


class Residual(nn.Module):
    def __init__(self, inplace: bool):
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace), nn.Conv2d(4, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return x + self.body(x)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_shortcut_that_waits(inplace: bool) -> None:
    """The image, the shortcut and the two sides of one operation are there at once: of the ReLU or, when it
    works in place, of the convolution behind it."""
    assert peak_bytes(Residual(inplace).eval(), torch.rand(1, 4, 8, 8)) == 4 * (4 * 4 * 8 * 8)


def test_without_the_weights() -> None:
    assert peak_bytes(nn.Linear(64, 64), torch.rand(1, 64)) == 4 * (64 + 64)


def test_the_images_are_not_changed() -> None:
    images = torch.rand(1, 3, 8, 8) - 0.5
    before = images.clone()
    peak_bytes(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 1)), images)
    assert torch.equal(images, before)


def test_two_inputs_and_the_way_back() -> None:
    """Of x @ y + the bias: x, y, product, sum; then the total, its gradient, and those of bias and of x @ y.

    On the way back the total is gone, its gradient (one number, seen as 4 x 4) waits; the bias' is new.
    """

    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(4, 4))

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.exp(x @ y + self.bias)

    given = torch.rand(4, 4), torch.rand(4, 4)
    module = Product()
    assert peak_bytes(module, *given) == 4 * 16 * 4  # x, y; two of product, sum, exponential
    # x, y, the exponential (kept for the way back), total and its gradient, and the gradient of the sum.
    assert peak_bytes(module, *given, backward=True) == 4 * (16 * 4 + 2)
    assert torch.equal(module.bias.grad, torch.exp(given[0] @ given[1]))
