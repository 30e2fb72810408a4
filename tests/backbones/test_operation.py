"""The drawings of operations: every sum that they print is the one that torch computes."""

import itertools
import re
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from backbones import cost, plots
from backbones.show import operation, palette

ROW, WEIGHTS = [3.0, 1.0, 4.0, -1.0, 5.0, 9.0, -2.0, 6.0], [-1.0, 2.0, 0.5]
IMAGE = [[float((3 * y + 5 * x) % 7) for x in range(8)] for y in range(7)]
KERNEL = [[-1.0, 0.0, 1.0], [2.0, -2.0, 0.5]]
GEOMETRIES = list(itertools.product((1, 2, 3), (0, 1, 2), (1, 2, 3)))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def said(figure: Figure) -> float:
    """The result in a figure's title, when the products before it do add up to it."""
    _, products, result = figure.get_suptitle().replace("−", "-").replace("·", "*").split(" = ")
    assert re.fullmatch(r"[-+*(). \de]+", products)
    assert eval(products) == pytest.approx(float(result))
    assert not re.search(r"[-+*]\s*-", products), "negative numbers stand in parentheses"
    return float(result)


def in_green(figure: Figure) -> float:
    """The number that stands in the one green square."""
    squares = [
        (axis, patch)
        for axis in figure.axes
        for patch in axis.patches
        if isinstance(patch, Rectangle)
        and patch.get_width() < 1
        and to_hex(patch.get_edgecolor()) == palette.THIRD.lower()
    ]
    ((axis, square),) = squares
    x, y = square.get_x() + 0.45, square.get_y() + 0.45
    (text,) = [text for text in axis.texts if text.get_position() == pytest.approx((x, y))]
    return float(text.get_text().replace("−", "-"))


@pytest.mark.parametrize(("stride", "padding", "dilation"), GEOMETRIES)
def test_a_row_is_convolved_as_by_torch(stride, padding, dilation):
    expected = F.conv1d(
        torch.tensor([[ROW]]),
        torch.tensor([[WEIGHTS]]),
        stride=stride,
        padding=padding,
        dilation=dilation,
    )[0, 0].tolist()
    for position in {0, len(expected) // 2, len(expected) - 1}:
        value = expected[position]
        figure = operation.convolution_1d(ROW, WEIGHTS, position, stride, padding, dilation)
        assert said(figure) == in_green(figure) == pytest.approx(value)


@pytest.mark.parametrize(("stride", "padding", "dilation"), GEOMETRIES)
def test_an_image_is_convolved_as_by_torch(stride, padding, dilation):
    image, kernel = torch.tensor([[IMAGE]]), torch.tensor([[KERNEL]])
    expected = F.conv2d(image, kernel, stride=stride, padding=padding, dilation=dilation)[0, 0]
    position = (expected.shape[0] - 1, expected.shape[1] // 2)
    figure = operation.convolution_2d(IMAGE, KERNEL, position, stride, padding, dilation)
    assert said(figure) == in_green(figure) == pytest.approx(float(expected[position]))


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_copies_of_the_kernel_add_up_as_by_torch(stride):
    expected = F.conv_transpose1d(torch.tensor([[ROW[:4]]]), torch.tensor([[WEIGHTS]]), stride=stride)[0, 0]
    for position, value in enumerate(expected.tolist()):
        figure = operation.transposed_1d(ROW[:4], WEIGHTS, position, stride)
        if stride == 4 and position % 4 == 3:  # a gap between two copies
            assert figure.get_suptitle() == f"output {position} = 0 (no copy lies here)"
        else:
            assert said(figure) == pytest.approx(value)
        assert in_green(figure) == pytest.approx(value)


def test_depthwise_then_pointwise_is_one_convolution_of_the_product_of_the_weights():
    channels, kernels, mix = (
        [ROW, ROW[::-1], [1.0] * 8],
        [WEIGHTS, [1.0, 0.0, 2.0], [0.0, 1.0, 0.0]],
        [1, -1, 2],
    )
    weight = torch.tensor(kernels) * torch.tensor(mix)[:, None]
    expected = F.conv1d(torch.tensor([channels]), weight[None])[0, 0].tolist()
    for position, value in enumerate(expected):
        figure = operation.separable_1d(channels, kernels, mix, position)
        assert said(figure) == in_green(figure) == pytest.approx(value)


def test_a_position_behind_the_last_is_the_last():
    drawings = (
        lambda place: operation.convolution_1d(ROW, WEIGHTS, place),
        lambda place: operation.convolution_2d(IMAGE, KERNEL, (place, place)),
        lambda place: operation.transposed_1d(ROW, WEIGHTS, place),
        lambda place: operation.separable_1d([ROW], [WEIGHTS], [2.0], place),
    )
    for draw, last in zip(drawings, ("5", "(5, 5)", "9", "5"), strict=True):
        assert draw(99).get_suptitle().startswith(f"output {last} = ")


def test_a_kernel_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="spans 9 numbers of 8: take less dilation or more padding"):
        operation.convolution_1d(ROW, WEIGHTS, dilation=4)
    with pytest.raises(ValueError, match="spans 9 numbers of 8"):
        operation.convolution_2d(IMAGE, KERNEL, dilation=4)
    assert said(operation.convolution_1d(ROW, WEIGHTS, padding=1, dilation=4)) == pytest.approx(
        0 + 2 * -1 + 3
    )


@pytest.mark.parametrize(
    "layers", [[(3, 1, 1)] * 3, [(3, 2, 1)] * 3, [(3, 1, 1), (3, 1, 2), (3, 1, 4)], [(5, 2, 1), (3, 1, 2)]]
)
def test_a_stack_depends_on_as_many_inputs_as_its_receptive_field(layers):
    network = nn.Sequential(*(nn.Conv1d(1, 1, k, s, d * (k - 1) // 2, d) for k, s, d in layers))
    axis = plots.subplots()[1][0, 0]
    seen = operation.stack_1d(axis, layers, width=65, asked=[3])
    assert seen[-1] - seen[0] + 1 == cost.receptive_field(network, torch.zeros(1, 1, 65)).size
    inputs = torch.zeros(1, 1, 65, requires_grad=True)
    for layer in network:
        nn.init.ones_(layer.weight)
    network(inputs)[0, 0, 3].backward()
    assert inputs.grad[0, 0].nonzero().flatten().tolist() == [i for i in seen if i >= 0]
