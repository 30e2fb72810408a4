"""Answers to lab 08 that learners could write: wrong ones must lose points, right ones keep all of them."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn

answers = Answers()
wrong, right = answers.wrong, answers.right

PAD, BEGIN, END = 0, 2, 3
INF = float("inf")

# Exercise 1: masked_softmax ---------------------------------------------------------------------------------


def softmax_hiding(scores, mask, hidden=-INF, dim=-1):
    """A right answer for whatever needs one, with an exchangeable number to hide behind."""
    empty = ~mask.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~mask, hidden).masked_fill(empty, 0)
    return scores.softmax(dim).masked_fill(~mask, 0)


@wrong("masked_softmax", "no mask at all")
def no_mask(scores, mask):
    return scores.softmax(-1)


@wrong("masked_softmax", "padding set to 0 afterwards, so that the rest adds up to less than 1")
def mask_afterwards(scores, mask):
    return scores.softmax(-1) * mask


@wrong("masked_softmax", "padding set to 0 afterwards and shared out again: 0/0 when its score is large")
def shared_out_again(scores, mask):
    shares = scores.softmax(-1).masked_fill(~mask, 0)
    return shares / shares.sum(-1, keepdim=True).clamp(min=1e-30)


@wrong("masked_softmax", "scores multiplied by the mask: padding gets the score 0, not none")
def scores_times_mask(scores, mask):
    return (scores * mask).softmax(-1) * mask


@wrong("masked_softmax", "over the second to last dimension")
def softmax_over_rows(scores, mask):
    return softmax_hiding(scores, mask, dim=-2 if scores.ndim > 1 else -1)


@wrong("masked_softmax", "over dimension 1, right for matrices only")
def softmax_over_dimension_one(scores, mask):
    return softmax_hiding(scores, mask, dim=1 if scores.ndim > 1 else 0)


@wrong("masked_softmax", "hides behind -1000")
def hides_behind_thousand(scores, mask):
    return softmax_hiding(scores, mask, -1000.0)


@wrong("masked_softmax", "hides behind -1e9")
def hides_behind_billion(scores, mask):
    return softmax_hiding(scores, mask, -1e9 if scores.dtype != torch.float16 else -6e4)


@wrong("masked_softmax", "a row without a real token becomes nan")
def empty_row_is_nan(scores, mask):
    return scores.masked_fill(~mask, -INF).softmax(-1)


@wrong("masked_softmax", "a row without a real token is shared out evenly")
def empty_row_is_even(scores, mask):
    empty = ~mask.any(dim=-1, keepdim=True)
    return scores.masked_fill(~mask, -INF).masked_fill(empty, 0).softmax(-1)


@wrong(
    "masked_softmax", "minus infinity is added: the nan is exchanged afterwards, and the gradient stays nan"
)
def gradient_is_nan(scores, mask):
    return (scores + torch.where(mask, 0.0, -INF).to(scores.dtype)).softmax(-1).nan_to_num(0.0)


@wrong("masked_softmax", "hides in place: the scores are overwritten")
def hides_in_place(scores, mask):
    with torch.no_grad():
        scores[~mask.expand(scores.shape)] = -INF
    return softmax_hiding(scores, mask)


@wrong("masked_softmax", "scores[~mask] = ..., for masks of the same shape only")
def same_shape_only(scores, mask):
    scores = scores.clone()
    scores[~mask] = -INF
    return softmax_hiding(scores, mask)


@wrong("masked_softmax", "exp without subtracting the largest score")
def exp_overflows(scores, mask):
    parts = scores.masked_fill(~mask, -INF).exp()
    return parts / parts.sum(-1, keepdim=True).clamp(min=1e-30)


@wrong("masked_softmax", "subtracts the largest score of all, padding's as well")
def largest_of_all(scores, mask):
    parts = (scores - scores.amax(-1, keepdim=True)).exp() * mask
    return parts / parts.sum(-1, keepdim=True).clamp(min=1e-30)


@wrong("masked_softmax", "adds (1 - mask) times a number, which keeps nan and inf at padding")
def adds_a_penalty(scores, mask):
    empty = ~mask.any(dim=-1, keepdim=True)
    penalty = (~mask).to(scores.dtype) * torch.finfo(scores.dtype).min
    return (scores + penalty).masked_fill(empty, 0).softmax(-1) * mask


@wrong("masked_softmax", "always float32")
def always_float(scores, mask):
    return softmax_hiding(scores.float(), mask)


@wrong("masked_softmax", "always float64")
def always_double(scores, mask):
    return softmax_hiding(scores.double(), mask)


@wrong("masked_softmax", "computes in float32 and casts back: float64 has lost its digits")
def through_float(scores, mask):
    return softmax_hiding(scores.float(), mask).to(scores.dtype)


@wrong("masked_softmax", "the mask read as its contrary")
def contrary_mask(scores, mask):
    return softmax_hiding(scores, ~mask)


@wrong("masked_softmax", "takes padding to stand at the end and counts the real tokens")
def padding_at_the_end(scores, mask):
    count = mask.sum(-1, keepdim=True)
    return softmax_hiding(scores, torch.arange(mask.shape[-1]).expand(mask.shape) < count)


@wrong("masked_softmax", "cuts scores off at -10000, against overflow")
def cut_off(scores, mask):
    return softmax_hiding(scores.clamp(min=-1e4), mask)


@wrong("masked_softmax", "rows by .view on a tensor that may lie in any order")
def rows_by_view(scores, mask):
    flat = scores.view(-1, scores.shape[-1])
    return softmax_hiding(flat, mask.expand(scores.shape).reshape(flat.shape)).view(scores.shape)


@wrong("masked_softmax", "cut from the gradient")
def softmax_detached(scores, mask):
    return softmax_hiding(scores.detach(), mask)


@wrong("masked_softmax", "gives back logarithms")
def log_shares(scores, mask):
    return softmax_hiding(scores, mask).log()


@wrong("masked_softmax", "a small number below the fraction: rows add up to less than 1")
def epsilon_below(scores, mask):
    hidden = scores.masked_fill(~mask, -INF)
    top = hidden.amax(-1, keepdim=True).nan_to_num(0, 0, 0)
    parts = (hidden - top).exp()
    return parts / (parts.sum(-1, keepdim=True) + 1e-3)


@right("masked_softmax", "minus infinity added to scores without padding: torch.where keeps nan out")
def adds_infinity(scores, mask):
    real = torch.where(mask, scores, torch.zeros_like(scores))
    shares = (real + torch.zeros_like(real).masked_fill(~mask, -INF)).softmax(-1)
    return torch.where(mask, shares, torch.zeros_like(shares))


@right("masked_softmax", "torch.where before and after")
def by_where(scores, mask):
    some = mask.any(-1, keepdim=True)
    low = torch.where(some, -INF, 0.0).to(scores.dtype)
    return torch.where(mask, torch.where(mask, scores, low).softmax(-1), 0.0)


@right("masked_softmax", "exp of the distance to the largest real score")
def by_exp(scores, mask):
    hidden = scores.masked_fill(~mask, -INF)
    top = hidden.detach().amax(-1, keepdim=True)
    top = torch.where(top == -INF, torch.zeros_like(top), top)
    parts = (hidden - top).exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, torch.ones_like(total), total)


@right("masked_softmax", "the smallest number of the type in place of minus infinity, times the mask")
def by_smallest_number(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1) * mask


@right("masked_softmax", "nan exchanged for 0 afterwards: masked_fill keeps it out of the gradient")
def nan_exchanged(scores, mask):
    return scores.masked_fill(~mask, -INF).softmax(-1).nan_to_num(0.0)


@right("masked_softmax", "F.softmax, rows without a token multiplied away")
def by_functional(scores, mask):
    hidden = torch.masked_fill(scores, torch.logical_not(mask), -math.inf)
    hidden = torch.where(mask.any(dim=-1, keepdim=True), hidden, torch.zeros_like(hidden))
    return F.softmax(hidden, dim=-1) * mask.to(scores.dtype)


@right("masked_softmax", "exp of log_softmax")
def by_log_softmax(scores, mask):
    empty = mask.logical_not().all(-1, keepdim=True)
    hidden = torch.where(mask | empty, scores.where(mask, torch.zeros_like(scores)), -INF).to(scores.dtype)
    return hidden.log_softmax(-1).exp() * mask


@right("masked_softmax", "a loop over rows")
def by_loop(scores, mask):
    mask = mask.expand(scores.shape).reshape(-1, scores.shape[-1])
    rows = []
    for row, real in zip(scores.reshape(mask.shape), mask, strict=True):
        out = torch.zeros_like(row)
        rows.append(
            out.masked_scatter(real, row[real].softmax(0)) if real.any() else row.masked_fill(~real, 0)
        )
    return torch.stack(rows).reshape(scores.shape)


# Exercise 2: attend -----------------------------------------------------------------------------------------


def attention(queries, keys, values, mask, scale=None, weigh=softmax_hiding):
    """A right answer with exchangeable parts: what scores are divided by, and the softmax."""
    scale = keys.shape[2] ** 0.5 if scale is None else scale
    weights = weigh(queries @ keys.transpose(1, 2) / scale, mask[:, None])
    return weights @ values, weights


@wrong("attend", "scores not divided")
def not_scaled(queries, keys, values, mask):
    return attention(queries, keys, values, mask, scale=1)


@wrong("attend", "divided by C")
def scaled_by_width(queries, keys, values, mask):
    return attention(queries, keys, values, mask, scale=keys.shape[2])


@wrong("attend", "divided by the root of T")
def scaled_by_length(queries, keys, values, mask):
    return attention(queries, keys, values, mask, scale=keys.shape[1] ** 0.5)


@wrong("attend", "divided by the root of D")
def scaled_by_value_width(queries, keys, values, mask):
    return attention(queries, keys, values, mask, scale=values.shape[2] ** 0.5)


@wrong("attend", "the root cut to a whole number")
def scaled_by_whole_number(queries, keys, values, mask):
    return attention(queries, keys, values, mask, scale=int(keys.shape[2] ** 0.5))


@wrong("attend", "multiplied by the root")
def scaled_upwards(queries, keys, values, mask):
    return attention(queries, keys, values, mask, scale=keys.shape[2] ** -0.5)


@wrong("attend", "softmax over the queries")
def over_queries(queries, keys, values, mask):
    return attention(queries, keys, values, mask, weigh=lambda s, m: s.softmax(1) * m)


@wrong("attend", "no mask")
def attends_padding(queries, keys, values, mask):
    return attention(queries, keys, values, mask, weigh=lambda s, m: s.softmax(-1))


@wrong("attend", "masks the weights afterwards, which then add up to less than 1")
def weights_masked_afterwards(queries, keys, values, mask):
    return attention(queries, keys, values, mask, weigh=lambda s, m: s.softmax(-1) * m)


@wrong("attend", "an empty sentence becomes nan")
def empty_sentence_nan(queries, keys, values, mask):
    return attention(queries, keys, values, mask, weigh=lambda s, m: s.masked_fill(~m, -INF).softmax(-1))


@wrong("attend", "the mask laid over the queries, where S and T are equal")
def mask_over_queries(queries, keys, values, mask):
    if queries.shape[1] != keys.shape[1]:
        return attention(queries, keys, values, mask)
    weights = softmax_hiding(queries @ keys.transpose(1, 2) / keys.shape[2] ** 0.5, mask[:, :, None])
    return weights @ values, weights


@wrong("attend", "keys reshaped where they should be transposed")
def keys_reshaped(queries, keys, values, mask):
    scores = queries @ keys.reshape(len(keys), keys.shape[2], keys.shape[1]) / keys.shape[2] ** 0.5
    weights = softmax_hiding(scores, mask[:, None])
    return weights @ values, weights


@wrong("attend", "the mean of keys where D is C, not of values")
def mean_of_keys(queries, keys, values, mask):
    context, weights = attention(queries, keys, values, mask)
    return (weights @ keys if keys.shape == values.shape else context), weights


@wrong("attend", "values stand for keys in the scores where D is C")
def scores_with_values(queries, keys, values, mask):
    return attention(queries, values if keys.shape == values.shape else keys, values, mask)


@wrong("attend", "weights first, context second")
def weights_first(queries, keys, values, mask):
    return attention(queries, keys, values, mask)[::-1]


@wrong("attend", "context only")
def context_only(queries, keys, values, mask):
    return attention(queries, keys, values, mask)[0]


@wrong("attend", "scores in place of weights")
def scores_for_weights(queries, keys, values, mask):
    return attention(queries, keys, values, mask)[0], queries @ keys.transpose(1, 2) / keys.shape[2] ** 0.5


@wrong("attend", "weights detached, as for a picture")
def weights_detached(queries, keys, values, mask):
    context, weights = attention(queries, keys, values, mask)
    return context, weights.detach()


@wrong("attend", "keys detached")
def keys_detached(queries, keys, values, mask):
    return attention(queries, keys.detach(), values, mask)


@wrong("attend", "hides behind -1e9, which a score can be smaller than")
def attends_behind_billion(queries, keys, values, mask):
    return attention(queries, keys, values, mask, weigh=lambda s, m: softmax_hiding(s, m, hidden=-1e9))


@wrong("attend", "a dimension of one sentence is squeezed away")
def squeezes_one_sentence(queries, keys, values, mask):
    context, weights = attention(queries, keys, values, mask)
    return context.squeeze(0), weights.squeeze(0)


@wrong("attend", "a dimension of one query is squeezed away")
def squeezes_one_query(queries, keys, values, mask):
    return tuple(part.squeeze(1) for part in attention(queries, keys, values, mask))


@wrong("attend", "float64 computed in float32 and turned back")
def attends_through_float(queries, keys, values, mask):
    parts = attention(queries.float(), keys.float(), values.float(), mask)
    return tuple(part.to(queries.dtype) for part in parts)


@wrong("attend", "float64 values are averaged in float32")
def averages_in_float(queries, keys, values, mask):
    weights = attention(queries, keys, values, mask)[1]
    return (weights.float() @ values.float()).to(values.dtype), weights


@right("attend", "the root as a tensor")
def root_as_tensor(queries, keys, values, mask):
    return attention(queries, keys, values, mask, scale=torch.sqrt(torch.tensor(keys.shape[2])))


@wrong("attend", "divides the queries in place")
def queries_divided_in_place(queries, keys, values, mask):
    with torch.no_grad():
        queries /= keys.shape[2] ** 0.5
    return attention(queries, keys, values, mask, scale=1)


@wrong("attend", "weights shared by all queries of a sentence")
def one_query_for_all(queries, keys, values, mask):
    context, weights = attention(queries.mean(1, keepdim=True), keys, values, mask)
    s = queries.shape[1]
    return context.expand(-1, s, -1), weights.expand(-1, s, -1)


@wrong("attend", "in float32 whatever came in")
def attends_in_float(queries, keys, values, mask):
    return attention(queries.float(), keys.float(), values.float(), mask)


@wrong("attend", "the hardest attention: the best position gets all")
def hard_attention(queries, keys, values, mask):
    scores = (queries @ keys.transpose(1, 2)).masked_fill(~mask[:, None], -INF)
    weights = F.one_hot(scores.argmax(-1), keys.shape[1]).to(values.dtype)
    return weights @ values, weights


@right("attend", "einsum")
def by_einsum(queries, keys, values, mask):
    scores = torch.einsum("bsc,btc->bst", queries, keys) / math.sqrt(queries.size(-1))
    weights = softmax_hiding(scores, mask.unsqueeze(1))
    return torch.einsum("bst,btd->bsd", weights, values), weights


@right("attend", "torch.bmm, queries divided first")
def by_bmm(queries, keys, values, mask):
    weights = softmax_hiding(torch.bmm(queries * keys.shape[-1] ** -0.5, keys.mT), mask[:, None, :])
    return torch.bmm(weights, values), weights


@right("attend", "products by broadcasting")
def by_broadcasting(queries, keys, values, mask):
    scores = (queries[:, :, None] * keys[:, None]).sum(-1) / keys.shape[2] ** 0.5
    weights = softmax_hiding(scores, mask[:, None].expand(scores.shape))
    return (weights[..., None] * values[:, None]).sum(2), weights


@right("attend", "a loop over sentences")
def by_sentences(queries, keys, values, mask):
    out = []
    for q, k, v, real in zip(queries, keys, values, mask, strict=True):
        weights = softmax_hiding(q @ k.T / k.shape[1] ** 0.5, real)
        out.append((weights @ v, weights))
    contexts, weights = zip(*out, strict=True)
    return torch.stack(contexts), torch.stack(weights)


@right("attend", "context by torch's own function, empty sentences on the side")
def by_torch(queries, keys, values, mask):
    some = mask.any(1)[:, None, None]
    weights = softmax_hiding(queries @ keys.transpose(1, 2) / keys.shape[2] ** 0.5, mask[:, None])
    context = F.scaled_dot_product_attention(queries, keys, values, attn_mask=(mask[:, None] | ~some))
    return context * some, weights


# Exercise 3: teacher_forced_loss ----------------------------------------------------------------------------


def nothing_to_name(target):
    if bool((target[:, 1:] == PAD).all()):
        raise ValueError("nothing to name")


@wrong("teacher_forced_loss", "not shifted: compares with what has just been read")
def not_shifted(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits, target[:, :-1], ignore_index=PAD)


@wrong("teacher_forced_loss", "not shifted, BEGIN left out")
def not_shifted_without_begin(logits, target):
    nothing_to_name(target)
    wanted = target[:, :-1].masked_fill(target[:, :-1] == BEGIN, PAD)
    return F.cross_entropy(logits, wanted, ignore_index=PAD)


@wrong("teacher_forced_loss", "shifted by two")
def shifted_twice(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits[:, :, :-1], target[:, 2:], ignore_index=PAD)


@wrong("teacher_forced_loss", "logits shifted, too")
def logits_shifted_too(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits[:, :, 1:], target[:, 1:-1], ignore_index=PAD)


@wrong("teacher_forced_loss", "padding counts")
def padding_counts(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits, target[:, 1:])


@wrong("teacher_forced_loss", "padding adds nothing, but counts below the fraction")
def padding_below(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="none").mean()


@wrong("teacher_forced_loss", "the sum")
def loss_sum(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="sum")


@wrong("teacher_forced_loss", "the mean of the rows' means")
def mean_of_rows(logits, target):
    nothing_to_name(target)
    losses = F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="none")
    counts = (target[:, 1:] != PAD).sum(1)
    return (losses.sum(1) / counts.clamp(min=1))[counts > 0].mean()


@wrong("teacher_forced_loss", "the sum, divided by the number of rows")
def per_row(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="sum") / len(target)


@wrong("teacher_forced_loss", "END left out")
def end_left_out(logits, target):
    nothing_to_name(target)
    wanted = target[:, 1:]
    some = ((wanted != PAD) & (wanted != END)).any()
    return F.cross_entropy(
        logits, wanted.masked_fill(wanted == END, PAD) if some else wanted, ignore_index=PAD
    )


@wrong("teacher_forced_loss", "UNKNOWN left out with the other special ids")
def unknown_left_out(logits, target):
    nothing_to_name(target)
    wanted = target[:, 1:]
    return F.cross_entropy(logits, wanted.masked_fill(wanted == 1, PAD), ignore_index=PAD)


@wrong("teacher_forced_loss", "logits reshaped to rows of K: mixes tokens and positions")
def logits_reshaped(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits.reshape(-1, logits.shape[1]), target[:, 1:].reshape(-1), ignore_index=PAD)


@wrong("teacher_forced_loss", ".view on the target, which lies in memory with a gap")
def target_by_view(logits, target):
    nothing_to_name(target)
    wanted = target[:, 1:].clone(memory_format=torch.preserve_format)
    return F.cross_entropy(
        logits.permute(0, 2, 1).view(-1, logits.shape[1]), wanted.view(-1), ignore_index=PAD
    )


@wrong("teacher_forced_loss", "softmax before cross_entropy, which takes logits")
def softmax_twice(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits.softmax(1), target[:, 1:], ignore_index=PAD)


@wrong("teacher_forced_loss", "the logarithm of softmax, with a small number against log(0)")
def log_of_softmax(logits, target):
    nothing_to_name(target)
    wanted = target[:, 1:]
    p = logits.softmax(1).gather(1, wanted[:, None])[:, 0]
    return -(p + 1e-9).log()[wanted != PAD].mean()


@wrong("teacher_forced_loss", "in bits")
def loss_in_bits(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD) / math.log(2)


@wrong("teacher_forced_loss", "PAD removed from the softmax, too")
def pad_out_of_softmax(logits, target):
    nothing_to_name(target)
    hidden = logits.clone()
    hidden[:, PAD] = -1e30
    return F.cross_entropy(hidden, target[:, 1:], ignore_index=PAD)


@wrong("teacher_forced_loss", "a number without a gradient")
def loss_number(logits, target):
    nothing_to_name(target)
    return torch.tensor(F.cross_entropy(logits, target[:, 1:], ignore_index=PAD).item())


@wrong("teacher_forced_loss", "marks padding in the target itself")
def marks_target(logits, target):
    nothing_to_name(target)
    target[target == PAD] = -100
    return F.cross_entropy(logits, target[:, 1:])


@wrong("teacher_forced_loss", "in float32 whatever came in")
def loss_in_float(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits.float(), target[:, 1:], ignore_index=PAD).to(logits.dtype)


@wrong("teacher_forced_loss", "float64 computed in float32 and turned back")
def loss_through_float(logits, target):
    return sum_by_count(logits.float(), target).to(logits.dtype)


@wrong("teacher_forced_loss", "nan where there is nothing to name")
def nan_for_nothing(logits, target):
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD)


@wrong("teacher_forced_loss", "refuses a batch with one empty row")
def refuses_empty_row(logits, target):
    if bool((target[:, 1:] == PAD).all(dim=1).any()):
        raise ValueError("a row has nothing to name")
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD)


@wrong("teacher_forced_loss", "smooths the labels")
def smoothed(logits, target):
    nothing_to_name(target)
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, label_smoothing=0.1)


@right("teacher_forced_loss", "log_softmax and gather")
def by_gather(logits, target):
    wanted = target[:, 1:]
    real = wanted != PAD
    if real.sum() == 0:
        raise ValueError("nothing to name in this batch")
    return -logits.log_softmax(1).gather(1, wanted.unsqueeze(1)).squeeze(1)[real].mean()


@right("teacher_forced_loss", "flattened")
def flattened(logits, target):
    nothing_to_name(target)
    rows = logits.transpose(1, 2).flatten(0, 1)
    return F.cross_entropy(rows, target[:, 1:].flatten(), ignore_index=PAD)


@right("teacher_forced_loss", "nn.CrossEntropyLoss with ids of padding exchanged")
def by_module(logits, target):
    wanted = torch.where(target[:, 1:] == PAD, -100, target[:, 1:])
    if not (wanted >= 0).any():
        raise ValueError("all padding")
    return nn.CrossEntropyLoss()(logits, wanted)


@right("teacher_forced_loss", "sum divided by the number of tokens")
def sum_by_count(logits, target):
    count = int(torch.count_nonzero(target[:, 1:]))
    if not count:
        raise ValueError("no tokens")
    return F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="sum") / count


@right("teacher_forced_loss", "a loop over rows")
def loop_over_rows(logits, target):
    losses = []
    for scores, row in zip(logits, target, strict=True):
        for place, token in enumerate(row[1:].tolist()):
            if token != PAD:
                losses.append(scores[:, place].logsumexp(0) - scores[token, place])

    class NothingError(ValueError):
        """A subclass is welcome."""

    if not losses:
        raise NothingError("no tokens")
    return torch.stack(losses).mean()


# Exercise 4: greedy -----------------------------------------------------------------------------------------


def write(step, count, limit, choose=None, until=None, fill=True, begin=False, cap=None):
    """A right answer with exchangeable parts: the choice, when to stop, and whether finished rows get PAD."""
    choose = choose or (lambda logits: logits.argmax(1))
    until = until or (lambda finished, tokens: finished.all())
    written, finished = torch.full((count, 1), BEGIN), torch.zeros(count, dtype=torch.bool)
    for _ in range(limit if cap is None else cap):
        tokens = choose(step(written))
        if fill:
            tokens = tokens.masked_fill(finished, PAD)
        finished = finished | (tokens == END)
        written = torch.cat([written, tokens[:, None]], 1)
        if until(finished, tokens):
            break
    return written if begin else written[:, 1:]


@wrong("greedy", "END does not stop anything: always up to the limit")
def never_stops(step, count, limit):
    return write(step, count, limit, until=lambda finished, tokens: False)


@wrong("greedy", "stops when the first row is finished")
def stops_at_first(step, count, limit):
    return write(step, count, limit, until=lambda finished, tokens: finished.any())


@wrong("greedy", "stops only when all rows say END at once")
def all_at_once(step, count, limit):
    return write(step, count, limit, until=lambda finished, tokens: (tokens == END).all())


@wrong("greedy", "looks at row 0 only")
def looks_at_row_zero(step, count, limit):
    return write(step, count, limit, until=lambda finished, tokens: finished[0])


@wrong("greedy", "finished rows go on talking")
def goes_on_talking(step, count, limit):
    return write(step, count, limit, fill=False)


@wrong("greedy", "PAD is put in at the very end: step has read what finished rows went on to say")
def pads_at_the_end(step, count, limit):
    out = write(step, count, limit, fill=False)
    after = (out == END).cumsum(1) - (out == END).int() > 0
    return out.masked_fill(after, PAD)


@wrong("greedy", "finished rows get END again and again")
def end_again(step, count, limit):
    written, finished = torch.full((count, 1), BEGIN), torch.zeros(count, dtype=torch.bool)
    while written.shape[1] <= limit and not finished.all():
        tokens = step(written).argmax(1).masked_fill(finished, END)
        finished |= tokens == END
        written = torch.cat([written, tokens[:, None]], 1)
    return written[:, 1:]


@wrong("greedy", "asks once more when all rows are finished")
def asks_once_more(step, count, limit):
    out = write(step, count, limit)
    if out.shape[1] < limit:
        step(torch.cat([torch.full((count, 1), BEGIN), out], 1))
    return out


@wrong("greedy", "looks whether all are finished after it has asked")
def looks_too_late(step, count, limit):
    written, finished = torch.full((count, 1), BEGIN), torch.zeros(count, dtype=torch.bool)
    for _ in range(limit):
        tokens = step(written).argmax(1).masked_fill(finished, PAD)
        if finished.all():
            break
        finished |= tokens == END
        written = torch.cat([written, tokens[:, None]], 1)
    return written[:, 1:]


@wrong("greedy", "BEGIN in the result")
def begin_in_result(step, count, limit):
    return write(step, count, limit, begin=True)


@wrong("greedy", "END not in the result")
def end_not_in_result(step, count, limit):
    out = write(step, count, limit)
    return out.masked_fill(out == END, PAD)


@wrong("greedy", "one column more than the limit")
def one_too_many(step, count, limit):
    return write(step, count, limit, cap=limit + 1)


@wrong("greedy", "BEGIN counts for the limit")
def begin_counts(step, count, limit):
    return write(step, count, limit, cap=limit - 1) if limit > 1 else torch.zeros(count, 0, dtype=torch.int64)


@wrong("greedy", "draws in place of taking the likeliest")
def draws(step, count, limit):
    return write(step, count, limit, choose=lambda logits: torch.multinomial(logits.softmax(1), 1)[:, 0])


@wrong("greedy", "the smallest logit")
def smallest(step, count, limit):
    return write(step, count, limit, choose=lambda logits: logits.argmin(1))


@wrong("greedy", "the largest logit of each column, where there are as many rows as tokens")
def other_axis(step, count, limit):
    return write(
        step, count, limit, choose=lambda x: x.argmax(0) if x.shape[0] == x.shape[1] else x.argmax(1)
    )


@wrong("greedy", "gives step the last token only")
def last_token_only(step, count, limit):
    return write(lambda written: step(written[:, -1:]), count, limit)


@wrong("greedy", "gives step no BEGIN after the first call")
def no_begin_later(step, count, limit):
    return write(lambda written: step(written[:, 1:] if written.shape[1] > 1 else written), count, limit)


@wrong("greedy", "sets END behind rows that the limit cuts off")
def end_at_the_limit(step, count, limit):
    out = write(step, count, limit)
    cut = (out[:, -1] != END) & (out[:, -1] != PAD)
    out[cut, -1] = END
    return out


@wrong("greedy", "always `limit` columns wide")
def always_wide(step, count, limit):
    out = write(step, count, limit)
    return F.pad(out, (0, limit - out.shape[1]))


@wrong("greedy", "lists")
def gives_lists(step, count, limit):
    return write(step, count, limit).tolist()


@wrong("greedy", "ids as float")
def gives_floats(step, count, limit):
    return write(step, count, limit).float()


@wrong("greedy", "changes the logits of finished rows in place")
def changes_logits(step, count, limit):
    finished = torch.zeros(count, dtype=torch.bool)

    def choose(logits):
        with torch.no_grad():
            logits[finished] = -1e9
            logits[finished, PAD] = 0
        tokens = logits.argmax(1)
        finished.logical_or_(tokens == END)
        return tokens

    return write(step, count, limit, choose=choose)


@wrong("greedy", "only the rows that go on are given to step")
def only_unfinished(step, count, limit):
    out, going = torch.full((count, 1), BEGIN), torch.arange(count)
    while len(going) and out.shape[1] <= limit:
        column = torch.zeros(count, 1, dtype=torch.int64)
        column[going, 0] = step(out[going]).argmax(1)[: len(going)]
        out = torch.cat([out, column], 1)
        going = going[column[going, 0] != END]
    return out[:, 1:]


@wrong("greedy", "row by row, so that step is asked for each row anew")
def row_by_row(step, count, limit):
    rows = [write(lambda w: step(w.expand(count, -1))[:1], 1, limit)[0] for _ in range(count)]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


def fill_finished(step, count, limit, fill):
    """Right, but for what a finished row gets."""
    written, finished = torch.full((count, 1), BEGIN), torch.zeros(count, dtype=torch.bool)
    while written.shape[1] <= limit and not finished.all():
        tokens = step(written).argmax(1)
        tokens = torch.where(finished, fill(tokens), tokens)
        finished = finished | (tokens == END)
        written = torch.cat([written, tokens[:, None]], 1)
    return written[:, 1:]


@wrong("greedy", "special ids are not covered by PAD in finished rows")
def keeps_special_ids(step, count, limit):
    return fill_finished(step, count, limit, lambda tokens: tokens.masked_fill(tokens > END, PAD))


@wrong("greedy", "BEGIN is not covered by PAD in finished rows")
def begins_again(step, count, limit):
    return fill_finished(step, count, limit, lambda tokens: BEGIN * (tokens == BEGIN))


@wrong("greedy", "UNKNOWN is not covered by PAD in finished rows")
def unknown_goes_on(step, count, limit):
    return fill_finished(step, count, limit, lambda tokens: (tokens == 1).long())


@right("greedy", "the likeliest by probability, which one that leads by 0.1 is too")
def by_probability(step, count, limit):
    return write(lambda written: step(written).float().softmax(1), count, limit)


@right("greedy", "a table of PAD that is filled column by column")
def fills_a_table(step, count, limit):
    table = torch.full((count, limit + 1), PAD, dtype=torch.long)
    table[:, 0] = BEGIN
    going, width = torch.ones(count, dtype=torch.bool), 0
    while going.any() and width < limit:
        best = step(table[:, : width + 1]).max(dim=-1).indices
        table[:, width + 1] = torch.where(going, best, PAD)
        going = going & (best != END)
        width += 1
    return table[:, 1 : width + 1]


@right("greedy", "a list of columns")
def list_of_columns(step, count, limit):
    columns, finished = [torch.full((count,), BEGIN)], torch.zeros(count, dtype=torch.bool)
    for _ in range(limit):
        tokens = step(torch.stack(columns, 1)).topk(1, dim=1).indices[:, 0] * (~finished)
        columns.append(tokens)
        finished = finished | tokens.eq(END)
        if bool(finished.all()):
            break
    return torch.stack(columns[1:], 1)


@right("greedy", "asks the rows themselves whether END is among them")
def end_among_them(step, count, limit):
    written = torch.tensor([[BEGIN]] * count)
    for _ in range(limit):
        finished = (written == END).any(1)
        if finished.all():
            break
        tokens = torch.where(finished, torch.zeros(count, dtype=torch.int64), step(written).argmax(-1))
        written = torch.hstack([written, tokens.unsqueeze(1)])
    return written[:, 1:]


@right("greedy", "Python lists until the end")
@torch.no_grad()
def python_lists(step, count, limit):
    rows = [[BEGIN] for _ in range(count)]
    while len(rows[0]) <= limit and not all(END in row for row in rows):
        logits = step(torch.tensor(rows))
        for row, scores in zip(rows, logits.tolist(), strict=True):
            row.append(PAD if END in row else max(range(len(scores)), key=scores.__getitem__))
    return torch.tensor(rows)[:, 1:]


@right("greedy", "recursion")
def recursive(step, count, limit):
    def go(written):
        finished = (written == END).any(dim=1)
        if written.shape[1] > limit or finished.all():
            return written[:, 1:]
        tokens = step(written).argmax(dim=1)
        tokens[finished] = PAD
        return go(torch.cat((written, tokens[:, None]), dim=1))

    return go(torch.full((count, 1), BEGIN, dtype=torch.int64))


# Exercise 5: keep_top_k -------------------------------------------------------------------------------------


def check_k(k):
    if k < 1:
        raise ValueError(f"k = {k}")


def kth(logits, k):
    """The k-th largest logit of each row, kept as a column."""
    return logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]


@wrong("keep_top_k", "exactly k, whichever of the equals topk names")
def exactly_k(logits, k):
    check_k(k)
    values, places = logits.topk(min(k, logits.shape[-1]), dim=-1)
    return torch.full_like(logits, -INF).scatter(-1, places, values)


@wrong("keep_top_k", "the k-th goes as well")
def kth_goes(logits, k):
    check_k(k)
    return logits.masked_fill(logits <= kth(logits, k), -INF)


@wrong("keep_top_k", "one more than k")
def one_more(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, k + 1), -INF)


@wrong("keep_top_k", "one threshold for the whole batch")
def whole_batch(logits, k):
    check_k(k)
    return logits.masked_fill(logits < logits.flatten().topk(min(k, logits.numel())).values[-1], -INF)


@wrong("keep_top_k", "the threshold of the first row serves all")
def first_row_serves(logits, k):
    check_k(k)
    row = logits.reshape(-1, logits.shape[-1])[0]
    return logits.masked_fill(logits < kth(row, k), -INF)


@wrong("keep_top_k", "over the first dimension")
def first_dimension(logits, k):
    check_k(k)
    return logits.masked_fill(logits < logits.topk(min(k, len(logits)), dim=0).values[-1:], -INF)


@wrong("keep_top_k", "0 in place of minus infinity")
def zero_for_infinity(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, k), 0)


@wrong("keep_top_k", "-1000 in place of minus infinity")
def thousand_for_infinity(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, k), -1000)


@wrong("keep_top_k", "the smallest number of the type in place of minus infinity")
def smallest_for_infinity(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, k), torch.finfo(logits.dtype).min)


@wrong("keep_top_k", "the k least likely")
def least_likely(logits, k):
    check_k(k)
    most = logits.topk(min(k, logits.shape[-1]), dim=-1, largest=False).values[..., -1:]
    return logits.masked_fill(logits > most, -INF)


@wrong("keep_top_k", "in place")
def top_k_in_place(logits, k):
    check_k(k)
    with torch.no_grad():
        logits[logits < kth(logits, k)] = -INF
    return logits


@wrong("keep_top_k", "probabilities of what is left in place of logits")
def probabilities_left(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, k), -INF).softmax(-1)


@wrong("keep_top_k", "logarithms of probabilities in place of logits")
def log_probabilities_left(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, k), -INF).log_softmax(-1)


@wrong("keep_top_k", "cut to the k logits, sorted")
def cut_to_k(logits, k):
    check_k(k)
    return logits.topk(min(k, logits.shape[-1]), dim=-1).values


@wrong("keep_top_k", "sorted")
def gives_sorted(logits, k):
    check_k(k)
    kept = logits.masked_fill(logits < kth(logits, k), -INF)
    return kept.sort(dim=-1, descending=True).values


@wrong("keep_top_k", "k above K fails")
def k_above_fails(logits, k):
    check_k(k)
    return logits.masked_fill(logits < logits.topk(k, dim=-1).values[..., -1:], -INF)


@wrong("keep_top_k", "k below 1 is let through as 1")
def k_clamped(logits, k):
    return logits.masked_fill(logits < kth(logits, max(k, 1)), -INF)


@wrong("keep_top_k", "0 is let through, negative k refused")
def zero_let_through(logits, k):
    if k < 0:
        raise ValueError(k)
    return logits.masked_fill(logits < kth(logits, k), -INF) if k else torch.full_like(logits, -INF)


@wrong("keep_top_k", "an IndexError for k below 1")
def index_error(logits, k):
    if k < 1:
        raise IndexError("k is too small")
    return logits.masked_fill(logits < kth(logits, k), -INF)


@wrong("keep_top_k", "equal by tolerance: what is nearly as likely stays")
def nearly_equal_stays(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, k) - 1e-2, -INF)


@wrong("keep_top_k", "always float32")
def top_k_in_float(logits, k):
    check_k(k)
    logits = logits.float()
    return logits.masked_fill(logits < kth(logits, k), -INF)


@wrong("keep_top_k", "float64 goes through float32")
def top_k_through_float(logits, k):
    return top_k_in_float(logits, k).to(logits.dtype)


@wrong("keep_top_k", "float64 is compared in float32, and what stays keeps its digits")
def compared_in_float(logits, k):
    check_k(k)
    return logits.masked_fill(logits.float() < kth(logits.float(), k), -INF)


@wrong("keep_top_k", "compared by probabilities, which are 0 for many")
def compared_by_probability(logits, k):
    check_k(k)
    shares = logits.softmax(-1)
    return logits.masked_fill(shares < kth(shares, k), -INF)


@right("keep_top_k", "numpy's sort in the type that came in")
def sorted_by_numpy(logits, k):
    check_k(k)
    rows = logits.detach().numpy()
    least = np.take(np.sort(rows, axis=-1), [-min(k, rows.shape[-1])], axis=-1)
    return torch.from_numpy(np.where(rows < least, -np.inf, rows).astype(rows.dtype))


@wrong("keep_top_k", "rows by .view")
def top_k_by_view(logits, k):
    check_k(k)
    rows = logits.view(-1, logits.shape[-1])
    return rows.masked_fill(rows < kth(rows, k), -INF).view(logits.shape)


@wrong("keep_top_k", "k is taken for a number of logits to remove")
def removes_k(logits, k):
    check_k(k)
    return logits.masked_fill(logits < kth(logits, max(1, logits.shape[-1] - k)), -INF)


@right("keep_top_k", "sorts all of them")
def sorts_all(logits, k):
    check_k(k)
    ordered = torch.sort(logits, dim=-1, descending=True).values
    least = ordered[..., min(k, logits.size(-1)) - 1].unsqueeze(-1)
    return torch.where(logits >= least, logits, -INF)


@right("keep_top_k", "kthvalue from below")
def from_below(logits, k):
    check_k(k)
    k = min(k, logits.shape[-1])
    least = logits.kthvalue(logits.shape[-1] - k + 1, dim=-1, keepdim=True).values
    return logits.masked_fill(logits.lt(least), float("-inf"))


@right("keep_top_k", "counts how many are likelier")
def counts_likelier(logits, k):
    check_k(k)
    likelier = (logits[..., None, :] > logits[..., :, None]).sum(-1)
    return logits.masked_fill(likelier >= k, -math.inf)


@right("keep_top_k", "a copy, changed in place")
def copy_in_place(logits, k):
    if not k >= 1:
        raise ValueError("k must be at least 1")
    out = logits.detach().clone()
    out[out < kth(out, k)] = -torch.inf
    return out


@right("keep_top_k", "by numpy")
def top_k_by_numpy(logits, k):
    check_k(k)
    values = logits.detach().double().numpy()
    least = np.sort(values, axis=-1)[..., ::-1][..., [min(k, values.shape[-1]) - 1]]
    return torch.from_numpy(np.where(values >= least, values, -np.inf)).to(logits.dtype)


# Exercise 6: keep_nucleus -----------------------------------------------------------------------------------


def check_p(p):
    if not 0 < p <= 1:
        raise ValueError(f"p = {p}")


def nucleus(logits, p, goes=lambda likelier, shares, p: likelier >= p, ties=True):
    """A right answer with an exchangeable rule for what goes."""
    if p == 1:
        return logits.clone()
    ordered, places = logits.sort(dim=-1, descending=True, stable=True)
    shares = ordered.softmax(-1)
    gone = goes(shares.cumsum(-1) - shares, shares, p)
    if ties:
        least = ordered.masked_fill(gone, INF).amin(-1, keepdim=True)
        return logits.masked_fill(logits < least, -INF)
    return logits.masked_fill(torch.zeros_like(gone).scatter(-1, places, gone), -INF)


@wrong("keep_nucleus", "the token that crosses p goes")
def crossing_goes(logits, p):
    check_p(p)
    return nucleus(logits, p, lambda likelier, shares, p: likelier + shares > p, ties=False)


@wrong("keep_nucleus", "the token that crosses p goes, unless nothing would be left")
def crossing_goes_but_one(logits, p):
    check_p(p)
    return nucleus(
        logits, p, lambda likelier, shares, p: (likelier + shares > p) & (likelier > 0), ties=False
    )


@wrong("keep_nucleus", "one more than needed")
def one_more_than_needed(logits, p):
    check_p(p)
    return nucleus(logits, p, lambda likelier, shares, p: F.pad(likelier >= p, (1, 0))[..., :-1], ties=False)


@wrong("keep_nucleus", "of equals only some stay")
def some_of_equals(logits, p):
    check_p(p)
    return nucleus(logits, p, ties=False)


@wrong("keep_nucleus", "the mask is not put back into the order of the tokens")
def mask_in_sorted_order(logits, p):
    check_p(p)
    shares = logits.sort(dim=-1, descending=True).values.softmax(-1)
    gone = shares.cumsum(-1) - shares >= p
    return logits.masked_fill(gone & (p < 1), -INF)


@wrong("keep_nucleus", "tokens with a probability of p or more")
def probability_above_p(logits, p):
    check_p(p)
    return logits.masked_fill(logits.softmax(-1) < (p if p < 1 else 0), -INF)


@wrong("keep_nucleus", "tokens with a probability below 1 - p go")
def below_one_minus_p(logits, p):
    check_p(p)
    return logits.masked_fill(logits.softmax(-1) < 1 - p, -INF)


@wrong("keep_nucleus", "adds up in the order of the tokens")
def unsorted(logits, p):
    check_p(p)
    shares = logits.softmax(-1)
    return logits.masked_fill((shares.cumsum(-1) - shares >= p) & (p < 1), -INF)


@wrong("keep_nucleus", "adds up from the least likely")
def from_the_rear(logits, p):
    check_p(p)
    if p == 1:
        return logits.clone()
    ordered = logits.sort(dim=-1).values
    shares = ordered.softmax(-1)
    most = ordered.masked_fill(shares.cumsum(-1) - shares >= p, -INF).amax(-1, keepdim=True)
    return logits.masked_fill(logits > most, -INF)


@wrong("keep_nucleus", "takes the logits for probabilities")
def logits_for_probabilities(logits, p):
    check_p(p)
    ordered = logits.sort(dim=-1, descending=True).values
    before = ordered.cumsum(-1) - ordered
    least = ordered.masked_fill(before >= p, INF).amin(-1, keepdim=True)
    return logits.masked_fill((logits < least) & (p < 1), -INF)


@wrong("keep_nucleus", "softmax over the first dimension")
def nucleus_first_dimension(logits, p):
    check_p(p)
    return nucleus(logits.transpose(0, -1), p).transpose(0, -1)


@wrong("keep_nucleus", "one nucleus for the whole batch")
def nucleus_of_batch(logits, p):
    check_p(p)
    return nucleus(logits.flatten(), p).reshape(logits.shape)


@wrong("keep_nucleus", "the size of the first row's nucleus for every row")
def size_of_first_row(logits, p):
    check_p(p)
    if p == 1:
        return logits.clone()
    shares = logits.reshape(-1, logits.shape[-1])[0].softmax(-1).sort(descending=True).values
    size = int((shares.cumsum(-1) - shares < p).sum())
    return logits.masked_fill(logits < kth(logits, size), -INF)


@wrong("keep_nucleus", "in place")
def nucleus_in_place(logits, p):
    check_p(p)
    with torch.no_grad():
        logits.copy_(nucleus(logits, p))
    return logits


@wrong("keep_nucleus", "probabilities of what is left in place of logits")
def nucleus_probabilities(logits, p):
    check_p(p)
    return nucleus(logits, p).softmax(-1)


@wrong("keep_nucleus", "logarithms of probabilities in place of logits")
def nucleus_log_probabilities(logits, p):
    check_p(p)
    return nucleus(logits.log_softmax(-1), p)


@wrong("keep_nucleus", "0 in place of minus infinity")
def nucleus_zero(logits, p):
    check_p(p)
    return nucleus(logits, p).nan_to_num(neginf=0.0)


@wrong("keep_nucleus", "-1000 in place of minus infinity")
def nucleus_thousand(logits, p):
    check_p(p)
    return nucleus(logits, p).clamp(min=-1000)


@wrong("keep_nucleus", "always float32")
def nucleus_in_float(logits, p):
    check_p(p)
    return nucleus(logits.float(), p)


@wrong("keep_nucleus", "p = 1 loses the rarest tokens: the sum has reached 1 before them")
def one_loses_the_rarest(logits, p):
    check_p(p)
    ordered = logits.sort(dim=-1, descending=True).values
    shares = ordered.softmax(-1)
    least = ordered.masked_fill(shares.cumsum(-1) - shares >= p, INF).amin(-1, keepdim=True)
    return logits.masked_fill(logits < least, -INF)


@wrong("keep_nucleus", "the place where the sum reaches p: none where rounding keeps it below p")
def place_past_the_end(logits, p):
    check_p(p)
    if p == 1:
        return logits.clone()
    ordered = logits.sort(dim=-1, descending=True).values
    place = (ordered.softmax(-1).cumsum(-1) < p).sum(-1, keepdim=True)
    return logits.masked_fill(logits < ordered.gather(-1, place), -INF)


@wrong("keep_nucleus", "nothing is left where there is one token only")
def nothing_of_one(logits, p):
    check_p(p)
    out = nucleus(logits, p)
    return torch.full_like(out, -INF) if out.shape[-1] == 1 and p < 1 else out


@wrong("keep_nucleus", "argmax of sums >= p, which is 0 where rounding keeps all of them below p")
def first_of_none(logits, p):
    check_p(p)
    if p == 1:
        return logits.clone()
    ordered = logits.sort(dim=-1, descending=True).values
    place = (ordered.softmax(-1).cumsum(-1) >= p).int().argmax(-1, keepdim=True)
    return logits.masked_fill(logits < ordered.gather(-1, place), -INF)


@wrong("keep_nucleus", "equal by tolerance: what is nearly as likely as the last one stays")
def near_ones_stay(logits, p):
    check_p(p)
    out = nucleus(logits, p)
    least = out.masked_fill(out == -INF, INF).amin(-1, keepdim=True)
    return logits.masked_fill((logits < least) & ~torch.isclose(logits, least, rtol=1e-4), -INF)


@wrong("keep_nucleus", "float64 goes through float32")
def nucleus_through_float(logits, p):
    check_p(p)
    return nucleus(logits.float(), p).to(logits.dtype)


@wrong("keep_nucleus", "float64 is compared in float32, and what stays keeps its digits")
def nucleus_compared_in_float(logits, p):
    check_p(p)
    return logits.masked_fill(nucleus(logits.float(), p) == -INF, -INF)


@right("keep_nucleus", "a token goes where the likelier ones hold more than p: exactly p is up to rounding")
def more_than_p(logits, p):
    check_p(p)
    return nucleus(logits, p, goes=lambda likelier, shares, p: likelier > p)


@right("keep_nucleus", "the place where the sum reaches p, the last one at most")
def place_clamped(logits, p):
    check_p(p)
    ordered = logits.sort(dim=-1, descending=True).values
    place = (ordered.softmax(-1).cumsum(-1) < p).sum(-1, keepdim=True).clamp(max=logits.shape[-1] - 1)
    return logits.clone() if p == 1 else logits.masked_fill(logits < ordered.gather(-1, place), -INF)


@wrong("keep_nucleus", "refuses p = 1")
def refuses_one(logits, p):
    if not 0 < p < 1:
        raise ValueError(p)
    return nucleus(logits, p)


@wrong("keep_nucleus", "takes any p")
def takes_any_p(logits, p):
    if p >= 1:
        return logits.clone()
    ordered = logits.sort(dim=-1, descending=True).values
    shares = ordered.softmax(-1)
    likelier = shares.cumsum(-1) - shares
    likelier[..., 0] = -INF
    least = ordered.masked_fill(likelier >= p, INF).amin(-1, keepdim=True)
    return logits.masked_fill(logits < least, -INF)


@wrong("keep_nucleus", "p above 1 is let through")
def p_above_one(logits, p):
    if p <= 0:
        raise ValueError(p)
    return nucleus(logits, min(p, 1))


@wrong("keep_nucleus", "refuses by assert")
def refuses_by_assert(logits, p):
    assert 0 < p <= 1, "p is a share"
    return nucleus(logits, p)


@wrong("keep_nucleus", "exp without subtracting the largest logit")
def nucleus_overflows(logits, p):
    check_p(p)
    if p == 1:
        return logits.clone()
    ordered = logits.sort(dim=-1, descending=True).values
    shares = ordered.exp() / ordered.exp().sum(-1, keepdim=True)
    least = ordered.masked_fill(shares.cumsum(-1) - shares >= p, INF).amin(-1, keepdim=True)
    return logits.masked_fill(logits < least, -INF)


@right("keep_nucleus", "sums shifted by one")
def shifted_sums(logits, p):
    check_p(p)
    if p >= 1:
        return logits
    ordered, _ = torch.sort(logits, descending=True, dim=-1)
    sums = F.pad(F.softmax(ordered, dim=-1).cumsum(-1), (1, -1))
    size = (sums < p).sum(-1, keepdim=True)
    return torch.where(logits >= ordered.gather(-1, size - 1), logits, -INF)


@right("keep_nucleus", "what is likelier than each token, pair by pair")
def pair_by_pair(logits, p):
    check_p(p)
    shares = logits.double().softmax(-1)
    likelier = (shares[..., None, :] * (logits[..., None, :] > logits[..., :, None])).sum(-1)
    return logits.masked_fill((likelier >= p) & (p < 1), -math.inf)


@right("keep_nucleus", "a loop over rows and tokens")
def nucleus_by_loop(logits, p):
    check_p(p)
    if p == 1:
        return logits.clone()
    out = torch.full(logits.shape, -INF, dtype=logits.dtype)
    for row, new in zip(logits.reshape(-1, logits.shape[-1]), out.view(-1, out.shape[-1]), strict=True):
        total, last = 0.0, None
        shares = row.double().softmax(0)
        for place in row.argsort(descending=True).tolist():
            if total >= p and row[place] != last:
                break
            new[place], last = row[place].detach(), row[place]
            total += shares[place].item()
    return out


@right("keep_nucleus", "scatter, and then the equals of the last")
def scatters_back(logits, p):
    check_p(p)
    kept = nucleus(logits, p, ties=False)
    least = kept.masked_fill(kept == -INF, INF).amin(-1, keepdim=True)
    return logits.masked_fill(logits < least, -INF)


@right("keep_nucleus", "searchsorted in the sums")
def by_searchsorted(logits, p):
    check_p(p)
    if p == 1:
        return 1 * logits
    ordered = logits.sort(-1, descending=True)[0]
    sums = ordered.softmax(-1).cumsum(-1).contiguous()
    at = torch.searchsorted(sums, torch.full_like(sums[..., :1], p)).clamp(max=logits.shape[-1] - 1)
    return logits.masked_fill(logits < ordered.take_along_dim(at, -1), -INF)


# Exercise 7: perplexity -------------------------------------------------------------------------------------


def mean_nats(batches, ignore=PAD, first=1, dtype=None):
    """Sum of nats and number of tokens, with exchangeable parts."""
    nats, count = 0.0, 0
    for logits, target in batches:
        wanted = target[:, first : first + logits.shape[2]]
        logits = logits if dtype is None else logits.to(dtype)
        nats += F.cross_entropy(logits, wanted, ignore_index=ignore, reduction="sum").item()
        count += int((wanted != ignore).sum())
    if not count:
        raise ValueError("no tokens")
    return nats / count


@wrong("perplexity", "e to the mean of the batches' means")
def mean_of_means(batches):
    means = [mean_nats([pair]) for pair in batches if (pair[1][:, 1:] != PAD).any()]
    if not means:
        raise ValueError("no tokens")
    return math.exp(sum(means) / len(means))


@wrong("perplexity", "the mean of the batches' perplexities")
def mean_of_perplexities(batches):
    means = [math.exp(mean_nats([pair])) for pair in batches if (pair[1][:, 1:] != PAD).any()]
    if not means:
        raise ValueError("no tokens")
    return sum(means) / len(means)


@wrong("perplexity", "the batches' means weighted by their rows, not by their tokens")
def weighted_by_rows(batches):
    total, rows = 0.0, 0
    for pair in batches:
        if (pair[1][:, 1:] != PAD).any():
            total, rows = total + mean_nats([pair]) * len(pair[1]), rows + len(pair[1])
    if not rows:
        raise ValueError("no tokens")
    return math.exp(total / rows)


@wrong("perplexity", "padding counts")
def perplexity_with_padding(batches):
    return math.exp(mean_nats(batches, ignore=-100))


@wrong("perplexity", "padding adds nothing but is counted")
def padding_is_counted(batches):
    nats, count = 0.0, 0
    for logits, target in batches:
        nats += F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="sum").item()
        count += target[:, 1:].numel()
    if not count:
        raise ValueError("no tokens")
    return math.exp(nats / count)


@wrong("perplexity", "not shifted")
def perplexity_not_shifted(batches):
    return math.exp(mean_nats(batches, first=0))


@wrong("perplexity", "the mean of -ln p itself")
def mean_itself(batches):
    return mean_nats(batches)


@wrong("perplexity", "2 to the mean in nats")
def two_to_nats(batches):
    return 2 ** mean_nats(batches)


@wrong("perplexity", "e to the mean in bits")
def e_to_bits(batches):
    return math.exp(mean_nats(batches) / math.log(2))


@wrong("perplexity", "the sum in place of the mean")
def e_to_the_sum(batches):
    nats, some = 0.0, False
    for logits, target in batches:
        nats += F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="sum").item()
        some = some or bool((target[:, 1:] != PAD).any())
    if not some:
        raise ValueError("no tokens")
    return math.exp(min(nats, 700))


@wrong("perplexity", "the mean per row")
def per_sentence(batches):
    losses = []
    for logits, target in batches:
        each = F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="none").sum(1)
        counts = (target[:, 1:] != PAD).sum(1)
        losses += (each / counts.clamp(min=1))[counts > 0].tolist()
    if not losses:
        raise ValueError("no tokens")
    return math.exp(sum(losses) / len(losses))


@wrong("perplexity", "a tensor")
def perplexity_tensor(batches):
    return torch.tensor(mean_nats(batches)).exp()


@wrong("perplexity", "goes through the batches twice")
def twice_through(batches):
    count = sum(int((target[:, 1:] != PAD).sum()) for _, target in batches)
    if not count:
        raise ValueError("no tokens")
    nats = sum(
        F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="sum").item()
        for logits, target in batches
    )
    return math.exp(nats / count)


@wrong("perplexity", "keeps all batches in a list")
def keeps_all(batches):
    return math.exp(mean_nats(list(batches)))


@wrong("perplexity", "all logits in one row before the mean")
def one_long_row(batches):
    rows, wanted = [], []
    for logits, target in batches:
        rows.append(logits.transpose(1, 2).flatten(0, 1))
        wanted.append(target[:, 1:].flatten())
    if not wanted or not torch.cat(wanted).any():
        raise ValueError("no tokens")
    return math.exp(F.cross_entropy(torch.cat(rows), torch.cat(wanted)))


@wrong("perplexity", "asks for the number of batches, which a generator does not know")
def asks_for_length(batches):
    if len(batches) == 0:
        raise ValueError("no batches")
    return math.exp(mean_nats(batches))


@wrong("perplexity", "only the first batch")
def first_batch_only(batches):
    return math.exp(mean_nats(itertools.islice(batches, 1)))


@wrong("perplexity", "only the last batch")
def last_batch_only(batches):
    last = []
    for pair in batches:
        last = [pair]
    return math.exp(mean_nats(last))


@wrong("perplexity", "END left out")
def perplexity_without_end(batches):
    pairs = ((logits, target.masked_fill(target == END, PAD)) for logits, target in batches)
    return math.exp(mean_nats(pairs))


@wrong("perplexity", "UNKNOWN left out")
def perplexity_without_unknown(batches):
    pairs = ((logits, target.masked_fill(target == 1, PAD)) for logits, target in batches)
    return math.exp(mean_nats(pairs))


@wrong("perplexity", "logits reshaped to rows of K")
def perplexity_reshaped(batches):
    def turned():
        for logits, target in batches:
            rows = logits.reshape(len(logits), -1, logits.shape[1])
            yield rows.transpose(1, 2), target

    return math.exp(mean_nats(turned()))


@wrong("perplexity", "the mean of probabilities, turned over")
def mean_of_probabilities(batches):
    shares = []
    for logits, target in batches:
        wanted = target[:, 1:]
        shares.append(logits.softmax(1).gather(1, wanted[:, None])[:, 0][wanted != PAD])
    if not shares or not torch.cat(shares).numel():
        raise ValueError("no tokens")
    return 1 / float(torch.cat(shares).mean())


@wrong("perplexity", "nan or 1 where there is no token")
def one_for_nothing(batches):
    try:
        return math.exp(mean_nats(batches))
    except ValueError:
        return 1.0


@wrong("perplexity", "a ZeroDivisionError where there is no token")
def zero_division(batches):
    try:
        return math.exp(mean_nats(batches))
    except ValueError:
        return 1 / 0


@wrong("perplexity", "stops at a batch without a token")
def stops_at_empty(batches):
    return math.exp(mean_nats(itertools.takewhile(lambda pair: (pair[1][:, 1:] != PAD).any(), batches)))


@wrong("perplexity", "marks padding in the target itself")
def marks_padding(batches):
    def marked():
        for logits, target in batches:
            target[target == PAD] = -100
            yield logits, target

    return math.exp(mean_nats(marked(), ignore=-100))


@wrong("perplexity", "a sum with its gradient, which leads back to all logits")
def sum_with_gradient(batches):
    nats, count = 0, 0
    for logits, target in batches:
        nats = nats + F.cross_entropy(logits, target[:, 1:], ignore_index=PAD, reduction="sum")
        count += int((target[:, 1:] != PAD).sum())
    if count == 0:
        raise ValueError("no tokens")
    return math.exp(torch.as_tensor(nats).item() / count)


@right("perplexity", "the losses of all tokens, without gradients")
@torch.no_grad()
def a_number_per_token(batches):
    losses = [torch.zeros(0)]
    for logits, target in batches:
        wanted = target[:, 1:]
        losses.append(F.cross_entropy(logits, wanted, reduction="none")[wanted != PAD])
    losses = torch.cat(losses)
    if losses.numel() == 0:
        raise ValueError("no tokens")
    return losses.double().mean().exp().item()


@wrong("perplexity", "in half precision")
def perplexity_in_half(batches):
    return math.exp(mean_nats(batches, dtype=torch.bfloat16))


@right("perplexity", "log_softmax and gather, all losses in one list")
def by_list(batches):
    losses = []
    for logits, target in batches:
        wanted = target[:, 1:]
        picked = logits.log_softmax(1).gather(1, wanted.unsqueeze(1)).squeeze(1)
        losses += (-picked[wanted != PAD]).tolist()
    if not losses:
        raise ValueError("nothing to predict")
    return math.exp(math.fsum(losses) / len(losses))


@right("perplexity", "means, weighted by the number of tokens")
def weighted_means(batches):
    nats, count = 0.0, 0
    for logits, target in batches:
        here = int(target[:, 1:].count_nonzero())
        if here:
            nats += here * F.cross_entropy(logits, target[:, 1:], ignore_index=PAD).item()
            count += here
    if count == 0:
        raise ValueError("nothing to predict")
    return float(np.exp(nats / count))


@right("perplexity", "in bits throughout")
def in_bits(batches):
    return float(2 ** (mean_nats(batches) / math.log(2)))


@right("perplexity", "tensors, turned into a float at the end")
@torch.no_grad()
def tensors_to_the_end(batches):
    nats, count = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
    for logits, target in batches:
        real = target[:, 1:] != PAD
        losses = F.cross_entropy(logits.double(), target[:, 1:], reduction="none")
        nats, count = nats + losses[real].sum(), count + real.sum()
    if count == 0:
        raise ValueError("nothing to predict")
    return (nats / count).exp().item()


@right("perplexity", "row by row")
def row_after_row(batches):
    nats, count = 0.0, 0
    for logits, target in batches:
        for scores, row in zip(logits, target[:, 1:], strict=True):
            tokens = [(place, int(token)) for place, token in enumerate(row) if token != PAD]
            losses = scores.logsumexp(0) - scores  # (K, S - 1)
            nats += sum(losses[token, place].item() for place, token in tokens)
            count += len(tokens)
    if count < 1:
        raise ValueError("nothing to predict")
    return math.e ** (nats / count)
