"""Answers to lab 04 that learners could write: wrong ones must lose points, right ones keep all of them."""

import copy
import hashlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from lab_runner import Answers
from torch import nn
from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchvision.ops import FeaturePyramidNetwork

from backbones import Network

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: box_iou ----------------------------------------------------------------------------------------


def corners(a, b):
    """What each pair shares, as left, top, right, bottom (N, M); the part that most answers get right."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return low[..., 0], low[..., 1], high[..., 0], high[..., 1]


def areas(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def shared_areas(a, b):
    left, top, right_end, bottom = corners(a, b)
    return (right_end - left).clamp(min=0) * (bottom - top).clamp(min=0)


def ratio(shared, union):
    return torch.where(union > 0, shared / union, torch.zeros_like(union))


@wrong("box_iou", "a constant that fits the visible example")
def the_example_only(a, b):
    return torch.tensor([[1 / 3, 0.0, 0.25], [0.0, 0.0, 0.0]])


@wrong("box_iou", "no clamping: two negative sides give a positive area")
def no_clamping(a, b):
    left, top, right_end, bottom = corners(a, b)
    shared = (right_end - left) * (bottom - top)
    return ratio(shared, areas(a)[:, None] + areas(b) - shared)


@wrong("box_iou", "clamps the product, not the sides")
def clamps_the_product(a, b):
    left, top, right_end, bottom = corners(a, b)
    shared = ((right_end - left) * (bottom - top)).clamp(min=0)
    return ratio(shared, areas(a)[:, None] + areas(b) - shared)


@wrong("box_iou", "clamps the result, not the sides")
def clamps_the_result(a, b):
    left, top, right_end, bottom = corners(a, b)
    shared = (right_end - left) * (bottom - top)
    return ratio(shared, areas(a)[:, None] + areas(b) - shared).clamp(0, 1)


@wrong("box_iou", "the union counts what is shared twice")
def union_counts_twice(a, b):
    return ratio(shared_areas(a, b), areas(a)[:, None] + areas(b))


@wrong("box_iou", "divides by the smaller box")
def by_the_smaller(a, b):
    return ratio(shared_areas(a, b), torch.minimum(areas(a)[:, None], areas(b)))


@wrong("box_iou", "divides by the first box: how much of it is covered")
def by_the_first(a, b):
    return ratio(shared_areas(a, b), areas(a)[:, None].expand(-1, len(b)))


@wrong("box_iou", "divides by the box that surrounds both")
def by_the_surrounding_box(a, b):
    low = torch.minimum(a[:, None, :2], b[None, :, :2])
    high = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    return ratio(shared_areas(a, b), (high - low).prod(dim=2))


@wrong("box_iou", "a pixel is added to each side, as Pascal VOC's inclusive corners want")
def adds_a_pixel(a, b):
    left, top, right_end, bottom = corners(a, b)
    shared = (right_end - left + 1).clamp(min=0) * (bottom - top + 1).clamp(min=0)
    area_a, area_b = ((x[:, 2] - x[:, 0] + 1) * (x[:, 3] - x[:, 1] + 1) for x in (a, b))
    return shared / (area_a[:, None] + area_b - shared)


@wrong("box_iou", "reads boxes as x, y, width, height")
def width_and_height(a, b):
    a, b = (torch.cat([x[:, :2], x[:, :2] + x[:, 2:]], dim=1) for x in (a, b))
    return ratio(shared_areas(a, b), areas(a)[:, None] + areas(b) - shared_areas(a, b))


@wrong("box_iou", "reads boxes as x1, x2, y1, y2")
def mixed_corners(a, b):
    a, b = a[:, [0, 2, 1, 3]], b[:, [0, 2, 1, 3]]
    return ratio(shared_areas(a, b), areas(a)[:, None] + areas(b) - shared_areas(a, b))


@wrong("box_iou", "pairs the boxes one to one")
def one_to_one(a, b):
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    return shared / (areas(a) + areas(b) - shared)


@wrong("box_iou", "rows and columns swapped")
def swapped(a, b):
    return torchvision.ops.box_iou(b, a).nan_to_num()


@wrong("box_iou", "a box without area against itself is 0 / 0")
def divides_by_zero(a, b):
    return torchvision.ops.box_iou(a, b)


@wrong("box_iou", "a small number against 0 / 0, which is large beside boxes in shares of an image")
def epsilon(a, b):
    shared = shared_areas(a, b)
    return shared / (areas(a)[:, None] + areas(b) - shared + 1e-6)


@wrong("box_iou", "a union of at least 1: right for pixels, wrong for shares of an image")
def union_at_least_one(a, b):
    shared = shared_areas(a, b)
    return shared / (areas(a)[:, None] + areas(b) - shared).clamp(min=1)


@wrong("box_iou", "moves the boxes to the origin, in place")
def in_place(a, b):
    smallest = min(a.min(), b.min()) if len(a) and len(b) else 0
    a -= smallest
    b -= smallest
    return torchvision.ops.box_iou(a, b).nan_to_num()


@wrong("box_iou", "a list of rows cannot be stacked when there are none")
def stacks_rows(a, b):
    rows = []
    for box in a:
        low, high = torch.maximum(box[:2], b[:, :2]), torch.minimum(box[2:], b[:, 2:])
        shared = (high - low).clamp(min=0).prod(dim=1)
        rows.append(ratio(shared, (box[2:] - box[:2]).prod() + areas(b) - shared))
    return torch.stack(rows)


@wrong("box_iou", "looks for corners of one box inside the other: misses boxes that cross")
def corners_inside(a, b):
    out = torch.zeros(len(a), len(b))
    for n, (x1, y1, x2, y2) in enumerate(a.tolist()):
        for m, (u1, v1, u2, v2) in enumerate(b.tolist()):
            one = any(u1 <= x <= u2 and v1 <= y <= v2 for x in (x1, x2) for y in (y1, y2))
            other = any(x1 <= u <= x2 and y1 <= v <= y2 for u in (u1, u2) for v in (v1, v2))
            if one or other:
                shared = max(0, min(x2, u2) - max(x1, u1)) * max(0, min(y2, v2) - max(y1, v1))
                union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared
                out[n, m] = shared / union if union else 0
    return out


@wrong("box_iou", "a matrix of one row or column is squeezed")
def squeezes(a, b):
    return torchvision.ops.box_iou(a, b).nan_to_num().squeeze()


@wrong("box_iou", "returns nothing")
def forgets_return(a, b):
    torchvision.ops.box_iou(a, b).nan_to_num()


@right("box_iou", "torchvision's, its nan replaced")
def torchvision_mended(a, b):
    return torchvision.ops.box_iou(a, b).nan_to_num(0)


@right("box_iou", "a loop over all pairs")
def loops(a, b):
    out = torch.zeros(len(a), len(b))
    for n, (x1, y1, x2, y2) in enumerate(a.tolist()):
        for m, (u1, v1, u2, v2) in enumerate(b.tolist()):
            shared = max(0.0, min(x2, u2) - max(x1, u1)) * max(0.0, min(y2, v2) - max(y1, v1))
            if shared > 0:
                out[n, m] = shared / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared)
    return out


@right("box_iou", "one coordinate at a time, the union kept away from 0 by a very small number")
def coordinate_by_coordinate(a, b):
    x1, y1, x2, y2 = a.T.unsqueeze(-1)
    u1, v1, u2, v2 = b.T.unsqueeze(1)
    width = F.relu(torch.min(x2, u2) - torch.max(x1, u1))
    height = F.relu(torch.min(y2, v2) - torch.max(y1, v1))
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - width * height
    return width * height / union.clamp(min=1e-12)


@right("box_iou", "numpy in double precision")
def with_numpy(a, b):
    p, q = a.numpy().astype(float)[:, None], b.numpy().astype(float)[None]
    sides = np.minimum(p[..., 2:], q[..., 2:]) - np.maximum(p[..., :2], q[..., :2])
    shared = np.where((sides > 0).all(-1), sides.prod(-1), 0.0)
    union = (p[..., 2:] - p[..., :2]).prod(-1) + (q[..., 2:] - q[..., :2]).prod(-1) - shared
    out = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return torch.from_numpy(out).float()


# Exercise 2: nms --------------------------------------------------------------------------------------------


def by_score(scores):
    return scores.argsort(descending=True, stable=True)


def greedy(boxes, scores, labels, double, order=None):
    """A right loop with exchangeable parts: `double(iou, same_class)` and the order."""
    iou = torchvision.ops.box_iou(boxes, boxes)
    kept = []
    for row in (by_score(scores) if order is None else order).tolist():
        if not any(double(iou[row, k], labels[row] == labels[k]) for k in kept):
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "per image, not per class: an object goes with its neighbor of another class")
def per_image(boxes, scores, labels, threshold=0.5):
    return greedy(boxes, scores, labels, lambda iou, same: iou > threshold)


@wrong("nms", "the worst box first")
def worst_first(boxes, scores, labels, threshold=0.5):
    order = scores.argsort(stable=True)
    return greedy(boxes, scores, labels, lambda iou, same: same and iou > threshold, order)


@wrong("nms", "removes at the threshold already")
def at_the_threshold(boxes, scores, labels, threshold=0.5):
    return greedy(boxes, scores, labels, lambda iou, same: same and iou >= threshold)


@wrong("nms", "the threshold is ignored: always 0.5")
def always_a_half(boxes, scores, labels, threshold=0.5):
    return greedy(boxes, scores, labels, lambda iou, same: same and iou > 0.5)


@wrong("nms", "keeps overlapping boxes, removes the others")
def wrong_way_round(boxes, scores, labels, threshold=0.5):
    return greedy(boxes, scores, labels, lambda iou, same: same and iou < threshold)


@wrong("nms", "in the order of the boxes, not of the scores")
def order_of_the_boxes(boxes, scores, labels, threshold=0.5):
    rows = torch.arange(len(boxes))
    return greedy(boxes, scores, labels, lambda iou, same: same and iou > threshold, rows)


@wrong("nms", "right rows, sorted by number")
def sorted_by_number(boxes, scores, labels, threshold=0.5):
    return greedy(boxes, scores, labels, lambda iou, same: same and iou > threshold).sort().values


@wrong("nms", "of equal scores the last comes first")
def last_of_equals(boxes, scores, labels, threshold=0.5):
    order = scores.argsort(stable=True).flip(0)
    return greedy(boxes, scores, labels, lambda iou, same: same and iou > threshold, order)


@wrong("nms", "a box that has gone still removes others")
def the_gone_remove(boxes, scores, labels, threshold=0.5):
    order = by_score(scores)
    doubles = torchvision.ops.box_iou(boxes[order], boxes[order]) > threshold
    doubles &= labels[order][:, None] == labels[order]
    return order[~doubles.triu(diagonal=1).any(dim=0)]


@wrong("nms", "one box a class: compares with the best of the class, then stops")
def one_round(boxes, scores, labels, threshold=0.5):
    iou, kept = torchvision.ops.box_iou(boxes, boxes), []
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        rows = rows[by_score(scores[rows])]
        kept += [rows[0].item(), *rows[1:][iou[rows[0], rows[1:]] <= threshold].tolist()]
    kept = torch.tensor(sorted(kept), dtype=torch.int64)
    return kept[by_score(scores[kept])]


@wrong("nms", "compares with the box kept last only")
def with_the_last_one(boxes, scores, labels, threshold=0.5):
    iou, kept = torchvision.ops.box_iou(boxes, boxes), []
    for row in by_score(scores).tolist():
        if not kept or labels[row] != labels[kept[-1]] or iou[row, kept[-1]] <= threshold:
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "torchvision's batched_nms: it moves classes apart by the largest coordinate")
def batched_nms(boxes, scores, labels, threshold=0.5):
    return torchvision.ops.batched_nms(boxes, scores, labels, threshold)


@wrong("nms", "moves classes apart by ten times the label: too little for wider boxes")
def moved_too_little(boxes, scores, labels, threshold=0.5):
    return torchvision.ops.nms(boxes + 10.0 * labels[:, None], scores, threshold)


@wrong("nms", "class after class, not the best score first")
def class_after_class(boxes, scores, labels, threshold=0.5):
    kept = [torch.zeros(0, dtype=torch.int64)]
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        kept.append(rows[torchvision.ops.nms(boxes[rows], scores[rows], threshold)])
    return torch.cat(kept)


@wrong("nms", "row numbers within the class, not within all boxes")
def numbers_within_the_class(boxes, scores, labels, threshold=0.5):
    kept = [torch.zeros(0, dtype=torch.int64)]
    for label in labels.unique():
        of_class = labels == label
        kept.append(torchvision.ops.nms(boxes[of_class], scores[of_class], threshold))
    return torch.cat(kept)


@wrong("nms", "row numbers in the sorted list")
def numbers_in_the_sorted_list(boxes, scores, labels, threshold=0.5):
    order = by_score(scores)
    return per_class(boxes[order], scores[order], labels[order], threshold)


@wrong("nms", "labels are taken to go from 0 to their number")
def labels_without_gaps(boxes, scores, labels, threshold=0.5):
    kept = torch.zeros(len(boxes), dtype=torch.bool)
    for label in range(len(labels.unique()) + 1):
        rows = (labels == label).nonzero()[:, 0]
        kept[rows[torchvision.ops.nms(boxes[rows], scores[rows], threshold)]] = True
    return by_score(scores)[kept[by_score(scores)]]


@wrong("nms", "returns the boxes")
def returns_boxes(boxes, scores, labels, threshold=0.5):
    return boxes[per_class(boxes, scores, labels, threshold)]


@wrong("nms", "returns a mask")
def returns_a_mask(boxes, scores, labels, threshold=0.5):
    mask = torch.zeros(len(boxes), dtype=torch.bool)
    mask[per_class(boxes, scores, labels, threshold)] = True
    return mask


@wrong("nms", "returns a list")
def returns_a_list(boxes, scores, labels, threshold=0.5):
    return per_class(boxes, scores, labels, threshold).tolist()


@wrong("nms", "crosses out the scores of what is done, in place")
def crosses_out(boxes, scores, labels, threshold=0.5):
    kept = []
    while len(scores) and scores.max() > -torch.inf:
        best = scores.argmax().item()
        kept.append(best)
        iou = torchvision.ops.box_iou(boxes[best : best + 1], boxes)[0]
        scores[(iou > threshold) & (labels == labels[best])] = -torch.inf
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "stops when no score is above zero")
def stops_at_zero(boxes, scores, labels, threshold=0.5):
    scores, kept = scores.clone(), []
    while len(scores) and scores.max() > 0:
        best = scores.argmax().item()
        kept.append(best)
        iou = torchvision.ops.box_iou(boxes[best : best + 1], boxes)[0]
        scores[(iou > threshold) & (labels == labels[best])] = 0
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "without boxes there is no best one")
def fails_without_boxes(boxes, scores, labels, threshold=0.5):
    kept, left = [], by_score(scores)
    while True:
        best, left = left[0], left[1:]
        kept.append(best)
        iou = torchvision.ops.box_iou(boxes[best][None], boxes[left])[0]
        left = left[(iou <= threshold) | (labels[left] != labels[best])]
        if not len(left):
            return torch.stack(kept)


@wrong("nms", "an empty list becomes a tensor of floats")
def floats_when_empty(boxes, scores, labels, threshold=0.5):
    return torch.tensor(per_class(boxes, scores, labels, threshold).tolist())


@right("nms", "the loop of the textbook: take the best, drop its doubles")
def textbook(boxes, scores, labels, threshold=0.5):
    kept, left = [], by_score(scores)
    while left.numel():
        best, left = left[0], left[1:]
        kept.append(best.item())
        iou = torchvision.ops.box_iou(boxes[best][None], boxes[left])[0]
        left = left[(iou <= threshold) | (labels[left] != labels[best])]
    return torch.tensor(kept, dtype=torch.long)


@right("nms", "torchvision's nms for each class, then sorted")
def per_class(boxes, scores, labels, threshold=0.5):
    keep = torch.zeros(len(boxes), dtype=torch.bool)
    for label in labels.unique():
        rows = torch.where(labels == label)[0]
        keep[rows[torchvision.ops.nms(boxes[rows], scores[rows], threshold)]] = True
    rows = torch.where(keep)[0]
    return rows[scores[rows].argsort(descending=True, stable=True)]


@right("nms", "classes moved apart by the whole span of the coordinates")
def moved_by_the_span(boxes, scores, labels, threshold=0.5):
    if not len(boxes):
        return torch.zeros(0, dtype=torch.int64)
    span = (boxes.max() - boxes.min()).double() + 1
    _, number = labels.unique(return_inverse=True)
    return torchvision.ops.nms(boxes + number[:, None] * span, scores.double(), threshold)


@right("nms", "a mask of what has gone, plain Python numbers")
def mask_of_the_gone(boxes, scores, labels, threshold=0.5):
    gone, out = set(), []
    iou = torchvision.ops.box_iou(boxes, boxes).tolist()
    names = labels.tolist()
    for i in sorted(range(len(names)), key=lambda i: -scores[i].item()):
        if i in gone:
            continue
        out.append(i)
        gone |= {j for j in range(len(names)) if names[j] == names[i] and iou[i][j] > threshold}
    return torch.tensor(out, dtype=torch.int64)


# Exercise 3: merge_pyramid ----------------------------------------------------------------------------------


def merge(features, lateral, smooth, enlarge=None, join=torch.add, passed_on=lambda merged, smoothed: merged):
    """A right pyramid with exchangeable parts."""
    enlarge = enlarge or (lambda maps, size: F.interpolate(maps, size=size, mode="nearest"))
    out, above = {}, None
    for stride in sorted(features, reverse=True):
        merged = lateral[stride](features[stride])
        if above is not None:
            merged = join(merged, enlarge(above, merged.shape[-2:]))
        out[stride] = smooth[stride](merged)
        above = passed_on(merged, out[stride])
    return out


@wrong("merge_pyramid", "no merging: each stride by itself")
def each_by_itself(features, lateral, smooth):
    return {stride: smooth[stride](lateral[stride](maps)) for stride, maps in features.items()}


@wrong("merge_pyramid", "no smoothing")
def no_smoothing(features, lateral, smooth):
    return merge(features, lateral, {stride: nn.Identity() for stride in features})


@wrong("merge_pyramid", "the deepest map is not smoothed")
def deepest_not_smoothed(features, lateral, smooth):
    return merge(features, lateral, {**smooth, max(features): nn.Identity()})


@wrong("merge_pyramid", "passes the smoothed map on")
def smoothed_is_passed_on(features, lateral, smooth):
    return merge(features, lateral, smooth, passed_on=lambda merged, smoothed: smoothed)


@wrong("merge_pyramid", "passes the lateral map on: each stride hears of the next coarser one only")
def lateral_is_passed_on(features, lateral, smooth):
    sides = {stride: lateral[stride](maps) for stride, maps in features.items()}
    out, strides = {}, sorted(features)
    for stride, coarser in zip(strides, [*strides[1:], None], strict=True):
        merged = sides[stride]
        if coarser is not None:
            merged = merged + F.interpolate(sides[coarser], size=merged.shape[-2:], mode="nearest")
        out[stride] = smooth[stride](merged)
    return out


@wrong("merge_pyramid", "enlarges by a factor of 2: 3 becomes 6, and the map above has 5")
def by_a_factor(features, lateral, smooth):
    return merge(features, lateral, smooth, lambda maps, size: F.interpolate(maps, scale_factor=2.0))


@wrong("merge_pyramid", "enlarges by 2 and cuts off what is too much: sizes rounded down do not fit")
def by_two_and_cut(features, lateral, smooth):
    return merge(
        features,
        lateral,
        smooth,
        lambda maps, size: F.interpolate(maps, scale_factor=2.0)[..., : size[0], : size[1]],
    )


@wrong("merge_pyramid", "enlarges bilinearly")
def bilinear(features, lateral, smooth):
    return merge(
        features, lateral, smooth, lambda maps, size: F.interpolate(maps, size=size, mode="bilinear")
    )


@wrong("merge_pyramid", "height and width swapped")
def height_and_width_swapped(features, lateral, smooth):
    return merge(
        features,
        lateral,
        smooth,
        lambda maps, size: F.interpolate(maps, size=tuple(size)[::-1], mode="nearest"),
    )


@wrong("merge_pyramid", "takes the mean of both maps")
def takes_the_mean(features, lateral, smooth):
    return merge(features, lateral, smooth, join=lambda side, above: (side + above) / 2)


@wrong("merge_pyramid", "concatenates, and cuts to the width")
def concatenates(features, lateral, smooth):
    return merge(
        features, lateral, smooth, join=lambda side, above: torch.cat([above, side], 1)[:, : side.shape[1]]
    )


@wrong("merge_pyramid", "takes the larger of both maps")
def takes_the_larger(features, lateral, smooth):
    return merge(features, lateral, smooth, join=torch.maximum)


@wrong("merge_pyramid", "from the finest to the deepest")
def bottom_up(features, lateral, smooth):
    out, below = {}, None
    for stride in sorted(features):
        merged = lateral[stride](features[stride])
        if below is not None:
            merged = merged + F.interpolate(below, size=merged.shape[-2:], mode="nearest")
        out[stride] = smooth[stride](merged)
        below = merged
    return out


@wrong("merge_pyramid", "trusts the order of the dictionary")
def order_of_the_dictionary(features, lateral, smooth):
    out, above = {}, None
    for stride in reversed(list(features)):
        merged = lateral[stride](features[stride])
        if above is not None:
            merged = merged + F.interpolate(above, size=merged.shape[-2:], mode="nearest")
        out[stride], above = smooth[stride](merged), merged
    return out


@wrong("merge_pyramid", "knows the strides 8, 16 and 32 only")
def three_strides(features, lateral, smooth):
    p32 = lateral[32](features[32])
    p16 = lateral[16](features[16])
    p16 = p16 + F.interpolate(p32, size=p16.shape[-2:], mode="nearest")
    p8 = lateral[8](features[8])
    p8 = p8 + F.interpolate(p16, size=p8.shape[-2:], mode="nearest")
    return {8: smooth[8](p8), 16: smooth[16](p16), 32: smooth[32](p32)}


@wrong("merge_pyramid", "expects every stride to be half of the next")
def halves(features, lateral, smooth):
    out, stride, above = {}, max(features), None
    while stride in features:
        merged = lateral[stride](features[stride])
        if above is not None:
            merged = merged + F.interpolate(above, size=merged.shape[-2:], mode="nearest")
        out[stride], above = smooth[stride](merged), merged
        stride //= 2
    return out


@wrong("merge_pyramid", "one smoothing layer for all strides")
def one_smoothing_layer(features, lateral, smooth):
    return merge(features, lateral, dict.fromkeys(features, smooth[min(features)]))


@wrong("merge_pyramid", "no gradients: the pyramid cannot be trained")
@torch.no_grad()
def no_gradients(features, lateral, smooth):
    return merge(features, lateral, smooth)


@wrong("merge_pyramid", "detaches what is passed on: coarse layers learn nothing from fine maps")
def detaches(features, lateral, smooth):
    return merge(features, lateral, smooth, passed_on=lambda merged, smoothed: merged.detach())


@wrong("merge_pyramid", "writes the lateral maps into features")
def writes_into_features(features, lateral, smooth):
    for stride in features:
        features[stride] = lateral[stride](features[stride])
    return merge(features, {stride: nn.Identity() for stride in features}, smooth)


@wrong("merge_pyramid", "takes the maps out of features")
def pops(features, lateral, smooth):
    out, above = {}, None
    while features:
        stride = max(features)
        merged = lateral[stride](features.pop(stride))
        if above is not None:
            merged = merged + F.interpolate(above, size=merged.shape[-2:], mode="nearest")
        out[stride], above = smooth[stride](merged), merged
    return out


@wrong("merge_pyramid", "a list in place of a dictionary")
def returns_a_list_of_maps(features, lateral, smooth):
    return list(merge(features, lateral, smooth).values())


@wrong("merge_pyramid", "the finest map only")
def finest_only(features, lateral, smooth):
    return {min(features): merge(features, lateral, smooth)[min(features)]}


@right("merge_pyramid", "recursion over the strides")
def recursion(features, lateral, smooth):
    def merged(strides):
        """{stride: merged map} for strides from the finest to the deepest."""
        if not strides:
            return {}
        finest, *coarser = strides
        above = merged(coarser)
        side = lateral[finest](features[finest])
        if coarser:
            side = side + F.interpolate(above[coarser[0]], size=side.shape[2:])
        return {finest: side, **above}

    return {stride: smooth[stride](maps) for stride, maps in merged(sorted(features)).items()}


@right("merge_pyramid", "torchvision's module around the layers given")
def torchvision_module(features, lateral, smooth):
    strides = sorted(features)
    width = next(lateral[strides[0]].parameters()).shape[0]
    network = FeaturePyramidNetwork([features[stride].shape[1] for stride in strides], width)
    network.inner_blocks = nn.ModuleList(lateral[stride] for stride in strides)
    network.layer_blocks = nn.ModuleList(smooth[stride] for stride in strides)
    return dict(
        zip(strides, network({str(stride): features[stride] for stride in strides}).values(), strict=True)
    )


@right("merge_pyramid", "all laterals first; adds in place; nearest neighbors by indexing")
def by_indexing(features, lateral, smooth):
    strides = sorted(features)[::-1]
    maps = [lateral[stride](features[stride]) for stride in strides]
    for i in range(1, len(maps)):
        coarse, (height, width) = maps[i - 1], maps[i].shape[-2:]
        rows = torch.arange(height) * coarse.shape[-2] // height
        columns = torch.arange(width) * coarse.shape[-1] // width
        maps[i] += coarse[:, :, rows][..., columns]
    return {stride: smooth[stride](one) for stride, one in zip(strides, maps, strict=True)}


# Exercise 4: confusion_matrix -------------------------------------------------------------------------------


def check_shapes(prediction, truth):
    if prediction.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(prediction.shape)} and {tuple(truth.shape)}")


def count(prediction, truth, num_classes):
    """Counts pairs of labels that all count."""
    return (
        (num_classes * truth.long() + prediction.long())
        .bincount(minlength=num_classes**2)
        .reshape(num_classes, -1)
    )


@wrong("confusion_matrix", "rows are the prediction")
def transposed(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes).T


@wrong("confusion_matrix", "does not know of ignored pixels")
def ignores_nothing(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    return count(prediction.flatten(), truth.flatten(), num_classes)


@wrong("confusion_matrix", "counts ignored pixels as background")
def ignored_is_background(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    truth = torch.where(truth == ignore, 0, truth)
    return count(prediction.flatten(), truth.flatten(), num_classes)


@wrong("confusion_matrix", "writes into the mask that it was given")
def writes_into_the_mask(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    wide = truth.long()  # the mask itself, when it is int64 already
    wide[wide == ignore] = num_classes
    matrix = count(prediction.flatten(), wide.flatten(), num_classes + 1)
    return matrix[:num_classes, :num_classes]


@wrong("confusion_matrix", "looks for ignored pixels in the prediction")
def ignores_by_prediction(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = prediction != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "always ignores 255, whatever `ignore` says")
def always_255(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != 255
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "drops every label that is no class, and counts an ignored one that is")
def drops_what_is_no_class(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = (truth >= 0) & (truth < num_classes)
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "indexed += 1 adds once, however often a pair occurs")
def adds_once(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    matrix[truth[counts].long(), prediction[counts].long()] += 1
    return matrix


@wrong("confusion_matrix", "forgets minlength: absent classes have no row")
def no_minlength(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    pairs = num_classes * truth[counts].long() + prediction[counts].long()
    return pairs.bincount().reshape(num_classes, num_classes)


@wrong("confusion_matrix", "the labels that occur set the size")
def size_by_what_occurs(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    occur = torch.cat([truth[counts], prediction[counts]]).unique()
    rows, columns = (x[counts][:, None] == occur for x in (truth, prediction))
    return rows.long().T @ columns.long()


@wrong("confusion_matrix", "uint8 overflows: 20 * 21 is 164 there")
def overflows(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    pairs = num_classes * truth[counts] + prediction[counts]
    return pairs.bincount(minlength=num_classes**2).reshape(num_classes, num_classes)


@wrong("confusion_matrix", "the number of a pair takes ten for the number of classes")
def base_ten(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    matrix = (10 * truth[counts].long() + prediction[counts].long()).bincount(minlength=100)
    return matrix.reshape(-1, 10)[:num_classes, :num_classes].clone()


@wrong("confusion_matrix", "shares of each row in place of counts")
def shares_of_rows(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    matrix = count(prediction[counts], truth[counts], num_classes)
    return matrix / matrix.sum(1, keepdim=True).clamp(min=1)


@wrong("confusion_matrix", "counts in floats")
def counts_in_floats(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    matrix = torch.zeros(num_classes, num_classes)
    for t, p in zip(truth[counts].tolist(), prediction[counts].tolist(), strict=True):
        matrix[t, p] += 1
    return matrix


@wrong("confusion_matrix", "the first mask of the batch only")
def first_of_the_batch(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    prediction, truth = (x[0] if x.ndim == 3 else x for x in (prediction, truth))
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "does not look at the shapes")
def no_check_of_shapes(prediction, truth, num_classes, ignore=255):
    prediction, truth = prediction.flatten(), truth.flatten()
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "compares the number of pixels, not the shapes")
def compares_numbers(prediction, truth, num_classes, ignore=255):
    if prediction.numel() != truth.numel():
        raise ValueError(f"{tuple(prediction.shape)} and {tuple(truth.shape)}")
    prediction, truth = prediction.flatten(), truth.flatten()
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "an assert in place of the ValueError")
def asserts(prediction, truth, num_classes, ignore=255):
    assert prediction.shape == truth.shape, f"{tuple(prediction.shape)}, {tuple(truth.shape)}"
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "views the masks flat: fails when they are not contiguous")
def views(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    prediction, truth = prediction.view(-1), truth.view(-1)
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@right("confusion_matrix", "indices with accumulation")
def accumulates(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    ones = torch.ones_like(matrix[0, 0]).expand(int(counts.sum()))
    return matrix.index_put_((truth[counts].long(), prediction[counts].long()), ones, accumulate=True)


@right("confusion_matrix", "a loop over pairs of classes")
def loop_over_classes(prediction, truth, num_classes, ignore=255):
    if tuple(truth.shape) != tuple(prediction.shape):
        raise ValueError(f"truth has shape {list(truth.shape)}, prediction {list(prediction.shape)}")
    matrix = torch.zeros((num_classes, num_classes), dtype=torch.long)
    for t in range(num_classes):
        for p in range(num_classes):
            if t != ignore:
                matrix[t, p] = ((truth == t) & (prediction == p)).sum()
    return matrix


@right("confusion_matrix", "product of one-hot matrices")
def one_hot(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    rows, columns = (F.one_hot(x[counts].long(), num_classes) for x in (truth, prediction))
    return rows.T @ columns


@right("confusion_matrix", "torchmetrics, and zeros when nothing counts")
def with_torchmetrics(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    if not counts.any():
        return torch.zeros(num_classes, num_classes, dtype=torch.long)
    return multiclass_confusion_matrix(
        prediction[counts].long(), truth[counts].long(), num_classes, validate_args=False
    )


@right("confusion_matrix", "numpy's add.at")
def with_numpy_add_at(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    p, t = prediction.numpy().ravel(), truth.numpy().ravel()
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(matrix, (t[t != ignore], p[t != ignore]), 1)
    return torch.from_numpy(matrix)


# Exercise 5: mean_iou ---------------------------------------------------------------------------------------


def parts(confusion):
    hits, rows, columns = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    return hits, rows, columns


@wrong("mean_iou", "absent classes count as 0 in the mean")
def absent_as_zero(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, iou.nan_to_num(0).mean().item()


@wrong("mean_iou", "absent classes count as 1 in the mean")
def absent_as_one(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, iou.nan_to_num(1).mean().item()


@wrong("mean_iou", "absent classes have IoU 0 instead of nan")
def zero_instead_of_nan(confusion):
    hits, rows, columns = parts(confusion)
    union = rows + columns - hits
    iou = hits / union.clamp(min=1)
    return iou, iou[union > 0].mean().item()


@wrong("mean_iou", "a small number against 0 / 0 makes absent classes perfect")
def epsilon_makes_perfect(confusion):
    hits, rows, columns = parts(confusion)
    iou = (hits + 1e-6) / (rows + columns - hits + 1e-6)
    return iou, iou.mean().item()


@wrong("mean_iou", "the mean is nan as soon as a class is absent")
def nan_in_the_mean(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, iou.mean().item()


@wrong("mean_iou", "only classes in the truth count: false alarms of others are free")
def classes_of_the_truth(confusion):
    hits, rows, columns = parts(confusion)
    iou = torch.where(rows > 0, hits / (rows + columns - hits), torch.nan)
    return iou, iou.nanmean().item()


@wrong("mean_iou", "only classes that were hit at least once count")
def classes_that_were_hit(confusion):
    hits, rows, columns = parts(confusion)
    iou = torch.where(hits > 0, hits / (rows + columns - hits), torch.nan)
    return iou, iou.nanmean().item()


@wrong("mean_iou", "only classes in truth and prediction count in the mean")
def classes_in_both(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, iou[(rows > 0) & (columns > 0)].mean().item()


@wrong("mean_iou", "recall: divided by the row")
def recall(confusion):
    hits, rows, _ = parts(confusion)
    iou = hits / rows
    return iou, iou.nanmean().item()


@wrong("mean_iou", "precision: divided by the column")
def precision(confusion):
    hits, _, columns = parts(confusion)
    iou = hits / columns
    return iou, iou.nanmean().item()


@wrong("mean_iou", "the union counts hits twice")
def hits_twice(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns)
    return iou, iou.nanmean().item()


@wrong("mean_iou", "Dice in place of IoU")
def dice(confusion):
    hits, rows, columns = parts(confusion)
    iou = 2 * hits / (rows + columns)
    return iou, iou.nanmean().item()


@wrong("mean_iou", "the mean is weighted by how frequent a class is")
def frequency_weighted(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, ((iou * rows).nansum() / rows.sum()).item()


@wrong("mean_iou", "hits of all classes by unions of all classes")
def all_classes_together(confusion):
    hits, rows, columns = parts(confusion)
    union = rows + columns - hits
    return hits / union, (hits.sum() / union.sum()).item()


@wrong("mean_iou", "the share of right pixels in place of the mean")
def pixel_accuracy(confusion):
    hits, rows, columns = parts(confusion)
    return hits / (rows + columns - hits), (hits.sum() / confusion.sum()).item()


@wrong("mean_iou", "whole-number division")
def whole_numbers(confusion):
    hits, rows, columns = parts(confusion)
    union = rows + columns - hits
    iou = torch.where(union > 0, (hits // union.clamp(min=1)).float(), torch.nan)
    return iou, iou.nanmean().item()


@wrong("mean_iou", "leaves the background out of the mean")
def without_background(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, iou[1:].nanmean().item()


@wrong("mean_iou", "turns counts into shares, in place")
def shares_in_place(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    confusion.fill_diagonal_(0)
    return iou, iou.nanmean().item()


@wrong("mean_iou", "absent classes are taken out of the IoU too")
def drops_absent_classes(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    iou = iou[~iou.isnan()]
    return iou, iou.mean().item()


@wrong("mean_iou", "only the mean")
def only_the_mean(confusion):
    hits, rows, columns = parts(confusion)
    return (hits / (rows + columns - hits)).nanmean().item()


@wrong("mean_iou", "when no class occurs the mean is 0")
def nothing_is_zero(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, iou.nanmean().nan_to_num(0).item()


@right("mean_iou", "a loop over classes")
def loop_over_the_classes(confusion):
    out = []
    for c in range(len(confusion)):
        hits = confusion[c, c].item()
        union = confusion[c, :].sum().item() + confusion[:, c].sum().item() - hits
        out.append(hits / union if union > 0 else float("nan"))
    there = [value for value in out if value == value]
    return torch.tensor(out), sum(there) / len(there) if there else float("nan")


@right("mean_iou", "misses and false alarms; the mean over a mask, as a tensor")
def misses_and_alarms(confusion):
    hits = torch.diag(confusion).double()
    misses, alarms = confusion.sum(1) - hits, confusion.sum(0) - hits
    union = hits + misses + alarms
    return hits / union, (hits / union)[union != 0].mean()


@right("mean_iou", "numpy")
def iou_by_numpy(confusion):
    matrix = confusion.numpy().astype(np.float64)
    hits = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hits
    iou = np.full(len(matrix), np.nan)
    iou[union > 0] = hits[union > 0] / union[union > 0]
    mean = float(np.nanmean(iou)) if (union > 0).any() else float("nan")
    return torch.from_numpy(iou), mean


# Exercise 6: checksum ---------------------------------------------------------------------------------------


def sha256(tensors):
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().numpy().tobytes())
    return digest.hexdigest()


@wrong("checksum", "parameters only: running statistics may move")
def parameters_only(module):
    return sha256(module.parameters())


@wrong("checksum", "trained parameters only")
def trained_parameters(module):
    return sha256(parameter for parameter in module.parameters() if parameter.requires_grad)


@wrong("checksum", "all parameters first, then all buffers: another order than in state_dict")
def parameters_then_buffers(module):
    return sha256([*module.parameters(), *module.buffers()])


@wrong("checksum", "floats only: counters are left out")
def floats_only(module):
    return sha256(tensor for tensor in module.state_dict().values() if tensor.is_floating_point())


@wrong("checksum", "tensors in the order of their names")
def sorted_names(module):
    return sha256(tensor for _, tensor in sorted(module.state_dict().items()))


@wrong("checksum", "the names enter too")
def names_enter(module):
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


@wrong("checksum", "of the text that print shows: large tensors are abbreviated with dots")
def of_the_printed_text(module):
    return hashlib.sha256(str(module.state_dict()).encode()).hexdigest()


@wrong("checksum", "of what print shows of the module: its layers, not its weights")
def of_the_structure(module):
    return hashlib.sha256(repr(module).encode()).hexdigest()


@wrong("checksum", "the sum of all numbers: filters may change places, small changes drown")
def sum_of_all(module):
    total = sum(tensor.double().sum() for tensor in module.state_dict().values())
    return sha256([torch.as_tensor(total)])


@wrong("checksum", "where the tensors lie in memory")
def addresses(module):
    places = [tensor.data_ptr() for tensor in module.state_dict().values()]
    return hashlib.sha256(str(places).encode()).hexdigest()


@wrong("checksum", "Python's own hash: another one at every start")
def pythons_hash(module):
    return f"{hash(b''.join(t.numpy().tobytes() for t in module.state_dict().values())):064x}"


@wrong("checksum", "rounds first: the least change is lost")
def rounds(module):
    return sha256((t * 1e4).round() / 1e4 for t in module.state_dict().values())


@wrong("checksum", "the last tensor only")
def last_tensor_only(module):
    for tensor in module.state_dict().values():
        digest = hashlib.sha256()
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


@wrong("checksum", "a checksum of the checksums")
def checksum_of_checksums(module):
    each = [hashlib.sha256(t.numpy().tobytes()).digest() for t in module.state_dict().values()]
    return hashlib.sha256(b"".join(each)).hexdigest()


@wrong("checksum", "MD5 in place of SHA-256")
def md5(module):
    return hashlib.md5(b"".join(t.numpy().tobytes() for t in module.state_dict().values())).hexdigest()


@wrong("checksum", "bytes, not hexadecimal digits")
def raw_bytes(module):
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in module.state_dict().values())).digest()


@wrong("checksum", "eight digits only")
def eight_digits(module):
    return sha256(module.state_dict().values())[:8]


@wrong("checksum", "everything is turned into double precision first")
def in_double(module):
    return sha256(tensor.double() for tensor in module.state_dict().values())


@wrong("checksum", "switches the module to evaluation mode")
def switches_mode(module):
    return sha256(module.eval().state_dict().values())


@wrong("checksum", "freezes the module to be rid of gradients")
def freezes(module):
    return sha256(module.requires_grad_(False).state_dict().values())


@right("checksum", "all bytes joined first")
def joined(module):
    data = b"".join(tensor.numpy().tobytes() for tensor in module.state_dict().values())
    return hashlib.sha256(data).hexdigest()


@right("checksum", "an array handed over as it is, hashlib.new")
def array_as_it_is(module):
    digest = hashlib.new("sha256")
    state = module.state_dict()
    for name in state:
        digest.update(np.ascontiguousarray(state[name].detach().cpu().numpy()))
    return digest.hexdigest()


@right("checksum", "one long tensor of bytes")
def one_long_tensor(module):
    flat = [t.reshape(-1).view(torch.uint8) for t in module.state_dict().values()]
    data = torch.cat([torch.zeros(0, dtype=torch.uint8), *flat]).numpy().tobytes()
    return "".join(f"{byte:02x}" for byte in hashlib.sha256(data).digest())


# Exercise 7: swap_head --------------------------------------------------------------------------------------


@wrong("swap_head", "puts the head into the network that came in")
def replaces_the_head(network, head):
    network.head = head
    return network


@wrong("swap_head", "copies the whole network")
def copies_the_network(network, head):
    new = copy.deepcopy(network)
    new.head = head
    return new


@wrong("swap_head", "copies the backbone")
def copies_the_backbone(network, head):
    return Network(copy.deepcopy(network.backbone), head)


@wrong("swap_head", "copies the head")
def copies_the_head(network, head):
    return Network(network.backbone, copy.deepcopy(head))


@wrong("swap_head", "a shallow copy: both networks share one dictionary of parts, so both get the head")
def shallow_copy(network, head):
    new = copy.copy(network)
    new.head = head
    return new


@wrong("swap_head", "keeps the old head below the new one")
def head_on_head(network, head):
    return Network(network, head)


@wrong("swap_head", "a Sequential has neither .backbone nor .head")
def sequential(network, head):
    return nn.Sequential(network.backbone, head)


@wrong("swap_head", "a function in place of a network")
def a_function(network, head):
    return lambda x: head(network.backbone(x))


@wrong("swap_head", "backbone and head the wrong way round")
def wrong_way(network, head):
    return Network(head, network.backbone)


@wrong("swap_head", "the old head stays")
def old_head_stays(network, head):
    return Network(network.backbone, network.head)


@wrong("swap_head", "freezes the backbone, which the first network may still train")
def freezes_the_backbone(network, head):
    return Network(network.backbone.requires_grad_(False), head)


@wrong("swap_head", "thaws the backbone")
def thaws_the_backbone(network, head):
    return Network(network.backbone.requires_grad_(True), head)


@wrong("swap_head", "switches everything to evaluation mode")
def evaluation_mode(network, head):
    return Network(network.backbone, head).eval()


@wrong("swap_head", "switches everything to training mode")
def training_mode(network, head):
    return Network(network.backbone, head).train()


@wrong("swap_head", "gives the new network the mode of the old one, and its parts as well")
def mode_of_the_old_one(network, head):
    return Network(network.backbone, head).train(network.training)


@wrong("swap_head", "starts the head from new random numbers")
def resets_the_head(network, head):
    for module in head.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return Network(network.backbone, head)


@wrong("swap_head", "starts the running statistics anew")
def resets_the_statistics(network, head):
    for module in network.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    return Network(network.backbone, head)


class Blocked(Network):
    """Runs its backbone without gradients."""

    def forward(self, images):
        with torch.no_grad():
            features = self.backbone(images)
        return self.head(features)


@wrong("swap_head", "no gradient reaches the backbone, even if it is to be trained")
def blocks_gradients(network, head):
    return Blocked(network.backbone, head)


@wrong("swap_head", "takes the head away from the first network")
def takes_the_head_away(network, head):
    new = Network(network.backbone, head)
    network.head = nn.Identity()
    return new


@wrong("swap_head", "leaves the new network among the parts of the old one")
def leaves_a_part(network, head):
    network.other = Network(network.backbone, head)
    return network.other


@wrong("swap_head", "tries the network out: running statistics move")
def tries_it_out(network, head):
    new = Network(network.backbone, head)
    new(torch.zeros(2, 3, 9, 9))
    return new


@wrong("swap_head", "returns nothing")
def returns_nothing(network, head):
    Network(network.backbone, head)


@right("swap_head", "arguments by name")
def by_name(network, head):
    return Network(head=head, backbone=network.backbone)


@right("swap_head", "of the same kind as the network that came in")
def same_kind(network, head):
    return type(network)(network.backbone, head)


@right("swap_head", "an empty network, its parts put in afterwards")
def parts_afterwards(network, head):
    new = Network(nn.Identity(), nn.Identity())
    new.backbone, new.head = network.backbone, head
    return new


class Swapped(Network):
    """A network of a class of its own."""

    def __init__(self, backbone, head):
        nn.Module.__init__(self)
        self.backbone, self.head = backbone, head

    def forward(self, *inputs):
        features = self.backbone(*inputs)
        return self.head(features)


@right("swap_head", "a class of its own")
def own_class(network, head):
    return Swapped(network.backbone, head)


@right("swap_head", "a shallow copy with a dictionary of parts of its own")
def shallow_copy_mended(network, head):
    new = copy.copy(network)
    new._modules = dict(network._modules)
    new.head = head
    return new
