"""Boxes with classes: a neck that makes maps of several strides alike, and torchvision's FCOS on it."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from ..backbone import Backbone, BackboneError, ByStride


class FeaturePyramid(nn.Module):
    """Neck: maps of several strides become equally wide, and finer ones learn what coarser ones know.

    Each map is brought to `width` channels, the coarser one is enlarged and added, from the deepest to the
    finest; two more maps for large objects follow by strided convolution. Torchvision's implementation of Lin
    et al., Feature Pyramid Networks (2017), figure 3; extra maps: Lin et al., Focal Loss (2017), section 4.

    Attributes: strides, of the maps that come out; out_channels, their width.
    """

    def __init__(self, channels: ByStride, width: int = 64):
        """
        Args: channels, the backbone's `.channels`; width, channels of each map that comes out.
        Raises: BackboneError for a backbone without a map at stride 8, 16 or 32.
        """
        super().__init__()
        self.inputs = [stride for stride in (8, 16, 32) if stride in channels]
        if not self.inputs:
            raise BackboneError(
                "detection looks at maps of stride 8, 16 and 32, and this backbone has only strides "
                f"{', '.join(map(str, sorted(channels)))}: choose another backbone"
            )
        deepest = self.inputs[-1]
        self.strides = (*self.inputs, 2 * deepest, 4 * deepest)
        self.out_channels = width
        self.fpn = FeaturePyramidNetwork(
            [channels[stride] for stride in self.inputs], width, extra_blocks=LastLevelP6P7(width, width)
        )

    def forward(self, features: ByStride) -> ByStride:
        """{stride: (B, C, H/stride, W/stride)} => the same with `width` channels, for each of `.strides`."""
        maps = self.fpn({str(stride): features[stride] for stride in self.inputs})
        return ByStride(zip(self.strides, maps.values(), strict=True))


class Detector(FCOS):
    """Torchvision's FCOS detector on any backbone: every position says "an object of class c, so far up,
    down, left and right of me". Tian et al., FCOS (2019).

    `.backbone`, `.neck` and `.head` are its parts. The head (four convolutions for the classes, four for the
    boxes, shared by all maps), the assignment of boxes to positions, the losses and non-maximum suppression
    are torchvision's. Other than torchvision's own models it takes images as the backbone wants them, without
    resizing or normalizing once more, and its mode does not decide what it answers.
    """

    def __init__(self, backbone: Backbone, num_classes: int, width: int = 64):
        """
        Args:
            backbone: with maps at some of the strides 8, 16, 32.
            num_classes: background included, as class 0: labels are 1 to num_classes - 1.
            width: channels of neck and head, a multiple of 32 from 64. Papers take 256; 64 suffice for small
                images and take about a tenth of the head's time.
        Raises: BackboneError for a backbone without such maps; ValueError for an impossible number.
        """
        if num_classes < 2:
            raise ValueError(
                f"num_classes={num_classes} leaves no class beside the background: take 2 or more"
            )
        if width < 64 or width % 32:  # with 32 a group would be one channel, on the smallest map one number
            raise ValueError(f"width={width} does not fit the head's 32 groups: take 64, 96, 128, ...")
        neck = FeaturePyramid(backbone.channels, width)
        # A position of stride 8 stands for a square of 8x8 pixels around it, and so on.
        squares = AnchorGenerator([(stride,) for stride in neck.strides], [(1.0,)] * len(neck.strides))
        # FCOS calls "backbone" what gives it maps of equal width, and asks the neck for that width.
        super().__init__(neck, num_classes, anchor_generator=squares)
        del self.transform  # would resize and normalize
        self.num_classes = num_classes
        self.backbone = backbone
        self.neck = neck

    def forward(
        self, images: Tensor | Sequence[Tensor], targets: Sequence[dict[str, Tensor]] | None = None
    ) -> list[dict[str, Tensor]] | dict[str, Tensor]:
        """Find objects or, if the right answers are given, measure the losses.

        Args:
            images: (B, 3, H, W), or a list of (3, H, W) of any sizes; float, normalized.
            targets: for each image "boxes" (N, 4) float, rows (x1, y1, x2, y2) in pixels, and "labels" (N,)
                int64. N may be 0.
        Returns: without targets, for each image "boxes" (M, 4), "labels" (M,) and "scores" (M,), best first;
            with targets {"classification", "bbox_regression", "bbox_ctrness": scalar loss}.
        Raises: ImageError by the backbone; ValueError for a target that cannot be meant.
        """
        if targets is not None:
            check_targets(targets, self.num_classes, len(images))
        maps = self.neck(self.backbone(self._batch(images)))  # {8: (B, width, H/8, W/8), ...}
        positions = [one.shape[-2] * one.shape[-1] for one in maps.values()]
        outputs = self.head(list(maps.values()))  # {"cls_logits": (B, all positions, num_classes), ...}
        squares = [self._squares(maps)] * len(images)
        if targets is not None:
            return self.compute_loss(targets, outputs, squares, positions)
        outputs = {name: values.split(positions, dim=1) for name, values in outputs.items()}
        squares = [list(one.split(positions)) for one in squares]
        return self.postprocess_detections(outputs, squares, [image.shape[-2:] for image in images])

    def _batch(self, images: Tensor | Sequence[Tensor]) -> Tensor:
        """One batch of images of any sizes: zeros are added at the right and at the bottom until both sides
        are multiples of the backbone's deepest stride, so that each map has exactly its stride."""
        if any(image.ndim != 3 for image in images) or len({image.shape[0] for image in images}) > 1:
            shapes = ", ".join(str(tuple(image.shape)) for image in images)
            raise ValueError(f"expected images (3, H, W), all with the same channels, got shapes {shapes}")
        deepest = max(self.backbone.channels)
        largest = (max(image.shape[axis] for image in images) for axis in (1, 2))
        height, width = (math.ceil(side / deepest) * deepest for side in largest)
        return torch.stack([F.pad(i, (0, width - i.shape[2], 0, height - i.shape[1])) for i in images])

    def _squares(self, maps: ByStride) -> Tensor:
        """The square of the image that each position of each map stands for, (all positions, 4)."""
        first = next(iter(maps.values()))
        self.anchor_generator.set_cell_anchors(first.dtype, first.device)
        sizes = [one.shape[-2:] for one in maps.values()]
        return torch.cat(self.anchor_generator.grid_anchors(sizes, [(stride, stride) for stride in maps]))


def check_targets(targets: Sequence[dict[str, Tensor]], num_classes: int, images: int) -> None:
    """Raise ValueError, naming the image, for targets that cannot be meant."""
    if len(targets) != images:
        raise ValueError(f"{images} images came with {len(targets)} targets: one for each is needed")
    for number, target in enumerate(targets):
        if missing := {"boxes", "labels"} - target.keys():
            raise ValueError(f"the target of image {number} has no {' and no '.join(sorted(missing))}")
        boxes, labels = target["boxes"], target["labels"]
        if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
            raise ValueError(
                f"image {number} has boxes of shape {tuple(boxes.shape)} and labels of shape "
                f"{tuple(labels.shape)}: expected (N, 4) and (N,), and (0, 4) and (0,) without objects"
            )
        flat = ~(boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        if flat.any():
            raise ValueError(
                f"image {number} has a box without area, {boxes[flat][0].tolist()}: a box is "
                "(x1, y1, x2, y2) with x1 < x2 and y1 < y2; leave out what cannot be seen"
            )
        strange = labels[(labels < 1) | (labels >= num_classes)]
        if len(strange):
            raise ValueError(
                f"image {number} has label {strange[0].item()}, but labels go from 1 to {num_classes - 1}: "
                f"num_classes={num_classes} counts the background as class 0"
            )
