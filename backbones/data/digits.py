"""Handwritten digits, small enough to train on in seconds."""

import torch
from torch import Tensor

from .images import Statistic
from .splits import LabeledImages


class Digits(LabeledImages):
    """1,797 handwritten digits: 1,000 to train, 297 to validate, 500 to test. Options: see `LabeledImages`.

    Images: float32 (channels, 8, 8) in [0, 1], bright ink on black, in steps of 1/16: each pixel counts the
    inked ones among 4x4 pixels of a scan. Classes: "0" to "9", between 174 and 183 of each.

    Only 13 people wrote these digits and the split does not separate them: expect a lower accuracy on the
    writing of a stranger.

    Source: the test part of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak (1998),
    UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0; scikit-learn brings it.
    """

    class_names = tuple("0123456789")
    split_sizes = (1000, 297, 500)

    def __init__(
        self,
        image_size: int = 8,
        channels: int = 1,
        labels_per_class: int | None = None,
        batch_size: int = 64,
        mean: Statistic = None,
        std: Statistic = None,
        seed: int = 0,
    ):
        super().__init__(image_size, channels, labels_per_class, batch_size, mean, std, seed)

    def load(self) -> tuple[Tensor, Tensor]:
        from sklearn.datasets import load_digits  # here: with scipy it takes a second to import

        digits = load_digits()
        return torch.from_numpy(digits.images).float() / 16, torch.from_numpy(digits.target).long()
