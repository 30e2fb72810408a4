"""DeepLabv3+ on any image backbone: what stays when the backbone is swapped.

                  deepest map, stride 16 or 8                          stride 4
    BACKBONE ───> ASPP: 1x1 | 3x3 at three rates | image pooling ───> enlarge ─┐
       │                                                              concatenate ──> 3x3, 3x3 ──> classifier
       └────────> low-level features, stride 4 ───> 1x1 to 48 channels ────────┘

    backbone = create_backbone("resnet101", output_stride=16)
    model = DeepLabV3Plus(backbone, num_classes=21)   # (B, 3, H, W) => (B, 21, H, W)
    model.backbone, model.head                        # what is swapped, what stays
    print(model.anatomy())                            # the parts, their shapes and costs

Source of all that has no other: Chen, Zhu, Papandreou, Schroff, Adam, Encoder-Decoder with Atrous Separable
Convolution for Semantic Image Segmentation (2018), arXiv 1802.02611, "the paper" below.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone, BatchError, ByStride, Features, Network
from .heads import at_input_size, enlarge
from .trial import OutputStrideError, output_strides
from .vision import ImageBackbone

if TYPE_CHECKING:
    from .measure.anatomy import Anatomy

RATES = {16: (6, 12, 18), 8: (12, 24, 36)}  # output stride -> atrous rates; the paper, section 4


def conv_bn_relu(
    inputs: int, outputs: int, kernel_size: int, rate: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; (B, inputs, H, W) => (B, outputs, H, W). The padding keeps the size.

        y[i] = sum over k of x[i + rate * k] w[k]          atrous convolution, the paper's equation 1

    Args:
        inputs: channels of x.
        outputs: channels of y.
        kernel_size: taps of the kernel in each direction, an odd number.
        rate: positions between neighboring taps; 1 is ordinary convolution.
        groups: parts of the channels that do not see each other; `inputs` of them is depthwise.
    """
    padding = rate * (kernel_size // 2)
    convolution = nn.Conv2d(
        inputs, outputs, kernel_size, padding=padding, dilation=rate, groups=groups, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def conv3x3(inputs: int, outputs: int, rate: int = 1, separable: bool = True) -> nn.Sequential:
    """A 3x3 convolution as DeepLab uses it: dense, or separated into depthwise (where) and pointwise (what).

    The paper, section 3.1 and figure 3. As in its Xception, batch norm and ReLU follow both halves.
    """
    if not separable:
        return conv_bn_relu(inputs, outputs, 3, rate)
    return nn.Sequential(
        conv_bn_relu(inputs, inputs, 3, rate, groups=inputs), conv_bn_relu(inputs, outputs, 1)
    )


class ImagePooling(nn.Module):
    """The average of the whole map, transformed and spread over all positions again: what is in this image?

    Chen et al., Rethinking Atrous Convolution (2017), section 3.3; Liu et al., ParseNet (2015).
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) => (B, outputs, H, W), the same everywhere."""
        pooled = self.convolution(x.mean(dim=(2, 3), keepdim=True))  # => (B, outputs, 1, 1)
        if self.training and len(pooled) == 1:
            # One image has one value a channel: no variance to learn from. The running one serves.
            norm = self.norm
            pooled = F.batch_norm(pooled, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        else:
            pooled = self.norm(pooled)
        return pooled.relu().expand(-1, -1, *x.shape[-2:])


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: look at the same map through several windows at once.

    `branches` are a 1x1 convolution, a 3x3 convolution for each rate, and image pooling; `project` mixes
    them. The paper, figure 2, and Chen et al. (2017), figure 5.
    """

    def __init__(
        self, inputs: int, width: int, rates: Sequence[int], separable: bool = True, dropout: float = 0.1
    ):
        """
        Args:
            inputs: channels of the map.
            width: channels of each branch and of the result.
            rates: in positions of the map; may be empty.
            separable: see `conv3x3`.
            dropout: of the result, in training.
        """
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(inputs, width, 1),
                *(conv3x3(inputs, width, rate, separable) for rate in rates),
                ImagePooling(inputs, width),
            ]
        )
        self.project = conv_bn_relu(len(self.branches) * width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) => (B, width, H, W). Training on one position of one image raises BatchError."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            raise BatchError
        x = torch.cat([branch(x) for branch in self.branches], dim=1)  # => (B, 5 * width, H, W)
        return self.dropout(self.project(x))  # => (B, width, H, W)


class Decoder(nn.Module):
    """Sharpen ASPP's coarse answer by low-level features: it knows what, they know where things end.

    The paper, section 3.1 "Proposed decoder"; table 1 for the 48 channels, table 2 for the two convolutions.
    """

    def __init__(
        self, low_level_channels: int, width: int, low_level_width: int, convs: int, separable: bool = True
    ):
        """
        Args:
            low_level_channels: of the backbone's map.
            width: channels of ASPP's result and of the decoder's.
            low_level_width: channels to which the low-level features are reduced, lest they outweigh ASPP's.
            convs: how many 3x3 convolutions.
            separable: see `conv3x3`.
        """
        super().__init__()
        self.reduce = conv_bn_relu(low_level_channels, low_level_width, 1)
        inputs = [width + low_level_width] + [width] * (convs - 1)
        self.refine = nn.Sequential(*(conv3x3(channels, width, separable=separable) for channels in inputs))

    def forward(self, deep: Tensor, low_level: Tensor) -> Tensor:
        """(B, width, h, w) and (B, low_level_channels, H/4, W/4) => (B, width, H/4, W/4)."""
        low_level = self.reduce(low_level)  # (B, C, H/4, W/4) => (B, 48, H/4, W/4)
        # Same numbers, other order in memory: with a position's channels side by side, a CPU enlarges ten
        # times as fast and the convolutions behind it are faster too.
        deep, low_level = (x.contiguous(memory_format=torch.channels_last) for x in (deep, low_level))
        x = torch.cat([enlarge(deep, low_level.shape[-2:]), low_level], dim=1)  # => (B, width + 48, H/4, W/4)
        return self.refine(x)


class DeepLabHead(nn.Module):
    """ASPP, the decoder unless it is left out, and a classifier at each position.

    The backbone decides two numbers in here and nothing else: how many channels ASPP takes, and how many the
    decoder's 1x1 convolution takes.
    """

    def __init__(
        self,
        channels: ByStride,
        num_classes: int,
        rates: Sequence[int],
        separable: bool,
        decoder_convs: int,
        width: int = 256,
        low_level_stride: int = 4,
        low_level_width: int = 48,
        dropout: float = 0.1,
    ):
        """
        Args:
            channels: the backbone's `.channels`.
            num_classes: how many answers a pixel has.
            rates: of ASPP.
            separable: see `conv3x3`.
            decoder_convs: 3x3 convolutions of the decoder; 0 for none, as in DeepLabv3.
            width: channels of ASPP and decoder.
            low_level_stride: where the decoder taps the backbone.
            low_level_width: to how many channels it reduces what it finds; the paper's table 1 tries 8 to 64.
            dropout: after ASPP, in training.
        Raises:
            StrideError: the backbone has no map at `low_level_stride`.
        """
        super().__init__()
        self.options = (
            num_classes,
            rates,
            separable,
            decoder_convs,
            width,
            low_level_stride,
            low_level_width,
            dropout,
        )
        self.stride, self.low_level_stride, self.rates = max(channels), low_level_stride, tuple(rates)
        self.aspp = ASPP(channels[self.stride], width, rates, separable, dropout)
        self.decoder = None
        if decoder_convs:
            low_level = channels[low_level_stride]
            self.decoder = Decoder(low_level, width, low_level_width, decoder_convs, separable)
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, features: Features) -> Tensor:
        """{stride: (B, C, H/stride, W/stride)} => logits (B, num_classes, H, W)."""
        x = self.aspp(features[self.stride])  # => (B, width, H/16, W/16)
        if self.decoder is not None:
            x = self.decoder(x, features[self.low_level_stride])  # => (B, width, H/4, W/4)
        return at_input_size(self.classifier(x), features)  # => (B, num_classes, H, W)

    def for_channels(self, channels: ByStride) -> "DeepLabHead":
        """The same head, new, for a backbone of other widths."""
        return DeepLabHead(channels, *self.options)

    def parts(self) -> dict[str, str]:
        """The submodules that do the work, in order: dotted name -> what the paper calls it."""
        names = ["1x1", *(f"3x3, rate {rate}" for rate in self.rates), "image pooling"]
        parts = {f"aspp.branches.{number}": f"ASPP {name}" for number, name in enumerate(names)}
        parts["aspp.project"] = "ASPP projection 1x1"
        if self.decoder is not None:
            parts["decoder.reduce"] = f"decoder 1x1 at stride {self.low_level_stride}"
            parts["decoder.refine"] = f"decoder {len(self.decoder.refine)} x 3x3"
        return {**parts, "classifier": "classifier 1x1"}


class DeepLabV3(Network):
    """DeepLabv3: a backbone, ASPP, a classifier. Its coarse answer is enlarged to the size of the image.

    Chen, Papandreou, Schroff, Adam, Rethinking Atrous Convolution (2017), arXiv 1706.05587. With `rates=()`
    ASPP keeps only its 1x1 convolution and image pooling: the head that Sandler et al., MobileNetV2 (2018),
    table 7, put on MobileNetV2.
    """

    head: DeepLabHead

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        separable: bool = False,
        rates: Sequence[int] | None = None,
        **options: Any,
    ):
        """
        Args:
            backbone: with its deepest map at stride 16 or 8.
            num_classes: how many answers a pixel has.
            separable: whether ASPP's 3x3 convolutions are separable or, as published, dense.
            rates: of ASPP; by default (6, 12, 18) at output stride 16 and (12, 24, 36) at 8.
            options: `width` and `dropout`, see `DeepLabHead`.
        Raises:
            OutputStrideError: the deepest map is at another stride than 16 or 8, and no rates are given.
            ValueError: no classes.
        """
        rates = _rates(backbone, rates)
        head = DeepLabHead(backbone.channels, _positive(num_classes), rates, separable, 0, **options)
        super().__init__(backbone, head)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), normalized, of any size => logits (B, num_classes, H, W)."""
        return self.head(self.backbone(images))

    def anatomy(self, height: int = 513, width: int | None = None) -> "Anatomy":
        """The parts, with shapes and costs for one image.

        Args:
            height: of the image in pixels; 513 is the paper's.
            width: the same as the height if it is not given.
        """
        from .measure.anatomy import dissect  # here, because a model that nobody takes apart needs no meter

        with torch.device("meta"):
            wider = self.head.for_channels(ByStride({s: 2 * c for s, c in self.backbone.channels.items()}))
        parts = {f"head.{name}": title for name, title in self.head.parts().items()}
        return dissect(self, parts, wider, (height, width or height))


class DeepLabV3Plus(Network):
    """DeepLabv3+: DeepLabv3 and a decoder, on any image backbone. A batch of one can be trained on, see
    `ImagePooling`."""

    head: DeepLabHead

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        separable: bool = True,
        decoder_convs: int = 2,
        rates: Sequence[int] | None = None,
        low_level_stride: int = 4,
        **options: Any,
    ):
        """
        Args:
            backbone: with a map at stride 4 and its deepest at stride 16 or 8.
            num_classes: how many answers a pixel has.
            separable: whether 3x3 convolutions of ASPP and decoder are separable (the paper's best) or dense.
            decoder_convs: 3x3 convolutions of the decoder; the paper's table 2 tries one, two and three.
            rates: of ASPP; by default (6, 12, 18) at output stride 16 and (12, 24, 36) at 8.
            low_level_stride: where the decoder taps the backbone.
            options: `width`, `low_level_width` and `dropout`, see `DeepLabHead`.
        Raises:
            StrideError: the backbone has no map at the stride that the decoder taps.
            OutputStrideError: its deepest map is at another stride than 16 or 8, and no rates are given.
            ValueError: no classes, or no convolution in the decoder.
        """
        if decoder_convs < 1:
            raise ValueError(f"decoder_convs={decoder_convs}: take 1 or more. DeepLabV3 has no decoder")
        backbone.channels[low_level_stride]  # says what is wrong before the rates are looked at
        head = DeepLabHead(
            backbone.channels,
            _positive(num_classes),
            _rates(backbone, rates),
            separable,
            decoder_convs,
            low_level_stride=low_level_stride,
            **options,
        )
        super().__init__(backbone, head)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), normalized, of any size => logits (B, num_classes, H, W)."""
        return self.head(self.backbone(images))

    anatomy = DeepLabV3.anatomy


def _positive(num_classes: int) -> int:
    if num_classes < 1:
        raise ValueError(f"num_classes={num_classes}: take 1 or more")
    return num_classes


def _rates(backbone: Backbone, rates: Sequence[int] | None) -> tuple[int, ...]:
    """The rates that were given, or the paper's for the backbone's output stride."""
    stride = max(backbone.channels)
    if rates is not None:
        return tuple(rates)
    if stride in RATES:
        return RATES[stride]
    advice = "give rates=(...), in positions of that map, or choose another backbone, such as resnet50"
    if isinstance(backbone, ImageBackbone):
        possible = [other for other in RATES if other in output_strides(backbone.name)]
        if possible:
            advice = (
                f"use create_backbone({backbone.name!r}, output_stride={possible[0]}), or give rates=(...)"
            )
        else:
            advice = f"its layers cannot be dilated: {advice}"
    raise OutputStrideError(
        f"DeepLab has atrous rates for output strides 16 and 8, and {backbone.name} was built with {stride}: "
        f"{advice}"
    )
