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
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from torch import Tensor

from .anatomy_figure import anatomy as anatomy
from .palette import CLASS_COLOURS, INK, LABEL, RIGHT, STAYS, STYLE, SWAPPED, THIRD, UNKNOWN, WRONG


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alternative text, and close it.

    JupyterLab does not read a picture's alt text to anybody, so it stands below the picture as well, folded.

    Args:
        figure: any figure of matplotlib.
        alt: one or two sentences: what a sighted reader concludes from it.
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
    """Pictures in rows.

    Args:
        images: (3, H, W) in colour, uint8 or float in [0, 1]; (H, W) float, in grey from its lowest value to
            its highest; (H, W) integers, labels of pixels, each in its colour, see `class_colours`.
        titles: one for each image.
        columns: pictures a row.
        title: of the whole figure.
        side: of one picture, in inches.
    """
    rows = -(-len(images) // columns)
    figure, axes = subplots(rows, columns, columns * side, rows * (side + 0.25) + 0.4)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, caption in zip(axes.flat, images, titles, strict=False):
        if image.ndim == 2 and not image.is_floating_point():
            image = class_colours(image)
        axis.imshow((image.permute(1, 2, 0) if image.ndim == 3 else image).numpy(), cmap="gray")
        axis.set_title(caption, fontsize=10)
    figure.suptitle(title)
    return figure


def class_colours(mask: Tensor) -> Tensor:
    """Labels as a picture: each label has one colour in all pictures of the course.

    Args:
        mask: (H, W), integers: 0 is background (black), 255 unknown (white). After label 7 the colours
            begin again with that of label 1.
    Returns:
        (3, H, W) in [0, 1].
    Raises:
        ValueError: a number that is no label.
    """
    if mask.numel() and not 0 <= int(mask.min()) <= int(mask.max()) <= 255:
        raise ValueError(
            f"labels go from 0 to 255, and these from {mask.min()} to {mask.max()}: if this is no mask but a "
            "picture in gray, pass it as float"
        )
    background, *others = CLASS_COLOURS
    colours = [background, *itertools.islice(itertools.cycle(others), 254), UNKNOWN]
    table = torch.tensor([to_rgb(colour) for colour in colours])  # (256, 3)
    return table[mask.long()].permute(2, 0, 1)


def heat_map(axis: Axes, image: Tensor, heat: Tensor, title: str) -> None:
    """Lay a coarse map of scores over a photo; each position of the map stays visible as a square.

    Args:
        image: (3, H, W), uint8 or float in [0, 1].
        heat: (h, w), any range: the highest is drawn brightest.
    """
    axis.imshow(image.float().mean(0), cmap="gray")
    enlarged = F.interpolate(heat.float()[None, None], size=image.shape[1:], mode="nearest")[0, 0]
    axis.imshow(enlarged, cmap="inferno", alpha=0.55)
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

    Args:
        axis: with the picture.
        boxes: (N, 4), rows x1, y1, x2, y2 in pixels.
        captions: one for each box, "" for none.
        colour: of the frames.
        style: of the frames, "-" or "--".
    """
    edge = [withStroke(linewidth=4, foreground="black")]  # visible on bright pictures and on dark ones
    for (left, top, right, bottom), caption in zip(boxes.tolist(), captions, strict=True):
        corner = (left - 0.5, top - 0.5)  # the middle of the first pixel is drawn at 0
        frame = Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=colour, lw=2, ls=style)
        axis.add_patch(frame).set_path_effects(edge if style == "-" else [])
        if caption:
            axis.text(*corner, caption, fontsize=8, va="bottom", color="black", bbox=LABEL)


def right_and_wrong(
    axis: Axes, image: Tensor, predicted: Tensor, truth: Tensor, names: Sequence[str] = (), title: str = ""
) -> None:
    """A predicted mask over its pale image: wrong pixels in red, an object's right pixels in gray.

    Background that is right stays as pale as the image.

    Args:
        image: (3, H, W) in [0, 1].
        predicted: (H, W), labels with 0 for background.
        truth: (H, W), the same; pixels with 255 are unknown, and no answer is wrong there.
        names: of the labels; when given, each predicted class is named once.
    """
    right, wrong = (predicted == truth) & (truth > 0), predicted != truth
    paint = torch.where(wrong, *(torch.tensor(to_rgb(colour))[:, None, None] for colour in (WRONG, RIGHT)))
    where = (right | wrong) & (truth != 255)
    _paint(axis, image, paint, where, predicted, names, title, darkest=0.7)


def class_areas(axis: Axes, image: Tensor, mask: Tensor, names: Sequence[str] = (), title: str = "") -> None:
    """A mask over its image, each class in its colour; background stays grey.

    Args:
        image: (3, H, W) in [0, 1].
        mask: (H, W), labels with 0 for background.
        names: of the labels; when given, each class is named once.
    """
    _paint(axis, image, class_colours(mask), mask > 0, mask, names, title)


def _paint(
    axis: Axes,
    image: Tensor,
    paint: Tensor,
    where: Tensor,
    mask: Tensor,
    names: Sequence[str],
    title: str,
    darkest: float = 0.3,
) -> None:
    """Paint (3, H, W) over pixels (H, W) of a light grey image, thin, so that outlines shine through.

    Each class of the mask is named in its area, unless it is background, unknown or very small. Black pixels
    of the image are drawn as light as `darkest`.
    """
    grey = image.mean(0, keepdim=True).expand(3, -1, -1) * (1 - darkest) + darkest
    picture(axis, torch.where(where, 0.2 * grey + 0.8 * paint, grey), title)
    for label in mask.unique().tolist() if names else ():
        positions = (mask == label).nonzero()  # (pixels, 2)
        if label in (0, 255) or len(positions) < 0.003 * mask.numel():
            continue
        middle = positions.float().median(0).values
        y, x = positions[(positions - middle).square().sum(1).argmin()].tolist()
        axis.text(x, y, names[label], fontsize=8, ha="center", va="center", color="black", bbox=LABEL)


def answer_bars(axis: Axes, answers: Mapping[str, float], title: str) -> None:
    """Horizontal bars, the first on top, with their values.

    Args:
        answers: {class name: probability}; of a name with commas the first part is written.
    """
    names = [name.split(",")[0] for name in answers]
    bars = axis.barh(names, list(answers.values()), color=STAYS)
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.set(xlim=(0, 1.15), xticks=[0, 0.5, 1], xlabel="probability", title=title)
    axis.spines["bottom"].set_bounds(0, 1)  # no probability is above 1; the room there is for the values
    axis.invert_yaxis()


def lines(axis: Axes, x: Sequence[float], series: Mapping[str, Sequence[float]], **texts: str) -> None:
    """Up to three curves, told apart by colour, by line style and by a label at the end of each.

    Args:
        x: the same for all curves.
        series: {label: values}, one value for each x.
        texts: xlabel, ylabel and title.
    """
    looks = [(SWAPPED, "-", "o"), (STAYS, "--", "s"), (THIRD, ":", "^")]
    for values, (colour, style, marker) in zip(series.values(), looks, strict=False):
        axis.plot(x, values, linestyle=style, marker=marker, color=colour)
    at = {"xytext": (8, 0), "textcoords": "offset points", "color": INK}
    for label, values in series.items():
        # Where another curve ends close above or below, the label gives way to the other side.
        gaps = [other[-1] - values[-1] for other in series.values() if other is not values]
        nearest = min(gaps, key=abs, default=float("inf"))
        crowded = abs(nearest) < 0.05 * (axis.get_ylim()[1] - axis.get_ylim()[0])
        side = ("top" if nearest > 0 else "bottom") if crowded else "center"
        axis.annotate(label, (x[-1], values[-1]), va=side, **at)
    axis.set(**texts)


def named_points(axis: Axes, series: Mapping[str, Mapping[str, tuple[float, float]]], **texts: str) -> None:
    """Up to three kinds of points, each with its name beside it; x is logarithmic (costs, usually).

    A name stands on that side of its point where it covers the fewest points and other names. Set limits of
    your own before, not after.

    Args:
        series: {kind: {name: (x, y)}}; kinds are told apart by colour and shape, which the title explains.
        texts: xlabel, ylabel and title.
    """
    looks = [(STAYS, "o"), (SWAPPED, "^"), (THIRD, "s")]
    for kind, (colour, shape) in zip(series.values(), looks, strict=False):
        axis.plot(*zip(*kind.values(), strict=True), shape, color=colour, markersize=7)
    axis.set(xscale="log", **texts)
    axis.margins(x=0.2, y=0.12)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.figure.draw_without_rendering()  # from here on it is known where a point is on the page
    points = {name: point for kind in series.values() for name, point in kind.items()}
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axis.transData.transform(list(points.values()))]
    text = {"textcoords": "offset points", "fontsize": 9, "color": INK, "in_layout": False}
    right, left = ((7, 0), "left", "center"), ((-7, 0), "right", "center")  # shift, ha, va
    above, below = ((0, 6), "center", "bottom"), ((0, -6), "center", "top")
    for name, point in points.items():
        sides = (right, left, above, below)
        labels = [axis.annotate(name, point, at, ha=ha, va=va, **text) for at, ha, va in sides]
        best = min(labels, key=lambda label: label.get_window_extent().count_overlaps(taken))
        taken.append(best.get_window_extent())
        for label in {*labels} - {best}:
            label.remove()
