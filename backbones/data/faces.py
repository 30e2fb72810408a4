"""Crops with and without a face: two classes, very little data."""

import numpy as np
import torch
from torch import Tensor

from .images import Statistic, package_file
from .splits import LabeledImages


class Faces(LabeledImages):
    """200 gray crops: 100 to train, 20 to validate, 80 to test. Options: see `LabeledImages`.

    Images: float32 (channels, 25, 25) in [0, 1]. Classes: 0 "face", 1 "no face", 100 of each.

    Look at the crops before you trust an accuracy. "no face" was cut from the background of such portraits:
    many of these crops are dark or show the black border that aligning a portrait leaves, so that a threshold
    on the mean brightness alone gets three of four right. A few show part of a face after all.

    Source: `skimage.data.lfw_subset`; scikit-image brings it and states no licence. The portraits are press
    photographs from Labeled Faces in the Wild, Huang et al. (2007), collected for research: learn from them,
    do not publish them.
    """

    class_names = ("face", "no face")
    split_sizes = (100, 20, 80)

    def __init__(
        self,
        image_size: int = 25,
        channels: int = 1,
        labels_per_class: int | None = None,
        batch_size: int = 32,
        mean: Statistic = None,
        std: Statistic = None,
        seed: int = 0,
    ):
        super().__init__(image_size, channels, labels_per_class, batch_size, mean, std, seed)

    def load(self) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(np.load(package_file("skimage/data/lfw_subset.npy"))).float()
        return images, torch.arange(2).repeat_interleave(100)  # the first 100 are the faces
