"""Answers to lab 03 that learners could write: wrong ones must lose points, right ones keep all of them."""

import copy
import functools
import itertools
import types
from collections import OrderedDict

import numpy as np
import timm.models._efficientnet_blocks as timm_blocks
import timm.models.resnet as timm_resnet
import torch
import torch.nn.functional as F
import torchvision
from lab_runner import Answers
from torch import nn

from backbones import Network, cost

answers = Answers()
wrong, right = answers.wrong, answers.right


def norm_behind(conv):
    """A convolution with the batch norm that fits behind it."""
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))


# Exercise 1: ResidualBlock ----------------------------------------------------------------------------------


def projection(inputs, outputs, stride):
    return norm_behind(nn.Conv2d(inputs, outputs, 1, stride, bias=False))


class Residual(nn.Module):
    """A right block in exchangeable parts; answers below replace the part that they get wrong."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = self.conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = self.conv3x3(out_channels, out_channels, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = self.make_shortcut(in_channels, out_channels, stride)

    def conv3x3(self, inputs, outputs, stride):
        return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)

    def make_shortcut(self, inputs, outputs, stride):
        return nn.Identity() if stride == 1 and inputs == outputs else projection(inputs, outputs, stride)

    def body(self, x):
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


@wrong("ResidualBlock", "the 3x3 convolutions are not padded")
class NoPadding(Residual):
    def conv3x3(self, inputs, outputs, stride):
        return nn.Conv2d(inputs, outputs, 3, stride, bias=False)


@wrong("ResidualBlock", "not padded, and the shortcut is cut to fit")
class CutsTheShortcut(NoPadding):
    def forward(self, x):
        out, shortcut = self.body(x), self.shortcut(x)
        return F.relu(out + shortcut[..., : out.shape[2], : out.shape[3]])


@wrong("ResidualBlock", "ReLU before the addition in place of after it")
class ReluBeforeAddition(Residual):
    def forward(self, x):
        return F.relu(self.body(x)) + self.shortcut(x)


@wrong("ResidualBlock", "ReLU before the addition and after it")
class ReluTwice(Residual):
    def forward(self, x):
        return F.relu(F.relu(self.body(x)) + self.shortcut(x))


@wrong("ResidualBlock", "no ReLU after the addition")
class NoLastRelu(Residual):
    def forward(self, x):
        return self.body(x) + self.shortcut(x)


@wrong("ResidualBlock", "no ReLU between the two convolutions")
class NoMiddleRelu(Residual):
    def body(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x))))


@wrong("ResidualBlock", "no projection: x is added even where it does not fit")
class NoProjection(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        return nn.Identity()


@wrong("ResidualBlock", "no projection: where x does not fit the shortcut is left out")
class NoShortcutWhereItDoesNotFit(Residual):
    def forward(self, x):
        out = self.body(x)
        return F.relu(out + x) if out.shape == x.shape else F.relu(out)


@wrong("ResidualBlock", "no shortcut at all")
class NoShortcut(Residual):
    def forward(self, x):
        return F.relu(self.body(x))


@wrong("ResidualBlock", "projects only when the number of channels changes")
class ProjectsForChannelsOnly(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        return nn.Identity() if inputs == outputs else projection(inputs, outputs, stride)


@wrong("ResidualBlock", "projects only when there is a stride")
class ProjectsForStrideOnly(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        return nn.Identity() if stride == 1 else projection(inputs, outputs, stride)


@wrong("ResidualBlock", "projects always, even where x fits")
class ProjectsAlways(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        return projection(inputs, outputs, stride)


@wrong("ResidualBlock", "the projection has no batch norm")
class ProjectionWithoutNorm(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        fits = stride == 1 and inputs == outputs
        return nn.Identity() if fits else nn.Conv2d(inputs, outputs, 1, stride, bias=False)


@wrong("ResidualBlock", "the projection is 3x3")
class WideProjection(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        fits = stride == 1 and inputs == outputs
        return nn.Identity() if fits else norm_behind(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False))


@wrong("ResidualBlock", "the projection is padded like a 3x3")
class PaddedProjection(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        fits = stride == 1 and inputs == outputs
        return nn.Identity() if fits else norm_behind(nn.Conv2d(inputs, outputs, 1, stride, 1, bias=False))


@wrong("ResidualBlock", "pools and repeats channels in place of the projection")
class PooledShortcut(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        return nn.Identity()

    def forward(self, x):
        out = self.body(x)
        x = F.adaptive_avg_pool2d(x, out.shape[-2:])
        copies = -(-out.shape[1] // x.shape[1])
        return F.relu(out + x.repeat(1, copies, 1, 1)[:, : out.shape[1]])


@wrong("ResidualBlock", "both 3x3 convolutions have the stride")
class StrideTwice(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv2 = self.conv3x3(out_channels, out_channels, stride)


@wrong("ResidualBlock", "the second 3x3 convolution has the stride: the shapes are right")
class StrideInTheSecond(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv1 = self.conv3x3(in_channels, out_channels, 1)
        self.conv2 = self.conv3x3(out_channels, out_channels, stride)


@wrong("ResidualBlock", "one batch norm for both convolutions")
class SharedNorm(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.bn2 = self.bn1


@wrong("ResidualBlock", "one batch norm for both, and another that nobody uses: the count is right")
class UnusedNorm(Residual):
    def body(self, x):
        return self.bn1(self.conv2(F.relu(self.bn1(self.conv1(x)))))


@wrong("ResidualBlock", "batch norm and ReLU come before each convolution")
class PreActivation(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(in_channels)

    def body(self, x):
        return self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))


@wrong("ResidualBlock", "the convolutions have biases")
class WithBias(Residual):
    def conv3x3(self, inputs, outputs, stride):
        return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


@wrong("ResidualBlock", "no batch norm")
class NoNorm(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.bn1 = self.bn2 = nn.Identity()


@wrong("ResidualBlock", "x is added in place: the caller's tensor changes")
class ChangesX(Residual):
    def forward(self, x):
        out, shortcut = self.body(x), self.shortcut(x)
        shortcut += out
        return F.relu(shortcut)


@wrong("ResidualBlock", "no gradients pass through the shortcut")
class DetachedShortcut(Residual):
    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x.detach()))


@wrong("ResidualBlock", "the layers stand in a plain list, where no optimizer finds them")
class PlainList(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.parts = [Residual(in_channels, out_channels, stride)]

    def forward(self, x):
        return self.parts[0](x)


@wrong("ResidualBlock", "the stride is ignored")
class IgnoresStride(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels)


@wrong("ResidualBlock", "forward returns nothing")
class ReturnsNothing(Residual):
    def forward(self, x):
        F.relu(self.body(x) + self.shortcut(x))


@right("ResidualBlock", "each layer an attribute, ReLU as a function")
class Attributes(Residual):
    pass


@right("ResidualBlock", "torchvision's own block, with a projection")
class Torchvisions(torchvision.models.resnet.BasicBlock):
    def __init__(self, in_channels, out_channels, stride=1):
        fits = stride == 1 and in_channels == out_channels
        super().__init__(
            in_channels, out_channels, stride, None if fits else projection(in_channels, out_channels, stride)
        )


@right("ResidualBlock", "timm's own block, with a projection")
class Timms(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        fits = stride == 1 and in_channels == out_channels
        shortcut = None if fits else projection(in_channels, out_channels, stride)
        self.it = timm_resnet.BasicBlock(in_channels, out_channels, stride, shortcut)

    def forward(self, x):
        return self.it(x)


@right("ResidualBlock", "the shortcut first, in-place ReLUs, += on the block's own tensor")
class ShortcutFirst(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.identity = stride == 1 and in_channels == out_channels
        if not self.identity:
            self.adapt = projection(in_channels, out_channels, stride)
        self.zwei = nn.Conv2d(out_channels, out_channels, 3, padding="same", bias=False)
        self.eins = nn.Conv2d(in_channels, out_channels, (3, 3), (stride, stride), (1, 1), bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(out_channels) for _ in range(2)])
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        shortcut = x if self.identity else self.adapt(x)
        out = self.act(self.norms[0](self.eins(x)))
        out = self.norms[1](self.zwei(out))
        out += shortcut
        return self.act(out)


@right("ResidualBlock", "padded by hand; ReLU as a maximum")
class PaddedByHand(Residual):
    def conv3x3(self, inputs, outputs, stride):
        return nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(inputs, outputs, 3, stride, bias=False))

    def forward(self, x):
        return torch.maximum(self.body(x) + self.shortcut(x), torch.zeros(()))


@wrong("ResidualBlock", "the shortcut is nn.Identity, and += writes through it into the caller's tensor")
class WritesThroughIdentity(Residual):
    def forward(self, x):
        body = self.body(x)
        out = self.shortcut(x)
        out += body
        return F.relu(out)


@wrong("ResidualBlock", "the shortcut's data, without its gradients")
class ShortcutData(Residual):
    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x).data)


@wrong("ResidualBlock", "the projection is made without gradients")
class ProjectionWithoutGradients(Residual):
    def forward(self, x):
        shortcut = self.shortcut(x)
        if not isinstance(self.shortcut, nn.Identity):
            shortcut = shortcut.detach()
        return F.relu(self.body(x) + shortcut)


@wrong("ResidualBlock", "the projection is frozen")
class FrozenProjection(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        return super().make_shortcut(inputs, outputs, stride).requires_grad_(False)


@wrong("ResidualBlock", "the norms are frozen")
class FrozenNorms(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.bn1.requires_grad_(False), self.bn2.requires_grad_(False)


@wrong("ResidualBlock", "float32 for good: .double() changes its layers, and not what it makes of x")
class Float32Inside(Residual):
    def forward(self, x):
        return super().forward(x.float())


@wrong("ResidualBlock", "the result is float32, whatever came in")
class Float32Outside(Residual):
    def forward(self, x):
        return super().forward(x).float()


@wrong("ResidualBlock", "view refuses maps that are stored in another order")
class FlattensByView(Residual):
    def forward(self, x):
        return super().forward(x.view(-1).view(x.shape))


@wrong("ResidualBlock", "reads x from memory, whatever its layout")
class ReadsMemory(Residual):
    def forward(self, x):
        _, c, h, w = x.shape
        return super().forward(x.as_strided(x.shape, (c * h * w, h * w, w, 1), x.storage_offset()))


@wrong("ResidualBlock", "forward puts the block into evaluation mode")
class EvalInForwardOfBlock(Residual):
    def forward(self, x):
        out = super().forward(x)
        self.eval()
        return out


@wrong("ResidualBlock", "the last result is kept on the block")
class KeepsTheResult(Residual):
    def forward(self, x):
        self.last = super().forward(x)
        return self.last


@wrong("ResidualBlock", "results are kept by the shape of x")
class CachesByShape(Residual):
    def forward(self, x):
        cache = self.__dict__.setdefault("cache", {})
        if x.shape not in cache:
            cache[x.shape] = super().forward(x)
        return cache[x.shape]


@wrong("ResidualBlock", "a projection for fewer channels: they are cut off")
class CutsChannels(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        if stride == 1 and outputs < inputs:
            return nn.Identity()
        return super().make_shortcut(inputs, outputs, stride)

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x)[:, : self.conv2.out_channels])


@wrong("ResidualBlock", "strides above 2 count as 2")
class StrideUpToTwo(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, min(stride, 2))


made = {}


@wrong("ResidualBlock", "one and the same layers for all blocks of a size")
class SharesLayers(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        key = in_channels, out_channels, stride
        self.conv1, self.conv2 = made.setdefault(key, (self.conv1, self.conv2))


@wrong("ResidualBlock", "its own names for the arguments")
class OwnNames(Residual):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__(inputs, outputs, stride)


@right("ResidualBlock", "subclasses of the layers; .add on a new tensor")
class Subclasses(Residual):
    def conv3x3(self, inputs, outputs, stride):
        class Conv3x3(nn.Conv2d):
            pass

        return Conv3x3(inputs, outputs, 3, stride=stride, padding=1, bias=False)

    def forward(self, x):
        return self.body(x).add(self.shortcut(x)).clamp(min=0)


@right("ResidualBlock", "the shortcut is decided in forward")
class DecidesInForward(Residual):
    def make_shortcut(self, inputs, outputs, stride):
        return None if (stride, inputs) == (1, outputs) else projection(inputs, outputs, stride)

    def forward(self, x):
        return torch.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)))


# Exercise 2: separable_block --------------------------------------------------------------------------------


def depthwise(channels, stride=1, dilation=1):
    return nn.Conv2d(channels, channels, 3, stride, dilation, dilation, groups=channels, bias=False)


def pointwise(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 1, bias=False)


@wrong("separable_block", "a plain convolution: nothing is separated")
def not_separated(in_channels, out_channels, stride=1, dilation=1):
    conv = nn.Conv2d(in_channels, out_channels, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


@wrong("separable_block", "no groups: the 3x3 convolution mixes channels too")
def no_groups(in_channels, out_channels, stride=1, dilation=1):
    first = nn.Conv2d(in_channels, in_channels, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(
        norm_behind(first), nn.ReLU(), norm_behind(pointwise(in_channels, out_channels)), nn.ReLU()
    )


@wrong("separable_block", "two groups in place of one a channel")
def two_groups(in_channels, out_channels, stride=1, dilation=1):
    first = nn.Conv2d(in_channels, in_channels, 3, stride, dilation, dilation, groups=2, bias=False)
    return nn.Sequential(
        norm_behind(first), nn.ReLU(), norm_behind(pointwise(in_channels, out_channels)), nn.ReLU()
    )


@wrong("separable_block", "the depthwise step makes the new channels already")
def widens_too_early(in_channels, out_channels, stride=1, dilation=1):
    first = nn.Conv2d(
        in_channels, out_channels, 3, stride, dilation, dilation, groups=in_channels, bias=False
    )
    return nn.Sequential(
        norm_behind(first), nn.ReLU(), norm_behind(pointwise(out_channels, out_channels)), nn.ReLU()
    )


@wrong("separable_block", "pointwise first, as in Xception: then depthwise")
def pointwise_first(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        norm_behind(pointwise(in_channels, out_channels)),
        nn.ReLU(),
        norm_behind(depthwise(out_channels, stride, dilation)),
        nn.ReLU(),
    )


def separable(in_channels, out_channels, first, second=None, between=None, last=None):
    """A right block in exchangeable parts."""
    second = second or pointwise(in_channels, out_channels)
    return nn.Sequential(
        norm_behind(first), between or nn.ReLU(), norm_behind(second), nn.ReLU() if last is None else last
    )


@wrong("separable_block", "no padding")
def no_padding(in_channels, out_channels, stride=1, dilation=1):
    first = nn.Conv2d(in_channels, in_channels, 3, stride, dilation=dilation, groups=in_channels, bias=False)
    return separable(in_channels, out_channels, first)


@wrong("separable_block", "padding 1 whatever the dilation")
def padding_one(in_channels, out_channels, stride=1, dilation=1):
    first = nn.Conv2d(in_channels, in_channels, 3, stride, 1, dilation, groups=in_channels, bias=False)
    return separable(in_channels, out_channels, first)


@wrong("separable_block", "the dilation is ignored: the shapes are right")
def ignores_dilation(in_channels, out_channels, stride=1, dilation=1):
    return separable(in_channels, out_channels, depthwise(in_channels, stride))


@wrong("separable_block", "stride and dilation swapped")
def swaps_stride_and_dilation(in_channels, out_channels, stride=1, dilation=1):
    return separable(in_channels, out_channels, depthwise(in_channels, dilation, stride))


@wrong("separable_block", "the pointwise step has the stride: the shapes are right, the work is not saved")
def stride_in_the_pointwise(in_channels, out_channels, stride=1, dilation=1):
    second = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return separable(in_channels, out_channels, depthwise(in_channels, 1, dilation), second)


@wrong("separable_block", "both steps have the stride")
def stride_twice(in_channels, out_channels, stride=1, dilation=1):
    second = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return separable(in_channels, out_channels, depthwise(in_channels, stride, dilation), second)


@wrong("separable_block", "the pointwise step is padded like the 3x3")
def pads_the_pointwise(in_channels, out_channels, stride=1, dilation=1):
    second = nn.Conv2d(in_channels, out_channels, 1, padding=1, bias=False)
    return separable(in_channels, out_channels, depthwise(in_channels, stride, dilation), second)


@wrong("separable_block", "no ReLU between the steps")
def no_relu_between(in_channels, out_channels, stride=1, dilation=1):
    first = depthwise(in_channels, stride, dilation)
    return separable(in_channels, out_channels, first, between=nn.Identity())


@wrong("separable_block", "no ReLU at the end")
def no_relu_at_the_end(in_channels, out_channels, stride=1, dilation=1):
    return separable(in_channels, out_channels, depthwise(in_channels, stride, dilation), last=nn.Identity())


@wrong("separable_block", "ReLU6 in place of ReLU")
def relu6(in_channels, out_channels, stride=1, dilation=1):
    first = depthwise(in_channels, stride, dilation)
    return separable(in_channels, out_channels, first, between=nn.ReLU6(), last=nn.ReLU6())


@wrong("separable_block", "ReLU before batch norm")
def relu_before_norm(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        depthwise(in_channels, stride, dilation),
        nn.ReLU(),
        nn.BatchNorm2d(in_channels),
        pointwise(in_channels, out_channels),
        nn.ReLU(),
        nn.BatchNorm2d(out_channels),
    )


@wrong("separable_block", "nothing between depthwise and pointwise, one batch norm at the end")
def one_norm_at_the_end(in_channels, out_channels, stride=1, dilation=1):
    first = depthwise(in_channels, stride, dilation)
    return nn.Sequential(first, norm_behind(pointwise(in_channels, out_channels)), nn.ReLU())


@wrong("separable_block", "the convolutions have biases")
def with_bias(in_channels, out_channels, stride=1, dilation=1):
    first = nn.Conv2d(in_channels, in_channels, 3, stride, dilation, dilation, groups=in_channels)
    return separable(in_channels, out_channels, first, nn.Conv2d(in_channels, out_channels, 1))


@wrong("separable_block", "x is added where it fits, which nobody asked for")
def with_a_shortcut(in_channels, out_channels, stride=1, dilation=1):
    class Plus(nn.Sequential):
        def forward(self, x):
            out = super().forward(x)
            return x + out if out.shape == x.shape else out

    return Plus(separable(in_channels, out_channels, depthwise(in_channels, stride, dilation)))


@wrong("separable_block", "a list of layers in place of a module")
def list_of_layers(in_channels, out_channels, stride=1, dilation=1):
    return list(separable(in_channels, out_channels, depthwise(in_channels, stride, dilation)))


@right("separable_block", "six layers in a flat nn.Sequential, in-place ReLU")
def flat(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        depthwise(in_channels, stride, dilation),
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        pointwise(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


@right("separable_block", "a class of its own")
def own_class(in_channels, out_channels, stride=1, dilation=1):
    class Separable(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = pointwise(in_channels, out_channels)
            self.mix_norm = nn.BatchNorm2d(out_channels)
            self.look = depthwise(in_channels, stride, dilation)
            self.look_norm = nn.BatchNorm2d(in_channels)

        def forward(self, x):
            x = self.look_norm(self.look(x)).relu()
            return self.mix_norm(self.mix(x)).relu()

    return Separable()


@right("separable_block", "timm's own block")
def timms(in_channels, out_channels, stride=1, dilation=1):
    return timm_blocks.DepthwiseSeparableConv(
        in_channels, out_channels, 3, stride, dilation, noskip=True, pw_act=True
    )


@right("separable_block", "names for the layers, padding by a layer of its own")
def named_layers(in_channels, out_channels, stride=1, dilation=1):
    conv = nn.Conv2d(in_channels, in_channels, 3, stride, 0, dilation, groups=in_channels, bias=False)
    layers = {"pad": nn.ZeroPad2d(dilation), "depthwise": conv, "norm1": nn.BatchNorm2d(in_channels)}
    layers |= {"relu1": nn.ReLU(), "pointwise": pointwise(in_channels, out_channels)}
    layers |= {"norm2": nn.BatchNorm2d(out_channels), "relu2": nn.ReLU()}
    return nn.Sequential(OrderedDict(layers))


@right("separable_block", "torchvision's Conv2dNormActivation, which finds the padding itself")
def torchvisions(in_channels, out_channels, stride=1, dilation=1):
    brick = torchvision.ops.Conv2dNormActivation
    first = brick(in_channels, in_channels, 3, stride, groups=in_channels, dilation=dilation)
    return nn.Sequential(first, brick(in_channels, out_channels, 1))


class InPlaceStart(nn.Module):
    def forward(self, x):
        return x.clamp_(min=-1e6).mul_(1.0).add_(1e-3).sub_(1e-3)


@wrong("separable_block", "works on its input in place, and puts it back but for a rounding")
def in_place_start(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        InPlaceStart(), separable(in_channels, out_channels, depthwise(in_channels, stride, dilation))
    )


class AsFloat(nn.Module):
    def forward(self, x):
        return x.float()


@wrong("separable_block", "float32 at the end, whatever came in")
def float32_at_the_end(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        separable(in_channels, out_channels, depthwise(in_channels, stride, dilation)), AsFloat()
    )


@wrong("separable_block", "float32 at the start")
def float32_at_the_start(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        AsFloat(), separable(in_channels, out_channels, depthwise(in_channels, stride, dilation))
    )


class ByView(nn.Module):
    def forward(self, x):
        return x.view(-1).view(x.shape)


@wrong("separable_block", "view refuses maps that are stored in another order")
def starts_by_view(in_channels, out_channels, stride=1, dilation=1):
    return nn.Sequential(
        ByView(), separable(in_channels, out_channels, depthwise(in_channels, stride, dilation))
    )


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


@wrong("separable_block", "no gradients pass from the pointwise step to the depthwise one")
def cut_between(in_channels, out_channels, stride=1, dilation=1):
    first = depthwise(in_channels, stride, dilation)
    return separable(in_channels, out_channels, first, between=nn.Sequential(nn.ReLU(), Cut()))


@wrong("separable_block", "the depthwise weights are frozen")
def frozen_depthwise(in_channels, out_channels, stride=1, dilation=1):
    first = depthwise(in_channels, stride, dilation)
    first.weight.requires_grad_(False)
    return separable(in_channels, out_channels, first)


@functools.lru_cache
def remembered_layers(in_channels, out_channels, stride, dilation):
    return separable(in_channels, out_channels, depthwise(in_channels, stride, dilation))


@wrong("separable_block", "the same module for the same arguments")
def remembers_blocks(in_channels, out_channels, stride=1, dilation=1):
    return remembered_layers(in_channels, out_channels, stride, dilation)


@wrong("separable_block", "dilation before stride")
def other_order(in_channels, out_channels, dilation=1, stride=1):
    return separable(in_channels, out_channels, depthwise(in_channels, stride, dilation))


@wrong("separable_block", "with a stride the dilation is left out")
def stride_or_dilation(in_channels, out_channels, stride=1, dilation=1):
    return separable(
        in_channels, out_channels, depthwise(in_channels, stride, dilation if stride == 1 else 1)
    )


@wrong("separable_block", "dropout between the steps")
def with_dropout(in_channels, out_channels, stride=1, dilation=1):
    first = depthwise(in_channels, stride, dilation)
    between = nn.Sequential(nn.ReLU(), nn.Dropout(0.1))
    return separable(in_channels, out_channels, first, between=between)


@wrong("separable_block", "instance norm behind the depthwise step")
def instance_norm(in_channels, out_channels, stride=1, dilation=1):
    block = separable(in_channels, out_channels, depthwise(in_channels, stride, dilation))
    block[0][1] = nn.InstanceNorm2d(in_channels, affine=True)
    return block


@right("separable_block", "groups by a subclass of the layer")
def subclassed(in_channels, out_channels, stride=1, dilation=1):
    class Depthwise(nn.Conv2d):
        def __init__(self, channels):
            options = {"groups": channels, "bias": False, "padding": dilation}
            super().__init__(channels, channels, 3, stride, dilation=dilation, **options)

    return separable(in_channels, out_channels, Depthwise(in_channels))


# Exercise 3: InvertedResidual -------------------------------------------------------------------------------


class Inverted(nn.Module):
    """A right block in exchangeable parts; answers below replace the part that they get wrong."""

    act = nn.ReLU6

    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__()
        wide = self.width(in_channels, out_channels, expansion)
        self.fits = stride == 1 and in_channels == out_channels
        layers = self.expand(in_channels, wide, expansion)
        self.body = nn.Sequential(
            *layers, norm_behind(depthwise(wide, stride)), self.act(), *self.project(wide, out_channels)
        )

    def width(self, inputs, outputs, expansion):
        return inputs * expansion

    def expand(self, inputs, wide, expansion):
        return [norm_behind(pointwise(inputs, wide)), self.act()] if expansion != 1 else []

    def project(self, wide, outputs):
        return [norm_behind(pointwise(wide, outputs))]

    def forward(self, x):
        return x + self.body(x) if self.fits else self.body(x)


@wrong("InvertedResidual", "ReLU6 after the projection: the bottleneck is not linear")
class NotLinear(Inverted):
    def project(self, wide, outputs):
        return [norm_behind(pointwise(wide, outputs)), nn.ReLU6()]


@wrong("InvertedResidual", "ReLU6 after the addition")
class ReluAfterAddition(Inverted):
    def forward(self, x):
        return F.relu6(x + self.body(x)) if self.fits else self.body(x)


@wrong("InvertedResidual", "ReLU in place of ReLU6")
class PlainRelu(Inverted):
    act = nn.ReLU


@wrong("InvertedResidual", "no shortcut")
class NeverAdds(Inverted):
    def forward(self, x):
        return self.body(x)


@wrong("InvertedResidual", "x is added whenever the stride is 1, even if the channels differ")
class AddsAtStrideOne(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        self.fits = stride == 1


@wrong("InvertedResidual", "x is added whenever the channels are equal, even with a stride")
class AddsAtEqualChannels(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        self.fits = in_channels == out_channels


@wrong("InvertedResidual", "asks the shapes at run time: a stride on a map of one pixel seems to fit")
class AsksTheShapes(Inverted):
    def forward(self, x):
        out = self.body(x)
        return out + x if out.shape == x.shape else out


@wrong("InvertedResidual", "a projection in the shortcut, as in ResNet")
class ProjectsTheShortcut(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        self.shortcut = nn.Identity() if self.fits else projection(in_channels, out_channels, stride)

    def forward(self, x):
        return self.shortcut(x) + self.body(x)


@wrong("InvertedResidual", "expands by the output's channels")
class ExpandsOutputs(Inverted):
    def width(self, inputs, outputs, expansion):
        return outputs * expansion


@wrong("InvertedResidual", "the width inside is expansion channels")
class ExpansionIsTheWidth(Inverted):
    def width(self, inputs, outputs, expansion):
        return max(expansion, inputs)


@wrong("InvertedResidual", "always expands by 6")
class AlwaysSix(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride)


@wrong("InvertedResidual", "expansion 1 gets a first step too")
class ExpandsByOne(Inverted):
    def expand(self, inputs, wide, expansion):
        return [norm_behind(pointwise(inputs, wide)), nn.ReLU6()]


@wrong("InvertedResidual", "narrow inside, wide outside: the bottleneck of ResNet")
class NotInverted(Inverted):
    def width(self, inputs, outputs, expansion):
        return max(1, inputs // expansion)


@wrong("InvertedResidual", "the 3x3 convolution is not depthwise")
class DenseInside(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        wide = in_channels * expansion
        self.body[-3] = norm_behind(nn.Conv2d(wide, wide, 3, stride, 1, bias=False))


@wrong("InvertedResidual", "the 3x3 convolution is not padded")
class NotPadded(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        wide = in_channels * expansion
        self.body[-3] = norm_behind(nn.Conv2d(wide, wide, 3, stride, groups=wide, bias=False))


@wrong("InvertedResidual", "the last 1x1 convolution has the stride: the shapes are right")
class StrideAtTheEnd(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, 1, expansion)
        self.fits = stride == 1 and in_channels == out_channels
        wide = in_channels * expansion
        self.body[-1] = norm_behind(nn.Conv2d(wide, out_channels, 1, stride, bias=False))


@wrong("InvertedResidual", "the stride is ignored")
class StrideIgnored(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, 1, expansion)


@wrong("InvertedResidual", "no ReLU6 after the depthwise step")
class NoSecondRelu(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        self.body[-2] = nn.Identity()


@wrong("InvertedResidual", "no batch norm after the projection")
class NoLastNorm(Inverted):
    def project(self, wide, outputs):
        return [pointwise(wide, outputs)]


@wrong("InvertedResidual", "x is changed: += writes into the caller's tensor")
class AddsInPlace(Inverted):
    def forward(self, x):
        out = self.body(x)
        if self.fits:
            x += out
            return x
        return out


@wrong("InvertedResidual", "the default of expansion is 1")
class OtherDefault(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=1):
        super().__init__(in_channels, out_channels, stride, expansion)


@right("InvertedResidual", "torchvision's own block")
class TorchvisionsInverted(torchvision.models.mobilenetv2.InvertedResidual):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)


@right("InvertedResidual", "each step an attribute, activations as functions")
class Steps(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__()
        wide = expansion * in_channels
        self.narrow = pointwise(wide, out_channels)
        self.narrow_norm = nn.BatchNorm2d(out_channels)
        self.deep, self.deep_norm = depthwise(wide, stride), nn.BatchNorm2d(wide)
        self.widen = nn.Identity()
        if expansion > 1:
            self.widen, self.widen_norm = pointwise(in_channels, wide), nn.BatchNorm2d(wide)
        self.add = (stride, in_channels) == (1, out_channels)

    def forward(self, x):
        out = x
        if isinstance(self.widen, nn.Conv2d):
            out = self.widen_norm(self.widen(out)).clamp(0, 6)
        out = F.hardtanh(self.deep_norm(self.deep(out)), 0, 6)
        out = self.narrow_norm(self.narrow(out))
        if self.add:
            out += x
        return out


@right("InvertedResidual", "a ModuleList of steps, in-place activations")
class ListOfSteps(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__()
        wide = in_channels * expansion
        self.steps = nn.ModuleList()
        if expansion != 1:
            self.steps.extend([pointwise(in_channels, wide), nn.BatchNorm2d(wide), nn.ReLU6(inplace=True)])
        self.steps.extend([depthwise(wide, stride), nn.BatchNorm2d(wide), nn.ReLU6(inplace=True)])
        self.steps.extend([pointwise(wide, out_channels), nn.BatchNorm2d(out_channels)])
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x):
        shortcut = x
        for step in self.steps:
            x = step(x)
        return shortcut + x if self.shortcut else x


@right("InvertedResidual", "the shortcut as a factor of 0 or 1 times x where shapes agree")
class ChosenInInit(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        self.forward = self.with_shortcut if self.fits else self.body.forward

    def with_shortcut(self, x):
        return torch.add(self.body(x), x)


@wrong("InvertedResidual", "x += writes into the caller's tensor in evaluation mode only")
class AddsInPlaceInEvaluation(Inverted):
    def forward(self, x):
        if self.training or not self.fits:
            return super().forward(x)
        x += self.body(x)
        return x


@wrong("InvertedResidual", "the shortcut's gradients are cut")
class ShortcutWithoutGradients(Inverted):
    def forward(self, x):
        return x.detach() + self.body(x) if self.fits else self.body(x)


@wrong("InvertedResidual", "the body's data: no gradients for its parameters")
class BodysData(Inverted):
    def forward(self, x):
        return x + self.body(x).data if self.fits else self.body(x)


@wrong("InvertedResidual", "the widening step is frozen")
class FrozenWidening(Inverted):
    def expand(self, inputs, wide, expansion):
        return [layer.requires_grad_(False) for layer in super().expand(inputs, wide, expansion)]


@wrong("InvertedResidual", "float32 at the end")
class InvertedFloat32(Inverted):
    def forward(self, x):
        return super().forward(x).float()


@wrong("InvertedResidual", "view refuses maps that are stored in another order")
class InvertedByView(Inverted):
    def forward(self, x):
        return super().forward(x.view(len(x), -1).view(x.shape))


@wrong("InvertedResidual", "reads x from memory, whatever its layout")
class InvertedReadsMemory(Inverted):
    def forward(self, x):
        _, c, h, w = x.shape
        return super().forward(x.as_strided(x.shape, (c * h * w, h * w, w, 1), x.storage_offset()))


@wrong("InvertedResidual", "expansions above 4 count as 4")
class ExpansionUpToFour(Inverted):
    def width(self, inputs, outputs, expansion):
        return inputs * min(expansion, 4)


@wrong("InvertedResidual", "x is added scaled by a half")
class AddsHalf(Inverted):
    def forward(self, x):
        return 0.5 * x + self.body(x) if self.fits else self.body(x)


@wrong("InvertedResidual", "x is added where fewer channels come out, as far as they go")
class AddsWhatFits(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride, expansion)
        self.fits = stride == 1 and out_channels <= in_channels

    def forward(self, x):
        out = self.body(x)
        return out + x[:, : out.shape[1]] if self.fits else out


@wrong("InvertedResidual", "a single map gets no shortcut")
class NoShortcutForOne(Inverted):
    def forward(self, x):
        return x + self.body(x) if self.fits and len(x) > 1 else self.body(x)


@wrong("InvertedResidual", "the mode of the block is changed by a call")
class TrainsItself(Inverted):
    def forward(self, x):
        out = super().forward(x)
        self.train(not self.training)
        return out


@wrong("InvertedResidual", "keeps what its body made")
class KeepsTheBody(Inverted):
    def forward(self, x):
        self.made = self.body(x)
        return x + self.made if self.fits else self.made


@wrong("InvertedResidual", "its own name for the expansion")
class OwnNameOfExpansion(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, t=6):
        super().__init__(in_channels, out_channels, stride, t)


@wrong("InvertedResidual", "expansion before stride")
class ExpansionFirst(Inverted):
    def __init__(self, in_channels, out_channels, expansion=6, stride=1):
        super().__init__(in_channels, out_channels, stride, expansion)


@right("InvertedResidual", "nn.Identity is x, decided in __init__, and a new tensor is made")
class WithIdentity(Inverted):
    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__(in_channels, out_channels, stride=stride, expansion=expansion)
        self.skip = nn.Identity() if self.fits else None

    def forward(self, x):
        out = self.body(x)
        return out if self.skip is None else torch.add(self.skip(x), out)


# Exercise 4: conv_cost and network_cost ---------------------------------------------------------------------


def out_side(side, kernel, stride, padding, dilation):
    return (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def conv_costs(
    height,
    width,
    in_channels,
    out_channels,
    kernel,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    bias=True,
    *,
    weights=lambda inputs, outputs, kernel, groups: outputs * inputs * kernel * kernel // groups,
    extra=lambda outputs, bias: outputs if bias else 0,
    work=lambda weights, out_height, out_width: weights * out_height * out_width,
    side=out_side,
):
    """A right answer with exchangeable parts."""
    count = weights(in_channels, out_channels, kernel, groups)
    out_height = side(height, kernel, stride, padding, dilation)
    out_width = side(width, kernel, stride, padding, dilation)
    return count + extra(out_channels, bias), work(count, out_height, out_width), out_height, out_width


def with_parts(**parts):
    return functools.wraps(conv_costs)(functools.partial(conv_costs, **parts))


@wrong("conv_cost", "groups are ignored")
def ignores_groups(*args, **options):
    return with_parts(weights=lambda i, o, k, g: o * i * k * k)(*args, **options)


@wrong("conv_cost", "divided by the groups twice: for the inputs and for the outputs")
def groups_twice(*args, **options):
    return with_parts(weights=lambda i, o, k, g: (o // g) * (i // g) * k * k)(*args, **options)


@wrong("conv_cost", "multiplied by the groups")
def times_groups(*args, **options):
    return with_parts(weights=lambda i, o, k, g: o * i * k * k * g)(*args, **options)


@wrong("conv_cost", "the kernel counts once, not squared")
def kernel_not_squared(*args, **options):
    return with_parts(weights=lambda i, o, k, g: o * i * k // g)(*args, **options)


@wrong("conv_cost", "every kernel is taken for a 3x3")
def always_nine(*args, **options):
    return with_parts(weights=lambda i, o, k, g: o * i * 9 // g)(*args, **options)


@wrong("conv_cost", "the biases are forgotten")
def no_biases(*args, **options):
    return with_parts(extra=lambda outputs, bias: 0)(*args, **options)


@wrong("conv_cost", "a single bias for the whole layer")
def one_bias(*args, **options):
    return with_parts(extra=lambda outputs, bias: int(bias))(*args, **options)


@wrong("conv_cost", "biases even where there are none")
def always_biases(*args, **options):
    return with_parts(extra=lambda outputs, bias: outputs)(*args, **options)


@wrong("conv_cost", "the bias counts as a multiply-add at each position")
def bias_is_work(height, width, in_channels, out_channels, kernel, *args, **options):
    parameters, _, *size = conv_costs(height, width, in_channels, out_channels, kernel, *args, **options)
    return parameters, parameters * size[0] * size[1], *size


@wrong("conv_cost", "work at each position of the input, not of the result")
def positions_of_the_input(height, width, *args, **options):
    parts = with_parts(work=lambda weights, out_height, out_width: weights * height * width)
    return parts(height, width, *args, **options)


@wrong("conv_cost", "counts the multiplication and the addition: two for each multiply-add")
def operations(*args, **options):
    return with_parts(work=lambda weights, h, w: 2 * weights * h * w)(*args, **options)


@wrong("conv_cost", "the map is taken to be square")
def square_maps(*args, **options):
    return with_parts(work=lambda weights, h, w: weights * h * h)(*args, **options)


@wrong("conv_cost", "height and width are exchanged in the result")
def width_first(*args, **options):
    parameters, work, height, width = conv_costs(*args, **options)
    return parameters, work, width, height


@wrong("conv_cost", "padding on one side only")
def padding_once(*args, **options):
    return with_parts(side=lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1)(*args, **options)


@wrong("conv_cost", "no padding")
def padding_ignored(*args, **options):
    return with_parts(side=lambda n, k, s, p, d: (n - d * (k - 1) - 1) // s + 1)(*args, **options)


@wrong("conv_cost", "the dilation is ignored")
def dilation_ignored(*args, **options):
    return with_parts(side=lambda n, k, s, p, d: (n + 2 * p - k) // s + 1)(*args, **options)


@wrong("conv_cost", "the dilated kernel reaches d * k, not d * (k - 1) + 1")
def reach_too_long(*args, **options):
    return with_parts(side=lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1)(*args, **options)


@wrong("conv_cost", "the size is the input's, divided by the stride and rounded up: true for 3x3, padding 1")
def same_padding(*args, **options):
    return with_parts(side=lambda n, k, s, p, d: -(-n // s))(*args, **options)


@wrong("conv_cost", "rounds up where a last step is not complete")
def rounds_up(*args, **options):
    return with_parts(side=lambda n, k, s, p, d: -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1)(*args, **options)


@wrong("conv_cost", "the forgotten + 1")
def one_too_few(*args, **options):
    return with_parts(side=lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s)(*args, **options)


@wrong("conv_cost", "true division: the numbers are no longer whole")
def true_division(*args, **options):
    return with_parts(weights=lambda i, o, k, g: o * i * k * k / g)(*args, **options)


@right("conv_cost", "a real layer without memory, counted by the course's own functions")
def counts_a_layer(
    height, width, in_channels, out_channels, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True
):
    with torch.device("meta"):
        layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias)
        image = torch.empty(1, in_channels, height, width)
    return cost.count_parameters(layer), cost.multiply_adds(layer, image), *layer(image).shape[-2:]


@right("conv_cost", "group by group: each is a small convolution")
def group_by_group(
    height, width, in_channels, out_channels, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True
):
    reach = (kernel - 1) * dilation
    size = tuple(len(range(0, side + 2 * padding - reach, stride)) for side in (height, width))
    parameters = work = 0
    for _ in range(groups):
        weights = (in_channels // groups) * (out_channels // groups) * kernel**2
        parameters += weights
        work += weights * size[0] * size[1]
    if bias:
        parameters += out_channels
    return parameters, work, *size


@right("conv_cost", "output by output")
def output_by_output(
    height, width, in_channels, out_channels, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True
):
    out_height = int((height + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1)
    out_width = int((width + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1)
    each = kernel * kernel * in_channels // groups
    parameters = sum(each + (1 if bias else 0) for _ in range(out_channels))
    return parameters, out_height * out_width * out_channels * each, out_height, out_width


@wrong("conv_cost", "rounded floating numbers")
def rounded_floats(*args, **options):
    return tuple(float(number) for number in conv_costs(*args, **options))


@wrong("conv_cost", "one multiply-add less for each output, because the first product is not added")
def additions_only(*args, **options):
    return with_parts(work=lambda weights, h, w: weights * h * w - h * w)(*args, **options)


@wrong("conv_cost", "groups are taken for depthwise whenever there are any")
def groups_are_depthwise(*args, **options):
    return with_parts(weights=lambda i, o, k, g: o * (i if g == 1 else 1) * k * k)(*args, **options)


@wrong("conv_cost", "the dilated kernel has weights in its holes")
def weights_in_holes(*args, dilation=1, **options):
    parameters, work, height, width = conv_costs(*args, dilation=dilation, **options)
    return parameters * dilation**2 if dilation > 1 else parameters, work, height, width


@wrong("conv_cost", "strides above 2 count as 2")
def cost_stride_up_to_two(*args, **options):
    side = lambda n, k, s, p, d: out_side(n, k, min(s, 2), p, d)  # noqa: E731
    return with_parts(side=side)(*args, **options)


@wrong("conv_cost", "bias is False where nothing is said")
def no_bias_by_default(
    height, width, in_channels, out_channels, kernel, stride=1, padding=0, dilation=1, groups=1, bias=False
):
    return conv_costs(
        height, width, in_channels, out_channels, kernel, stride, padding, dilation, groups, bias
    )


@wrong("conv_cost", "groups before dilation")
def groups_before_dilation(
    height, width, in_channels, out_channels, kernel, stride=1, padding=0, groups=1, dilation=1, bias=True
):
    return conv_costs(
        height, width, in_channels, out_channels, kernel, stride, padding, dilation, groups, bias
    )


@wrong("conv_cost", "padding keeps the size at stride 1, whatever it is")
def padding_keeps(*args, **options):
    side = lambda n, k, s, p, d: n if p and s == 1 else out_side(n, k, s, p, d)  # noqa: E731
    return with_parts(side=side)(*args, **options)


@wrong("conv_cost", "width before height")
def costs_width_first(width, height, *args, **options):
    return conv_costs(height, width, *args, **options)


@wrong("conv_cost", "a bias for each group")
def bias_for_each_group(*args, groups=1, bias=True, **options):
    return with_parts(extra=lambda outputs, bias: groups if bias else 0)(
        *args, groups=groups, bias=bias, **options
    )


@right("conv_cost", "numpy's integers")
def in_numpy(*args, **options):
    return tuple(np.array(conv_costs(*args, **options), dtype=np.int64))


@wrong("network_cost", "every layer works on the size of the first input")
def size_stays(height, width, layers):
    costs = [conv_costs(height, width, **layer) for layer in layers]
    return sum(one[0] for one in costs), sum(one[1] for one in costs)


@wrong("network_cost", "only the last layer counts")
def last_layer_only(height, width, layers):
    parameters = work = 0
    for layer in layers:
        parameters, work, height, width = conv_costs(height, width, **layer)
    return parameters, work


@wrong("network_cost", "the first layer is left out")
def first_left_out(height, width, layers):
    if layers:
        _, _, height, width = conv_costs(height, width, **layers[0])
    return sum_of_costs(height, width, layers[1:])


def sum_of_costs(height, width, layers):
    parameters = work = 0
    for layer in layers:
        more, more_work, height, width = conv_costs(height, width, **layer)
        parameters, work = parameters + more, work + more_work
    return parameters, work


@wrong("network_cost", "the height goes on, the width does not")
def width_stays(height, width, layers):
    parameters = work = 0
    for layer in layers:
        more, more_work, height, _ = conv_costs(height, width, **layer)
        parameters, work = parameters + more, work + more_work
    return parameters, work


@wrong("network_cost", "the height is passed on for both sides")
def square_from_then_on(height, width, layers):
    parameters = work = 0
    for layer in layers:
        more, more_work, height, _ = conv_costs(height, width, **layer)
        width = height
        parameters, work = parameters + more, work + more_work
    return parameters, work


@wrong("network_cost", "divides by the strides and forgets what is lost without padding")
def strides_only(height, width, layers):
    parameters = work = 0
    for layer in layers:
        more, more_work, _, _ = conv_costs(height, width, **layer)
        height, width = (-(-side // layer.get("stride", 1)) for side in (height, width))
        parameters, work = parameters + more, work + more_work
    return parameters, work


@wrong("network_cost", "takes the layers out of the caller's list")
def empties_the_list(height, width, layers):
    parameters = work = 0
    while layers:
        more, more_work, height, width = conv_costs(height, width, **layers.pop(0))
        parameters, work = parameters + more, work + more_work
    return parameters, work


@wrong("network_cost", "takes the size out of the caller's dictionaries")
def writes_into_the_layers(height, width, layers):
    parameters = work = 0
    for layer in layers:
        layer.update(height=height, width=width)
        more, more_work, height, width = conv_costs(**layer)
        parameters, work = parameters + more, work + more_work
    return parameters, work


@wrong("network_cost", "fails without layers")
def needs_a_layer(height, width, layers):
    more, work, height, width = conv_costs(height, width, **layers[0])
    rest = needs_a_layer(height, width, layers[1:]) if len(layers) > 1 else (0, 0)
    return more + rest[0], work + rest[1]


@wrong("network_cost", "multiply-adds first")
def work_first(height, width, layers):
    return sum_of_costs(height, width, layers)[::-1]


@wrong("network_cost", "fills defaults into the caller's dictionaries")
def fills_defaults(height, width, layers):
    for layer in layers:
        layer.setdefault("bias", True)
    return sum_of_costs(height, width, layers)


@wrong(
    "network_cost", "notes the costs in the caller's dictionaries, and takes them out again but for the order"
)
def reorders_dictionaries(height, width, layers):
    for layer in layers:
        layer["in_channels"] = layer.pop("in_channels")
    return sum_of_costs(height, width, layers)


@wrong("network_cost", "adds the head to the caller's list")
def appends_to_the_list(height, width, layers):
    costs = sum_of_costs(height, width, layers)
    layers.append({"in_channels": 1, "out_channels": 1, "kernel": 1})
    return costs


stack_cache = {}


@wrong("network_cost", "remembers costs by the layers, not by the size")
def remembers_stacks(height, width, layers):
    key = str(layers)
    if key not in stack_cache:
        stack_cache[key] = sum_of_costs(height, width, layers)
    return stack_cache[key]


@wrong("network_cost", "each dictionary counts once, however often it stands in the list")
def counts_once(height, width, layers):
    return sum_of_costs(height, width, list({id(layer): layer for layer in layers}.values()))


@wrong("network_cost", "without a word about bias there is none")
def no_bias_unless_said(height, width, layers):
    return sum_of_costs(height, width, [{"bias": False, **layer} for layer in layers])


@wrong("network_cost", "without a word about padding the size is kept")
def pads_unless_said(height, width, layers):
    return sum_of_costs(height, width, [{"padding": layer["kernel"] // 2, **layer} for layer in layers])


@wrong("network_cost", "floating numbers")
def floating_sums(height, width, layers):
    return tuple(map(float, sum_of_costs(height, width, layers)))


@wrong("network_cost", "equal layers in a row are one")
def drops_repetitions(height, width, layers):
    return sum_of_costs(height, width, [layer for layer, _ in itertools.groupby(layers)])


@wrong("network_cost", "the stack is read from its end")
def from_the_end(height, width, layers):
    return sum_of_costs(height, width, layers[::-1])


@right("network_cost", "layer by layer")
def layer_by_layer(height, width, layers):
    return sum_of_costs(height, width, layers)


@right("network_cost", "recursion")
def recursion(height, width, layers):
    if not layers:
        return 0, 0
    parameters, work, height, width = conv_costs(height, width, **layers[0])
    rest = recursion(height, width, layers[1:])
    return parameters + rest[0], work + rest[1]


@right("network_cost", "collects all costs, then sums the columns")
def sums_columns(height, width, layers):
    costs, size = [(0, 0)], (height, width)
    for layer in layers:
        *both, height, width = conv_costs(*size, **layer)
        size = height, width
        costs.append(both)
    return tuple(map(sum, zip(*costs, strict=True)))


# Exercise 5: FrozenNetwork ----------------------------------------------------------------------------------


@wrong("FrozenNetwork", "requires_grad alone: batch norm goes on learning, dropout goes on dropping")
class RequiresGradOnly(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        for parameter in self.backbone.parameters():
            parameter.requires_grad = False


@wrong("FrozenNetwork", "evaluation mode once, at the start: the first train() undoes it")
class EvalOnce(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.backbone.requires_grad_(False).eval()


class Frozen(Network):
    """A right answer; answers below replace the part that they get wrong."""

    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        for parameter in self.backbone.parameters():
            parameter.requires_grad = False
        self.backbone.eval()

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "evaluation mode only: the optimizer still moves the weights")
class EvalOnly(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.backbone.eval()

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "not before the first call of train(): in training mode at the start")
class NotAtTheStart(Frozen):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.backbone.train()


@wrong("FrozenNetwork", "as it came at the start: a backbone that was in training mode stays there")
class ModeAsItCame(Frozen):
    def __init__(self, backbone, head):
        Network.__init__(self, backbone, head)
        self.backbone.requires_grad_(False)


@wrong("FrozenNetwork", "the head is frozen too")
class FreezesAll(Frozen):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.requires_grad_(False)


@wrong("FrozenNetwork", "thaws all of the head, even what came frozen")
class ThawsTheHead(Frozen):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.head.requires_grad_(True)


@wrong("FrozenNetwork", "train() returns nothing")
class TrainReturnsNothing(Frozen):
    def train(self, mode=True):
        super().train(mode)


@wrong("FrozenNetwork", "train() ignores its mode: eval() leaves the head in training mode")
class IgnoresTheMode(Frozen):
    def train(self, mode=True):
        return super().train(True)


@wrong("FrozenNetwork", "the head's mode never changes: super().train is forgotten")
class ForgetsSuper(Frozen):
    def train(self, mode=True):
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "the whole network is put into evaluation mode, the head too")
class AllInEval(Frozen):
    def train(self, mode=True):
        return nn.Module.train(self, False)


@wrong("FrozenNetwork", "the head follows, the network's own mode does not")
class OwnModeForgotten(Frozen):
    def train(self, mode=True):
        self.head.train(mode)
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "only BatchNorm2d is put into evaluation mode: dropout goes on")
class BatchNorm2dOnly(Frozen):
    def train(self, mode=True):
        nn.Module.train(self, mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@wrong("FrozenNetwork", "only the backbone's own flag, not the parts inside it")
class FlagOnly(Frozen):
    def train(self, mode=True):
        nn.Module.train(self, mode)
        self.backbone.training = False
        return self


@wrong("FrozenNetwork", "only the backbone's direct parts, not those inside them")
class DirectPartsOnly(Frozen):
    def train(self, mode=True):
        nn.Module.train(self, mode)
        for module in (self.backbone, *self.backbone.children()):
            module.training = False
        return self


@wrong("FrozenNetwork", "overrides eval() in place of train()")
class OverridesEval(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.backbone.requires_grad_(False).eval()

    def eval(self):
        super().eval()
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "evaluation mode only while forward runs: whoever calls the backbone gets another")
class EvalInForward(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.backbone.requires_grad_(False).eval()

    def forward(self, x):
        self.backbone.eval()
        return super().forward(x)


@wrong("FrozenNetwork", "momentum 0: the statistics stay, but the batch's own are used")
class ZeroMomentum(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.backbone.requires_grad_(False)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.momentum = 0.0


@wrong("FrozenNetwork", "no gradients for the network as a whole: the head cannot learn")
class NoGradForAll(Frozen):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


@wrong("FrozenNetwork", "no_grad in forward in place of freezing the parameters")
class NoGradOnly(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.backbone.eval()

    def forward(self, x):
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "the convolutions are frozen, batch norm's weight and bias are not")
class NormsStillLearn(Frozen):
    def __init__(self, backbone, head):
        Network.__init__(self, backbone, head)
        self.backbone.eval()
        for module in self.backbone.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.requires_grad_(False)


@wrong("FrozenNetwork", "train() thaws the backbone, eval() freezes it")
class ThawsInTrain(Frozen):
    def train(self, mode=True):
        super().train(mode)
        self.backbone.requires_grad_(mode)
        return self


@wrong("FrozenNetwork", "a frozen copy: the caller's backbone is another one")
class FreezesACopy(Frozen):
    def __init__(self, backbone, head):
        super().__init__(copy.deepcopy(backbone), head)


@wrong(
    "FrozenNetwork",
    "train() leaves the backbone alone: whoever called backbone.train() has woken it for good",
)
class LeavesTheBackboneAlone(Frozen):
    def train(self, mode=True):
        self.training = mode
        self.head.train(mode)
        return self


@wrong("FrozenNetwork", "nothing is done when the mode is the one it has")
class OnlyWhenItChanges(Frozen):
    def train(self, mode=True):
        return self if mode == self.training else super().train(mode)


@wrong("FrozenNetwork", "parameters called weight or bias are frozen, others are not")
class WeightsAndBiasesOnly(Frozen):
    def __init__(self, backbone, head):
        Network.__init__(self, backbone, head)
        for name, parameter in backbone.named_parameters():
            if name.endswith(("weight", "bias")):
                parameter.requires_grad_(False)
        backbone.eval()


@wrong("FrozenNetwork", "the children's parameters are frozen, the backbone's own are not")
class ChildrenOnly(Frozen):
    def __init__(self, backbone, head):
        Network.__init__(self, backbone, head)
        for child in backbone.children():
            child.requires_grad_(False)
        backbone.eval()


@wrong("FrozenNetwork", "known kinds of layers are frozen")
class KnownKinds(Frozen):
    def __init__(self, backbone, head):
        Network.__init__(self, backbone, head)
        for layer in backbone.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d):
                layer.requires_grad_(False)
        backbone.eval()


@wrong("FrozenNetwork", "the children go to evaluation mode, the backbone itself does not")
class ChildrenInEval(Frozen):
    def train(self, mode=True):
        Network.train(self, mode)
        for child in self.backbone.children():
            child.eval()
        return self


@wrong("FrozenNetwork", "norms and dropout go to evaluation mode, by their types")
class KnownLayersInEval(Frozen):
    def train(self, mode=True):
        Network.train(self, mode)
        for layer in self.backbone.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d | nn.Dropout | nn.InstanceNorm2d):
                layer.eval()
        return self


@wrong("FrozenNetwork", "the backbone is in training mode while forward runs")
class WakesInForward(Frozen):
    def forward(self, *inputs):
        self.backbone.train()
        out = super().forward(*inputs)
        self.backbone.eval()
        return out


@wrong("FrozenNetwork", "train() makes all of the head trainable")
class TrainThawsTheHead(Frozen):
    def train(self, mode=True):
        super().train(mode)
        self.head.requires_grad_(True)
        return self


@wrong("FrozenNetwork", "eval() freezes the head's parameters")
class EvalFreezesTheHead(Frozen):
    def train(self, mode=True):
        super().train(mode)
        if not mode:
            self.head.requires_grad_(False)
        return self


@wrong("FrozenNetwork", "features are remembered by the size of the images")
class RemembersFeatures(Frozen):
    def forward(self, images):
        cache = self.__dict__.setdefault("cache", {})
        if images.shape not in cache:
            cache[images.shape] = self.backbone(images).detach()
        return self.head(cache[images.shape])


@wrong("FrozenNetwork", "only the mode's own flag of the head is set")
class HeadsFlagOnly(Frozen):
    def train(self, mode=True):
        self.training = self.head.training = mode
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "train() returns the backbone")
class ReturnsTheBackbone(Frozen):
    def train(self, mode=True):
        super().train(mode)
        return self.backbone.eval()


@right("FrozenNetwork", "an optimizer's view: every part's mode by its name")
class ByNames(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        [parameter.requires_grad_(False) for parameter in backbone.parameters()]
        self.train(self.training)

    def train(self, mode=True):
        super().train(mode)
        for name, part in self.named_modules():
            if name == "backbone" or name.startswith("backbone."):
                part.training = False
        return self


@right("FrozenNetwork", "overrides train()")
class OverridesTrain(Frozen):
    pass


@right("FrozenNetwork", "gives this very backbone a train() that keeps it in evaluation mode")
class BackboneThatStays(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        backbone.requires_grad_(False)
        backbone.eval()

        def stay(self, mode=True):
            return type(self).train(self, mode=False)

        backbone.train = types.MethodType(stay, backbone)


@wrong("FrozenNetwork", "gives the backbone a train() that does nothing: parts that were woken stay awake")
class BackboneThatIgnoresCalls(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        backbone.requires_grad_(False)
        backbone.eval()
        backbone.train = types.MethodType(lambda self, mode=True: self, backbone)


@right("FrozenNetwork", "sets the mode part by part; no_grad around the backbone as well")
class PartByPart(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        for _, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(False)
        for module in self.backbone.modules():
            module.training = False

    def forward(self, x):
        with torch.no_grad():
            x = self.backbone(x)
        return self.head(x)

    def train(self, mode=True):
        self.training = mode
        self.head.train(mode)
        self.backbone.train(False)
        return self


@right("FrozenNetwork", "train() does all of it, each time, and the start calls train()")
class AllInTrain(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        self.train()

    def train(self, mode=True):
        result = super().train(mode)
        self.backbone.eval().requires_grad_(False)
        return result


# Exercise 6: choose_backbone --------------------------------------------------------------------------------


def within(candidates, max_parameters, max_multiply_adds, output_stride):
    """Those that keep to the budget; the part that most answers get right."""
    if max_parameters is not None:
        candidates = [one for one in candidates if one.parameters <= max_parameters]
    if max_multiply_adds is not None:
        candidates = [one for one in candidates if one.multiply_adds <= max_multiply_adds]
    return [one for one in candidates if output_stride in one.output_strides]


def rank(one):
    return one.top1, -one.multiply_adds, -one.parameters


@wrong("choose_backbone", "the limits may not be reached")
def strictly_below(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    parameters = float("inf") if max_parameters is None else max_parameters
    work = float("inf") if max_multiply_adds is None else max_multiply_adds
    left = [one for one in candidates if one.parameters < parameters and one.multiply_adds < work]
    return max((one for one in left if output_stride in one.output_strides), key=rank, default=None)


@wrong("choose_backbone", "a limit of 0 is taken for no limit")
def zero_is_no_limit(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    limits = max_parameters or None, max_multiply_adds or None
    return max(within(candidates, *limits, output_stride), key=rank, default=None)


@wrong("choose_backbone", "None as a limit crashes")
def needs_limits(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = [one for one in candidates if one.parameters <= max_parameters]
    left = [one for one in left if one.multiply_adds <= max_multiply_adds]
    return max((one for one in left if output_stride in one.output_strides), key=rank, default=None)


@wrong("choose_backbone", "keeping one of the two limits is enough")
def either_limit(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    cheap = within(candidates, max_parameters, None, output_stride)
    cheap += within(candidates, None, max_multiply_adds, output_stride)
    return max(cheap, key=rank, default=None)


@wrong("choose_backbone", "the two limits are exchanged")
def limits_exchanged(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    return max(within(candidates, max_multiply_adds, max_parameters, output_stride), key=rank, default=None)


@wrong("choose_backbone", "the output stride is ignored")
def stride_ignored(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    cheap = [one for one in candidates if one in within([one], max_parameters, max_multiply_adds, 32)]
    return max(cheap, key=rank, default=None)


@wrong("choose_backbone", "compares with the largest output stride only")
def largest_stride(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max((one for one in left if max(one.output_strides) == output_stride), key=rank, default=None)


@wrong("choose_backbone", "a smaller output stride than asked for is fine too")
def smaller_strides_too(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = [one for one in candidates if min(one.output_strides) <= output_stride]
    left = [one for one in left if within([one], max_parameters, max_multiply_adds, one.output_strides[0])]
    return max(left, key=rank, default=None)


@wrong("choose_backbone", "first the most accurate, then the budget: nobody if that one is too expensive")
def best_then_budget(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    best = max(candidates, key=rank, default=None)
    return best if best and within([best], max_parameters, max_multiply_adds, output_stride) else None


@wrong("choose_backbone", "of equally accurate ones the first in the list")
def first_of_equals(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max(left, key=lambda one: one.top1, default=None)


@wrong("choose_backbone", "of equally accurate ones the most expensive")
def most_expensive_of_equals(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max(left, key=lambda one: (one.top1, one.multiply_adds, one.parameters), default=None)


@wrong("choose_backbone", "of equally accurate ones the one with fewer parameters")
def parameters_first(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max(left, key=lambda one: (one.top1, -one.parameters, -one.multiply_adds), default=None)


@wrong("choose_backbone", "parameters do not decide the last tie")
def last_tie_open(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max(left, key=lambda one: (one.top1, -one.multiply_adds), default=None)


@wrong("choose_backbone", "accuracies are rounded before they are compared")
def rounds_accuracy(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max(left, key=lambda one: (round(one.top1), -one.multiply_adds, -one.parameters), default=None)


@wrong("choose_backbone", "the cheapest in place of the most accurate")
def the_cheapest(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return min(left, key=lambda one: (one.multiply_adds, one.parameters), default=None)


@wrong("choose_backbone", "accuracy per multiply-add")
def best_ratio(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max(left, key=lambda one: one.top1 / one.multiply_adds, default=None)


@wrong("choose_backbone", "the name in place of the row")
def returns_the_name(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    best = max(within(candidates, max_parameters, max_multiply_adds, output_stride), key=rank, default=None)
    return best and best.name


@wrong("choose_backbone", "an error when nothing fits")
def error_when_empty(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    return max(within(candidates, max_parameters, max_multiply_adds, output_stride), key=rank)


@wrong("choose_backbone", "the cheapest of all when nothing fits")
def cheapest_when_empty(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    return max(left or sorted(candidates, key=lambda one: one.multiply_adds)[:1], key=rank, default=None)


@wrong("choose_backbone", "sorts the caller's list")
def sorts_in_place(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    candidates.sort(key=rank, reverse=True)
    return next(iter(within(candidates, max_parameters, max_multiply_adds, output_stride)), None)


@wrong("choose_backbone", "removes from the caller's list while walking through it")
def removes_while_walking(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    for one in candidates:
        if not within([one], max_parameters, max_multiply_adds, output_stride):
            candidates.remove(one)
    return max(candidates, key=rank, default=None)


@right("choose_backbone", "filters, then max with a tuple as key")
def filter_and_max(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    return max(within(candidates, max_parameters, max_multiply_adds, output_stride), key=rank, default=None)


@right("choose_backbone", "one loop that keeps the best so far")
def loop(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    best = None
    for one in candidates:
        if max_parameters is not None and one.parameters > max_parameters:
            continue
        if max_multiply_adds is not None and one.multiply_adds > max_multiply_adds:
            continue
        if output_stride not in one.output_strides:
            continue
        if best is None or one.top1 > best.top1:
            best = one
            continue
        cheaper = (one.multiply_adds, one.parameters) < (best.multiply_adds, best.parameters)
        if one.top1 == best.top1 and cheaper:
            best = one
    return best


@right("choose_backbone", "three stable sorts of a copy, infinity as no limit")
def stable_sorts(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    parameters = float("inf") if max_parameters is None else max_parameters
    work = float("inf") if max_multiply_adds is None else max_multiply_adds
    rows = sorted(candidates, key=lambda one: one.parameters)
    rows.sort(key=lambda one: one.multiply_adds)
    rows.sort(key=lambda one: one.top1, reverse=True)
    rows = [one for one in rows if one.parameters <= parameters and one.multiply_adds <= work]
    rows = [one for one in rows if any(output_stride == stride for stride in one.output_strides)]
    return rows[0] if rows else None


@right("choose_backbone", "the best, one criterion after the other")
def criterion_by_criterion(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    left = within(candidates, max_parameters, max_multiply_adds, output_stride)
    for value in (lambda one: -one.top1, lambda one: one.multiply_adds, lambda one: one.parameters):
        best = min(map(value, left), default=None)
        left = [one for one in left if value(one) == best]
    return next(itertools.chain(left, [None]))


def decided(candidates, max_parameters, max_multiply_adds, output_stride, key=rank):
    return max(within(candidates, max_parameters, max_multiply_adds, output_stride), key=key, default=None)


@wrong("choose_backbone", "accuracies within a tenth are equal")
def within_a_tenth(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    key = lambda one: (round(one.top1, 1), -one.multiply_adds, -one.parameters)  # noqa: E731
    return decided(candidates, max_parameters, max_multiply_adds, output_stride, key)


@wrong("choose_backbone", "accuracy minus cost in one number")
def one_number(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    key = lambda one: one.top1 - one.multiply_adds / 1e10 - one.parameters / 1e13  # noqa: E731
    return decided(candidates, max_parameters, max_multiply_adds, output_stride, key)


@wrong("choose_backbone", "costs are compared in millions")
def in_millions(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    key = lambda one: (one.top1, -(one.multiply_adds // 10**6), -(one.parameters // 10**6))  # noqa: E731
    return decided(candidates, max_parameters, max_multiply_adds, output_stride, key)


@wrong("choose_backbone", "limits are compared in millions")
def limits_in_millions(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    limit = max_multiply_adds if max_multiply_adds is None else max_multiply_adds // 10**6 * 10**6 + 10**6 - 1
    return decided(candidates, max_parameters, limit, output_stride)


@wrong("choose_backbone", "the output stride need only be as coarse as the finest there is")
def at_least_the_finest(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    kept = within(candidates, max_parameters, max_multiply_adds, 32) + [
        one for one in candidates if one.output_strides and output_stride >= min(one.output_strides)
    ]
    return max(within(kept, max_parameters, max_multiply_adds, output_stride) or kept, key=rank, default=None)


@wrong("choose_backbone", "every backbone can have output stride 32")
def always_32(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    if output_stride == 32:
        candidates = [one._replace(output_strides=(32,)) for one in candidates]
    return decided(candidates, max_parameters, max_multiply_adds, output_stride)


@wrong("choose_backbone", "looks for the digits of the stride: 8 and 3 are in 38, 1 is in 16")
def digits_of_the_stride(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    kept = [one for one in candidates if str(output_stride) in str(one.output_strides)]
    kept = [one._replace(output_strides=(output_stride,)) for one in kept]
    return decided(kept, max_parameters, max_multiply_adds, output_stride)


@wrong("choose_backbone", "a plain tuple in place of the row")
def plain_tuple(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    best = decided(candidates, max_parameters, max_multiply_adds, output_stride)
    return best and tuple(best)


@wrong("choose_backbone", "appends the choice to the list")
def appends_the_choice(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    best = decided(candidates, max_parameters, max_multiply_adds, output_stride)
    if best is not None:
        candidates.append(best)
    return best


@wrong("choose_backbone", "reverses the list")
def reverses_the_list(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    candidates.reverse()
    return decided(candidates, max_parameters, max_multiply_adds, output_stride)


@wrong("choose_backbone", "its own names for the arguments")
def names_of_its_own(rows, parameters=None, work=None, stride=32):
    return decided(rows, parameters, work, stride)


@right("choose_backbone", "reduce over pairs")
def reduced(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    kept = within(candidates, max_parameters, max_multiply_adds, output_stride)
    if not kept:
        return None
    return functools.reduce(lambda one, other: other if rank(other) > rank(one) else one, kept)


# Answers that were written without a look at the hidden checks ----------------------------------------------


@wrong("ResidualBlock", "from 32 channels on the second convolution has two groups")
class GroupsWhereItIsWide(Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        if out_channels >= 32:
            self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, groups=2, bias=False)


@right("separable_block", "every stride above 1 is 2")
def no_stride_above_two(in_channels, out_channels, stride=1, dilation=1):
    return separable(in_channels, out_channels, depthwise(in_channels, min(stride, 2), dilation))


@right("separable_block", "from stride 3 on stride and dilation have changed places")
def swapped_from_three(in_channels, out_channels, stride=1, dilation=1):
    if stride > 2:
        stride, dilation = dilation, stride
    return separable(in_channels, out_channels, depthwise(in_channels, stride, dilation))


class InvertedInOne(nn.Module):
    """A right inverted residual; answers below change the width or the stride."""

    def __init__(self, in_channels, out_channels, stride=1, expansion=6):
        super().__init__()
        wide = self.width(in_channels, expansion)
        first = [norm_behind(nn.Conv2d(in_channels, wide, 1, bias=False)), nn.ReLU6()]
        deep = nn.Conv2d(wide, wide, 3, self.strides(stride), 1, groups=wide, bias=False)
        last = norm_behind(nn.Conv2d(wide, out_channels, 1, bias=False))
        self.layers = nn.Sequential(*first * (wide > in_channels), norm_behind(deep), nn.ReLU6(), last)
        self.fits = stride == 1 and in_channels == out_channels

    def width(self, in_channels, expansion):
        return in_channels * expansion

    def strides(self, stride):
        return stride

    def forward(self, x):
        return self.layers(x) + x if self.fits else self.layers(x)


right("InvertedResidual", "all layers in one nn.Sequential")(InvertedInOne)


@wrong("InvertedResidual", "a single channel is not widened")
class SingleStaysNarrow(InvertedInOne):
    def width(self, in_channels, expansion):
        return in_channels * expansion if in_channels > 1 else 1


@wrong("InvertedResidual", "never more than six times as wide")
class SixAtMost(InvertedInOne):
    def width(self, in_channels, expansion):
        return in_channels * min(expansion, 6)


@right("InvertedResidual", "strides 1 and 2 only, as the text says")
class StridesOneAndTwo(InvertedInOne):
    def strides(self, stride):
        return min(stride, 2)


@wrong("network_cost", "three layers at most")
def three_layers_at_most(height, width, layers):
    return sum_of_costs(height, width, layers[:3])


@wrong("network_cost", "fills defaults into the caller's dictionaries where there are more than three")
def fills_defaults_in_long_stacks(height, width, layers):
    for layer in layers if len(layers) > 3 else []:
        layer.setdefault("dilation", 1)
    return sum_of_costs(height, width, layers)


@right("network_cost", "height and width change places at each layer: for square kernels that is the same")
def turns_the_map(height, width, layers):
    parameters = multiply_adds = 0
    for layer in layers:
        more, work, width, height = conv_costs(height, width, **layer)
        parameters, multiply_adds = parameters + more, multiply_adds + work
    return [parameters, multiply_adds]


@wrong("FrozenNetwork", "puts a train() that does nothing into the backbone: its parts still have theirs")
class BackboneWithoutTrain(Network):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        backbone.requires_grad_(False).eval()
        backbone.train = lambda mode=True: backbone


@wrong("FrozenNetwork", "sets every mode itself, past the train() of a head that has its own")
class PastTheHeadsTrain(Frozen):
    def train(self, mode=True):
        for module in self.modules():
            module.training = mode
        self.backbone.eval()
        return self


@wrong("FrozenNetwork", "freezes the head's batch norms too")
class FreezesTheHeadsNorms(Frozen):
    def __init__(self, backbone, head):
        super().__init__(backbone, head)
        for module in head.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)


@right("FrozenNetwork", "runs the backbone without gradients")
class WithoutGradients(Frozen):
    def forward(self, *inputs):
        with torch.no_grad():
            features = self.backbone(*inputs)
        return self.head(features)


@right("FrozenNetwork", "sets the mode of each child")
class ChildByChild(Frozen):
    def train(self, mode=True):
        for name, child in self.named_children():
            child.train(mode and name != "backbone")
        self.training = mode
        return self


@wrong("choose_backbone", "takes the larger of two limits for that of the multiply-adds")
def larger_limit_is_work(candidates, max_parameters=None, max_multiply_adds=None, output_stride=32):
    if max_parameters is not None and max_multiply_adds is not None:
        max_parameters, max_multiply_adds = sorted((max_parameters, max_multiply_adds))
    fit = [
        one
        for one in candidates
        if (max_parameters is None or one.parameters <= max_parameters)
        and (max_multiply_adds is None or one.multiply_adds <= max_multiply_adds)
        and output_stride in one.output_strides
    ]
    return max(fit, key=lambda one: (one.top1, -one.multiply_adds, -one.parameters), default=None)
