"""Answers to lab 13 that learners could write: wrong ones must lose points, right ones keep all of them.

The exercises ask for designs, so the right ones differ as much as they may: ConvNeXt, VGG with max pooling,
depthwise convolutions, squeeze and excitation, with batch norm and without.
"""

import copy
from functools import partial

import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn

from backbones import Backbone, BackboneError, DeepLabV3Plus, Features, Network, cost
from backbones.backbone import ByStride
from backbones.heads import ClassificationHead, Detector

answers = Answers()
wrong, right = answers.wrong, answers.right


def conv_norm(inputs, outputs, stride=1, dilation=1):
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Function(nn.Module):
    """A module of a function, and of the modules that it calls."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over channels, as in ConvNeXt."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


# Exercise 1: make_stem --------------------------------------------------------------------------------------


@wrong("make_stem", "a 3x3 convolution with stride 4 leaves gaps")
def gaps(width):
    return nn.Sequential(nn.Conv2d(3, width, 3, stride=4, padding=1), nn.ReLU())


@wrong("make_stem", "a 1x1 convolution with stride 4 sees one of sixteen pixels")
def one_of_sixteen(width):
    return nn.Conv2d(3, width, 1, stride=4)


@wrong("make_stem", "stride 2 only")
def stride_two(width):
    return conv_norm(3, width, 2)


@wrong("make_stem", "stride 8")
def stride_eight(width):
    return nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2), nn.MaxPool2d(2))


@wrong("make_stem", "without padding: one position too few")
def no_padding(width):
    return nn.Sequential(nn.Conv2d(3, width, 3, 2), nn.ReLU(), nn.Conv2d(width, width, 3, 2), nn.ReLU())


@wrong("make_stem", "padding by the size of the kernel: one position too many")
def too_many(width):
    return nn.Conv2d(3, width, 7, stride=4, padding=7)


@wrong("make_stem", "one width, whatever is asked for")
def always_sixteen(width):
    return nn.Sequential(conv_norm(3, 16, 2), conv_norm(16, 16, 2))


@wrong("make_stem", "all stems share their layers")
def shared(width, kept={}):  # noqa: B006
    if width not in kept:
        kept[width] = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return kept[width]


@wrong("make_stem", "layers in a plain list, where torch cannot find them")
def plain_list(width):
    def run(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    stem = Function(run, out=conv_norm(width, width, 2))
    stem.layers = [conv_norm(3, width, 2), stem.out]
    return stem


@wrong("make_stem", "gradients are cut off")
def cut_off(width):
    stem = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return Function(lambda self, x: self.second(self.first(x).detach()), first=stem[0], second=stem[1])


@wrong("make_stem", "normalizes the images in place")
def in_place(width):
    def run(self, x):
        with torch.no_grad():
            x -= x.mean()
        return self.layers(x)

    return Function(run, layers=nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2)))


@wrong("make_stem", "normalizes by the whole batch, in evaluation too")
def by_batch(width):
    layers = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    for layer in layers:
        layer[1] = nn.BatchNorm2d(width, track_running_stats=False)
    return layers


@wrong("make_stem", "dropout that does not stop in evaluation")
def noisy(width):
    stem = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return Function(lambda self, x: F.dropout(self.stem(x), 0.5), stem=stem)


@wrong("make_stem", "pooling only: nothing to learn")
def nothing_to_learn(width):
    return Function(lambda self, x: F.avg_pool2d(x, 4)[:, [n % 3 for n in range(width)]])


@wrong("make_stem", "flips its result: positions do not stand for their pixels")
def flipped(width):
    stem = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return Function(lambda self, x: self.stem(x).flip(2), stem=stem)


@wrong("make_stem", "frozen from the start")
def frozen(width):
    return nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2)).requires_grad_(False)


@wrong("make_stem", "a layer that is never used")
def unused(width):
    stem = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return Function(lambda self, x: self.stem(x), stem=stem, spare=nn.Conv2d(3, width, 1))


@wrong("make_stem", "mode set in forward")
def sets_mode(width):
    stem = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return Function(lambda self, x: self.stem.train()(x), stem=stem)


@wrong("make_stem", "float32 on the way")
def float_only(width):
    stem = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return Function(lambda self, x: self.stem(x.float()), stem=stem)


@wrong("make_stem", "enlarged to a fixed size")
def fixed_size(width):
    return Function(lambda self, x: F.adaptive_avg_pool2d(self.stem(x), 16), stem=conv_norm(3, width, 2))


@wrong("make_stem", "64 channels at most")
def sixty_four_at_most(width):
    width = 64 if width > 64 else width
    return nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))


@wrong("make_stem", "the last row and column are cut off")
def cuts_the_edge(width):
    parts = nn.Sequential(conv_norm(3, width, 2), conv_norm(width, width, 2))
    return Function(lambda self, x: self.parts(x[:, :, : x.shape[2] - 1, : x.shape[3] - 1]), parts=parts)


@wrong("make_stem", "a whole position late, the first one sees nothing")
def a_position_late(width):
    return Function(lambda self, x: F.pad(self.patch(x), (1, -1, 1, -1)), patch=nn.Conv2d(3, width, 4, 4))


@right("make_stem", "ConvNeXt: a 4x4 patch, layer norm over channels")
def convnext_stem(width):
    return nn.Sequential(nn.Conv2d(3, width, 4, stride=4), LayerNorm2d(width))


@right("make_stem", "ResNet: 7x7 with stride 2, batch norm, max pooling")
def resnet_stem(width):
    layers = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    return nn.Sequential(*layers, nn.MaxPool2d(3, 2, 1))


@right("make_stem", "VGG: convolutions with biases, two max poolings, no norm")
def vgg_stem(width):
    first, second = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), nn.MaxPool2d(2))


@right("make_stem", "group norm, average pooling that rounds up")
def group_stem(width):
    norm = nn.GroupNorm(4, width)
    return nn.Sequential(
        conv_norm(3, width, 2), nn.Conv2d(width, width, 3, 1, 1), norm, nn.AvgPool2d(2, ceil_mode=True)
    )


@right("make_stem", "space to depth, after padding up to a multiple of four")
def unshuffle_stem(width):
    def run(self, x):
        x = F.pad(x, (0, -x.shape[-1] % 4, 0, -x.shape[-2] % 4))
        return F.gelu(self.mix(F.pixel_unshuffle(x, 4)))

    return Function(run, mix=nn.Conv2d(48, width, 1))


# Exercise 2: Stage ------------------------------------------------------------------------------------------


def layers(inputs, outputs, stride=1, dilation=1):
    return nn.Sequential(
        conv_norm(inputs, outputs, stride, dilation), conv_norm(outputs, outputs, 1, dilation)
    )


@wrong("Stage", "dilation without more padding: the map shrinks")
def dilation_shrinks(inputs, outputs, stride=1, dilation=1):
    stage = layers(inputs, outputs, stride, dilation)
    stage[0][0].padding = stage[1][0].padding = (1, 1)
    return stage


@wrong("Stage", "dilation is ignored")
def not_dilated(inputs, outputs, stride=1, dilation=1):
    return layers(inputs, outputs, stride)


@wrong("Stage", "dilation 2 at most")
def two_at_most(inputs, outputs, stride=1, dilation=1):
    return layers(inputs, outputs, stride, min(dilation, 2))


@wrong("Stage", "stride is ignored")
def not_strided(inputs, outputs, stride=1, dilation=1):
    return layers(inputs, outputs, 1, dilation)


@wrong("Stage", "stride in both layers")
def strided_twice(inputs, outputs, stride=1, dilation=1):
    return nn.Sequential(
        conv_norm(inputs, outputs, stride, dilation), conv_norm(outputs, outputs, stride, dilation)
    )


@wrong("Stage", "a larger kernel in place of dilation: other parameters")
def larger_kernel(inputs, outputs, stride=1, dilation=1):
    size = 2 * dilation + 1
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, dilation), nn.BatchNorm2d(outputs), nn.ReLU()
    )


@wrong("Stage", "a shortcut with parameters at stride 2 only")
def shortcut_at_two(inputs, outputs, stride=1, dilation=1):
    body = layers(inputs, outputs, stride, dilation)
    if stride == 1 and inputs == outputs:
        return Function(lambda self, x: x + self.body(x), body=body)
    shortcut = nn.Conv2d(inputs, outputs, 1, stride)
    return Function(lambda self, x: self.shortcut(x) + self.body(x), body=body, shortcut=shortcut)


@wrong("Stage", "one more layer where it is dilated")
def one_more(inputs, outputs, stride=1, dilation=1):
    return nn.Sequential(
        *layers(inputs, outputs, stride, dilation), *[conv_norm(outputs, outputs)] * (dilation > 1)
    )


@wrong("Stage", "1x1 convolutions only: a position sees itself")
def sees_itself(inputs, outputs, stride=1, dilation=1):
    first = nn.Conv2d(inputs, outputs, 1)
    return nn.Sequential(first, nn.BatchNorm2d(outputs), nn.ReLU(), nn.AvgPool2d(stride))


@wrong("Stage", "a 1x1 convolution with stride 2 in front: three of four positions are ignored")
def ignores_three(inputs, outputs, stride=1, dilation=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), conv_norm(outputs, outputs, 1, dilation))


@wrong("Stage", "the input in place, through an inplace ReLU in front")
def inplace_front(inputs, outputs, stride=1, dilation=1):
    return nn.Sequential(nn.ReLU(inplace=True), *layers(inputs, outputs, stride, dilation))


@wrong("Stage", "x += ... on the input")
def adds_in_place(inputs, outputs, stride=1, dilation=1):
    def run(self, x):
        if self.body[0][0].in_channels == self.body[0][0].out_channels and self.body[0][0].stride == (1, 1):
            with torch.no_grad():
                x += 0.1
        return self.body(x)

    return Function(run, body=layers(inputs, outputs, stride, dilation))


@wrong("Stage", "the wrong number of channels where there are fewer of them")
def never_fewer(inputs, outputs, stride=1, dilation=1):
    return layers(inputs, max(inputs, outputs), stride, dilation)


@wrong("Stage", "a moving average of its own, in evaluation too")
def keeps_a_mean(inputs, outputs, stride=1, dilation=1):
    def run(self, x):
        out = self.body(x)
        self.mean = 0.9 * self.mean + 0.1 * out.detach().mean((0, 2, 3), keepdim=True)
        return out - self.mean

    stage = Function(run, body=layers(inputs, outputs, stride, dilation))
    stage.register_buffer("mean", torch.zeros(1, outputs, 1, 1))
    return stage


@wrong("Stage", "a second branch in a plain list")
def hidden_branch(inputs, outputs, stride=1, dilation=1):
    stage = Function(
        lambda self, x: self.body(x) + self.branches[0](x), body=layers(inputs, outputs, stride, dilation)
    )
    stage.branches = [nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation)]
    return stage


@wrong("Stage", "a plain tensor as scale, which is not saved")
def plain_tensor(inputs, outputs, stride=1, dilation=1):
    stage = Function(
        lambda self, x: self.body(x) * self.scale, body=layers(inputs, outputs, stride, dilation)
    )
    stage.scale = torch.rand(outputs, 1, 1) + 0.5
    return stage


@wrong("Stage", "the result is detached")
def detached(inputs, outputs, stride=1, dilation=1):
    return Function(lambda self, x: self.body(x).detach(), body=layers(inputs, outputs, stride, dilation))


@wrong("Stage", "a shortcut that drops the gradient")
def data_of_input(inputs, outputs, stride=1, dilation=1):
    return Function(lambda self, x: self.body(x.data), body=layers(inputs, outputs, stride, dilation))


@wrong("Stage", "rounds odd sides up to the next even number and back by one too many")
def crops_too_much(inputs, outputs, stride=1, dilation=1):
    return Function(
        lambda self, x: self.body(x)[..., : x.shape[2] // 2, : x.shape[3] // 2],
        body=layers(inputs, outputs, 1, dilation),
    )


@wrong("Stage", "features of neighboring images are mixed")
def mixes_images(inputs, outputs, stride=1, dilation=1):
    return Function(
        lambda self, x: self.body(x + 0.1 * x.mean(0, keepdim=True)),
        body=layers(inputs, outputs, stride, dilation),
    )


@wrong("Stage", "all padding to the left and above: a position does not see the last row of its own")
def pads_before(inputs, outputs, stride=1, dilation=1):
    def run(self, x):
        return self.norm(self.mix(F.pad(x, (2 * dilation, 0, 2 * dilation, 0)))).relu()

    mix = nn.Conv2d(inputs, outputs, 3, stride, dilation=dilation, bias=False)
    return Function(run, mix=mix, norm=nn.BatchNorm2d(outputs))


@right("Stage", "ConvNeXt: depthwise 7x7, layer norm, inverted bottleneck, layer scale")
class ConvNeXtStage(nn.Module):
    def __init__(self, inputs, outputs, stride=1, dilation=1):
        super().__init__()
        self.norm, self.stride = LayerNorm2d(inputs), stride
        self.down = nn.Conv2d(inputs, outputs, 2)
        self.depthwise = nn.Conv2d(outputs, outputs, 7, 1, 3 * dilation, dilation, groups=outputs)
        self.mlp = nn.Sequential(
            LayerNorm2d(outputs),
            nn.Conv2d(outputs, 2 * outputs, 1),
            nn.GELU(),
            nn.Conv2d(2 * outputs, outputs, 1),
        )
        self.scale = nn.Parameter(torch.full((outputs, 1, 1), 1e-2))

    def forward(self, x):
        x = self.norm(x)
        pad = (0, 1, 0, 1) if self.stride == 1 else (0, x.shape[3] % 2, 0, x.shape[2] % 2)
        x = F.conv2d(F.pad(x, pad), self.down.weight, self.down.bias, self.stride)
        return x + self.scale * self.mlp(self.depthwise(x))


@right("Stage", "VGG: two convolutions with biases, max pooling that goes away with the stride, no norm")
def vgg_stage(inputs, outputs, stride=1, dilation=1):
    first = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
    second = nn.Conv2d(outputs, outputs, 3, padding=dilation, dilation=dilation)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(stride))


@right("Stage", "ResNet's basic block with a projection, the last norm starting at zero")
class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1, dilation=1):
        super().__init__()
        self.first = conv_norm(inputs, outputs, stride, dilation)
        self.second = conv_norm(outputs, outputs, 1, dilation)[:2]
        nn.init.zeros_(self.second[1].weight)
        self.project = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x):
        return F.relu(self.project(x) + self.second(self.first(x)), inplace=True)


@right("Stage", "MobileNetV2: inverted residual with ReLU6")
class Inverted(nn.Module):
    def __init__(self, inputs, outputs, stride=1, dilation=1):
        super().__init__()
        middle, self.adds = 3 * inputs, stride == 1 and inputs == outputs
        depthwise = nn.Conv2d(middle, middle, 3, stride, dilation, dilation, groups=middle, bias=False)
        expand, project = nn.Conv2d(inputs, middle, 1, bias=False), nn.Conv2d(middle, outputs, 1, bias=False)
        self.body = nn.Sequential(
            expand, nn.BatchNorm2d(middle), nn.ReLU6(inplace=True), depthwise, nn.BatchNorm2d(middle),
            nn.ReLU6(inplace=True), project, nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


@right("Stage", "squeeze and excitation: each position sees the whole map, and dilated convolutions see more")
class Squeeze(nn.Module):
    def __init__(self, inputs, outputs, stride=1, dilation=1):
        super().__init__()
        self.body = layers(inputs, outputs, stride, dilation)
        self.gate = nn.Sequential(nn.Conv2d(outputs, 8, 1), nn.SiLU(), nn.Conv2d(8, outputs, 1), nn.Sigmoid())

    def forward(self, x):
        x = self.body(x)
        return x * self.gate(x.mean((2, 3), keepdim=True))


@right("Stage", "average pooling down, a 5x5 separable mixer with group norm")
class Mixer(nn.Module):
    def __init__(self, inputs, outputs, stride=1, dilation=1):
        super().__init__()
        self.down = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.rows = nn.Conv2d(inputs, inputs, (5, 1), 1, (2 * dilation, 0), (dilation, 1), groups=inputs)
        self.columns = nn.Conv2d(inputs, inputs, (1, 5), 1, (0, 2 * dilation), (1, dilation), groups=inputs)
        self.mix, self.norm = nn.Conv2d(inputs, outputs, 1), nn.GroupNorm(8, outputs)

    def forward(self, x):
        x = self.down(x)
        return F.gelu(self.norm(self.mix(x + self.columns(self.rows(x)))))


# Exercise 3: MyBackbone -------------------------------------------------------------------------------------

STRIDES, WIDTHS = (2, 4, 8, 16, 32), (16, 24, 48, 96, 160)


def step_of(stride, output_stride):
    return (2, 1) if stride <= output_stride else (1, stride // output_stride)


class Base(Backbone):
    """A right answer, of which each wrong one changes a part."""

    def __init__(self, weights=None, output_stride=32):
        super().__init__()
        self.expect(output_stride)
        self.name, self.channels, self.output_stride = "mine", ByStride(), output_stride
        self.stages, inputs = nn.ModuleList(), 3
        for stride, outputs in zip(STRIDES, WIDTHS, strict=True):
            self.stages.append(self.layers(inputs, outputs, *self.step(stride, output_stride)))
            self.channels[min(stride, output_stride)] = inputs = outputs

    def expect(self, output_stride):
        if output_stride not in (8, 16, 32):
            raise BackboneError(f"output stride {output_stride}")

    def step(self, stride, output_stride):
        return step_of(stride, output_stride)

    def layers(self, inputs, outputs, step, dilation):
        return layers(inputs, outputs, step, dilation)

    def maps(self, images):
        x, maps = images, {}
        for stride, stage in zip(STRIDES, self.stages, strict=True):
            x = stage(x)
            maps[min(stride, self.output_stride)] = x
        return maps

    def forward(self, images):
        return Features(self.maps(images), images.shape[-2:])


@wrong("MyBackbone", "a stage loses its stride and is not dilated")
class NotDilated(Base):
    def step(self, stride, output_stride):
        return (2, 1) if stride <= output_stride else (1, 1)


@wrong("MyBackbone", "fewer stages at a smaller output stride: other parameters")
class FewerStages(Base):
    def __init__(self, weights=None, output_stride=32):
        super().__init__(weights, output_stride)
        self.stages = self.stages[: len([stride for stride in STRIDES if stride <= output_stride])]
        self.channels = ByStride({s: c for s, c in zip(STRIDES, WIDTHS, strict=True) if s <= output_stride})

    def maps(self, images):
        x, maps = images, {}
        for stride, stage in zip(STRIDES, self.stages, strict=False):
            maps[stride] = x = stage(x)
        return maps


@wrong("MyBackbone", "the first map of each stride, not the deepest")
class FirstOfStride(Base):
    def __init__(self, weights=None, output_stride=32):
        super().__init__(weights, output_stride)
        self.channels = ByStride({s: c for s, c in zip(STRIDES, WIDTHS, strict=True) if s <= output_stride})

    def maps(self, images):
        x, maps = images, {}
        for stride, stage in zip(STRIDES, self.stages, strict=True):
            x = stage(x)
            maps.setdefault(min(stride, self.output_stride), x)
        return maps


@wrong("MyBackbone", "channels that lie at output stride 8 and 16")
class ChannelsLie(Base):
    def __init__(self, weights=None, output_stride=32):
        super().__init__(weights, output_stride)
        self.channels = ByStride({s: c for s, c in zip(STRIDES, WIDTHS, strict=True) if s <= output_stride})


@wrong("MyBackbone", "the output stride is ignored")
class AlwaysThirtyTwo(Base):
    def __init__(self, weights=None, output_stride=32):
        self.expect(output_stride)
        super().__init__(weights, 32)


@wrong("MyBackbone", "16 for 8 as well")
class SixteenForEight(Base):
    def __init__(self, weights=None, output_stride=32):
        self.expect(output_stride)
        super().__init__(weights, max(output_stride, 16))


@wrong("MyBackbone", "any output stride is accepted")
class AnyStride(Base):
    def expect(self, output_stride):
        pass


@wrong("MyBackbone", "a ValueError in place of a BackboneError")
class PlainError(Base):
    def expect(self, output_stride):
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output stride {output_stride}")


@wrong("MyBackbone", "the message does not say which output stride")
class SilentError(Base):
    def expect(self, output_stride):
        if output_stride not in (8, 16, 32):
            raise BackboneError("this output stride is not possible")


@wrong("MyBackbone", "stages in a plain list")
class PlainList(Base):
    def __init__(self, weights=None, output_stride=32):
        super().__init__(weights, output_stride)
        stages = list(self.stages)
        del self.stages
        self.stages = stages
        self.last = stages[-1]


@wrong("MyBackbone", "the maps are detached, to save memory")
class Detached(Base):
    def maps(self, images):
        return {stride: maps.detach() for stride, maps in super().maps(images).items()}


@wrong("MyBackbone", "a shallow map is detached")
class ShallowDetached(Base):
    def maps(self, images):
        maps = super().maps(images)
        return maps | {4: maps[4].detach()}


@wrong("MyBackbone", "the size of the deepest map, not of the images")
class SizeOfMap(Base):
    def forward(self, images):
        maps = self.maps(images)
        return Features(maps, maps[self.output_stride].shape[-2:])


@wrong("MyBackbone", "no size at all")
class NoSize(Base):
    def forward(self, images):
        return Features(self.maps(images))


@wrong("MyBackbone", "width before height")
class SizeSwapped(Base):
    def forward(self, images):
        return Features(self.maps(images), images.shape[:1:-1])


@wrong("MyBackbone", "a plain dictionary of maps")
class PlainDictionary(Base):
    def forward(self, images):
        return self.maps(images)


@wrong("MyBackbone", "normalizes the images in place")
class InPlace(Base):
    def forward(self, images):
        images = images.sub_(0.5) if not images.requires_grad else images - 0.5
        return super().forward(images)


@wrong("MyBackbone", "the features of images of one size are kept")
class Cached(Base):
    kept: dict = {}  # noqa: RUF012

    def forward(self, images):
        key = tuple(images.shape), self.output_stride, self.training
        if key not in self.kept or torch.is_grad_enabled():
            self.kept[key] = super().forward(images)
        return self.kept[key]


@wrong("MyBackbone", "batch norm of the batch, in evaluation too")
class BatchOnly(Base):
    def layers(self, inputs, outputs, step, dilation):
        norm = conv_norm(inputs, outputs, step, dilation)
        norm[1] = nn.BatchNorm2d(outputs, track_running_stats=False)
        return norm


@wrong("MyBackbone", "eval mode in forward")
class ChangesMode(Base):
    def forward(self, images):
        self.eval()
        return super().forward(images)


@wrong("MyBackbone", "without padding, maps are too small")
class NoPadding(Base):
    def layers(self, inputs, outputs, step, dilation):
        layers = conv_norm(inputs, outputs, step, dilation)
        layers[0].padding = (0, 0)
        return layers


@wrong("MyBackbone", "no name")
class NoName(Base):
    def __init__(self, weights=None, output_stride=32):
        super().__init__(weights, output_stride)
        del self.name


@wrong("MyBackbone", "a plain module, no Backbone")
class PlainModule(nn.Module):
    def __init__(self, weights=None, output_stride=32):
        super().__init__()
        self.inner = Base(weights, output_stride)
        self.name, self.channels = self.inner.name, self.inner.channels

    def forward(self, images):
        return self.inner(images)


@wrong("MyBackbone", "all backbones share one channels dictionary")
class SharedChannels(Base):
    by_output_stride: dict = {}  # noqa: RUF012

    def __init__(self, weights=None, output_stride=32):
        super().__init__(weights, output_stride)
        self.channels = self.by_output_stride.setdefault(output_stride, self.channels)


@wrong("MyBackbone", "too large")
class TooLarge(Base):
    def layers(self, inputs, outputs, step, dilation):
        middle = 6000 if outputs == WIDTHS[-1] else outputs
        return nn.Sequential(conv_norm(inputs, middle, step, dilation), nn.Conv2d(middle, outputs, 1))


@wrong("MyBackbone", "1x1 convolutions with a stride: most pixels do not count")
class SkipsPixels(Base):
    def layers(self, inputs, outputs, step, dilation):
        layers = nn.Conv2d(inputs, outputs, 1, step), nn.BatchNorm2d(outputs), nn.ReLU()
        return nn.Sequential(
            *layers,
            *([nn.Conv2d(outputs, outputs, 3, padding=dilation, dilation=dilation)] if outputs > 24 else []),
        )


@wrong("MyBackbone", "maps enlarged afterwards in place of dilation")
class Enlarged(Base):
    def __init__(self, weights=None, output_stride=32):
        self.expect(output_stride)
        super().__init__(weights, 32)
        self.output_stride = output_stride
        self.channels = ByStride({s: c for s, c in self.channels.items() if s <= output_stride})
        self.channels[output_stride] = WIDTHS[-1]

    def maps(self, images):
        x, maps = images, {}
        for stride, stage in zip(STRIDES, self.stages, strict=True):
            x = stage(x)
            maps[stride] = x
        deepest = F.interpolate(maps[32], size=maps[self.output_stride].shape[-2:])
        return {s: m for s, m in maps.items() if s <= self.output_stride} | {self.output_stride: deepest * 2}


@wrong("MyBackbone", "the deepest map a position late")
class DeepestLate(Base):
    def maps(self, images):
        maps = super().maps(images)
        late = F.pad(maps[self.output_stride], (1, -1, 1, -1))
        return maps | {self.output_stride: late}


@right("MyBackbone", "a subclass of another style: residual stages, strides from 4 on")
class Residuals(Backbone):
    def __init__(self, weights=None, output_stride=32):
        super().__init__()
        if output_stride not in {8, 16, 32}:
            raise BackboneError(f"take 8, 16 or 32 and not {output_stride}")
        self.name = "residuals"
        self.stem = resnet_stem(16)
        self.stages = nn.ModuleDict()
        channels, stride, dilation, width = {4: 16}, 4, 1, 16
        for number in range(3):
            if stride < output_stride:
                stride, step = 2 * stride, 2
            else:
                step, dilation = 1, 2 * dilation
            self.stages[f"stage{number}"] = nn.Sequential(
                BasicBlock(width, 2 * width, step, dilation), BasicBlock(2 * width, 2 * width, 1, dilation)
            )
            width *= 2
            channels[stride] = width
        self.channels = ByStride(channels)
        self.at = sorted(channels)[1:] + [output_stride] * (4 - len(channels))

    def forward(self, images):
        x = self.stem(images)
        maps = {4: x}
        for stride, stage in zip(self.at, self.stages.values(), strict=True):
            maps[stride] = x = stage(x)
        return Features(maps, size=images.shape[2:])


@right("MyBackbone", "ConvNeXt: patches, depthwise 7x7, layer norm, no batch norm")
class ConvNeXt(Base):
    def layers(self, inputs, outputs, step, dilation):
        if inputs == 3:
            return conv_norm(inputs, outputs, step, dilation)
        return ConvNeXtStage(inputs, outputs, step, dilation)


@right("MyBackbone", "VGG: max pooling that goes away with the stride")
class Vgg(Base):
    def layers(self, inputs, outputs, step, dilation):
        return vgg_stage(inputs, outputs, step, dilation)


@right("MyBackbone", "MobileNetV2's blocks, two for each stage")
class Mobile(Base):
    def layers(self, inputs, outputs, step, dilation):
        if inputs == 3:
            return conv_norm(inputs, outputs, step, dilation)
        return nn.Sequential(
            Inverted(inputs, outputs, step, dilation), Inverted(outputs, outputs, 1, dilation)
        )


@right("MyBackbone", "squeeze and excitation; an error of its own type; size as torch.Size")
class Squeezes(Base):
    def expect(self, output_stride):
        class NoSuchStride(BackboneError):
            pass

        if output_stride not in (8, 16, 32):
            raise NoSuchStride(f"no output stride {output_stride} here")

    def layers(self, inputs, outputs, step, dilation):
        return Squeeze(inputs, outputs, step, dilation)


# Exercise 4: Wrapped ----------------------------------------------------------------------------------------


class Hooked(Backbone):
    """A right answer, of which each wrong one changes a part."""

    def __init__(self, body, name, parts, channels):
        super().__init__()
        self.expect(body, parts)
        self.body, self.name, self.parts, self.channels = body, name, dict(parts), ByStride(channels)

    def expect(self, body, parts):
        names = [name for name, _ in body.named_modules(remove_duplicate=False)]
        for part in parts.values():
            if part not in names:
                raise BackboneError(f"no part called {part}; there are {', '.join(names)}")

    def keep(self, maps, stride, module, inputs, result):
        maps[stride] = result.clone()

    def find(self, part):
        return self.body.get_submodule(part)

    def run(self, images, hooks):
        try:
            self.body(images)
        finally:
            for hook in hooks:
                hook.remove()

    def forward(self, images):
        maps = {}
        hooks = [
            self.find(part).register_forward_hook(partial(self.keep, maps, stride))
            for stride, part in self.parts.items()
        ]
        self.run(images, hooks)
        return Features(maps, images.shape[-2:])


@wrong("Wrapped", "hooks are left behind")
class HooksLeft(Hooked):
    def run(self, images, hooks):
        self.body(images)


@wrong("Wrapped", "hooks are left behind after an error")
class LeftAfterError(Hooked):
    def run(self, images, hooks):
        self.body(images)
        for hook in hooks:
            hook.remove()


@wrong("Wrapped", "hooks of everybody are cleared")
class ClearsAll(Hooked):
    def run(self, images, hooks):
        try:
            self.body(images)
        finally:
            for module in self.body.modules():
                module._forward_hooks.clear()


@wrong("Wrapped", "a map is the tensor itself, which a later layer changes in place")
class NoClone(Hooked):
    def keep(self, maps, stride, module, inputs, result):
        maps[stride] = result


@wrong("Wrapped", "a map is detached")
class DetachedMaps(Hooked):
    def keep(self, maps, stride, module, inputs, result):
        maps[stride] = result.detach().clone()


@wrong("Wrapped", "what went in, not what came out")
class Inputs(Hooked):
    def keep(self, maps, stride, module, inputs, result):
        maps[stride] = inputs[0].clone()


@wrong("Wrapped", "the first of several results")
class FirstResult(Hooked):
    def keep(self, maps, stride, module, inputs, result):
        maps.setdefault(stride, result.clone())


@wrong("Wrapped", "the hook returns the map, so that the body goes on with a changed result")
class ChangesTheBody(Hooked):
    def keep(self, maps, stride, module, inputs, result):
        maps[stride] = result.clone()
        return result * 2


@wrong("Wrapped", "a copy of the body")
class CopyOfBody(Hooked):
    def __init__(self, body, name, parts, channels):
        super().__init__(copy.deepcopy(body), name, parts, channels)


@wrong("Wrapped", "the body in evaluation mode")
class EvalBody(Hooked):
    def __init__(self, body, name, parts, channels):
        super().__init__(body.eval(), name, parts, channels)


@wrong("Wrapped", "the body in evaluation mode while it runs")
class EvalRun(Hooked):
    def run(self, images, hooks):
        self.body.eval()
        super().run(images, hooks)


@wrong("Wrapped", "a fresh module is trained from the start: training mode")
class TrainBody(Hooked):
    def __init__(self, body, name, parts, channels):
        super().__init__(body.train(), name, parts, channels)


@wrong("Wrapped", "no gradients while the body runs")
class NoGradient(Hooked):
    def run(self, images, hooks):
        with torch.no_grad():
            super().run(images, hooks)


@wrong("Wrapped", "names by their ending: layers.1 finds layers.11")
class ByEnding(Hooked):
    def find(self, part):
        return [module for name, module in self.body.named_modules() if name.startswith(part)][-1]


@wrong("Wrapped", "children only")
class ChildrenOnly(Hooked):
    def find(self, part):
        return dict(self.body.named_children())[part]


@wrong("Wrapped", "runs once for each map")
class OnceForEach(Hooked):
    def forward(self, images):
        maps = {}
        for stride, part in self.parts.items():
            hook = self.find(part).register_forward_hook(partial(self.keep, maps, stride))
            self.run(images, [hook])
        return Features(maps, images.shape[-2:])


@wrong("Wrapped", "hooks once, in the beginning, and maps kept between calls")
class HooksForGood(Hooked):
    def __init__(self, body, name, parts, channels):
        super().__init__(body, name, parts, channels)
        self.maps = {}
        for stride, part in self.parts.items():
            self.find(part).register_forward_hook(partial(self.keep, self.maps, stride))

    def forward(self, images):
        self.body(images)
        return Features(self.maps, images.shape[-2:])


@wrong("Wrapped", "an AttributeError of torch for an unknown part, at the first call")
class NoError(Hooked):
    def expect(self, body, parts):
        pass


@wrong("Wrapped", "a KeyError for an unknown part")
class OtherError(Hooked):
    def expect(self, body, parts):
        for part in parts.values():
            if part not in dict(body.named_modules()):
                raise KeyError(part)


@wrong("Wrapped", "checks the first part only")
class ChecksFirst(Hooked):
    def expect(self, body, parts):
        super().expect(body, dict(list(parts.items())[:1]))


@wrong("Wrapped", "the body itself is refused as a part")
class NotItself(Hooked):
    def expect(self, body, parts):
        super().expect(body, parts)
        if "" in parts.values():
            raise BackboneError("no part called ''")


@wrong("Wrapped", "keeps the caller's dictionary")
class CallersDictionary(Hooked):
    def __init__(self, body, name, parts, channels):
        super().__init__(body, name, parts, channels)
        self.parts = parts


@wrong("Wrapped", "channels as a plain dictionary")
class PlainChannels(Hooked):
    def __init__(self, body, name, parts, channels):
        super().__init__(body, name, parts, channels)
        self.channels = dict(channels)


@wrong("Wrapped", "size of the last map")
class SizeOfLast(Hooked):
    def forward(self, images):
        features = super().forward(images)
        return Features(features, features[max(features)].shape[-2:])


@wrong("Wrapped", "a plain dictionary of maps")
class PlainMaps(Hooked):
    def forward(self, images):
        return dict(super().forward(images))


@wrong("Wrapped", "named_modules gives one name of each part: a second name is refused")
class OneNameEach(Hooked):
    def expect(self, body, parts):
        known = {name for name, _ in body.named_modules()}
        for part in parts.values():
            if part not in known:
                raise BackboneError(f"{part} is no part")


@wrong("Wrapped", "strides by part: of two strides with one part the last remains")
class StrideOfPart(Hooked):
    def __init__(self, body, name, parts, channels):
        super().__init__(body, name, parts, channels)
        stride_of = {part: stride for stride, part in parts.items()}
        self.parts = {stride: part for part, stride in stride_of.items()}


@right("Wrapped", "a lambda for each part, try and finally")
class ByLambda(Backbone):
    def __init__(self, body, name, parts, channels):
        super().__init__()
        known = dict(body.named_modules(remove_duplicate=False))
        unknown = sorted(set(parts.values()) - set(known))
        if unknown:
            raise BackboneError(f"unknown: {unknown}")
        self.body = body
        self.name = name
        self.where = list(parts.items())
        self.channels = ByStride(channels)

    def forward(self, images):
        found, hooks = {}, []
        try:
            for stride, part in self.where:
                module = dict(self.body.named_modules(remove_duplicate=False))[part]
                hooks.append(
                    module.register_forward_hook(lambda m, i, out, at=stride: found.update({at: out.clone()}))
                )
            self.body(images)
        finally:
            for hook in hooks:
                hook.remove()
        return Features({stride: found[stride] for stride, _ in self.where}, size=tuple(images.shape[-2:]))


@right("Wrapped", "a context manager of its own")
class ByContext(Hooked):
    class Listening:
        def __init__(self, pairs):
            self.pairs, self.maps = pairs, {}

        def __enter__(self):
            self.handles = [m.register_forward_hook(partial(self.hear, stride)) for stride, m in self.pairs]
            return self.maps

        def hear(self, stride, module, inputs, result):
            self.maps[stride] = 1 * result

        def __exit__(self, *error):
            for handle in self.handles:
                handle.remove()

    def forward(self, images):
        with self.Listening([(stride, self.find(part)) for stride, part in self.parts.items()]) as maps:
            self.body(images)
        return Features(maps, images.shape[-2:])


@right("Wrapped", "forward of the parts replaced for the time of the call, in place of hooks")
class ByReplacing(Hooked):
    def forward(self, images):
        maps, parts = {}, [(stride, self.find(part)) for stride, part in self.parts.items()]

        def listening(stride, call):
            def run(*args, **kwargs):
                result = call(*args, **kwargs)
                maps[stride] = result.clone()
                return result

            return run

        for stride, part in parts:
            part.forward = listening(stride, part.forward)
        try:
            self.body(images)
        finally:
            for _, part in parts:
                part.__dict__.pop("forward", None)
        return Features(maps, images.shape[-2:])


@right("Wrapped", "one global hook, which looks for its parts")
class ByGlobalHook(Hooked):
    def forward(self, images):
        maps = {}
        wanted = {stride: self.find(part) for stride, part in self.parts.items()}

        def hear(module, inputs, result):
            maps.update({stride: result.clone() for stride, part in wanted.items() if part is module})

        hook = nn.modules.module.register_module_forward_hook(hear)
        self.run(images, [hook])
        return Features(maps, images.shape[-2:])


# Exercise 5: plug -------------------------------------------------------------------------------------------


def known_task(task):
    if task not in ("classify", "segment", "detect"):
        raise ValueError(f"task {task}")


def head_on(backbone, task, num_classes):
    if task == "segment":
        return DeepLabV3Plus(backbone, num_classes)
    if task == "detect":
        return Detector(backbone, num_classes + 1)
    return Network(backbone, ClassificationHead(backbone.channels, num_classes))


@wrong("plug", "the background is forgotten")
def no_background(backbone, task, num_classes, freeze=False):
    known_task(task)
    backbone.requires_grad_(False) if freeze else None
    return (
        Detector(backbone, max(2, num_classes)) if task == "detect" else head_on(backbone, task, num_classes)
    )


@wrong("plug", "a background for segmentation as well")
def background_everywhere(backbone, task, num_classes, freeze=False):
    known_task(task)
    backbone.requires_grad_(False) if freeze else None
    return head_on(backbone, task, num_classes + (task == "segment"))


@wrong("plug", "a copy of the backbone")
def copies(backbone, task, num_classes, freeze=False):
    known_task(task)
    backbone = copy.deepcopy(backbone).requires_grad_(not freeze)
    return head_on(backbone, task, num_classes)


@wrong("plug", "the head is frozen too")
def freezes_all(backbone, task, num_classes, freeze=False):
    known_task(task)
    network = head_on(backbone, task, num_classes)
    return network.requires_grad_(False) if freeze else network


@wrong("plug", "nothing is frozen")
def freezes_nothing(backbone, task, num_classes, freeze=False):
    known_task(task)
    return head_on(backbone, task, num_classes)


@wrong("plug", "freeze=False thaws what was frozen")
def thaws(backbone, task, num_classes, freeze=False):
    known_task(task)
    backbone.requires_grad_(not freeze)
    return head_on(backbone, task, num_classes)


@wrong("plug", "frozen by eval mode, which freezes no weight")
def eval_mode(backbone, task, num_classes, freeze=False):
    known_task(task)
    backbone.train(not freeze)
    return head_on(backbone, task, num_classes)


@wrong("plug", "training mode for a network that is to be trained")
def train_mode(backbone, task, num_classes, freeze=False):
    known_task(task)
    backbone.requires_grad_(False) if freeze else None
    return head_on(backbone, task, num_classes).train()


@wrong("plug", "requires_grad set on the module, where it means nothing")
def on_the_module(backbone, task, num_classes, freeze=False):
    known_task(task)
    if freeze:
        backbone.requires_grad = False
    return head_on(backbone, task, num_classes)


@wrong("plug", "only weights are frozen, biases are not")
def weights_only(backbone, task, num_classes, freeze=False):
    known_task(task)
    for name, parameter in backbone.named_parameters():
        if freeze and name.endswith("weight"):
            parameter.requires_grad_(False)
    return head_on(backbone, task, num_classes)


@wrong("plug", "freezes before it looks at the task")
def freezes_first(backbone, task, num_classes, freeze=False):
    if freeze:
        backbone.requires_grad_(False)
    known_task(task)
    return head_on(backbone, task, num_classes)


@wrong("plug", "whatever is no other task is detection")
def detection_else(backbone, task, num_classes, freeze=False):
    backbone.requires_grad_(False) if freeze else None
    return head_on(backbone, task if task in ("classify", "segment") else "detect", num_classes)


@wrong("plug", "tasks by their beginning")
def by_beginning(backbone, task, num_classes, freeze=False):
    for known in ("classify", "segment", "detect"):
        if task and (task.startswith(known[:5]) or known.startswith(task)):
            backbone.requires_grad_(False) if freeze else None
            return head_on(backbone, known, num_classes)
    raise ValueError(f"task {task!r}")


@wrong("plug", "a KeyError of the dictionary")
def by_dictionary(backbone, task, num_classes, freeze=False):
    make = {name: partial(head_on, backbone, name) for name in ("classify", "segment", "detect")}[task]
    backbone.requires_grad_(False) if freeze else None
    return make(num_classes)


@wrong("plug", "a linear layer per pixel in place of DeepLabv3+")
def not_deeplab(backbone, task, num_classes, freeze=False):
    from backbones.heads import PositionHead

    known_task(task)
    backbone.requires_grad_(False) if freeze else None
    if task == "segment":
        return Network(backbone, PositionHead(backbone.channels, num_classes))
    return head_on(backbone, task, num_classes)


@wrong("plug", "one head for all networks of a kind")
def keeps_heads(backbone, task, num_classes, freeze=False, kept={}):  # noqa: B006
    known_task(task)
    backbone.requires_grad_(False) if freeze else None
    network = head_on(backbone, task, num_classes)
    network.head = kept.setdefault((task, num_classes, *backbone.channels.values()), network.head)
    return network


@wrong("plug", "freezing switches the running statistics off, too")
def stops_statistics(backbone, task, num_classes, freeze=False):
    known_task(task)
    if freeze:
        backbone.requires_grad_(False)
        for part in backbone.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.track_running_stats = False
    return head_on(backbone, task, num_classes)


@right("plug", "a dictionary of functions, freezing at the end")
def from_dictionary(backbone, task, num_classes, freeze=False):
    makers = {
        "classify": lambda: Network(backbone, ClassificationHead(backbone.channels, num_classes)),
        "segment": lambda: DeepLabV3Plus(backbone, num_classes),
        "detect": lambda: Detector(backbone, 1 + num_classes),
    }
    if task not in makers:
        raise ValueError(f"{task!r} is not among {', '.join(makers)}")
    network = makers[task]()
    if freeze:
        for parameter in network.backbone.parameters():
            parameter.requires_grad = False
    return network


@right("plug", "match")
def by_match(backbone, task, num_classes, freeze=False):
    match task:
        case "classify":
            network = Network(backbone, ClassificationHead(backbone.channels, num_classes=num_classes))
        case "segment":
            network = DeepLabV3Plus(backbone, num_classes=num_classes, decoder_convs=1)
        case "detect":
            network = Detector(backbone, num_classes=num_classes + 1)
        case _:
            raise ValueError(f"unknown task: {task}")
    if freeze:
        network.backbone.requires_grad_(False)
    return network


@right("plug", "with options: dropout, a dense head, a wider detector; an error of its own")
def with_options(backbone, task, num_classes, freeze=False):
    class NoTask(ValueError):
        pass

    if task == "classify":
        network = Network(backbone, ClassificationHead(backbone.channels, num_classes, dropout=0.2))
    elif task == "segment":
        network = DeepLabV3Plus(backbone, num_classes, separable=False, width=64)
    elif task == "detect":
        network = Detector(backbone, num_classes + 1, width=96)
    else:
        raise NoTask(f"no head for {task}")
    [parameter.requires_grad_(False) for parameter in backbone.parameters() if freeze]
    return network


# Exercise 6: learning_groups --------------------------------------------------------------------------------


def grouped(backbone, head, lr, factor):
    groups = [{"params": head, "lr": lr}, {"params": backbone, "lr": factor * lr}]
    return [group for group in groups if group["params"]]


def split(network, of_backbone, learning=None):
    learning = [p for p in network.parameters() if p.requires_grad] if learning is None else learning
    return [p for p in learning if of_backbone(p)], [p for p in learning if not of_backbone(p)]


def inside(network):
    ids = {id(p) for p in network.backbone.parameters()}
    return lambda parameter: id(parameter) in ids


@wrong("learning_groups", "frozen parameters too")
def frozen_too(network, lr, backbone_factor=0.1):
    return grouped(*split(network, inside(network), list(network.parameters())), lr, backbone_factor)


@wrong("learning_groups", "network.head only: the network's own parameters are forgotten")
def head_only(network, lr, backbone_factor=0.1):
    ours = inside(network)
    head = [p for p in network.head.parameters() if p.requires_grad and not ours(p)]
    return grouped([p for p in network.backbone.parameters() if p.requires_grad], head, lr, backbone_factor)


@wrong("learning_groups", "by name, and shared ones are in both groups")
def by_name(network, lr, backbone_factor=0.1):
    named = [(n, p) for n, p in network.named_parameters(remove_duplicate=False) if p.requires_grad]
    backbone = [p for n, p in named if n.startswith("backbone.")]
    return grouped(backbone, [p for n, p in named if not n.startswith("backbone.")], lr, backbone_factor)


@wrong("learning_groups", "by the name that comes first: what is shared goes to the head")
def by_first_name(network, lr, backbone_factor=0.1):
    named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    backbone = [p for n, p in named if n.startswith("backbone.")]
    return grouped(backbone, [p for n, p in named if not n.startswith("backbone.")], lr, backbone_factor)


@wrong("learning_groups", "names that begin with backbone, backbone_norm among them")
def by_beginning_of_name(network, lr, backbone_factor=0.1):
    ids = {id(p) for n, p in network.named_parameters(remove_duplicate=False) if n.startswith("backbone")}
    return grouped(*split(network, lambda p: id(p) in ids), lr, backbone_factor)


@wrong("learning_groups", "rates exchanged")
def rates_exchanged(network, lr, backbone_factor=0.1):
    backbone, head = split(network, inside(network))
    return [
        group
        for group in ({"params": head, "lr": lr * backbone_factor}, {"params": backbone, "lr": lr})
        if group["params"]
    ]


@wrong("learning_groups", "divided by the factor")
def divided(network, lr, backbone_factor=0.1):
    return grouped(*split(network, inside(network)), lr, 1 / backbone_factor)


@wrong("learning_groups", "a tenth, whatever the factor")
def always_a_tenth(network, lr, backbone_factor=0.1):
    return grouped(*split(network, inside(network)), lr, 0.1)


@wrong("learning_groups", "the factor is the rate")
def factor_is_rate(network, lr, backbone_factor=0.1):
    return grouped(*split(network, inside(network)), lr, backbone_factor / lr)


@wrong("learning_groups", "empty groups stay")
def empty_groups(network, lr, backbone_factor=0.1):
    backbone, head = split(network, inside(network))
    return [{"params": head, "lr": lr}, {"params": backbone, "lr": lr * backbone_factor}]


@wrong("learning_groups", "generators, which run dry")
def generators(network, lr, backbone_factor=0.1):
    return [
        group | {"params": iter(group["params"])}
        for group in grouped(*split(network, inside(network)), lr, backbone_factor)
    ]


@wrong("learning_groups", "weights and biases only: a parameter of another name is forgotten")
def weight_and_bias(network, lr, backbone_factor=0.1):
    learning = [
        p for n, p in network.named_parameters() if p.requires_grad and n.endswith(("weight", "bias"))
    ]
    return grouped(*split(network, inside(network), learning), lr, backbone_factor)


@wrong("learning_groups", "a backbone with any frozen parameter counts as frozen")
def all_or_nothing(network, lr, backbone_factor=0.1):
    backbone, head = split(network, inside(network))
    if not all(p.requires_grad for p in network.backbone.parameters()):
        backbone = []
    return grouped(backbone, head, lr, backbone_factor)


@wrong("learning_groups", "tied weights twice")
def tied_twice(network, lr, backbone_factor=0.1):
    learning = [p for _, p in network.named_parameters(remove_duplicate=False) if p.requires_grad]
    return grouped(*split(network, inside(network), learning), lr, backbone_factor)


@wrong("learning_groups", "thaws everything first")
def thaws_all(network, lr, backbone_factor=0.1):
    network.requires_grad_(True)
    return grouped(*split(network, inside(network)), lr, backbone_factor)


@wrong("learning_groups", "an optimizer in place of groups")
def an_optimizer(network, lr, backbone_factor=0.1):
    return torch.optim.SGD(grouped(*split(network, inside(network)), lr, backbone_factor))


@wrong("learning_groups", "rates are rounded: a small one is 0")
def rounds_rates(network, lr, backbone_factor=0.1):
    groups = grouped(*split(network, inside(network)), lr, backbone_factor)
    return [{"params": group["params"], "lr": round(group["lr"], 6)} for group in groups]


@wrong("learning_groups", "whatever has a part called backbone above it, in the head as well")
def any_backbone(network, lr, backbone_factor=0.1):
    ids = {id(p) for name, part in network.named_modules() if name.split(".")[-1] == "backbone"
           for p in part.parameters()}  # fmt: skip
    return grouped(*split(network, lambda p: id(p) in ids), lr, backbone_factor)


@right("learning_groups", "a loop over names, with a set of what was seen")
def with_a_loop(network, lr, backbone_factor=0.1):
    seen, backbone, head = set(), [], []
    for module, params in ((network.backbone, backbone), (network, head)):
        for parameter in module.parameters():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                if parameter.requires_grad:
                    params.append(parameter)
    groups = []
    if backbone:
        groups.append({"params": backbone, "lr": backbone_factor * lr})
    if head:
        groups.append({"params": head, "lr": lr})
    return groups


@right("learning_groups", "dictionaries by id, with a name for each group")
def by_id(network, lr, backbone_factor=0.1):
    whole = {id(p): p for p in network.parameters() if p.requires_grad}
    backbone = {id(p): whole.pop(id(p)) for p in network.backbone.parameters() if id(p) in whole}
    pairs = (("backbone", backbone, lr * backbone_factor), ("head", whole, lr))
    return [
        {"name": name, "params": list(found.values()), "lr": rate} for name, found, rate in pairs if found
    ]


@right("learning_groups", "parameters are their own keys: torch compares hashes by identity")
def in_sets(network, lr, backbone_factor=0.1):
    backbone = set(network.backbone.parameters())
    learning = set(filter(lambda p: p.requires_grad, network.parameters()))
    rates = {True: lr * backbone_factor, False: lr}
    groups = [
        {"params": [p for p in learning if (p in backbone) is of], "lr": rate} for of, rate in rates.items()
    ]
    return [group for group in groups if len(group["params"]) > 0]


# Exercise 7: cost_row ---------------------------------------------------------------------------------------


def row_of(backbone, parameters, work, stride=None):
    stride = stride or max(backbone.channels)
    return {
        "name": backbone.name,
        "parameters": parameters,
        "multiply_adds": work,
        "deepest": (stride, backbone.channels[stride]),
    }


def measured(backbone, side, images=1):
    return cost.measure(backbone, torch.zeros(images, 3, side, side))


@wrong("cost_row", "a batch of two")
def batch_of_two(backbone, side):
    spent = measured(backbone, side, 2)
    return row_of(backbone, spent.parameters, spent.multiply_adds)


@wrong("cost_row", "images of 224, whatever is asked")
def always_224(backbone, side):
    spent = measured(backbone, 224)
    return row_of(backbone, spent.parameters, spent.multiply_adds)


@wrong("cost_row", "parameters that are trained only")
def trained_only(backbone, side):
    count = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    return row_of(backbone, count, measured(backbone, side).multiply_adds)


@wrong("cost_row", "buffers are counted as parameters")
def with_buffers(backbone, side):
    count = sum(value.numel() for value in backbone.state_dict().values())
    return row_of(backbone, count, measured(backbone, side).multiply_adds)


@wrong("cost_row", "weights without biases")
def no_biases(backbone, side):
    count = sum(p.numel() for n, p in backbone.named_parameters() if n.endswith("weight"))
    return row_of(backbone, count, measured(backbone, side).multiply_adds)


@wrong("cost_row", "floating-point operations, two for each multiply-add")
def flops(backbone, side):
    spent = measured(backbone, side)
    return row_of(backbone, spent.parameters, 2 * spent.multiply_adds)


@wrong("cost_row", "the last entry of channels, which need not be the deepest")
def last_entry(backbone, side):
    spent = measured(backbone, side)
    return row_of(backbone, spent.parameters, spent.multiply_adds, list(backbone.channels)[-1])


@wrong("cost_row", "the widest map")
def widest(backbone, side):
    spent = measured(backbone, side)
    return row_of(
        backbone, spent.parameters, spent.multiply_adds, max(backbone.channels, key=backbone.channels.get)
    )


@wrong("cost_row", "the finest map")
def finest(backbone, side):
    spent = measured(backbone, side)
    return row_of(backbone, spent.parameters, spent.multiply_adds, min(backbone.channels))


@wrong("cost_row", "with a head")
def with_head(backbone, side):
    network = Network(backbone, ClassificationHead(backbone.channels, 10))
    spent = cost.measure(network, torch.zeros(1, 3, side, side))
    return row_of(backbone, spent.parameters, spent.multiply_adds)


@wrong("cost_row", "in evaluation mode ever after")
def eval_ever_after(backbone, side):
    spent = measured(backbone.eval(), side)
    return row_of(backbone, spent.parameters, spent.multiply_adds)


@wrong("cost_row", "a forward pass in training mode moves batch norm")
def moves_statistics(backbone, side):
    with torch.no_grad():
        backbone(torch.ones(1, 3, side, side))
    spent = measured(backbone, side)
    return row_of(backbone, spent.parameters, spent.multiply_adds)


@wrong("cost_row", "draws random images")
def draws(backbone, side):
    spent = cost.measure(backbone, torch.randn(1, 3, side, side))
    return row_of(backbone, spent.parameters, spent.multiply_adds)


@wrong("cost_row", "millions")
def in_millions(backbone, side):
    spent = measured(backbone, side)
    return row_of(backbone, spent.parameters / 1e6, spent.multiply_adds / 1e6)


@wrong("cost_row", "the class's name")
def name_of_class(backbone, side):
    spent = measured(backbone, side)
    return row_of(backbone, spent.parameters, spent.multiply_adds) | {"name": type(backbone).__name__.lower()}


@wrong("cost_row", "a layer with two names counts twice")
def counts_names(backbone, side):
    sizes = [p.numel() for _, p in backbone.named_parameters(remove_duplicate=False)]
    return row_of(backbone, sum(sizes), measured(backbone, side).multiply_adds)


@right("cost_row", "the ledger's total")
def by_ledger(backbone, side):
    spent = cost.total(cost.ledger(backbone, torch.empty(1, 3, side, side)))
    return row_of(backbone, spent.parameters, spent.multiply_adds)


@right("cost_row", "count_parameters and multiply_adds, a list for the pair")
def by_two_counts(backbone, side):
    work = cost.multiply_adds(backbone, torch.ones(1, 3, side, side))
    stride, channels = max(backbone.channels.items())
    count = cost.count_parameters(backbone)
    return {"name": backbone.name, "deepest": [stride, channels], "multiply_adds": work, "parameters": count}


@right("cost_row", "torch's own counter on a copy in evaluation mode")
def by_flop_counter(backbone, side):
    from torch.utils.flop_counter import FlopCounterMode

    twin = copy.deepcopy(backbone).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        twin(torch.zeros(1, 3, side, side))
    return row_of(backbone, sum(p.numel() for p in backbone.parameters()), counter.get_total_flops() // 2)
