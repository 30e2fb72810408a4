"""Figures of the lessons. Every figure is shown with a sentence for readers who cannot see it."""

import io
import itertools
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from torch import Tensor

from ..deeplab import RATES
from .palette import INK, STAYS, SWAPPED, THIRD

LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85}  # readable on any picture

STYLE = {
    "figure.dpi": 80,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "lines.linewidth": 2.2,
}


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alternative text, and close it.

    JupyterLab does not read a picture's alt text to anybody, so it stands below the picture as well, folded.

    Args: figure; alt, one or two sentences: what a sighted reader concludes from it.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", dpi=STYLE["figure.dpi"])
    plt.close(figure)
    display(
        {"image/png": buffer.getvalue(), "text/plain": f"Figure: {alt}"},
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )
    display(HTML(f"<details><summary>Figure in words</summary>{alt}</details>"))


def subplots(
    rows: int = 1, columns: int = 1, width: float = 8, height: float = 3
) -> tuple[Figure, np.ndarray]:
    """A figure of `width` x `height` inches in the course's style; its axes as an array (rows, columns)."""
    with plt.rc_context(STYLE):
        return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")


def image_grid(
    images: Sequence[Tensor], titles: Sequence[str], columns: int = 6, title: str = "", side: float = 1.5
) -> Figure:
    """Pictures in rows, each (3, H, W) in colour (uint8, or float in [0, 1]) or (H, W) in grey: float as a
    heat map from its lowest value to its highest, integers as labels, each with one grey in all pictures."""
    labels = [image for image in images if image.ndim == 2 and not image.is_floating_point()]
    last = max((int(image.max()) for image in labels), default=0)
    rows = -(-len(images) // columns)
    figure, axes = subplots(rows, columns, columns * side, rows * (side + 0.25) + 0.4)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, caption in zip(axes.flat, images, titles, strict=False):
        if image.ndim == 3:
            axis.imshow(image.permute(1, 2, 0).numpy())
        elif image.is_floating_point():
            axis.imshow(image.numpy(), cmap="gray")
        else:
            axis.imshow(image.numpy(), cmap="gray", vmin=0, vmax=last)
        axis.set_title(caption, fontsize=10)
    figure.suptitle(title)
    return figure


def heat_map(axis: Axes, image: Tensor, heat: Tensor, title: str) -> None:
    """Lay a coarse map of scores over a photo; each position of the map stays visible as a square.

    Args: image (3, H, W), uint8 or float in [0, 1]; heat (h, w), any range: the highest is drawn brightest.
    """
    grey = image.float().mean(0)
    axis.imshow(grey, cmap="gray")
    low, high = heat.min(), heat.max()
    scaled = (heat - low) / (high - low).clamp(min=1e-8)
    enlarged = F.interpolate(scaled[None, None], size=grey.shape, mode="nearest")[0, 0]
    axis.imshow(enlarged, cmap="inferno", alpha=0.55, vmin=0, vmax=1)
    axis.set_title(title)
    axis.axis("off")


def picture(axis: Axes, image: Tensor, title: str = "") -> None:
    """An image (3, H, W), uint8 or float in [0, 1], without ticks."""
    axis.imshow(image.permute(1, 2, 0).numpy())
    axis.set_title(title)
    axis.axis("off")


def draw_boxes(
    axis: Axes, boxes: Tensor, captions: Sequence[str], colour: str = SWAPPED, style: str = "-"
) -> None:
    """Draw boxes onto a picture that is already there, each with its caption at its upper left corner.

    Args: boxes (N, 4), rows x1, y1, x2, y2 in pixels; captions, N of them, "" for none.
    """
    edge = [withStroke(linewidth=4, foreground="black")]  # visible on bright pictures and on dark ones
    for (left, top, right, bottom), caption in zip(boxes.tolist(), captions, strict=True):
        corner = (left - 0.5, top - 0.5)  # the middle of the first pixel is drawn at 0
        frame = Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=colour, lw=2, ls=style)
        axis.add_patch(frame).set_path_effects(edge if style == "-" else [])
        if caption:
            label = axis.text(*corner, caption, fontsize=8, va="bottom", color="black")
            label.set_bbox(LABEL)


def right_and_wrong(
    axis: Axes, image: Tensor, predicted: Tensor, truth: Tensor, names: Sequence[str] = (), title: str = ""
) -> None:
    """A predicted mask over its image in grey: dark blue where an object's pixel is right, orange where any
    pixel is wrong; background that is right stays grey. Given names, each predicted class is named once.

    Args: image (3, H, W) in [0, 1]; predicted, truth (H, W), labels with 0 for background; names, by label.
    """
    shown = image.mean(0, keepdim=True).expand(3, -1, -1).clone() * 0.7 + 0.3
    for where, colour in (((predicted == truth) & (truth > 0), STAYS), (predicted != truth, SWAPPED)):
        paint = torch.tensor(to_rgb(colour))[:, None]
        shown[:, where] = 0.2 * shown[:, where] + 0.8 * paint
    picture(axis, shown, title)
    for label in predicted.unique().tolist() if names else ():
        positions = (predicted == label).nonzero()  # (pixels, 2)
        if label == 0 or len(positions) < 0.003 * predicted.numel():
            continue
        middle = positions.float().median(0).values
        y, x = positions[(positions - middle).square().sum(1).argmin()].tolist()
        text = axis.text(x, y, names[label], fontsize=8, ha="center", va="center", color="black")
        text.set_bbox(LABEL)


def answer_bars(axis: Axes, answers: Mapping[str, float], title: str) -> None:
    """Horizontal bars, the first on top; values between 0 and 1 are written at the bars."""
    names = [name.split(",")[0] for name in answers]
    axis.barh(names, list(answers.values()), color=STAYS)
    for row, value in enumerate(answers.values()):
        axis.text(value + 0.02, row, f"{value:.2f}", va="center")
    axis.set(xlim=(0, 1.15), xlabel="probability", title=title)
    axis.set_xticks([0, 0.5, 1])
    axis.invert_yaxis()


def lines(
    axis: Axes,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> None:
    """Up to three curves, told apart by colour, by line style and by a label at the end of each."""
    looks = [(SWAPPED, "-", "o"), (STAYS, "--", "s"), (THIRD, ":", "^")]
    for values, (colour, style, marker) in zip(series.values(), looks, strict=False):
        axis.plot(x, values, linestyle=style, marker=marker, color=colour)
    for label, values in series.items():
        # Where another curve ends close above or below, the label gives way to the other side.
        gaps = [other[-1] - values[-1] for other in series.values() if other is not values]
        nearest = min(gaps, key=abs, default=float("inf"))
        crowded = abs(nearest) < 0.05 * (axis.get_ylim()[1] - axis.get_ylim()[0])
        side = ("top" if nearest > 0 else "bottom") if crowded else "center"
        axis.annotate(
            label, (x[-1], values[-1]), xytext=(8, 0), textcoords="offset points", va=side, color=INK
        )
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)


def named_points(
    axis: Axes,
    series: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> None:
    """Up to three kinds of points, each point with its name beside it; x is logarithmic (costs, usually).

    A name stands where it covers no other name and no point, as far as there is such a place. Its figure is
    laid out for that: set limits of your own, or draw more, before and not after.

    Args: series, {kind: {name: (x, y)}}; kinds are told apart by colour and shape, so say in the title or in
        the names which is which.
    """
    looks = [(STAYS, "o"), (SWAPPED, "^"), (THIRD, "s")]
    points = {name: point for kind in series.values() for name, point in kind.items()}
    for kind, (colour, shape) in zip(series.values(), looks, strict=False):
        axis.plot(*zip(*kind.values(), strict=True), shape, color=colour, markersize=7)
    axis.set(xscale="log", xlabel=xlabel, ylabel=ylabel, title=title)
    axis.margins(0.12)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.figure.draw_without_rendering()  # from here on it is known where a point is on the page
    pixels = axis.transData.transform(list(points.values()))
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in pixels]
    around = list(itertools.product(("left", "right", "center"), ("center", "bottom", "top")))
    around.remove(("center", "center"))
    shift = {"left": 6, "bottom": 4, "center": 0, "right": -6, "top": -4}
    for name, point in points.items():
        label = axis.annotate(name, point, (0, 0), textcoords="offset points", fontsize=9, color=INK)
        label.set_in_layout(False)

        def covered(place: tuple[str, str], label: Annotation = label) -> float:
            """How much of the name would lie on others or outside, in pixels squared."""
            label.set(ha=place[0], va=place[1], position=(shift[place[0]], shift[place[1]]))
            box = label.get_window_extent()
            overlaps = [Bbox.intersection(box, other) for other in taken]
            inside = Bbox.intersection(box, axis.bbox)
            outside = box.width * box.height - (inside.width * inside.height if inside else 0)
            return outside + sum(one.width * one.height for one in overlaps if one)

        covered(min(around, key=covered))
        taken.append(label.get_window_extent())


def anatomy(
    name: str, channels: Mapping[int, int], decoder_convs: int = 2, separable: bool = False
) -> Figure:
    """DeepLabv3+ drawn as a backbone and what stays: ASPP, decoder, classifier.

    After Chen et al., Encoder-Decoder with Atrous Separable Convolution (2018), figure 2 and section 4.

    Args: name, the backbone's; channels, stride -> channels, as `backbone.channels`; decoder_convs, 3x3
        convolutions of the decoder, with 0 it is DeepLabv3; separable, whether to say so of the 3x3.
    Raises: ValueError unless there is a map at stride 4, where the decoder taps in, and the deepest is at
        stride 16 or 8, for which the paper gives atrous rates.
    """
    strides = sorted(stride for stride in channels if stride > 1)
    if 4 not in strides or strides[-1] not in RATES:
        raise ValueError(
            f"DeepLabv3+ taps its backbone at stride 4 and at 16 or 8, but {name} has strides {strides}: "
            "build it with output_stride=16."
        )
    bottom = 0 if decoder_convs else 3.6  # the decoder is drawn below
    figure, axes = subplots(1, 1, 11, (9.2 - bottom) / 2)
    axis = axes[0, 0]
    axis.set(xlim=(0, 22), ylim=(bottom, 9.2))
    axis.axis("off")

    def box(
        x: float, y: float, width: float, height: float, text: str, colour: str, size: float = 9.5
    ) -> None:
        swapped = colour == SWAPPED
        axis.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.15",
                facecolor=colour,
                edgecolor=INK,
                hatch="///" if swapped else None,  # so that grey print tells the two apart
                linewidth=1.2,
            )
        )
        label = axis.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size)
        label.set_color("black" if swapped or colour == "white" else "white")
        if swapped:
            label.set_bbox(LABEL | {"pad": 1.5})

    def arrow(*points: tuple[float, float], style: str = "-") -> None:
        for start, end in itertools.pairwise(points[:-1]):
            axis.plot(*zip(start, end, strict=True), color=INK, linewidth=1.5, linestyle=style)
        axis.annotate(
            "",
            points[-1],
            points[-2],
            arrowprops={
                "arrowstyle": "-|>",
                "color": INK,
                "linewidth": 1.5,
                "linestyle": style,
                "shrinkA": 0,
            },
        )

    box(0.1, 5.3, 1.5, 2.2, "image\nH×W×3", "white")
    x, width, gap = 2.4, 1.55, 0.3
    lefts = {stride: x + row * (width + gap) for row, stride in enumerate(strides)}
    for row, stride in enumerate(strides):
        height = 3.2 - 0.45 * row
        box(
            lefts[stride],
            6.4 - height / 2,
            width,
            height,
            f"stride {stride}\n{channels[stride]} ch.",
            SWAPPED,
        )
    right = lefts[strides[-1]] + width
    arrow((1.6, 6.4), (2.4, 6.4))
    for left, following in itertools.pairwise(strides):
        arrow((lefts[left] + width, 6.4), (lefts[following], 6.4))
    axis.text((x + right) / 2, 8.35, f"BACKBONE: {name}", ha="center", fontsize=13, weight="bold")

    aspp = 11.2
    kind = "sep. 3×3" if separable else "3×3"
    branches = ["1×1 conv", *(f"{kind}, rate {rate}" for rate in RATES[strides[-1]]), "image pooling"]
    for row, text in enumerate(branches):
        box(aspp, 7.45 - 0.72 * row, 2.6, 0.6, text, STAYS, 9)
    arrow((right, 6.4), (aspp, 6.4))
    axis.text(aspp + 1.3, 8.35, "ASPP", ha="center", fontsize=13, weight="bold")
    arrow((aspp + 2.6, 6.4), (14.6, 6.4))
    box(14.6, 5.3, 1.7, 2.2, "concat\n1×1 conv\n256", STAYS)
    axis.text((x + right) / 2, 4.2, "orange, hatched: is swapped", fontsize=11, style="italic")
    axis.text(19.3, 8.35, "blue: stays (head)", ha="center", fontsize=11, style="italic")
    if not decoder_convs:
        box(17.2, 5.3, 1.2, 2.2, "1×1\nconv", STAYS)
        arrow((16.3, 6.4), (17.2, 6.4))
        box(19.2, 5.3, 2.6, 2.2, f"upsample ×{strides[-1]}\nH×W×classes", "white")
        arrow((18.4, 6.4), (19.2, 6.4))
        return figure

    low = lefts[4] + width / 2
    box(aspp, 1.35, 2.6, 1.1, "1×1 conv\n48", STAYS)
    arrow((low, 6.4 - (3.2 - 0.45 * strides.index(4)) / 2), (low, 1.9), (aspp, 1.9))
    axis.text(low + 0.3, 2.15, "low-level features, stride 4", fontsize=9.5)
    box(14.6, 1.0, 1.7, 1.8, "concat\n256+48", STAYS)
    times = {1: "one", 2: "two", 3: "three"}.get(decoder_convs, str(decoder_convs))
    box(16.9, 1.0, 1.7, 1.8, f"{times} 3×3\n{'sep. ' if separable else ''}conv\n256", STAYS)
    box(19.2, 1.0, 1.2, 1.8, "1×1\nconv", STAYS)
    arrow((aspp + 2.6, 1.9), (14.6, 1.9))
    arrow((15.45, 5.3), (15.45, 2.8))
    axis.text(15.6, 4.0, f"upsample ×{strides[-1] // 4}", fontsize=9.5)
    arrow((16.3, 1.9), (16.9, 1.9))
    arrow((18.6, 1.9), (19.2, 1.9))
    axis.text(17.5, 0.25, "DECODER", ha="center", fontsize=13, weight="bold")
    box(19.2, 4.6, 2.6, 2.2, "upsample ×4\nH×W×classes", "white")
    arrow((20.4, 1.9), (21.0, 1.9), (21.0, 4.6))
    return figure
