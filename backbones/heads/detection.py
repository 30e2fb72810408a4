"""Boxes with classes: a neck that makes maps of several strides alike, and torchvision's FCOS on it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from ..backbone import Backbone, BackboneError, ByStride, Features, Network, expect_features

Target = dict[str, Tensor]  # "boxes" (N, 4), "labels" (N,); of an answer also "scores" (N,)


class FeaturePyramid(nn.Module):
    """Neck: maps of several strides become equally wide, and finer ones learn what coarser ones know.

    Each map is brought to `width` channels, the coarser one is enlarged and added, from the deepest to the
    finest; two more maps for large objects follow by strided convolution. Torchvision's implementation of Lin
    et al., Feature Pyramid Networks (2017), figure 3; extra maps: Lin et al., Focal Loss (2017), section 4.

    Attributes: strides, of the maps that come out; out_channels, their width.
    """

    def __init__(self, channels: ByStride, width: int = 64):
        """
        Args:
            channels: the backbone's `.channels`.
            width: channels of each map that comes out.
        Raises:
            BackboneError: for a backbone without a map at stride 8, 16 or 32.
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

    def forward(self, features: Features) -> ByStride:
        """{stride: (B, C, H/stride, W/stride)} => the same with `width` channels, for each of `.strides`."""
        maps = self.fpn({str(stride): features[stride] for stride in self.inputs})
        return ByStride(zip(self.strides, maps.values(), strict=True))


class DetectionHead(FCOS):
    """Neck and torchvision's FCOS head: every position says "an object of class c, so far up, down, left and
    right of me". Tian et al., FCOS (2019).

    `.neck` and `.head` (four convolutions for the classes, four for the boxes, shared by all maps) are its
    parts. The assignment of boxes to positions, the losses and non-maximum suppression are torchvision's.
    Unlike torchvision's own models it takes features, not images, and its mode does not decide its answer.
    """

    def __init__(self, channels: ByStride, num_classes: int, width: int = 64):
        """
        Args:
            channels: the backbone's `.channels`, with some of the strides 8, 16, 32.
            num_classes: background included, as class 0: labels are 1 to num_classes - 1.
            width: channels of neck and head, a multiple of 32 from 64. Papers take 256; 64 suffice for small
                images and take about a tenth of the time.
        Raises:
            BackboneError: for a backbone without such maps.
            ValueError: for an impossible number.
        """
        if num_classes < 2:
            raise ValueError(
                f"num_classes={num_classes} leaves no class beside the background: take 2 or more"
            )
        if width < 64 or width % 32:  # with 32 a group would be one channel, on the smallest map one number
            raise ValueError(f"width={width} does not fit the head's 32 groups: take 64, 96, 128, ...")
        neck = FeaturePyramid(channels, width)
        # A position of stride 8 stands for a square of 8x8 pixels around it, and so on.
        squares = AnchorGenerator([(stride,) for stride in neck.strides], [(1.0,)] * len(neck.strides))
        # FCOS calls "backbone" what gives it maps of equal width, and asks the neck for that width.
        super().__init__(neck, num_classes, anchor_generator=squares)
        del self.backbone, self.transform  # the latter would resize and normalize
        self.neck = neck
        self.num_classes = num_classes

    def forward(self, features: Features, targets: Sequence[Target] | None = None) -> list[Target] | Target:
        """Find objects or, if the right answers are given, measure the losses.

        Args:
            features: {stride: (B, C, H/stride, W/stride)}; of images of several sizes with a mask.
            targets: see `Detector.forward`.
        Returns:
            See `Detector.forward`.
        Raises:
            ValueError: for a target that cannot be meant.
        """
        expect_features(features)
        maps = self.neck(features)  # {8: (B, width, H/8, W/8), ...}
        positions = [level.shape[-2] * level.shape[-1] for level in maps.values()]
        outputs = self.head(list(maps.values()))  # {"cls_logits": (B, all positions, num_classes), ...}
        images = len(outputs["cls_logits"])
        squares = [self._squares(maps)] * images
        if targets is not None:
            targets = check_targets(targets, self.num_classes, images, features.size)
            return self.compute_loss(targets, outputs, squares, positions)
        outputs = {name: values.split(positions, dim=1) for name, values in outputs.items()}
        squares = [list(each.split(positions)) for each in squares]
        return self.postprocess_detections(outputs, squares, _image_sizes(features, images))

    def _squares(self, maps: ByStride) -> Tensor:
        """The square of the image that each position of each map stands for, (all positions, 4)."""
        first = next(iter(maps.values()))
        self.anchor_generator.set_cell_anchors(first.dtype, first.device)
        sizes = [level.shape[-2:] for level in maps.values()]
        return torch.cat(self.anchor_generator.grid_anchors(sizes, [(stride, stride) for stride in maps]))


def _image_sizes(features: Features, images: int) -> list[tuple[int, int]]:
    """Height and width of each image, without what was filled up."""
    if features.mask is None:
        return [features.size] * images
    heights, widths = features.mask.any(dim=2).sum(dim=1), features.mask.any(dim=1).sum(dim=1)
    return list(zip(heights.tolist(), widths.tolist(), strict=True))


class Detector(Network):
    """A backbone with a `DetectionHead`: images in, boxes out."""

    head: DetectionHead

    def __init__(self, backbone: Backbone, num_classes: int, width: int = 64):
        """
        Args:
            backbone: with maps at some of the strides 8, 16, 32.
            num_classes: see `DetectionHead`.
            width: see `DetectionHead`.
        Raises:
            BackboneError: for a backbone without such maps.
            ValueError: for an impossible number.
        """
        super().__init__(backbone, DetectionHead(backbone.channels, num_classes, width))

    @property
    def neck(self) -> FeaturePyramid:
        """Between backbone and boxes; a part of the head, because it goes with the task."""
        return self.head.neck

    @property
    def num_classes(self) -> int:
        """Background included."""
        return self.head.num_classes

    def forward(
        self, images: Tensor | Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> list[Target] | Target:
        """Find objects or, if the right answers are given, measure the losses.

        Args:
            images: (B, 3, H, W), or a list of (3, H, W) of any sizes; float, normalized.
            targets: for each image "boxes" (N, 4) float, rows (x1, y1, x2, y2) in pixels, and "labels" (N,)
                whole numbers. N may be 0.
        Returns:
            Without targets, for each image "boxes" (M, 4), "labels" (M,) and "scores" (M,), best first; with
            targets {"classification", "bbox_regression", "bbox_ctrness": scalar loss}.
        Raises:
            ImageError: by the backbone.
            ValueError: for a target that cannot be meant.
        """
        if targets is None:
            return super().forward(images)
        return self.head(self.backbone(images), targets)


def check_targets(
    targets: Sequence[Target], num_classes: int, images: int, size: tuple[int, int] | None = None
) -> list[Target]:
    """Answers for a detector in the types that it counts in, once they can be meant.

    Args:
        targets: for each image a dictionary with "boxes" and "labels".
        num_classes: background included.
        images: how many targets there should be.
        size: (H, W) of the images in pixels, None if it is not known.
    Returns:
        The same with boxes float32 (N, 4) and labels int64 (N,).
    Raises:
        ValueError: naming the image.
    """
    if len(targets) != images:
        raise ValueError(f"{images} images came with {len(targets)} targets: one for each is needed")
    return [_check_target(target, f"image {n}", num_classes, size) for n, target in enumerate(targets)]


def _check_target(target: Target, image: str, num_classes: int, size: tuple[int, int] | None) -> Target:
    if missing := {"boxes", "labels"} - target.keys():
        raise ValueError(f"the target of {image} has no {' and no '.join(sorted(missing))}")
    for name in ("boxes", "labels"):
        if not isinstance(target[name], Tensor):
            kind = type(target[name]).__name__
            raise ValueError(
                f"the {name} of {image} are a {kind}: make them a tensor, torch.as_tensor({name})"
            )
    boxes, labels = target["boxes"], target["labels"]
    if boxes.ndim != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise ValueError(
            f"{image} has boxes of shape {tuple(boxes.shape)} and labels of shape {tuple(labels.shape)}: "
            "expected (N, 4) and (N,), and (0, 4) and (0,) without objects"
        )
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(
            f"the labels of {image} are {labels.dtype}, but classes are whole numbers: use .long()"
        )
    boxes, labels = boxes.float(), labels.long()
    if not boxes.isfinite().all():
        raise ValueError(f"a box of {image} holds a number that is not finite: {boxes.tolist()}")
    flat = ~(boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if flat.any():
        raise ValueError(
            f"{image} has a box without area, {boxes[flat][0].tolist()}: a box is (x1, y1, x2, y2) with "
            "x1 < x2 and y1 < y2; leave out what cannot be seen"
        )
    if len(boxes) and size and boxes.max() <= 1 < min(size):
        raise ValueError(
            f"the boxes of {image} lie between 0 and 1, like {boxes[0].tolist()}, but they are counted in "
            "pixels: multiply x by the width and y by the height"
        )
    strange = labels[(labels < 1) | (labels >= num_classes)]
    if len(strange):
        raise ValueError(
            f"{image} has label {strange[0].item()}, but labels go from 1 to {num_classes - 1}: "
            f"num_classes={num_classes} counts the background as class 0"
        )
    return {**target, "boxes": boxes, "labels": labels}
