"""Answers to lab 12 that learners could write: wrong ones must lose points, right ones keep all of them."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn
from torchvision.models._utils import _make_divisible

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: pareto_front -----------------------------------------------------------------------------------


def expect(figures, more_is_better):
    if len(more_is_better) != figures.shape[1]:
        raise ValueError(f"{figures.shape[1]} columns, {len(more_is_better)} directions")


def better_of(figures, more_is_better):
    """(N, N, K): whether row n is better than row m in column k."""
    expect(figures, more_is_better)
    one, other = figures[:, None], figures[None]
    return torch.where(torch.tensor(more_is_better), one > other, one < other)


@wrong("pareto_front", "only who is better in every column dominates: dominated points with a tie stay")
def strictly_everywhere(figures, more_is_better):
    return ~better_of(figures, more_is_better).all(2).any(0)


@wrong("pareto_front", "at least as good everywhere is enough: equal rows throw each other out")
def equal_rows_gone(figures, more_is_better):
    worse = better_of(figures, more_is_better).any(2).T  # is row n worse than row m, somewhere
    beaten = ~worse
    beaten.fill_diagonal_(False)
    return ~beaten.any(0)


@wrong("pareto_front", "of equal rows the first one stays only")
def first_of_equal_rows(figures, more_is_better):
    better = better_of(figures, more_is_better).any(2)
    dominates = ~better.T & (better | ~torch.ones_like(better).tril())
    return ~dominates.any(0)


@wrong("pareto_front", "less is better everywhere")
def less_is_better(figures, more_is_better):
    expect(figures, more_is_better)
    return right_front(figures, [False] * len(more_is_better))


@wrong("pareto_front", "more is better everywhere")
def more_everywhere(figures, more_is_better):
    expect(figures, more_is_better)
    return right_front(figures, [True] * len(more_is_better))


@wrong("pareto_front", "the directions are turned round")
def turned_round(figures, more_is_better):
    expect(figures, more_is_better)
    return right_front(figures, [not up for up in more_is_better])


@wrong("pareto_front", "the first column counts upwards and all others downwards, whatever is asked")
def accuracy_first(figures, more_is_better):
    expect(figures, more_is_better)
    return right_front(figures, [True] + [False] * (len(more_is_better) - 1))


@wrong("pareto_front", "sorts by the first column and keeps records of the second: two columns only")
def two_columns(figures, more_is_better):
    expect(figures, more_is_better)
    signed = [
        [x if up else -x for x, up in zip(row, more_is_better, strict=True)] for row in figures.tolist()
    ]
    front, best = [False] * len(signed), -math.inf
    for row in sorted(range(len(signed)), key=lambda row: signed[row], reverse=True):
        if signed[row][-1] > best or any(front[n] and signed[n] == signed[row] for n in range(len(signed))):
            front[row], best = True, max(best, signed[row][-1])
    return torch.tensor(front, dtype=torch.bool)


@wrong("pareto_front", "negates columns of uint8, where -1 is 255")
def negates_uint8(figures, more_is_better):
    expect(figures, more_is_better)
    signed = torch.stack([x if up else -x for x, up in zip(figures.T, more_is_better, strict=True)], dim=1)
    return right_front(signed, [True] * len(more_is_better))


@wrong("pareto_front", "differences, in a type that cannot hold them")
def differences(figures, more_is_better):
    expect(figures, more_is_better)
    difference = figures[:, None] - figures[None]
    better = torch.where(torch.tensor(more_is_better), difference > 0, difference < 0).any(2)
    return ~(better & ~better.T).any(0)


@wrong("pareto_front", "float32 for all: large whole numbers that differ by one become equal")
def through_float(figures, more_is_better):
    return right_front(figures.float(), more_is_better)


@wrong("pareto_front", "the best in each column, and nobody between")
def best_in_each(figures, more_is_better):
    expect(figures, more_is_better)
    front = torch.zeros(len(figures), dtype=torch.bool)
    for column, up in zip(figures.T if len(figures) else [], more_is_better, strict=False):
        front |= column == (column.max() if up else column.min())
    return front & right_front(figures, more_is_better)


@wrong("pareto_front", "compares with rows above only: a later row that dominates comes too late")
def rows_above_only(figures, more_is_better):
    better = better_of(figures, more_is_better).any(2)
    return ~(better & ~better.T).triu().any(0)


@wrong("pareto_front", "nearly equal counts as equal")
def nearly_equal(figures, more_is_better):
    better = better_of(figures, more_is_better)
    same = torch.isclose(figures[:, None].double(), figures[None].double())
    better = (better & ~same).any(2)
    return ~(better & ~better.T).any(0)


@wrong("pareto_front", "row numbers in place of True and False")
def row_numbers(figures, more_is_better):
    return right_front(figures, more_is_better).nonzero()[:, 0]


@wrong("pareto_front", "True for what is dominated")
def dominated_ones(figures, more_is_better):
    return ~right_front(figures, more_is_better)


@wrong("pareto_front", "negates the costs in place")
def in_place(figures, more_is_better):
    expect(figures, more_is_better)
    result = right_front(figures, more_is_better)
    for column, up in enumerate(more_is_better):
        if not up and figures.dtype.is_floating_point:
            figures[:, column] *= -1
    return result


@wrong("pareto_front", "stacks nothing where there are no rows")
def fails_without_rows(figures, more_is_better):
    front = right_front(figures, more_is_better)
    return torch.stack([front[row] for row in range(len(front))])


@wrong("pareto_front", "zip drops what one of the two lacks")
def no_error(figures, more_is_better):
    columns = min(figures.shape[1], len(more_is_better))
    return right_front(figures[:, :columns], list(more_is_better)[:columns])


@wrong("pareto_front", "one who is better in most columns dominates")
def majority(figures, more_is_better):
    better = better_of(figures, more_is_better).sum(2)
    return ~(better > better.T).any(0)


@wrong("pareto_front", "scores in place of fronts: the best weighted sums")
def weighted_sums(figures, more_is_better):
    expect(figures, more_is_better)
    if not len(figures):
        return torch.zeros(0, dtype=torch.bool)
    signs = torch.tensor([1.0 if up else -1.0 for up in more_is_better], dtype=torch.float64)
    weights = torch.rand(2000, figures.shape[1], generator=torch.Generator().manual_seed(0)).double()
    sums = (figures.double() * signs) @ weights.T
    return (sums == sums.amax(0)).any(1)


def right_front(figures, more_is_better):
    better = better_of(figures, more_is_better).any(2)
    return ~(better & ~better.T).any(0)


@right("pareto_front", "columns times 1 or -1, whole numbers as int64; both comparisons by the hint")
def by_signs(figures, more_is_better):
    expect(figures, more_is_better)
    signs = torch.tensor([1 if up else -1 for up in more_is_better])
    signed = (figures if figures.is_floating_point() else figures.long()) * signs
    as_good = (signed[:, None] >= signed[None]).all(2)
    return ~(as_good & (signed[:, None] > signed[None]).any(2)).any(0)


@right("pareto_front", "two loops over Python's lists")
def two_loops(figures, more_is_better):
    rows = figures.tolist()
    if len(more_is_better) != figures.shape[1]:
        raise ValueError(f"expected {figures.shape[1]} directions, got {len(more_is_better)}")

    def dominates(a, b):
        pairs = [(x, y) if up else (y, x) for x, y, up in zip(a, b, more_is_better, strict=True)]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    return torch.tensor([not any(dominates(a, b) for a in rows) for b in rows], dtype=torch.bool)


@right("pareto_front", "numpy, column by column")
def by_numpy(figures, more_is_better):
    if figures.size(1) != len(more_is_better):
        raise ValueError(f"{len(more_is_better)} for {figures.size(1)}")
    table = figures.numpy()
    better = np.zeros((len(table), len(table)), dtype=bool)
    for column, up in enumerate(more_is_better):
        values = table[:, column]
        better |= np.greater.outer(values, values) if up else np.less.outer(values, values)
    return torch.from_numpy(~(better & ~better.T).any(axis=0))


@right("pareto_front", "a loop over rows, tensors for the others")
def row_by_row(figures, more_is_better):
    if len(more_is_better) != figures.shape[1]:
        raise ValueError(f"not {len(more_is_better)} but {figures.shape[1]} directions are needed")
    front = torch.ones(len(figures), dtype=torch.bool)
    up = torch.tensor(more_is_better)
    for number, row in enumerate(figures):
        at_least = torch.where(up, figures >= row, figures <= row).all(dim=1)
        better = torch.where(up, figures > row, figures < row).any(dim=1)
        front[number] = not (at_least & better).any()
    return front


class DirectionError(ValueError):
    pass


@right("pareto_front", "exact Python numbers, sorted first; an error of its own type")
def sorted_first(figures, more_is_better):
    if figures.shape[1] != len(more_is_better):
        raise DirectionError(f"columns {figures.shape[1]}, directions {len(more_is_better)}")
    rows = [
        tuple(x if up else -x for x, up in zip(row, more_is_better, strict=True)) for row in figures.tolist()
    ]
    front = set()
    for row in sorted(set(rows), reverse=True):  # whoever dominates comes first
        if not any(all(x >= y for x, y in zip(other, row, strict=True)) for other in front):
            front.add(row)
    return torch.tensor([row in front for row in rows], dtype=torch.bool)


# Exercise 2: teacher_loss -----------------------------------------------------------------------------------


def above_zero(temperature):
    if temperature <= 0:
        raise ValueError(f"temperature {temperature}")


def divergence(student, teacher, at_student, at_teacher, factor, reduction="batchmean"):
    p = F.softmax(teacher.detach() / at_teacher, dim=1)
    return factor * F.kl_div(F.log_softmax(student / at_student, dim=1), p, reduction=reduction)


@wrong("teacher_loss", "T squared is missing")
def no_square(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, temperature, 1)


@wrong("teacher_loss", "T in place of T squared")
def not_squared(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, temperature, temperature)


@wrong("teacher_loss", "divided by T squared")
def divided_by_square(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, temperature, temperature**-2)


@wrong("teacher_loss", "the student's logits are not softened")
def student_unsoftened(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, 1, temperature, temperature**2)


@wrong("teacher_loss", "the teacher's logits are not softened")
def teacher_unsoftened(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, 1, temperature**2)


@wrong("teacher_loss", "logits are multiplied by the temperature")
def multiplied(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, 1 / temperature, 1 / temperature, temperature**2)


@wrong("teacher_loss", "KL the wrong way round")
def wrong_way_round(student, teacher, temperature):
    above_zero(temperature)
    log_p = F.log_softmax(teacher.detach() / temperature, dim=1)
    log_q = F.log_softmax(student / temperature, dim=1)
    return temperature**2 * F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


@wrong("teacher_loss", "the mean over images and classes, F.kl_div's default")
def mean_of_all(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, temperature, temperature**2, "mean")


@wrong("teacher_loss", "the sum over images")
def sum_of_all(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, temperature, temperature**2, "sum")


@wrong("teacher_loss", "divides by the number of classes")
def divides_by_classes(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, temperature, temperature**2, "sum") / student.shape[1]


@wrong("teacher_loss", "softmax over the images")
def over_images(student, teacher, temperature):
    above_zero(temperature)
    p = F.softmax(teacher.detach() / temperature, dim=0)
    return temperature**2 * F.kl_div(F.log_softmax(student / temperature, dim=0), p, reduction="batchmean")


@wrong("teacher_loss", "the teacher gets a gradient")
def teaches_the_teacher(student, teacher, temperature):
    above_zero(temperature)
    p = F.softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(F.log_softmax(student / temperature, dim=1), p, reduction="batchmean")


@wrong("teacher_loss", "no gradient for anybody")
def no_gradient(student, teacher, temperature):
    above_zero(temperature)
    with torch.no_grad():
        return divergence(student, teacher, temperature, temperature, temperature**2)


@wrong("teacher_loss", "switches gradients off for the teacher, and not on again")
def switched_off(student, teacher, temperature):
    above_zero(temperature)
    log_q = F.log_softmax(student / temperature, dim=1)
    torch.set_grad_enabled(False)
    p = F.softmax(teacher / temperature, dim=1)
    torch.set_grad_enabled(True)
    loss = temperature**2 * F.kl_div(log_q, p, reduction="batchmean")
    torch.set_grad_enabled(False)
    return loss


@wrong("teacher_loss", "cross-entropy of soft answers: KL and the teacher's entropy")
def cross_entropy_only(student, teacher, temperature):
    above_zero(temperature)
    p = F.softmax(teacher.detach() / temperature, dim=1)
    return temperature**2 * F.cross_entropy(student / temperature, p)


@wrong("teacher_loss", "log of a softmax that is 0: nan")
def log_of_zero(student, teacher, temperature):
    above_zero(temperature)
    p, q = (F.softmax(logits / temperature, dim=1) for logits in (teacher.detach(), student))
    return temperature**2 * (p * (p.log() - q.log())).sum(1).mean()


@wrong("teacher_loss", "a small number inside the logarithm, against nan")
def epsilon_inside(student, teacher, temperature):
    above_zero(temperature)
    p, q = (F.softmax(logits / temperature, dim=1) for logits in (teacher.detach(), student))
    return temperature**2 * (p * ((p + 1e-8).log() - (q + 1e-8).log())).sum(1).mean()


@wrong("teacher_loss", "torch.distributions: infinite where the student's probability is rounded to 0")
def by_distributions(student, teacher, temperature):
    above_zero(temperature)
    p, q = (torch.distributions.Categorical(logits=x / temperature) for x in (teacher.detach(), student))
    return temperature**2 * torch.distributions.kl_divergence(p, q).mean()


@wrong("teacher_loss", "squared differences of logits")
def squared_differences(student, teacher, temperature):
    above_zero(temperature)
    return (student - teacher.detach()).square().mean(1).mean() / 2


@wrong("teacher_loss", "divides the student's logits in place")
def divides_in_place(student, teacher, temperature):
    above_zero(temperature)
    with torch.no_grad():
        student /= temperature
    return divergence(student, teacher, 1, temperature, temperature**2)


@wrong("teacher_loss", "computes in float32")
def in_float32(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student.float(), teacher.float(), temperature, temperature, temperature**2).to(
        student.dtype
    )


@wrong("teacher_loss", "a Python number, from which nothing can learn")
def python_number(student, teacher, temperature):
    above_zero(temperature)
    return divergence(student, teacher, temperature, temperature, temperature**2).item()


@wrong("teacher_loss", "no error for a negative temperature")
def any_temperature(student, teacher, temperature):
    return divergence(student, teacher, temperature, temperature, temperature**2)


@wrong("teacher_loss", "refuses temperatures below 1")
def from_one_on(student, teacher, temperature):
    if temperature < 1:
        raise ValueError(f"temperature {temperature}")
    return divergence(student, teacher, temperature, temperature, temperature**2)


@wrong("teacher_loss", "the teacher that was given does not require gradients any more")
def freezes_the_teacher(student, teacher, temperature):
    above_zero(temperature)
    if teacher.is_leaf:
        teacher.requires_grad = False
    return divergence(student, teacher, temperature, temperature, temperature**2)


@wrong("teacher_loss", "gradients are recorded afterwards, whatever the caller wanted")
def switches_on(student, teacher, temperature):
    above_zero(temperature)
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    p = F.softmax(teacher / temperature, dim=1)
    torch.set_grad_enabled(True)
    log_q = F.log_softmax(student / temperature, dim=1)
    loss = temperature**2 * F.kl_div(log_q, p, reduction="batchmean")
    return loss if before else loss.detach()


@wrong("teacher_loss", "softmax by hand, less the largest logit of the whole batch")
def one_maximum_for_all(student, teacher, temperature):
    above_zero(temperature)
    shifted = ((x - x.detach().max()) / temperature for x in (teacher.detach(), student))
    log_p, log_q = (x - x.exp().sum(1, keepdim=True).log() for x in shifted)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum() / len(student)


@right("teacher_loss", "image by image, less logsumexp, in the type of the logits")
def less_logsumexp(student, teacher, temperature):
    above_zero(temperature)
    losses = []
    for one, other in zip(student / temperature, teacher.detach() / temperature, strict=True):
        log_p, log_q = other - other.logsumexp(0), one - one.logsumexp(0)
        losses.append((log_p.exp() * (log_p - log_q)).sum())
    return temperature**2 * torch.stack(losses).mean()


@right("teacher_loss", "by hand from two logarithms")
def kl_by_hand(student, teacher, temperature):
    if temperature <= 0:
        raise ValueError(f"T = {temperature}")
    log_p = (teacher.detach() / temperature).log_softmax(1)
    log_q = (student / temperature).log_softmax(1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()


@right("teacher_loss", "nn.KLDivLoss with a target of logarithms")
def by_module(student, teacher, temperature):
    if not temperature > 0:
        raise ValueError(f"temperature has to be above 0, not {temperature}")
    loss = nn.KLDivLoss(reduction="batchmean", log_target=True)
    log_q, log_p = (F.log_softmax(logits / temperature, dim=-1) for logits in (student, teacher.detach()))
    return loss(log_q, log_p) * temperature * temperature


@right("teacher_loss", "no_grad around the teacher's part; the sum divided by the number of images")
def no_grad_for_teacher(student, teacher, temperature):
    if temperature <= 0:
        raise ValueError(str(temperature))
    with torch.no_grad():
        p = torch.softmax(teacher / temperature, dim=1)
    log_q = torch.log_softmax(student / temperature, dim=1)
    return F.kl_div(log_q, p, reduction="sum") / len(student) * temperature**2


@right("teacher_loss", "cross-entropy less entropy, in float64")
def less_entropy(student, teacher, temperature):
    if temperature <= 0:
        raise ValueError(f"{temperature} is no temperature")
    log_p = F.log_softmax(teacher.detach().double() / temperature, dim=1)
    log_q = F.log_softmax(student.double() / temperature, dim=1)
    loss = (torch.xlogy(log_p.exp(), log_p.exp()) - log_p.exp() * log_q).sum(1).mean()
    return (temperature**2 * loss).to(student.dtype)


# Exercise 2: student_loss -----------------------------------------------------------------------------------


def a_share(alpha):
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha {alpha}")


def mean_of_labeled(student, labels):
    return F.cross_entropy(student, labels, reduction="sum") / (labels != -100).sum().clamp(min=1)


@wrong("student_loss", "alpha is the labels' share")
def shares_swapped(soft, student, labels, alpha):
    a_share(alpha)
    return (1 - alpha) * soft + alpha * mean_of_labeled(student, labels)


@wrong("student_loss", "the teacher's part keeps its full size")
def soft_in_full(soft, student, labels, alpha):
    a_share(alpha)
    return soft + (1 - alpha) * mean_of_labeled(student, labels)


@wrong("student_loss", "the labels' part keeps its full size")
def hard_in_full(soft, student, labels, alpha):
    a_share(alpha)
    return alpha * soft + mean_of_labeled(student, labels)


@wrong("student_loss", "nan where no image has a label")
def nan_without_labels(soft, student, labels, alpha):
    a_share(alpha)
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels)


@wrong("student_loss", "nan is replaced afterwards, but its gradient is not")
def nan_replaced(soft, student, labels, alpha):
    a_share(alpha)
    hard = -student.log_softmax(1)[labels != -100].gather(1, labels[labels != -100][:, None]).mean()
    return alpha * soft + (1 - alpha) * torch.where(hard.isnan(), hard * 0, hard)


@wrong("student_loss", "divides by all images")
def divides_by_all(soft, student, labels, alpha):
    a_share(alpha)
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels, reduction="sum") / len(labels)


@wrong("student_loss", "the sum over the images")
def sum_over_images(soft, student, labels, alpha):
    a_share(alpha)
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels, reduction="sum")


@wrong("student_loss", "-100 read as a class from the end, class 0 by clamp")
def clamps_labels(soft, student, labels, alpha):
    a_share(alpha)
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels.clamp(min=0))


@wrong("student_loss", "without labels only `soft` is left, in full")
def soft_alone(soft, student, labels, alpha):
    a_share(alpha)
    if (labels == -100).all():
        return soft
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels)


@wrong("student_loss", "an unlabeled batch whenever its first image has no label")
def looks_at_the_first(soft, student, labels, alpha):
    a_share(alpha)
    if labels[0] == -100:
        return alpha * soft + 0 * student.sum()
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, labels)


@wrong("student_loss", "the logarithm of softmax by hand: infinite for sure students")
def softmax_then_log(soft, student, labels, alpha):
    a_share(alpha)
    rows = labels != -100
    logs = student.softmax(1).log()[rows, labels[rows]]
    return alpha * soft - (1 - alpha) * logs.sum() / max(1, len(logs))


@wrong("student_loss", "softmax twice: cross-entropy of probabilities")
def softmax_twice(soft, student, labels, alpha):
    a_share(alpha)
    return alpha * soft + (1 - alpha) * mean_of_labeled(student.softmax(1), labels)


@wrong("student_loss", "label smoothing besides")
def smoothed(soft, student, labels, alpha):
    a_share(alpha)
    hard = F.cross_entropy(student, labels, reduction="sum", label_smoothing=0.1)
    return alpha * soft + (1 - alpha) * hard / (labels != -100).sum().clamp(min=1)


@wrong("student_loss", "the teacher's part is cut off from gradients")
def soft_detached(soft, student, labels, alpha):
    a_share(alpha)
    return alpha * soft.detach() + (1 - alpha) * mean_of_labeled(student, labels)


@wrong("student_loss", "computes in float32")
def mix_in_float32(soft, student, labels, alpha):
    a_share(alpha)
    hard = mean_of_labeled(student.float(), labels)
    return (alpha * soft.float() + (1 - alpha) * hard).to(student.dtype)


@wrong("student_loss", "no error for a share of 150 %")
def any_share(soft, student, labels, alpha):
    return alpha * soft + (1 - alpha) * mean_of_labeled(student, labels)


@wrong("student_loss", "refuses alpha 0 and 1")
def open_interval(soft, student, labels, alpha):
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha}")
    return alpha * soft + (1 - alpha) * mean_of_labeled(student, labels)


@wrong("student_loss", "marks unlabeled images as class 0 in place")
def labels_in_place(soft, student, labels, alpha):
    a_share(alpha)
    hard = mean_of_labeled(student, labels)
    labels[labels == -100] = 0
    return alpha * soft + (1 - alpha) * hard


@wrong("student_loss", "adds to the teacher's loss in place")
def soft_in_place(soft, student, labels, alpha):
    a_share(alpha)
    soft.data *= alpha
    return soft + (1 - alpha) * mean_of_labeled(student, labels)


@right("student_loss", "only the labeled rows, if there are any")
def labeled_rows(soft, student, labels, alpha):
    if alpha < 0 or alpha > 1:
        raise ValueError(f"a share of {alpha}")
    labeled = labels != -100
    if not labeled.any():
        return alpha * soft
    return alpha * soft + (1 - alpha) * F.cross_entropy(student[labeled], labels[labeled])


@right("student_loss", "no reduction, then a mean by hand")
def no_reduction(soft, student, labels, alpha):
    a_share(alpha)
    losses = F.cross_entropy(student, labels, reduction="none")  # 0 where there is no label
    count = int((labels >= 0).sum())
    return alpha * soft + (1 - alpha) * losses.sum() / (count or 1)


@right("student_loss", "log-softmax and gather")
def by_gather(soft, student, labels, alpha):
    a_share(alpha)
    labeled = labels.ge(0)
    picked = student.log_softmax(dim=1).gather(1, labels.clamp(min=0)[:, None])[:, 0]
    hard = -(picked * labeled).sum() / labeled.sum().clamp(min=1)
    return torch.lerp(hard, soft, float(alpha))


@right("student_loss", "nan_to_num in front of nothing that was nan in the gradient")
def skips_the_mean(soft, student, labels, alpha):
    a_share(alpha)
    hard = (
        student.new_zeros(())
        if int((labels + 100).count_nonzero()) == 0
        else nn.CrossEntropyLoss()(student, labels)
    )
    return soft * alpha + hard * (1 - alpha)


# Exercise 3: round_channels ---------------------------------------------------------------------------------


def nearest_multiple(channels, divisor):
    return max(divisor, int(channels + divisor / 2) // divisor * divisor)


@wrong("round_channels", "no care for 90 %")
def below_ninety(channels, divisor=8):
    return nearest_multiple(channels, divisor)


@wrong("round_channels", "rounds down")
def rounds_down(channels, divisor=8):
    out = max(divisor, int(channels) // divisor * divisor)
    return out if out >= 0.9 * channels else out + divisor


@wrong("round_channels", "always up")
def always_up(channels, divisor=8):
    return math.ceil(channels / divisor) * divisor


@wrong("round_channels", "Python's round goes to the even multiple halfway")
def bankers(channels, divisor=8):
    out = max(divisor, round(channels / divisor) * divisor)
    return out if out >= 0.9 * channels else out + divisor


@wrong("round_channels", "halfway goes down")
def halfway_down(channels, divisor=8):
    out = max(divisor, math.ceil(channels / divisor - 0.5) * divisor)
    return out if out >= 0.9 * channels else out + divisor


@wrong("round_channels", "0 for thin layers")
def nothing_left(channels, divisor=8):
    out = int(channels + divisor / 2) // divisor * divisor
    return out if out >= 0.9 * channels or out == 0 else out + divisor


@wrong("round_channels", "never below 8, whatever the divisor")
def eight_at_least(channels, divisor=8):
    out = max(8, int(channels + divisor / 2) // divisor * divisor)
    return int(out if out >= 0.9 * channels else out + divisor)


@wrong("round_channels", "90 % the wrong way: of the result")
def ninety_of_result(channels, divisor=8):
    out = nearest_multiple(channels, divisor)
    return out if channels >= 0.9 * out else out + divisor


@wrong("round_channels", "exactly 90 % goes up as well")
def ninety_included(channels, divisor=8):
    out = nearest_multiple(channels, divisor)
    return out if 10 * out > 9 * channels else out + divisor


@wrong("round_channels", "goes up by 8, whatever the divisor")
def up_by_eight(channels, divisor=8):
    out = nearest_multiple(channels, divisor)
    return out if out >= 0.9 * channels else out + 8


@wrong("round_channels", "the divisor is always 8")
def always_eight(channels, divisor=8):
    out = nearest_multiple(channels, 8)
    return out if out >= 0.9 * channels else out + 8


@wrong("round_channels", "cuts the fraction off first")
def cuts_first(channels, divisor=8):
    channels = int(channels)
    out = nearest_multiple(channels, divisor)
    return out if out >= 0.9 * channels else out + divisor


@wrong("round_channels", "half of an odd divisor by //, which is too little")
def half_by_floor(channels, divisor=8):
    out = max(divisor, int(channels + divisor // 2) // divisor * divisor)
    return out if out >= 0.9 * channels else out + divisor


@wrong("round_channels", "80 % in place of 90 %")
def eighty(channels, divisor=8):
    out = nearest_multiple(channels, divisor)
    return out if out >= 0.8 * channels else out + divisor


@wrong("round_channels", "a float")
def a_float(channels, divisor=8):
    out = max(divisor, (channels + divisor / 2) // divisor * divisor)
    return float(out if out >= 0.9 * channels else out + divisor)


@wrong("round_channels", "up to the next even multiple")
def powers_of_two(channels, divisor=8):
    return 2 ** max(3, round(math.log2(channels)))


@wrong("round_channels", "numbers of numpy through float16, which has three digits")
def through_float16(channels, divisor=8):
    if isinstance(channels, np.generic):
        channels = float(np.float16(channels))
    nearest = nearest_multiple(channels, divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


@right("round_channels", "torchvision's function")
def by_torchvision(channels, divisor=8):
    return _make_divisible(channels, divisor)


@right("round_channels", "the nearest of three multiples")
def of_three(channels, divisor=8):
    below = int(channels // divisor) * int(divisor)
    choices = [multiple for multiple in (below, below + divisor) if multiple > 0]
    best = min(choices, key=lambda multiple: (abs(multiple - channels), -multiple))
    return int(best + divisor if best < channels - channels / 10 else best)


@right("round_channels", "floor(x + 0.5)")
def by_floor(channels, divisor=8):
    times = max(1, math.floor(channels / divisor + 0.5))
    if times * divisor < 0.9 * channels:
        times += 1
    return times * divisor


@right("round_channels", "the code of the MobileNet authors, with its third argument")
def make_divisible(channels, divisor=8, min_value=None):
    if min_value is None:
        min_value = divisor
    new = max(min_value, int(channels + divisor / 2) // divisor * divisor)
    if new < 0.9 * channels:
        new += divisor
    return new


@right("round_channels", "numpy")
def numpy_rounds(channels, divisor=8):
    out = np.maximum(divisor, np.floor(np.float64(channels) / divisor + 0.5) * divisor)
    return np.int64(out + divisor * (out < 0.9 * channels))


@right("round_channels", "counting up")
def counts_up(channels, divisor=8):
    out = divisor
    while out + divisor / 2 <= channels:
        out += divisor
    while 10 * out < 9 * channels:
        out += divisor
    return out


# Exercise 4: scale_plan -------------------------------------------------------------------------------------


def with_stages(plan, stages):
    return plan._replace(stages=tuple(stages))


@wrong("scale_plan", "the classes are scaled too")
def scales_classes(plan, width, depth, rounded):
    return right_scale(plan, width, depth, rounded)._replace(classes=rounded(width * plan.classes))


@wrong("scale_plan", "the channels of the images are scaled too")
def scales_inputs(plan, width, depth, rounded):
    return right_scale(plan, width, depth, rounded)._replace(inputs=rounded(width * plan.inputs))


@wrong("scale_plan", "the first stage keeps its channels")
def keeps_the_first(plan, width, depth, rounded):
    out = right_scale(plan, width, depth, rounded).stages
    return with_stages(
        plan, (s._replace(channels=plan.stages[0].channels) if n == 0 else s for n, s in enumerate(out))
    )


@wrong("scale_plan", "repeats are rounded to the nearest")
def nearest_repeats(plan, width, depth, rounded):
    stages = (
        s._replace(channels=rounded(width * s.channels), repeats=round(depth * s.repeats))
        for s in plan.stages
    )
    return with_stages(plan, stages)


@wrong("scale_plan", "repeats are rounded down, but never to 0")
def repeats_down(plan, width, depth, rounded):
    stages = (
        s._replace(channels=rounded(width * s.channels), repeats=max(1, int(depth * s.repeats)))
        for s in plan.stages
    )
    return with_stages(plan, stages)


@wrong("scale_plan", "one more repeat where the product is whole")
def one_more(plan, width, depth, rounded):
    stages = (
        s._replace(channels=rounded(width * s.channels), repeats=int(depth * s.repeats) + 1)
        for s in plan.stages
    )
    return with_stages(plan, stages)


@wrong("scale_plan", "width and depth exchanged")
def exchanged(plan, width, depth, rounded):
    return right_scale(plan, depth, width, rounded)


@wrong("scale_plan", "int in place of the rule that was given")
def own_rule(plan, width, depth, rounded):
    return right_scale(plan, width, depth, int)


@wrong("scale_plan", "rounds before it multiplies")
def rounds_first(plan, width, depth, rounded):
    stages = (
        s._replace(channels=int(width * rounded(s.channels)), repeats=math.ceil(depth * s.repeats))
        for s in plan.stages
    )
    return with_stages(plan, stages)


@wrong("scale_plan", "the factor alone is rounded")
def rounds_the_factor(plan, width, depth, rounded):
    factor = math.ceil(depth)
    stages = (
        s._replace(channels=rounded(width * s.channels), repeats=factor * s.repeats) for s in plan.stages
    )
    return with_stages(plan, stages)


@wrong("scale_plan", "strides are lost")
def strides_one(plan, width, depth, rounded):
    return with_stages(plan, (s._replace(stride=1) for s in right_scale(plan, width, depth, rounded).stages))


@wrong("scale_plan", "a list of stages")
def list_of_stages(plan, width, depth, rounded):
    return plan._replace(stages=list(right_scale(plan, width, depth, rounded).stages))


@wrong("scale_plan", "plain tuples in place of stages")
def plain_tuples(plan, width, depth, rounded):
    return with_stages(plan, (tuple(s) for s in right_scale(plan, width, depth, rounded).stages))


@wrong("scale_plan", "the stages only")
def stages_only(plan, width, depth, rounded):
    return right_scale(plan, width, depth, rounded).stages


@wrong("scale_plan", "numpy's ceil gives a float")
def float_repeats(plan, width, depth, rounded):
    out = right_scale(plan, width, depth, rounded).stages
    return with_stages(
        plan,
        (s._replace(repeats=np.ceil(depth * old.repeats)) for s, old in zip(out, plan.stages, strict=True)),
    )


@wrong("scale_plan", "each width is made from the last one")
def from_the_last(plan, width, depth, rounded):
    stages, channels = [], None
    for s in plan.stages:
        channels = rounded(width * (channels or s.channels))
        stages.append(s._replace(channels=channels, repeats=math.ceil(depth * s.repeats)))
    return with_stages(plan, stages)


@wrong("scale_plan", "an error for a plan without stages")
def needs_a_stage(plan, width, depth, rounded):
    first = plan.stages[0]
    return right_scale(plan, width, depth, rounded) if first else plan


def right_scale(plan, width, depth, rounded):
    stages = (
        s._replace(channels=rounded(width * s.channels), repeats=math.ceil(depth * s.repeats))
        for s in plan.stages
    )
    return with_stages(plan, stages)


REMEMBERED = {}


@wrong("scale_plan", "remembered by plan, width and depth: another rule gets the result of the first one")
def remembers(plan, width, depth, rounded):
    if (plan, width, depth) not in REMEMBERED:
        REMEMBERED[plan, width, depth] = right_scale(plan, width, depth, rounded)
    return REMEMBERED[plan, width, depth]


@wrong("scale_plan", "a thousand classes at most")
def thousand_classes(plan, width, depth, rounded):
    return right_scale(plan, width, depth, rounded)._replace(classes=min(plan.classes, 1000))


@right("scale_plan", "types taken from the plan, keyword by keyword")
def by_types(plan, width, depth, rounded):
    new = []
    for stage in plan.stages:
        channels, repeats, stride = stage
        new.append(type(stage)(rounded(channels * width), -int(-(repeats * depth) // 1), stride))
    return type(plan)(inputs=plan.inputs, stages=tuple(new), classes=plan.classes)


@right("scale_plan", "a map of a helper")
def by_map(plan, width, depth, rounded):
    def scaled(stage):
        repeats = depth * stage.repeats
        whole = int(repeats) + (repeats > int(repeats))
        return stage._replace(channels=rounded(stage.channels * width), repeats=whole)

    return plan._replace(stages=tuple(map(scaled, plan.stages)))


@right("scale_plan", "numpy for all stages at once")
def by_arrays(plan, width, depth, rounded):
    repeats = np.ceil(np.array([stage.repeats for stage in plan.stages]) * depth).astype(int)
    stages = [
        s._replace(channels=rounded(width * s.channels), repeats=r)
        for s, r in zip(plan.stages, repeats, strict=True)
    ]
    return plan._replace(stages=tuple(stages))


@right("scale_plan", "a recursion, stage by stage")
def by_recursion(plan, width, depth, rounded):
    if not plan.stages:
        return plan
    first, rest = plan.stages[0], plan._replace(stages=plan.stages[1:])
    first = first._replace(channels=rounded(width * first.channels), repeats=math.ceil(first.repeats * depth))
    return plan._replace(stages=(first, *by_recursion(rest, width, depth, rounded).stages))


# Exercise 5: choose -----------------------------------------------------------------------------------------


def known(row, name):
    return math.inf if row.get(name) is None else row[name]


def keeps(row, limits):
    return all(row.get(name) is not None and row[name] <= limit for name, limit in limits.items())


def take(rows, limits, cost, slack, fits=keeps, best_of=None, key=None):
    """The right rule, with a part of it exchanged."""
    affordable = [row for row in rows if fits(row, limits)]
    if not affordable:
        return None
    best = max(row["top1"] for row in (affordable if best_of is None else best_of))
    good = [row for row in affordable if row["top1"] >= best - slack]
    return min(good, key=key or (lambda row: (known(row, cost), -row["top1"])), default=None)


@wrong("choose", "the most accurate, without slack")
def no_slack(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, 0)


@wrong("choose", "the cheapest of all that keep to the limits")
def cheapest_of_all(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, math.inf)


@wrong("choose", "the best of all rows is the measure, affordable or not")
def best_of_all_rows(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, slack, best_of=rows)


@wrong("choose", "a limit must not be reached")
def below_the_limit(rows, limits, cost, slack=0.0):
    return take(
        rows, limits, cost, slack,
        fits=lambda row, limits: all(row.get(n) is not None and row[n] < v for n, v in limits.items()),
    )  # fmt: skip


@wrong("choose", "slack must not be reached")
def below_the_slack(rows, limits, cost, slack=0.0):
    affordable = [row for row in rows if keeps(row, limits)]
    best = max((row["top1"] for row in affordable), default=0)
    good = [row for row in affordable if row["top1"] > best - slack or row["top1"] == best]
    return min(good, key=lambda row: (known(row, cost), -row["top1"]), default=None)


@wrong("choose", "one limit kept is enough")
def any_limit(rows, limits, cost, slack=0.0):
    return take(
        rows,
        limits,
        cost,
        slack,
        fits=lambda row, limits: not limits or any(keeps(row, {n: v}) for n, v in limits.items()),
    )


@wrong("choose", "what was not measured counts as 0")
def missing_is_zero(rows, limits, cost, slack=0.0):
    return take(
        rows,
        limits,
        cost,
        slack,
        fits=lambda row, limits: all((row.get(n) or 0) <= v for n, v in limits.items()),
    )


@wrong("choose", "an unknown cost is the cheapest")
def unknown_is_cheap(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, slack, key=lambda row: (row.get(cost) or 0, -row["top1"]))


@wrong("choose", "rows with an unknown cost are left out, even if there are no others")
def unknown_left_out(rows, limits, cost, slack=0.0):
    return take(
        rows, limits, cost, slack, fits=lambda row, limits: keeps(row, limits) and row.get(cost) is not None
    )


@wrong("choose", "0 is taken for not measured")
def zero_is_missing(rows, limits, cost, slack=0.0):
    return take(
        rows,
        limits,
        cost,
        slack,
        fits=lambda row, limits: all(row.get(n) and row[n] <= v for n, v in limits.items()),
    )


@wrong("choose", "KeyError where a figure is absent")
def needs_every_figure(rows, limits, cost, slack=0.0):
    return take(
        rows,
        limits,
        cost,
        slack,
        fits=lambda row, limits: all(row[n] is not None and row[n] <= v for n, v in limits.items()),
    )


@wrong("choose", "of equally expensive ones the first, not the more accurate")
def first_of_equal_cost(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, slack, key=lambda row: known(row, cost))


@wrong("choose", "of rows that are equal in all the last one")
def last_of_equal(rows, limits, cost, slack=0.0):
    return take(rows[::-1], limits, cost, slack)


@wrong("choose", "the most accurate of those within the slack, then the cheapest")
def accuracy_first_again(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, slack, key=lambda row: (-row["top1"], known(row, cost)))


@wrong("choose", "a copy of the row")
def a_copy(rows, limits, cost, slack=0.0):
    row = take(rows, limits, cost, slack)
    return row and dict(row)


@wrong("choose", "the name of the row")
def a_name(rows, limits, cost, slack=0.0):
    row = take(rows, limits, cost, slack)
    return row and row.get("name")


@wrong("choose", "an error where nothing is affordable")
def nothing_is_an_error(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, slack) or max([], key=len)


@wrong("choose", "slack in percent of the best")
def slack_in_percent(rows, limits, cost, slack=0.0):
    affordable = [row for row in rows if keeps(row, limits)]
    best = max((row["top1"] for row in affordable), default=0)
    return take(rows, limits, cost, best * slack / 100)


@wrong("choose", "sorts the caller's list")
def sorts_in_place(rows, limits, cost, slack=0.0):
    found = take(rows, limits, cost, slack)
    if isinstance(rows, list):
        rows.sort(key=lambda row: row["top1"])
    return found


@wrong("choose", "fills the gaps of the caller's rows")
def fills_gaps(rows, limits, cost, slack=0.0):
    found = take(rows, limits, cost, slack)
    for row in rows:
        row.setdefault(cost, math.inf)
    return found


@wrong("choose", "accuracy is above 0, so 0 is a safe start")
def starts_at_zero(rows, limits, cost, slack=0.0):
    affordable = [row for row in rows if keeps(row, limits)]
    best = 0
    for row in affordable:
        best = max(best, row["top1"])
    good = [row for row in affordable if row["top1"] >= best - slack]
    return min(good, key=lambda row: (known(row, cost), -row["top1"]), default=None)


@wrong("choose", "10^9 for what nobody has measured, which is less than some costs")
def a_thousand_million(rows, limits, cost, slack=0.0):
    def order(row):
        return 10**9 if row.get(cost) is None else row[cost], -row["top1"]

    return take(rows, limits, cost, slack, key=order)


@wrong("choose", "above one point only whole points of slack")
def whole_points(rows, limits, cost, slack=0.0):
    return take(rows, limits, cost, slack if slack < 1 else math.floor(slack))


@right("choose", "loops with continue")
def with_loops(rows, limits, cost, slack=0.0):
    affordable = []
    for row in rows:
        for name, limit in limits.items():
            if name not in row or row[name] is None or row[name] > limit:
                break
        else:
            affordable.append(row)
    if not affordable:
        return None
    top = max(row["top1"] for row in affordable)
    found, price = None, None
    for row in affordable:
        if row["top1"] + slack < top:
            continue
        mine = row.get(cost)
        mine = float("inf") if mine is None else mine
        if found is None or mine < price or (mine == price and row["top1"] > found["top1"]):
            found, price = row, mine
    return found


@right("choose", "sorted, which is stable; unknown costs come last by True")
def by_sorting(rows, limits, cost, slack=0.0):
    left = list(rows)
    for name, limit in limits.items():
        left = [row for row in left if row.get(name, None) is not None and row[name] <= limit]
    left.sort(key=lambda row: row["top1"], reverse=True)
    good = [row for row in left if row["top1"] >= left[0]["top1"] - slack]
    good = sorted(good, key=lambda row: (row.get(cost) is None, row.get(cost) or 0))
    return good[0] if good else None


@right("choose", "three steps of filtering by numpy")
def by_filtering(rows, limits, cost, slack=0.0):
    left = [row for row in rows if all(known(row, name) <= limit for name, limit in limits.items())]
    left = [row for row in left if all(row.get(name) is not None for name in limits)]
    if left:
        accuracy = np.array([row["top1"] for row in left])
        left = [row for row, good in zip(left, accuracy >= accuracy.max() - slack, strict=True) if good]
        prices = np.array([known(row, cost) for row in left], dtype=float)
        left = [row for row, cheap in zip(left, prices == prices.min(), strict=True) if cheap]
        accuracy = [row["top1"] for row in left]
        return left[accuracy.index(max(accuracy))]
    return None


@right("choose", "max with the signs turned")
def by_max(rows, limits, cost, slack=0.0):
    affordable = [row for row in rows if keeps(row, limits)]
    top = max([row["top1"] for row in affordable] or [0])
    good = (row for row in affordable if top - row["top1"] <= slack)
    return max(good, key=lambda row: (-known(row, cost), row["top1"]), default=None)


# Exercise 6: training_bytes ---------------------------------------------------------------------------------


def numbers_kept(trained, frozen, moments):
    return trained * (2 + moments) + frozen


@wrong("training_bytes", "gradients are missing")
def no_gradients(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * (trained * (1 + moments) + frozen) + batch_size * per_image


@wrong("training_bytes", "weights only")
def weights_only(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * (trained + frozen) + batch_size * per_image


@wrong("training_bytes", "two moments, whatever the optimizer")
def always_adam(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * numbers_kept(trained, frozen, 2) + batch_size * per_image


@wrong("training_bytes", "frozen parameters have gradients too")
def frozen_gradients(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * ((trained + frozen) * 2 + moments * trained) + batch_size * per_image


@wrong("training_bytes", "frozen parameters have moments too")
def frozen_moments(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * (trained * 2 + frozen + moments * (trained + frozen)) + batch_size * per_image


@wrong("training_bytes", "frozen parameters take no memory at all")
def frozen_for_nothing(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * numbers_kept(trained, 0, moments) + batch_size * per_image


@wrong("training_bytes", "activations are counted as numbers")
def activations_as_numbers(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * (numbers_kept(trained, frozen, moments) + batch_size * per_image)


@wrong("training_bytes", "activations of one image")
def one_image(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * numbers_kept(trained, frozen, moments) + per_image


@wrong("training_bytes", "all of it grows with the batch")
def all_per_image(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return batch_size * (bytes_per_number * numbers_kept(trained, frozen, moments) + per_image)


@wrong("training_bytes", "four bytes, whatever the precision")
def always_four(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return 4 * numbers_kept(trained, frozen, moments) + batch_size * per_image


@wrong("training_bytes", "moments in float32, whatever the precision")
def moments_in_float32(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return bytes_per_number * (2 * trained + frozen) + 4 * moments * trained + batch_size * per_image


@wrong("training_bytes", "a float")
def bytes_as_float(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return float(bytes_per_number * numbers_kept(trained, frozen, moments) + batch_size * per_image)


@wrong("training_bytes", "megabytes")
def megabytes(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return (bytes_per_number * numbers_kept(trained, frozen, moments) + batch_size * per_image) // 10**6


@wrong("training_bytes", "computed with floats, which have sixteen digits")
def sixteen_digits(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    return int(
        bytes_per_number * float(numbers_kept(trained, frozen, moments)) + float(per_image) * batch_size
    )


@right("training_bytes", "four terms")
def four_terms(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    weights = (trained + frozen) * bytes_per_number
    gradients = trained * bytes_per_number
    optimizer = moments * gradients
    return weights + gradients + optimizer + per_image * batch_size


@right("training_bytes", "bytes of a trained and of a frozen parameter")
def per_parameter(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    learns = bytes_per_number + bytes_per_number + moments * bytes_per_number
    return sum([trained * learns, frozen * bytes_per_number, batch_size * per_image])


@right("training_bytes", "a sum of torch, in int64")
def torch_sum(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    kept = bytes_per_number * numbers_kept(trained, frozen, moments)
    return torch.tensor([kept, per_image * batch_size]).sum().item()


@right("training_bytes", "a product of vectors, in whole numbers of numpy")
def dot_product(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    counts = np.array([trained, frozen, batch_size], dtype=np.int64)
    return np.dot(counts, np.array([(2 + moments) * bytes_per_number, bytes_per_number, per_image]))


@right("training_bytes", "a loop over what each parameter has")
def by_loop(trained, frozen, per_image, batch_size, moments=2, bytes_per_number=4):
    total = per_image * batch_size + bytes_per_number * frozen
    for _ in range(2 + moments):  # weight, gradient, moments
        total += bytes_per_number * trained
    return int(total)


# Exercise 6: largest_batch ----------------------------------------------------------------------------------


def fixed_bytes(trained, frozen, moments, bytes_per_number):
    return bytes_per_number * numbers_kept(trained, frozen, moments)


@wrong("largest_batch", "negative where not even the weights fit")
def negative_batch(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return (budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) // per_image


@wrong("largest_batch", "the absolute value, against negative batches")
def absolute_batch(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return abs(budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) // per_image


@wrong("largest_batch", "at least one image")
def at_least_one(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return max(1, (budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) // per_image)


@wrong("largest_batch", "the budget must not be reached")
def not_reached(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return max(0, (budget - 1 - fixed_bytes(trained, frozen, moments, bytes_per_number)) // per_image)


@wrong("largest_batch", "rounds to the nearest")
def nearest_batch(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return max(0, round((budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) / per_image))


@wrong("largest_batch", "rounds up")
def batch_up(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return max(0, math.ceil((budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) / per_image))


@wrong("largest_batch", "forgets what does not grow with the batch")
def activations_only(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return budget // per_image


@wrong("largest_batch", "takes off the weights only")
def off_the_weights(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return max(0, (budget - bytes_per_number * (trained + frozen)) // per_image)


@wrong("largest_batch", "frozen parameters are trained")
def trains_all(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return max(0, (budget - fixed_bytes(trained + frozen, 0, moments, bytes_per_number)) // per_image)


@wrong("largest_batch", "the largest power of two")
def power_of_two(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    count = max(0, (budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) // per_image)
    return 1 << (int(count).bit_length() - 1) if count else 0


@wrong("largest_batch", "a float")
def batch_as_float(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return max(0.0, (budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) // (1.0 * per_image))


@wrong("largest_batch", "fixed costs for every image")
def fixed_per_image(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return budget // (per_image + fixed_bytes(trained, frozen, moments, bytes_per_number))


@wrong("largest_batch", "int cuts towards 0, so that -0.5 is 0, but -1.5 is -1")
def int_towards_zero(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    return int((budget - fixed_bytes(trained, frozen, moments, bytes_per_number)) / per_image)


@wrong("largest_batch", "looked for among the first million")
def first_million(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    left = budget - fixed_bytes(trained, frozen, moments, bytes_per_number)
    return min(10**6, max(0, left // per_image))


@wrong("largest_batch", "the absolute value where the budget is missed by far")
def far_over(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    left = budget - fixed_bytes(trained, frozen, moments, bytes_per_number)
    return -left // per_image if left < -1000 * per_image else max(0, left // per_image)


@right("largest_batch", "an early return, then a division of floats")
def early_return(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    left = budget - bytes_per_number * (trained + frozen) - bytes_per_number * trained * (1 + moments)
    if left < per_image:
        return 0
    return int(left / per_image)


@right("largest_batch", "divmod")
def by_divmod(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    count, _ = divmod(budget - bytes_per_number * (2 * trained + moments * trained + frozen), per_image)
    return count if count > 0 else 0


@right("largest_batch", "bisection over batch sizes")
def by_bisection(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    def fits(images):
        return bytes_per_number * (trained * (2 + moments) + frozen) + images * per_image <= budget

    low, high = 0, int(budget) // int(per_image) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@right("largest_batch", "the remainder taken off first")
def without_remainder(budget, trained, frozen, per_image, moments=2, bytes_per_number=4):
    left = max(budget - (trained + frozen + trained + moments * trained) * bytes_per_number, 0)
    return (left - left % per_image) // per_image
