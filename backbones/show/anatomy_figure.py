"""The drawing of a DeepLab model. Widths, rates and numbers of layers are read from its own modules."""

import itertools

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import nn

from .palette import INK, LABEL, STAYS, STYLE, SWAPPED

UNIT = 0.45  # inches. Positions are in units, x to the right, y upwards, y=0 is the middle of the first row.


def anatomy(model: nn.Module, name: str | None = None, plain: bool = False) -> Figure:
    """A DeepLab model as a backbone, which is swapped, and a head, which stays.

    Layers whose shape adapts to the backbone carry a plug in the backbone's colour. After Chen et al.,
    Encoder-Decoder with Atrous Separable Convolution (2018), figure 2.

    Args:
        model: a DeepLabV3 or DeepLabV3Plus, on any device, "meta" included.
        name: what to call the backbone; its own name by default.
        plain: with everyday words in the boxes, for readers who do not know convolutions and channels yet.
    Raises:
        ValueError: `model` is something else.
    """
    try:
        channels, name = dict(sorted(model.backbone.channels.items())), name or model.backbone.name
        head, aspp, decoder = model.head, model.head.aspp, model.head.decoder
        width, classes = _width(aspp.project), _width(head.classifier)
    except AttributeError:
        raise ValueError(
            f"a whole DeepLab model can be drawn, and this is a {type(model).__name__}: give, for example, "
            'DeepLabV3Plus(create_backbone("resnet101", output_stride=16), num_classes=21)'
        ) from None
    tall = max(4.0, 0.8 * len(aspp.branches))  # the first row, from image to ASPP
    with plt.rc_context(STYLE):
        figure = plt.figure()
        axis = figure.add_axes((0, 0, 1, 1))
        axis.axis("off")

        # The backbone: one box a map, the finer the taller.
        _box(axis, 0, 0, 1.6, 2.2, "photo" if plain else "image\nH×W×3", "white")
        x, stage, stages = 1.6, max(2.0, 5 / len(channels)), {}
        for row, (stride, count) in enumerate(channels.items()):
            stages[stride] = (x + 0.5 + stage / 2, -(0.44 - 0.05 * row) * tall)  # middle of its lower edge
            _arrow(axis, (x, 0), (x + 0.5, 0))
            text = f"stride\n{stride}" if plain else f"stride {stride}\n{count} ch."
            _box(axis, x + 0.5, 0, stage, -2 * stages[stride][1], text, SWAPPED)
            x += 0.5 + stage
        _bracket(axis, 2.1, x, tall / 2 + 0.4, "BACKBONE", f"is swapped: {name}")

        # ASPP, on the deepest map. A layer adapts if it takes as many channels as the map that it reads has.
        left = x + 1.0
        _box(axis, left - 0.2, -0.35, 4.2, tall + 0.9, "", "#E8E8E8")
        text = "ASPP" if plain else f"ASPP, each to {width} ch."
        axis.text(left + 1.9, -tall / 2 - 0.35, text, ha="center", va="center")
        _arrow(axis, (x, 0), (left - 0.2, 0))
        pitch = tall / len(aspp.branches)
        for row, branch in enumerate(aspp.branches):
            adapts = _convs(branch)[0].in_channels == channels[head.stride]
            y = tall / 2 - (row + 0.5) * pitch
            text = "" if plain else _branch_name(branch, row)
            _box(axis, left, y, 3.8, pitch - 0.15, text, STAYS, adapts)
        x = left + 4.5
        _arrow(axis, (x - 0.5, 0), (x, 0))
        _box(axis, x, 0, 2.6, 2.2, "join" if plain else f"concat,\n1×1 conv\nto {width} ch.", STAYS)
        y, scale = 0.0, head.stride

        # The decoder, a second row on the map that it taps.
        if decoder is not None:
            y, scale = -tall / 2 - 2.4, head.low_level_stride
            low_width, (middle, edge) = _width(decoder.reduce), stages[scale]
            _arrow(axis, (middle, edge), (middle, y), (left, y))
            text = "" if plain else f":\nthe backbone's {channels[scale]} ch."
            text = "low-level features" + text
            axis.text(min(middle, left - 4.8), y - 0.2, text, va="top")
            adapts = _convs(decoder.reduce)[0].in_channels == channels[scale]
            text = "" if plain else f"1×1 conv\nto {low_width} ch."
            _box(axis, left, y, 3.8, 1.3, text, STAYS, adapts)
            _arrow(axis, (left + 3.8, y), (x, y))
            _arrow(axis, (x + 1.3, -1.1), (x + 1.3, y + 1.1))
            text = "enlarge" if plain else f"enlarge ×{head.stride // scale}"
            axis.text(x + 1.5, -1.6, text, va="center")
            _box(axis, x, y, 2.6, 2.2, "join" if plain else f"concat\n{width} + {low_width}", STAYS)
            x += 3.1
            _arrow(axis, (x - 0.5, y), (x, y))
            layers = f"{len(decoder.refine)} layer{'s' if len(decoder.refine) > 1 else ''} of"
            text = f"{layers}\n{_kind(decoder.refine)}\nto {_width(decoder.refine)} ch."
            text = "sharpen\noutlines" if plain else text
            _box(axis, x, y, 2.6, 2.2, text, STAYS)
            ends = [left, left, x + 2.6, x + 2.6]
            axis.plot(ends, [y - 1.2, y - 1.4, y - 1.4, y - 1.2], color=INK, linewidth=1)
            text = "decoder" if plain else "decoder (the paper's encoder: backbone + ASPP)"
            axis.text((left + x + 2.6) / 2, y - 1.6, text, ha="center", va="top")
        x += 3.1
        _arrow(axis, (x - 0.5, y), (x, y))
        text = "name each\npixel" if plain else f"1×1 conv to\n{classes} classes,\nenlarge ×{scale}"
        _box(axis, x, y, 2.6, 2.2, text, STAYS)
        text = "stays" if plain else f"stays: {width} channels wide"
        _bracket(axis, left - 0.2, x + 2.6, tall / 2 + 0.4, "HEAD", text)
        x += 3.1
        _arrow(axis, (x - 0.5, y), (x, y))
        _box(axis, x, y, 2.3, 2.2, "answer" if plain else f"answer\nH×W×{classes}", "white")

        bottom = (-tall / 2 - 0.8 if decoder is None else y - 2.1) - 0.8
        adapts = "stays, and adapts to the backbone's widths"
        adapts = "stays, but its entrance fits the backbone" if plain else adapts
        for left, colour, text in ((0, SWAPPED, "is swapped"), (4.2, STAYS, "stays"), (7.4, STAYS, adapts)):
            _box(axis, left, bottom, 1, 0.6, "", colour, adapts=text == adapts)
            axis.text(left + 1.2, bottom, text, va="center")
        (low_x, high_x), (low_y, high_y) = (-0.1, x + 2.4), (bottom - 0.4, tall / 2 + 2.2)
        axis.set(xlim=(low_x, high_x), ylim=(low_y, high_y))
        figure.set_size_inches(UNIT * (high_x - low_x), UNIT * (high_y - low_y))
    return figure


def _convs(part: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of a part, in the order in which they run."""
    return [module for module in part.modules() if isinstance(module, nn.Conv2d)]


def _width(part: nn.Module) -> int:
    """How many channels come out of a part."""
    return _convs(part)[-1].out_channels


def _kind(part: nn.Module) -> str:
    """What papers call the largest convolution of a part."""
    largest = max(_convs(part), key=lambda conv: conv.kernel_size)
    return ("sep. " if largest.groups > 1 else "") + "×".join(map(str, largest.kernel_size))


def _branch_name(branch: nn.Module, row: int) -> str:
    """What papers call a branch of ASPP. Two have no window: the first, and image pooling at the end."""
    if (kind := _kind(branch)) == "1×1":
        return "image pooling" if row else "1×1 conv"
    return f"{kind}, rate {max(conv.dilation[0] for conv in _convs(branch))}"


def _box(
    axis: Axes, x: float, y: float, width: float, height: float, text: str, colour: str, adapts: bool = False
) -> None:
    """A box from x to the right, with y in its middle; one that adapts has a plug at its left."""
    look = {"boxstyle": "round,pad=0,rounding_size=0.15", "edgecolor": INK, "linewidth": 1.2}
    swapped = {"facecolor": SWAPPED, "hatch": "////"}  # so that grey print tells the two apart
    corner, plug = (x, y - height / 2), 0.4 if adapts else 0
    fill = swapped if colour == SWAPPED else {"facecolor": colour}
    axis.add_patch(FancyBboxPatch(corner, width, height, **fill, **look))
    if adapts:
        axis.add_patch(FancyBboxPatch(corner, plug, height, gid="adapts", **swapped, **look))
    label = {
        "color": "white" if colour == STAYS else "black",
        "bbox": LABEL | {"pad": 2} if colour == SWAPPED else None,
    }
    axis.text(x + (width + plug) / 2, y, text, ha="center", va="center", **label)


def _arrow(axis: Axes, *points: tuple[float, float]) -> None:
    """A line through the points with a tip at the last."""
    for start, end in itertools.pairwise(points[:-1]):
        axis.plot(*zip(start, end, strict=True), color=INK, linewidth=1.5)
    tip = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", points[-1], points[-2], arrowprops=tip)


def _bracket(axis: Axes, left: float, right: float, y: float, title: str, subtitle: str) -> None:
    """A bracket over all from left to right, with two lines of text on it."""
    axis.plot([left, left, right, right], [y - 0.2, y, y, y - 0.2], color=INK, linewidth=2)
    axis.text((left + right) / 2, y + 0.95, title, ha="center", fontsize=16, weight="bold")
    axis.text((left + right) / 2, y + 0.25, subtitle, ha="center", fontsize=12)
