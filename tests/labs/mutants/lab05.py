"""Answers to lab 05 that learners could write: wrong ones must lose points, right ones keep all of them."""

import copy

import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn

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
    for layer in layers.reduce:
        detail = layer(detail)
    x = torch.concat([enlarge(deep, detail.shape[2:]), detail], dim=-3)
    for layer in layers.refine if isinstance(layers.refine, nn.Sequential) else [layers.refine]:
        x = layer(x)
    return x


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
