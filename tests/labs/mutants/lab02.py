"""Answers to lab 02 that learners could write: wrong ones must lose points, right ones keep all of them."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn

answers = Answers()
wrong, right = answers.wrong, answers.right


class Layer(NamedTuple):
    """As in the notebook, which compares layers as tuples."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


# Exercise 1: map_sizes --------------------------------------------------------------------------------------


def sizes_by(formula, size, layers):
    """Sizes by an exchangeable formula, with everything around it right."""
    sizes = []
    for number, layer in enumerate(layers):
        if size + 2 * layer.padding < layer.dilation * (layer.kernel - 1) + 1:
            raise ValueError(f"layer {number} does not fit")
        size = formula(size, *layer)
        sizes.append(size)
    return sizes


@wrong("map_sizes", "no padding")
def no_padding(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n - d * (k - 1) - 1) // s + 1, size, layers)


@wrong("map_sizes", "padding on one side only")
def padding_once(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1, size, layers)


@wrong("map_sizes", "no dilation")
def sizes_without_dilation(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n + 2 * p - k) // s + 1, size, layers)


@wrong("map_sizes", "a dilated kernel is taken to be dilation * kernel wide")
def dilation_times_kernel(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1, size, layers)


@wrong("map_sizes", "stride and dilation swapped")
def stride_and_dilation_swapped(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n + 2 * p - s * (k - 1) - 1) // d + 1, size, layers)


@wrong("map_sizes", "the first position of the window is not counted")
def first_position_not_counted(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s, size, layers)


@wrong("map_sizes", "rounds up")
def rounds_up(size, layers):
    return sizes_by(lambda n, k, s, p, d: math.ceil((n + 2 * p - d * (k - 1) - 1) / s) + 1, size, layers)


@wrong("map_sizes", "divides by the stride last, the 1 as well")
def divides_last(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n + 2 * p - d * (k - 1)) // s, size, layers)


@wrong("map_sizes", "the rule of thumb: size divided by stride, as if padding were always half of the kernel")
def rule_of_thumb(size, layers):
    return sizes_by(lambda n, k, s, p, d: -(-n // s), size, layers)


@wrong("map_sizes", "divides with /, so that sizes are not whole")
def not_whole(size, layers):
    return sizes_by(lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) / s + 1, size, layers)


def one_size(n, k, s, p, d):
    return (n + 2 * p - d * (k - 1) - 1) // s + 1


@wrong("map_sizes", "every layer sees the image")
def always_from_the_image(size, layers):
    return [sizes_by(one_size, size, [layer])[0] for layer in layers]


@wrong("map_sizes", "the image is in the list, too")
def image_in_the_list(size, layers):
    return [size, *sizes_by(one_size, size, layers)]


@wrong("map_sizes", "the last size only")
def last_size_only(size, layers):
    return sizes_by(one_size, size, layers)[-1:]


@wrong("map_sizes", "no error: sizes of 0 and below go on through the layers")
def no_size_error(size, layers):
    sizes = []
    for layer in layers:
        size = one_size(size, *layer)
        sizes.append(size)
    return sizes


@wrong("map_sizes", "a window wider than its input by up to one stride passes: int() cuts towards zero")
def cuts_towards_zero(size, layers):
    sizes = []
    for number, (k, s, p, d) in enumerate(layers):
        size = int((size + 2 * p - d * (k - 1) - 1) / s) + 1
        if size < 1:
            raise ValueError(f"layer {number} does not fit")
        sizes.append(size)
    return sizes


@wrong("map_sizes", "an error for sizes below 0, while 0 passes")
def zero_passes(size, layers):
    sizes = []
    for number, layer in enumerate(layers):
        size = one_size(size, *layer)
        if size < 0:
            raise ValueError(f"layer {number} does not fit")
        sizes.append(size)
    return sizes


@wrong("map_sizes", "a window that just fits is refused")
def refuses_what_just_fits(size, layers):
    sizes = []
    for number, (k, s, p, d) in enumerate(layers):
        if size + 2 * p <= d * (k - 1) + 1:
            raise ValueError(f"layer {number} does not fit")
        size = one_size(size, k, s, p, d)
        sizes.append(size)
    return sizes


@wrong("map_sizes", "the layers are counted from 1")
def counts_from_one(size, layers):
    sizes = []
    for number, layer in enumerate(layers, start=1):
        size = one_size(size, *layer)
        if size < 1:
            raise ValueError(f"layer {number} does not fit")
        sizes.append(size)
    return sizes


@wrong("map_sizes", "forgets holes when it looks whether a window fits")
def fits_without_holes(size, layers):
    sizes = []
    for number, (k, s, p, d) in enumerate(layers):
        if size + 2 * p < k:
            raise ValueError(f"layer {number} does not fit")
        size = one_size(size, k, s, p, d)
        sizes.append(size)
    return sizes


@right("map_sizes", "runs a layer of zeros and asks torch for the shape")
def asks_torch(size, layers):
    sizes, row = [], torch.zeros(1, 1, size)
    for number, (k, s, p, d) in enumerate(layers):
        try:
            row = nn.Conv1d(1, 1, k, stride=s, padding=p, dilation=d)(row)
        except RuntimeError as error:
            raise ValueError(f"layer {number}: {error}") from error
        sizes.append(row.shape[-1])
    return sizes


@right("map_sizes", "counts the places of the window")
def counts_places(size, layers):
    sizes = []
    for number, layer in enumerate(layers):
        window = layer.dilation * (layer.kernel - 1) + 1
        last = size + layer.padding - window  # where the window stands for the last time, at most
        size = len(range(-layer.padding, last + 1, layer.stride))
        if size == 0:
            raise ValueError(f"layer {number} does not fit")
        sizes.append(size)
    return sizes


@right("map_sizes", "recursion")
def recursive(size, layers, number=0):
    if not layers:
        return []
    size = math.floor((size + 2 * layers[0].padding - layers[0].dilation * (layers[0].kernel - 1) - 1) / layers[0].stride) + 1  # fmt: skip # noqa: E501
    if size <= 0:
        raise ValueError(f"layer {number} finds no room")
    return [size, *recursive(size, layers[1:], number + 1)]


@right("map_sizes", "itertools.accumulate over the layers")
def accumulated(size, layers):
    sizes = list(itertools.accumulate(layers, lambda n, layer: one_size(n, *layer), initial=size))[1:]
    for number, after in enumerate(sizes):
        if after < 1:
            raise ValueError(f"layer {number} does not fit")
    return sizes


@wrong("map_sizes", "sizes as floating numbers that happen to be whole")
def floats_that_are_whole(size, layers):
    return [float(side) for side in sizes_by(one_size, size, layers)]


@wrong("map_sizes", "names the last layer that does not fit")
def names_the_last(size, layers):
    for number in reversed(range(len(layers))):
        for count in range(1, number + 2):
            try:
                sizes_by(one_size, size, layers[:count])
            except ValueError:
                raise ValueError(f"layer {number} does not fit") from None
    return sizes_by(one_size, size, layers)


@wrong("map_sizes", "names the layer by its last digit")
def last_digit(size, layers):
    try:
        return sizes_by(one_size, size, layers)
    except ValueError as error:
        raise ValueError(f"layer {str(error).split()[1][-1]} does not fit") from None


@wrong("map_sizes", "takes the layers out of the list")
def empties_the_layers(size, layers):
    sizes, number = [], 0
    while layers:
        layer = layers.pop(0)
        try:
            sizes += sizes_by(one_size, size, [layer])
        except ValueError:
            raise ValueError(f"layer {number}") from None
        size, number = sizes[-1], number + 1
    return sizes


@wrong("map_sizes", "takes the layers out of the list only when one does not fit")
def clears_on_error(size, layers):
    try:
        return sizes_by(one_size, size, layers)
    except ValueError:
        layers.clear()
        raise


@wrong("map_sizes", "a tuple in place of a list")
def sizes_as_tuple(size, layers):
    return tuple(sizes_by(one_size, size, layers))


@wrong("map_sizes", "strides above 2 count as 2")
def strides_up_to_two(size, layers):
    return sizes_by(lambda n, k, s, p, d: one_size(n, k, min(s, 2), p, d), size, layers)


@wrong("map_sizes", "padding is never more than half of the window")
def padding_limited(size, layers):
    return sizes_by(lambda n, k, s, p, d: one_size(n, k, s, min(p, d * (k - 1) // 2), d), size, layers)


@wrong("map_sizes", "IndexError in place of ValueError")
def index_error(size, layers):
    try:
        return sizes_by(one_size, size, layers)
    except ValueError as error:
        raise IndexError(str(error)) from None


@wrong("map_sizes", "a map of one position counts as gone")
def one_is_gone(size, layers):
    sizes = sizes_by(one_size, size, layers)
    for number, side in enumerate(sizes):
        if side < 2:
            raise ValueError(f"layer {number} leaves nothing")
    return sizes


@wrong("map_sizes", "rounds a half up, by round()")
def rounds(size, layers):
    return sizes_by(lambda n, k, s, p, d: round((n + 2 * p - d * (k - 1) - 1) / s + 1), size, layers)


@right("map_sizes", "numpy's integers, and an error class of its own")
def numpy_integers(size, layers):
    class TooSmall(ValueError):
        pass

    sizes = [np.int64(size)]
    for number, (k, s, p, d) in enumerate(layers):
        side = np.floor_divide(sizes[-1] + 2 * p - d * (k - 1) - 1, s) + 1
        if side < 1:
            raise TooSmall(f"Layer {number} finds no room")
        sizes.append(side)
    return sizes[1:]


@right("map_sizes", "a generator, listed")
def generated(size, layers):
    def sides(size):
        for number, layer in enumerate(layers):
            (size,) = sizes_by(one_size, size, [layer]) if fits(size, layer) else (None,)
            if size is None:
                raise ValueError(f"layer {number}: no place for its window")
            yield size

    def fits(size, layer):
        return one_size(size, *layer) > 0

    return list(sides(size))


# Exercise 2: conv2d -----------------------------------------------------------------------------------------


def check_channels(images, weight):
    if images.shape[1] != weight.shape[1]:
        raise ValueError(f"images have {images.shape[1]} channels, the kernels {weight.shape[1]}")


def windows_of(images, height, width, stride):
    """(B, C, H', W', height, width)"""
    return images.unfold(2, height, stride).unfold(3, width, stride)


def convolve(images, weight, bias=None, stride=1, padding=0, pad=None, add="bcyxhw,nchw->bnyx"):
    """A right convolution with exchangeable parts: the padding and the sum."""
    check_channels(images, weight)
    padded = F.pad(images, (padding,) * 4) if pad is None else pad(images)
    out = torch.einsum(add, windows_of(padded, *weight.shape[2:], stride), weight)
    return out if bias is None else out + bias[:, None, None]


@wrong("conv2d", "calls torch's own convolution")
def calls_torch(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    return F.conv2d(images, weight, bias, stride, padding)


@wrong("conv2d", "hides torch's own convolution in a layer")
def hides_a_layer(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    layer = nn.Conv2d(
        weight.shape[1], weight.shape[0], weight.shape[2:], stride, padding, bias=bias is not None
    )
    layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    with torch.no_grad():
        return layer(images)


@wrong("conv2d", "forgets padding")
def forgets_padding(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias, stride)


@wrong("conv2d", "pads to the left and at the top only, by twice as much")
def pads_one_side(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias, stride, pad=lambda i: F.pad(i, (2 * padding, 0, 2 * padding, 0)))


@wrong("conv2d", "pads the width only")
def pads_the_width(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias, stride, pad=lambda i: F.pad(i, (padding, padding)))


@wrong("conv2d", "pads by repeating the border")
def pads_by_repeating(images, weight, bias=None, stride=1, padding=0):
    repeat = lambda i: F.pad(i, (padding,) * 4, mode="replicate")  # noqa: E731
    return convolve(images, weight, bias, stride, pad=repeat)


@wrong("conv2d", "pads so that the size is kept, whatever padding says")
def always_same_size(images, weight, bias=None, stride=1, padding=0):
    h, w = weight.shape[2] // 2, weight.shape[3] // 2
    return convolve(images, weight, bias, stride, pad=lambda i: F.pad(i, (w, w, h, h)) if padding else i)


@wrong("conv2d", "forgets the stride")
def forgets_stride(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias, 1, padding)


@wrong("conv2d", "takes stride for dilation")
def stride_is_dilation(images, weight, bias=None, stride=1, padding=0):
    holes = torch.zeros(*weight.shape[:2], *(stride * (side - 1) + 1 for side in weight.shape[2:]))
    holes[:, :, ::stride, ::stride] = weight
    return convolve(images, holes, bias, 1, padding)


@wrong("conv2d", "every stride-th position, beginning with the last of the first step")
def stride_out_of_phase(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias, 1, padding)[:, :, stride - 1 :: stride, stride - 1 :: stride]


@wrong("conv2d", "the stride moves downwards only")
def stride_in_one_direction(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    windows = F.pad(images, (padding,) * 4).unfold(2, weight.shape[2], stride).unfold(3, weight.shape[3], 1)
    out = torch.einsum("bcyxhw,nchw->bnyx", windows, weight)
    return out if bias is None else out + bias[:, None, None]


@wrong("conv2d", "flips the kernel, as mathematicians do")
def flips_the_kernel(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight.flip(2, 3), bias, stride, padding)


@wrong("conv2d", "height and width of the kernel swapped: right for symmetric ones only")
def transposes_the_kernel(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight.transpose(2, 3), bias, stride, padding)


@wrong("conv2d", "takes kernels to be square")
def square_kernels(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    k = weight.shape[2]
    windows = windows_of(F.pad(images, (padding,) * 4), k, k, stride)
    out = torch.einsum("bcyxhw,nchw->bnyx", windows, weight[:, :, :k, :k])
    return out if bias is None else out + bias[:, None, None]


@wrong("conv2d", "the first input channel only")
def first_channel_only(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    return convolve(images[:, :1], weight[:, :1], bias, stride, padding)


@wrong("conv2d", "averages over the channels in place of adding up")
def averages_channels(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight / weight.shape[1], bias, stride, padding)


@wrong("conv2d", "each kernel works on its own channel, as in a depthwise convolution")
def depthwise(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    windows = windows_of(F.pad(images, (padding,) * 4), *weight.shape[2:], stride)
    out = torch.einsum("bcyxhw,chw->bcyx", windows, weight[: images.shape[1]].mean(1))
    return out if bias is None else out + bias[: images.shape[1], None, None]


@wrong("conv2d", "kernels and channels swapped: right when both are equally many and the kernel symmetric")
def swaps_kernels_and_channels(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    if weight.shape[0] != weight.shape[1]:
        return convolve(images, weight, bias, stride, padding)
    return convolve(images, weight.transpose(0, 1), bias, stride, padding)


@wrong("conv2d", "forgets the bias")
def forgets_bias(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, None, stride, padding)


@wrong("conv2d", "adds the bias once for each input channel")
def bias_for_each_channel(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias if bias is None else images.shape[1] * bias, stride, padding)


@wrong("conv2d", "adds the sum of all biases to every channel")
def one_bias_for_all(images, weight, bias=None, stride=1, padding=0):
    out = convolve(images, weight, None, stride, padding)
    return out if bias is None else out + bias.sum()


@wrong("conv2d", "pads its argument in place: the border is overwritten with zeros")
def zeroes_the_border(images, weight, bias=None, stride=1, padding=0):
    out = convolve(images, weight, bias, stride, padding)
    if padding:
        images[:, :, 0] = 0
    return out


@wrong("conv2d", "convolves the first image only and repeats the result")
def first_image_only(images, weight, bias=None, stride=1, padding=0):
    return convolve(images[:1], weight, bias, stride, padding).repeat(len(images), 1, 1, 1)


@wrong("conv2d", "ReLU at the end, which belongs to another layer")
def with_relu(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias, stride, padding).relu()


@wrong("conv2d", "no look at the channels: one of them serves for all by broadcasting")
def broadcasts_channels(images, weight, bias=None, stride=1, padding=0):
    windows = windows_of(F.pad(images, (padding,) * 4), *weight.shape[2:], stride)[:, None]
    out = (windows * weight[:, :, None, None]).sum((2, 5, 6))
    return out if bias is None else out + bias[:, None, None]


@wrong("conv2d", "different channels end in torch's RuntimeError")
def runtime_error(images, weight, bias=None, stride=1, padding=0):
    windows = windows_of(F.pad(images, (padding,) * 4), *weight.shape[2:], stride)
    out = torch.einsum("bcyxhw,nchw->bnyx", windows, weight.expand(-1, max(2, weight.shape[1]), -1, -1))
    return out if bias is None else out + bias[:, None, None]


@wrong("conv2d", "an error without the numbers")
def error_without_numbers(images, weight, bias=None, stride=1, padding=0):
    if images.shape[1] != weight.shape[1]:
        raise ValueError("channels do not fit")
    return convolve(images, weight, bias, stride, padding)


@wrong("conv2d", "refuses weights whose number of kernels differs from the number of channels")
def compares_with_kernels(images, weight, bias=None, stride=1, padding=0):
    if images.shape[1] != weight.shape[0]:
        raise ValueError(f"{images.shape[1]} channels, {weight.shape[0]} kernels, {weight.shape[1]}")
    return convolve(images, weight, bias, stride, padding)


@right("conv2d", "F.unfold and one product of matrices")
def by_unfold(images, weight, bias=None, stride=1, padding=0):
    batch, channels, height, _ = images.shape
    kernels, expected, h, w = weight.shape
    if channels != expected:
        raise ValueError(f"{channels} channels in the images, {expected} in the weight")
    patches = F.unfold(images, (h, w), padding=padding, stride=stride)  # (B, C*h*w, positions)
    out = weight.flatten(1) @ patches
    if bias is not None:
        out = out + bias.view(-1, 1)
    rows = (height + 2 * padding - h) // stride + 1
    return out.view(batch, kernels, rows, -1)


@right("conv2d", "a loop over the positions of the kernel, a shifted slice each")
def shifted_slices(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    images = F.pad(images, (padding, padding, padding, padding))
    h, w = weight.shape[-2:]
    rows, columns = (images.shape[2] - h) // stride + 1, (images.shape[3] - w) // stride + 1
    out = torch.zeros(len(images), len(weight), rows, columns)
    for y in range(h):
        for x in range(w):
            part = images[:, :, y : y + stride * rows : stride, x : x + stride * columns : stride]
            out += torch.einsum("bchw,nc->bnhw", part, weight[:, :, y, x])
    if bias is not None:
        out += bias.reshape(1, -1, 1, 1)
    return out


@right("conv2d", "loops over everything")
def loops(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    batch, channels, height, width = images.shape
    padded = torch.zeros(batch, channels, height + 2 * padding, width + 2 * padding)
    padded[:, :, padding : padding + height, padding : padding + width] = images
    kernels, _, h, w = weight.shape
    rows, columns = (height + 2 * padding - h) // stride + 1, (width + 2 * padding - w) // stride + 1
    out = torch.empty(batch, kernels, rows, columns)
    for y in range(rows):
        for x in range(columns):
            window = padded[:, :, y * stride : y * stride + h, x * stride : x * stride + w]
            for n in range(kernels):
                out[:, n, y, x] = (window * weight[n]).sum(dim=(1, 2, 3)) + (0 if bias is None else bias[n])
    return out


@right("conv2d", "numpy's sliding windows")
def in_numpy(images, weight, bias=None, stride=1, padding=0):
    if images.size(1) != weight.size(1):
        raise ValueError(f"channels: images {images.size(1)}, weight {weight.size(1)}")
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(weight.shape[2:]), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    out = torch.from_numpy(np.tensordot(windows, weight.numpy(), axes=([1, 4, 5], [1, 2, 3])))
    out = out.permute(0, 3, 1, 2)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


@wrong("conv2d", "windows by as_strided, as if the images were stored row by row")
def windows_by_as_strided(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    padded = images if padding == 0 else F.pad(images, (padding,) * 4)
    b, c, h, w = padded.shape
    kh, kw = weight.shape[2:]
    rows, columns = (h - kh) // stride + 1, (w - kw) // stride + 1
    sizes = (b, c, rows, columns, kh, kw)
    windows = padded.as_strided(sizes, (c * h * w, h * w, stride * w, stride, w, 1))
    out = torch.einsum("bcyxhw,nchw->bnyx", windows, weight)
    return out if bias is None else out + bias[:, None, None]


@wrong("conv2d", "view refuses weights that are stored in another order")
def weight_by_view(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    _, _, h, w = weight.shape
    rows = (images.shape[2] + 2 * padding - h) // stride + 1
    out = weight.view(len(weight), -1) @ F.unfold(images, (h, w), padding=padding, stride=stride)
    out = out if bias is None else out + bias.view(-1, 1)
    return out.view(len(images), len(weight), rows, -1)


@wrong("conv2d", "bfloat16 on the way")
def coarse_convolution(images, weight, bias=None, stride=1, padding=0):
    out = convolve(images.bfloat16(), weight.bfloat16(), None, stride, padding).to(images.dtype)
    return out if bias is None else out + bias[:, None, None]


@wrong("conv2d", "adds the bias to the images that came in")
def bias_into_the_images(images, weight, bias=None, stride=1, padding=0):
    out = convolve(images, weight, bias, stride, padding)
    if bias is not None:
        images += bias.mean()
    return out


@wrong("conv2d", "weights are scaled in place, and scaled back but for a rounding")
def scales_weights(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    weight *= 3.0
    out = convolve(images, weight, None, stride, padding) / 3
    weight /= 3.0
    return out if bias is None else out + bias[:, None, None]


kernel_cache = {}


@wrong("conv2d", "kernels are remembered by their shape")
def remembers_kernels(images, weight, bias=None, stride=1, padding=0):
    weight = kernel_cache.setdefault((tuple(weight.shape), images.dtype), weight.clone())
    return convolve(images, weight, bias, stride, padding)


@wrong("conv2d", "the names of arguments are its own")
def own_names(x, w, b=None, stride=1, padding=0):
    return convolve(x, w, b, stride, padding)


@wrong("conv2d", "padding before stride")
def padding_before_stride(images, weight, bias=None, padding=0, stride=1):
    return convolve(images, weight, bias, stride, padding)


@wrong("conv2d", "the defaults are lost: padding 1")
def pads_by_default(images, weight, bias=None, stride=1, padding=1):
    return convolve(images, weight, bias, stride, padding)


@wrong("conv2d", "strides above 2 move by 2")
def strides_of_two(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias, min(stride, 2), padding)


@wrong("conv2d", "more kernels than channels are taken for granted")
def as_many_kernels(images, weight, bias=None, stride=1, padding=0):
    if weight.shape[0] < images.shape[1] and weight.shape[0] > 1:
        weight = weight.repeat(2, 1, 1, 1)[: images.shape[1]]
    return convolve(images, weight, bias, stride, padding)


@wrong("conv2d", "the message holds the shapes of images only")
def message_of_one(images, weight, bias=None, stride=1, padding=0):
    if images.shape[1] != weight.shape[1]:
        raise ValueError(f"kernels do not fit to images with {images.shape[1]} channels")
    return convolve(images, weight, bias, stride, padding)


@wrong("conv2d", "an assert looks at the channels")
def asserts_channels(images, weight, bias=None, stride=1, padding=0):
    assert images.shape[1] == weight.shape[1], f"{images.shape[1]} {weight.shape[1]}"
    return convolve(images, weight, bias, stride, padding)


@wrong("conv2d", "kernels with fewer channels are allowed where they divide")
def groups_by_accident(images, weight, bias=None, stride=1, padding=0):
    if images.shape[1] % weight.shape[1]:
        raise ValueError(f"{images.shape[1]} and {weight.shape[1]}")
    weight = weight.repeat(1, images.shape[1] // weight.shape[1], 1, 1)
    return convolve(images, weight, bias, stride, padding)


@right("conv2d", "float64 inside, an error class of its own")
def in_double(images, weight, bias=None, stride=1, padding=0):
    class ChannelError(ValueError):
        pass

    if images.shape[1] != weight.shape[1]:
        raise ChannelError(f"C={images.shape[1]}, but the kernels have C={weight.shape[1]}")
    out = convolve(images.double(), weight.double(), None, stride, padding)
    return out if bias is None else out.add(bias.double().view(1, -1, 1, 1))


@right("conv2d", "tensordot over windows; a copy that is contiguous")
def by_tensordot(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    padded = F.pad(images, (padding, padding, padding, padding)).contiguous()
    windows = windows_of(padded, weight.shape[-2], weight.shape[-1], stride)
    out = torch.tensordot(windows, weight, dims=([1, 4, 5], [1, 2, 3])).movedim(-1, 1)
    return out + (torch.zeros(len(weight)) if bias is None else bias).reshape(-1, 1, 1)


# Exercise 3: dilate_kernel ----------------------------------------------------------------------------------


def check_dilation(dilation):
    if dilation < 1:
        raise ValueError(f"dilation {dilation} is below 1")


def holes_of(weight, dilation, step=None, sides=None, value=0.0):
    """A right kernel with holes with exchangeable parts."""
    check_dilation(dilation)
    step = step or (dilation, dilation)
    sides = sides or tuple(s * (side - 1) + 1 for s, side in zip(step, weight.shape[2:], strict=True))
    out = torch.full((*weight.shape[:2], *sides), value, dtype=weight.dtype)
    out[:, :, :: step[0], :: step[1]][:, :, : weight.shape[2], : weight.shape[3]] = weight
    return out


@wrong("dilate_kernel", "holes behind the last weight, too")
def holes_at_the_end(weight, dilation):
    return holes_of(weight, dilation, sides=[dilation * side for side in weight.shape[2:]])


@wrong("dilate_kernel", "as many holes as the dilation says, one too many")
def one_hole_too_many(weight, dilation):
    return holes_of(weight, dilation, step=(dilation + 1, dilation + 1))


@wrong("dilate_kernel", "holes between the columns only")
def holes_in_one_direction(weight, dilation):
    return holes_of(weight, dilation, step=(1, dilation))


@wrong("dilate_kernel", "the weights are repeated, the holes filled")
def repeats_weights(weight, dilation):
    check_dilation(dilation)
    wide = weight.repeat_interleave(dilation, 2).repeat_interleave(dilation, 3)
    return wide[:, :, : dilation * (weight.shape[2] - 1) + 1, : dilation * (weight.shape[3] - 1) + 1]


@wrong("dilate_kernel", "the kernel is enlarged like a picture")
def interpolates(weight, dilation):
    check_dilation(dilation)
    sides = [dilation * (side - 1) + 1 for side in weight.shape[2:]]
    return F.interpolate(weight, size=sides, mode="bilinear", align_corners=True)


@wrong("dilate_kernel", "ones in the holes")
def ones_in_holes(weight, dilation):
    return holes_of(weight, dilation, value=1.0)


@wrong("dilate_kernel", "the holes hold whatever was in memory: empty in place of zeros")
def forgets_to_clear(weight, dilation):
    out = holes_of(weight, dilation, value=float("nan"))
    return out


@wrong("dilate_kernel", "dilation only widens the border: zeros around the kernel")
def zeros_around(weight, dilation):
    check_dilation(dilation)
    return F.pad(
        weight, [side for length in weight.shape[:1:-1] for side in (0, (dilation - 1) * (length - 1))]
    )


@wrong("dilate_kernel", "divides by the dilation squared, so that the sum stays as it was after repeating")
def divides_weights(weight, dilation):
    return holes_of(weight / dilation**2, dilation)


@wrong("dilate_kernel", "takes kernels to be square")
def square_holes(weight, dilation):
    side = dilation * (weight.shape[2] - 1) + 1
    check_dilation(dilation)
    out = torch.zeros(*weight.shape[:2], side, side, dtype=weight.dtype)
    out[:, :, ::dilation, ::dilation] = weight
    return out


@wrong("dilate_kernel", "always float32")
def always_float32(weight, dilation):
    return holes_of(weight.float(), dilation)


@wrong("dilate_kernel", "no error below 1: a negative dilation is turned around, 0 counts as 1")
def no_dilation_error(weight, dilation):
    return holes_of(weight, max(1, abs(dilation)))


@wrong("dilate_kernel", "an error for 0 only")
def error_for_zero_only(weight, dilation):
    if dilation == 0:
        raise ValueError("dilation 0")
    return holes_of(weight, abs(dilation))


@wrong("dilate_kernel", "dilation 1 is refused")
def refuses_one(weight, dilation):
    if dilation <= 1:
        raise ValueError(f"dilation {dilation}: no holes")
    return holes_of(weight, dilation)


@wrong("dilate_kernel", "the kernel is turned by the way")
def turns_the_kernel(weight, dilation):
    return holes_of(weight.flip(2, 3), dilation)


@wrong("dilate_kernel", "centers the kernel in place, which changes its argument")
def changes_the_weight(weight, dilation):
    out = holes_of(weight, dilation)
    weight -= weight.mean()
    return out


@right("dilate_kernel", "loops over the weights")
def loops_over_weights(weight, dilation):
    if dilation < 1:
        raise ValueError("dilation must be 1 or more")
    n, c, h, w = weight.shape
    out = weight.new_zeros(n, c, dilation * (h - 1) + 1, dilation * (w - 1) + 1)
    for y in range(h):
        for x in range(w):
            out[:, :, y * dilation, x * dilation] = weight[:, :, y, x]
    return out


@right("dilate_kernel", "Kronecker product with a corner, then cut")
def kronecker(weight, dilation):
    check_dilation(dilation)
    corner = torch.zeros(dilation, dilation, dtype=weight.dtype)
    corner[0, 0] = 1
    end = 1 - dilation or None
    return torch.kron(weight, corner)[:, :, :end, :end]


@right("dilate_kernel", "a transposed convolution spreads the weights")
def transposed_convolution(weight, dilation):
    check_dilation(dilation)
    n, c, h, w = weight.shape
    one = torch.ones(1, 1, 1, 1, dtype=weight.dtype)
    spread = F.conv_transpose2d(weight.reshape(n * c, 1, h, w), one, stride=dilation)
    return spread.reshape(n, c, *spread.shape[2:])


@right("dilate_kernel", "columns of zeros behind each weight, then reshape and cut")
def pads_and_reshapes(weight, dilation):
    if not dilation >= 1:
        raise ValueError(f"{dilation} is not a dilation")
    n, c, h, w = weight.shape
    blocks = F.pad(weight[:, :, :, None, :, None], (0, dilation - 1, 0, 0, 0, dilation - 1))
    wide = blocks.reshape(n, c, h * dilation, w * dilation)
    return wide[:, :, : (h - 1) * dilation + 1, : (w - 1) * dilation + 1]


@wrong("dilate_kernel", "float64 is kept, any other type becomes float32")
def two_types_only(weight, dilation):
    out = holes_of(weight, dilation)
    return out if out.dtype == torch.float64 else out.float()


@wrong("dilate_kernel", "reads weights from memory, whatever their layout")
def weights_from_memory(weight, dilation):
    _, c, h, w = weight.shape
    return holes_of(weight.as_strided(weight.shape, (c * h * w, h * w, w, 1)), dilation)


@wrong("dilate_kernel", "view refuses weights that are stored in another order")
def flattened_by_view(weight, dilation):
    n, c, h, w = weight.shape
    return holes_of(weight.view(n * c, 1, h, w), dilation).reshape(n, c, dilation * (h - 1) + 1, -1)


by_shape = {}


@wrong("dilate_kernel", "remembers kernels by their shape")
def remembered(weight, dilation):
    key = tuple(weight.shape), dilation, weight.dtype
    return by_shape.setdefault(key, holes_of(weight, dilation))


@wrong("dilate_kernel", "the weights are moved to the middle of their cells")
def middle_of_cells(weight, dilation):
    return holes_of(weight, dilation).roll((dilation // 2, dilation // 2), dims=(2, 3))


@wrong("dilate_kernel", "holes hold a tiny number")
def tiny_holes(weight, dilation):
    return holes_of(weight, dilation, value=1e-6)


@wrong("dilate_kernel", "the first kernel serves for all")
def first_kernel(weight, dilation):
    return holes_of(weight[:1].expand_as(weight), dilation)


@wrong("dilate_kernel", "dilations above 3 count as 3")
def up_to_three(weight, dilation):
    return holes_of(weight, min(dilation, 3))


@wrong("dilate_kernel", "a TypeError below 1")
def type_error(weight, dilation):
    if dilation < 1:
        raise TypeError(f"dilation {dilation}")
    return holes_of(weight, dilation)


@wrong("dilate_kernel", "an assert below 1")
def asserts_dilation(weight, dilation):
    assert dilation >= 1
    return holes_of(weight, dilation)


@wrong("dilate_kernel", "zeroes small weights of its argument")
def zeroes_small_weights(weight, dilation):
    out = holes_of(weight, dilation)
    weight[weight.abs() < 2] = 0
    return out


@right("dilate_kernel", "an error class of its own; index_put")
def own_error(weight, dilation):
    class BadDilation(ValueError):
        pass

    if dilation <= 0:
        raise BadDilation(dilation)
    n, c, h, w = weight.shape
    out = torch.zeros_like(weight).new_zeros(n, c, dilation * (h - 1) + 1, dilation * (w - 1) + 1)
    rows, columns = dilation * torch.arange(h), dilation * torch.arange(w)
    out[:, :, rows[:, None], columns] = weight
    return out


@right("dilate_kernel", "columns of zeros are joined in between")
def joined(weight, dilation):
    check_dilation(dilation)
    for dim in (2, 3):
        slices = []
        for part in weight.split(1, dim=dim):
            slices += [part] + [torch.zeros_like(part)] * (dilation - 1)
        weight = torch.cat(slices[: len(slices) - dilation + 1], dim=dim)
    return weight


# Exercise 4: max_pool2d -------------------------------------------------------------------------------------


def check_padding(kernel, padding):
    if padding > kernel / 2:
        raise ValueError(f"padding {padding} for kernel {kernel}")


def pool(maps, kernel, stride=None, padding=0, value=-torch.inf, take=lambda windows: windows.amax((-2, -1))):
    """A right pooling with exchangeable parts: what stands beyond the border, what is taken of a window."""
    check_padding(kernel, padding)
    stride = stride or kernel
    padded = F.pad(maps, (padding,) * 4, value=value)
    return take(padded.unfold(2, kernel, stride).unfold(3, kernel, stride))


@wrong("max_pool2d", "calls torch's own pooling")
def calls_torchs_pooling(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    return F.max_pool2d(maps, kernel, stride, padding)


@wrong("max_pool2d", "zeros beyond the border win against negative maps")
def zeros_beyond(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=0.0)


@wrong("max_pool2d", "F.unfold pads with zeros by itself")
def unfold_pads_with_zeros(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    stride = stride or kernel
    batch, channels, height, _ = maps.shape
    patches = F.unfold(maps, kernel, padding=padding, stride=stride)
    rows = (height + 2 * padding - kernel) // stride + 1
    return patches.view(batch, channels, kernel**2, -1).amax(2).view(batch, channels, rows, -1)


@wrong("max_pool2d", "-1 beyond the border, as if features were never below")
def minus_one_beyond(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=-1.0)


@wrong("max_pool2d", "forgets padding")
def forgets_pool_padding(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    return pool(maps, kernel, stride)


@wrong("max_pool2d", "pads one side only")
def pool_pads_one_side(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    return pool(F.pad(maps, (2 * padding, 0, 2 * padding, 0), value=-torch.inf), kernel, stride)


@wrong("max_pool2d", "stride 1 where none is given")
def default_stride_one(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride or 1, padding)


@wrong("max_pool2d", "the stride is always the kernel")
def ignores_pool_stride(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, kernel, padding)


@wrong("max_pool2d", "the mean in place of the largest value")
def takes_the_mean(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=0.0, take=lambda windows: windows.mean((-2, -1)))


@wrong("max_pool2d", "the value of largest size, without its sign")
def takes_the_magnitude(maps, kernel, stride=None, padding=0):
    return pool(maps.abs(), kernel, stride, padding)


@wrong("max_pool2d", "the smallest value")
def takes_the_minimum(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, torch.inf, lambda windows: windows.amin((-2, -1)))


@wrong("max_pool2d", "the largest along each row of the window only, then its first row")
def rows_only(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, take=lambda windows: windows.amax(-1)[..., 0])


@wrong("max_pool2d", "pools over the channels as well")
def over_channels(maps, kernel, stride=None, padding=0):
    out = pool(maps, kernel, stride, padding)
    return out.amax(1, keepdim=True).expand_as(out)


@wrong("max_pool2d", "a last, incomplete window at the border")
def ceil_mode(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    stride = stride or kernel
    more = [(-(side + 2 * padding - kernel)) % stride for side in maps.shape[:1:-1]]
    maps = F.pad(maps, (0, more[0], 0, more[1]), value=-torch.inf)
    return pool(maps, kernel, stride, padding)


@wrong("max_pool2d", "crops the maps to a multiple of the kernel and reshapes, whatever the stride")
def reshapes(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    maps = F.pad(maps, (padding,) * 4, value=-torch.inf)
    rows, columns = maps.shape[2] // kernel, maps.shape[3] // kernel
    blocks = maps[:, :, : rows * kernel, : columns * kernel].reshape(*maps.shape[:2], rows, kernel, columns, kernel)  # fmt: skip # noqa: E501
    return blocks.amax((3, 5))


@wrong("max_pool2d", "rows and columns swapped in the end: right for square maps that are symmetric")
def transposed_output(maps, kernel, stride=None, padding=0):
    out = pool(maps, kernel, stride, padding)
    return out.reshape(*out.shape[:2], out.shape[3], out.shape[2]).transpose(2, 3)


@wrong("max_pool2d", "no error for too much padding")
def no_padding_error(maps, kernel, stride=None, padding=0):
    stride = stride or kernel
    padded = F.pad(maps, (padding,) * 4, value=-torch.inf)
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride).amax((-2, -1))


@wrong("max_pool2d", "padding of exactly half the kernel is refused")
def refuses_half(maps, kernel, stride=None, padding=0):
    if padding and padding >= kernel / 2:
        raise ValueError("too much padding")
    return pool(maps, kernel, stride, padding)


@wrong("max_pool2d", "allows padding of half the kernel, rounded up")
def half_rounded_up(maps, kernel, stride=None, padding=0):
    if padding > (kernel + 1) // 2:
        raise ValueError("too much padding")
    stride = stride or kernel
    padded = F.pad(maps, (padding,) * 4, value=-torch.inf)
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride).amax((-2, -1))


@wrong("max_pool2d", "writes the results into its argument")
def pools_in_place(maps, kernel, stride=None, padding=0):
    out = pool(maps, kernel, stride, padding)
    rows, columns = min(out.shape[2], maps.shape[2]), min(out.shape[3], maps.shape[3])
    maps[:, :, :rows, :columns] = out[:, :, :rows, :columns]
    return out


@right("max_pool2d", "F.pad, F.unfold, view, max")
def pad_then_unfold(maps, kernel, stride=None, padding=0):
    if 2 * padding > kernel:
        raise ValueError("padding must be at most half of the kernel")
    if stride is None:
        stride = kernel
    maps = F.pad(maps, (padding,) * 4, value=float("-inf"))
    batch, channels, height, _ = maps.shape
    patches = F.unfold(maps, kernel, stride=stride).view(batch, channels, kernel * kernel, -1)
    return patches.max(dim=2).values.view(batch, channels, (height - kernel) // stride + 1, -1)


@right("max_pool2d", "the largest of shifted slices, one for each place in the window")
def maximum_of_slices(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    stride = stride or kernel
    maps = F.pad(maps, (padding,) * 4, value=-torch.inf)
    rows, columns = (maps.shape[2] - kernel) // stride + 1, (maps.shape[3] - kernel) // stride + 1
    out = torch.full((*maps.shape[:2], rows, columns), -torch.inf)
    for y, x in itertools.product(range(kernel), repeat=2):
        part = maps[:, :, y : y + stride * rows : stride, x : x + stride * columns : stride]
        out = torch.maximum(out, part)
    return out


@right("max_pool2d", "loops; windows are cut off at the border, so that nothing needs padding")
def cuts_windows(maps, kernel, stride=None, padding=0):
    if padding > kernel // 2:
        raise ValueError(f"padding {padding}, kernel {kernel}")
    stride = kernel if stride is None else stride
    batch, channels, height, width = maps.shape
    rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
    out = maps.new_zeros(batch, channels, rows, columns)
    for y in range(rows):
        for x in range(columns):
            top, left = y * stride - padding, x * stride - padding
            window = maps[:, :, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
            out[:, :, y, x] = window.flatten(2).max(dim=2).values
    return out


@right("max_pool2d", "first along the rows, then along the columns")
def one_direction_after_the_other(maps, kernel, stride=None, padding=0):
    if kernel - 2 * padding < 0:
        raise ValueError("too much padding")
    stride = stride or kernel
    padded = F.pad(maps, [padding] * 4, value=-float("inf"))
    return padded.unfold(3, kernel, stride).amax(-1).unfold(2, kernel, stride).amax(-1)


@wrong("max_pool2d", "-1000 beyond the border")
def minus_thousand(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=-1000.0)


@wrong("max_pool2d", "-1e9 beyond the border")
def minus_a_billion(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=-1e9)


@wrong("max_pool2d", "the smallest number of the maps, less one, in a type that cannot tell them apart")
def less_one(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=float(maps.mean()) - 1)


@wrong("max_pool2d", "windows by view, which refuses maps that are stored in another order")
def windows_by_view(maps, kernel, stride=None, padding=0):
    flat = maps.view(-1, 1, *maps.shape[2:])
    out = pool(flat, kernel, stride, padding)
    return out.view(*maps.shape[:2], *out.shape[2:])


@wrong("max_pool2d", "windows by as_strided, as if the maps were stored row by row")
def windows_by_as_strided_too(maps, kernel, stride=None, padding=0):
    _, c, h, w = maps.shape
    return pool(maps.as_strided(maps.shape, (c * h * w, h * w, w, 1)), kernel, stride, padding)


@wrong("max_pool2d", "writes the result into the corner of the maps")
def writes_into_the_maps(maps, kernel, stride=None, padding=0):
    out = pool(maps, kernel, stride, padding)
    maps[:, :, : out.shape[2], : out.shape[3]] = out[:, :, : maps.shape[2], : maps.shape[3]]
    return out


@wrong("max_pool2d", "bfloat16 on the way")
def coarse_pooling(maps, kernel, stride=None, padding=0):
    return pool(maps.bfloat16(), kernel, stride, padding).to(maps.dtype)


@wrong("max_pool2d", "without a stride and with padding the windows overlap by the padding")
def overlaps_with_padding(maps, kernel, stride=None, padding=0):
    stride = max(kernel - padding, 1) if stride is None else stride
    return pool(maps, kernel, stride, padding)


@wrong("max_pool2d", "strides larger than the kernel are cut to the kernel")
def stride_cut(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, min(stride or kernel, kernel), padding)


@wrong("max_pool2d", "looks at the padding only when a stride is given")
def checks_with_stride(maps, kernel, stride=None, padding=0):
    if stride is not None:
        check_padding(kernel, padding)
    stride = stride or kernel
    padded = F.pad(maps, (padding,) * 4, value=-torch.inf)
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride).amax((-2, -1))


@wrong("max_pool2d", "an assert looks at the padding")
def asserts_padding(maps, kernel, stride=None, padding=0):
    assert 2 * padding <= kernel
    return pool(maps, kernel, stride, padding)


@wrong("max_pool2d", "the softmax-weighted mean, which is nearly the largest")
def nearly_the_largest(maps, kernel, stride=None, padding=0):
    def take(windows):
        flat = windows.flatten(-2)
        return ((20 * flat).softmax(-1) * flat.nan_to_num(neginf=0.0)).sum(-1)

    return pool(maps, kernel, stride, padding, take=take)


@right("max_pool2d", "the lowest number of the type, an error class of its own, float64 inside")
def lowest_number(maps, kernel, stride=None, padding=0):
    class PaddingError(ValueError):
        pass

    if padding * 2 > kernel:
        raise PaddingError(padding)
    return pool(maps.double(), kernel, stride, padding, value=torch.finfo(torch.float64).min)


@right("max_pool2d", "sorts each window")
def sorts_windows(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, take=lambda w: w.flatten(-2).sort(dim=-1).values[..., -1])


# Exercise 5: receptive_field --------------------------------------------------------------------------------


def field(layers, size=1, jump=1, start=0, grow=None, begin=None):
    """A right recursion with exchangeable parts: how size grows and start moves."""
    for k, s, p, d in layers:
        size += grow(k, s, d, jump) if grow else d * (k - 1) * jump
        start -= begin(k, s, p, d, jump) if begin else p * jump
        jump *= s
    return size, jump, start


@wrong("receptive_field", "a layer adds its kernel, one too many")
def adds_the_kernel(layers):
    return field(layers, grow=lambda k, s, d, jump: k * jump)


@wrong("receptive_field", "begins with a field of 0")
def begins_with_nothing(layers):
    return field(layers, size=0)


@wrong("receptive_field", "counts one pixel too few: last minus first")
def last_minus_first(layers):
    size, jump, start = field(layers)
    return size - 1, jump, start


@wrong("receptive_field", "no dilation")
def field_without_dilation(layers):
    return field(layers, grow=lambda k, s, d, jump: (k - 1) * jump)


@wrong("receptive_field", "a dilated kernel is taken to be dilation * kernel wide")
def field_dilation_times_kernel(layers):
    return field(layers, grow=lambda k, s, d, jump: (d * k - 1) * jump)


@wrong("receptive_field", "stride and dilation swapped")
def field_swaps_stride_and_dilation(layers):
    return field([Layer(k, d, p, s) for k, s, p, d in layers])


@wrong("receptive_field", "the layer's own stride counts for its own size")
def own_stride_counts(layers):
    return field(layers, grow=lambda k, s, d, jump: d * (k - 1) * jump * s)


@wrong("receptive_field", "no jump: every layer works on pixels")
def size_without_jump(layers):
    return field(layers, grow=lambda k, s, d, jump: d * (k - 1))


@wrong("receptive_field", "strides are added up")
def adds_strides(layers):
    size, jump, start = 1, 1, 0
    for k, s, p, d in layers:
        size += d * (k - 1) * jump
        start -= p * jump
        jump += s - 1
    return size, jump, start


@wrong("receptive_field", "dilation stretches the jump of all layers behind")
def dilation_stretches_the_jump(layers):
    size, jump, start = 1, 1, 0
    for k, s, p, d in layers:
        size += d * (k - 1) * jump
        start -= p * jump
        jump *= s * d
    return size, jump, start


@wrong("receptive_field", "multiplies kernels")
def multiplies_kernels(layers):
    _, jump, start = field(layers)
    return math.prod(d * (k - 1) + 1 for k, _, _, d in layers), jump, start


@wrong(
    "receptive_field", "windows as wide as their stride are taken for pooling, which has no weights to count"
)
def leaves_out_pooling(layers):
    size, jump, start = 1, 1, 0
    for k, s, p, d in layers:
        size += 0 if k == s > 1 else d * (k - 1) * jump
        start -= p * jump
        jump *= s
    return size, jump, start


@wrong("receptive_field", "the layers the wrong way round")
def wrong_way_round(layers):
    return field(layers[::-1])


@wrong("receptive_field", "padding moves start to the right")
def start_to_the_right(layers):
    return field(layers, begin=lambda k, s, p, d, jump: -p * jump)


@wrong("receptive_field", "padding without jump")
def padding_without_jump(layers):
    return field(layers, begin=lambda k, s, p, d, jump: p)


@wrong("receptive_field", "padding with the jump behind the layer")
def padding_with_new_jump(layers):
    return field(layers, begin=lambda k, s, p, d, jump: p * jump * s)


@wrong("receptive_field", "padding counts in steps of the dilation")
def padding_with_dilation(layers):
    return field(layers, begin=lambda k, s, p, d, jump: p * d * jump)


@wrong("receptive_field", "start is 0 for good")
def start_is_zero(layers):
    return field(layers, begin=lambda k, s, p, d, jump: 0)


@wrong("receptive_field", "the middle of the field in place of its start")
def middle_of_the_field(layers):
    size, jump, start = field(layers)
    return size, jump, start + size // 2


@wrong("receptive_field", "start as if every layer were padded by half of its kernel")
def guesses_padding(layers):
    return field(layers, begin=lambda k, s, p, d, jump: d * (k - 1) // 2 * jump)


@wrong("receptive_field", "size, start and jump in another order")
def another_order(layers):
    size, jump, start = field(layers)
    return size, start, jump


@wrong("receptive_field", "takes the layers out of the list")
def empties_the_list(layers):
    size, jump, start = 1, 1, 0
    while layers:
        k, s, p, d = layers.pop(0)
        size += d * (k - 1) * jump
        start -= p * jump
        jump *= s
    return size, jump, start


@right("receptive_field", "follows the first two positions back to the image")
def follows_back(layers):
    ends = []
    for position in (0, 1):
        first = last = position
        for layer in reversed(layers):
            first = first * layer.stride - layer.padding
            last = last * layer.stride - layer.padding + layer.dilation * (layer.kernel - 1)
        ends.append((first, last))
    (first, last), (second, _) = ends
    return last - first + 1, second - first, first


@right("receptive_field", "sums over products of strides")
def sums_over_products(layers):
    jumps = [math.prod(layer.stride for layer in layers[:i]) for i in range(len(layers) + 1)]
    size = 1 + sum((a.kernel - 1) * a.dilation * j for a, j in zip(layers, jumps, strict=False))
    return size, jumps[-1], -sum(a.padding * j for a, j in zip(layers, jumps, strict=False))


@right("receptive_field", "the first and the last pixel of position 0, carried from layer to layer")
def first_and_last(layers):
    jump, first, last = 1, 0, 0
    for layer in layers:
        window = (layer.kernel - 1) * layer.dilation
        first, last = first - layer.padding * jump, last + (window - layer.padding) * jump
        jump = jump * layer.stride
    return (last - first + 1, jump, first)


@right("receptive_field", "recursion from the last layer")
def recursive_field(layers):
    if len(layers) == 0:
        return 1, 1, 0
    size, jump, start = recursive_field(layers[:-1])
    kernel, stride, padding, dilation = layers[-1]
    return size + (kernel - 1) * dilation * jump, jump * stride, start - padding * jump


@wrong("receptive_field", "floating numbers")
def floats(layers):
    return tuple(map(float, field(layers)))


@wrong("receptive_field", "sorts the layers by the way")
def sorts_layers(layers):
    out = field(layers)
    layers.sort()
    return out


@wrong("receptive_field", "strides above 2 count as 2")
def field_strides_up_to_two(layers):
    return field([layer._replace(stride=min(layer.stride, 2)) for layer in layers])


@wrong("receptive_field", "a kernel of 1 is passed over, with its stride and padding")
def skips_pointwise(layers):
    return field([layer for layer in layers if layer.kernel > 1])


@wrong("receptive_field", "a kernel of 1 sees one more pixel for each hole")
def holes_of_one(layers):
    return field(layers, grow=lambda k, s, d, jump: (d * (k - 1) + (d - 1 if k == 1 else 0)) * jump)


@wrong("receptive_field", "start is never before the padding of the first layer")
def start_cut(layers):
    size, jump, start = field(layers)
    return size, jump, max(start, -layers[0].padding if layers else 0)


@wrong("receptive_field", "the field ends at the border: what lies in the padding does not count")
def cut_at_the_border(layers):
    size, jump, start = field(layers)
    return size + min(start, 0), jump, start


@wrong("receptive_field", "an even kernel is taken to be one larger")
def odd_kernels(layers):
    return field(layers, grow=lambda k, s, d, jump: d * (k // 2 * 2) * jump)


@wrong("receptive_field", "dilation counts half to each side, rounded down")
def dilation_halved(layers):
    return field(layers, grow=lambda k, s, d, jump: 2 * (d * (k - 1) // 2) * jump)


@wrong("receptive_field", "no layers are an error")
def no_layers_error(layers):
    first, *rest = layers
    return field([first, *rest])


@wrong("receptive_field", "remembers the answer by the number of layers")
def by_number(layers, seen={}):  # noqa: B006
    return seen.setdefault((len(layers), layers[0] if layers else None), field(layers))


@right("receptive_field", "numpy's integers, a named tuple")
def named(layers):
    class Field(NamedTuple):
        size: int
        jump: int
        start: int

    size, jump, start = np.int64(1), np.int64(1), np.int64(0)
    for layer in layers:
        size = size + (layer.kernel - 1) * layer.dilation * jump
        start = start - layer.padding * jump
        jump = jump * layer.stride
    return Field(size, jump, start)


# Exercise 6: limit_stride -----------------------------------------------------------------------------------


def check_output_stride(layers, output_stride):
    jumps = list(itertools.accumulate([layer.stride for layer in layers], lambda a, b: a * b, initial=1))
    if output_stride not in jumps:
        raise ValueError(f"output stride {output_stride} is not among {jumps}")


def finer(layers, output_stride, change):
    """A right walk through the layers; `change(layer, rate, left_out)` makes the new one from the old."""
    check_output_stride(layers, output_stride)
    jump, rate, result = 1, 1, []
    for layer in layers:
        left_out = layer.stride if jump == output_stride else 1
        result.append(change(layer, rate, left_out))
        jump *= layer.stride // left_out
        rate *= left_out
    return result


def as_it_should_be(layer, rate, left_out):
    return layer._replace(
        stride=layer.stride // left_out, padding=layer.padding * rate, dilation=layer.dilation * rate
    )


@wrong("limit_stride", "leaves out strides, and nothing else: all layers behind see half as far")
def no_dilation(layers, output_stride):
    return finer(layers, output_stride, lambda a, rate, left: a._replace(stride=a.stride // left))


@wrong("limit_stride", "the layer at which a stride is left out gets the holes, too")
def holes_one_layer_early(layers, output_stride):
    return finer(layers, output_stride, lambda a, rate, left: as_it_should_be(a, rate * left, left))


@wrong("limit_stride", "only the layer at which a stride is left out gets holes")
def holes_at_that_layer_only(layers, output_stride):
    return finer(layers, output_stride, lambda a, rate, left: as_it_should_be(a, left, left))


@wrong("limit_stride", "forgets that padding counts in finer steps, too")
def forgets_finer_padding(layers, output_stride):
    change = lambda a, rate, left: as_it_should_be(a, rate, left)._replace(padding=a.padding)  # noqa: E731
    return finer(layers, output_stride, change)


@wrong("limit_stride", "padding as for 3 x 3 kernels: equal to the dilation")
def padding_is_dilation(layers, output_stride):
    change = lambda a, rate, left: as_it_should_be(a, rate, left)._replace(padding=a.dilation * rate)  # noqa: E731
    return finer(layers, output_stride, change)


@wrong("limit_stride", "replaces the dilation that a layer had")
def overwrites_dilation(layers, output_stride):
    change = lambda a, rate, left: as_it_should_be(a, rate, left)._replace(dilation=rate)  # noqa: E731
    return finer(layers, output_stride, change)


@wrong("limit_stride", "dilation 2 and no more, however many strides are left out")
def two_at_most(layers, output_stride):
    return finer(layers, output_stride, lambda a, rate, left: as_it_should_be(a, min(rate, 2), left))


@wrong("limit_stride", "dilations are added up")
def adds_dilations(layers, output_stride):
    check_output_stride(layers, output_stride)
    jump, rate, result = 1, 1, []
    for layer in layers:
        stride = 1 if jump == output_stride else layer.stride
        result.append(Layer(layer.kernel, stride, layer.padding * rate, layer.dilation * rate))
        rate += layer.stride - stride
        jump *= stride
    # As long as only one stride of 2 is left out, 1 + 1 and 1 * 2 are the same.
    return result


@wrong("limit_stride", "only the one layer behind gets holes")
def next_layer_only(layers, output_stride):
    check_output_stride(layers, output_stride)
    jump, rate, result = 1, 1, []
    for layer in layers:
        stride = 1 if jump == output_stride else layer.stride
        result.append(Layer(layer.kernel, stride, layer.padding * rate, layer.dilation * rate))
        jump *= stride
        rate = layer.stride // stride
    return result


@wrong("limit_stride", "leaves out the first strides in place of the last ones")
def first_strides_left_out(layers, output_stride):
    check_output_stride(layers, output_stride)
    surplus = math.prod(layer.stride for layer in layers) // output_stride
    rate, result = 1, []
    for layer in layers:
        left_out = layer.stride if rate < surplus else 1
        result.append(as_it_should_be(layer, rate, left_out))
        rate *= left_out
    return result


@wrong("limit_stride", "stops one stride too early: the map stays too coarse by one")
def one_stride_too_many(layers, output_stride):
    check_output_stride(layers, output_stride)
    jump, rate, result = 1, 1, []
    for layer in layers:
        stride = 1 if jump > output_stride else layer.stride
        result.append(Layer(layer.kernel, stride, layer.padding * rate, layer.dilation * rate))
        jump *= stride
        rate *= layer.stride // stride
    return result


@wrong("limit_stride", "takes every stride to be 2")
def strides_are_two(layers, output_stride):
    check_output_stride(layers, output_stride)
    jump, rate, result = 1, 1, []
    for layer in layers:
        left_out = layer.stride > 1 and jump == output_stride
        stride = 1 if left_out else layer.stride
        result.append(Layer(layer.kernel, stride, layer.padding * rate, layer.dilation * rate))
        jump *= stride
        rate *= 2 if left_out else 1
    return result


@wrong("limit_stride", "drops the layers behind the limit")
def drops_layers(layers, output_stride):
    check_output_stride(layers, output_stride)
    return [a for a in finer(layers, output_stride, as_it_should_be) if a.dilation == 1]


@wrong("limit_stride", "larger kernels in place of holes, for which the weights do not fit")
def larger_kernels(layers, output_stride):
    def change(layer, rate, left_out):
        kernel = rate * (layer.kernel - 1) + 1
        return Layer(kernel, layer.stride // left_out, layer.padding * rate, layer.dilation)

    return finer(layers, output_stride, change)


@wrong("limit_stride", "no error: an output stride that never occurs is passed over in silence")
def no_stride_error(layers, output_stride):
    jump, rate, result = 1, 1, []
    for layer in layers:
        stride = 1 if jump * layer.stride > output_stride else layer.stride
        result.append(Layer(layer.kernel, stride, layer.padding * rate, layer.dilation * rate))
        jump *= stride
        rate *= layer.stride // stride
    return result


@wrong("limit_stride", "an error for what does not divide the stride of the whole, and for nothing else")
def checks_divisors_only(layers, output_stride):
    whole = math.prod(layer.stride for layer in layers)
    if output_stride < 1 or whole % output_stride:
        raise ValueError(f"{output_stride} does not divide {whole}")
    jump, rate, result = 1, 1, []
    for layer in layers:
        stride = 1 if jump >= output_stride else layer.stride
        result.append(Layer(layer.kernel, stride, layer.padding * rate, layer.dilation * rate))
        jump *= stride
        rate *= layer.stride // stride
    return result


@wrong("limit_stride", "refuses output stride 1")
def refuses_stride_one(layers, output_stride):
    if output_stride <= 1:
        raise ValueError("output stride must be 2 or more")
    return finer(layers, output_stride, as_it_should_be)


@wrong("limit_stride", "an error where nothing needs to be left out")
def refuses_the_whole(layers, output_stride):
    if output_stride == math.prod(layer.stride for layer in layers) > 1:
        raise ValueError("nothing to do")
    return finer(layers, output_stride, as_it_should_be)


@wrong("limit_stride", "writes into the list that it was given")
def changes_the_list(layers, output_stride):
    layers[:] = finer(layers, output_stride, as_it_should_be)
    return layers


@right("limit_stride", "_replace, one layer after the other")
def with_replace(layers, output_stride):
    return finer(layers, output_stride, as_it_should_be)


@right("limit_stride", "two passes: first how far every layer's input is refined, then the layers")
def two_passes(layers, output_stride):
    jumps = [1]
    for layer in layers:
        jumps.append(jumps[-1] * layer.stride)
    if output_stride not in jumps:
        raise ValueError(f"choose one of {sorted(set(jumps))}")
    rates = [max(1, jump // output_stride) for jump in jumps]
    return [
        Layer(a.kernel, a.stride * before // after, a.padding * before, a.dilation * before)
        for a, before, after in zip(layers, rates[:-1], rates[1:], strict=True)
    ]


@right("limit_stride", "finds the place of the limit and treats both parts apart")
def splits_the_list(layers, output_stride):
    for place in range(len(layers) + 1):
        if math.prod(a.stride for a in layers[:place]) == output_stride:
            break
    else:
        raise ValueError(f"there is no place with output stride {output_stride}")
    result, rate = list(layers[:place]), 1
    for layer in layers[place:]:
        result.append(
            Layer(kernel=layer.kernel, padding=layer.padding * rate, dilation=layer.dilation * rate)
        )
        rate *= layer.stride
    return result


@right("limit_stride", "recursion: refine what follows, by one stride at a time")
def refines_recursively(layers, output_stride, jump=1, rate=1):
    if not layers:
        if jump != output_stride:
            raise ValueError(f"the stride of these layers is {jump}, never {output_stride}")
        return []
    first, *others = layers
    kernel, stride, padding, dilation = first
    if jump == output_stride:
        new = Layer(kernel, 1, padding * rate, dilation * rate)
        return [new, *refines_recursively(others, output_stride, jump, rate * stride)]
    return [first, *refines_recursively(others, output_stride, jump * stride, rate)]


@wrong("limit_stride", "floating numbers of padding and dilation")
def floating_rates(layers, output_stride):
    def change(layer, rate, left_out):
        return layer._replace(
            stride=layer.stride // left_out,
            padding=layer.padding * float(rate),
            dilation=layer.dilation * rate,
        )

    return finer(layers, output_stride, change)


@wrong("limit_stride", "clears the list that it was given when it refuses")
def clears_when_refusing(layers, output_stride):
    try:
        return finer(layers, output_stride, as_it_should_be)
    except ValueError:
        layers.clear()
        raise


@wrong("limit_stride", "a tuple of layers")
def tuple_of_layers(layers, output_stride):
    return tuple(finer(layers, output_stride, as_it_should_be))


@wrong("limit_stride", "padding grows even where there was none")
def pads_all(layers, output_stride):
    def change(layer, rate, left_out):
        new = as_it_should_be(layer, rate, left_out)
        return new._replace(padding=max(new.padding, rate - 1))

    return finer(layers, output_stride, change)


@wrong("limit_stride", "kernels of 1 stay as they are, with their padding")
def pointwise_stay(layers, output_stride):
    def change(layer, rate, left_out):
        if layer.kernel == 1:
            return layer._replace(stride=layer.stride // left_out)
        return as_it_should_be(layer, rate, left_out)

    return finer(layers, output_stride, change)


@wrong("limit_stride", "the last layer is left as it was")
def last_as_it_was(layers, output_stride):
    new = finer(layers, output_stride, as_it_should_be)
    return new[:-1] + layers[-1:]


@wrong("limit_stride", "a KeyError for a stride that never occurs")
def key_error(layers, output_stride):
    try:
        return finer(layers, output_stride, as_it_should_be)
    except ValueError as error:
        raise KeyError(str(error)) from None


@wrong("limit_stride", "a larger output stride than the whole is passed over")
def larger_is_fine(layers, output_stride):
    if output_stride > math.prod(layer.stride for layer in layers):
        return list(layers)
    return finer(layers, output_stride, as_it_should_be)


@wrong("limit_stride", "leaves out strides of 2, others stay")
def twos_only(layers, output_stride):
    check_output_stride(layers, output_stride)
    jump, rate, result = 1, 1, []
    for layer in layers:
        left_out = layer.stride if jump == output_stride and layer.stride == 2 else 1
        result.append(as_it_should_be(layer, rate, left_out))
        jump, rate = jump * layer.stride // left_out, rate * left_out
    return result


@wrong("limit_stride", "the strides of the original count on, also those left out")
def original_jump(layers, output_stride):
    check_output_stride(layers, output_stride)
    jump, rate, result = 1, 1, []
    for layer in layers:
        left_out = layer.stride if jump == output_stride else 1
        result.append(as_it_should_be(layer, rate, left_out))
        jump, rate = jump * layer.stride, rate * left_out
    return result


@right("limit_stride", "numpy's integers, an error class of its own")
def numpy_limits(layers, output_stride):
    class NoSuchStride(ValueError):
        pass

    strides = np.array([layer.stride for layer in layers], dtype=np.int64)
    jumps = np.concatenate([[1], strides.cumprod()])
    if output_stride not in jumps.tolist():
        raise NoSuchStride(output_stride)
    rates = np.maximum(jumps // output_stride, 1)
    return [
        Layer(layer.kernel, layer.stride if rate == after else 1, layer.padding * rate, layer.dilation * rate)
        for layer, rate, after in zip(layers, rates[:-1], rates[1:], strict=True)
    ]


# Answers that were written without a look at the hidden checks ----------------------------------------------


@wrong("map_sizes", "the message names every layer there is")
def names_all_layers(size, layers):
    try:
        return sizes_by(one_size, size, layers)
    except ValueError:
        every = ", ".join(f"layer {number}" for number in range(len(layers)))
        raise ValueError(f"a window is too wide in one of {every}") from None


@wrong("map_sizes", "the message counts from 0 and from 1")
def counts_both_ways(size, layers):
    try:
        return sizes_by(one_size, size, layers)
    except ValueError as error:
        number = int(str(error).split()[1])
        raise ValueError(f"layer {number} does not fit (layer {number + 1} if you count from 1)") from None


@right("map_sizes", "the message names the layer in front, too")
def names_the_one_before(size, layers):
    try:
        return sizes_by(one_size, size, layers)
    except ValueError as error:
        number = int(str(error).split()[1])
        before = f"what layer {number - 1} leaves" if number else "the image"
        raise ValueError(f"{before} has no room for layer {number} of {len(layers)}") from None


@wrong("conv2d", "a bias in which any number is 0 is left out")
def bias_by_truth(images, weight, bias=None, stride=1, padding=0):
    return convolve(images, weight, bias if bias is not None and bias.all() else None, stride, padding)


@right("conv2d", "by the Fourier transform")
def by_fourier(images, weight, bias=None, stride=1, padding=0):
    check_channels(images, weight)
    padded = F.pad(images, (padding,) * 4)
    size = padded.shape[-2:]
    kernels = torch.fft.rfft2(weight, s=size).conj()
    out = torch.fft.irfft2(torch.einsum("bcyx,ncyx->bnyx", torch.fft.rfft2(padded), kernels), s=size)
    rows, columns = (side - kernel + 1 for side, kernel in zip(size, weight.shape[2:], strict=True))
    out = out[:, :, :rows:stride, :columns:stride]
    return out if bias is None else out + bias[:, None, None]


@right("dilate_kernel", "numpy, which has no bfloat16")
def by_numpy(weight, dilation):
    if dilation < 1:
        raise ValueError(dilation)
    given = weight.detach().numpy()
    height, width = (dilation * (side - 1) + 1 for side in given.shape[2:])
    out = np.zeros((*given.shape[:2], height, width), dtype=given.dtype)
    out[..., ::dilation, ::dilation] = given
    return torch.tensor(out)


@right("dilate_kernel", "a slice with step 0 is a ValueError of its own")
def refuses_zero_by_itself(weight, dilation):
    if dilation < 0:
        raise ValueError(dilation)
    kernels, channels, height, width = weight.shape
    out = weight.new_zeros(kernels, channels, dilation * (height - 1) + 1, dilation * (width - 1) + 1)
    out[:, :, ::dilation, ::dilation] = weight
    return out


@right("dilate_kernel", "products with two matrices of zeros and ones")
def by_matrices(weight, dilation):
    if dilation < 1:
        raise ValueError(dilation)
    height, width = (dilation * (side - 1) + 1 for side in weight.shape[2:])
    down = torch.eye(height, dtype=weight.dtype)[:, ::dilation]
    return down @ weight @ torch.eye(width, dtype=weight.dtype)[::dilation]


@wrong("max_pool2d", "-1e20 beyond the border, and maps may be lower")
def pads_with_1e20(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=-1e20)


@wrong("max_pool2d", "-1e30 beyond the border, and maps may be lower")
def pads_with_1e30(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=-1e30)


@wrong("max_pool2d", "the lowest number of float32, also for maps in float64")
def pads_with_lowest_float32(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding, value=torch.finfo(torch.float32).min)


@wrong("max_pool2d", "float32 inside: -1e300 becomes -inf")
def pools_in_float32(maps, kernel, stride=None, padding=0):
    return pool(maps.float(), kernel, stride, padding)


@wrong("max_pool2d", "lifts the maps above 0 and lowers them again: small numbers are lost beside large ones")
def lifts_above_zero(maps, kernel, stride=None, padding=0):
    low = maps.min() - 1
    return pool(maps - low, kernel, stride, padding, value=0.0) + low


@wrong("max_pool2d", "nothing above ten thousand comes out")
def cut_above(maps, kernel, stride=None, padding=0):
    return pool(maps, kernel, stride, padding).clamp(max=1e4)


@wrong("max_pool2d", "mirrored beyond the border: with kernel 2 that is outside of the window")
def mirrors(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    padded = F.pad(maps, (padding,) * 4, mode="reflect") if padding else maps
    return pool(padded, kernel, stride or kernel)


@right("max_pool2d", "the border's own numbers stand beyond it: they are in every such window anyway")
def repeats_the_border(maps, kernel, stride=None, padding=0):
    check_padding(kernel, padding)
    padded = F.pad(maps, (padding,) * 4, mode="replicate") if padding else maps
    return pool(padded, kernel, stride or kernel)


@wrong("receptive_field", "a start of 0 behind a stride of 2 is 0.0")
def start_is_a_float(layers):
    size, jump, start = 1, 1, 0
    for layer in layers:
        size += layer.dilation * (layer.kernel - 1) * jump
        start -= layer.padding * jump
        jump *= layer.stride
    return size, jump, start + 0.0 if jump == 2 and start == 0 else start
