"""Colors and style of all figures. One color has one meaning in the whole course:

    orange   what is changed: the backbone, its features, whatever is put in its place. Where ways are
             compared: the way that is tried. As a line "-", as an area hatched "////".
    blue     what stays: the head and its answers. Where ways are compared: what the tried way is measured
             against, the way as it was. In drawings of an operation: the weights, the same at each position,
             and what they touch. As a line "--".
    green    neither of the two: a neck, a third way, an operation's output. As a line ":".
    dark     text, axes, ranges over seeds, the truth (dashed), and controls that learned no features: raw
             pixels, random weights, always the same answer, chance.
    red      pixels answered wrong. Those of an object that are answered right are gray; both lie on a pale
             image, so gray print shows three steps: pale image, gray object, nearly black errors.

Each class has a color of its own (masks, points by class). Numbers run from dark to light: "gray" for one
channel, "inferno" over a photo. A figure that shows neither a part of a network nor a comparison is drawn
dark. Texts name colors as here: "orange", "blue", "green", "dark", "red".

The colors come from sets that color-blind readers can tell apart (Okabe and Ito; Paul Tol; ColorBrewer), and
colors of one figure differ in lightness too, so that gray print shows them as well.
"""

SWAPPED = "#E69F00"  # orange, light: the backbone, the part that is swapped; the way that is tried
STAYS = "#0072B2"  # blue, dark: the head, the part that stays; what the tried way is measured against
THIRD = "#009E73"  # green: neither of the two
INK = "#333333"  # text, axes, ranges, the truth, controls

RIGHT = "#787878"  # gray: an object's pixels that are answered right
WRONG = "#B30000"  # red: pixels answered wrong

# One color per label in every mask, none of them one of those above. Label 0, the background, is black.
CLASS_COLOURS = (
    "#000000",
    "#882255",  # wine
    "#117733",  # green
    "#CC6677",  # rose
    "#44AA99",  # teal
    "#88CCEE",  # cyan
    "#F0E442",  # yellow
    "#332288",  # indigo
)
UNKNOWN = "#FFFFFF"  # label 255, which counts nowhere

LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85}  # text on any picture

STYLE = {
    "figure.dpi": 80,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "lines.linewidth": 2.2,
}
