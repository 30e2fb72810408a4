"""Answers to lab 04 that learners could write: wrong ones must lose points, right ones keep all of them."""

import copy
import hashlib
from collections import Counter, namedtuple

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


@wrong("box_iou", "views its input, which may be stored differently")
def views_the_boxes(a, b):
    a, b = (x.view(-1).unflatten(0, (-1, 4)) if len(x) else x for x in (a, b))
    return ratio(shared_areas(a, b), areas(a)[:, None] + areas(b) - shared_areas(a, b))


@wrong("box_iou", "reads the memory as if row stood after row")
def strides_guessed(a, b):
    a, b = (x.as_strided((len(x), 4), (4, 1)) for x in (a, b))
    return torchvision.ops.box_iou(a, b).nan_to_num()


@wrong("box_iou", "a matrix of float32 for the sides: float64 boxes do not fit")
def sides_by_a_matrix(a, b):
    sides = torch.tensor([[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0], [0.0, 1.0]])  # (4, 2)
    area_a, area_b = ((x @ sides).prod(dim=1) for x in (a, b))
    shared = shared_areas(a, b)
    return ratio(shared, area_a[:, None] + area_b - shared)


@wrong("box_iou", "one result for each pair of shapes, kept from an earlier call")
def kept_by_shape(a, b, kept={}):  # noqa: B006  (that is the mistake)
    key = a.shape, b.shape
    if key not in kept:
        kept[key] = torchvision.ops.box_iou(a, b).nan_to_num()
    return kept[key]


@wrong("box_iou", "writes widths into b and takes them out again, rounded")
def put_back_rounded(a, b):
    out = torchvision.ops.box_iou(a, b).nan_to_num()
    b[:, 2:] -= b[:, :2]
    b[:, 2:] += b[:, :2]
    return out


@wrong("box_iou", "looks for boxes without width only: a line of no height is 0 / 0")
def no_width_only(a, b):
    out = torchvision.ops.box_iou(a, b)
    out[a[:, 0] == a[:, 2]] = 0
    return out


@right("box_iou", "two negative sides are masked, and one makes a negative share: 0 at the end")
def negative_sides_masked(a, b):
    left, top, right_end, bottom = corners(a, b)
    apart = (right_end < left) & (bottom < top)
    shared = ((right_end - left) * (bottom - top)).masked_fill(apart, 0)
    return ratio(shared, areas(a)[:, None] + areas(b) - shared).clamp(0, 1)


@wrong("box_iou", "0 / 0 is taken for equal boxes: 1")
def nothing_is_equal(a, b):
    return torchvision.ops.box_iou(a, b).nan_to_num(1)


@right("box_iou", "in float32 whatever came in")
def in_float32(a, b):
    a, b = a.float(), b.float()
    shared = shared_areas(a, b)
    return ratio(shared, areas(a)[:, None] + areas(b) - shared)


@right("box_iou", "numpy, and float64 goes out")
def float64_goes_out(a, b):
    p, q = (np.asarray(x.tolist(), dtype=np.float64).reshape(-1, 4) for x in (a, b))
    sides = np.minimum(p[:, None, 2:], q[None, :, 2:]) - np.maximum(p[:, None, :2], q[None, :, :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    area_p, area_q = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (p, q))
    union = area_p[:, None] + area_q[None] - shared
    return torch.from_numpy(shared / np.where(union > 0, union, 1))


@wrong("box_iou", "half precision: no pixel is told from the next in a large image")
def in_half_precision(a, b):
    return torchvision.ops.box_iou(a.half().float(), b.half().float()).nan_to_num()


@wrong("box_iou", "a union of at least a millionth: large beside boxes in shares of a large image")
def union_at_least_a_millionth(a, b):
    shared = shared_areas(a, b)
    return shared / (areas(a)[:, None] + areas(b) - shared).clamp(min=1e-6)


@wrong("box_iou", "rounded to four digits")
def rounded_to_four_digits(a, b):
    return torchvision.ops.box_iou(a, b).nan_to_num().round(decimals=4)


@right("box_iou", "a loop that takes the next pair where nothing is shared, float32")
def next_pair(a, b):
    out = torch.zeros(len(a), len(b))
    for n in range(len(a)):
        for m in range(len(b)):
            left, top = max(a[n, 0], b[m, 0]).item(), max(a[n, 1], b[m, 1]).item()
            right_end, bottom = min(a[n, 2], b[m, 2]).item(), min(a[n, 3], b[m, 3]).item()
            if right_end <= left or bottom <= top:
                continue
            shared = (right_end - left) * (bottom - top)
            out[n, m] = shared / (areas(a[n, None]) + areas(b[m, None]) - shared).item()
    return out


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


@wrong("nms", "views the boxes, which may be stored differently")
def views_boxes(boxes, scores, labels, threshold=0.5):
    flat = boxes.view(-1)
    return per_class(torch.stack([flat[k::4] for k in range(4)], dim=1), scores, labels, threshold)


@wrong("nms", "float64 scores are rounded to float32: what was in order becomes equal")
def scores_in_float32(boxes, scores, labels, threshold=0.5):
    return per_class(boxes.float(), scores.float(), labels, threshold)


@wrong("nms", "labels become float32: of large ones two are the same")
def labels_in_float32(boxes, scores, labels, threshold=0.5):
    return per_class(boxes, scores, labels.float(), threshold)


@wrong("nms", "-1 stands for what has gone, and scores may be below it")
def gone_is_minus_one(boxes, scores, labels, threshold=0.5):
    left, kept = scores.clone(), []
    iou = torchvision.ops.box_iou(boxes, boxes)
    while len(left) and left.max() > -1:
        best = int(left.argmax())
        kept.append(best)
        left[(iou[best] > threshold) & (labels == labels[best])] = -1
        left[best] = -1
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "-1000 stands for what has gone")
def gone_is_minus_thousand(boxes, scores, labels, threshold=0.5):
    left, kept = scores.clone(), []
    iou = torchvision.ops.box_iou(boxes, boxes)
    while len(left) and left.max() > -1000:
        best = int(left.argmax())
        kept.append(best)
        left[(iou[best] > threshold) & (labels == labels[best])] = -1000
        left[best] = -1000
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "a threshold of 0 is taken for none given")
def zero_is_none(boxes, scores, labels, threshold=None):
    return per_class(boxes, scores, labels, threshold or 0.5)


@wrong("nms", "at a threshold of 1 the best box removes itself only by its own IoU, and never ends up gone")
def nothing_above_one(boxes, scores, labels, threshold=0.5):
    left, kept = by_score(scores).tolist(), []
    iou = torchvision.ops.box_iou(boxes, boxes)
    while left and len(kept) < len(scores):
        best = left[0]
        kept.append(best)
        left = [k for k in left if iou[best, k] <= threshold or labels[k] != labels[best]]
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "a box that touches counts as overlapping when the threshold is 0")
def touching_overlaps(boxes, scores, labels, threshold=0.5):
    low, high = (
        torch.maximum(boxes[:, None, :2], boxes[:, :2]),
        torch.minimum(boxes[:, None, 2:], boxes[:, 2:]),
    )
    touch = (high >= low).all(dim=2)
    iou = torchvision.ops.box_iou(boxes, boxes)
    kept = []
    for row in by_score(scores).tolist():
        above = (iou[row] > threshold) | (touch[row] & (iou[row] >= threshold))
        if not (above & (labels == labels[row]))[kept].any():
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


@wrong("nms", "moves the boxes of each class apart, in place, and moves them back, rounded")
def moved_and_back(boxes, scores, labels, threshold=0.5):
    out = per_class(boxes, scores, labels, threshold)
    boxes += 1000.3
    boxes -= 1000.3
    return out


@wrong("nms", "sorts without stable=True by a key that rounds")
def rounded_scores(boxes, scores, labels, threshold=0.5):
    order = sorted(range(len(scores)), key=lambda i: -round(scores[i].item(), 3))
    return greedy(
        boxes, scores, labels, lambda iou, same: same and iou > threshold, torch.tensor(order).long()
    )


@wrong("nms", "one result for each number of boxes, kept from an earlier call")
def kept_by_count(boxes, scores, labels, threshold=0.5, kept={}):  # noqa: B006  (that is the mistake)
    key = boxes.shape, labels.sum().item(), threshold
    if key not in kept:
        kept[key] = per_class(boxes, scores, labels, threshold)
    return kept[key]


@right("nms", "crosses out with minus infinity, in a copy")
def crosses_out_a_copy(boxes, scores, labels, threshold=0.5):
    left, kept = scores.clone(), []
    iou = torchvision.ops.box_iou(boxes, boxes)
    while len(left) and left.max() > -torch.inf:
        best = left.argmax().item()
        kept.append(best)
        left[(iou[best] > threshold) & (labels == labels[best])] = -torch.inf
        left[best] = -torch.inf
    return torch.tensor(kept, dtype=torch.int64)


@right("nms", "numpy, int64 row numbers")
def nms_in_numpy(boxes, scores, labels, threshold=0.5):
    corners, names = boxes.numpy(), labels.numpy()
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    order, kept = np.argsort(-scores.numpy(), kind="stable"), []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(corners[best, 2:], corners[order, 2:])
        sides = np.clip(sides - np.maximum(corners[best, :2], corners[order, :2]), 0, None)
        shared = sides.prod(axis=1)
        iou = shared / (area[best] + area[order] - shared)
        order = order[(iou <= threshold) | (names[order] != names[best])]
    return torch.from_numpy(np.array(kept, dtype=np.int64))


@wrong("nms", "labels in int32, which wraps large ones around")
def labels_in_int32(boxes, scores, labels, threshold=0.5):
    return per_class(boxes, scores, labels.int(), threshold)


@wrong("nms", "labels without their sign")
def labels_without_sign(boxes, scores, labels, threshold=0.5):
    return per_class(boxes, scores, labels.abs(), threshold)


@wrong("nms", "scores are brought to 0 to 1 first, where small differences drown")
def scores_from_zero_to_one(boxes, scores, labels, threshold=0.5):
    if len(scores):
        scores = (scores - scores.min()) / (scores.max() - scores.min())
    return per_class(boxes, scores, labels, threshold)


@wrong("nms", "a sigmoid over the scores: large ones become equal")
def sigmoid_of_the_scores(boxes, scores, labels, threshold=0.5):
    return per_class(boxes, scores.sigmoid(), labels, threshold)


@wrong("nms", "at most 100 boxes, as detectors give them")
def at_most_100(boxes, scores, labels, threshold=0.5):
    return greedy(boxes, scores, labels, lambda iou, same: same and iou > threshold)[:100]


@wrong("nms", "boxes of a low score are left out")
def low_scores_left_out(boxes, scores, labels, threshold=0.5):
    kept = greedy(boxes, scores, labels, lambda iou, same: same and iou > threshold)
    return kept[scores[kept] > 0.05]


@right("nms", "a list of rows that gets shorter, max by key")
def a_shorter_list(boxes, scores, labels, threshold=0.5):
    left, kept = list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda row: scores[row].item())  # of equal ones the first
        kept.append(best)
        iou = torchvision.ops.box_iou(boxes[best, None], boxes)[0]
        left = [
            row for row in left if row != best and not (labels[row] == labels[best] and iou[row] > threshold)
        ]
    return torch.LongTensor(kept)


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
    network = FeaturePyramidNetwork([1 for _ in strides], 1)  # its own layers are replaced
    network.inner_blocks = nn.ModuleList(lateral[stride] for stride in strides)
    network.layer_blocks = nn.ModuleList(smooth[stride] for stride in strides)
    return dict(
        zip(strides, network({str(stride): features[stride] for stride in strides}).values(), strict=True)
    )


@right("merge_pyramid", "all laterals first; nearest neighbors by indexing")
def by_indexing(features, lateral, smooth):
    strides = sorted(features)[::-1]
    maps = [lateral[stride](features[stride]) for stride in strides]
    for i in range(1, len(maps)):
        coarse, (height, width) = maps[i - 1], maps[i].shape[-2:]
        rows = torch.arange(height) * coarse.shape[-2] // height
        columns = torch.arange(width) * coarse.shape[-1] // width
        maps[i] = maps[i] + coarse[:, :, rows][..., columns]
    return {stride: smooth[stride](one) for stride, one in zip(strides, maps, strict=True)}


@wrong("merge_pyramid", "adds in place: with a layer that hands on its input, features change")
def adds_in_place(features, lateral, smooth):
    out, above = {}, None
    for stride in sorted(features, reverse=True):
        merged = lateral[stride](features[stride])
        if above is not None:
            merged += F.interpolate(above, size=merged.shape[-2:], mode="nearest")
        out[stride], above = smooth[stride](merged), merged
    return out


@wrong("merge_pyramid", "goes over the strides of lateral, which may be more than there are maps")
def strides_of_lateral(features, lateral, smooth):
    return merge({stride: features[stride] for stride in lateral}, lateral, smooth)


@wrong("merge_pyramid", "the map of fewest positions is taken for the deepest, and several may have one")
def smallest_first(features, lateral, smooth):
    order = sorted(features, key=lambda stride: features[stride].shape[-2:].numel())
    out, above = {}, None
    for stride in order:
        merged = lateral[stride](features[stride])
        if above is not None:
            merged = merged + F.interpolate(above, size=merged.shape[-2:], mode="nearest")
        out[stride], above = smooth[stride](merged), merged
    return out


@wrong("merge_pyramid", "the map of most channels is taken for the deepest")
def most_channels_first(features, lateral, smooth):
    order = sorted(features, key=lambda stride: features[stride].shape[1], reverse=True)
    out, above = {}, None
    for stride in order:
        merged = lateral[stride](features[stride])
        if above is not None:
            merged = merged + F.interpolate(above, size=merged.shape[-2:], mode="nearest")
        out[stride], above = smooth[stride](merged), merged
    return out


@wrong("merge_pyramid", "repeats rows and columns as often as fits, and cuts")
def repeats_and_cuts(features, lateral, smooth):
    def enlarge(maps, size):
        for dim, side in zip((2, 3), size, strict=True):
            maps = maps.repeat_interleave(-(-side // maps.shape[dim]), dim).narrow(dim, 0, side)
        return maps

    return merge(features, lateral, smooth, enlarge)


@wrong("merge_pyramid", "the other nearest neighbor, of centers")
def nearest_exact(features, lateral, smooth):
    return merge(
        features, lateral, smooth, lambda maps, size: F.interpolate(maps, size=size, mode="nearest-exact")
    )


@wrong("merge_pyramid", "runs a lateral layer once more to find out the width")
def runs_lateral_twice(features, lateral, smooth):
    deepest = max(features)
    width = lateral[deepest](features[deepest]).shape[1]
    return merge(features, lateral, smooth, join=lambda side, above: side + above[:, :width])


@wrong("merge_pyramid", "takes the width from a convolution's attribute")
def needs_out_channels(features, lateral, smooth):
    width = lateral[min(features)].out_channels
    return merge(features, lateral, smooth, join=lambda side, above: side + above.expand(-1, width, -1, -1))


@wrong("merge_pyramid", "float32 whatever the layers make")
def maps_in_float32(features, lateral, smooth):
    return {stride: maps.float() for stride, maps in merge(features, lateral, smooth).items()}


@wrong("merge_pyramid", "leaves the layers in evaluation mode")
def layers_to_eval(features, lateral, smooth):
    for layer in (*lateral.values(), *smooth.values()):
        layer.eval()
    return merge(features, lateral, smooth)


@wrong("merge_pyramid", "leaves the layers in training mode")
def layers_to_train(features, lateral, smooth):
    for stride in features:
        smooth[stride].train()
    return merge(features, lateral, smooth)


@wrong("merge_pyramid", "views the maps, which may be stored differently")
def views_the_maps(features, lateral, smooth):
    flat = {s: maps.view(len(maps), maps.shape[1], -1).view(maps.shape) for s, maps in features.items()}
    return merge(flat, lateral, smooth)


@wrong("merge_pyramid", "merged maps are kept by shape from an earlier call")
def merged_kept(features, lateral, smooth, kept={}):  # noqa: B006  (that is the mistake)
    key = tuple((stride, maps.shape) for stride, maps in features.items())
    if key not in kept:
        kept[key] = merge(features, lateral, smooth)
    return kept[key]


@right("merge_pyramid", "upwards over a stack, results from the finest on, nn.Upsample")
def over_a_stack(features, lateral, smooth):
    todo, merged = sorted(features), {}
    coarser = None
    while todo:
        stride = todo.pop()
        height, width = features[stride].shape[2:]
        merged[stride] = lateral[stride](features[stride])
        if coarser is not None:
            merged[stride] = torch.add(merged[stride], nn.Upsample(size=(height, width))(merged[coarser]))
        coarser = stride
    return {stride: smooth[stride](merged[stride]) for stride in sorted(merged)}


@wrong("merge_pyramid", "thaws the layers")
def thaws_the_layers(features, lateral, smooth):
    for stride in features:
        lateral[stride].requires_grad_(True)
    return merge(features, lateral, smooth)


@wrong("merge_pyramid", "ReLU behind the smoothing layers")
def relu_behind(features, lateral, smooth):
    return {stride: maps.relu() for stride, maps in merge(features, lateral, smooth).items()}


@right(
    "merge_pyramid", "nearest neighbors by torchvision's resize; nothing yet is a tensor without dimensions"
)
def by_resize(features, lateral, smooth):
    nearest = torchvision.transforms.InterpolationMode.NEAREST
    out, above = {}, torch.zeros(())
    for stride, maps in sorted(features.items(), key=lambda pair: -pair[0]):
        if above.ndim:
            above = torchvision.transforms.functional.resize(above, list(maps.shape[2:]), nearest)
        above = above + lateral[stride](maps)
        out[stride] = smooth[stride](above)
    return out


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


@wrong("confusion_matrix", "widens uint8 and forgets that int8 is as narrow")
def widens_uint8_only(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    if prediction.dtype == torch.uint8 or truth.dtype == torch.uint8:
        prediction, truth = prediction.long(), truth.long()
    counts = truth != ignore
    pairs = num_classes * truth[counts] + prediction[counts]
    return pairs.bincount(minlength=num_classes**2).reshape(num_classes, num_classes)


@wrong("confusion_matrix", "widens to int16 only: 250 classes make more pairs")
def widens_to_int16(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    pairs = num_classes * truth[counts].short() + prediction[counts].short()
    return pairs.bincount(minlength=num_classes**2).reshape(num_classes, num_classes)


@wrong("confusion_matrix", "the truth as an index: a uint8 is a mask there")
def uint8_as_index(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    ones = torch.ones(int(counts.sum()), dtype=torch.int64)
    return matrix.index_put_((truth[counts], prediction[counts]), ones, accumulate=True)


@wrong("confusion_matrix", "indices of int8 and int16 are refused")
def narrow_index(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    if truth.dtype == torch.uint8:
        truth = truth.long()
    hot = F.one_hot(prediction[counts].long(), num_classes)
    return torch.zeros(num_classes, num_classes, dtype=torch.int64).index_add(0, truth[counts], hot)


@wrong("confusion_matrix", "counts in int32")
def counts_in_int32(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes).int()


@wrong("confusion_matrix", "one dimension more or less is the same to it")
def squeezes_shapes(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction.squeeze(), truth.squeeze())
    prediction, truth = prediction.flatten(), truth.flatten()
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "one of the two shapes in the message")
def one_shape_named(prediction, truth, num_classes, ignore=255):
    if prediction.shape != truth.shape:
        raise ValueError(f"the prediction must have shape {tuple(truth.shape)}")
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "a TypeError")
def raises_type_error(prediction, truth, num_classes, ignore=255):
    if prediction.shape != truth.shape:
        raise TypeError(f"{tuple(prediction.shape)} and {tuple(truth.shape)}")
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "ignored pixels are marked in the mask, and restored where they were not int64")
def marks_the_mask(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    counts = truth != ignore
    truth[~counts] = 0
    return count(prediction[counts], truth[counts], num_classes)


class ShapesDiffer(ValueError):
    """A kind of ValueError of one's own."""


@right("confusion_matrix", "an error class of its own, shapes written as 2x4x4")
def own_error(prediction, truth, num_classes, ignore=255):
    if prediction.shape != truth.shape:
        one, other = ("x".join(map(str, mask.shape)) for mask in (prediction, truth))
        raise ShapesDiffer(f"prediction {one}, truth {other}")
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@right("confusion_matrix", "a loop over pixels")
def loop_over_pixels(prediction, truth, num_classes, ignore=255):
    if truth.size() != prediction.size():
        raise ValueError(f"{truth.size()} is not {prediction.size()}")
    rows = [[0] * num_classes for _ in range(num_classes)]
    for t, p in zip(truth.reshape(-1).tolist(), prediction.reshape(-1).tolist(), strict=True):
        if t != ignore:
            rows[t][p] += 1
    return torch.tensor(rows)


@wrong("confusion_matrix", "uint8 first, in which -1 is 255 and 256 is 0")
def by_way_of_uint8(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    prediction, truth = prediction.to(torch.uint8), truth.to(torch.uint8)
    counts = truth.long() != ignore
    return count(prediction[counts], truth[counts], num_classes)


@wrong("confusion_matrix", "torchmetrics, which refuses a single class")
def two_classes_at_least(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    return multiclass_confusion_matrix(prediction, truth, num_classes, ignore_index=ignore)


@wrong("confusion_matrix", "the truth in the prediction's type, which may be narrower")
def in_the_predictions_type(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    truth = truth.to(prediction.dtype)
    counts = truth != ignore
    return count(prediction[counts], truth[counts], num_classes)


@right("confusion_matrix", "a Counter of pairs")
def counter_of_pairs(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    pairs = Counter(zip(truth.flatten().tolist(), prediction.flatten().tolist(), strict=True))
    classes = range(num_classes)
    return torch.tensor([[0 if t == ignore else pairs[t, p] for p in classes] for t in classes])


@right("confusion_matrix", "scatter_add: ignored pixels weigh nothing")
def ignored_weigh_nothing(prediction, truth, num_classes, ignore=255):
    check_shapes(prediction, truth)
    t, p = truth.long().reshape(-1), prediction.long().reshape(-1)
    slots = torch.where(t == ignore, 0, num_classes * t + p)
    counts = torch.zeros(num_classes**2, dtype=torch.long).scatter_add(0, slots, (t != ignore).long())
    return counts.unflatten(0, (num_classes, num_classes))


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


@wrong("mean_iou", "views the matrix, which may be a transposed one")
def views_the_matrix(confusion):
    flat = confusion.view(-1)
    hits = flat[:: len(confusion) + 1]
    iou = hits / (confusion.sum(0) + confusion.sum(1) - hits)
    return iou, iou.nanmean().item()


@wrong("mean_iou", "counts in int32: large ones overflow")
def in_int32(confusion):
    return right_iou(confusion.int())


@wrong("mean_iou", "rounded to three digits")
def rounded_to_three(confusion):
    iou, mean = right_iou(confusion)
    return (iou * 1000).round() / 1000, round(mean, 3)


@wrong("mean_iou", "drops absent classes at the end only, as bincount's length would")
def absent_at_the_end(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    last = int((rows + columns).nonzero().max()) if (rows + columns).any() else -1
    return iou, iou[: last + 1].mean().item()


@wrong("mean_iou", "the number of classes that occur is taken from the truth")
def number_from_the_truth(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, (iou.nansum() / (rows > 0).sum()).item()


@wrong("mean_iou", "the mean first")
def mean_first(confusion):
    return right_iou(confusion)[::-1]


@wrong("mean_iou", "a list of IoU")
def list_of_iou(confusion):
    iou, mean = right_iou(confusion)
    return iou.tolist(), mean


@wrong("mean_iou", "an unseen class gets one pixel, in place")
def one_pixel_in_place(confusion):
    iou, mean = right_iou(confusion)
    for c in range(len(confusion)):
        if iou[c].isnan():
            confusion[c, c] += 1
    return iou, mean


@wrong("mean_iou", "one result for each number of classes and pixels, kept from an earlier call")
def iou_kept(confusion, kept={}):  # noqa: B006  (that is the mistake)
    key = confusion.shape, confusion.sum().item()
    if key not in kept:
        kept[key] = right_iou(confusion)
    return kept[key]


@right("mean_iou", "the formula, from diagonal and sums")
def right_iou(confusion):
    hits, rows, columns = parts(confusion)
    iou = hits / (rows + columns - hits)
    return iou, iou.nanmean().item()


@right("mean_iou", "numpy's float64 as mean, a list of the two")
def numpy_mean_in_a_list(confusion):
    matrix = confusion.double()
    hits = matrix.diag()
    iou = hits / (matrix.sum(0) + matrix.sum(1) - hits)
    there = iou[~torch.isnan(iou)].numpy()
    return [iou, there.mean() if there.size else np.float64("nan")]


@right("mean_iou", "a named tuple; the diagonal by einsum")
def a_named_tuple(confusion):
    hits = torch.einsum("ii->i", confusion)
    iou = hits / (confusion.sum(0) + confusion.sum(1) - hits)
    return namedtuple("Result", "iou mean")(iou, float(iou[~iou.isnan()].mean()))


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


@wrong("checksum", "the memory as it lies there: channels_last is another order")
def memory_as_it_lies(module):
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(bytes(tensor.untyped_storage()))
    return digest.hexdigest()


@wrong("checksum", "in the order of memory, by numpy's order='K'")
def order_of_memory(module):
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(tensor.numpy().tobytes(order="A"))
    return digest.hexdigest()


@wrong("checksum", "views tensors flat, which those in channels_last refuse")
def views_flat(module):
    return sha256(tensor.view(-1) for tensor in module.state_dict().values())


@wrong("checksum", "a tied tensor counts once")
def tied_counts_once(module):
    seen, tensors = set(), []
    for tensor in module.state_dict().values():
        if not tensor.numel() or tensor.data_ptr() not in seen:
            tensors.append(tensor)
        seen.add(tensor.data_ptr())
    return sha256(tensors)


@wrong("checksum", "buffers that are not saved count too")
def unsaved_buffers(module):
    tensors = []
    for part in module.modules():
        tensors += [p for p in part._parameters.values() if p is not None]
        tensors += [b for b in part._buffers.values() if b is not None]
    return sha256(tensors)


@wrong("checksum", "parts without parts only: a network's own parameters are forgotten")
def leaves_only(module):
    return sha256(
        tensor
        for part in module.modules()
        if not list(part.children())
        for tensor in part.state_dict().values()
    )


@wrong("checksum", "what is called weight, bias or running_...")
def by_usual_names(module):
    usual = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return sha256(t for name, t in module.state_dict().items() if name.split(".")[-1].startswith(usual))


@wrong("checksum", "everything in float32")
def in_float(module):
    return sha256(tensor.float() for tensor in module.state_dict().values())


@wrong("checksum", "floating tensors in float32, others as they are")
def floats_in_float32(module):
    state = module.state_dict().values()
    return sha256(tensor.float() if tensor.is_floating_point() else tensor for tensor in state)


@wrong("checksum", "clears gradients that somebody still needs")
def clears_gradients(module):
    module.zero_grad()
    return sha256(module.state_dict().values())


@wrong("checksum", "a forward hook stays behind")
def hook_stays(module):
    module.register_forward_hook(lambda *_: None)
    return sha256(module.state_dict().values())


@right("checksum", "made contiguous and flat first, each to a list of bytes")
def contiguous_first(module):
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(memoryview(tensor.cpu().clone().contiguous().numpy().reshape(-1)).tobytes())
    return digest.hexdigest()


@wrong("checksum", "nan counts as 0")
def nan_as_zero(module):
    return sha256(tensor.nan_to_num() for tensor in module.state_dict().values())


@wrong("checksum", "adds 0 to be sure of a copy: minus zero becomes plus zero")
def adds_zero(module):
    tensors = module.state_dict().values()
    return sha256(t if t.dtype == torch.bool else t + 0 for t in tensors)


@right("checksum", "of a deep copy, as views of bytes")
def of_a_deep_copy(module):
    tensors = copy.deepcopy(module).state_dict().values()
    return sha256(tensor.contiguous().flatten().view(torch.uint8) for tensor in tensors)


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


class EvalsAtCall(Network):
    """Switches its backbone to evaluation mode whenever it is called."""

    def forward(self, images):
        self.backbone.eval()
        return self.head(self.backbone(images))


@wrong("swap_head", "a call changes the backbone's mode")
def mode_at_call(network, head):
    return EvalsAtCall(network.backbone, head)


class Remembers(Network):
    """Computes features once and remembers them by their shape."""

    def forward(self, images):
        kept = self.__dict__.setdefault("kept", {})
        if images.shape not in kept:
            kept[images.shape] = self.backbone(images)
        return self.head(kept[images.shape])


@wrong("swap_head", "features are remembered by the images' shape")
def remembers_features(network, head):
    return Remembers(network.backbone, head)


class RemembersImages(Network):
    """Computes the features of a batch once, and again only for another batch."""

    def forward(self, images):
        kept = self.__dict__.get("kept")
        if kept is None or not torch.equal(kept[0], images):
            self.__dict__["kept"] = images, self.backbone(images)
        return self.head(self.__dict__["kept"][1])


@wrong("swap_head", "features are remembered, and the backbone has been trained since")
def remembers_images(network, head):
    return RemembersImages(network.backbone, head)


class CutsOff(Network):
    """Hands detached features to the head."""

    def forward(self, images):
        return self.head(self.backbone(images).detach())


@wrong("swap_head", "features are detached")
def cuts_off(network, head):
    return CutsOff(network.backbone, head)


@wrong("swap_head", "a shell around the backbone, so that .backbone is no longer the same object")
def shell(network, head):
    return Network(nn.Sequential(network.backbone), head)


@wrong("swap_head", "shallow copies share hooks: one is left on the first network")
def leaves_a_hook(network, head):
    network.register_forward_hook(lambda *_: None)
    return Network(network.backbone, head)


@wrong("swap_head", "gradients of the backbone are cleared")
def clears_the_gradients(network, head):
    network.backbone.zero_grad()
    network.backbone.requires_grad_(next(network.backbone.parameters()).requires_grad)
    return Network(network.backbone, head)


@wrong("swap_head", "deep copy of the backbone with the parameters shared: buffers part")
def parameters_shared(network, head):
    twin = copy.deepcopy(network.backbone)
    for part, own in zip(twin.modules(), network.backbone.modules(), strict=True):
        part._parameters = own._parameters
    return Network(twin, head)


@wrong("swap_head", "given its own head, the network itself is good enough")
def the_same_head(network, head):
    return network if head is network.head else Network(network.backbone, head)


@wrong("swap_head", "the mode of the backbone for all of its parts")
def one_mode_for_all(network, head):
    network.backbone.train(network.backbone.training)
    return Network(network.backbone, head)


@right("swap_head", "an object made without __init__")
def without_init(network, head):
    new = type(network).__new__(type(network))
    nn.Module.__init__(new)
    new.add_module("backbone", network.backbone)
    new.add_module("head", head)
    return new


class RunsTwice(Network):
    """Computes everything twice: running statistics move twice in training."""

    def forward(self, images):
        self.backbone(images)
        return self.head(self.backbone(images))


@wrong("swap_head", "a call runs the backbone twice")
def runs_twice(network, head):
    return RunsTwice(network.backbone, head)


@wrong("swap_head", "clears all gradients, which an optimizer may still have to use")
def clears_all_gradients(network, head):
    network.zero_grad()
    head.zero_grad()
    return Network(network.backbone, head)


@right("swap_head", "a deep copy that is told what not to copy")
def told_what_not_to_copy(network, head):
    parts = {id(network.backbone): network.backbone, id(network.head): head}
    return copy.deepcopy(network, parts)
