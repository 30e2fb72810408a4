"""Answers to lab 09 that learners could write: wrong ones must lose points, right ones keep all of them."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: attention --------------------------------------------------------------------------------------


def scores_of(queries, keys):
    return queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])


def weights_of(scores, mask, dim=-1):
    """Right weights from any scores."""
    if mask is None:
        return scores.softmax(dim)
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim).masked_fill(~mask, 0)


def attend(scores, values, mask):
    weights = weights_of(scores, mask)
    return weights @ values, weights


@wrong("attention", "scores are not divided by anything")
def no_scale(queries, keys, values, mask=None):
    return attend(queries @ keys.transpose(-2, -1), values, mask)


@wrong("attention", "scores are divided by D")
def scaled_by_width(queries, keys, values, mask=None):
    return attend(queries @ keys.transpose(-2, -1) / queries.shape[-1], values, mask)


@wrong("attention", "scores are multiplied by the root of D")
def scaled_up(queries, keys, values, mask=None):
    return attend(queries @ keys.transpose(-2, -1) * queries.shape[-1] ** 0.5, values, mask)


@wrong("attention", "divided by the root of the number of keys")
def scaled_by_keys(queries, keys, values, mask=None):
    return attend(queries @ keys.transpose(-2, -1) / keys.shape[-2] ** 0.5, values, mask)


@wrong("attention", "divided by the root of the values' width, which may be another one")
def scaled_by_values(queries, keys, values, mask=None):
    return attend(queries @ keys.transpose(-2, -1) / values.shape[-1] ** 0.5, values, mask)


@wrong("attention", "the weights are scaled in place of the scores")
def scales_after_softmax(queries, keys, values, mask=None):
    weights = weights_of(queries @ keys.transpose(-2, -1), mask) / queries.shape[-1] ** 0.5
    return weights @ values, weights


@wrong("attention", "softmax over the queries")
def softmax_over_queries(queries, keys, values, mask=None):
    weights = weights_of(scores_of(queries, keys), mask, dim=-2)
    return weights @ values, weights


@wrong("attention", "softmax over dimension 1, the last one only without a batch")
def softmax_over_dim_one(queries, keys, values, mask=None):
    weights = weights_of(scores_of(queries, keys), mask, dim=1)
    return weights @ values, weights


@wrong("attention", "keys.t(), for two dimensions only")
def keys_t(queries, keys, values, mask=None):
    return attend(queries @ keys.t() / queries.shape[-1] ** 0.5, values, mask)


@wrong("attention", "transposes dimensions 1 and 2, whatever comes before")
def transposes_one_two(queries, keys, values, mask=None):
    return attend(queries @ keys.transpose(1, 2) / queries.shape[-1] ** 0.5, values, mask)


@wrong("attention", "the mask is read as in nn.MultiheadAttention: True means hidden")
def mask_inverted(queries, keys, values, mask=None):
    return attend(scores_of(queries, keys), values, None if mask is None else ~mask)


@wrong("attention", "the mask comes after softmax: weights do not add up to 1")
def mask_after_softmax(queries, keys, values, mask=None):
    weights = scores_of(queries, keys).softmax(-1)
    weights = weights if mask is None else weights * mask
    return weights @ values, weights


@wrong("attention", "scores are multiplied by the mask: hidden keys keep a score of 0")
def mask_times_scores(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    weights = (scores if mask is None else scores * mask).softmax(-1)
    return weights @ values, weights


@wrong("attention", "True and False are added to the scores")
def mask_added(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    weights = (scores if mask is None else scores + mask).softmax(-1)
    return weights @ values, weights


@wrong("attention", "minus infinity, and nan where a query may look nowhere")
def nan_rows(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    weights = (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)
    return weights @ values, weights


@wrong("attention", "a query that may look nowhere looks everywhere")
def nowhere_is_everywhere(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1)
    return weights @ values, weights


@wrong("attention", "-1000 in place of minus infinity")
def thousand(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    if mask is None:
        return attend(scores, values, None)
    weights = scores.masked_fill(~mask, -1000.0).softmax(-1) * mask
    return weights @ values, weights


@right("attention", "-1e9, far below every score that occurs here")
def billion(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    if mask is None:
        return attend(scores, values, None)
    weights = scores.masked_fill(~mask, -1e9).softmax(-1).masked_fill(~mask, 0)
    return weights @ values, weights


@wrong("attention", "softmax by hand, which overflows")
def exp_overflows(queries, keys, values, mask=None):
    powers = scores_of(queries, keys).exp()
    powers = powers if mask is None else powers * mask
    total = powers.sum(-1, keepdim=True)
    weights = powers / torch.where(total == 0, 1, total)
    return weights @ values, weights


@wrong("attention", "a small number below the fraction: the weights do not quite add up where scores are low")
def epsilon_below(queries, keys, values, mask=None):
    powers = scores_of(queries, keys).exp()
    powers = powers if mask is None else powers * mask
    weights = powers / (powers.sum(-1, keepdim=True) + 1e-2)
    return weights @ values, weights


@wrong("attention", "the first sentence's mask serves for the whole batch")
def first_mask_only(queries, keys, values, mask=None):
    if mask is not None and mask.ndim > 2:
        mask = mask[0]
    return attend(scores_of(queries, keys), values, mask)


@wrong("attention", "divides the queries in place")
def scales_in_place(queries, keys, values, mask=None):
    with torch.no_grad():
        queries /= queries.shape[-1] ** 0.5
    return attend(queries @ keys.transpose(-2, -1), values, mask)


@wrong("attention", "computes in float32 and returns float32")
def always_float32(queries, keys, values, mask=None):
    return attend(scores_of(queries.float(), keys.float()), values.float(), mask)


@wrong("attention", "gradients are cut off at the scores")
def cuts_gradients(queries, keys, values, mask=None):
    return attend(scores_of(queries, keys).detach(), values, mask)


@wrong("attention", "the outputs only")
def outputs_only(queries, keys, values, mask=None):
    return attend(scores_of(queries, keys), values, mask)[0]


@wrong("attention", "weights first, outputs second")
def order_swapped(queries, keys, values, mask=None):
    return attend(scores_of(queries, keys), values, mask)[::-1]


@wrong("attention", "scores in place of weights")
def returns_scores(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    return attend(scores, values, mask)[0], scores


@wrong("attention", "keys in place of values")
def averages_keys(queries, keys, values, mask=None):
    weights = weights_of(scores_of(queries, keys), mask)
    return (weights @ keys)[..., : values.shape[-1]], weights


@wrong("attention", "a view of the keys in place of a transpose")
def view_for_transpose(queries, keys, values, mask=None):
    turned = keys.reshape(*keys.shape[:-2], keys.shape[-1], keys.shape[-2])
    return attend(queries @ turned / queries.shape[-1] ** 0.5, values, mask)


@right("attention", "torch's own attention, with the weights from an identity as values")
def by_torch(queries, keys, values, mask=None):
    eye = torch.eye(keys.shape[-2], dtype=keys.dtype).expand(*keys.shape[:-1], keys.shape[-2])
    weights = F.scaled_dot_product_attention(queries, keys, eye, attn_mask=mask)
    if mask is not None:
        weights = weights.nan_to_num(0).masked_fill(~mask, 0)
    return weights @ values, weights


@right("attention", "einsum, and torch.where for rows that may look nowhere")
def by_einsum(queries, keys, values, mask=None):
    scores = torch.einsum("...td,...sd->...ts", queries, keys) / math.sqrt(keys.shape[-1])
    if mask is not None:
        somewhere = mask.any(-1, keepdim=True)
        scores = torch.where(somewhere, scores.masked_fill(~mask, -torch.inf), 0)
        weights = torch.where(somewhere, scores.softmax(-1), 0)
    else:
        weights = scores.softmax(-1)
    return torch.einsum("...ts,...sv->...tv", weights, values), weights


@right("attention", "softmax by hand, the largest score subtracted")
def softmax_by_hand(queries, keys, values, mask=None):
    scores = (queries / queries.shape[-1] ** 0.5) @ keys.mT
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    powers = (scores - scores.amax(-1, keepdim=True)).exp() * mask
    weights = powers / powers.sum(-1, keepdim=True).clamp(min=1)  # the largest power is 1, or all are 0
    return weights @ values, weights


@right("attention", "minus infinity, and nan replaced afterwards")
def replaces_nan(queries, keys, values, mask=None):
    scores = queries @ keys.transpose(-1, -2) * queries.size(-1) ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)
    return (weights @ values, weights)


@right("attention", "scores less their logsumexp, which costs digits where scores are in the thousands")
def by_logsumexp(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand(scores.shape)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = (scores - scores.logsumexp(-1, keepdim=True)).exp().masked_fill(~mask, 0)
    return weights @ values, weights


@wrong("attention", "minus infinity is added: nan gradients for all when one query may look nowhere")
def adds_infinity(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    if mask is not None:
        scores = scores + torch.where(mask, 0.0, -torch.inf).to(scores.dtype)
    weights = scores.softmax(-1).nan_to_num()
    return weights @ values, weights


def weighed(scores, values, hidden, nowhere):
    """Weights of scores, 0 where `nowhere` says so, in which `hidden` stands for what the mask hides."""
    weights = hidden(scores).softmax(-1).masked_fill(nowhere, 0)
    return weights @ values, weights


@wrong("attention", "-1e4 in place of minus infinity: scores near it let hidden keys in")
def ten_thousand(queries, keys, values, mask=None):
    if mask is None:
        return attend(scores_of(queries, keys), values, None)
    nowhere = ~mask.any(-1, keepdim=True)
    return weighed(scores_of(queries, keys), values, lambda x: x.masked_fill(~mask, -1e4), nowhere)


@wrong("attention", "-1e4 is added: a hidden score of thousands stays above a visible one")
def takes_ten_thousand_off(queries, keys, values, mask=None):
    if mask is None:
        return attend(scores_of(queries, keys), values, None)
    return weighed(scores_of(queries, keys), values, lambda x: x - 1e4 * (~mask).to(x.dtype), ~mask)


@wrong("attention", "scores are cut off at 1000, against overflow")
def cuts_scores(queries, keys, values, mask=None):
    return attend(scores_of(queries, keys).clamp(-1000, 1000), values, mask)


@wrong("attention", "a query with low scores only is taken for one that may look nowhere")
def low_is_nowhere(queries, keys, values, mask=None):
    outputs, weights = attend(scores_of(queries, keys), values, mask)
    nothing = (scores_of(queries, keys) < -3000).all(-1, keepdim=True)
    return outputs.masked_fill(nothing, 0), weights.masked_fill(nothing, 0)


@wrong("attention", "the weights are for a picture only, so they are cut off from gradients")
def weights_for_a_picture(queries, keys, values, mask=None):
    outputs, weights = attend(scores_of(queries, keys), values, mask)
    return outputs, weights.detach()


@wrong("attention", "float64 is computed in float32")
def through_float32(queries, keys, values, mask=None):
    outputs, weights = attend(scores_of(queries.float(), keys.float()), values.float(), mask)
    return outputs.to(queries.dtype), weights.to(queries.dtype)


@wrong("attention", "float64 values are rounded to float32 before they are averaged")
def values_through_float32(queries, keys, values, mask=None):
    weights = attend(scores_of(queries, keys), values, mask)[1]
    return (weights.float() @ values.float()).to(values.dtype), weights


@wrong("attention", "a mask of two dimensions is read as one row per sentence where that fits")
def mask_per_sentence(queries, keys, values, mask=None):
    if mask is not None and queries.ndim > 2 and mask.shape == (len(queries), keys.shape[-2]):
        mask = mask.view(len(mask), *[1] * (queries.ndim - 2), -1)
    return attend(scores_of(queries, keys), values, mask)


@wrong("attention", "a query of one sentence may look nowhere: all sentences' queries at this place get 0")
def nowhere_for_all(queries, keys, values, mask=None):
    outputs, weights = attend(scores_of(queries, keys), values, mask)
    nothing = (weights == 0).all(-1, keepdim=True)
    if nothing.ndim > 2:
        nothing = nothing.any(0, keepdim=True)
    return outputs.masked_fill(nothing, 0), weights.masked_fill(nothing, 0)


@wrong("attention", "weights 0 only where a whole sentence is padding; other blind queries look everywhere")
def nowhere_in_whole_sentences(queries, keys, values, mask=None):
    scores = scores_of(queries, keys)
    if mask is None:
        return attend(scores, values, None)
    mask = mask.expand(scores.shape)
    empty = ~mask.flatten(-2).any(-1)[..., None, None]
    return weighed(scores, values, lambda x: x.masked_fill(~mask, torch.finfo(x.dtype).min), empty)


@right("attention", "computes in float64 and returns the type of the queries")
def in_double(queries, keys, values, mask=None):
    outputs, weights = attend(scores_of(queries.double(), keys.double()), values.double(), mask)
    return outputs.to(queries.dtype), weights.to(queries.dtype)


# Exercise 2: causal_mask ------------------------------------------------------------------------------------


def square(real, diagonal=0):
    length = real.shape[1]
    return torch.ones(length, length, dtype=torch.bool).tril(diagonal)


@wrong("causal_mask", "the diagonal is missing: no position may look at itself")
def without_diagonal(real):
    return square(real, -1) & real[:, None]


@wrong("causal_mask", "one position ahead may be seen")
def one_ahead(real):
    return square(real, 1) & real[:, None]


@wrong("causal_mask", "triu: only what comes later")
def upper(real):
    return square(real).T & real[:, None]


@wrong("causal_mask", "True means hidden")
def causal_inverted(real):
    return ~(square(real) & real[:, None])


@wrong("causal_mask", "padding is not hidden")
def ignores_padding(real):
    return square(real).expand(len(real), -1, -1)


@wrong("causal_mask", "not causal: padding only")
def padding_only(real):
    return real[:, None].expand(-1, real.shape[1], -1)


@wrong("causal_mask", "the padded rows are hidden in place of the padded columns")
def hides_rows(real):
    return square(real) & real[:, :, None]


@wrong("causal_mask", "padded rows and padded columns are hidden")
def hides_both(real):
    return square(real) & real[:, :, None] & real[:, None]


@wrong("causal_mask", "one rule or the other")
def either(real):
    return square(real) | real[:, None]


@wrong("causal_mask", "one mask for the whole batch")
def for_the_batch(real):
    return square(real) & real.all(0)


@wrong("causal_mask", "ones and zeros as numbers")
def float_mask(real):
    return (square(real) & real[:, None]).float()


@wrong("causal_mask", "0 and minus infinity, to be added to scores")
def additive(real):
    return torch.zeros(len(real), real.shape[1], real.shape[1]).masked_fill(
        ~(square(real) & real[:, None]), -torch.inf
    )


@wrong("causal_mask", "padding is taken to stand at the end: lengths are counted")
def by_lengths(real):
    return square(real) & (torch.arange(real.shape[1]) < real.sum(1, keepdim=True))[:, None]


@wrong("causal_mask", "padding may always look at itself, so that no row is empty")
def no_empty_row(real):
    return square(real) & real[:, None] | torch.eye(real.shape[1], dtype=torch.bool)


@wrong("causal_mask", "a dimension for the heads as well")
def with_heads(real):
    return (square(real) & real[:, None])[:, None]


@wrong("causal_mask", "multiplies into `real`")
def changes_real(real):
    out = square(real) & real[:, None]
    real &= real.roll(1, 1)
    return out


@wrong("causal_mask", "cut out of a table of 128 positions")
def from_a_table(real):
    length = real.shape[1]
    return torch.ones(128, 128, dtype=torch.bool).tril()[:length, :length] & real[:, None]


@right("causal_mask", "compares the numbers of positions")
def by_positions(real):
    places = torch.arange(real.shape[1])
    return (places[None, None, :] <= places[None, :, None]) & real[:, None, :]


@right("causal_mask", "two loops")
def by_loops(real):
    out = torch.zeros(*real.shape, real.shape[1], dtype=torch.bool)
    for b in range(len(real)):
        for t in range(real.shape[1]):
            out[b, t, : t + 1] = real[b, : t + 1]
    return out


@right("causal_mask", "tril of the expanded rows")
def tril_of_rows(real):
    return real.unsqueeze(1).repeat(1, real.size(1), 1).tril()


@right("causal_mask", "triu of what is hidden")
def by_hidden(real):
    later = torch.ones(real.shape[1], real.shape[1]).triu(diagonal=1).bool()
    return ~(later | ~real[:, None, :])


@right("causal_mask", "numpy")
def in_numpy(real):
    return torch.from_numpy(np.tri(real.shape[1], dtype=bool)[None] & real.numpy()[:, None])


# Exercise 3: split_heads and merge_heads --------------------------------------------------------------------


def check_heads(features, num_heads):
    if features.shape[2] % num_heads:
        raise ValueError(f"{features.shape[2]} numbers, {num_heads} heads")


@wrong("split_heads", "a view straight into the shape, without a swap")
def view_only(features, num_heads):
    check_heads(features, num_heads)
    batch, length, channels = features.shape
    return features.reshape(batch, num_heads, length, channels // num_heads)


@wrong("split_heads", "no swap: (B, T, H, C/H)")
def not_swapped(features, num_heads):
    check_heads(features, num_heads)
    return features.unflatten(2, (num_heads, -1))


@wrong("split_heads", "every H-th number: head and place within it exchanged")
def interleaved(features, num_heads):
    check_heads(features, num_heads)
    return features.unflatten(2, (-1, num_heads)).permute(0, 3, 1, 2)


@wrong("split_heads", "swaps position and number within the head")
def swaps_two_and_three(features, num_heads):
    check_heads(features, num_heads)
    out = features.unflatten(2, (num_heads, -1)).transpose(2, 3)
    return out.reshape(len(features), num_heads, features.shape[1], -1)


@wrong("split_heads", "transposes first, then views: the parts of the channels, positions mixed up")
def transposed_first(features, num_heads):
    check_heads(features, num_heads)
    batch, length, channels = features.shape
    return features.transpose(1, 2).reshape(batch, num_heads, length, channels // num_heads)


@wrong("split_heads", "heads in front of the batch")
def heads_first(features, num_heads):
    check_heads(features, num_heads)
    return torch.stack(features.chunk(num_heads, 2))


@wrong("split_heads", "batch and heads in one dimension, as in nn.MultiheadAttention")
def folded_into_batch(features, num_heads):
    check_heads(features, num_heads)
    return torch.stack(features.chunk(num_heads, 2), 1).flatten(0, 1)


@wrong("split_heads", "H numbers in each head in place of H heads")
def count_is_width(features, num_heads):
    check_heads(features, num_heads)
    return torch.stack(features.split(num_heads, 2), 1)


@wrong("split_heads", "the heads in reversed order")
def reversed_heads(features, num_heads):
    check_heads(features, num_heads)
    return torch.stack(features.chunk(num_heads, 2)[::-1], 1)


@wrong("split_heads", "cuts the positions, not the numbers")
def cuts_positions(features, num_heads):
    check_heads(features, num_heads)
    return features.reshape(len(features), num_heads, -1, features.shape[2])


@wrong("split_heads", "a remainder is cut off in silence")
def drops_the_rest(features, num_heads):
    width = features.shape[2] // num_heads
    return features[:, :, : width * num_heads].unflatten(2, (num_heads, width)).transpose(1, 2)


@wrong("split_heads", "torch's RuntimeError in place of a ValueError")
def heads_runtime_error(features, num_heads):
    batch, length, channels = features.shape
    return features.reshape(batch, length, num_heads, channels // num_heads).transpose(1, 2)


@wrong("split_heads", "an assert in place of a ValueError")
def asserts(features, num_heads):
    assert features.shape[2] % num_heads == 0, f"{features.shape[2]} numbers, {num_heads} heads"
    return features.unflatten(2, (num_heads, -1)).transpose(1, 2)


@wrong("split_heads", "a message without numbers")
def silent_message(features, num_heads):
    if features.shape[2] % num_heads:
        raise ValueError("the numbers do not fit the heads")
    return features.unflatten(2, (num_heads, -1)).transpose(1, 2)


@wrong("split_heads", "an error only where there are more heads than numbers")
def too_many_heads_only(features, num_heads):
    if num_heads > features.shape[2]:
        raise ValueError(f"{features.shape[2]} numbers, {num_heads} heads")
    return drops_the_rest(features, num_heads)


@wrong("split_heads", "as_strided on numbers that are taken to be contiguous")
def strides_guessed(features, num_heads):
    check_heads(features, num_heads)
    batch, length, channels = features.shape
    width = channels // num_heads
    return features.as_strided(
        (batch, num_heads, length, width), (length * channels, width, channels, 1), features.storage_offset()
    )


@wrong("split_heads", "view on numbers that are taken to be contiguous")
def view_of_flat(features, num_heads):
    check_heads(features, num_heads)
    batch, length, channels = features.shape
    return features.view(-1).view(batch, length, num_heads, channels // num_heads).transpose(1, 2)


@wrong("split_heads", "floats, whatever came in")
def split_to_float(features, num_heads):
    check_heads(features, num_heads)
    return features.float().unflatten(2, (num_heads, -1)).transpose(1, 2)


@wrong("split_heads", "gradients are cut off")
def split_detached(features, num_heads):
    check_heads(features, num_heads)
    return features.detach().unflatten(2, (num_heads, -1)).transpose(1, 2)


@wrong("split_heads", "float64 becomes float32 on the way")
def split_through_float32(features, num_heads):
    out = slices(features, num_heads)
    return out.float().to(out.dtype) if out.dtype == torch.float64 else out


@wrong("split_heads", "whole numbers go through float64, which rounds the long ones")
def split_whole_through_double(features, num_heads):
    out = slices(features, num_heads)
    return out.double().to(out.dtype)


@wrong("split_heads", "returns float32 for float64")
def split_in_float32(features, num_heads):
    out = slices(features, num_heads)
    return out.float() if out.is_floating_point() else out


@wrong("split_heads", "nan is replaced")
def split_without_nan(features, num_heads):
    return slices(features, num_heads).nan_to_num()


@wrong("split_heads", "a product with ones and zeros sorts the numbers: 0 times nan is nan")
def split_by_product(features, num_heads):
    check_heads(features, num_heads)
    if not features.is_floating_point():
        return slices(features, num_heads)
    ones = torch.eye(features.shape[2], dtype=features.dtype).unflatten(1, (num_heads, -1))
    return torch.einsum("btc,chd->bhtd", features, ones)


@wrong("split_heads", "copied into a new tensor, of which only the first head hands gradients back")
def split_first_head_learns(features, num_heads):
    out = slices(features, num_heads).detach()
    return torch.cat([slices(features, num_heads)[:, :1], out[:, 1:]], dim=1)


@right("split_heads", "chunk and stack")
def chunk_and_stack(features, num_heads):
    check_heads(features, num_heads)
    return torch.stack(features.chunk(num_heads, dim=-1), dim=1)


@right("split_heads", "view and permute, contiguous, with an error class of its own")
def view_and_permute(features, num_heads):
    class HeadsError(ValueError):
        pass

    batch, length, channels = features.size()
    if channels // num_heads * num_heads != channels:
        raise HeadsError(f"num_heads={num_heads} does not divide C={channels}")
    return features.view(batch, length, num_heads, channels // num_heads).permute(0, 2, 1, 3).contiguous()


@right("split_heads", "slices in a loop")
def slices(features, num_heads):
    width, rest = divmod(features.shape[2], num_heads)
    if rest:
        raise ValueError(f"{features.shape[2]} is no multiple of {num_heads}")
    out = features.new_empty(len(features), num_heads, features.shape[1], width)
    for head in range(num_heads):
        out[:, head] = features[:, :, head * width : (head + 1) * width]
    return out


@right("split_heads", "unflatten and movedim")
def by_unflatten(features, num_heads):
    check_heads(features, num_heads)
    return features.unflatten(-1, (int(num_heads), -1)).movedim(2, 1)


@wrong("merge_heads", "flattens without a swap")
def joins_without_swap(heads):
    return heads.reshape(heads.shape[0], heads.shape[2], -1)


@wrong("merge_heads", "swaps positions and numbers")
def merges_wrong_pair(heads):
    return heads.transpose(2, 3).reshape(heads.shape[0], heads.shape[2], -1)


@wrong("merge_heads", "numbers of the heads take turns")
def merges_interleaved(heads):
    return heads.permute(0, 2, 3, 1).flatten(2)


@wrong("merge_heads", "view behind a transpose, which works only on what split_heads gives")
def merges_by_view(heads):
    batch, count, length, width = heads.shape
    return heads.transpose(1, 2).view(batch, length, count * width)


@wrong("merge_heads", "the mean over the heads")
def mean_of_heads(heads):
    return heads.float().mean(1)


@wrong("merge_heads", "the last head first")
def last_head_first(heads):
    return torch.cat(heads.flip(1).unbind(1), -1)


@wrong("merge_heads", "swap without a join")
def merge_forgets_join(heads):
    return heads.transpose(1, 2)


@wrong("merge_heads", "positions and channels swapped in the end")
def channels_before_positions(heads):
    return heads.transpose(2, 3).flatten(1, 2)


@wrong("merge_heads", "transposes its input in place")
def transposes_in_place(heads):
    return heads.transpose_(1, 2).flatten(2)


@wrong("merge_heads", "copies numbers without their gradients")
def merge_detached(heads):
    return torch.cat(heads.data.unbind(1), -1)


@wrong("merge_heads", "joins batch and heads where they are equally many")
def merges_the_batch(heads):
    return torch.cat(heads.unbind(0 if heads.shape[0] == heads.shape[1] else 1), -1)


@wrong("merge_heads", "float64 becomes float32 on the way")
def merge_through_float32(heads):
    out = merge_by_cat(heads)
    return out.float().to(out.dtype) if out.dtype == torch.float64 else out


@wrong("merge_heads", "whole numbers go through float64, which rounds the long ones")
def merge_whole_through_double(heads):
    out = merge_by_cat(heads)
    return out.double().to(out.dtype)


@wrong("merge_heads", "returns float32 for float64")
def merge_in_float32(heads):
    out = merge_by_cat(heads)
    return out.float() if out.is_floating_point() else out


@wrong("merge_heads", "nan is replaced")
def merge_without_nan(heads):
    return merge_by_cat(heads).nan_to_num()


@wrong("merge_heads", "a product with ones and zeros sorts the numbers: 0 times nan is nan")
def merge_by_product(heads):
    if not heads.is_floating_point():
        return merge_by_cat(heads)
    count, width = heads.shape[1], heads.shape[3]
    ones = torch.eye(count * width, dtype=heads.dtype).view(count, width, -1)
    return torch.einsum("bhtd,hdc->btc", heads, ones)


@wrong("merge_heads", "only the last head hands gradients back")
def merge_last_head_learns(heads):
    return torch.cat([*heads.detach().unbind(1)[:-1], heads[:, -1]], dim=-1)


@right("merge_heads", "concatenates the heads")
def merge_by_cat(heads):
    return torch.cat([heads[:, head] for head in range(heads.shape[1])], dim=2)


@right("merge_heads", "contiguous and view")
def merge_by_view(heads):
    batch, count, length, width = heads.shape
    return heads.transpose(1, 2).contiguous().view(batch, length, count * width)


@right("merge_heads", "permute and reshape")
def merge_by_reshape(heads):
    return heads.permute(0, 2, 1, 3).reshape(heads.size(0), heads.size(2), -1)


# Exercise 4: mean_pooling -----------------------------------------------------------------------------------


def real_sum(features, real):
    return features.masked_fill(~real[:, :, None], 0).sum(1)


@wrong("mean_pooling", "the plain mean: padding counts")
def plain_mean(features, real):
    return features.mean(1)


@wrong("mean_pooling", "padding is 0, but divided by T")
def divided_by_length(features, real):
    return real_sum(features, real) / features.shape[1]


@wrong("mean_pooling", "the mask is read the other way round")
def mean_of_padding(features, real):
    return real_sum(features, ~real) / (~real).sum(1, keepdim=True).clamp(min=1)


@wrong("mean_pooling", "nan for a sentence without a real position")
def empty_is_nan(features, real):
    return real_sum(features, real) / real.sum(1, keepdim=True)


@wrong("mean_pooling", "multiplies by the mask: nan and infinity survive")
def times_mask(features, real):
    return (features * real[:, :, None]).sum(1) / real.sum(1, keepdim=True).clamp(min=1)


@wrong("mean_pooling", "nan is replaced, infinity stays")
def only_nan_replaced(features, real):
    total = (features.nan_to_num(posinf=torch.inf, neginf=-torch.inf) * real[:, :, None]).sum(1)
    return total / real.sum(1, keepdim=True).clamp(min=1)


@wrong("mean_pooling", "divided by all real positions of the batch")
def divided_by_batch(features, real):
    return real_sum(features, real) / real.sum().clamp(min=1)


@wrong("mean_pooling", "one too many below the fraction, against division by 0")
def plus_one(features, real):
    return real_sum(features, real) / (real.sum(1, keepdim=True) + 1)


@wrong("mean_pooling", "padding is taken to stand at the end")
def mean_by_lengths(features, real):
    lengths = real.sum(1)
    ends = torch.arange(real.shape[1]) < lengths[:, None]
    return real_sum(features, ends) / lengths.clamp(min=1)[:, None]


@wrong("mean_pooling", "the largest number, not the mean")
def max_pooling(features, real):
    out = features.masked_fill(~real[:, :, None], -torch.inf).amax(1)
    return out.masked_fill(~real.any(1, keepdim=True), 0)


@wrong("mean_pooling", "the first position alone, as BERT's classifier has it")
def first_position(features, real):
    return features[:, 0].masked_fill(~real.any(1, keepdim=True), 0)


@wrong("mean_pooling", "the sum")
def only_sum(features, real):
    return real_sum(features, real)


@wrong("mean_pooling", "sets padding to 0 in place")
def zeroes_padding(features, real):
    with torch.no_grad():
        features[~real] = 0
    return features.sum(1) / real.sum(1, keepdim=True).clamp(min=1)


@wrong("mean_pooling", "in float32")
def mean_in_float(features, real):
    return real_sum(features.float(), real) / real.sum(1, keepdim=True).clamp(min=1)


@wrong("mean_pooling", "rounded to float32 on the way, and back")
def rounded_mean(features, real):
    return mean_in_float(features, real).to(features.dtype)


@right("mean_pooling", "a float32 count, which leaves float64 as it is")
def mean_promoted(features, real):
    return real_sum(features, real) / real.float().sum(1, keepdim=True).clamp(min=1).float()


@wrong("mean_pooling", "the mean over the channels")
def over_channels(features, real):
    return features.masked_fill(~real[:, :, None], 0).mean(2)


@wrong("mean_pooling", "numbers that are exactly 0 are taken for padding")
def zeros_are_padding(features, real):
    kept = features.masked_fill(~real[:, :, None], 0)
    return kept.sum(1) / (kept != 0).sum(1).clamp(min=1)


@wrong("mean_pooling", "the length and sign of the sum: a right mean with a gradient of nan at 0")
def mean_by_length_and_sign(features, real):
    total = real_sum(features, real)
    return total.square().sqrt() * total.sign() / real.sum(1, keepdim=True).clamp(min=1)


@right("mean_pooling", "0 / 0 in sentences without a real position, replaced afterwards")
def mean_replaced(features, real):
    means = real_sum(features, real) / real.sum(1, keepdim=True)
    return means.masked_fill(~real.any(1, keepdim=True), 0)


@wrong("mean_pooling", "gradients are cut off")
def mean_detached(features, real):
    return (real_sum(features, real) / real.sum(1, keepdim=True).clamp(min=1)).detach()


@right("mean_pooling", "a loop over the sentences")
def mean_by_loop(features, real):
    rows = []
    for row, keep in zip(features, real, strict=True):
        rows.append(row[keep].mean(dim=0) if keep.any() else row.new_zeros(row.shape[1]))
    return torch.stack(rows)


@right("mean_pooling", "torch.where and a count in the features' type")
def mean_by_where(features, real):
    mask = real.unsqueeze(-1)
    total = torch.where(mask, features, torch.zeros_like(features)).sum(dim=1)
    count = mask.sum(dim=1).to(features.dtype)
    return total / torch.maximum(count, torch.ones_like(count))


@right("mean_pooling", "nanmean, after all that is padded became nan")
def by_nanmean(features, real):
    safe = torch.where(real[:, :, None], features, torch.nan)
    return safe.double().nanmean(1).nan_to_num(0).to(features.dtype)


@right("mean_pooling", "weights of 1/n, multiplied as matrices")
def by_weights(features, real):
    weights = real.double() / real.sum(1, keepdim=True).clamp(min=1)
    safe = features.masked_fill(real.logical_not()[..., None], 0.0).double()
    return (weights[:, None] @ safe)[:, 0].to(features.dtype)


# Exercise 5: nearest ----------------------------------------------------------------------------------------


def check_k(vectors, k):
    if k < 1 or k > len(vectors) - 1:
        raise ValueError(f"k = {k}, {len(vectors)} rows")


def cosines_of(vectors, query):
    directions = F.normalize(vectors, dim=1)
    return directions @ directions[query]


def nearest_by(similarity, query, k, cosines=None, descending=True):
    """The k first, the query left out, equal ones in the order of rows."""
    cosines = similarity if cosines is None else cosines
    order = [row for row in similarity.argsort(descending=descending, stable=True).tolist() if row != query][
        :k
    ]
    return torch.tensor(order), cosines[order]


@wrong("nearest", "the query is its own nearest neighbor")
def query_included(vectors, query, k):
    check_k(vectors, k)
    cosines, rows = cosines_of(vectors, query).sort(descending=True, stable=True)
    return rows[:k], cosines[:k]


@wrong("nearest", "k + 1 are found and the first is dropped, whichever it is")
def drops_the_first(vectors, query, k):
    check_k(vectors, k)
    cosines, rows = cosines_of(vectors, query).sort(descending=True, stable=True)
    return rows[1 : k + 1], cosines[1 : k + 1]


@wrong("nearest", "everything with cosine 1 is taken for the query")
def leaves_out_equals(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query)
    masked = cosines.masked_fill(cosines > 1 - 1e-6, -2)
    return nearest_by(masked, query, k, cosines)


@wrong("nearest", "the query's cosine becomes 0, which is above negative ones")
def query_is_zero(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query)
    cosines[query] = 0
    cosines, rows = cosines.sort(descending=True, stable=True)
    return rows[:k], cosines[:k]


@wrong("nearest", "the query's cosine becomes -1, which another one may have")
def query_is_minus_one(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query)
    cosines[query] = -1
    cosines, rows = cosines.sort(descending=True, stable=True)
    return rows[:k], cosines[:k]


@wrong("nearest", "smallest cosines first")
def ascending(vectors, query, k):
    check_k(vectors, k)
    return nearest_by(cosines_of(vectors, query), query, k, descending=False)


@wrong("nearest", "the dot product, without lengths")
def dot_product(vectors, query, k):
    check_k(vectors, k)
    return nearest_by(vectors @ vectors[query], query, k)


@wrong("nearest", "only the query is normalized")
def half_normalized(vectors, query, k):
    check_k(vectors, k)
    return nearest_by(vectors @ F.normalize(vectors[query], dim=0), query, k)


@wrong("nearest", "the right order, and dot products in place of cosines")
def reports_dot_products(vectors, query, k):
    check_k(vectors, k)
    return nearest_by(cosines_of(vectors, query), query, k, cosines=vectors @ vectors[query])


@wrong("nearest", "Euclidean distance")
def euclidean(vectors, query, k):
    check_k(vectors, k)
    distances = (vectors - vectors[query]).norm(dim=1)
    return nearest_by(-distances, query, k, cosines=cosines_of(vectors, query))


@wrong("nearest", "the cosine's size without its sign")
def absolute_cosine(vectors, query, k):
    check_k(vectors, k)
    return nearest_by(cosines_of(vectors, query).abs(), query, k)


@wrong("nearest", "distances 1 - cosine in place of cosines")
def reports_distances(vectors, query, k):
    check_k(vectors, k)
    rows, cosines = nearest_by(cosines_of(vectors, query), query, k)
    return rows, 1 - cosines


@wrong("nearest", "nan where a vector is zeros")
def zero_vector_is_nan(vectors, query, k):
    check_k(vectors, k)
    directions = vectors / vectors.norm(dim=1, keepdim=True)
    return nearest_by(directions @ directions[query], query, k)


@wrong("nearest", "a large number below the fraction: short vectors seem further away")
def epsilon_is_large(vectors, query, k):
    check_k(vectors, k)
    directions = vectors / (vectors.norm(dim=1, keepdim=True) + 1e-3)
    return nearest_by(directions @ directions[query], query, k)


@wrong("nearest", "lengths over the wrong dimension")
def lengths_of_columns(vectors, query, k):
    check_k(vectors, k)
    directions = F.normalize(vectors, dim=0)
    return nearest_by(directions @ directions[query], query, k)


@wrong("nearest", "normalizes in place")
def normalizes_in_place(vectors, query, k):
    check_k(vectors, k)
    vectors /= vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return nearest_by(vectors @ vectors[query], query, k)


@wrong("nearest", "of equal cosines the last row first")
def last_of_equals(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query)
    order = [len(cosines) - 1 - row for row in cosines.flip(0).argsort(descending=True, stable=True).tolist()]
    order = [row for row in order if row != query][:k]
    return torch.tensor(order), cosines[order]


@wrong("nearest", "topk, which promises no order of equal ones")
def by_topk(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query).index_fill(0, torch.tensor([int(query)]), -torch.inf)
    found = cosines.topk(k)
    return found.indices, found.values


@wrong("nearest", "reversed after an ascending sort, so are equal ones")
def reversed_sort(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query)
    order = [row for row in reversed(cosines.argsort(stable=True).tolist()) if row != query][:k]
    return torch.tensor(order), cosines[order]


@wrong("nearest", "cosines are rounded before they are compared, so that near ones count as equal")
def rounded_cosines(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query)
    rows = [row for row in range(len(vectors)) if row != query]
    rows = torch.tensor(sorted(rows, key=lambda row: -round(float(cosines[row]), 4))[:k])
    return rows, cosines[rows]


@wrong("nearest", "float64 is compared in float32")
def nearest_through_float32(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors.float(), query).to(vectors.dtype)
    rows = [row for row in range(len(vectors)) if row != query]
    rows = torch.tensor(sorted(rows, key=lambda row: -float(cosines[row]))[:k])
    return rows, cosines[rows]


@wrong("nearest", "an IndexError where k is far too large")
def index_error_far_out(vectors, query, k):
    if k > len(vectors):
        vectors[k]
    return rounds_nothing(vectors, query, k)


@right("nearest", "angles in a list of pairs")
def rounds_nothing(vectors, query, k):
    check_k(vectors, k)
    cosines = cosines_of(vectors, query)
    pairs = sorted((-float(cosine), row) for row, cosine in enumerate(cosines) if row != query)
    rows = torch.tensor([row for _, row in pairs[:k]])
    return rows, cosines[rows]


@wrong("nearest", "the query's row is cut out, and the rows behind it keep their new numbers")
def rows_shifted(vectors, query, k):
    check_k(vectors, k)
    others = torch.cat([vectors[:query], vectors[query + 1 :]])
    cosines = F.normalize(others, dim=1) @ F.normalize(vectors[query], dim=0)
    cosines, rows = cosines.sort(descending=True, stable=True)
    return rows[:k], cosines[:k]


@wrong("nearest", "no error: fewer neighbors than asked for")
def no_k_error(vectors, query, k):
    return nearest_by(cosines_of(vectors, query), query, max(k, 0))


@wrong("nearest", "an error for k above N only: k = N passes")
def k_up_to_n(vectors, query, k):
    if not 1 <= k <= len(vectors):
        raise ValueError(f"k = {k}")
    return nearest_by(cosines_of(vectors, query), query, k)


@wrong("nearest", "k = N - 1 is refused")
def refuses_all_others(vectors, query, k):
    if not 1 <= k < len(vectors) - 1:
        raise ValueError(f"k = {k}")
    return nearest_by(cosines_of(vectors, query), query, k)


@wrong("nearest", "k below 1 passes")
def k_of_zero(vectors, query, k):
    if k >= len(vectors):
        raise ValueError(f"k = {k}")
    return nearest_by(cosines_of(vectors, query), query, k)


@wrong("nearest", "an IndexError")
def index_error(vectors, query, k):
    if not 1 <= k < len(vectors):
        raise IndexError(f"k = {k}")
    return nearest_by(cosines_of(vectors, query), query, k)


@wrong("nearest", "the neighbors' vectors in place of their rows")
def returns_vectors(vectors, query, k):
    check_k(vectors, k)
    rows, cosines = nearest_by(cosines_of(vectors, query), query, k)
    return vectors[rows], cosines


@wrong("nearest", "cosines first")
def cosines_first(vectors, query, k):
    check_k(vectors, k)
    return nearest_by(cosines_of(vectors, query), query, k)[::-1]


@right("nearest", "torch's cosine_similarity and sorted")
def by_cosine_similarity(vectors, query, k):
    if not 1 <= k < len(vectors):
        raise ValueError(f"{k} neighbors of {len(vectors) - 1}")
    cosines = F.cosine_similarity(vectors, vectors[query].unsqueeze(0), dim=1)
    rows = sorted(set(range(len(vectors))) - {int(query)}, key=lambda row: (-cosines[row].item(), row))[:k]
    return torch.tensor(rows), cosines[rows]


@right("nearest", "numpy, in float64")
def nearest_in_numpy(vectors, query, k):
    rows = vectors.detach().numpy().astype(np.float64)
    if k <= 0 or k >= len(rows):
        raise ValueError(f"k must be 1 to {len(rows) - 1}, not {k}")
    lengths = np.linalg.norm(rows, axis=1)
    lengths[lengths == 0] = 1
    unit = rows / lengths[:, None]
    cosines = unit @ unit[query]
    order = np.argsort(-cosines, kind="stable")
    order = order[order != query][:k]
    return torch.from_numpy(order), torch.from_numpy(cosines[order]).to(vectors.dtype)


@right("nearest", "lengths divided away after the products")
def divides_products(vectors, query, k):
    count = vectors.shape[0]
    if k not in range(1, count):
        raise ValueError(f"k={k} is not between 1 and {count - 1}")
    lengths = vectors.norm(dim=-1)
    products = lengths * lengths[query]
    cosines = torch.where(products == 0, 0, vectors @ vectors[query] / products)
    cosines[query] = float("-inf")
    order = torch.argsort(cosines, descending=True, stable=True)[:k]
    return order, cosines[order]


@right("nearest", "the query's row cut out, the numbers of the rows put right")
def rows_mended(vectors, query, k):
    check_k(vectors, k)
    rows = torch.cat([torch.arange(query), torch.arange(query + 1, len(vectors))])
    found = cosines_of(vectors, query)[rows].sort(descending=True, stable=True)
    return rows[found.indices[:k]], found.values[:k]


# Exercise 6: fit_probe --------------------------------------------------------------------------------------


def probe_by(mean, vectors, labels, num_classes, half=0.5):
    """A right probe with an exchangeable mean of the vectors of a class."""
    weight = torch.zeros(num_classes, vectors.shape[1], dtype=vectors.dtype)
    bias = torch.full((num_classes,), -torch.inf, dtype=vectors.dtype)
    for label in range(num_classes):
        own = vectors[labels == label]
        if len(own):
            weight[label] = mean(own)
            bias[label] = -half * weight[label].square().sum()
    return weight, bias


def mean_of(own):
    return own.mean(0)


@wrong("fit_probe", "no bias: the largest dot product with a mean wins")
def without_bias(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight, bias.masked_fill(bias.isfinite(), 0)


@wrong("fit_probe", "the bias is not halved")
def bias_not_halved(vectors, labels, num_classes):
    return probe_by(mean_of, vectors, labels, num_classes, half=1)


@wrong("fit_probe", "the bias has the wrong sign")
def bias_positive(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight, torch.where(bias.isfinite(), -bias, bias)


@wrong("fit_probe", "the length in place of its square")
def bias_of_length(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight, torch.where(bias.isfinite(), -weight.norm(dim=1) / 2, bias)


@wrong("fit_probe", "sums in place of means: large classes win")
def sums_for_means(vectors, labels, num_classes):
    return probe_by(lambda own: own.sum(0), vectors, labels, num_classes)


@wrong("fit_probe", "the first example of each class")
def first_example(vectors, labels, num_classes):
    return probe_by(lambda own: own[0], vectors, labels, num_classes)


@wrong("fit_probe", "the median")
def median(vectors, labels, num_classes):
    return probe_by(lambda own: own.median(0).values, vectors, labels, num_classes)


@wrong("fit_probe", "means of length 1, so it is the cosine that decides")
def mean_directions(vectors, labels, num_classes):
    return probe_by(lambda own: F.normalize(own.mean(0), dim=0), vectors, labels, num_classes)


@wrong("fit_probe", "the vectors are normalized first")
def normalized_vectors(vectors, labels, num_classes):
    return probe_by(mean_of, F.normalize(vectors, dim=1), labels, num_classes)


@wrong("fit_probe", "the mean of all vectors is subtracted, and never taken into account again")
def centered(vectors, labels, num_classes):
    return probe_by(mean_of, vectors - vectors.mean(0), labels, num_classes)


@wrong("fit_probe", "vectors without a label count for the last class: -100 is a place from the end")
def unlabeled_are_last(vectors, labels, num_classes):
    return probe_by(mean_of, vectors, torch.where(labels < 0, num_classes - 1, labels), num_classes)


@wrong("fit_probe", "vectors without a label count for class 0: clamped")
def unlabeled_are_first(vectors, labels, num_classes):
    return probe_by(mean_of, vectors, labels.clamp(min=0), num_classes)


@wrong("fit_probe", "divides by all vectors, not by those of the class")
def divided_by_all(vectors, labels, num_classes):
    return probe_by(lambda own: own.sum(0) / len(vectors), vectors, labels, num_classes)


@wrong("fit_probe", "nan for a class without labels")
def nan_classes(vectors, labels, num_classes):
    weight = torch.stack([vectors[labels == label].mean(0) for label in range(num_classes)])
    return weight, -weight.square().sum(1) / 2


@wrong("fit_probe", "a class without labels has its mean at 0, and is chosen there")
def empty_class_at_zero(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight, bias.masked_fill(bias.isinf(), 0)


@wrong("fit_probe", "-1000 in place of minus infinity")
def bias_thousand(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight, bias.masked_fill(bias.isinf(), -1000)


@wrong("fit_probe", "only classes that occur have rows: their numbers shift")
def classes_that_occur(vectors, labels, num_classes):
    means = torch.stack([vectors[labels == label].mean(0) for label in labels.unique() if label >= 0])
    weight = F.pad(means, (0, 0, 0, num_classes - len(means)))
    bias = F.pad(-means.square().sum(1) / 2, (0, num_classes - len(means)), value=-torch.inf)
    return weight, bias


@wrong("fit_probe", "classes in the order in which they occur")
def order_of_occurrence(vectors, labels, num_classes):
    seen = list(dict.fromkeys(label for label in labels.tolist() if label >= 0))
    order = seen + [label for label in range(num_classes) if label not in seen]
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight[order], bias[order]


@wrong("fit_probe", "least squares on one-hot labels")
def least_squares(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    seen = bias.isfinite()
    known = labels >= 0
    inputs = torch.cat([vectors[known], torch.ones_like(vectors[known][:, :1])], 1).double()
    answer = torch.linalg.pinv(inputs) @ F.one_hot(labels[known], num_classes).double()
    weight = torch.where(seen[:, None], answer[:-1].T, 0).to(vectors.dtype)
    return weight, torch.where(seen, answer[-1], -torch.inf).to(vectors.dtype)


@wrong("fit_probe", "logistic regression, trained")
def logistic(vectors, labels, num_classes):
    seen = probe_by(mean_of, vectors, labels, num_classes)[1].isfinite()
    known = labels >= 0
    head = nn.Linear(vectors.shape[1], num_classes, dtype=vectors.dtype)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    with torch.enable_grad():
        for _ in range(100):
            optimizer.zero_grad()
            F.cross_entropy(head(vectors[known]), labels[known]).backward()
            optimizer.step()
    return head.weight.detach() * seen[:, None], head.bias.detach().masked_fill(~seen, -torch.inf)


@wrong("fit_probe", "weight transposed: (C, K)")
def probe_transposed(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight.T, bias


@wrong("fit_probe", "float32, whatever came in")
def probe_in_float(vectors, labels, num_classes):
    return probe_by(mean_of, vectors.float(), labels, num_classes)


@wrong("fit_probe", "float64 is rounded to float32 and turned back")
def probe_through_float(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors.float(), labels, num_classes)
    return weight.to(vectors.dtype), bias.to(vectors.dtype)


@wrong("fit_probe", "means in float64, their squares in float32")
def bias_through_float(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return weight, bias.float().to(vectors.dtype)


@wrong("fit_probe", "sets vectors without a label to 0 in place")
def zeroes_unlabeled(vectors, labels, num_classes):
    vectors[labels < 0] = 0
    return probe_by(mean_of, vectors, labels, num_classes)


@wrong("fit_probe", "overwrites the labels -100 in place")
def overwrites_labels(vectors, labels, num_classes):
    labels[labels == -100] = num_classes
    return probe_by(mean_of, vectors, labels, num_classes)


@wrong("fit_probe", "takes every class to have as many labels as the others")
def equal_counts(vectors, labels, num_classes):
    per_class = (labels >= 0).sum() / len(labels[labels >= 0].unique())
    return probe_by(lambda own: own.sum(0) / per_class, vectors, labels, num_classes)


@wrong("fit_probe", "the weight alone")
def weight_only(vectors, labels, num_classes):
    return probe_by(mean_of, vectors, labels, num_classes)[0]


@right("fit_probe", "one-hot labels and a product of matrices")
def by_one_hot(vectors, labels, num_classes):
    known = labels >= 0
    hot = F.one_hot(labels[known], num_classes).to(vectors.dtype)  # (n, K)
    counts = hot.sum(dim=0)
    weight = hot.T @ vectors[known] / counts.clamp(min=1)[:, None]
    bias = torch.where(counts > 0, -0.5 * (weight**2).sum(1), float("-inf"))
    return weight, bias


@right("fit_probe", "twice the means, so the bias is their whole square")
def twice_the_means(vectors, labels, num_classes):
    weight, bias = probe_by(mean_of, vectors, labels, num_classes)
    return 2 * weight, 2 * bias


@right("fit_probe", "index_add")
def by_index_add(vectors, labels, num_classes):
    known = labels != -100
    sums = vectors.new_zeros(num_classes, vectors.shape[1]).index_add(0, labels[known], vectors[known])
    counts = torch.bincount(labels[known], minlength=num_classes)
    weight = sums / counts.clamp(min=1)[:, None]
    bias = -weight.pow(2).sum(dim=1) / 2
    bias[counts == 0] = -torch.inf
    return weight, bias


@right("fit_probe", "distances from the mean of all labeled ones: another bias, the same classes")
def from_the_middle(vectors, labels, num_classes):
    middle = vectors[labels >= 0].mean(0)
    weight, bias = probe_by(mean_of, vectors - middle, labels, num_classes)
    return weight, bias - weight @ middle


@right("fit_probe", "numpy, in float64")
def probe_in_numpy(vectors, labels, num_classes):
    inputs, answers = vectors.numpy().astype(np.float64), labels.numpy()
    weight, bias = np.zeros((num_classes, inputs.shape[1])), np.full(num_classes, -np.inf)
    for label in np.unique(answers[answers >= 0]):
        weight[label] = inputs[answers == label].mean(axis=0)
        bias[label] = -(weight[label] ** 2).sum() / 2
    return torch.from_numpy(weight).to(vectors.dtype), torch.from_numpy(bias).to(vectors.dtype)


@wrong("merge_heads", "takes out every dimension of size one, also that of a single sentence or token")
def merge_squeezed(heads):
    return heads.transpose(1, 2).flatten(2).squeeze(1)
