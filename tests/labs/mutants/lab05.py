"""Answers to lab 05 that learners could write: wrong ones must lose points, right ones keep all of them."""

import copy
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn
from torchvision.transforms.functional import resize

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: atrous_conv2d ----------------------------------------------------------------------------------


def from_windows(x, weight, size=None, **options):
    """Unfold and one product; the output's size is the map's unless another is given."""
    windows = F.unfold(x, weight.shape[-1], **options)
    return (weight.flatten(1) @ windows).unflatten(2, size or x.shape[2:])


@wrong("atrous_conv2d", "the rate is used as stride: a coarser map of ordinary windows")
def rate_as_stride(x, weight, rate=1):
    half = weight.shape[-1] // 2
    size = [(side - 1) // rate + 1 for side in x.shape[2:]]
    return from_windows(x, weight, size, padding=half, stride=rate)


@wrong("atrous_conv2d", "stride and dilation both, and enlarged again to hide it")
def stride_and_dilation(x, weight, rate=1):
    half = weight.shape[-1] // 2
    size = [(side - 1) // rate + 1 for side in x.shape[2:]]
    out = from_windows(x, weight, size, padding=rate * half, stride=rate, dilation=rate)
    return F.interpolate(out, size=x.shape[2:])


@wrong("atrous_conv2d", "the padding does not grow with the rate: the map shrinks")
def padding_of_rate_one(x, weight, rate=1):
    reach = rate * (weight.shape[-1] - 1)
    padding = weight.shape[-1] // 2
    size = [side + 2 * padding - reach for side in x.shape[2:]]
    return from_windows(x, weight, size, padding=padding, dilation=rate)


@wrong("atrous_conv2d", "padding equal to the rate, right for kernels of 3 only")
def padding_for_three(x, weight, rate=1):
    reach = rate * (weight.shape[-1] - 1)
    size = [side + 2 * rate - reach for side in x.shape[2:]]
    return from_windows(x, weight, size, padding=rate, dilation=rate)


@wrong("atrous_conv2d", "enough padding on the left only, so that everything is shifted")
def padding_on_one_side(x, weight, rate=1):
    reach = rate * (weight.shape[-1] - 1)
    return from_windows(F.pad(x, (reach, 0, reach, 0)), weight, x.shape[2:], dilation=rate)


@wrong("atrous_conv2d", "the rate is taken as the number of holes")
def rate_plus_one(x, weight, rate=1):
    half = weight.shape[-1] // 2
    return from_windows(x, weight, padding=(rate + 1) * half, dilation=rate + 1)


@wrong("atrous_conv2d", "no rate at all")
def ordinary_convolution(x, weight, rate=1):
    return from_windows(x, weight, padding=weight.shape[-1] // 2)


@wrong("atrous_conv2d", "assumes kernels of 3")
def kernels_of_three(x, weight, rate=1):
    windows = F.unfold(x, 3, dilation=rate, padding=rate)
    return (weight.flatten(1) @ windows).unflatten(2, x.shape[2:])


@wrong("atrous_conv2d", "turns the kernel around, as the convolution of mathematics does")
def turned_kernel(x, weight, rate=1):
    half = weight.shape[-1] // 2
    return from_windows(x, weight.flip(2, 3), padding=rate * half, dilation=rate)


@wrong("atrous_conv2d", "rows and columns of the kernel exchanged")
def transposed_kernel(x, weight, rate=1):
    half = weight.shape[-1] // 2
    return from_windows(x, weight.transpose(2, 3), padding=rate * half, dilation=rate)


@wrong("atrous_conv2d", "height and width exchanged when the map is put together")
def height_and_width(x, weight, rate=1):
    half = weight.shape[-1] // 2
    return from_windows(x, weight, x.shape[:1:-1], padding=rate * half, dilation=rate)


@wrong("atrous_conv2d", "the border is repeated in place of zeros")
def repeats_the_border(x, weight, rate=1):
    pad = rate * (weight.shape[-1] // 2)
    return from_windows(F.pad(x, (pad,) * 4, mode="replicate"), weight, x.shape[2:], dilation=rate)


@wrong("atrous_conv2d", "the weights of a window in another order than unfold's")
def channels_last(x, weight, rate=1):
    half = weight.shape[-1] // 2
    windows = F.unfold(x, weight.shape[-1], dilation=rate, padding=rate * half)
    return (weight.movedim(1, -1).flatten(1) @ windows).unflatten(2, x.shape[2:])


@wrong("atrous_conv2d", "torch's own convolution")
def torch_s_own(x, weight, rate=1):
    return F.conv2d(x, weight, padding=rate * (weight.shape[-1] // 2), dilation=rate)


@wrong("atrous_conv2d", "torch's own convolution on a kernel with holes")
def torch_s_own_with_holes(x, weight, rate=1):
    side = rate * (weight.shape[-1] - 1) + 1
    holes = weight.new_zeros(*weight.shape[:2], side, side)
    holes[:, :, ::rate, ::rate] = weight
    return nn.functional.conv2d(x, holes, padding=side // 2)


@wrong("atrous_conv2d", "cuts the gradients off")
def no_gradients(x, weight, rate=1):
    half = weight.shape[-1] // 2
    return from_windows(x.detach(), weight, padding=rate * half, dilation=rate)


@wrong("atrous_conv2d", "treats the first image only")
def first_image_only(x, weight, rate=1):
    half = weight.shape[-1] // 2
    return from_windows(x[:1], weight, padding=rate * half, dilation=rate).expand(len(x), -1, -1, -1)


@right("atrous_conv2d", "einsum over windows and kernels")
def einsum_over_windows(x, weight, rate=1):
    size = weight.shape[-1]
    windows = F.unfold(x, size, dilation=rate, padding=rate * (size // 2))
    windows = windows.unflatten(1, (x.shape[1], size, size))
    return torch.einsum("bcijp,ncij->bnp", windows, weight).reshape(len(x), len(weight), *x.shape[2:])


@right("atrous_conv2d", "a loop over the kernel's places, each a shifted map")
def shifted_maps(x, weight, rate=1):
    size, (height, width) = weight.shape[-1], x.shape[2:]
    pad = rate * (size // 2)
    padded = F.pad(x, (pad,) * 4)
    total = 0
    for i in range(size):
        for j in range(size):
            part = padded[:, :, i * rate : i * rate + height, j * rate : j * rate + width]
            total = total + torch.einsum("bchw,nc->bnhw", part, weight[:, :, i, j])
    return total


@right("atrous_conv2d", "views of the padded map with Tensor.unfold")
def strided_views(x, weight, rate=1):
    size = weight.shape[-1]
    reach = rate * (size - 1) + 1
    padded = F.pad(x, (reach // 2,) * 4)
    windows = padded.unfold(2, reach, 1).unfold(3, reach, 1)[..., ::rate, ::rate]  # (B, C, H, W, K, K)
    return (windows[:, None] * weight[:, :, None, None]).sum(dim=(2, 5, 6))


@right("atrous_conv2d", "unfold on a kernel with holes: slower, and the same")
def kernel_with_holes(x, weight, rate=1):
    side = rate * (weight.shape[-1] - 1) + 1
    holes = weight.new_zeros(*weight.shape[:2], side, side)
    holes[:, :, ::rate, ::rate] = weight
    return from_windows(x, holes, padding=side // 2)


@wrong("atrous_conv2d", "views the kernels, which may be stored differently")
def views_the_kernels(x, weight, rate=1):
    size = weight.shape[-1]
    windows = F.unfold(x, size, dilation=rate, padding=rate * (size // 2))
    return (weight.view(len(weight), -1) @ windows).unflatten(2, x.shape[2:])


@wrong("atrous_conv2d", "windows by as_strided, with strides guessed instead of asked for")
def strides_guessed(x, weight, rate=1):
    (batch, channels, height, width), size = x.shape, weight.shape[-1]
    pad = rate * (size // 2)
    padded = F.pad(x, (pad,) * 4)
    high, wide = padded.shape[2:]
    steps = (channels * high * wide, high * wide, wide, 1, rate * wide, rate)
    windows = padded.as_strided((batch, channels, height, width, size, size), steps)
    return torch.einsum("bchwij,ncij->bnhw", windows, weight)


@wrong("atrous_conv2d", "collects in float32: float64 is lost")
def collects_in_float32(x, weight, rate=1):
    half, size = rate * (weight.shape[-1] // 2), weight.shape[-1]
    padded = F.pad(x, (half,) * 4)
    out = torch.zeros(len(x), len(weight), *x.shape[2:])
    for i in range(size):
        for j in range(size):
            part = padded[:, :, i * rate :, j * rate :][:, :, : x.shape[2], : x.shape[3]]
            out = out + torch.einsum("bchw,nc->bnhw", part.float(), weight[:, :, i, j].float())
    return out


@wrong("atrous_conv2d", "gradients reach the map and not the weights, so that nothing is learned")
def weights_detached(x, weight, rate=1):
    half = weight.shape[-1] // 2
    return from_windows(x, weight.detach(), padding=rate * half, dilation=rate)


@wrong("atrous_conv2d", "weights through numpy")
def weights_by_data(x, weight, rate=1):
    return from_windows(x, weight.data, padding=rate * (weight.shape[-1] // 2), dilation=rate)


@wrong("atrous_conv2d", "the rate may not be larger than the map")
def rate_at_most_the_map(x, weight, rate=1):
    rate = min(rate, *x.shape[2:])
    return from_windows(x, weight, padding=rate * (weight.shape[-1] // 2), dilation=rate)


@wrong("atrous_conv2d", "windows kept by shape from an earlier call")
def windows_kept(x, weight, rate=1, kept={}):  # noqa: B006  (that is the mistake)
    key = x.shape, weight.shape, rate
    if key not in kept:
        kept[key] = F.unfold(x, weight.shape[-1], dilation=rate, padding=rate * (weight.shape[-1] // 2))
    return (weight.flatten(1) @ kept[key]).unflatten(2, x.shape[2:])


@wrong("atrous_conv2d", "turns the kernel around in place")
def turns_in_place(x, weight, rate=1):
    out = from_windows(x, weight, padding=rate * (weight.shape[-1] // 2), dilation=rate)
    with torch.no_grad():
        weight.copy_(weight.flip(2, 3))
    return out


@wrong("atrous_conv2d", "leaves out what cannot reach the map, and its gradient with it")
def skips_the_rest(x, weight, rate=1):
    height, width = x.shape[2:]
    if rate >= max(height, width):
        return torch.einsum(
            "bchw,nc->bnhw", x, weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2]
        ).detach()
    return from_windows(x, weight, padding=rate * (weight.shape[-1] // 2), dilation=rate)


@right("atrous_conv2d", "by the Fourier transform")
def by_fourier(x, weight, rate=1):
    height, width = x.shape[2:]
    half = weight.shape[-1] // 2 * rate
    side = rate * (weight.shape[-1] - 1) + 1
    holes = weight.new_zeros(*weight.shape[:2], side, side)
    holes[:, :, ::rate, ::rate] = weight
    size = (height + side - 1, width + side - 1)
    maps = torch.fft.rfft2(F.pad(x, (half,) * 4)[..., : size[0], : size[1]], size)
    product = torch.einsum("bcuv,ncuv->bnuv", maps, torch.fft.rfft2(holes, size).conj())
    return torch.fft.irfft2(product, size)[..., :height, :width]


@wrong("atrous_conv2d", "shifts the map in a circle: what leaves on one side comes back on the other")
def in_a_circle(x, weight, rate=1):
    size = weight.shape[-1]
    out = 0
    for row in range(size):
        for column in range(size):
            shift = (size // 2 - row) * rate, (size // 2 - column) * rate
            out = out + torch.einsum("bchw,nc->bnhw", x.roll(shift, (2, 3)), weight[:, :, row, column])
    return out


@right("atrous_conv2d", "image by image, F.linear over the windows")
def image_by_image(x, weight, rate=1):
    size = weight.shape[-1]
    padding = (size - 1) * rate // 2
    maps = []
    for image in x:
        windows = F.unfold(image[None], (size, size), (rate, rate), (padding, padding))[0]
        maps.append(F.linear(windows.T, weight.flatten(1)).T.unflatten(1, image.shape[1:]))
    return torch.stack(maps)


# Exercise 2: atrous_field, rates_for ------------------------------------------------------------------------


@wrong("atrous_field", "the visible examples by heart")
def visible_examples(field, stride, size, rate):
    return {(1, 1, 1): 3, (1, 1, 6): 13, (1, 16, 1): 33, (100, 1, 1): 102}[field, stride, rate]


@wrong("atrous_field", "counts inputs, not the gaps between them")
def inputs_for_gaps(field, stride, size, rate):
    return field + size * rate * stride


@wrong("atrous_field", "forgets the stride of the map")
def without_stride(field, stride, size, rate):
    return field + (size - 1) * rate


@wrong("atrous_field", "forgets what a position has seen already")
def without_field(field, stride, size, rate):
    return 1 + (size - 1) * rate * stride


@wrong("atrous_field", "the rate taken as the number of holes")
def holes_between(field, stride, size, rate):
    return field + (size - 1) * (rate + 1) * stride


@wrong("atrous_field", "one side only")
def one_side(field, stride, size, rate):
    return field + (size // 2) * rate * stride


@wrong("atrous_field", "both sides at the rate, right for kernels of 3 only")
def assumes_three(field, stride, size, rate):
    return field + 2 * rate * stride


@wrong("atrous_field", "the field grows with the stride instead of being given in pixels")
def field_times_stride(field, stride, size, rate):
    return (field + (size - 1) * rate) * stride


@wrong("atrous_field", "the kernel with its holes is added, one too many")
def adds_the_kernel(field, stride, size, rate):
    return field + ((size - 1) * rate + 1) * stride


@wrong("rates_for", "the wrong way around: a coarser map gets larger rates")
def the_wrong_way(output_stride):
    if output_stride < 1 or (output_stride % 16 and 16 % output_stride):
        raise ValueError("not possible")
    return tuple(rate * output_stride // 16 for rate in (6, 12, 18))


@wrong("rates_for", "always the paper's")
def always_the_paper_s(output_stride):
    if output_stride < 1 or 96 % output_stride:
        raise ValueError("not possible")
    return (6, 12, 18)


@wrong("rates_for", "rounds where there is no whole rate")
def rounds_down(output_stride):
    if output_stride < 1:
        raise ValueError("too small")
    return tuple(rate * 16 // output_stride for rate in (6, 12, 18))


@wrong("rates_for", "rates with a decimal point")
def float_rates(output_stride):
    if output_stride < 1 or 96 % output_stride:
        raise ValueError("not possible")
    return tuple(rate * 16 / output_stride for rate in (6, 12, 18))


@wrong("rates_for", "knows the two output strides of the paper and 32 only")
def a_table(output_stride):
    table = {32: (3, 6, 9), 16: (6, 12, 18), 8: (12, 24, 36)}
    if output_stride not in table:
        raise ValueError("not possible")
    return table[output_stride]


@wrong("rates_for", "an output stride of 0 ends in ZeroDivisionError")
def divides_by_zero(output_stride):
    rates = [rate * 16 / output_stride for rate in (6, 12, 18)]
    if any(rate != int(rate) or rate < 1 for rate in rates):
        raise ValueError("not possible")
    return tuple(map(int, rates))


@wrong("rates_for", "negative output strides give negative rates")
def negative_rates(output_stride):
    if output_stride == 0 or 96 % output_stride:
        raise ValueError("not possible")
    return tuple(rate * 16 // output_stride for rate in (6, 12, 18))


@right("atrous_field", "the kernel with its holes, in pixels, less what is counted twice")
def kernel_with_its_holes(field, stride, size, rate):
    side = size + (size - 1) * (rate - 1)
    return (side - 1) * stride + field


@right("atrous_field", "step by step")
def step_by_step(field, stride, size, rate):
    for _ in range(size - 1):
        field += rate * stride
    return field


@right("atrous_field", "from the first pixel to the last")
def first_to_last(field, stride, size, rate):
    first = -(size // 2) * rate * stride
    last = (size // 2) * rate * stride + field - 1
    return last - first + 1


@right("rates_for", "divmod, and multiples of the first")
def multiples_of_the_first(output_stride):
    if output_stride < 1:
        raise ValueError(f"output stride {output_stride}")
    first, rest = divmod(96, output_stride)
    if rest:
        raise ValueError(f"6 at stride 16 has no counterpart at {output_stride}")
    return first, 2 * first, 3 * first


@right("rates_for", "a list, with the reason in the error")
def a_list_of_rates(output_stride):
    rates = []
    for rate in (6, 12, 18):
        if output_stride <= 0 or (rate * 16) % output_stride != 0:
            raise ValueError("no whole rate")
        rates.append(rate * 16 // output_stride)
    return rates


@wrong("atrous_field", "a decimal number, where a whole one is promised")
def decimal_field(field, stride, size, rate):
    return field + 2 * (size / 2 - 0.5) * rate * stride


@wrong("atrous_field", "counts the pixels that are looked at, not the extent: gaps are left out")
def without_gaps(field, stride, size, rate):
    return field + (size - 1) * min(field, rate * stride)


@wrong("atrous_field", "the field is at least the stride")
def at_least_the_stride(field, stride, size, rate):
    return max(field, stride if rate > 7 else 0) + (size - 1) * rate * stride


@wrong("atrous_field", "at most 513 pixels, as the paper's crops have")
def at_most_a_crop(field, stride, size, rate):
    return min(field + (size - 1) * rate * stride, max(513, field))


@wrong("rates_for", "checks the first rate only: an output stride of 64 ends at 1")
def first_rate_only(output_stride):
    if output_stride < 1 or output_stride > 6 * 16:
        raise ValueError("not possible")
    return tuple(round(rate * 16 / output_stride) for rate in (6, 12, 18))


@wrong("rates_for", "powers of two only")
def powers_of_two(output_stride):
    if output_stride not in (1, 2, 4, 8, 16, 32):
        raise ValueError("not possible")
    return tuple(rate * 16 // output_stride for rate in (6, 12, 18))


@wrong("rates_for", "at least 1, where no rate reaches so near")
def at_least_one(output_stride):
    if output_stride < 1 or (96 % output_stride and output_stride < 96):
        raise ValueError("not possible")
    return tuple(max(1, rate * 16 // output_stride) for rate in (6, 12, 18))


@wrong("rates_for", "an assert in place of the error")
def rates_assert(output_stride):
    assert output_stride > 0, "too small"
    assert 96 % output_stride == 0, "no whole rate"
    return tuple(rate * 16 // output_stride for rate in (6, 12, 18))


@wrong("rates_for", "the last rate decides: 144 and 288 divide it")
def last_rate_decides(output_stride):
    if output_stride < 1 or 18 * 16 % output_stride:
        raise ValueError("not possible")
    return tuple(rate * 16 // output_stride for rate in (6, 12, 18))


@right("atrous_field", "numpy's integers")
def field_in_numpy(field, stride, size, rate):
    steps = np.arange(size) * rate * stride
    return steps[-1] - steps[0] + field


class NoSuchRates(ValueError):
    """A kind of ValueError of one's own."""


@right("rates_for", "numpy's integers, an error class of its own")
def rates_in_numpy(output_stride):
    if output_stride < 1:
        raise NoSuchRates(output_stride)
    rates, rest = np.divmod(np.array([6, 12, 18]) * 16, output_stride)
    if rest.any():
        raise NoSuchRates(output_stride)
    return tuple(rates)


@wrong("atrous_field", "rate and stride added: the same where one of them is 1")
def rate_and_stride_added(field, stride, size, rate):
    return field + (size - 1) * (stride + rate - 1)


@wrong("atrous_field", "the larger of rate and stride: the same where one of them is 1")
def the_larger_of_the_two(field, stride, size, rate):
    return field + (size - 1) * max(stride, rate)


@right("rates_for", "fractions")
def by_fractions(output_stride):
    if output_stride <= 0:
        raise ValueError("an output stride is 1 or more")
    rates = [Fraction(16 * rate, output_stride) for rate in (6, 12, 18)]
    if any(rate.denominator > 1 for rate in rates):
        raise ValueError(f"{rates} are not whole")
    return tuple(map(int, rates))


# Exercise 3: aspp -------------------------------------------------------------------------------------------


def branches_of(layers, x):
    """The 1x1 and the atrous branches; the part that most answers get right."""
    return [layers.one(x), *(layer(x) for layer in layers.atrous)]


def pooled(layers, x):
    return layers.pooling(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])


@wrong("aspp", "no image pooling: zeros in its place")
def missing_pooling(layers, x):
    maps = branches_of(layers, x)
    return layers.project(torch.cat([*maps, torch.zeros_like(maps[0])], dim=1))


@wrong("aspp", "no image pooling: the 1x1 branch twice")
def one_twice(layers, x):
    maps = branches_of(layers, x)
    return layers.project(torch.cat([*maps, maps[0]], dim=1))


@wrong("aspp", "the pooled vector is not spread: it stands in one corner")
def pooling_in_a_corner(layers, x):
    mean = layers.pooling(x.mean(dim=(2, 3), keepdim=True))
    spread = F.pad(mean, (0, x.shape[3] - 1, 0, x.shape[2] - 1))
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "the pooled vector is not spread, and torch.cat fails")
def pooling_not_spread(layers, x):
    mean = layers.pooling(x.mean(dim=(2, 3), keepdim=True))
    return layers.project(torch.cat([*branches_of(layers, x), mean], dim=1))


@wrong("aspp", "the convolution first and the mean then: the layer ran at every position")
def mean_last(layers, x):
    spread = layers.pooling(x).mean(dim=(2, 3), keepdim=True).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "the layer for the mean without a mean")
def no_mean(layers, x):
    return layers.project(torch.cat([*branches_of(layers, x), layers.pooling(x)], dim=1))


@wrong("aspp", "the maximum in place of the mean")
def max_for_mean(layers, x):
    spread = layers.pooling(x.amax(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "the mean over the batch, too")
def mean_over_the_batch(layers, x):
    mean = x.mean(dim=(0, 2, 3), keepdim=True).expand(len(x), -1, -1, -1)
    spread = layers.pooling(mean).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "the mean of each row")
def mean_of_rows(layers, x):
    spread = layers.pooling(x.mean(dim=3, keepdim=True)).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "image pooling first")
def pooling_first(layers, x):
    return layers.project(torch.cat([pooled(layers, x), *branches_of(layers, x)], dim=1))


@wrong("aspp", "the atrous layers in the wrong order")
def rates_reversed(layers, x):
    maps = [layers.one(x), *(layer(x) for layer in reversed(layers.atrous))]
    return layers.project(torch.cat([*maps, pooled(layers, x)], dim=1))


@wrong("aspp", "one after the other: each atrous layer gets what the one before made")
def one_after_the_other(layers, x):
    maps = [layers.one(x)]
    for layer in layers.atrous:
        fits = layer[0].in_channels == maps[-1].shape[1]
        maps.append(layer(maps[-1] if fits else x))
    return layers.project(torch.cat([*maps, pooled(layers, x)], dim=1))


@wrong("aspp", "assumes three rates")
def three_rates(layers, x):
    a, b, c = layers.atrous
    return layers.project(torch.cat([layers.one(x), a(x), b(x), c(x), pooled(layers, x)], dim=1))


@wrong("aspp", "no projection")
def no_projection(layers, x):
    return torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1)


@wrong("aspp", "the projection's convolution without its batch norm and ReLU")
def bare_projection(layers, x):
    maps = torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1)
    return layers.project[0](maps) if isinstance(layers.project, nn.Sequential) else maps


@wrong("aspp", "channels interleaved: the branches are stacked and flattened the wrong way")
def interleaved(layers, x):
    maps = torch.stack([*branches_of(layers, x), pooled(layers, x)], dim=2)  # (B, width, branches, H, W)
    return layers.project(maps.flatten(1, 2))


@wrong("aspp", "without gradients")
def aspp_without_gradients(layers, x):
    with torch.no_grad():
        return layers.project(torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1))


@wrong("aspp", "switches to evaluation mode to be rid of batch norm's complaints")
def aspp_in_eval_mode(layers, x):
    layers.eval()
    return layers.project(torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1))


@wrong("aspp", "runs the 1x1 branch twice to find out its size: batch norm learns twice")
def runs_a_layer_twice(layers, x):
    size = layers.one(x).shape[2:]
    mean = layers.pooling(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *size)
    return layers.project(torch.cat([*branches_of(layers, x), mean], dim=1))


@right("aspp", "adaptive pooling and interpolation from a single position")
def adaptive_pooling(layers, x):
    maps = branches_of(layers, x)
    mean = layers.pooling(F.adaptive_avg_pool2d(x, 1))
    maps.append(F.interpolate(mean, size=x.shape[2:], mode="bilinear", align_corners=False))
    return layers.project(torch.cat(maps, dim=1))


@right("aspp", "a loop; the vector repeated")
def repeated_vector(layers, x):
    height, width = x.shape[-2:]
    out = layers.one(x)
    for layer in layers.atrous:
        out = torch.cat((out, layer(x)), 1)
    mean = x.flatten(2).mean(2)[:, :, None, None]
    out = torch.cat((out, layers.pooling(mean).repeat(1, 1, height, width)), 1)
    return layers.project(out)


@right("aspp", "added to zeros, which broadcasts")
def added_to_zeros(layers, x):
    first = layers.one(x)
    mean = layers.pooling(x.mean((-1, -2), keepdim=True)) + torch.zeros_like(first)
    return layers.project(torch.cat([first] + [layer(x) for layer in layers.atrous] + [mean], dim=-3))


@wrong("aspp", "views the map flat for its mean, which another layout refuses")
def views_for_the_mean(layers, x):
    mean = x.view(*x.shape[:2], -1).mean(dim=2)[:, :, None, None]
    spread = layers.pooling(mean).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "float32 whatever the layers make")
def aspp_in_float32(layers, x):
    return layers.project(torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1)).float()


@wrong("aspp", "asks a convolution for its width, which other layers lack")
def width_of_a_convolution(layers, x):
    width = layers.one[0].out_channels
    maps = [*branches_of(layers, x), pooled(layers, x)]
    return layers.project(torch.cat([one[:, :width] for one in maps], dim=1))


@wrong("aspp", "subtracts the mean from the map in place and adds it again, rounded")
def in_place_and_back(layers, x):
    with torch.no_grad():
        mean = x.mean(dim=(2, 3), keepdim=True)
        x -= mean
        x += mean
    return layers.project(torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1))


@wrong("aspp", "in-place ReLU on what a layer hands on, which may be the map itself")
def relu_in_place(layers, x):
    maps = branches_of(layers, x.clone() if x.requires_grad else x)
    return layers.project(torch.cat([*(one.relu_() for one in maps), pooled(layers, x)], dim=1))


@wrong("aspp", "the mean is detached: image pooling learns nothing of the backbone")
def mean_through_numpy(layers, x):
    mean = torch.from_numpy(x.detach().numpy().mean((2, 3), keepdims=True)).requires_grad_()
    with torch.no_grad():
        spread = layers.pooling(mean).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "puts everything into training mode at the end")
def training_at_the_end(layers, x):
    out = layers.project(torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1))
    layers.train()
    return out


@wrong("aspp", "evaluation mode meanwhile, then one mode for all")
def one_mode_for_all(layers, x):
    mode = layers.training
    layers.eval()
    out = layers.project(torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1))
    layers.train(mode)
    return out


@wrong("aspp", "a map of one position has no mean to take")
def one_position_left_out(layers, x):
    mean = x.mean(dim=(2, 3), keepdim=True) if x.shape[2:].numel() > 1 else torch.zeros_like(x)
    spread = layers.pooling(mean).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), spread], dim=1))


@wrong("aspp", "the pooled vector kept by shape from an earlier call")
def pooled_kept(layers, x, kept={}):  # noqa: B006  (that is the mistake)
    key = x.shape, x.dtype, layers.training
    if key not in kept:
        kept[key] = pooled(layers, x)
    return layers.project(torch.cat([*branches_of(layers, x), kept[key]], dim=1))


@wrong("aspp", "remembers the branches on the layers")
def remembers_on_the_layers(layers, x):
    layers.last = torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1)
    return layers.project(layers.last)


@right("aspp", "an einsum for the mean, a list by hand")
def mean_by_einsum(layers, x):
    branches = [layers.one(x)]
    for number in range(len(layers.atrous)):
        branches += [layers.atrous[number](x)]
    mean = torch.einsum("bchw->bc", x) / (x.shape[2] * x.shape[3])
    vector = layers.pooling(mean.unsqueeze(-1).unsqueeze(-1))
    branches += [vector.expand(*vector.shape[:2], *x.shape[2:])]
    return layers.project(torch.concat(branches, 1))


@right("aspp", "the pooled vector as wide as the first branch")
def as_wide_as_the_first(layers, x):
    branches = branches_of(layers, x)
    vector = layers.pooling(x.mean(dim=(2, 3), keepdim=True))
    return layers.project(torch.cat([*branches, vector.expand_as(branches[0])], dim=1))


@wrong("aspp", "the mean of a detached map: the layer learns, the backbone hears nothing of it")
def mean_of_a_detached_map(layers, x):
    vector = layers.pooling(x.detach().mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
    return layers.project(torch.cat([*branches_of(layers, x), vector], dim=1))


@wrong("aspp", "layers by their order, not by their names")
def layers_by_order(layers, x):
    one, atrous, pooling, project = layers.children()
    vector = pooling(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
    return project(torch.cat([one(x), *(layer(x) for layer in atrous), vector], dim=1))


@wrong("aspp", "the vector is spread first: its layer sees each mean many times")
def spread_first(layers, x):
    spread = x.mean(dim=(2, 3), keepdim=True).expand_as(x)
    return layers.project(torch.cat([*branches_of(layers, x), layers.pooling(spread)], dim=1))


@wrong("aspp", "dropout behind the projection, as the package has it")
def dropout_behind(layers, x):
    out = layers.project(torch.cat([*branches_of(layers, x), pooled(layers, x)], dim=1))
    return F.dropout(out, 0.1, layers.training)


@right("aspp", "average pooling by a window as large as the map, tiles")
def window_as_large_as_the_map(layers, x):
    vector = layers.pooling(F.avg_pool2d(x, x.shape[2:]))
    branches = [*branches_of(layers, x), torch.tile(vector, (1, 1, *x.shape[2:]))]
    return layers.project(torch.cat(branches, dim=-3))


# Exercise 4: decode -----------------------------------------------------------------------------------------


def enlarge(maps, size, **options):
    return F.interpolate(maps, size=tuple(size), **({"mode": "bilinear", "align_corners": False} | options))


@wrong("decode", "low-level features first")
def low_level_first(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    return layers.refine(torch.cat([low_level, enlarge(deep, low_level.shape[2:])], dim=1))


@wrong("decode", "no reduction, where the channels happen to fit")
def no_reduction(layers, deep, low_level):
    reduced = layers.reduce[0].out_channels
    low_level = low_level if low_level.shape[1] == reduced else layers.reduce(low_level)
    return layers.refine(torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1))


@wrong("decode", "the first channels in place of a reduction")
def first_channels(layers, deep, low_level):
    low_level = low_level[:, : layers.reduce[0].out_channels]
    return layers.refine(torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1))


@wrong("decode", "the reduction's convolution without its batch norm and ReLU")
def bare_reduction(layers, deep, low_level):
    low_level = layers.reduce[0](low_level)
    return layers.refine(torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1))


@wrong("decode", "corners aligned")
def corners_aligned(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    deep = enlarge(deep, low_level.shape[2:], align_corners=True)
    return layers.refine(torch.cat([deep, low_level], dim=1))


@wrong("decode", "corners aligned, but only at odd sizes")
def corners_aligned_at_odd_sizes(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    deep = enlarge(deep, low_level.shape[2:], align_corners=low_level.shape[2] % 2 == 1)
    return layers.refine(torch.cat([deep, low_level], dim=1))


@wrong("decode", "nearest neighbor")
def nearest_neighbor(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    deep = F.interpolate(deep, size=low_level.shape[2:])
    return layers.refine(torch.cat([deep, low_level], dim=1))


@wrong("decode", "by the factor 4: odd sizes do not fit")
def factor_four(layers, deep, low_level):
    deep = F.interpolate(deep, scale_factor=4, mode="bilinear", align_corners=False)
    return layers.refine(torch.cat([deep, layers.reduce(low_level)], dim=1))


@wrong("decode", "by the factor 4, cut or filled to the size")
def factor_four_cut(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    height, width = low_level.shape[2:]
    deep = F.interpolate(deep, scale_factor=4, mode="bilinear", align_corners=False)[..., :height, :width]
    deep = F.pad(deep, (0, width - deep.shape[3], 0, height - deep.shape[2]), mode="replicate")
    return layers.refine(torch.cat([deep, low_level], dim=1))


@wrong("decode", "low-level features shrunk to the deep ones' size, and the result enlarged")
def refined_while_coarse(layers, deep, low_level):
    small = enlarge(layers.reduce(low_level), deep.shape[2:])
    return enlarge(layers.refine(torch.cat([deep, small], dim=1)), low_level.shape[2:])


@wrong("decode", "low-level features shrunk, and nothing enlarged")
def coarse_result(layers, deep, low_level):
    small = F.adaptive_avg_pool2d(layers.reduce(low_level), deep.shape[2:])
    return layers.refine(torch.cat([deep, small], dim=1))


@wrong("decode", "low-level features at the wrong stride: they are shrunk before they are reduced")
def shrunk_low_level(layers, deep, low_level):
    size = low_level.shape[2:]
    low_level = enlarge(F.max_pool2d(low_level, 2, ceil_mode=True), size)
    low_level = layers.reduce(low_level)
    return layers.refine(torch.cat([enlarge(deep, size), low_level], dim=1))


@wrong("decode", "one of the two 3x3 convolutions")
def half_of_refine(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    together = torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1)
    return layers.refine[0](together) if isinstance(layers.refine, nn.Sequential) else together


@wrong("decode", "not refined")
def not_refined(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    return torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1)


@wrong("decode", "gradients reach the low-level features only")
def deep_detached(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    together = torch.cat([enlarge(deep.detach(), low_level.shape[2:]), low_level], dim=1)
    return layers.refine(together)


@wrong("decode", "height and width exchanged")
def width_and_height(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    deep = enlarge(deep, low_level.shape[:1:-1])
    return layers.refine(torch.cat([deep, low_level], dim=1))


@right("decode", "nn.Upsample")
def upsample_module(layers, deep, low_level):
    up = nn.Upsample(size=low_level.shape[-2:], mode="bilinear", align_corners=False)
    return layers.refine(torch.cat((up(deep), layers.reduce(low_level)), dim=1))


@right("decode", "align_corners left out, which is the same; channels written in place")
def written_in_place(layers, deep, low_level):
    detail = layers.reduce(low_level)
    batch, channels, height, width = detail.shape
    out = detail.new_empty(batch, deep.shape[1] + channels, height, width)
    out[:, : deep.shape[1]] = F.interpolate(deep, (height, width), mode="bilinear")
    out[:, deep.shape[1] :] = detail
    return layers.refine(out)


@right("decode", "layer by layer")
def layer_by_layer(layers, deep, low_level):
    detail = low_level
    for layer in layers.reduce if isinstance(layers.reduce, nn.Sequential) else [layers.reduce]:
        detail = layer(detail)
    x = torch.concat([enlarge(deep, detail.shape[2:]), detail], dim=-3)
    for layer in layers.refine if isinstance(layers.refine, nn.Sequential) else [layers.refine]:
        x = layer(x)
    return x


@wrong("decode", "reduces twice, and forgets the first result")
def reduces_twice(layers, deep, low_level):
    size = layers.reduce(low_level).shape[2:]
    return layers.refine(torch.cat([enlarge(deep, size), layers.reduce(low_level)], dim=1))


@wrong("decode", "leaves the layers in evaluation mode")
def decode_in_eval_mode(layers, deep, low_level):
    layers.eval()
    low_level = layers.reduce(low_level)
    return layers.refine(torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1))


@wrong("decode", "leaves all layers in training mode")
def decode_in_training_mode(layers, deep, low_level):
    low_level = layers.reduce(low_level)
    out = layers.refine(torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1))
    layers.refine.train(layers.training)
    return out


@wrong("decode", "asks a convolution for the number of channels, which other layers lack")
def channels_of_a_convolution(layers, deep, low_level):
    reduced = layers.reduce[0].out_channels
    low_level = layers.reduce(low_level)[:, :reduced]
    return layers.refine(torch.cat([enlarge(deep, low_level.shape[2:]), low_level], dim=1))


@wrong("decode", "in-place ReLU on what `reduce` hands on, which may be the map itself")
def clamps_in_place(layers, deep, low_level):
    detail = layers.reduce(low_level)
    detail.relu_()
    return layers.refine(torch.cat([enlarge(deep, detail.shape[2:]), detail], dim=1))


@wrong("decode", "gradients reach the deep features only")
def low_level_cut_off(layers, deep, low_level):
    detail = layers.reduce(low_level.data)
    return layers.refine(torch.cat([enlarge(deep, detail.shape[2:]), detail], dim=1))


@wrong("decode", "reduces without gradients: the layer is never trained")
def reduces_without_gradients(layers, deep, low_level):
    with torch.no_grad():
        detail = layers.reduce(low_level)
    detail = detail + 0 * low_level.mean()
    return layers.refine(torch.cat([enlarge(deep, detail.shape[2:]), detail], dim=1))


@wrong("decode", "an empty float32 tensor to write into")
def written_into_float32(layers, deep, low_level):
    detail = layers.reduce(low_level)
    together = torch.cat([enlarge(deep, detail.shape[2:]), detail], dim=1).float()
    return layers.refine(together)


@wrong("decode", "antialiased")
def antialiased(layers, deep, low_level):
    detail = layers.reduce(low_level)
    deep = enlarge(deep, detail.shape[2:], mode="bicubic")
    return layers.refine(torch.cat([deep, detail], dim=1))


@wrong("decode", "by a whole factor, rounded, and the rest by nearest neighbors")
def factor_and_rest(layers, deep, low_level):
    detail = layers.reduce(low_level)
    factor = max(1, round(detail.shape[2] / deep.shape[2]))
    deep = F.interpolate(deep, scale_factor=factor, mode="bilinear")
    return layers.refine(torch.cat([F.interpolate(deep, size=detail.shape[2:]), detail], dim=1))


@wrong("decode", "enlarged features kept by shape from an earlier call")
def enlarged_kept(layers, deep, low_level, kept={}):  # noqa: B006  (that is the mistake)
    detail = layers.reduce(low_level)
    key = deep.shape, detail.shape, deep.dtype, deep.requires_grad, layers.training
    if key not in kept:
        kept[key] = enlarge(deep, detail.shape[2:])
    return layers.refine(torch.cat([kept[key], detail], dim=1))


@right("decode", "bilinear by hand: rows and columns as products of matrices")
def by_matrices(layers, deep, low_level):
    def weights(old, new):
        places = ((torch.arange(new, dtype=deep.dtype) + 0.5) * old / new - 0.5).clamp(0, old - 1)
        return (1 - (places[:, None] - torch.arange(old, dtype=deep.dtype)).abs()).clamp(min=0)

    detail = layers.reduce(low_level)
    rows, columns = (weights(*pair) for pair in zip(deep.shape[2:], detail.shape[2:], strict=True))
    return layers.refine(torch.cat([rows @ deep @ columns.T, detail], dim=1))


@wrong("decode", "layers by their order, not by their names")
def decoder_layers_by_order(layers, deep, low_level):
    reduce, refine = layers.children()
    return refine(torch.cat([enlarge(deep, low_level.shape[2:]), reduce(low_level)], dim=1))


@wrong("decode", "48 low-level channels at most, as the paper has them")
def at_most_48_channels(layers, deep, low_level):
    detail = layers.reduce(low_level)[:, :48]
    return layers.refine(torch.cat([enlarge(deep, detail.shape[2:]), detail], dim=1))


@right("decode", "torchvision's resize")
def by_resize(layers, deep, low_level):
    large = resize(deep, list(low_level.shape[2:]), antialias=False)
    return layers.refine(torch.cat([large, layers.reduce(low_level)], dim=1))


# Exercise 5: head_inputs, segment ---------------------------------------------------------------------------


@wrong("head_inputs", "the map at stride 16, even where there is a deeper or none")
def always_sixteen(channels):
    return channels[16], channels[4]


@wrong("head_inputs", "the last entry, as if they stood in order")
def last_entry(channels):
    return list(channels.values())[-1], channels[4]


@wrong("head_inputs", "the largest number of channels")
def most_channels(channels):
    return max(channels.values()), channels[4]


@wrong("head_inputs", "the second entry, as if the first were at stride 2")
def second_entry(channels):
    return channels[max(channels)], list(channels.values())[1]


@wrong("head_inputs", "the finest map")
def finest_map(channels):
    return channels[max(channels)], channels[min(channels)]


@wrong("head_inputs", "the second finest map")
def second_finest(channels):
    return channels[max(channels)], channels[sorted(channels)[:2][-1]]


@wrong("head_inputs", "exchanged")
def exchanged(channels):
    return channels[4], channels[max(channels)]


@wrong("head_inputs", "the strides themselves")
def strides_themselves(channels):
    return max(channels), 4


@wrong("head_inputs", "a quarter of the deepest stride")
def quarter_of_the_deepest(channels):
    return channels[max(channels)], channels[max(channels) // 4]


@right("head_inputs", "sorted strides, a tuple of both")
def sorted_strides(channels):
    deepest = sorted(channels)[-1]
    return tuple(channels[stride] for stride in (deepest, 4))


@right("head_inputs", "a loop")
def loop_over_strides(channels):
    deepest = 0
    for stride, count in channels.items():
        if stride > deepest:
            deepest, deep = stride, count
    return deep, channels[4]


def run(backbone, head, images, low_level=4, deepest=max):
    """Logits at stride 4 with exchangeable choices of the maps."""
    features = backbone(images)
    return head.classifier(head.decoder(head.aspp(features[deepest(features)]), features[low_level]))


@wrong("segment", "low-level features at stride 2, where there is one")
def low_level_at_two(backbone, head, images):
    features = backbone(images)
    fits = 2 in features and features[2].shape[1] == features[4].shape[1]
    low_level = features[2] if fits else features[4]
    return enlarge(
        head.classifier(head.decoder(head.aspp(features[max(features)]), low_level)), images.shape[2:]
    )


@wrong("segment", "low-level features at stride 8")
def low_level_at_eight(backbone, head, images):
    return enlarge(run(backbone, head, images, low_level=8), images.shape[2:])


@wrong("segment", "the second map of the list as low-level features")
def second_of_the_list(backbone, head, images):
    maps = list(backbone(images).values())
    return enlarge(head.classifier(head.decoder(head.aspp(maps[-1]), maps[1])), images.shape[2:])


@wrong("segment", "the last map of the list as the deepest")
def last_of_the_list(backbone, head, images):
    features = backbone(images)
    deep = list(features.values())[-1]
    return enlarge(head.classifier(head.decoder(head.aspp(deep), features[4])), images.shape[2:])


@wrong("segment", "stride 16, even where the output stride is 8")
def stride_sixteen(backbone, head, images):
    return enlarge(run(backbone, head, images, deepest=lambda features: 16), images.shape[2:])


@wrong("segment", "probabilities: the loss would apply softmax a second time")
def softmax_twice(backbone, head, images):
    return enlarge(run(backbone, head, images), images.shape[2:]).softmax(dim=1)


@wrong("segment", "softmax before enlarging")
def softmax_before_enlarging(backbone, head, images):
    return enlarge(run(backbone, head, images).softmax(dim=1), images.shape[2:])


@wrong("segment", "classes in place of logits")
def classes_for_logits(backbone, head, images):
    return enlarge(run(backbone, head, images), images.shape[2:]).argmax(dim=1)


@wrong("segment", "enlarged before the classifier: sixteen times its work")
def enlarged_before_the_classifier(backbone, head, images):
    features = backbone(images)
    sharpened = head.decoder(head.aspp(features[max(features)]), features[4])
    return head.classifier(enlarge(sharpened, images.shape[2:]))


@wrong("segment", "the deep map is enlarged before ASPP, whose rates then reach less far")
def enlarged_before_aspp(backbone, head, images):
    features = backbone(images)
    deep = enlarge(features[max(features)], features[4].shape[2:])
    return enlarge(head.classifier(head.decoder(head.aspp(deep), features[4])), images.shape[2:])


@wrong("segment", "corners aligned")
def logits_corners_aligned(backbone, head, images):
    return enlarge(run(backbone, head, images), images.shape[2:], align_corners=True)


@wrong("segment", "by the factor 4: odd sizes do not fit")
def logits_factor_four(backbone, head, images):
    return F.interpolate(run(backbone, head, images), scale_factor=4, mode="bilinear", align_corners=False)


@wrong("segment", "by the factor 4 and cut")
def logits_factor_four_cut(backbone, head, images):
    return logits_factor_four(backbone, head, images)[..., : images.shape[2], : images.shape[3]]


@wrong("segment", "nearest neighbor")
def logits_nearest(backbone, head, images):
    return F.interpolate(run(backbone, head, images), size=images.shape[2:])


@wrong("segment", "not enlarged")
def not_enlarged(backbone, head, images):
    return run(backbone, head, images)


@wrong("segment", "ASPP left out, where the channels happen to fit")
def without_decoder(backbone, head, images):
    features = backbone(images)
    deep = head.aspp(features[max(features)])
    return enlarge(head.classifier(deep), images.shape[2:])


@wrong("segment", "runs the backbone once for each map")
def backbone_twice(backbone, head, images):
    deepest = max(backbone(images))
    deep, low_level = head.aspp(backbone(images)[deepest]), backbone(images)[4]
    return enlarge(head.classifier(head.decoder(deep, low_level)), images.shape[2:])


@wrong("segment", "without gradients")
def segment_without_gradients(backbone, head, images):
    with torch.no_grad():
        return enlarge(run(backbone, head, images), images.shape[2:])


@wrong("segment", "the backbone without gradients: frozen although nobody asked")
def backbone_without_gradients(backbone, head, images):
    with torch.no_grad():
        features = backbone(images)
    logits = head.classifier(head.decoder(head.aspp(features[max(features)]), features[4]))
    return enlarge(logits, images.shape[2:])


@wrong("segment", "low-level features detached: stride 4 of the backbone learns from ASPP's way only")
def low_level_detached(backbone, head, images):
    features = backbone(images)
    logits = head.classifier(head.decoder(head.aspp(features[max(features)]), features[4].detach()))
    return enlarge(logits, images.shape[2:])


@wrong("segment", "leaves the head in evaluation mode")
def head_in_eval_mode(backbone, head, images):
    head.eval()
    return enlarge(run(backbone, head, images), images.shape[2:])


@right("segment", "in one breath")
def in_one_breath(backbone, head, images):
    return enlarge(run(backbone, head, images), images.shape[2:])


@right("segment", "nn.Upsample and named steps")
def named_steps(backbone, head, images):
    height, width = images.shape[-2:]
    features = backbone(images)
    deepest = sorted(features.keys())[-1]
    context = head.aspp(features[deepest])
    detailed = head.decoder(context, features[4])
    scores = head.classifier(detailed)
    return nn.Upsample(size=(height, width), mode="bilinear", align_corners=False)(scores)


@right("segment", "align_corners left out, which is the same")
def default_corners(backbone, head, images):
    features = dict(backbone(images))
    x = head.aspp(features[max(features.keys())])
    x = head.classifier(head.decoder(x, features[4]))
    return F.interpolate(x, images.size()[2:], mode="bilinear")


@wrong("head_inputs", "16 where there is 16, although 32 is deeper")
def sixteen_if_there(channels):
    return channels[16 if 16 in channels else max(channels)], channels[4]


@wrong("head_inputs", "a fixed order: 32, 16, 8")
def fixed_order(channels):
    return channels[next(stride for stride in (32, 16, 8, 4) if stride in channels)], channels[4]


@wrong("head_inputs", "at most 32")
def at_most_thirty_two(channels):
    return channels[max(stride for stride in channels if stride <= 32)], channels[4]


@wrong("head_inputs", "takes the deepest out of the backbone's dictionary")
def takes_it_out(channels):
    low_level = channels[4]
    return channels.pop(max(channels)), low_level


@wrong("head_inputs", "a dictionary")
def a_dictionary(channels):
    return {"deep": channels[max(channels)], "low_level": channels[4]}


@wrong("head_inputs", "strides compared as text: 8 is larger than 16")
def compared_as_text(channels):
    return channels[max(channels, key=str)], channels[4]


@right("head_inputs", "a list of numpy's integers")
def list_of_numpy(channels):
    strides = np.array(sorted(channels))
    return [np.int64(channels[int(strides[-1])]), np.int64(channels[4])]


@wrong("segment", "16 where there is 16, although 32 is deeper")
def sixteen_where_there(backbone, head, images):
    choose = lambda features: 16 if 16 in features else max(features)  # noqa: E731
    return enlarge(run(backbone, head, images, deepest=choose), images.shape[2:])


@wrong("segment", "the smallest map is taken for the deepest, and two may be as small")
def smallest_map(backbone, head, images):
    choose = lambda features: min(features, key=lambda stride: features[stride].shape[-2:].numel())  # noqa: E731
    return enlarge(run(backbone, head, images, deepest=choose), images.shape[2:])


@wrong("segment", "the map of most channels is taken for the deepest")
def widest_map(backbone, head, images):
    choose = lambda features: max(features, key=lambda stride: features[stride].shape[1])  # noqa: E731
    return enlarge(run(backbone, head, images, deepest=choose), images.shape[2:])


@wrong("segment", "takes the maps out of what the backbone gave")
def pops_the_maps(backbone, head, images):
    features = backbone(images)
    low_level = features[4]
    deep = head.aspp(features.pop(max(features)))
    return enlarge(head.classifier(head.decoder(deep, low_level)), images.shape[2:])


@wrong("segment", "features kept by the images' shape")
def features_kept(backbone, head, images, kept={}):  # noqa: B006  (that is the mistake)
    key = id(backbone), images.shape, images.dtype, images.requires_grad, torch.is_grad_enabled()
    if key not in kept:
        kept[key] = backbone, backbone(images)
    else:
        backbone(images)
    return enlarge(run(lambda _: kept[key][1], head, images), images.shape[2:])


@wrong("segment", "the backbone's norms in evaluation mode, whatever they were in")
def backbone_to_eval(backbone, head, images):
    features = backbone.eval()(images) if isinstance(backbone, nn.Module) else backbone(images)
    return enlarge(run(lambda _: features, head, images), images.shape[2:])


@wrong("segment", "everything in training mode, to be sure")
def all_to_train(backbone, head, images):
    out = enlarge(run(backbone, head, images), images.shape[2:])
    head.train()
    return out


@wrong("segment", "float32 whatever the parts make")
def logits_in_float32(backbone, head, images):
    return enlarge(run(backbone, head, images), images.shape[2:]).float()


@wrong("segment", "images detached: no gradient for those who look at pixels")
def images_detached(backbone, head, images):
    return enlarge(run(backbone, head, images.detach()), images.shape[2:])


@wrong("segment", "the classifier without gradients")
def classifier_without_gradients(backbone, head, images):
    features = backbone(images)
    sharpened = head.decoder(head.aspp(features[max(features)]), features[4])
    weight, bias = head.classifier.weight.detach(), head.classifier.bias.detach()
    head.classifier(sharpened)
    return enlarge(F.conv2d(sharpened, weight, bias), images.shape[2:])


@wrong("segment", "views the images, which may be stored differently")
def views_the_images(backbone, head, images):
    batch = images.view(-1).unflatten(0, images.shape)
    return enlarge(run(backbone, head, batch), images.shape[2:])


@wrong("segment", "a batch of one loses its dimension")
def squeezed(backbone, head, images):
    return enlarge(run(backbone, head, images), images.shape[2:]).squeeze()


@wrong("segment", "a ReLU behind ASPP, whose layers have one already, and other heads may not")
def relu_behind_aspp(backbone, head, images):
    features = backbone(images)
    deep = head.aspp(features[max(features)]).relu()
    return enlarge(head.classifier(head.decoder(deep, features[4])), images.shape[2:])


@wrong("segment", "the deepest of those behind stride 4, of which there may be none")
def deeper_than_four(backbone, head, images):
    features = backbone(images)
    deep = head.aspp(features[max(stride for stride in features if stride > 4)])
    return enlarge(head.classifier(head.decoder(deep, features[4])), images.shape[2:])


@right("segment", "torchvision's resize")
def logits_by_resize(backbone, head, images):
    return resize(run(backbone, head, images), list(images.shape[2:]), antialias=False)


# Exercise 6: swap_backbone ----------------------------------------------------------------------------------


def changed_shapes(model, new):
    """What the second answer should be; the part that most get right."""
    old, fresh = model.head.state_dict(), new.head.state_dict()
    shapes = {name: (tuple(old[name].shape), tuple(fresh[name].shape)) for name in old}
    return {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}


def carry_over(model, new, keep=lambda name: True):
    """Copy what fits."""
    changed = changed_shapes(model, new)
    fits = {name: v for name, v in model.head.state_dict().items() if name not in changed and keep(name)}
    new.head.load_state_dict(fits, strict=False)
    return changed


@wrong("swap_backbone", "puts the new backbone into the old network")
def into_the_old_network(model, backbone, build):
    changed = changed_shapes(model, build(backbone))
    model.backbone = backbone
    return model, changed


@wrong("swap_backbone", "the new network gets the old head itself")
def old_head_itself(model, backbone, build):
    new = build(backbone)
    changed = changed_shapes(model, new)
    new.head = model.head
    return new, changed


@wrong("swap_backbone", "the new network gets a copy of the old head, which does not fit")
def copied_head(model, backbone, build):
    new = build(backbone)
    changed = changed_shapes(model, new)
    new.head = copy.deepcopy(model.head)
    return new, changed


@wrong("swap_backbone", "nothing goes over")
def nothing_goes_over(model, backbone, build):
    new = build(backbone)
    return new, changed_shapes(model, new)


@wrong("swap_backbone", "parameters only: the running statistics stay behind")
def parameters_only(model, backbone, build):
    new = build(backbone)
    names = dict(model.head.named_parameters())
    return new, carry_over(model, new, keep=lambda name: name in names)


@wrong("swap_backbone", "weights only, no biases")
def weights_only(model, backbone, build):
    new = build(backbone)
    return new, carry_over(model, new, keep=lambda name: not name.endswith("bias"))


@wrong("swap_backbone", "tensors are assigned instead of copied: the heads share them")
def shared_tensors(model, backbone, build):
    new = build(backbone)
    changed = changed_shapes(model, new)
    fits = {name: value for name, value in model.head.state_dict().items() if name not in changed}
    new.head.load_state_dict(fits, strict=False, assign=True)
    return new, changed


@wrong("swap_backbone", "data shared through .data")
def shared_data(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    theirs = dict(model.head.named_parameters())
    for name, parameter in new.head.named_parameters():
        if name not in changed:
            parameter.data = theirs[name].data
    return new, changed


@wrong("swap_backbone", "the other way: the fresh head overwrites the trained one")
def the_other_way(model, backbone, build):
    new = build(backbone)
    changed = changed_shapes(model, new)
    fits = {name: value for name, value in new.head.state_dict().items() if name not in changed}
    model.head.load_state_dict(fits, strict=False)
    return new, changed


@wrong("swap_backbone", "tells what went over, not what could not")
def what_went_over(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    shapes = {name: tuple(value.shape) for name, value in new.head.state_dict().items()}
    return new, {name: (shape, shape) for name, shape in shapes.items() if name not in changed}


@wrong("swap_backbone", "new shape before old shape")
def shapes_exchanged(model, backbone, build):
    new = build(backbone)
    return new, {name: (fresh, old) for name, (old, fresh) in carry_over(model, new).items()}


@wrong("swap_backbone", "names only")
def names_only(model, backbone, build):
    new = build(backbone)
    return new, list(carry_over(model, new))


@wrong("swap_backbone", "the number of elements is compared, not the shape")
def elements_compared(model, backbone, build):
    new = build(backbone)
    old, fresh = model.head.state_dict(), new.head.state_dict()
    counts = {n: (v.numel(), fresh[n].numel()) for n, v in old.items() if v.numel() != fresh[n].numel()}
    carry_over(model, new)
    return new, counts


@wrong("swap_backbone", "the backbone's tensors are listed, too")
def backbone_listed(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    old, fresh = model.backbone.state_dict(), new.backbone.state_dict()
    for name in old:
        if name in fresh and old[name].shape != fresh[name].shape:
            changed[f"backbone.{name}"] = (tuple(old[name].shape), tuple(fresh[name].shape))
    return new, changed


@wrong("swap_backbone", "what does not fit is filled with the part that does")
def filled_partly(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    old = model.head.state_dict()
    for name, value in new.head.state_dict().items():
        if name in changed:
            part = tuple(slice(0, min(sides)) for sides in zip(*changed[name], strict=True))
            value[part] = old[name][part]
    return new, changed


@wrong("swap_backbone", "what does not fit is set to zero")
def zeros_for_the_rest(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    for name in changed:
        new.head.state_dict()[name].zero_()
    return new, changed


@wrong("swap_backbone", "freezes the new head")
def frozen_head(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    new.head.requires_grad_(False)
    return new, changed


@wrong("swap_backbone", "everything must fit: PyTorch's error for what does not")
def strict_loading(model, backbone, build):
    new = build(backbone)
    new.head.load_state_dict(model.head.state_dict())
    return new, {}


@wrong("swap_backbone", "builds on a copy of the backbone")
def copied_backbone(model, backbone, build):
    new = build(copy.deepcopy(backbone))
    return new, carry_over(model, new)


@right("swap_backbone", "a loop that copies tensor by tensor")
def tensor_by_tensor(model, backbone, build):
    new, changed = build(backbone), {}
    fresh = new.head.state_dict()  # these are the tensors themselves
    for name, value in model.head.state_dict().items():
        if fresh[name].shape == value.shape:
            fresh[name].copy_(value)
        else:
            changed[name] = (tuple(value.shape), tuple(fresh[name].shape))
    return new, changed


@right("swap_backbone", "a full dictionary of old and fresh values, loaded strictly")
def full_dictionary(model, backbone, build):
    new = build(backbone)
    old, state, changed = model.head.state_dict(), new.head.state_dict(), {}
    for name in state:
        if old[name].shape != state[name].shape:
            changed[name] = (old[name].shape, state[name].shape)
        else:
            state[name] = old[name].clone()
    new.head.load_state_dict(state)
    return new, changed


@right("swap_backbone", "parameters and buffers, each for itself")
def parameters_and_buffers(model, backbone, build):
    new, changed = build(backbone), {}
    with torch.no_grad():
        for kind in ("named_parameters", "named_buffers"):
            old = dict(getattr(model.head, kind)())
            for name, value in getattr(new.head, kind)():
                if value.shape == old[name].shape:
                    value.copy_(old[name])
                else:
                    changed[name] = (tuple(old[name].shape), tuple(value.shape))
    return new, changed


@wrong("swap_backbone", "tries copy_, which spreads one channel over all instead of failing")
def tries_to_copy(model, backbone, build):
    new, changed = build(backbone), {}
    fresh = new.head.state_dict()
    for name, value in model.head.state_dict().items():
        try:
            fresh[name].copy_(value)
        except RuntimeError:
            changed[name] = (tuple(value.shape), tuple(fresh[name].shape))
    return new, changed


@wrong("swap_backbone", "frozen parts of the old head are left behind")
def trained_parts_only(model, backbone, build):
    new = build(backbone)
    frozen = {name for name, parameter in model.head.named_parameters() if not parameter.requires_grad}
    return new, carry_over(model, new, keep=lambda name: name not in frozen)


@wrong("swap_backbone", "what is frozen in the old head is frozen in the new one")
def freezes_alike(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    old = dict(model.head.named_parameters())
    for name, parameter in new.head.named_parameters():
        parameter.requires_grad_(old[name].requires_grad)
    return new, changed


@wrong("swap_backbone", "the mode of the old network")
def mode_of_the_old(model, backbone, build):
    new = build(backbone)
    return new.train(model.training), carry_over(model, new)


@wrong("swap_backbone", "everything is to be trained, whatever `build` said")
def thaws_everything(model, backbone, build):
    new = build(backbone)
    new.head.requires_grad_(True)
    return new, carry_over(model, new)


@wrong("swap_backbone", "freezes the new backbone")
def freezes_the_backbone(model, backbone, build):
    new = build(backbone)
    new.backbone.requires_grad_(False)
    return new, carry_over(model, new)


@wrong("swap_backbone", "puts the old network into evaluation mode")
def old_to_eval(model, backbone, build):
    new = build(backbone)
    return new, carry_over(model.eval(), new)


@wrong("swap_backbone", "names that end in weight, bias, mean or var: others stay behind")
def names_by_ending(model, backbone, build):
    new = build(backbone)
    return new, carry_over(model, new, keep=lambda name: name.endswith(("weight", "bias", "mean", "var")))


@wrong("swap_backbone", "parts of parts only: a head's own parameters stay behind")
def own_parameters_left(model, backbone, build):
    new = build(backbone)
    return new, carry_over(model, new, keep=lambda name: "." in name)


@wrong("swap_backbone", "whole modules are replaced by copies: modes and hooks go over, too")
def copies_modules(model, backbone, build):
    new = build(backbone)
    changed = changed_shapes(model, new)
    for name, part in model.head.named_children():
        if not any(lost.startswith(f"{name}.") for lost in changed):
            setattr(new.head, name, copy.deepcopy(part))
    carry_over(model, new)
    return new, changed


@wrong("swap_backbone", "each parameter anew: what was tied no longer is")
def each_anew(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    for part in new.head.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
    return new, changed


@wrong("swap_backbone", "layers by their position: each layer that has the same type and size of weight")
def weights_of_layers(model, backbone, build):
    new = build(backbone)
    changed = changed_shapes(model, new)
    with torch.no_grad():
        for part, old in zip(new.head.modules(), model.head.modules(), strict=True):
            weight = getattr(part, "weight", None)
            if weight is not None and weight.shape == old.weight.shape:
                part.load_state_dict(old.state_dict())
    return new, changed


@wrong("swap_backbone", "views tensors flat to compare them, which channels_last refuses")
def compares_flat(model, backbone, build):
    new = build(backbone)
    with torch.no_grad():
        for name, value in model.head.state_dict().items():
            fresh = new.head.state_dict()[name]
            if fresh.shape == value.shape:
                fresh.view(-1).copy_(value.view(-1))
    return new, changed_shapes(model, new)


@wrong("swap_backbone", "shapes as lists")
def shapes_as_lists(model, backbone, build):
    new = build(backbone)
    return new, {name: tuple(map(list, pair)) for name, pair in carry_over(model, new).items()}


@right("swap_backbone", "a list of the two; copies of the tensors, strict=False")
def list_of_the_two(model, backbone, build):
    new = build(backbone)
    old = copy.deepcopy(model.head.state_dict())
    fresh = new.head.state_dict()
    lost = {
        name: (old[name].shape, fresh[name].shape) for name in old if old[name].shape != fresh[name].shape
    }
    for name in lost:
        del old[name]
    new.head.load_state_dict(old, strict=False)
    return [new, lost]


@wrong("swap_backbone", "what has as many numbers goes over, reshaped")
def goes_over_reshaped(model, backbone, build):
    new = build(backbone)
    old, fresh = model.head.state_dict(), new.head.state_dict()
    fits = {name: v.reshape(fresh[name].shape) for name, v in old.items() if v.numel() == fresh[name].numel()}
    new.head.load_state_dict(fits, strict=False)
    return new, {
        name: (tuple(v.shape), tuple(fresh[name].shape)) for name, v in old.items() if name not in fits
    }


@wrong("swap_backbone", "the counters of batch norm, of no dimension, stay behind")
def counters_stay_behind(model, backbone, build):
    new = build(backbone)
    return new, carry_over(model, new, lambda name: "num_batches" not in name)


@wrong("swap_backbone", "counters become floating numbers")
def counters_in_floats(model, backbone, build):
    new = build(backbone)
    changed = carry_over(model, new)
    for part in new.head.modules():
        for name, tensor in part._buffers.items():
            if tensor is not None:
                part._buffers[name] = tensor.float()
    return new, changed


@right("swap_backbone", "the whole network's tensors, those of the head by their prefix")
def by_prefix(model, backbone, build):
    new = build(backbone)
    old = {name: value for name, value in model.state_dict().items() if name.startswith("head.")}
    fresh = new.state_dict()
    fits = {name: value for name, value in old.items() if value.shape == fresh[name].shape}
    new.load_state_dict(fits, strict=False)
    lost = {name: (old[name].shape, fresh[name].shape) for name in old if name not in fits}
    return new, {name.removeprefix("head."): shapes for name, shapes in lost.items()}
