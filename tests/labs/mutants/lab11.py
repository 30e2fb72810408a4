"""Answers to lab 11 that learners could write: wrong ones must lose points, right ones keep all of them."""

import math
import random
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from torchvision import tv_tensors
from torchvision.transforms import v2

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: flip -------------------------------------------------------------------------------------------


def flipped_boxes(boxes, width):
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=1)


@wrong("flip", "the image only")
def image_only(image, mask, boxes):
    return image.flip(2), mask, boxes


@wrong("flip", "image and boxes, the mask stays")
def forgets_mask(image, mask, boxes):
    return image.flip(2), mask, flipped_boxes(boxes, image.shape[2])


@wrong("flip", "image and mask, the boxes stay")
def forgets_boxes(image, mask, boxes):
    return image.flip(2), mask.flip(1), boxes


@wrong("flip", "x1 and x2 do not change roles")
def edges_not_swapped(image, mask, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    width = image.shape[2]
    return image.flip(2), mask.flip(1), torch.stack([width - x1, y1, width - x2, y2], 1)


@wrong("flip", "W - 1 - x, as for pixels: a column off")
def last_pixel(image, mask, boxes):
    return image.flip(2), mask.flip(1), flipped_boxes(boxes, image.shape[2] - 1)


@wrong("flip", "x swapped but not mirrored")
def only_swapped(image, mask, boxes):
    return image.flip(2), mask.flip(1), boxes[:, [2, 1, 0, 3]]


@wrong("flip", "the height for the width")
def height_for_width(image, mask, boxes):
    return image.flip(2), mask.flip(1), flipped_boxes(boxes, image.shape[1])


@wrong("flip", "upside down")
def upside_down(image, mask, boxes):
    x1, y1, x2, y2 = boxes.unbind(1)
    height = image.shape[1]
    return image.flip(1), mask.flip(0), torch.stack([x1, height - y2, x2, height - y1], 1)


@wrong("flip", "upside down as well")
def both_ways(image, mask, boxes):
    return image.flip(1, 2), mask.flip(0, 1), flipped_boxes(boxes, image.shape[2])


@wrong("flip", "the mask upside down")
def mask_upside_down(image, mask, boxes):
    return image.flip(2), mask.flip(0), flipped_boxes(boxes, image.shape[2])


@wrong("flip", "the boxes are changed in place")
def boxes_in_place(image, mask, boxes):
    width = image.shape[2]
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return image.flip(2), mask.flip(1), boxes


@wrong("flip", "x1 is overwritten before x2 is computed from it")
def overwrites(image, mask, boxes):
    new, width = boxes.clone(), image.shape[2]
    new[:, 0] = width - new[:, 2]
    new[:, 2] = width - new[:, 0]
    return image.flip(2), mask.flip(1), new


@wrong("flip", "float32 boxes, whatever they were")
def boxes_to_float(image, mask, boxes):
    return image.flip(2), mask.flip(1), flipped_boxes(boxes.float(), image.shape[2])


@wrong("flip", "the boxes in reverse order")
def reverse_order(image, mask, boxes):
    return image.flip(2), mask.flip(1), flipped_boxes(boxes, image.shape[2]).flip(0)


@wrong("flip", "channels are reversed, too")
def reverses_channels(image, mask, boxes):
    return image.flip(0, 2), mask.flip(1), flipped_boxes(boxes, image.shape[2])


@wrong("flip", "float64 boxes are rounded to float32 on the way")
def boxes_by_float32(image, mask, boxes):
    new = flipped_boxes(boxes.to(torch.float32), image.shape[2])
    return image.flip(2), mask.flip(1), new.to(boxes.dtype)


@wrong("flip", "the mask times a matrix in float32: large labels change")
def mask_by_matrix(image, mask, boxes):
    width = image.shape[2]
    turned = mask.float() @ torch.eye(width).fliplr()
    return image.flip(2), turned.to(mask.dtype), flipped_boxes(boxes, width)


@right("flip", "an index, and a difference of boxes")
def by_index(image, mask, boxes):
    width = image.size(-1)
    columns = torch.arange(width - 1, -1, -1)
    new = boxes.clone()
    new[:, 0], new[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
    return image[..., columns], mask[:, columns], new


@right("flip", "fliplr, and boxes by a list")
def by_fliplr(image, mask, boxes):
    w = mask.shape[1]
    rows = [[w - x2, y1, w - x1, y2] for x1, y1, x2, y2 in boxes.tolist()]
    return torch.stack([c.fliplr() for c in image]), mask.fliplr(), boxes.new_tensor(rows).reshape(-1, 4)


@right("flip", "torchvision for the pictures")
def by_torchvision(image, mask, boxes):
    turned = v2.functional.horizontal_flip(image), v2.functional.horizontal_flip(mask)
    signs, width = boxes.new_tensor([-1, 1, -1, 1]), image.shape[-1]
    offset = boxes.new_tensor([width, 0, width, 0])
    return *turned, (boxes * signs + offset)[:, [2, 1, 0, 3]]


# Exercise 1: crop -------------------------------------------------------------------------------------------


def cropped(image, mask, window):
    x1, y1, x2, y2 = window
    return image[:, y1:y2, x1:x2], mask[y1:y2, x1:x2]


def inside_of(boxes, window):
    x1, y1, x2, y2 = (int(n) for n in window)
    corner = boxes.new_tensor([x1, y1, x1, y1])
    return boxes.clamp(corner, boxes.new_tensor([x2, y2, x2, y2])) - corner


def with_area(boxes):
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


@wrong("crop", "empty boxes stay")
def keeps_empty(image, mask, boxes, labels, window):
    return *cropped(image, mask, window), inside_of(boxes, window), labels


@wrong("crop", "only boxes without width and without height are dropped")
def empty_in_both(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    kept = (new[:, 2] > new[:, 0]) | (new[:, 3] > new[:, 1])
    return *cropped(image, mask, window), new[kept], labels[kept]


@wrong("crop", "boxes without height stay")
def looks_at_width(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    kept = new[:, 2] > new[:, 0]
    return *cropped(image, mask, window), new[kept], labels[kept]


@wrong("crop", "boxes that touch the window stay")
def keeps_touching(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = window
    kept = (boxes[:, 0] <= x2) & (boxes[:, 2] >= x1) & (boxes[:, 1] <= y2) & (boxes[:, 3] >= y1)
    return *cropped(image, mask, window), inside_of(boxes, window)[kept], labels[kept]


@wrong("crop", "the labels of all boxes")
def all_labels(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    return *cropped(image, mask, window), new[with_area(new)], labels


@wrong("crop", "the first labels")
def first_labels(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    new = new[with_area(new)]
    return *cropped(image, mask, window), new, labels[: len(new)]


@wrong("crop", "the mask stays whole")
def whole_mask(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    kept = with_area(new)
    return cropped(image, mask, window)[0], mask, new[kept], labels[kept]


@wrong("crop", "boxes are cut, but not shifted")
def not_shifted(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    kept = with_area(new)
    x1, y1, _, _ = window
    return *cropped(image, mask, window), (new + new.new_tensor([x1, y1, x1, y1]))[kept], labels[kept]


@wrong("crop", "boxes are shifted, but not cut")
def not_cut(image, mask, boxes, labels, window):
    kept = with_area(inside_of(boxes, window))
    x1, y1, _, _ = window
    return *cropped(image, mask, window), (boxes - boxes.new_tensor([x1, y1, x1, y1]))[kept], labels[kept]


@wrong("crop", "cut at 0 only, not at the far edges")
def cut_at_zero(image, mask, boxes, labels, window):
    x1, y1, _, _ = window
    kept = with_area(inside_of(boxes, window))
    return (
        *cropped(image, mask, window),
        (boxes - boxes.new_tensor([x1, y1, x1, y1])).clamp(min=0)[kept],
        labels[kept],
    )


@wrong("crop", "cut at the coordinates of the whole picture")
def cut_to_old_size(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = window
    new = boxes - boxes.new_tensor([x1, y1, x1, y1])
    new = new.clamp(boxes.new_zeros(4), boxes.new_tensor([x2, y2, x2, y2]))
    kept = with_area(new)
    return *cropped(image, mask, window), new[kept], labels[kept]


@wrong("crop", "only boxes that lie in the window altogether are kept")
def whole_boxes_only(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = window
    kept = (boxes[:, 0] >= x1) & (boxes[:, 1] >= y1) & (boxes[:, 2] <= x2) & (boxes[:, 3] <= y2)
    return *cropped(image, mask, window), inside_of(boxes, window)[kept], labels[kept]


@wrong("crop", "boxes with their center outside are dropped")
def by_center(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = window
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    kept = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    return *cropped(image, mask, window), inside_of(boxes, window)[kept], labels[kept]


@wrong("crop", "boxes less than a pixel wide are dropped")
def a_pixel_at_least(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    kept = (new[:, 2] - new[:, 0] >= 1) & (new[:, 3] - new[:, 1] >= 1)
    return *cropped(image, mask, window), new[kept], labels[kept]


@wrong("crop", "the window is read as x, y, width, height")
def as_width_and_height(image, mask, boxes, labels, window):
    x1, y1, width, height = window
    return by_loop_over_boxes(image, mask, boxes, labels, (x1, y1, x1 + width, y1 + height))


@wrong("crop", "rows and columns exchanged")
def exchanges_axes(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = window
    new = inside_of(boxes, window)
    kept = with_area(new)
    return image[:, x1:x2, y1:y2], mask[x1:x2, y1:y2], new[kept], labels[kept]


@wrong("crop", "whole numbers for boxes")
def rounds_boxes(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    kept = with_area(new)
    return *cropped(image, mask, window), new[kept].round(), labels[kept]


@wrong("crop", "the window's last row and column are taken in as well")
def one_more(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = window
    new = inside_of(boxes, window)
    kept = with_area(new)
    return image[:, y1 : y2 + 1, x1 : x2 + 1], mask[y1 : y2 + 1, x1 : x2 + 1], new[kept], labels[kept]


@wrong("crop", "boxes are cut in place")
def crops_in_place(image, mask, boxes, labels, window):
    boxes.copy_(inside_of(boxes, window))
    kept = with_area(boxes)
    return *cropped(image, mask, window), boxes[kept], labels[kept]


@wrong("crop", "boxes of a tiny area are dropped")
def drops_tiny(image, mask, boxes, labels, window):
    new = inside_of(boxes, window)
    kept = with_area(new) & ((new[:, 2:] - new[:, :2]).prod(dim=1) > 1e-9)
    return *cropped(image, mask, window), new[kept], labels[kept]


@right("crop", "a loop over boxes")
def by_loop_over_boxes(image, mask, boxes, labels, window):
    left, top, right_, bottom = window
    rows, kept = [], []
    for number, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        x1, y1 = max(x1, left) - left, max(y1, top) - top
        x2, y2 = min(x2, right_) - left, min(y2, bottom) - top
        if x1 < x2 and y1 < y2:
            rows.append([x1, y1, x2, y2])
            kept.append(number)
    kept = torch.tensor(kept, dtype=torch.int64)
    return *cropped(image, mask, window), boxes.new_tensor(rows).reshape(-1, 4), labels[kept]


@right("crop", "shifted first, then cut to the window's size, kept by area")
def shifts_first(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = window
    image, mask = cropped(image, mask, window)
    xs = (boxes[:, 0::2] - int(x1)).clamp(0, int(x2 - x1))
    ys = (boxes[:, 1::2] - int(y1)).clamp(0, int(y2 - y1))
    areas = (xs[:, 1] - xs[:, 0]) * (ys[:, 1] - ys[:, 0])
    new = torch.stack([xs[:, 0], ys[:, 0], xs[:, 1], ys[:, 1]], dim=1)
    keep = areas.nonzero().squeeze(1)
    return image, mask, new[keep], labels[keep]


@right("crop", "torchvision's boxes, which clamp and sanitize")
def crop_by_torchvision(image, mask, boxes, labels, window):
    x1, y1, x2, y2 = map(int, window)
    wrapped = tv_tensors.BoundingBoxes(boxes.clone(), format="XYXY", canvas_size=tuple(mask.shape))
    new = v2.functional.crop(wrapped, y1, x1, y2 - y1, x2 - x1).as_subclass(torch.Tensor)
    new = torch.stack([new[:, 0].clamp(0, x2 - x1), new[:, 1].clamp(0, y2 - y1),
                       new[:, 2].clamp(0, x2 - x1), new[:, 3].clamp(0, y2 - y1)], 1)  # fmt: skip
    keep = ~((new[:, 2] <= new[:, 0]) | (new[:, 3] <= new[:, 1]))
    return (*cropped(image, mask, window), new[keep], labels[keep])


# Exercise 2: the learning curve -----------------------------------------------------------------------------


def check_points(counts, errors):
    if len(set(counts.tolist())) < 2:
        raise ValueError("two different counts are needed")
    if errors.numel() and errors.min() <= 0:
        raise ValueError("errors must be positive")


def line(x, y):
    """Slope and height at 0 of the line of least squares."""
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return slope.item(), (y.mean() - slope * x.mean()).item()


@wrong("fit_power_law", "a straight line between the numbers themselves")
def linear_space(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double(), errors.double())
    return level, -slope


@wrong("fit_power_law", "only the errors as logarithms: an exponential law")
def half_logarithmic(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double(), errors.double().log())
    return math.exp(level), -slope


@wrong("fit_power_law", "the sign of b")
def sign_of_b(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double().log(), errors.double().log())
    return math.exp(level), slope


@wrong("fit_power_law", "log(a) in place of a")
def log_of_a(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double().log(), errors.double().log())
    return level, -slope


@wrong("fit_power_law", "logarithms of base 10, and exp")
def two_bases(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double().log10(), errors.double().log10())
    return math.exp(level), -slope


@wrong("fit_power_law", "b is never negative")
def falls_always(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double().log(), errors.double().log())
    return math.exp(level), abs(slope)


@wrong("fit_power_law", "the line through the first and the last point")
def two_points(counts, errors):
    check_points(counts, errors)
    x, y = counts.double().log(), errors.double().log()
    slope = ((y[-1] - y[0]) / (x[-1] - x[0])).item()
    return math.exp((y[0] - slope * x[0]).item()), -slope


@wrong("fit_power_law", "through the first point")
def through_first(counts, errors):
    check_points(counts, errors)
    x, y = counts.double().log(), errors.double().log()
    slope = line(x, y)[0]
    return math.exp((y[0] - slope * x[0]).item()), -slope


@wrong("fit_power_law", "the line through the origin: a is always 1")
def through_origin(counts, errors):
    check_points(counts, errors)
    x, y = counts.double().log(), errors.double().log()
    return 1.0, -((x * y).sum() / x.square().sum()).item()


@wrong("fit_power_law", "the errors of one count are averaged first, so that each count weighs the same")
def averages_first(counts, errors):
    check_points(counts, errors)
    sizes = counts.unique()
    means = torch.stack([errors[counts == size].double().log().mean() for size in sizes])
    slope, level = line(sizes.double().log(), means)
    return math.exp(level), -slope


@wrong("fit_power_law", "a small number is added to avoid the logarithm of 0")
def adds_epsilon(counts, errors):
    if len(counts.unique()) < 2:
        raise ValueError("two counts")
    slope, level = line(counts.double().log(), (errors.double() + 1e-3).log())
    return math.exp(level), -slope


@wrong("fit_power_law", "the slope of x over y")
def other_slope(counts, errors):
    check_points(counts, errors)
    slope, level = line(errors.double().log(), counts.double().log())
    return math.exp(-level / slope), -1 / slope


@wrong("fit_power_law", "one count is not refused")
def one_count(counts, errors):
    x, y = counts.double().log(), errors.double().log()
    slope, level = line(x, y)
    return math.exp(level), -slope


@wrong("fit_power_law", "two equal counts pass for two")
def counts_points(counts, errors):
    if len(counts) < 2 or (errors <= 0).any():
        raise ValueError("too few points, or an error of 0")
    slope, level = line(counts.double().log(), errors.double().log())
    return math.exp(level), -slope


@wrong("fit_power_law", "only 0 is refused, negative errors are not")
def negative_passes(counts, errors):
    if len(counts.unique()) < 2 or (errors == 0).any():
        raise ValueError("too few counts, or an error of 0")
    slope, level = line(counts.double().log(), errors.double().log())
    return math.exp(level), -slope


@wrong("fit_power_law", "tensors")
def as_tensors(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double().log(), errors.double().log())
    return torch.tensor(level).exp(), torch.tensor(-slope)


@wrong("fit_power_law", "errors below a millionth are lifted to it")
def lifts_small_errors(counts, errors):
    check_points(counts, errors)
    slope, level = line(counts.double().log(), errors.double().clamp(min=1e-6).log())
    return math.exp(level), -slope


@wrong("fit_power_law", "the default type is float64 from here on")
def changes_default_type(counts, errors):
    check_points(counts, errors)
    torch.set_default_dtype(torch.float64)
    slope, level = line(counts.double().log(), errors.double().log())
    return math.exp(level), -slope


@right("fit_power_law", "numpy's polyfit")
def by_polyfit(counts, errors):
    if len(np.unique(counts.numpy())) < 2 or (errors.numpy() <= 0).any():
        raise ValueError("cannot fit")
    x = np.log(counts.numpy().astype(np.float64))
    slope, level = np.polyfit(x, np.log(errors.numpy().astype(np.float64)), deg=1)
    return float(np.exp(level)), float(-slope)


@right("fit_power_law", "torch.linalg.lstsq")
def by_lstsq(counts, errors):
    class CurveError(ValueError):
        pass

    if len(counts) == 0 or bool((counts == counts[0]).all()):
        raise CurveError("all at one count")
    if not bool((errors > 0).all()):
        raise CurveError("the logarithm needs positive errors")
    x = counts.to(torch.float64).log()
    columns = torch.stack([torch.ones_like(x), -x], dim=1)
    level, b = torch.linalg.lstsq(columns, errors.to(torch.float64).log()[:, None]).solution[:, 0].tolist()
    return math.exp(level), b


@right("fit_power_law", "Python's statistics, logarithms of base 2")
def by_statistics(counts, errors):
    from statistics import linear_regression

    check_points(counts, errors)
    slope, level = linear_regression(
        [math.log2(n) for n in counts.tolist()], [math.log2(e) for e in errors.tolist()]
    )
    return 2.0**level, -slope


# Exercise 3: class weights ----------------------------------------------------------------------------------


def counts_of(labels, num_classes):
    labels = labels.long()
    return torch.bincount(labels[labels != -100], minlength=int(num_classes))


@wrong("class_weights", "the share of each class, not its inverse")
def shares_of_classes(labels, num_classes):
    counts = counts_of(labels, num_classes)
    return (counts / counts.sum().clamp(min=1)).float()


@wrong("class_weights", "infinite for a class that never occurs")
def infinite(labels, num_classes):
    counts = counts_of(labels, num_classes)
    return counts.sum() / ((counts > 0).sum() * counts)


@wrong("class_weights", "a class that never occurs counts as if it occurred once")
def at_least_one(labels, num_classes):
    counts = counts_of(labels, num_classes)
    return (counts.sum() / ((counts > 0).sum().clamp(min=1) * counts.clamp(min=1))).float()


@wrong("class_weights", "all classes are counted, also those that do not occur")
def all_classes(labels, num_classes):
    counts = counts_of(labels, num_classes)
    return torch.where(counts > 0, counts.sum() / (num_classes * counts.clamp(min=1)), 0).float()


@wrong("class_weights", "1/n, not scaled")
def not_scaled(labels, num_classes):
    counts = counts_of(labels, num_classes)
    return torch.where(counts > 0, 1 / counts.clamp(min=1), 0).float()


@wrong("class_weights", "scaled so that the weights add up to K")
def sum_is_k(labels, num_classes):
    counts = counts_of(labels, num_classes)
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1), 0).float()
    return weights / weights.sum().clamp(min=1e-12) * num_classes


@wrong("class_weights", "by the root of the frequency")
def by_root(labels, num_classes):
    return class_weights_right(labels, num_classes).sqrt()


@wrong("class_weights", "unlabeled examples are in M")
def counts_unlabeled(labels, num_classes):
    counts = counts_of(labels, num_classes)
    present = (counts > 0).sum().clamp(min=1)
    return torch.where(counts > 0, labels.numel() / (present * counts.clamp(min=1)), 0).float()


@wrong("class_weights", "-100 becomes class 0")
def unlabeled_is_zero(labels, num_classes):
    return class_weights_right(labels.long().clamp(min=0), num_classes)


@wrong("class_weights", "no minlength: the last classes may be missing")
def too_short(labels, num_classes):
    labels = labels.long()
    counts = torch.bincount(labels[labels != -100])
    present = (counts > 0).sum().clamp(min=1)
    return torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1)), 0).float()


@wrong("class_weights", "1 where no class occurs")
def ones_without_labels(labels, num_classes):
    weights = class_weights_right(labels, num_classes)
    return weights if weights.any() else torch.ones(int(num_classes))


@wrong("class_weights", "float64")
def in_float64(labels, num_classes):
    return class_weights_right(labels, num_classes).double()


@wrong("class_weights", "1 is added to every count, against division by 0")
def smoothed(labels, num_classes):
    counts = counts_of(labels, num_classes)
    weights = counts.sum() / ((counts > 0).sum().clamp(min=1) * (counts + 1))
    return torch.where(counts > 0, weights, 0).float()


@wrong("class_weights", "labels in one dimension only")
def one_dimension(labels, num_classes):
    counts = torch.zeros(int(num_classes))
    for label in labels.tolist():
        if label != -100:
            counts[int(label)] += 1
    present = (counts > 0).sum().clamp(min=1)
    return torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1)), 0)


@wrong("class_weights", "compared in uint8, where -100 is 156")
def drops_class_156(labels, num_classes):
    counts = torch.bincount(labels[labels != -100].long(), minlength=int(num_classes))
    present = (counts > 0).sum().clamp(min=1)
    return torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1)), 0).float()


@right("class_weights", "one_hot, nan replaced")
def class_weights_right(labels, num_classes):
    known = labels[labels >= 0].long()
    counts = F.one_hot(known, int(num_classes)).sum(dim=0).reshape(-1).double()
    classes = int((counts > 0).sum())
    weights = known.numel() / (classes * counts) if classes else torch.zeros(int(num_classes))
    return torch.as_tensor(weights).nan_to_num(0, posinf=0).float()


@right("class_weights", "a Counter")
def by_counter(labels, num_classes):
    counts = Counter(labels.flatten().tolist())
    counts.pop(-100, None)
    total = sum(counts.values())
    return torch.tensor([total / len(counts) / counts[k] if k in counts else 0.0 for k in range(num_classes)])


@right("class_weights", "a comparison for each class")
def by_comparison(labels, num_classes):
    n = torch.stack([(labels == k).sum() for k in range(num_classes)]).to(torch.float64)
    weights = torch.zeros(n.shape)
    there = n > 0
    weights[there] = (n.sum() / (there.sum() * n[there])).float()
    return weights


# Exercise 4: mixup ------------------------------------------------------------------------------------------


def one_hot(labels, num_classes, like):
    return F.one_hot(labels, num_classes).to(like.dtype)


def mix(one, other, shares):
    shares = shares.reshape(-1, *[1] * (one.ndim - 1))
    return shares * one + (1 - shares) * other


@wrong("mixup", "each picture mixed with itself")
def with_itself(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return mix(images, images, shares), mix(answers, answers, shares)


@wrong("mixup", "the labels stay hard")
def hard_labels(images, labels, shares, order, num_classes):
    return mix(images, images[order], shares), one_hot(labels, num_classes, images)


@wrong("mixup", "the label of whoever has the larger share")
def larger_share(images, labels, shares, order, num_classes):
    chosen = torch.where(shares >= 0.5, labels, labels[order])
    return mix(images, images[order], shares), one_hot(chosen, num_classes, images)


@wrong("mixup", "shares exchanged for pictures and labels")
def shares_exchanged(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return mix(images, images[order], 1 - shares), mix(answers, answers[order], 1 - shares)


@wrong("mixup", "shares exchanged for labels only")
def labels_exchanged(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return mix(images, images[order], shares), mix(answers, answers[order], 1 - shares)


@wrong("mixup", "one share for the whole batch")
def one_share(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return (shares[0] * images + (1 - shares[0]) * images[order],
            shares[0] * answers + (1 - shares[0]) * answers[order])  # fmt: skip


@wrong("mixup", "the share of the partner")
def share_of_partner(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return mix(images, images[order], shares[order]), mix(answers, answers[order], shares[order])


@wrong("mixup", "the order the other way round")
def inverse_order(images, labels, shares, order, num_classes):
    order, answers = order.argsort(), one_hot(labels, num_classes, images)
    return mix(images, images[order], shares), mix(answers, answers[order], shares)


@wrong("mixup", "the pictures' partners, but not the labels' ones: the next in the batch")
def other_partner_for_labels(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return mix(images, images[order], shares), mix(answers, answers.roll(1, 0), shares)


@wrong("mixup", "always the mirrored batch")
def mirrored_batch(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return mix(images, images.flip(0), shares), mix(answers, answers.flip(0), shares)


@wrong("mixup", "shares run along the columns of a picture")
def along_columns(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    if images.shape[-1] != len(shares):
        return mix(images, images[order], shares), mix(answers, answers[order], shares)
    return shares * images + (1 - shares) * images[order], mix(answers, answers[order], shares)


@wrong("mixup", "numbers of classes are mixed")
def mixes_numbers(images, labels, shares, order, num_classes):
    mixed = shares * labels + (1 - shares) * labels[order]
    return mix(images, images[order], shares), one_hot(mixed.long(), num_classes, images)


@wrong("mixup", "one after the other, in place: some partners are mixtures already")
def one_after_the_other(images, labels, shares, order, num_classes):
    images, answers = images.clone(), one_hot(labels, num_classes, images)
    for i, partner in enumerate(order.tolist()):
        images[i] = shares[i] * images[i] + (1 - shares[i]) * images[partner]
        answers[i] = shares[i] * answers[i] + (1 - shares[i]) * answers[partner]
    return images, answers


@wrong("mixup", "the given images are changed")
def mixup_in_place(images, labels, shares, order, num_classes):
    answers = one_hot(labels, num_classes, images)
    return images.copy_(mix(images, images[order], shares)), mix(answers, answers[order], shares)


@wrong("mixup", "soft labels in float32")
def soft_float32(images, labels, shares, order, num_classes):
    answers = F.one_hot(labels, num_classes).float()
    return mix(images, images[order], shares), mix(answers, answers[order], shares.float())


@wrong("mixup", "the partner's share is written over one's own where both have one class")
def overwrites_share(images, labels, shares, order, num_classes):
    rows, soft = torch.arange(len(labels)), images.new_zeros(len(labels), num_classes)
    soft[rows, labels] = shares
    soft[rows, labels[order]] = 1 - shares
    return mix(images, images[order], shares), soft


@right("mixup", "lerp")
def by_lerp(images, labels, shares, order, num_classes):
    answers = torch.eye(num_classes, dtype=images.dtype)[labels]
    weight = 1 - shares
    return torch.lerp(images, images[order], weight.view(-1, 1, 1, 1).expand_as(images)), torch.lerp(
        answers, answers[order], weight[:, None].expand_as(answers)
    )


@right("mixup", "a loop over the batch")
def mixup_by_loop(images, labels, shares, order, num_classes):
    pictures, soft = [], torch.zeros(len(labels), num_classes, dtype=images.dtype)
    for i in range(len(labels)):
        partner = order[i]
        pictures.append(shares[i] * images[i] + (1 - shares[i]) * images[partner])
        soft[i, labels[i]] += shares[i]
        soft[i, labels[partner]] += 1 - shares[i]
    return torch.stack(pictures), soft


@right("mixup", "einsum with a matrix of shares")
def by_matrix(images, labels, shares, order, num_classes):
    batch = len(images)
    matrix = torch.diag(shares)
    matrix[torch.arange(batch), order] += 1 - shares
    answers = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.einsum("ij,jchw->ichw", matrix, images), matrix @ answers


# Exercise 5: cutmix -----------------------------------------------------------------------------------------


def pasted(images, labels, boxes, order, num_classes, area=None, clip=True):
    """Cutmix, of which the area that counts may be another one."""
    height, width = images.shape[2:]
    mixed, answers = images.clone(), one_hot(labels, num_classes, images)
    soft = answers.clone()
    for i, partner in enumerate(order.tolist()):
        box = boxes[i].tolist()
        x1, x2 = (min(max(x, 0), width) for x in box[0::2]) if clip else box[0::2]
        y1, y2 = (min(max(y, 0), height) for y in box[1::2]) if clip else box[1::2]
        mixed[i, :, y1:y2, x1:x2] = images[partner, :, y1:y2, x1:x2]
        inside = (x2 - x1) * (y2 - y1)
        share = (area(box, inside) if area else inside) / (height * width)
        soft[i] = (1 - share) * answers[i] + share * answers[partner]
    return mixed, soft


@wrong("cutmix", "the share of the box before it was cut to the picture")
def unclipped_area(images, labels, boxes, order, num_classes):
    def area(box, inside):
        return (box[2] - box[0]) * (box[3] - box[1])

    return pasted(images, labels, boxes, order, num_classes, area)


@wrong("cutmix", "the share of the uncut box, at most 1")
def unclipped_at_most_one(images, labels, boxes, order, num_classes):
    def area(box, inside):
        return min((box[2] - box[0]) * (box[3] - box[1]), images.shape[2] * images.shape[3])

    return pasted(images, labels, boxes, order, num_classes, area)


@wrong("cutmix", "boxes are not cut: negative numbers count from the end")
def not_clipped(images, labels, boxes, order, num_classes):
    return pasted(images, labels, boxes, order, num_classes, clip=False)


@wrong("cutmix", "the labels stay hard")
def cutmix_hard(images, labels, boxes, order, num_classes):
    return pasted(images, labels, boxes, order, num_classes)[0], one_hot(labels, num_classes, images)


@wrong("cutmix", "shares exchanged")
def cutmix_exchanged(images, labels, boxes, order, num_classes):
    def area(box, inside):
        return images.shape[2] * images.shape[3] - inside

    return pasted(images, labels, boxes, order, num_classes, area)


@wrong("cutmix", "x for rows and y for columns")
def axes_exchanged(images, labels, boxes, order, num_classes):
    return pasted(images, labels, boxes[:, [1, 0, 3, 2]], order, num_classes)


@wrong("cutmix", "x2 and y2 belong to the box")
def closed_box(images, labels, boxes, order, num_classes):
    more = torch.tensor([0, 0, 1, 1])
    return pasted(images, labels, boxes + more, order, num_classes)


@wrong("cutmix", "one box for the whole batch")
def one_box(images, labels, boxes, order, num_classes):
    return pasted(images, labels, boxes[:1].expand_as(boxes), order, num_classes)


@wrong("cutmix", "pasted in place: some partners have been pasted into already")
def pastes_one_after_the_other(images, labels, boxes, order, num_classes):
    height, width = images.shape[2:]
    mixed, soft = images.clone(), pasted(images, labels, boxes, order, num_classes)[1]
    for i, partner in enumerate(order.tolist()):
        x1, x2 = boxes[i, [0, 2]].clamp(0, width).tolist()
        y1, y2 = boxes[i, [1, 3]].clamp(0, height).tolist()
        mixed[i, :, y1:y2, x1:x2] = mixed[partner, :, y1:y2, x1:x2].clone()
    return mixed, soft


@wrong("cutmix", "the given images are changed")
def cutmix_in_place(images, labels, boxes, order, num_classes):
    mixed, soft = pasted(images, labels, boxes, order, num_classes)
    return images.copy_(mixed), soft


@wrong("cutmix", "the order the other way round")
def cutmix_inverse(images, labels, boxes, order, num_classes):
    return pasted(images, labels, boxes, order.argsort(), num_classes)


@wrong("cutmix", "with itself")
def cutmix_itself(images, labels, boxes, order, num_classes):
    return pasted(images, labels, boxes, torch.arange(len(order)), num_classes)


@wrong("cutmix", "the partner's rectangle from its top left corner")
def from_corner(images, labels, boxes, order, num_classes):
    height, width = images.shape[2:]
    mixed, soft = pasted(images, labels, boxes, order, num_classes)
    for i, partner in enumerate(order.tolist()):
        x1, x2 = boxes[i, [0, 2]].clamp(0, width).tolist()
        y1, y2 = boxes[i, [1, 3]].clamp(0, height).tolist()
        mixed[i, :, y1:y2, x1:x2] = images[partner, :, : y2 - y1, : x2 - x1]
    return mixed, soft


@wrong("cutmix", "boxes are cut at W - 1 and H - 1")
def clips_too_far(images, labels, boxes, order, num_classes):
    height, width = images.shape[2:]
    boxes = torch.stack([boxes[:, 0].clamp(0, width - 1), boxes[:, 1].clamp(0, height - 1),
                         boxes[:, 2].clamp(0, width - 1), boxes[:, 3].clamp(0, height - 1)], 1)  # fmt: skip
    return pasted(images, labels, boxes, order, num_classes)


@wrong("cutmix", "the mean share for all")
def mean_share(images, labels, boxes, order, num_classes):
    mixed = pasted(images, labels, boxes, order, num_classes)[0]
    answers = one_hot(labels, num_classes, images)
    height, width = images.shape[2:]
    sides = [boxes[:, a + 2].clamp(0, n) - boxes[:, a].clamp(0, n) for a, n in ((0, width), (1, height))]
    share = (sides[0] * sides[1]).to(images.dtype).mean() / (height * width)
    return mixed, (1 - share) * answers + share * answers[order]


@wrong("cutmix", "outside on both axes: the product of two negative sides passes for an area")
def minus_times_minus(images, labels, boxes, order, num_classes):
    height, width = images.shape[2:]

    def area(box, inside):
        sides = min(box[2], width) - max(box[0], 0), min(box[3], height) - max(box[1], 0)
        return max(sides[0] * sides[1], 0)

    return pasted(images, labels, boxes, order, num_classes, area)


@wrong("cutmix", "the area is the number of pixels that changed")
def pixels_that_changed(images, labels, boxes, order, num_classes):
    mixed, answers = (
        pasted(images, labels, boxes, order, num_classes)[0],
        one_hot(labels, num_classes, images),
    )
    share = (mixed != images).any(dim=1).to(images.dtype).mean((1, 2))[:, None]
    return mixed, (1 - share) * answers + share * answers[order]


@wrong("cutmix", "shares in float32 for images in float64")
def shares_in_float32(images, labels, boxes, order, num_classes):
    mixed, soft = pasted(images, labels, boxes, order, num_classes)
    return mixed, soft.float().to(images.dtype)


@right("cutmix", "a mask of all pixels")
def by_mask(images, labels, boxes, order, num_classes):
    height, width = images.shape[-2:]
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(1)
    y, x = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)  # (B, H, W)
    share = inside.sum((1, 2)).to(images.dtype)[:, None] / (height * width)
    answers = one_hot(labels, num_classes, images)
    return torch.where(inside[:, None], images[order], images), answers + share * (answers[order] - answers)


@right("cutmix", "by Python's numbers")
def cutmix_by_python(images, labels, boxes, order, num_classes):
    return pasted(images, labels, boxes, order, num_classes)


@right("cutmix", "boxes cut all at once, soft labels added up")
def clips_at_once(images, labels, boxes, order, num_classes):
    height, width = images.shape[2:]
    boxes = boxes.clone()
    boxes[:, 0::2] = boxes[:, 0::2].clamp(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clamp(0, height)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = 1 - areas.to(images.dtype) / (height * width)
    pictures, partners = images.clone(memory_format=torch.contiguous_format), images[order]
    for picture, partner, (x1, y1, x2, y2) in zip(pictures, partners, boxes.tolist(), strict=True):
        picture[:, y1:y2, x1:x2] = partner[:, y1:y2, x1:x2]
    soft = images.new_zeros(len(images), num_classes)
    soft.scatter_add_(1, labels[:, None], kept[:, None])
    soft.scatter_add_(1, labels[order][:, None], 1 - kept[:, None])
    return pictures, soft


# Exercise 6: nested subsets ---------------------------------------------------------------------------------


def generator_of(seed):
    return torch.Generator().manual_seed(int(seed))


def first_of_each(labels, order, per_class):
    rows = []
    for label in labels.unique().tolist():
        own = order[labels[order] == label]
        if len(own) < per_class:
            raise ValueError(f"class {label}: {len(own)} rows")
        rows.append(own[:per_class])
    return torch.cat(rows).sort().values


@wrong("nested_subset", "the first rows of each class")
def first_rows(labels, per_class, seed):
    return first_of_each(labels, torch.arange(len(labels)), per_class)


@wrong("nested_subset", "another order for each size: not nested")
def not_nested(labels, per_class, seed):
    order = torch.randperm(len(labels), generator=generator_of(1000 * int(seed) + int(per_class)))
    return first_of_each(labels, order, per_class)


@wrong("nested_subset", "the same subset for each seed")
def ignores_seed(labels, per_class, seed):
    return first_of_each(labels, torch.randperm(len(labels), generator=generator_of(0)), per_class)


@wrong("nested_subset", "the global random numbers are seeded")
def seeds_globally(labels, per_class, seed):
    torch.manual_seed(int(seed))
    return first_of_each(labels, torch.randperm(len(labels)), per_class)


@wrong("nested_subset", "the global random numbers decide")
def without_seed(labels, per_class, seed):
    return first_of_each(labels, torch.randperm(len(labels)), per_class)


@wrong("nested_subset", "rows may come twice")
def with_repetition(labels, per_class, seed):
    first_of_each(labels, torch.arange(len(labels)), per_class)
    generator, rows = generator_of(seed), []
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        rows.append(own[torch.randint(len(own), (int(per_class),), generator=generator)])
    return torch.cat(rows).sort().values


@wrong("nested_subset", "per_class rows in all")
def rows_in_all(labels, per_class, seed):
    first_of_each(labels, torch.arange(len(labels)), per_class)
    order = torch.randperm(len(labels), generator=generator_of(seed))
    return order[: int(per_class) * len(labels.unique())].sort().values


@wrong("nested_subset", "as many as there are, without an error")
def takes_what_is_there(labels, per_class, seed):
    order = torch.randperm(len(labels), generator=generator_of(seed))
    return torch.cat([order[labels[order] == label][:per_class] for label in labels.unique()]).sort().values


@wrong("nested_subset", "classes from 0 to the largest, also those that do not occur")
def every_number(labels, per_class, seed):
    order, rows = torch.randperm(len(labels), generator=generator_of(seed)), []
    for label in range(int(labels.max()) + 1):
        own = order[labels[order] == label]
        if len(own) < per_class:
            raise ValueError(f"class {label}: {len(own)} rows")
        rows.append(own[:per_class])
    return torch.cat(rows).sort().values


@wrong("nested_subset", "in the order of classes, not of rows")
def order_of_classes(labels, per_class, seed):
    first_of_each(labels, torch.arange(len(labels)), per_class)
    order = torch.randperm(len(labels), generator=generator_of(seed))
    return torch.cat([order[labels[order] == label][:per_class] for label in labels.unique()])


@wrong("nested_subset", "a window of rows that begins at a random one: neighbors come together")
def random_window(labels, per_class, seed):
    first_of_each(labels, torch.arange(len(labels)), per_class)
    start = int(torch.randint(len(labels), (1,), generator=generator_of(seed)))
    return first_of_each(labels, torch.arange(len(labels)).roll(-start), per_class)


@wrong("nested_subset", "labels in place of row numbers")
def returns_labels(labels, per_class, seed):
    return labels[first_of_each(labels, torch.randperm(len(labels), generator=generator_of(seed)), per_class)]


@wrong("nested_subset", "a mask")
def returns_mask(labels, per_class, seed):
    rows = first_of_each(labels, torch.randperm(len(labels), generator=generator_of(seed)), per_class)
    return torch.zeros(len(labels), dtype=torch.bool).index_fill(0, rows, True)


@wrong("nested_subset", "the message says nothing of the class")
def silent_error(labels, per_class, seed):
    if labels.unique(return_counts=True)[1].min() < per_class:
        raise ValueError("too few examples")
    return first_of_each(labels, torch.randperm(len(labels), generator=generator_of(seed)), per_class)


@wrong("nested_subset", "Python's global random numbers")
def by_global_random(labels, per_class, seed):
    random.seed(int(seed))
    order = list(range(len(labels)))
    random.shuffle(order)
    return first_of_each(labels, torch.tensor(order), per_class)


@right("nested_subset", "the seed as it is given, for torch's generator")
def plain_torch_seed(labels, per_class, seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    return first_of_each(labels, torch.randperm(len(labels), generator=generator), per_class)


@right("nested_subset", "the seed as it is given, for Python's generator")
def plain_python_seed(labels, per_class, seed):
    order = random.Random(seed).sample(range(len(labels)), len(labels))
    return first_of_each(labels, torch.tensor(order), per_class)


@right("nested_subset", "numpy's old generator, seeds below 2^32")
def old_numpy_seed(labels, per_class, seed):
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(labels)))
    return first_of_each(labels, order, per_class)


@right("nested_subset", "a permutation for each class, from one generator")
def each_class_shuffled(labels, per_class, seed):
    generator, rows = generator_of(seed), []
    for label in sorted(set(labels.tolist())):
        own = (labels == label).nonzero().flatten()
        if own.numel() < per_class:
            raise ValueError(f"only {own.numel()} examples of class {label}, {per_class} are asked for")
        rows += own[torch.randperm(len(own), generator=generator)][:per_class].tolist()
    return torch.tensor(sorted(rows))


@right("nested_subset", "numpy's generator, a random number for each row")
def by_random_numbers(labels, per_class, seed):
    class TooFew(ValueError):
        pass

    numbers, classes = np.random.default_rng(int(seed)).random(len(labels)), labels.numpy()
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(classes):
        own = np.flatnonzero(classes == label)
        if len(own) < per_class:
            raise TooFew(f"class {label} has {len(own)} examples")
        chosen[own[np.argsort(numbers[own])[: int(per_class)]]] = True
    return torch.from_numpy(np.flatnonzero(chosen))


@right("nested_subset", "Python's own generator, row after row until each class is full")
def until_full(labels, per_class, seed):
    counts = Counter(labels.tolist())
    for label, count in counts.items():
        if count < per_class:
            raise ValueError(f"class {label} occurs {count} times")
    order, taken, rows = list(range(len(labels))), Counter(), []
    random.Random(int(seed)).shuffle(order)
    for row in order:
        label = int(labels[row])
        if taken[label] < per_class:
            taken[label] += 1
            rows.append(row)
    return torch.tensor(rows, dtype=torch.int64).sort().values


# Exercise 7: label noise ------------------------------------------------------------------------------------


def rows_to_spoil(labels, share, generator):
    return torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]


def spoil(labels, rows, new):
    spoiled = labels.clone(memory_format=torch.contiguous_format)
    spoiled[rows] = new.to(labels.dtype)
    return spoiled


@wrong("spoil_labels", "the new class may be the old one")
def may_be_the_old(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    return spoil(labels, rows, torch.randint(int(num_classes), (len(rows),), generator=generator))


@wrong("spoil_labels", "each label by chance: about the right number")
def by_chance(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = (torch.rand(len(labels), generator=generator) < share).nonzero()[:, 0]
    steps = torch.randint(1, int(num_classes), (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "always the next class")
def next_class(labels, num_classes, share, seed):
    rows = rows_to_spoil(labels, share, generator_of(seed))
    return spoil(labels, rows, (labels[rows].long() + 1) % num_classes)


@wrong("spoil_labels", "one step for all")
def one_step(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    step = torch.randint(1, int(num_classes), (1,), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + step) % num_classes)


@wrong("spoil_labels", "steps from 1 to K - 2: one class never comes out")
def one_class_missing(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    steps = torch.randint(1, max(2, int(num_classes) - 1), (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "steps from 1 to K: K leads back")
def step_back_to_start(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    steps = torch.randint(1, int(num_classes) + 1, (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "no modulo: classes beyond K - 1")
def beyond_the_last(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    return spoil(
        labels,
        rows,
        labels[rows].long() + torch.randint(1, int(num_classes), (len(rows),), generator=generator),
    )


@wrong("spoil_labels", "the number is cut off")
def cut_off(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = torch.randperm(len(labels), generator=generator)[: int(share * len(labels))]
    steps = torch.randint(1, int(num_classes), (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "the first labels are spoiled")
def spoils_the_first(labels, num_classes, share, seed):
    rows = torch.arange(round(share * len(labels)))
    steps = torch.randint(1, int(num_classes), (len(rows),), generator=generator_of(seed))
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "rows may be drawn twice: fewer are wrong, or one is right again")
def rows_twice(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = torch.randint(len(labels), (round(share * len(labels)),), generator=generator)
    steps = torch.randint(1, int(num_classes), (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "the given labels are changed")
def spoils_in_place(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    steps = torch.randint(1, int(num_classes), (len(rows),), generator=generator)
    labels[rows] = ((labels[rows].long() + steps) % num_classes).to(labels.dtype)
    return labels


@wrong("spoil_labels", "the global random numbers are seeded")
def noise_seeds_globally(labels, num_classes, share, seed):
    torch.manual_seed(int(seed))
    rows = rows_to_spoil(labels, share, None)
    steps = torch.randint(1, int(num_classes), (len(rows),))
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "the seed makes no difference")
def noise_ignores_seed(labels, num_classes, share, seed):
    generator = generator_of(0)
    rows = rows_to_spoil(labels, share, generator)
    steps = torch.randint(1, int(num_classes), (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "chosen labels are exchanged among each other: some meet their like")
def exchanged(labels, num_classes, share, seed):
    rows = rows_to_spoil(labels, share, generator_of(seed))
    return spoil(labels, rows, labels[rows].roll(1))


@wrong("spoil_labels", "another class, but those above the old one twice as often")
def uneven(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    old = labels[rows].long()
    new = torch.randint(int(num_classes), (len(rows),), generator=generator)
    return spoil(labels, rows, torch.where(new == old, (old + 1) % num_classes, new))


@wrong("spoil_labels", "int64 comes out")
def noise_in_int64(labels, num_classes, share, seed):
    return modulo(labels.long(), num_classes, share, seed)


@wrong("spoil_labels", "the sum in the labels' own type: in int8 99 + 99 is -58")
def sum_wraps(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    steps = torch.randint(1, num_classes, (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows] + steps.to(labels.dtype)) % num_classes)


@wrong("spoil_labels", "steps 1, 2, 3, ... in turn")
def steps_in_turn(labels, num_classes, share, seed):
    rows = rows_to_spoil(labels, share, generator_of(seed))
    steps = 1 + torch.arange(len(rows)) % (num_classes - 1)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@wrong("spoil_labels", "where few are spoiled, one step from the seed for all")
def one_step_for_few(labels, num_classes, share, seed):
    if round(share * len(labels)) > 4:
        return modulo(labels, num_classes, share, seed)
    rows = rows_to_spoil(labels, share, generator_of(seed))
    return spoil(labels, rows, (labels[rows].long() + 1 + seed % (num_classes - 1)) % num_classes)


@right("spoil_labels", "the seed as it is given, for Python's generator")
def noise_plain_seed(labels, num_classes, share, seed):
    rng, spoiled = random.Random(seed), labels.tolist()
    for row in rng.sample(range(len(spoiled)), round(share * len(spoiled))):
        spoiled[row] = (spoiled[row] + rng.randrange(1, num_classes)) % num_classes
    return torch.tensor(spoiled, dtype=labels.dtype)


@right("spoil_labels", "the seed as it is given, for torch's generator")
def noise_torch_seed(labels, num_classes, share, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(labels.numel(), generator=generator)[: round(share * labels.numel())]
    spoiled = labels.long().clone()
    spoiled[rows] += torch.randint(1, num_classes, rows.shape, generator=generator)
    return (spoiled % num_classes).to(labels.dtype)


@right("spoil_labels", "steps modulo K")
def modulo(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    steps = torch.randint(1, int(num_classes), (len(rows),), generator=generator)
    return spoil(labels, rows, (labels[rows].long() + steps) % num_classes)


@right("spoil_labels", "a class from K - 1, and those from the old one on are moved up")
def moves_up(labels, num_classes, share, seed):
    generator = generator_of(seed)
    rows = rows_to_spoil(labels, share, generator)
    drawn = torch.randint(0, int(num_classes) - 1, (len(rows),), generator=generator)
    return spoil(labels, rows, drawn + (drawn >= labels[rows].long()))


@right("spoil_labels", "Python's own generator, one label after the other")
def noise_by_python(labels, num_classes, share, seed):
    rng, spoiled = random.Random(int(seed)), labels.tolist()
    for row in rng.sample(range(len(spoiled)), round(share * len(spoiled))):
        spoiled[row] = rng.choice([k for k in range(num_classes) if k != spoiled[row]])
    return torch.tensor(spoiled, dtype=labels.dtype)


@right("spoil_labels", "numpy's generator, drawn again until it is another class")
def draws_again(labels, num_classes, share, seed):
    rng, spoiled = np.random.default_rng(int(seed)), labels.numpy().copy()
    for row in rng.choice(len(spoiled), size=round(share * len(spoiled)), replace=False):
        new = spoiled[row]
        while new == spoiled[row]:
            new = rng.integers(num_classes)
        spoiled[row] = new
    return torch.from_numpy(spoiled)
