"""Answers to lab 10 that learners could write: wrong ones must lose points, right ones keep all of them."""

import copy
import itertools
import statistics
import time
from math import prod

import numpy as np
import torch
from lab_runner import Answers
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: the cost of a convolution ----------------------------------------------------------------------


def result_size(layer, size):
    return [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(
            size, layer.padding, layer.dilation, layer.kernel_size, layer.stride, strict=True
        )
    ]


def costs_of(layer, shape, products=None, results=None, parameters=None, size=4):
    """Right costs, of which one part can be set."""
    batch, channels, *sides = map(int, shape)
    if channels != layer.in_channels:
        raise ValueError(f"{layer.in_channels} channels expected, {channels} given")
    results = results or batch * layer.out_channels * prod(result_size(layer, sides))
    products = products or layer.in_channels // layer.groups * prod(layer.kernel_size)
    parameters = parameters or sum(parameter.numel() for parameter in layer.parameters())
    return parameters, results * products, results * layer.weight.element_size()


@wrong("conv_cost", "multiply-adds and bytes of one image of the batch")
def one_image(layer, shape):
    return costs_of(layer, (1, *shape[1:]))


@wrong("conv_cost", "the multiply-adds of the batch, the bytes of one image")
def bytes_of_one_image(layer, shape):
    return (*costs_of(layer, shape)[:2], costs_of(layer, (1, *shape[1:]))[2])


@wrong("conv_cost", "groups are ignored: every result sees all channels")
def ignores_groups(layer, shape):
    return costs_of(layer, shape, products=layer.in_channels * prod(layer.kernel_size))


@wrong("conv_cost", "dilation is ignored in the size of the result")
def ignores_dilation(layer, shape):
    twin = copy.copy(layer)
    twin.dilation = (1, 1)
    return costs_of(twin, shape)


@wrong("conv_cost", "every padding is taken for 'same': the size is divided by the stride, rounded up")
def size_by_stride(layer, shape):
    sides = [-(-n // s) for n, s in zip(shape[2:], layer.stride, strict=True)]
    return costs_of(layer, shape, results=int(shape[0]) * layer.out_channels * prod(map(int, sides)))


@wrong("conv_cost", "the size of the input in place of the result's")
def size_of_input(layer, shape):
    return costs_of(layer, shape, results=int(shape[0]) * layer.out_channels * int(shape[2] * shape[3]))


@wrong("conv_cost", "kernel, stride and padding of the height serve for the width as well")
def square_only(layer, shape):
    def one(n):
        return (
            int(n) + 2 * layer.padding[0] - layer.dilation[0] * (layer.kernel_size[0] - 1) - 1
        ) // layer.stride[0] + 1

    results = int(shape[0]) * layer.out_channels * one(shape[2]) * one(shape[3])
    return costs_of(layer, shape, products=layer.in_channels // layer.groups * layer.kernel_size[0] ** 2,
                    results=results)  # fmt: skip


@wrong("conv_cost", "multiplications and additions counted one by one")
def twice(layer, shape):
    parameters, multiply_adds, size = costs_of(layer, shape)
    return parameters, 2 * multiply_adds, size


@wrong("conv_cost", "adding the bias counts as well")
def counts_bias(layer, shape):
    parameters, multiply_adds, size = costs_of(layer, shape)
    more = size // layer.weight.element_size() if layer.bias is not None else 0
    return parameters, multiply_adds + more, size


@wrong("conv_cost", "the bias is no parameter")
def forgets_bias(layer, shape):
    return costs_of(layer, shape, parameters=layer.weight.numel())


@wrong("conv_cost", "a bias is always counted")
def always_bias(layer, shape):
    return costs_of(layer, shape, parameters=layer.weight.numel() + layer.out_channels)


@wrong("conv_cost", "frozen parameters are left out")
def trainable_only(layer, shape):
    count = sum(parameter.numel() for parameter in layer.parameters() if parameter.requires_grad)
    return (count, *costs_of(layer, shape)[1:])


@wrong("conv_cost", "four bytes per number, whatever the type")
def four_bytes(layer, shape):
    parameters, multiply_adds, size = costs_of(layer, shape)
    return parameters, multiply_adds, size // layer.weight.element_size() * 4


@wrong("conv_cost", "how many numbers, not how many bytes")
def numbers_not_bytes(layer, shape):
    parameters, multiply_adds, size = costs_of(layer, shape)
    return parameters, multiply_adds, size // layer.weight.element_size()


@wrong("conv_cost", "divided by /, so that the counts are floats")
def floats(layer, shape):
    parameters, multiply_adds, size = costs_of(layer, shape)
    return parameters, multiply_adds / 1, size


@wrong("conv_cost", "another number of channels is not noticed")
def no_check(layer, shape):
    return costs_of(layer, (shape[0], layer.in_channels, *shape[2:]))


@wrong("conv_cost", "refuses other channels with an assert")
def refuses_by_assert(layer, shape):
    assert layer.in_channels == shape[1], f"{layer.in_channels} and {shape[1]}"
    return costs_of(layer, shape)


@wrong("conv_cost", "compares the channels with those of a group")
def channels_of_a_group(layer, shape):
    if shape[1] != layer.weight.shape[1]:
        raise ValueError(f"{shape[1]} and {layer.in_channels}")
    return costs_of(layer, shape)


@wrong("conv_cost", "runs the layer on a batch, which does not fit or, on meta, is none")
def runs_the_layer(layer, shape):
    costs_of(layer, shape)
    if prod(map(int, shape)) > 10**9:
        raise MemoryError
    results = layer(torch.zeros(tuple(map(int, shape)), dtype=layer.weight.dtype)).numel()
    return costs_of(layer, shape, results=results)


@wrong("conv_cost", "the layer itself is moved to the device meta")
def moves_to_meta(layer, shape):
    costs = costs_of(layer, shape)
    layer.to(device="meta")
    return costs


@wrong("conv_cost", "the layer is put into evaluation mode")
def evaluates(layer, shape):
    return costs_of(layer.eval(), shape)


@wrong("conv_cost", "sizes by /, with the sixteen digits of a float")
def sizes_as_floats(layer, shape):
    results = int(shape[0]) * layer.out_channels
    for side, kernel, stride, padding, dilation in zip(
        shape[2:], layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True
    ):
        results *= int((int(side) + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1)
    return costs_of(layer, shape, results=results)


@right("conv_cost", "a copy on the device meta says how large the result is")
def by_meta(layer, shape):
    if shape[1] != layer.in_channels:
        raise ValueError(f"expected {layer.in_channels} channels, got {shape[1]}")
    twin = copy.deepcopy(layer).to("meta")
    out = twin(torch.empty(tuple(int(n) for n in shape), device="meta", dtype=layer.weight.dtype))
    parameters = layer.weight.numel() + (0 if layer.bias is None else layer.bias.numel())
    return parameters, out.numel() * layer.weight[0].numel(), out.numel() * out.element_size()


@right("conv_cost", "multiply-adds by the weight's size: each weight is used once per position and image")
def by_weight(layer, shape):
    batch, channels, height, width = (int(n) for n in shape)
    if layer.in_channels != channels:
        raise ValueError(f"this layer is for {layer.in_channels} channels and not for {channels}")
    (k, m), (s, t), (p, q), (d, e) = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    rows = (height + 2 * p - d * (k - 1) - 1) // s + 1
    columns = (width + 2 * q - e * (m - 1) - 1) // t + 1
    positions = batch * rows * columns
    count = sum(p.numel() for p in layer.parameters())
    bytes_each = torch.finfo(layer.weight.dtype).bits // 8
    return count, positions * layer.weight.numel(), positions * layer.out_channels * bytes_each


@right("conv_cost", "a named error of its own, and loops")
def own_error(layer, shape):
    class ChannelError(ValueError):
        pass

    if layer.in_channels != shape[1]:
        raise ChannelError(f"channels: {shape[1]} given, {layer.in_channels} needed")
    outputs = 1
    for factor in [int(shape[0]), layer.out_channels, *result_size(layer, [int(n) for n in shape[2:]])]:
        outputs *= factor
    per_output = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1] // layer.groups
    return costs_of(layer, shape)[0], outputs * per_output, outputs * layer.weight.itemsize


# Exercise 2: a fair stopwatch -------------------------------------------------------------------------------


def all_times(network, images, count, clock):
    """The times of `count` calls, fairly taken."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    times = []
    try:
        with torch.no_grad():
            for _ in range(count):
                began = clock()
                network(images)
                times.append(clock() - began)
    finally:
        for part, mode in modes:
            part.training = mode
    return times


@wrong("latency", "no warm-up: all calls count")
def no_warmup(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return statistics.median(all_times(network, images, warmup + repeats, clock))


@wrong("latency", "never warms up")
def never_warms_up(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return statistics.median(all_times(network, images, repeats, clock))


@wrong("latency", "the mean")
def mean_time(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return statistics.mean(all_times(network, images, warmup + repeats, clock)[warmup:])


@wrong("latency", "the fastest call")
def fastest(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return min(all_times(network, images, warmup + repeats, clock)[warmup:])


@wrong("latency", "torch's median, which takes the lower one of the two in the middle")
def lower_median(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    times = all_times(network, images, warmup + repeats, clock)[warmup:]
    return torch.tensor(times, dtype=torch.float64).median().item()


@wrong("latency", "the upper one of the two in the middle")
def upper_median(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return sorted(all_times(network, images, warmup + repeats, clock)[warmup:])[repeats // 2]


@wrong("latency", "all repeats timed together and divided")
def together(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    all_times(network, images, warmup, clock)
    return sum(all_times(network, images, repeats, clock)) / repeats


@wrong("latency", "milliseconds")
def milliseconds(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return 1000 * statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:])


@wrong("latency", "looks at a clock of its own")
def own_clock(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return statistics.median(all_times(network, images, warmup + repeats, time.perf_counter)[warmup:])


@wrong("latency", "in whatever mode the network is")
def mode_as_it_is(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    times = []
    with torch.no_grad():
        for _ in range(warmup + repeats):
            began = clock()
            network(images)
            times.append(clock() - began)
    return statistics.median(times[warmup:])


@wrong("latency", "the network stays in evaluation mode")
def stays_in_eval(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    network.eval()
    return statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:])


@wrong("latency", "everything is in training mode afterwards")
def always_trains(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    times = all_times(network, images, warmup + repeats, clock)
    network.train()
    return statistics.median(times[warmup:])


@wrong("latency", "the whole gets the mode of its top back, although parts had others")
def one_mode_for_all(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    mode = network.training
    try:
        return statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:])
    finally:
        network.train(mode)


@wrong("latency", "the modes are not given back when a call fails")
def without_finally(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    modes = {part: part.training for part in network.modules()}
    network.eval()
    times = []
    with torch.no_grad():
        for _ in range(warmup + repeats):
            began = clock()
            network(images)
            times.append(clock() - began)
    for part, mode in modes.items():
        part.training = mode
    return statistics.median(times[warmup:])


@wrong("latency", "gradients are recorded")
def with_gradients(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    modes, times = {part: part.training for part in network.modules()}, []
    network.eval()
    try:
        for _ in range(warmup + repeats):
            began = clock()
            network(images)
            times.append(clock() - began)
    finally:
        for part, mode in modes.items():
            part.training = mode
    return statistics.median(times[warmup:])


@wrong("latency", "gradients are off for good")
def gradients_off_for_good(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    torch.set_grad_enabled(False)
    return statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:])


@wrong("latency", "gradients are on afterwards, whatever the caller wanted")
def gradients_on_afterwards(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    try:
        return statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:])
    finally:
        torch.set_grad_enabled(True)


@wrong("latency", "times a copy, which lies elsewhere")
def times_a_copy(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return statistics.median(all_times(copy.deepcopy(network), images, warmup + repeats, clock)[warmup:])


@wrong("latency", "network.forward, past the hooks")
def past_hooks(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    modes, times = {part: part.training for part in network.modules()}, []
    network.eval()
    try:
        with torch.no_grad():
            for _ in range(warmup + repeats):
                began = clock()
                network.forward(images)
                times.append(clock() - began)
    finally:
        for part, mode in modes.items():
            part.training = mode
    return statistics.median(times[warmup:])


@wrong("latency", "switching modes lies between the two readings of the clock")
def times_the_switch(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    modes, times = {part: part.training for part in network.modules()}, []
    try:
        with torch.no_grad():
            for _ in range(warmup + repeats):
                began = clock()
                network.eval()
                network(images)
                times.append(clock() - began)
    finally:
        for part, mode in modes.items():
            part.training = mode
    return statistics.median(times[warmup:])


@wrong("latency", "the error of a call is swallowed")
def swallows(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    try:
        return statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:])
    except Exception:
        return float("nan")


@wrong("latency", "the warm-up runs in training mode")
def warms_up_in_training(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    with torch.no_grad():
        for _ in range(warmup):
            network(images)
    return statistics.median(all_times(network, images, repeats, clock))


@wrong("latency", "train(mode) of each part, which reaches down into what another part shares")
def modes_reach_down(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    modes = [(part, part.training) for part in network.modules()]
    try:
        times = all_times(network, images, warmup + repeats, clock)
    finally:
        for part, mode in modes:
            part.train(mode)
    return statistics.median(times[warmup:])


@wrong("latency", "the gradients of the network are cleared")
def clears_gradients(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    network.zero_grad()
    return statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:])


@wrong("latency", "rounded to microseconds")
def whole_microseconds(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    return round(statistics.median(all_times(network, images, warmup + repeats, clock)[warmup:]), 6)


@wrong("latency", "a shallow copy is warmed up")
def warms_up_a_copy(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    all_times(copy.copy(network), images, warmup, clock)
    return statistics.median(all_times(network, images, repeats, clock))


@right("latency", "n + 1 readings: the end of a call is the beginning of the next")
def shared_readings(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    modes, readings = [(part, part.training) for part in network.modules()], []
    network.eval()
    try:
        with torch.no_grad():
            for _ in range(warmup):
                network(images)
            readings.append(clock())
            for _ in range(repeats):
                network(images)
                readings.append(clock())
    finally:
        for part, mode in modes:
            part.training = mode
    return statistics.median(end - start for start, end in itertools.pairwise(readings))


@right("latency", "warm-up apart from the rest, numpy's median")
def by_numpy(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    if warmup:
        all_times(network, images, warmup, lambda: 0.0)
    return float(np.median(all_times(network, images, repeats, clock)))


@right("latency", "inference mode, sorted by hand")
def by_inference_mode(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    before = [part.training for part in network.modules()]
    taken = []
    try:
        network.train(False)
        with torch.inference_mode():
            for number in range(warmup + repeats):
                start = clock()
                network(images)
                stop = clock()
                if number >= warmup:
                    taken.append(stop - start)
    finally:
        for part, mode in zip(network.modules(), before, strict=True):
            part.training = mode
    taken.sort()
    return (taken[(repeats - 1) // 2] + taken[repeats // 2]) / 2


@right("latency", "torch.quantile, and set_grad_enabled put back by hand")
def by_quantile(network, images, warmup=3, repeats=10, clock=time.perf_counter):
    recorded, modes = torch.is_grad_enabled(), {name: part.training for name, part in network.named_modules()}
    times = []
    torch.set_grad_enabled(False)
    network.eval()
    try:
        for _ in range(warmup):
            network(images)
        for _ in range(repeats):
            before = clock()
            network(images)
            times.append(clock() - before)
    finally:
        torch.set_grad_enabled(recorded)
        for name, mode in modes.items():
            network.get_submodule(name).training = mode
    return torch.tensor(times, dtype=torch.float64).quantile(0.5).item()


# Exercise 3: the roofline -----------------------------------------------------------------------------------


def roof(multiply_adds, num_bytes, peak, bandwidth):
    computing, moving = multiply_adds.double() / peak, num_bytes.double() / bandwidth
    seconds = torch.maximum(computing, moving)
    return multiply_adds.double() / seconds, seconds, moving > computing


@wrong("roofline", "the rate is the peak")
def always_peak(multiply_adds, num_bytes, peak, bandwidth):
    _, seconds, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return torch.full_like(seconds, peak), seconds, bound


@wrong("roofline", "the rate is not limited by the peak")
def no_flat_part(multiply_adds, num_bytes, peak, bandwidth):
    _, seconds, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return multiply_adds.double() / num_bytes * bandwidth, seconds, bound


@wrong("roofline", "the larger of the two limits")
def larger_limit(multiply_adds, num_bytes, peak, bandwidth):
    _, seconds, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return (multiply_adds.double() / num_bytes * bandwidth).clamp(min=peak), seconds, bound


@wrong("roofline", "bytes per multiply-add for intensity")
def intensity_upside_down(multiply_adds, num_bytes, peak, bandwidth):
    _, seconds, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return (num_bytes.double() / multiply_adds * bandwidth).clamp(max=peak), seconds, bound


@wrong("roofline", "computing and moving one after the other")
def adds_times(multiply_adds, num_bytes, peak, bandwidth):
    rates, _, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, multiply_adds.double() / peak + num_bytes.double() / bandwidth, bound


@wrong("roofline", "the shorter of the two times")
def shorter_time(multiply_adds, num_bytes, peak, bandwidth):
    rates, _, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, torch.minimum(multiply_adds.double() / peak, num_bytes.double() / bandwidth), bound


@wrong("roofline", "work by rate, which is 0/0 for a copy")
def zero_by_zero(multiply_adds, num_bytes, peak, bandwidth):
    rates, _, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, multiply_adds / rates, bound


@wrong("roofline", "a copy takes no time")
def copies_for_nothing(multiply_adds, num_bytes, peak, bandwidth):
    rates, _, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, (multiply_adds / rates).nan_to_num(0), bound


@wrong("roofline", "a copy is not bound by memory")
def copies_compute(multiply_adds, num_bytes, peak, bandwidth):
    rates, seconds, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, seconds, bound & (multiply_adds > 0)


@wrong("roofline", "on the ridge: memory-bound")
def ridge_is_memory(multiply_adds, num_bytes, peak, bandwidth):
    rates, seconds, _ = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, seconds, multiply_adds.double() / num_bytes <= peak / bandwidth


@wrong("roofline", "true where computing is the limit")
def other_side(multiply_adds, num_bytes, peak, bandwidth):
    rates, seconds, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, seconds, ~bound


@wrong("roofline", "the ridge is bandwidth/peak")
def ridge_upside_down(multiply_adds, num_bytes, peak, bandwidth):
    rates, seconds, _ = roof(multiply_adds, num_bytes, peak, bandwidth)
    return rates, seconds, multiply_adds.double() / num_bytes < bandwidth / peak


@wrong("roofline", "one multiply-add counted as two operations")
def two_operations(multiply_adds, num_bytes, peak, bandwidth):
    return roof(2 * multiply_adds, num_bytes, peak, bandwidth)


@wrong("roofline", "whole numbers of multiply-adds per byte")
def whole_intensity(multiply_adds, num_bytes, peak, bandwidth):
    _, seconds, bound = roof(multiply_adds, num_bytes, peak, bandwidth)
    return ((multiply_adds // num_bytes).double() * bandwidth).clamp(max=peak), seconds, bound


@wrong("roofline", "in torch's default type, float32")
def in_float32(multiply_adds, num_bytes, peak, bandwidth):
    computing, moving = multiply_adds / peak, num_bytes / bandwidth
    seconds = torch.maximum(computing, moving)
    return multiply_adds / seconds, seconds, moving > computing


@wrong("roofline", "computed in float32, returned in float64")
def through_float32(multiply_adds, num_bytes, peak, bandwidth):
    computing, moving = multiply_adds / peak, num_bytes / bandwidth
    seconds = torch.maximum(computing, moving)
    return (multiply_adds / seconds).double(), seconds.double(), moving > computing


@wrong("roofline", "peak and bandwidth in each other's place")
def swapped(multiply_adds, num_bytes, peak, bandwidth):
    return roof(multiply_adds, num_bytes, bandwidth, peak)


@wrong("roofline", "all stages taken together")
def one_for_all(multiply_adds, num_bytes, peak, bandwidth):
    parts = roof(multiply_adds.sum()[None], num_bytes.sum()[None], peak, bandwidth)
    return tuple(part.expand(len(multiply_adds)) for part in parts)


@right("roofline", "the intensity compared with the ridge, torch.where")
def by_intensity(multiply_adds, num_bytes, peak, bandwidth):
    work, moved = multiply_adds.to(torch.float64), num_bytes.to(torch.float64)
    computing, moving = work / peak, moved / bandwidth
    bound = computing < moving
    rates = torch.where(bound, work / moved * bandwidth, float(peak))
    return rates, torch.where(bound, moving, computing), bound


@wrong("roofline", "torch's default type is float64 afterwards")
def sets_default_type(multiply_adds, num_bytes, peak, bandwidth):
    torch.set_default_dtype(torch.float64)
    return roof(multiply_adds, num_bytes, peak, bandwidth)


@right("roofline", "memory-bound where the rate stays below the peak, up to rounding")
def by_rate(multiply_adds, num_bytes, peak, bandwidth):
    slope = multiply_adds.double() / num_bytes * bandwidth
    seconds = torch.maximum(multiply_adds.double() / peak, num_bytes.double() / bandwidth)
    return slope.clamp(max=peak), seconds, slope < peak


@right("roofline", "a loop over stages")
def by_loop(multiply_adds, num_bytes, peak, bandwidth):
    rows = []
    for work, moved in zip(multiply_adds.tolist(), num_bytes.tolist(), strict=True):
        computing, moving = work / peak, moved / bandwidth
        rows.append((min(peak, work / moved * bandwidth), max(computing, moving), moving > computing))
    rates, seconds, bound = (list(column) for column in zip(*rows, strict=True))
    return (
        torch.tensor(rates, dtype=torch.float64),
        torch.tensor(seconds, dtype=torch.float64),
        torch.tensor(bound),
    )


@right("roofline", "by numpy, work divided by seconds")
def by_numpy_arrays(multiply_adds, num_bytes, peak, bandwidth):
    work, moved = (part.numpy().astype(np.float64) for part in (multiply_adds, num_bytes))
    seconds = np.maximum(work / peak, moved / bandwidth)
    return (
        torch.from_numpy(work / seconds),
        torch.from_numpy(seconds),
        torch.from_numpy(work / peak < moved / bandwidth),
    )


# Exercise 4: quantize ---------------------------------------------------------------------------------------


def aligned(value, x):
    """One for all, or one for each channel in dimension 0."""
    return value.reshape(-1, *[1] * (x.ndim - 1)) if value.ndim else value


def limits(dtype):
    return torch.iinfo(dtype).min, torch.iinfo(dtype).max


def levels(x, scale, zero_point):
    return (x.detach() / aligned(scale, x)).round() + aligned(zero_point, x)


@wrong("quantize", "the zero point is forgotten")
def zero_point_forgotten(x, scale, zero_point, dtype):
    return levels(x, scale, torch.zeros_like(zero_point)).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "the zero point is taken off")
def zero_point_taken_off(x, scale, zero_point, dtype):
    return levels(x, scale, -zero_point).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "no clamp: levels beyond 255 begin again at 0")
def wraps_around(x, scale, zero_point, dtype):
    return levels(x, scale, zero_point).long().to(dtype)


@wrong("quantize", "clamped before the zero point is added")
def clamps_too_early(x, scale, zero_point, dtype):
    low, high = limits(dtype)
    return ((x.detach() / aligned(scale, x)).round().clamp(low, high) + aligned(zero_point, x)).to(dtype)


@wrong("quantize", "cut off in place of rounded")
def cuts_off(x, scale, zero_point, dtype):
    return ((x.detach() / aligned(scale, x)).trunc() + aligned(zero_point, x)).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "rounded down")
def rounds_down(x, scale, zero_point, dtype):
    return ((x.detach() / aligned(scale, x)).floor() + aligned(zero_point, x)).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "0 to 255 for int8 as well")
def always_uint8(x, scale, zero_point, dtype):
    return levels(x, scale, zero_point).clamp(0, 255).to(dtype)


@wrong("quantize", "int8 from -127, as symmetric quantization has it")
def symmetric_limits(x, scale, zero_point, dtype):
    low, high = limits(dtype)
    return levels(x, scale, zero_point).clamp(low + 1 if low else 0, high).to(dtype)


@wrong("quantize", "scales along the last dimension")
def last_dimension(x, scale, zero_point, dtype):
    return ((x.detach() / scale).round() + zero_point).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "scales along dimension 0 of four dimensions only")
def four_dimensions(x, scale, zero_point, dtype):
    if scale.ndim:
        scale, zero_point = scale[:, None, None, None], zero_point[:, None, None, None]
    return ((x.detach() / scale).round() + zero_point).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "to whole numbers before clamping: large ones overflow")
def overflows(x, scale, zero_point, dtype):
    return levels(x, scale, zero_point).to(torch.int32).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "multiplied by the scale")
def multiplies(x, scale, zero_point, dtype):
    return ((x.detach() * aligned(scale, x)).round() + aligned(zero_point, x)).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "changes x in place")
def in_place(x, scale, zero_point, dtype):
    with torch.no_grad():
        x /= aligned(scale, x)
        return (x.round() + aligned(zero_point, x)).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "float64 is rounded to float32 first")
def quantizes_float32(x, scale, zero_point, dtype):
    return levels(x.float(), scale.float(), zero_point).clamp(*limits(dtype)).to(dtype)


@wrong("quantize", "the levels as float")
def stays_float(x, scale, zero_point, dtype):
    return levels(x, scale, zero_point).clamp(*limits(dtype))


@wrong("quantize", "uint8, whatever is asked for")
def uint8_anyway(x, scale, zero_point, dtype):
    return levels(x, scale, zero_point).clamp(*limits(dtype)).to(torch.uint8)


@right("quantize", "rounded after the zero point was added")
def rounds_last(x, scale, zero_point, dtype):
    info = torch.iinfo(dtype)
    with torch.no_grad():
        exact = x / aligned(scale, x) + aligned(zero_point, x)
        return exact.round().clamp(info.min, info.max).to(dtype)


@right("quantize", "the channel moved to the end, and back")
def moves_channel(x, scale, zero_point, dtype):
    x = x.detach()
    turned = x.movedim(0, -1) if scale.ndim else x
    q = (torch.round(turned / scale) + zero_point).clamp(torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    return (q.movedim(-1, 0) if scale.ndim else q).to(dtype)


@right("quantize", "one channel after the other, by numpy")
def quantize_by_numpy(x, scale, zero_point, dtype):
    low, high = limits(dtype)
    numbers = x.detach().numpy()
    if scale.ndim:
        rows = zip(numbers, scale.tolist(), zero_point.tolist(), strict=True)
        q = np.stack([np.clip(np.rint(row / step) + zero, low, high) for row, step, zero in rows])
    else:
        q = np.clip(np.rint(numbers / scale.item()) + zero_point.item(), low, high)
    return torch.from_numpy(q).to(dtype)


@right("quantize", "in float64 throughout")
def quantize_in_float64(x, scale, zero_point, dtype):
    exact = (x.detach().double() / aligned(scale, x).double()).round() + aligned(zero_point, x)
    return exact.clamp(*limits(dtype)).to(dtype)


@right("quantize", "times the reciprocal of the scale")
def times_reciprocal(x, scale, zero_point, dtype):
    steps = x.detach() * aligned(1 / scale, x)
    return (steps.round() + aligned(zero_point, x)).clamp(*limits(dtype)).to(dtype)


@wrong("dequantize", "the zero point is forgotten")
def back_without_zero_point(q, scale, zero_point):
    return q * aligned(scale, q)


@wrong("dequantize", "subtracted as uint8: 8 - 10 is 254")
def subtracts_bytes(q, scale, zero_point):
    return (q - aligned(zero_point, q).to(q.dtype)) * aligned(scale, q)


@wrong("dequantize", "the zero point is added")
def adds_zero_point(q, scale, zero_point):
    return (q.long() + aligned(zero_point, q)) * aligned(scale, q)


@wrong("dequantize", "the zero point is subtracted after scaling")
def subtracts_last(q, scale, zero_point):
    return q * aligned(scale, q) - aligned(zero_point, q)


@wrong("dequantize", "scales along the last dimension")
def back_along_last(q, scale, zero_point):
    return (q.long() - zero_point) * scale


@wrong("dequantize", "float32, whatever the scale is")
def back_to_float32(q, scale, zero_point):
    return ((q.long() - aligned(zero_point, q)) * aligned(scale, q)).float()


@wrong("dequantize", "int8 for the difference, which goes from -255 to 255")
def difference_in_int8(q, scale, zero_point):
    return (q.long() - aligned(zero_point, q)).to(torch.int8) * aligned(scale, q)


@right("dequantize", "in the type of the scale")
def back_in_type_of_scale(q, scale, zero_point):
    return (q.to(scale.dtype) - aligned(zero_point, q)) * aligned(scale, q)


@right("dequantize", "in int16, the channel moved to the end, and back")
def back_in_int16(q, scale, zero_point):
    if scale.ndim == 0:
        return (q.to(torch.int16) - zero_point.to(torch.int16)) * scale
    return ((q.movedim(0, -1).to(torch.int16) - zero_point) * scale).movedim(-1, 0)


# Exercise 4: choose scale and zero point --------------------------------------------------------------------


def rows_of(x, per_channel):
    return x.detach().reshape(len(x) if per_channel else 1, -1)


def scale_and_zero(low, high, dtype, per_channel, steps=255):
    scale = (high - low) / steps
    scale[scale == 0] = 1
    zero_point = (torch.iinfo(dtype).min - low / scale).round().long()
    return (scale, zero_point) if per_channel else (scale[0], zero_point[0])


def bounds(rows):
    return rows.amin(1).clamp(max=0), rows.amax(1).clamp(min=0)


@wrong("choose_scale", "256 steps between 256 levels")
def too_many_steps(x, dtype, per_channel=False):
    return scale_and_zero(*bounds(rows_of(x, per_channel)), dtype, per_channel, steps=256)


@wrong("choose_scale", "0 need not lie in the range")
def zero_left_out(x, dtype, per_channel=False):
    rows = rows_of(x, per_channel)
    return scale_and_zero(rows.amin(1), rows.amax(1), dtype, per_channel)


@wrong("choose_scale", "the zero point is always the lowest level")
def lowest_for_zero(x, dtype, per_channel=False):
    scale, zero_point = scale_and_zero(*bounds(rows_of(x, per_channel)), dtype, per_channel)
    return scale, torch.full_like(zero_point, torch.iinfo(dtype).min)


@wrong("choose_scale", "symmetric: the largest absolute value by 127, zero point 0")
def symmetric(x, dtype, per_channel=False):
    scale = rows_of(x, per_channel).abs().amax(1) / 127
    scale[scale == 0] = 1
    scale = scale if per_channel else scale[0]
    return scale, torch.zeros_like(scale, dtype=torch.int64)


@wrong("choose_scale", "uint8 is taken for granted")
def uint8_for_granted(x, dtype, per_channel=False):
    return scale_and_zero(*bounds(rows_of(x, per_channel)), torch.uint8, per_channel)


@wrong("choose_scale", "a scale of 0 where all is 0")
def scale_of_zero(x, dtype, per_channel=False):
    low, high = bounds(rows_of(x, per_channel))
    scale = (high - low) / 255
    zero_point = (torch.iinfo(dtype).min - (low / scale).nan_to_num(0)).round().long()
    return (scale, zero_point) if per_channel else (scale[0], zero_point[0])


@wrong("choose_scale", "a scale of at least 1e-8, as libraries have it: tiny numbers all become 0")
def least_scale(x, dtype, per_channel=False):
    low, high = bounds(rows_of(x, per_channel))
    scale = ((high - low) / 255).clamp(min=1e-8)
    scale = torch.where(high == low, 1, scale)
    zero_point = (torch.iinfo(dtype).min - low / scale).round().long()
    return (scale, zero_point) if per_channel else (scale[0], zero_point[0])


@wrong("choose_scale", "1 is added to every scale that is small")
def epsilon(x, dtype, per_channel=False):
    low, high = bounds(rows_of(x, per_channel))
    scale = (high - low) / 255 + 1e-6
    zero_point = (torch.iinfo(dtype).min - low / scale).round().long()
    return (scale, zero_point) if per_channel else (scale[0], zero_point[0])


@wrong("choose_scale", "a channel for each column")
def per_column(x, dtype, per_channel=False):
    rows = x.detach().reshape(-1, x.shape[-1]).T if per_channel else rows_of(x, False)
    return scale_and_zero(*bounds(rows), dtype, per_channel)


@wrong("choose_scale", "per channel only")
def ignores_per_channel(x, dtype, per_channel=False):
    return scale_and_zero(*bounds(rows_of(x, True)), dtype, True)


@wrong("choose_scale", "for the whole tensor only")
def never_per_channel(x, dtype, per_channel=False):
    scale, zero_point = scale_and_zero(*bounds(rows_of(x, False)), dtype, False)
    return (scale.expand(len(x)), zero_point.expand(len(x))) if per_channel else (scale, zero_point)


@wrong("choose_scale", "the zero point is cut off in place of rounded")
def cuts_zero_point(x, dtype, per_channel=False):
    low, high = bounds(rows_of(x, per_channel))
    scale = (high - low) / 255
    scale[scale == 0] = 1
    zero_point = torch.iinfo(dtype).min + (-low / scale).long()
    return (scale, zero_point) if per_channel else (scale[0], zero_point[0])


@wrong("choose_scale", "the zero point stays a float")
def float_zero_point(x, dtype, per_channel=False):
    scale, zero_point = scale_and_zero(*bounds(rows_of(x, per_channel)), dtype, per_channel)
    return scale, zero_point.to(scale.dtype)


@wrong("choose_scale", "shape (1,) for the whole tensor")
def one_too_many(x, dtype, per_channel=False):
    return scale_and_zero(*bounds(rows_of(x, per_channel)), dtype, True)


@wrong("choose_scale", "the scale requires gradients")
def keeps_gradients(x, dtype, per_channel=False):
    low, high = bounds(x.reshape(len(x) if per_channel else 1, -1))
    scale = (high - low) / 255
    scale = torch.where(scale == 0, 1, scale)
    zero_point = (torch.iinfo(dtype).min - low / scale).round().long()
    return (scale, zero_point) if per_channel else (scale[0], zero_point[0])


@wrong("choose_scale", "float32 anyway")
def scale_in_float32(x, dtype, per_channel=False):
    return scale_and_zero(*bounds(rows_of(x.float(), per_channel)), dtype, per_channel)


@wrong("choose_scale", ".view, which fails for tensors stored otherwise")
def by_view(x, dtype, per_channel=False):
    return scale_and_zero(*bounds(x.detach().view(len(x) if per_channel else 1, -1)), dtype, per_channel)


@right("choose_scale", "a loop over channels, with Python's numbers")
def scale_by_loop(x, dtype, per_channel=False):
    lowest = torch.iinfo(dtype).min
    scales, zeros = [], []
    for channel in x.detach() if per_channel else [x.detach()]:
        low, high = min(channel.min().item(), 0.0), max(channel.max().item(), 0.0)
        scale = (high - low) / 255 or 1.0
        scales.append(scale)
        zeros.append(round(lowest - low / scale))
    scale, zero_point = torch.tensor(scales, dtype=x.dtype), torch.tensor(zeros)
    return (scale, zero_point) if per_channel else (scale[0], zero_point[0])


@right("choose_scale", "from the highest level downwards, torch.where")
def from_above(x, dtype, per_channel=False):
    with torch.no_grad():
        rows = x.flatten(1) if per_channel and x.ndim > 1 else x.reshape(len(x) if per_channel else 1, -1)
        zeros = torch.zeros(len(rows), 1, dtype=x.dtype)
        low, high = torch.cat([rows, zeros], dim=1).aminmax(dim=1)
        scale = torch.where(high > low, (high - low) / 255, 1.0)
        highest = torch.iinfo(dtype).max
        zero_point = torch.where(high > low, highest - high / scale, highest - 255.0).round().to(torch.int64)
    return (scale, zero_point) if per_channel else (scale.squeeze(0), zero_point.squeeze(0))


@right("choose_scale", "by numpy")
def scale_by_numpy(x, dtype, per_channel=False):
    numbers = x.detach().numpy().reshape(len(x) if per_channel else 1, -1)
    low, high = np.minimum(numbers.min(1), 0), np.maximum(numbers.max(1), 0)
    scale = (high - low) / 255
    scale[scale == 0] = 1
    zero_point = np.rint(np.iinfo(str(dtype).split(".")[1]).min - low / scale).astype(np.int64)
    results = torch.from_numpy(scale), torch.from_numpy(zero_point)
    return results if per_channel else tuple(result[0] for result in results)


# Exercise 5: gradient accumulation --------------------------------------------------------------------------


def pieces(images, answers, size):
    return list(zip(images.split(int(size)), answers.split(int(size)), strict=True))


def added_up(network, loss_function, images, answers, micro_batch):
    """The gradients of all pieces, rightly weighted, on top of what is there; the mean loss."""
    mean = 0.0
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y) * len(x) / len(images)
        loss.backward()
        mean += loss.item()
    return mean


@wrong("accumulate", "the losses of the pieces are not divided by anything")
def not_divided(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    losses = []
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y)
        loss.backward()
        losses.append(loss.item() * len(x) / len(images))
    return sum(losses)


@wrong("accumulate", "the mean of means: the last, smaller piece counts as much as the others")
def mean_of_means(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    parts, mean = pieces(images, answers, micro_batch), 0.0
    for x, y in parts:
        loss = loss_function(network(x), y) / len(parts)
        loss.backward()
        mean += loss.item()
    return mean


@wrong("accumulate", "right gradients, but the mean of means as loss")
def loss_of_means(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    losses = []
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y)
        (loss * len(x) / len(images)).backward()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@wrong("accumulate", "every piece counts micro_batch / N")
def share_of_full_piece(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    mean = 0.0
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y) * micro_batch / len(images)
        loss.backward()
        mean += loss.item()
    return mean


@wrong("accumulate", "the last, smaller piece is left out")
def drops_last(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    mean = 0.0
    for x, y in pieces(images, answers, micro_batch):
        if len(x) == micro_batch:
            loss = loss_function(network(x), y) * len(x) / len(images)
            loss.backward()
            mean += loss.item()
    return mean


@wrong("accumulate", "gradients are cleared before each piece")
def clears_each_time(network, loss_function, images, answers, micro_batch):
    mean = 0.0
    for x, y in pieces(images, answers, micro_batch):
        network.zero_grad()
        loss = loss_function(network(x), y) * len(x) / len(images)
        loss.backward()
        mean += loss.item()
    return mean


@wrong("accumulate", "old gradients are not cleared")
def never_clears(network, loss_function, images, answers, micro_batch):
    mean = 0.0
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y) * len(x) / len(images)
        loss.backward()
        mean += loss.item()
    return mean


@wrong("accumulate", "one backward at the end: all pieces stay in memory")
def backward_at_the_end(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    parts = pieces(images, answers, micro_batch)
    loss = sum(loss_function(network(x), y) * len(x) / len(images) for x, y in parts)
    loss.backward()
    return loss.item()


@wrong("accumulate", "the whole batch at once")
def at_once(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    loss = loss_function(network(images), answers)
    loss.backward()
    return loss.item()


@wrong("accumulate", "the loss of the last piece")
def last_loss(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y)
        (loss * len(x) / len(images)).backward()
    return loss.item()


@wrong("accumulate", "the loss as a tensor")
def loss_as_tensor(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    mean = torch.tensor(0.0)
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y) * len(x) / len(images)
        loss.backward()
        mean += loss.detach()
    return mean


@wrong("accumulate", "a step is taken, too")
def takes_a_step(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    mean = 0.0
    for x, y in pieces(images, answers, micro_batch):
        loss = loss_function(network(x), y) * len(x) / len(images)
        loss.backward()
        mean += loss.item()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1).step()
    return mean


@wrong("accumulate", "the network is put into training mode")
def trains(network, loss_function, images, answers, micro_batch):
    network.train()
    return share_by_length(network, loss_function, images, answers, micro_batch)


@wrong("accumulate", "everything is unfrozen")
def unfreezes(network, loss_function, images, answers, micro_batch):
    network.requires_grad_(True)
    return share_by_length(network, loss_function, images, answers, micro_batch)


@wrong("accumulate", "the pieces are drawn in random order")
def shuffles(network, loss_function, images, answers, micro_batch):
    order = torch.randperm(len(images))
    return share_by_length(network, loss_function, images[order], answers[order], micro_batch)


@wrong("accumulate", "every n-th example in a piece: chunk(n) makes other sizes")
def equal_chunks(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    count = -(-len(images) // int(micro_batch))
    mean = 0.0
    for x, y in zip(images.chunk(count), answers.chunk(count), strict=True):
        loss = loss_function(network(x), y) * len(x) / len(images)
        loss.backward()
        mean += loss.item()
    return mean


@wrong("accumulate", "gradients are averaged at the end over the number of pieces")
def averages_at_the_end(network, loss_function, images, answers, micro_batch):
    network.zero_grad()
    parts, total = pieces(images, answers, micro_batch), 0.0
    for x, y in parts:
        loss = loss_function(network(x), y)
        loss.backward()
        total += loss.item() * len(x)
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.grad /= len(parts)
    return total / len(images)


@wrong("accumulate", "old gradients times 0: nan stays nan")
def times_zero(network, loss_function, images, answers, micro_batch):
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(0)
    return added_up(network, loss_function, images, answers, micro_batch)


@wrong("accumulate", "old gradients are taken off at the end: large ones leave no digits of the new ones")
def takes_old_off(network, loss_function, images, answers, micro_batch):
    old = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    mean = added_up(network, loss_function, images, answers, micro_batch)
    for parameter, grad in zip(network.parameters(), old, strict=True):
        if grad is not None:
            parameter.grad -= grad
    return mean


@right("accumulate", "split, and each piece's share")
def share_by_length(network, loss_function, images, answers, micro_batch):
    parts = pieces(images, answers, micro_batch)
    network.zero_grad(set_to_none=True)
    mean = 0.0
    for x, y in parts:
        loss = loss_function(network(x), y) * (len(x) / len(images))
        loss.backward()
        mean += float(loss.detach())
    return mean


@right("accumulate", "a DataLoader, and gradients divided at the end")
def by_loader(network, loss_function, images, answers, micro_batch):
    for parameter in network.parameters():
        parameter.grad = None
    total = 0.0
    for x, y in DataLoader(TensorDataset(images, answers), batch_size=int(micro_batch)):
        loss = loss_function(network(x), y) * len(x)
        loss.backward()
        total += loss.item()
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.grad /= len(images)
    return total / len(images)


@right("accumulate", "torch.autograd.grad, added up by hand")
def by_autograd(network, loss_function, images, answers, micro_batch):
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    sums, mean = [torch.zeros_like(parameter) for parameter in learned], 0.0
    for start in range(0, len(images), micro_batch):
        x, y = images[start : start + micro_batch], answers[start : start + micro_batch]
        loss = loss_function(network(x), y) * (len(x) / len(images))
        grads = torch.autograd.grad(loss, learned, allow_unused=True)
        sums = [s if g is None else s + g for s, g in zip(sums, grads, strict=True)]
        mean += loss.item()
    for parameter, grad in zip(learned, sums, strict=True):
        parameter.grad = grad
    return mean


@right("accumulate", "a while loop, gradients set to zeros")
def by_while(network, loss_function, images, answers, micro_batch):
    network.zero_grad(set_to_none=False)
    done, losses, n = 0, [], images.shape[0]
    while done < n:
        stop = min(done + micro_batch, n)
        loss = loss_function(network(images[done:stop]), answers[done:stop])
        loss.backward(torch.tensor((stop - done) / n, dtype=loss.dtype))
        losses.append(loss.item() * (stop - done))
        done = stop
    return sum(losses) / n


# Exercise 6: which channels ---------------------------------------------------------------------------------


def best(norms, count, largest=True):
    if count < 1 or count > len(norms):
        raise ValueError(f"count={count} of {len(norms)}")
    return norms.sort(descending=largest, stable=True).indices[:count].sort().values


@wrong("channels_to_keep", "L2 norms")
def by_l2(weight, count):
    return best(weight.detach().square().sum((1, 2, 3)).sqrt(), count)


@wrong("channels_to_keep", "signs are kept: positive and negative weights cancel")
def with_signs(weight, count):
    return best(weight.detach().sum((1, 2, 3)), count)


@wrong("channels_to_keep", "the absolute value of the sum")
def absolute_last(weight, count):
    return best(weight.detach().sum((1, 2, 3)).abs(), count)


@wrong("channels_to_keep", "the smallest norms are kept")
def smallest(weight, count):
    return best(weight.detach().abs().sum((1, 2, 3)), count, largest=False)


@wrong("channels_to_keep", "the largest weight decides")
def by_largest_weight(weight, count):
    return best(weight.detach().abs().amax((1, 2, 3)), count)


@wrong("channels_to_keep", "norms of input channels")
def by_inputs(weight, count):
    return best(weight.detach().abs().sum((0, 2, 3)), count)


@wrong("channels_to_keep", "in the order of the norms")
def order_of_norms(weight, count):
    best(weight.detach().abs().sum((1, 2, 3)), count)
    return weight.detach().abs().sum((1, 2, 3)).sort(descending=True, stable=True).indices[:count]


@wrong("channels_to_keep", "of equal norms the higher numbers are kept")
def higher_numbers(weight, count):
    best(weight.detach().abs().sum((1, 2, 3)), count)
    return weight.detach().abs().sum((1, 2, 3)).sort(stable=True).indices[-count:].sort().values


@wrong("channels_to_keep", "as many as reach a threshold: equal norms are all kept")
def threshold(weight, count):
    norms = weight.detach().abs().sum((1, 2, 3))
    best(norms, count)
    return (norms >= norms.sort(descending=True).values[count - 1]).nonzero()[:, 0]


@wrong("channels_to_keep", "a mask in place of numbers")
def mask_of_kept(weight, count):
    keep = best(weight.detach().abs().sum((1, 2, 3)), count)
    return torch.zeros(len(weight), dtype=torch.bool).index_fill(0, keep, True)


@wrong("channels_to_keep", "those to be left away")
def to_leave_away(weight, count):
    keep = best(weight.detach().abs().sum((1, 2, 3)), count).tolist()
    return torch.tensor([row for row in range(len(weight)) if row not in keep], dtype=torch.int64)


@wrong("channels_to_keep", "too many are cut down to all")
def cuts_count(weight, count):
    return best(weight.detach().abs().sum((1, 2, 3)), min(count, len(weight)))


@wrong("channels_to_keep", "in float32")
def norms_in_float32(weight, count):
    return best(weight.detach().float().abs().sum((1, 2, 3)), count)


@wrong("channels_to_keep", "gradients are off for good")
def no_gradients_any_more(weight, count):
    torch.set_grad_enabled(False)
    return best(weight.abs().sum((1, 2, 3)), count)


@right("channels_to_keep", "Python's sort by norm and number")
def by_python(weight, count):
    if not 0 < count <= weight.shape[0]:
        raise ValueError(f"cannot keep {count}")
    norms = [channel.abs().sum().item() for channel in weight.detach()]
    order = sorted(range(len(norms)), key=lambda number: norms[number], reverse=True)  # stable, also reversed
    return torch.tensor(sorted(order[:count]))


@right("channels_to_keep", "argsort of the negative norms")
def by_argsort(weight, count):
    if count < 1 or count > weight.size(0):
        raise ValueError(f"{count} is not between 1 and {weight.size(0)}")
    with torch.no_grad():
        order = torch.argsort(-weight.flatten(1).norm(p=1, dim=1), stable=True)
    return torch.sort(order[:count])[0]


@right("channels_to_keep", "numpy's lexsort")
def by_lexsort(weight, count):
    if count not in range(1, len(weight) + 1):
        raise ValueError(f"count {count}")
    norms = np.abs(weight.detach().numpy()).sum(axis=(1, 2, 3))
    order = np.lexsort((np.arange(len(norms)), -norms))
    return torch.from_numpy(np.sort(order[:count]))


# Exercise 6: prune ------------------------------------------------------------------------------------------


def cut(layer, name, dim, keep):
    """Replace a tensor of a layer by a part of it."""
    old = getattr(layer, name)
    if old is not None:
        part = old.detach().index_select(dim, keep)
        setattr(layer, name, nn.Parameter(part, old.requires_grad) if isinstance(old, nn.Parameter) else part)


def cut_all(conv, norm, following, keep, leave=(), sizes=True):
    """Copies that are cut as they should be, but for what `leave` names."""
    layers = {"conv": conv, "norm": norm, "following": following}
    layers = {name: copy.deepcopy(layer) for name, layer in layers.items()}
    parts = [("conv", "weight", 0), ("conv", "bias", 0), ("following", "weight", 1)]
    parts += [("norm", name, 0) for name in ("weight", "bias", "running_mean", "running_var")]
    for name, part, dim in parts:
        if (name, part) not in leave:
            cut(layers[name], part, dim, keep)
    for layer in layers.values():
        for parameter in layer.parameters():
            parameter.grad = None
    if sizes:
        layers["conv"].out_channels = layers["norm"].num_features = layers["following"].in_channels = len(
            keep
        )
    return tuple(layers.values())


def first_part(layer, name, count):
    """The wrong part: the first numbers."""
    old = getattr(layer, name)
    if old is not None:
        part = old.detach()[:count].clone()
        setattr(layer, name, nn.Parameter(part, old.requires_grad) if isinstance(old, nn.Parameter) else part)


@wrong("prune", "the bias of the convolution keeps all channels")
def bias_not_pruned(conv, norm, following, keep):
    return cut_all(conv, norm, following, keep, [("conv", "bias")])


@wrong("prune", "the bias of the first channels")
def bias_of_the_first(conv, norm, following, keep):
    layers = cut_all(conv, norm, following, keep, [("conv", "bias")])
    first_part(layers[0], "bias", len(keep))
    return layers


@wrong("prune", "the statistics of the first channels")
def statistics_of_the_first(conv, norm, following, keep):
    leave = [("norm", "running_mean"), ("norm", "running_var")]
    layers = cut_all(conv, norm, following, keep, leave)
    for _, name in leave:
        first_part(layers[1], name, len(keep))
    return layers


@wrong("prune", "a new batch norm, with fresh statistics")
def fresh_norm(conv, norm, following, keep):
    new_conv, _, new_following = cut_all(conv, norm, following, keep)
    new = nn.BatchNorm2d(len(keep), norm.eps, norm.momentum).to(norm.weight.dtype).train(norm.training)
    new.weight = nn.Parameter(norm.weight.detach()[keep], norm.weight.requires_grad)
    new.bias = nn.Parameter(norm.bias.detach()[keep], norm.bias.requires_grad)
    new.num_batches_tracked.copy_(norm.num_batches_tracked)
    return new_conv, new, new_following


@wrong("prune", "a new batch norm with eps and momentum as they usually are")
def usual_norm(conv, norm, following, keep):
    new_conv, old, new_following = cut_all(conv, norm, following, keep)
    new = nn.BatchNorm2d(len(keep)).to(norm.weight.dtype).train(norm.training)
    new.load_state_dict(old.state_dict())
    for name, parameter in new.named_parameters():
        parameter.requires_grad_(getattr(norm, name).requires_grad)
    return new_conv, new, new_following


@wrong("prune", "the next convolution loses results in place of inputs")
def wrong_dimension(conv, norm, following, keep):
    layers = cut_all(conv, norm, following, keep, [("following", "weight")])
    cut(layers[2], "weight", 0, keep)
    return layers


@wrong("prune", "the next convolution takes the first channels")
def inputs_of_the_first(conv, norm, following, keep):
    return (
        *cut_all(conv, norm, following, keep)[:2],
        cut_all(conv, norm, following, torch.arange(len(keep)))[2],
    )


@wrong("prune", "in increasing order, whatever keep says")
def sorts_keep(conv, norm, following, keep):
    return cut_all(conv, norm, following, keep.sort().values)


@wrong("prune", "the next convolution's channels in increasing order")
def sorts_inputs(conv, norm, following, keep):
    return (*cut_all(conv, norm, following, keep)[:2], cut_all(conv, norm, following, keep.sort().values)[2])


@wrong("prune", "channels are set to 0 and stay")
def only_zeros(conv, norm, following, keep):
    layers = copy.deepcopy((conv, norm, following))
    gone = [channel for channel in range(conv.out_channels) if channel not in keep.tolist()]
    with torch.no_grad():
        layers[0].weight[gone] = 0
    return layers


@wrong("prune", "the channels in keep are those that go")
def keeps_the_others(conv, norm, following, keep):
    others = [channel for channel in range(conv.out_channels) if channel not in keep.tolist()]
    return cut_all(conv, norm, following, torch.tensor(others, dtype=torch.int64))


@wrong("prune", "the old layers are cut")
def cuts_the_old(conv, norm, following, keep):
    new = cut_all(conv, norm, following, keep)
    for old, layer in zip((conv, norm, following), new, strict=True):
        old.__dict__.update(layer.__dict__)
    return conv, norm, following


@wrong("prune", "out_channels, num_features and in_channels still say the old sizes")
def old_sizes(conv, norm, following, keep):
    return cut_all(conv, norm, following, keep, sizes=False)


@wrong("prune", "a shallow copy: what is not cut belongs to both")
def shares_memory(conv, norm, following, keep):
    new_conv, new_norm, new_following = cut_all(conv, norm, following, keep)
    if following.bias is not None:
        new_following.bias = following.bias
    return new_conv, new_norm, new_following


@wrong("prune", "everything learns afterwards, also what was frozen")
def unfreezes_all(conv, norm, following, keep):
    layers = cut_all(conv, norm, following, keep)
    for layer in layers:
        layer.requires_grad_(True)
    return layers


@wrong("prune", "new convolutions in training mode, without padding mode and dilation")
def rebuilds_carelessly(conv, norm, following, keep):
    parts = cut_all(conv, norm, following, keep)
    new_conv = nn.Conv2d(conv.in_channels, len(keep), conv.kernel_size, conv.stride, conv.padding,
                         bias=conv.bias is not None, dtype=conv.weight.dtype)  # fmt: skip
    new_conv.load_state_dict(parts[0].state_dict())
    new_conv.weight.requires_grad_(conv.weight.requires_grad)
    return new_conv, *parts[1:]


@wrong("prune", "all in evaluation mode")
def into_eval(conv, norm, following, keep):
    return tuple(layer.eval() for layer in cut_all(conv, norm, following, keep))


@wrong("prune", "gradients of old steps come along")
def old_gradients(conv, norm, following, keep):
    layers = cut_all(conv, norm, following, keep)
    if norm.weight.grad is not None:
        layers[1].weight.grad = norm.weight.grad[keep]
    return layers


@wrong("prune", "float32 anyway")
def into_float32(conv, norm, following, keep):
    return tuple(layer.float() for layer in cut_all(conv, norm, following, keep))


@wrong("prune", "the weights are parts of the old parameters, and cannot be trained")
def no_parameters(conv, norm, following, keep):
    layers = cut_all(conv, norm, following, keep)
    weight = conv.weight[keep]
    del layers[0].weight
    layers[0].weight = weight
    return layers


@wrong("prune", "momentum None, the mean of all batches, becomes 0.1")
def momentum_or_usual(conv, norm, following, keep):
    layers = cut_all(conv, norm, following, keep)
    layers[1].momentum = norm.momentum or 0.1
    return layers


@right("prune", "deep copies that are cut")
def by_deepcopy(conv, norm, following, keep):
    return cut_all(conv, norm, following, keep)


@right("prune", "new layers, built with all options of the old ones")
def rebuilds(conv, norm, following, keep):
    def like(layer, inputs, outputs):
        new = nn.Conv2d(
            inputs,
            outputs,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            bias=layer.bias is not None,
            padding_mode=layer.padding_mode,
            dtype=layer.weight.dtype,
        )
        return new.train(layer.training)

    first, last = like(conv, conv.in_channels, len(keep)), like(following, len(keep), following.out_channels)
    middle = nn.BatchNorm2d(len(keep), eps=norm.eps, momentum=norm.momentum, dtype=norm.weight.dtype)
    middle.train(norm.training)
    with torch.no_grad():
        first.weight.copy_(conv.weight[keep])
        last.weight.copy_(following.weight[:, keep])
        if conv.bias is not None:
            first.bias.copy_(conv.bias[keep])
        if following.bias is not None:
            last.bias.copy_(following.bias)
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(middle, name).copy_(getattr(norm, name)[keep])
        middle.num_batches_tracked.copy_(norm.num_batches_tracked)
    for new, old in ((first, conv), (middle, norm), (last, following)):
        for name, parameter in new.named_parameters():
            parameter.requires_grad_(getattr(old, name).requires_grad)
    return first, middle, last


@right("prune", "deep copies whose .data is replaced")
def by_data(conv, norm, following, keep):
    new = copy.deepcopy(conv), copy.deepcopy(norm), copy.deepcopy(following)
    for layer in new:
        layer.zero_grad(set_to_none=True)
    new[0].weight.data = conv.weight.data[keep]
    if new[0].bias is not None:
        new[0].bias.data = conv.bias.data[keep]
    for name, tensor in norm.state_dict().items():
        if tensor.ndim:
            getattr(new[1], name).data = tensor[keep]
    new[2].weight.data = following.weight.data[:, keep]
    new[0].out_channels = new[1].num_features = new[2].in_channels = keep.numel()
    return new
