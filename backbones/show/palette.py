"""The colours of the course: from Okabe and Ito's colour-blind-safe set, light and dark, so that grey tells
them apart."""

SWAPPED = "#E69F00"  # orange, light: the backbone, the part that is swapped
STAYS = "#0072B2"  # blue, dark: the part that stays
THIRD = "#009E73"  # green, when a third is needed
INK = "#333333"
