"""Drawings of lesson 02's operations on a few numbers: what one output reads, its products and their sum.

The sum is the title. Blue: the weights, which stay the same everywhere, and what they touch; green: the
output asked for; dashed: padding.
An output position behind the last one means the last one, so that sliders need not know how many there are.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .palette import INK, STAYS, THIRD
from .plots import subplots

Numbers = Sequence[float]
PLAIN = {"facecolor": "white", "edgecolor": INK, "linewidth": 0.8}
PADDING = PLAIN | {"edgecolor": "#888888", "linestyle": "--"}
TOUCHED = {"facecolor": "#D9E9F5", "edgecolor": STAYS, "linewidth": 1.6, "zorder": 2}
ASKED = {"facecolor": "#C5E8DC", "edgecolor": THIRD, "linewidth": 3, "zorder": 3}


def taps(position: int, size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> list[int]:
    """Which inputs the output at `position` reads; below 0 and behind the last input lies padding."""
    return [position * stride - padding + dilation * weight for weight in range(size)]


def convolution_1d(
    inputs: Numbers, kernel: Numbers, position: int = 0, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Figure:
    """Inputs above, with the weights on those that are read; each output below the middle of what it reads.

    Raises:
        ValueError: the kernel is longer than the padded input.
    """
    geometry = stride, padding, dilation
    outputs = _convolve([inputs], [kernel], stride, (0, padding), dilation)[0]
    position = min(position, len(outputs) - 1)
    padded = {x: inputs[x] if 0 <= x < len(inputs) else 0 for x in range(-padding, len(inputs) + padding)}
    read = dict(zip(taps(position, len(kernel), *geometry), kernel, strict=True))
    middles = [sum(taps(x, len(kernel), *geometry)) / len(kernel) for x in range(len(outputs))]
    figure, axes = subplots(1, 1, 0.62 * len(padded) + 1.2, 2.5)
    axis = _empty(axes[0, 0], (-padding - 2, len(inputs) + padding - 0.4), (-0.6, 2.6))
    _row(axis, 0, padded, "input", read, inside=range(len(inputs)))
    axis.plot([[*read], [middles[position]] * len(kernel)], [0.5, 1.5], color=STAYS, linewidth=1.5)
    _row(axis, 2, dict(zip(middles, outputs, strict=True)), "output", asked=middles[position])
    figure.suptitle(_equation(position, [padded[x] for x in read], kernel))
    return figure


def convolution_2d(
    image: Sequence[Numbers],
    kernel: Sequence[Numbers],
    position: tuple[int, int] = (0, 0),
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Figure:
    """The image, with the weights on what is read, and the output; position: (row, column).

    Raises:
        ValueError: the kernel is larger than the padded image.
    """
    outputs = _convolve(image, kernel, stride, (padding, padding), dilation)
    row, column = min(position[0], len(outputs) - 1), min(position[1], len(outputs[0]) - 1)
    down = taps(row, len(kernel), stride, padding, dilation)
    across = taps(column, len(kernel[0]), stride, padding, dilation)
    padded = F.pad(torch.tensor(image), [padding] * 4).tolist()
    figure, axes = subplots(1, 2, 10.5, 5)
    half = max(len(padded), len(padded[0])) / 2 + 0.1  # squares are as large on both sides
    for axis, rows, first, name in (
        (axes[0, 0], padded, -padding, "input"),
        (axes[0, 1], outputs, 0, "output"),
    ):
        middle_x, middle_y = first + (len(rows[0]) - 1) / 2, first + (len(rows) - 1) / 2
        _empty(axis, (middle_x - half, middle_x + half), (middle_y - half, middle_y + half), name)
    for y, numbers in enumerate(padded, -padding):
        weights = dict(zip(across, kernel[down.index(y)], strict=True)) if y in down else {}
        inside = range(len(image[0])) if 0 <= y < len(image) else ()
        _row(axes[0, 0], y, dict(enumerate(numbers, -padding)), weights=weights, inside=inside)
    for y, numbers in enumerate(outputs):
        _row(axes[0, 1], y, dict(enumerate(numbers)), asked=column if y == row else None)
    read = [padded[y + padding][x + padding] for y in down for x in across]
    figure.suptitle(_equation((row, column), read, [weight for line in kernel for weight in line]))
    return figure


def transposed_1d(inputs: Numbers, kernel: Numbers, position: int = 0, stride: int = 1) -> Figure:
    """Each input lays a copy of the kernel, times itself, into the output; what meets there is added up."""
    tensors = torch.tensor([[inputs]]).float(), torch.tensor([[kernel]]).float()
    outputs = F.conv_transpose1d(*tensors, stride=stride)[0, 0].tolist()
    position, last = min(position, len(outputs) - 1), len(inputs) + 0.3
    met = [i for i in range(len(inputs)) if 0 <= position - i * stride < len(kernel)]
    figure, axes = subplots(1, 1, 0.62 * len(outputs) + 2, 0.62 * len(inputs) + 1.3)
    axis = _empty(axes[0, 0], (-3.4, len(outputs) - 0.4), (-0.6, last + 0.6))
    for i, number in enumerate(inputs):
        copy = {i * stride + place: number * weight for place, weight in enumerate(kernel)}
        _row(axis, i, copy, f"{_text(number)} × kernel", look=TOUCHED)
    _row(axis, last, dict(enumerate(outputs)), "output", asked=position)
    axis.axvspan(position - 0.5, position + 0.5, color=THIRD, alpha=0.2, zorder=0)
    figure.suptitle(
        _equation(position, [inputs[i] for i in met], [kernel[position - i * stride] for i in met])
    )
    return figure


def separable_1d(
    channels: Sequence[Numbers], kernels: Sequence[Numbers], mix: Numbers, position: int = 0
) -> Figure:
    """Depthwise: a kernel for each channel. Pointwise: `mix`, a weight for each channel, adds the results."""
    results = [_convolve([row], [kernel])[0] for row, kernel in zip(channels, kernels, strict=True)]
    output = (torch.tensor(mix).float() @ torch.tensor(results)).tolist()
    position, last = min(position, len(output) - 1), len(channels) - 1
    figure, axes = subplots(1, 3, 13, 0.62 * len(channels) + 1.1)
    names = (
        "input, a kernel for each channel",
        "depthwise: channels stay apart",
        "pointwise: channels are mixed",
    )
    for axis, name in zip(axes[0], names, strict=True):
        _empty(axis, (-0.7, len(channels[0]) - 0.3), (-0.7, last + 0.7), name)
    for y, (numbers, kernel) in enumerate(zip(channels, kernels, strict=True)):
        _row(axes[0, 0], y, dict(enumerate(numbers)), weights=dict(enumerate(kernel, position)))
        _row(axes[0, 1], y, dict(enumerate(results[y], 1)), weights={position + 1: mix[y]})
    _row(axes[0, 2], last / 2, dict(enumerate(output, 1)), asked=position + 1)
    figure.suptitle(_equation(position, [result[position] for result in results], mix))
    return figure


def stack_1d(axis: Axes, layers: Sequence[tuple[int, int, int]], width: int, asked: list[int]) -> list[int]:
    """Layers as rows of points, the input lowest, with lines to all that the outputs `asked` depend on.

    Args:
        axis: to draw into.
        layers: (kernel, stride, dilation) each; kernels are odd and padded so that the middle stays there.
        width: how many inputs are drawn.
        asked: positions of the last layer.
    Returns:
        The inputs that these depend on, some of them in the padding.
    """
    jumps = [1]
    for _, stride, _ in layers:
        jumps.append(jumps[-1] * stride)
    for level in range(len(layers), -1, -1):
        jump, below = jumps[level], jumps[level - 1]
        points = range(0, width, jump)
        axis.plot(points, [level] * len(points), "o", color="#BBBBBB")
        places = [x * jump for x in asked]
        axis.plot(places, [level] * len(asked), "o", color=THIRD if level == len(layers) else STAYS, ms=9)
        if level:
            size, stride, dilation = layers[level - 1]
            read = [taps(x, size, stride, dilation * (size - 1) // 2, dilation) for x in asked]
            for place, inputs in zip(places, read, strict=True):
                ends = [[place] * size, [i * below for i in inputs]]
                axis.plot(ends, [level, level - 1], color=STAYS, linewidth=1, zorder=1)
            asked = sorted({i for inputs in read for i in inputs})
    names = ["input", *(f"layer {number}" for number in range(1, len(jumps)))]
    axis.set(xticks=[], yticks=range(len(jumps)), yticklabels=names, xlim=(-0.7, width - 0.3))
    axis.spines[["left", "bottom"]].set_visible(False)
    return asked


def _convolve(
    rows: Sequence[Numbers],
    kernel: Sequence[Numbers],
    stride: int = 1,
    padding: tuple = (0, 0),
    dilation: int = 1,
) -> list[list[float]]:
    """torch's own convolution of one image by one kernel."""
    for side, weights, border in zip((rows, rows[0]), (kernel, kernel[0]), padding, strict=True):
        span, there = dilation * (len(weights) - 1) + 1, len(side) + 2 * border
        if span > there:
            raise ValueError(
                f"this kernel spans {span} numbers of {there}: take less dilation or more padding"
            )
    tensors = torch.tensor([[rows]]).float(), torch.tensor([[kernel]]).float()
    return F.conv2d(*tensors, stride=stride, padding=padding, dilation=dilation)[0, 0].tolist()


def _text(number: float) -> str:
    return f"{number:g}".replace("-", "−")


def _factor(number: float) -> str:
    """A number of a product: negative ones in parentheses."""
    return _text(number) if number >= 0 else f"({_text(number)})"


def _equation(position: int | tuple[int, int], numbers: Numbers, weights: Numbers) -> str:
    pairs = [*zip(numbers, weights, strict=True)]
    products = " + ".join(f"{_factor(n)}·{_factor(w)}" for n, w in pairs)
    if not pairs:
        return f"output {position} = 0 (no copy lies here)"
    return f"output {position} = {products} = {_text(sum(n * w for n, w in pairs))}"


def _empty(axis: Axes, x: tuple[float, float], y: tuple[float, float], title: str = "") -> Axes:
    """An axis without ticks, one unit as long in both directions, y downwards."""
    axis.set(xlim=x, ylim=y[::-1], aspect="equal", title=title)
    axis.axis("off")
    return axis


def _row(
    axis: Axes,
    y: float,
    numbers: Mapping[float, float],
    name: str = "",
    weights: Mapping[float, float] | None = None,
    asked: float | None = None,
    inside: Sequence[int] | None = None,
    look: dict = PLAIN,
) -> None:
    """Squares in a row, numbers by place; those with a weight show it below the number."""
    weights = weights or {}
    axis.text(axis.get_xlim()[0], y, name, va="center")
    for x, number in numbers.items():
        style = PADDING if inside is not None and x not in inside else look
        style = ASKED if x == asked else TOUCHED if x in weights else style
        axis.add_patch(Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, in_layout=False, **style))
        axis.text(
            x, y - 0.16 * (x in weights), _text(number), ha="center", va="center", zorder=4, in_layout=False
        )
        if x in weights:
            small = {"fontsize": 8, "color": STAYS, "weight": "bold", "zorder": 4, "in_layout": False}
            axis.text(x, y + 0.25, f"× {_text(weights[x])}", ha="center", va="center", **small)
