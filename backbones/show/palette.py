"""Colours and style of all figures.

The colours come from sets that colour-blind readers can tell apart (Okabe and Ito; Paul Tol), and colours of
one figure differ in lightness too, so that grey print shows them as well.
"""

SWAPPED = "#E69F00"  # orange, light: the backbone, the part that is swapped
STAYS = "#0072B2"  # blue, dark: the part that stays
THIRD = "#009E73"  # green, when a third is needed
INK = "#333333"

# One colour a label in every mask, none of them the orange and blue above. Label 0, the background, is black.
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
