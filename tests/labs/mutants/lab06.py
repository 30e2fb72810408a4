"""Answers to lab 06 that learners could write: wrong ones must lose points, right ones keep all of them."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from torch import nn

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: rnn_cell ---------------------------------------------------------------------------------------


@wrong("rnn_cell", "the weights of the word are not turned: right only for symmetric ones")
def word_weights_not_turned(x, state, w_x, w_h, bias):
    w_x = w_x if w_x.shape[0] == x.shape[1] else w_x.T
    return torch.tanh(x @ w_x + state @ w_h.T + bias)


@wrong("rnn_cell", "the weights of the state are not turned")
def state_weights_not_turned(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.T + state @ w_h + bias)


@wrong("rnn_cell", "forgets the state")
def no_state(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.T + bias)


@wrong("rnn_cell", "forgets the bias")
def no_bias(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.T + state @ w_h.T)


@wrong("rnn_cell", "sigmoid in place of tanh")
def sigmoid_cell(x, state, w_x, w_h, bias):
    return torch.sigmoid(x @ w_x.T + state @ w_h.T + bias)


@wrong("rnn_cell", "the bias comes after tanh")
def bias_after_tanh(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.T + state @ w_h.T) + bias


@wrong("rnn_cell", "tanh of each part by itself")
def tanh_of_each(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.T + bias) + torch.tanh(state @ w_h.T)


@wrong("rnn_cell", "tanh written out with exp, nan for large numbers")
def tanh_by_exp(x, state, w_x, w_h, bias):
    z = x @ w_x.T + state @ w_h.T + bias
    return (torch.exp(z) - torch.exp(-z)) / (torch.exp(z) + torch.exp(-z))


@wrong("rnn_cell", "clips to -1 and 1, which is tanh only far out")
def hard_tanh(x, state, w_x, w_h, bias):
    return F.hardtanh(x @ w_x.T + state @ w_h.T + bias)


@wrong("rnn_cell", "adds to the bias in place, so that the next call begins elsewhere")
def changes_the_bias(x, state, w_x, w_h, bias):
    with torch.no_grad():
        z = bias.add_(0.01)
    return torch.tanh(x @ w_x.T + state @ w_h.T + z - 0.01)


@wrong("rnn_cell", "writes the new state into the old one's place")
def into_the_old_state(x, state, w_x, w_h, bias):
    new = torch.tanh(x @ w_x.T + state @ w_h.T + bias)
    if not state.requires_grad:
        state.copy_(new)
    return new


@wrong("rnn_cell", "cuts the gradient at the state")
def detached_state(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.T + state.detach() @ w_h.T + bias)


@wrong("rnn_cell", "computes in numpy: no gradient")
def in_numpy(x, state, w_x, w_h, bias):
    x, state, w_x, w_h, bias = (value.detach().numpy() for value in (x, state, w_x, w_h, bias))
    return torch.from_numpy(np.tanh(x @ w_x.T + state @ w_h.T + bias))


@wrong("rnn_cell", "always float32")
def always_float32(x, state, w_x, w_h, bias):
    x, state, w_x, w_h, bias = (value.float() for value in (x, state, w_x, w_h, bias))
    return torch.tanh(x @ w_x.T + state @ w_h.T + bias)


@wrong("rnn_cell", "turns the weights by view, which reads them in the wrong order")
def turned_by_view(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.reshape(w_x.shape[1], w_x.shape[0]) + state @ w_h.T + bias)


@wrong("rnn_cell", "view of inputs that lie otherwise in memory")
def view_of_the_words(x, state, w_x, w_h, bias):
    z = x.view(-1).view(x.shape) @ w_x.T + state @ w_h.T + bias
    return torch.tanh(z)


@wrong("rnn_cell", "squeezes, so that a batch of one loses its dimension")
def squeezes(x, state, w_x, w_h, bias):
    return torch.tanh(x @ w_x.T + state @ w_h.T + bias).squeeze(0)


@wrong("rnn_cell", "calls torch's own cell")
def torchs_cell(x, state, w_x, w_h, bias):
    return torch.rnn_tanh_cell(x, state, w_x, w_h, bias, torch.zeros_like(bias))


RESULTS = {}


@wrong("rnn_cell", "keeps results by shape, to be faster")
def kept_by_shape(x, state, w_x, w_h, bias):
    key = (x.shape, state.shape, x.dtype)
    if key not in RESULTS:
        RESULTS[key] = torch.tanh(x @ w_x.T + state @ w_h.T + bias)
    return RESULTS[key]


@wrong("rnn_cell", "computes in float32 and calls the result float64")
def rounded_to_float32(x, state, w_x, w_h, bias):
    z = x.float() @ w_x.float().T + state.float() @ w_h.float().T + bias.float()
    return z.tanh().to(x.dtype)


@wrong("rnn_cell", "covers nan by 0: the numbers look right, the gradients do not")
def covers_nan(x, state, w_x, w_h, bias):
    z = x @ w_x.T + state @ w_h.T + bias
    grown = torch.exp(2 * z)
    return torch.where(z > 40, torch.ones_like(z), (grown - 1) / (grown + 1))


@right("rnn_cell", "linear layers as functions")
def linear_functions(x, state, w_x, w_h, bias):
    return F.linear(x, w_x, bias).add(F.linear(state, w_h)).tanh()


@right("rnn_cell", "one product of words and state side by side")
def side_by_side(x, state, w_x, w_h, bias):
    return torch.tanh(torch.cat([x, state], dim=1) @ torch.cat([w_x, w_h], dim=1).T + bias)


@right("rnn_cell", "einsum")
def by_einsum(x, state, w_x, w_h, bias):
    return torch.tanh(torch.einsum("bc,hc->bh", x, w_x) + torch.einsum("bk,hk->bh", state, w_h) + bias[None])


@right("rnn_cell", "a loop over the numbers of the state")
def number_by_number(x, state, w_x, w_h, bias):
    numbers = [(x * w_x[k]).sum(1) + (state * w_h[k]).sum(1) + bias[k] for k in range(len(bias))]
    return torch.stack(numbers, dim=1).tanh()


@right("rnn_cell", "a loop over the sentences, each a vector")
def sentence_by_sentence(x, state, w_x, w_h, bias):
    pairs = zip(x, state, strict=True)
    return torch.stack([(w_x.mv(word) + w_h.mv(old) + bias).tanh() for word, old in pairs])


@right("rnn_cell", "tanh by a sigmoid, which does not overflow")
def tanh_by_sigmoid(x, state, w_x, w_h, bias):
    return 2 * torch.sigmoid(2 * (x @ w_x.mT + state @ w_h.mT + bias)) - 1


# Exercise 2: lstm_cell --------------------------------------------------------------------------------------


def lstm_by(update, x, state, w_x, w_h, b_x, b_h, order="ifgo", parts=None):
    """A right LSTM cell with exchangeable parts: `update` of gates before their sigmoid, and their order."""
    h, c = state
    z = x @ w_x.T + b_x + h @ w_h.T + b_h
    gates = dict(zip(order, z.chunk(4, dim=1) if parts is None else parts(z), strict=True))
    return update(c=c, **gates)


def usual(c, i, f, g, o):
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@wrong("lstm_cell", "the order i, f, o, g, as other libraries have it")
def order_ifog(*inputs):
    return lstm_by(usual, *inputs, order="ifog")


@wrong("lstm_cell", "the order f, i, g, o, as books print the equations")
def order_figo(*inputs):
    return lstm_by(usual, *inputs, order="figo")


@wrong("lstm_cell", "the order i, g, f, o")
def order_igfo(*inputs):
    return lstm_by(usual, *inputs, order="igfo")


@wrong("lstm_cell", "gates of one number lie side by side: read as (H, 4)")
def numbers_side_by_side(*inputs):
    return lstm_by(usual, *inputs, parts=lambda z: z.reshape(len(z), -1, 4).unbind(2))


@wrong("lstm_cell", "chunks of the batch")
def chunks_of_the_batch(*inputs):
    def parts(z):
        return z.reshape(4, len(z), -1).unbind(0)

    return lstm_by(usual, *inputs, parts=parts)


@wrong("lstm_cell", "the new part by a sigmoid, like the gates")
def new_by_sigmoid(*inputs):
    def update(c, i, f, g, o):
        c = f.sigmoid() * c + i.sigmoid() * g.sigmoid()
        return o.sigmoid() * c.tanh(), c

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "shows the memory without tanh")
def shows_without_tanh(*inputs):
    def update(c, i, f, g, o):
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c, c

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "keeps tanh of the memory")
def keeps_tanh(*inputs):
    h, c = lstm_by(usual, *inputs)
    return h, c.tanh()


@wrong("lstm_cell", "shows the old memory")
def shows_the_old(*inputs):
    def update(c, i, f, g, o):
        return o.sigmoid() * c.tanh(), f.sigmoid() * c + i.sigmoid() * g.tanh()

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "input and forget gate tied: what is not kept is new")
def tied_gates(*inputs):
    def update(c, i, f, g, o):
        c = f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()
        return o.sigmoid() * c.tanh(), c

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "forgets the forget gate, as in 1997")
def no_forget_gate(*inputs):
    def update(c, i, f, g, o):
        c = c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "adds 1 to the forget gate, a start that torch's cell does not have")
def forget_bias_one(*inputs):
    return lstm_by(lambda c, i, f, g, o: usual(c, i, f + 1, g, o), *inputs)


@wrong("lstm_cell", "forgets the second bias")
def one_bias(x, state, w_x, w_h, b_x, b_h):
    return lstm_by(usual, x, state, w_x, w_h, b_x, torch.zeros_like(b_h))


@wrong("lstm_cell", "returns c' first")
def memory_first(*inputs):
    return lstm_by(usual, *inputs)[::-1]


@wrong("lstm_cell", "returns h' only")
def only_shown(*inputs):
    return lstm_by(usual, *inputs)[0]


@wrong("lstm_cell", "h and c swapped where they come in")
def swapped_state(x, state, *parameters):
    return lstm_by(usual, x, state[::-1], *parameters)


@wrong("lstm_cell", "changes the memory in place")
def memory_in_place(*inputs):
    def update(c, i, f, g, o):
        if c.requires_grad:
            return usual(c, i, f, g, o)
        c.mul_(f.sigmoid()).add_(i.sigmoid() * g.tanh())
        return o.sigmoid() * c.tanh(), c

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "a sigmoid as exp(z) / (1 + exp(z)), nan for large numbers")
def sigmoid_by_exp(*inputs):
    def update(c, i, f, g, o):
        i, f, o = (torch.exp(z) / (1 + torch.exp(z)) for z in (i, f, o))
        c = f * c + i * g.tanh()
        return o * c.tanh(), c

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "no gradient through the memory")
def memory_detached(*inputs):
    return lstm_by(lambda c, **gates: usual(c.detach(), **gates), *inputs)


@wrong("lstm_cell", "always float32")
def lstm_in_float32(x, state, *parameters):
    h, c = state
    return lstm_by(usual, x.float(), (h.float(), c.float()), *(value.float() for value in parameters))


@wrong("lstm_cell", "calls torch's own cell")
def torchs_lstm_cell(x, state, *parameters):
    return torch.lstm_cell(x, state, *parameters)


@wrong("lstm_cell", "hides torch's own cell in a layer")
def hidden_lstm_layer(x, state, w_x, w_h, b_x, b_h):
    cell = nn.LSTMCell(x.shape[1], state[0].shape[1]).to(x.dtype)
    parts = {"weight_ih": w_x, "weight_hh": w_h, "bias_ih": b_x, "bias_hh": b_h}
    return torch.func.functional_call(cell, parts, (x, state))


@wrong("lstm_cell", "the sigmoid as its formula stands: its gradient is nan where a gate is closed")
def sigmoid_as_printed(*inputs):
    def update(c, i, f, g, o):
        i, f, o = (1 / (1 + torch.exp(-z)) for z in (i, f, o))
        c = f * c + i * g.tanh()
        return o * c.tanh(), c

    return lstm_by(update, *inputs)


@wrong("lstm_cell", "computes in float32 and calls the results float64")
def lstm_rounded_to_float32(x, state, *parameters):
    h, c = state
    out = lstm_by(usual, x.float(), (h.float(), c.float()), *(p.float() for p in parameters))
    return tuple(part.to(x.dtype) for part in out)


@right("lstm_cell", "four products, a slice for each gate")
def four_products(x, state, w_x, w_h, b_x, b_h):
    h, c = state
    size = h.shape[1]
    i, f, g, o = (
        F.linear(x, w_x[k : k + size], b_x[k : k + size]) + F.linear(h, w_h[k : k + size], b_h[k : k + size])
        for k in range(0, 4 * size, size)
    )
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


@right("lstm_cell", "the product seen as (B, 4, H)")
def product_in_four(*inputs):
    return lstm_by(usual, *inputs, parts=lambda z: z.view(len(z), 4, -1).unbind(1))


@right("lstm_cell", "all sigmoids at once, words and state side by side")
def sigmoids_at_once(x, state, w_x, w_h, b_x, b_h):
    h, c = state
    z = torch.cat([x, h], 1) @ torch.cat([w_x, w_h], 1).T + (b_x + b_h)
    gates, size = z.sigmoid(), c.shape[1]
    new = gates[:, size : 2 * size] * c + gates[:, :size] * z[:, 2 * size : 3 * size].tanh()
    return gates[:, -size:] * new.tanh(), new


@right("lstm_cell", "turned the other way: columns are sentences")
def columns(x, state, w_x, w_h, b_x, b_h):
    h, c = state
    i, f, g, o = torch.split(w_x @ x.T + w_h @ h.T + (b_x + b_h)[:, None], h.shape[1])
    c = (f.sigmoid() * c.T + i.sigmoid() * g.tanh()).T
    return o.sigmoid().T * c.tanh(), c


@right("lstm_cell", "lerp of tanh and a sigmoid by 1 / (1 + exp(-z))")
def sigmoid_by_one_exp(*inputs):
    def update(c, i, f, g, o):
        i, f, o = (1 / (1 + torch.exp(-z.clamp(-60, 60))) for z in (i, f, o))
        c = torch.addcmul(f * c, i, g.tanh())
        return o * c.tanh(), c

    return lstm_by(update, *inputs)


# Exercise 3: read -------------------------------------------------------------------------------------------


def real_positions(inputs, lengths):
    """(B, T, 1) bool"""
    return (torch.arange(inputs.shape[1]) < lengths[:, None])[..., None]


def read_by(step, inputs, lengths, state, fill=True, keep=None, cover=True):
    """A right loop with exchangeable parts: `keep(real, new, old)` makes the next state."""
    real = real_positions(inputs, lengths)
    inputs = inputs.masked_fill(~real, 0) if fill else inputs
    states = []
    for position in range(inputs.shape[1]):
        new = step(inputs[:, position], state)
        state = (keep or torch.where)(real[:, position], new, state)
        states.append(state)
    states = torch.stack(states, 1)
    return states.masked_fill(~real, 0) if cover else states, state


@wrong("read", "reads padding as if it were words")
def reads_padding(step, inputs, lengths, state):
    return read_by(step, inputs, lengths, state, fill=False, keep=lambda real, new, old: new)


@wrong("read", "reads padding as words of zeros")
def reads_zeros(step, inputs, lengths, state):
    return read_by(step, inputs, lengths, state, keep=lambda real, new, old: new)


@wrong("read", "covers the states, but takes the last column as the last states")
def last_column(step, inputs, lengths, state):
    states, _ = read_by(step, inputs, lengths, state)
    return states, states[:, -1]


@wrong("read", "a sentence without words ends with 0 in place of the state before")
def nothing_read_is_zero(step, inputs, lengths, state):
    states, _ = read_by(step, inputs, lengths, state)
    rows = torch.arange(len(states))
    last = states[rows, (lengths.long() - 1).clamp(min=0)]
    return states, last


@wrong("read", "position -1 for a sentence without words")
def position_minus_one(step, inputs, lengths, state):
    states, _ = read_by(step, inputs, lengths, state)
    return states, states[torch.arange(len(states)), lengths.long() - 1]


@wrong("read", "padded positions repeat the last state in place of 0")
def repeats_the_last(step, inputs, lengths, state):
    return read_by(step, inputs, lengths, state, cover=False)


@wrong("read", "multiplies by the mask: nan stays nan")
def multiplies_by_mask(step, inputs, lengths, state):
    return read_by(
        step, inputs, lengths, state, fill=False, keep=lambda real, new, old: real * new + ~real * old
    )


@wrong("read", "chooses by where only: nan comes back in the gradient")
def where_only(step, inputs, lengths, state):
    return read_by(step, inputs, lengths, state, fill=False)


@wrong("read", "padding sets the state back to 0")
def sets_back(step, inputs, lengths, state):
    return read_by(step, inputs, lengths, state, keep=lambda real, new, old: new * real)


@wrong("read", "one position too many")
def one_too_many(step, inputs, lengths, state):
    return read_by(step, inputs.nan_to_num(0, 0, 0), (lengths.long() + 1).clamp(max=inputs.shape[1]), state)


@wrong("read", "begins with zeros in place of `state`")
def begins_with_zeros(step, inputs, lengths, state):
    return read_by(step, inputs, lengths, torch.zeros_like(state))


@wrong("read", "every word meets the state from the beginning")
def no_hand_on(step, inputs, lengths, state):
    real = real_positions(inputs, lengths)
    inputs = inputs.masked_fill(~real, 0)
    states = torch.stack([step(inputs[:, position], state) for position in range(inputs.shape[1])], 1)
    last = torch.where(lengths[:, None] > 0, states[torch.arange(len(states)), lengths.long() - 1], state)
    return states.masked_fill(~real, 0), last


@wrong("read", "stops after the longest sentence: states are (B, longest, H)")
def stops_early(step, inputs, lengths, state):
    longest = max(int(lengths.max()), 1)
    return read_by(step, inputs[:, :longest], lengths, state)


@wrong("read", "sets padding to 0 in place")
def fills_in_place(step, inputs, lengths, state):
    if not inputs.requires_grad:
        inputs.masked_fill_(~real_positions(inputs, lengths), 0)
    return read_by(step, inputs, lengths, state)


@wrong("read", "detaches the state after each word")
def detaches_each(step, inputs, lengths, state):
    return read_by(step, inputs, lengths, state, keep=lambda real, new, old: torch.where(real, new, old.detach()))  # fmt: skip # noqa: E501


@wrong("read", "collects states in a buffer of float32")
def buffer_of_float32(step, inputs, lengths, state):
    real = real_positions(inputs, lengths)
    inputs = inputs.masked_fill(~real, 0)
    states = torch.zeros(*inputs.shape[:2], state.shape[1])
    for position in range(inputs.shape[1]):
        state = torch.where(real[:, position], step(inputs[:, position], state), state)
        states[:, position] = state
    return states.masked_fill(~real, 0), state


@wrong("read", "the last state is the largest one")
def largest_state(step, inputs, lengths, state):
    states, _ = read_by(step, inputs, lengths, state)
    return states, torch.where(lengths[:, None] > 0, states.amax(1), state)


@wrong("read", "sorts by length and does not sort back")
def not_sorted_back(step, inputs, lengths, state):
    order = lengths.argsort(descending=True)
    return read_by(step, inputs[order], lengths[order], state[order])


@wrong("read", "without gradients")
def read_without_gradients(step, inputs, lengths, state):
    with torch.no_grad():
        return read_by(step, inputs, lengths, state)


@wrong("read", "takes rows of zeros (and of nan) for padding, whatever the lengths say")
def zeros_are_padding(step, inputs, lengths, state):
    real = (inputs.nan_to_num(0, 0, 0) != 0).any(2)
    return read_by(step, inputs, real.sum(1), state)


@wrong("read", "replaces nan only: infinite padding comes back in the gradient")
def only_nan_is_replaced(step, inputs, lengths, state):
    return read_by(step, inputs.masked_fill(inputs.isnan(), 0), lengths, state, fill=False)


@wrong("read", "makes padding finite, but leaves it large")
def large_padding_is_read(step, inputs, lengths, state):
    return read_by(step, inputs.nan_to_num(), lengths, state, fill=False)


@wrong("read", "calls the cell with no row where all sentences have ended")
def calls_with_no_row(step, inputs, lengths, state):
    states = []
    for position in range(inputs.shape[1]):
        rows = (lengths > position).nonzero()[:, 0]
        new = step(inputs[rows, position], state[rows])
        state = state.index_copy(0, rows, new)
        states.append(torch.zeros_like(state).index_copy(0, rows, new))
    return torch.stack(states, 1), state


@wrong("read", "lengths in a type that holds 127 at most")
def lengths_in_int8(step, inputs, lengths, state):
    return read_by(step, inputs, lengths.to(torch.int8), state)


@wrong("read", "states rounded to float32 on their way")
def states_rounded(step, inputs, lengths, state):
    states, last = read_by(step, inputs, lengths, state)
    return states.float().to(inputs.dtype), last


@right("read", "up to the longest sentence, then zeros")
def zeros_at_the_end(step, inputs, lengths, state):
    longest = int(lengths.max())
    if longest == 0:
        return inputs.new_zeros(*inputs.shape[:2], state.shape[1]), state.clone()
    states, last = read_by(step, inputs[:, :longest], lengths, state)
    return F.pad(states, (0, 0, 0, inputs.shape[1] - longest)), last


@right("read", "row by row, only what is real")
def row_by_row(step, inputs, lengths, state):
    states, last = [], []
    for row, length in enumerate(lengths.tolist()):
        now, mine = state[row : row + 1], []
        for position in range(length):
            now = step(inputs[row : row + 1, position], now)
            mine.append(now)
        mine += [torch.zeros_like(now)] * (inputs.shape[1] - length)
        states.append(torch.stack(mine, 1))
        last.append(now)
    return torch.cat(states), torch.cat(last)


@right("read", "only rows that still have words are read")
def rows_with_words(step, inputs, lengths, state):
    states = []
    for position in range(inputs.shape[1]):
        rows = (lengths > position).nonzero()[:, 0]
        shown = torch.zeros_like(state)
        if len(rows):
            new = step(inputs[rows, position], state[rows])
            state, shown = state.index_copy(0, rows, new), shown.index_copy(0, rows, new)
        states.append(shown)
    return torch.stack(states, 1), state


@right("read", "reads zeros at the end, and picks the last real state afterwards")
def picks_afterwards(step, inputs, lengths, state):
    real = real_positions(inputs, lengths)
    words = torch.where(real, inputs, 0.0)
    states = [state]
    for position in range(inputs.shape[1]):
        states.append(step(words[:, position], states[-1]))
    states = torch.stack(states, 1)  # (B, T + 1, H), the state before the first word in front
    last = states[torch.arange(len(inputs)), lengths.long()]
    return states[:, 1:] * real, last


@right("read", "a given buffer, filled position by position")
def buffer_filled(step, inputs, lengths, state):
    real = real_positions(inputs, lengths)
    inputs = inputs.clone()
    inputs[~real[..., 0]] = 0
    states = inputs.new_zeros(*inputs.shape[:2], state.shape[1])
    for position in range(inputs.shape[1]):
        now = real[:, position].to(state.dtype)
        state = now * step(inputs[:, position], state) + (1 - now) * state
        states[:, position] = now * state
    return states, state


@right("read", "sorted by length, a smaller batch at each position, sorted back")
def smaller_and_smaller(step, inputs, lengths, state):
    order = lengths.argsort(descending=True)
    sorted_inputs, now = inputs[order], state[order]
    states = []
    for position in range(inputs.shape[1]):
        count = int((lengths > position).sum())
        new = step(sorted_inputs[:count, position], now[:count]) if count else now[:0]
        now = torch.cat([new, now[count:]])
        states.append(torch.cat([new, torch.zeros_like(now[count:])]))
    back = order.argsort()
    return torch.stack(states, 1)[back], now[back]


# Exercise 4: summarize --------------------------------------------------------------------------------------


def check_how(how):
    if how not in ("mean", "last"):
        raise ValueError(f"how is {how}")


def covered(features, lengths):
    """Features with 0 at padded positions."""
    return features.masked_fill(~real_positions(features, lengths), 0)


def mean_of(features, lengths):
    return covered(features, lengths).sum(1) / lengths.long().clamp(min=1)[:, None]


def last_of(features, lengths):
    lengths = lengths.long()
    last = covered(features, lengths)[torch.arange(len(features)), (lengths - 1).clamp(min=0)]
    return last  # 0 where there is no word, because padding is covered


def either(features, lengths, how, mean=mean_of, last=last_of):
    check_how(how)
    return mean(features, lengths) if how == "mean" else last(features, lengths)


@wrong("summarize", "padding is counted in the mean: divides by T")
def divides_by_all(features, lengths, how="mean"):
    return either(features, lengths, how, mean=lambda f, n: covered(f, n).mean(1))


@wrong("summarize", "padding is in the sum")
def padding_in_the_sum(features, lengths, how="mean"):
    return either(features, lengths, how, mean=lambda f, n: f.sum(1) / n.clamp(min=1)[:, None])


@wrong("summarize", "multiplies by the mask: nan stays nan")
def mask_times_nan(features, lengths, how="mean"):
    def mean(f, n):
        return (f * real_positions(f, n)).sum(1) / n.clamp(min=1)[:, None]

    return either(features, lengths, how, mean=mean)


@wrong("summarize", "nan for a sentence without words")
def nan_without_words(features, lengths, how="mean"):
    return either(features, lengths, how, mean=lambda f, n: covered(f, n).sum(1) / n[:, None])


@wrong("summarize", "divides by the length plus a little, which makes means too small")
def plus_a_little(features, lengths, how="mean"):
    return either(features, lengths, how, mean=lambda f, n: covered(f, n).sum(1) / (n[:, None] + 1e-2))


@wrong("summarize", "the last column, padding or not")
def last_is_padding(features, lengths, how="mean"):
    return either(features, lengths, how, last=lambda f, n: f[:, -1])


@wrong("summarize", "position -1 for a sentence without words: padding")
def minus_one(features, lengths, how="mean"):
    return either(features, lengths, how, last=lambda f, n: f[torch.arange(len(f)), n.long() - 1])


@wrong("summarize", "covers a sentence without words by 0 times padding")
def zero_times_padding(features, lengths, how="mean"):
    def last(f, n):
        return f[torch.arange(len(f)), n.long() - 1] * (n > 0)[:, None]

    return either(features, lengths, how, last=last)


@wrong("summarize", "counts from 1: the position after the last")
def position_after(features, lengths, how="mean"):
    def last(f, n):
        return covered(f, n)[torch.arange(len(f)), n.long().clamp(max=f.shape[1] - 1)]

    return either(features, lengths, how, last=last)


@wrong("summarize", "takes features that are 0 for padding")
def zeros_are_no_words(features, lengths, how="mean"):
    def mean(f, n):
        f = covered(f, n)
        return f.sum(1) / (f != 0).sum(1).clamp(min=1)

    return either(features, lengths, how, mean=mean)


@wrong("summarize", "an unsigned length of 0, minus 1, is 255")
def unsigned_length(features, lengths, how="mean"):
    def last(f, n):
        f = covered(f, n)
        return torch.where(n[:, None] > 0, f[torch.arange(len(f)), (n - 1).clamp(min=0).long()], 0)

    return either(features, lengths, how, last=last)


@wrong("summarize", "sets padding to 0 in place")
def padding_in_place(features, lengths, how="mean"):
    if not features.requires_grad:
        features.masked_fill_(~real_positions(features, lengths), 0)
    return either(features, lengths, how)


@wrong("summarize", "makes lengths of 0 to 1 in place")
def lengths_in_place(features, lengths, how="mean"):
    out = either(features, lengths, how)
    lengths.clamp_(min=1)
    return out


@wrong("summarize", "any other `how` means the last")
def no_error(features, lengths, how="mean"):
    return mean_of(features, lengths) if how == "mean" else last_of(features, lengths)


@wrong("summarize", "a KeyError, out of a dictionary of functions")
def key_error(features, lengths, how="mean"):
    return {"mean": mean_of, "last": last_of}[how](features, lengths)


@wrong("summarize", "an error that does not say what `how` was")
def silent_error(features, lengths, how="mean"):
    if how not in ("mean", "last"):
        raise ValueError("how must be one of the two")
    return either(features, lengths, how)


@wrong("summarize", "accepts capital letters")
def any_case(features, lengths, how="mean"):
    return either(features, lengths, how.lower())


@wrong("summarize", "always float32")
def summary_in_float32(features, lengths, how="mean"):
    return either(features.float(), lengths, how)


@wrong("summarize", "a mean in float64 from the division by a tensor of float64")
def summary_in_float64(features, lengths, how="mean"):
    return either(features, lengths, how, mean=lambda f, n: mean_of(f.double(), n))


@wrong("summarize", "without gradients")
def summary_without_gradients(features, lengths, how="mean"):
    return either(features.detach(), lengths, how)


@wrong("summarize", "the mean of the sentences' means, the same for all")
def mean_of_the_batch(features, lengths, how="mean"):
    return either(features, lengths, how, mean=lambda f, n: mean_of(f, n).mean(0).expand(len(f), -1))


@wrong("summarize", "the default is the last")
def default_last(features, lengths, how="last"):
    return either(features, lengths, how)


@wrong("summarize", "leaves out nan by nanmean: other padding counts, nan in words would vanish")
def by_nanmean(features, lengths, how="mean"):
    return either(features, lengths, how, mean=lambda f, n: f.nanmean(1).nan_to_num())


@wrong("summarize", "looks at the beginning of `how` only")
def begins_like(features, lengths, how="mean"):
    for name, way in {"mean": mean_of, "last": last_of}.items():
        if how.startswith(name):
            return way(features, lengths)
    raise ValueError(f"no such summary: {how}")


@wrong("summarize", "looks whether `how` is a part of a name")
def part_of_a_name(features, lengths, how="mean"):
    if not how or how not in "mean or last":
        raise ValueError(f"no such summary: {how}")
    return last_of(features, lengths) if how in "last" else mean_of(features, lengths)


@wrong("summarize", "lengths in a type that holds 127 at most")
def short_lengths(features, lengths, how="mean"):
    return either(features, lengths.to(torch.int8), how)


@wrong("summarize", "replaces nan only, infinite padding times 0 is nan again")
def only_nan_covered(features, lengths, how="mean"):
    features = features.masked_fill(features.isnan(), 0)
    real = torch.arange(features.shape[1]) < lengths[:, None]
    clean = features * real[..., None]
    return either(clean, lengths, how, mean=lambda f, n: f.sum(1) / n.long().clamp(min=1)[:, None])


@right("summarize", "row by row")
def summary_row_by_row(features, lengths, how="mean"):
    check_how(how)
    out = []
    for row, length in zip(features, lengths.tolist(), strict=True):
        if length == 0:
            out.append(row.new_zeros(row.shape[1]))
        else:
            out.append(row[:length].mean(0) if how == "mean" else row[length - 1])
    return torch.stack(out)


@right("summarize", "where in place of masked_fill, last by gather")
def where_and_gather(features, lengths, how="mean"):
    lengths = lengths.to(torch.int64)
    real = torch.arange(features.shape[1])[None] < lengths[:, None]
    safe = torch.where(real[..., None], features, torch.zeros_like(features))
    if how == "mean":
        return safe.sum(1) / lengths.clamp(min=1).to(features.dtype)[:, None]
    if how == "last":
        places = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, features.shape[2])
        return safe.gather(1, places).squeeze(1)
    raise ValueError(f"{how!r} is neither 'mean' nor 'last'")


@right("summarize", "weights for each position, and one product")
def weights_for_positions(features, lengths, how="mean"):
    positions, lengths = torch.arange(features.shape[1]), lengths.long()[:, None]
    match how:
        case "mean":
            weights = (positions < lengths) / lengths.clamp(min=1)
        case "last":
            weights = (positions == lengths - 1).float()
        case _:
            raise ValueError(how)
    return torch.einsum("bt,bth->bh", weights.to(features.dtype), covered(features, lengths[:, 0]))


@right("summarize", "an error of its own, a subclass of ValueError; the rest by a dictionary")
def own_error(features, lengths, how="mean"):
    class HowError(ValueError):
        pass

    if how not in (ways := {"mean": mean_of, "last": last_of}):
        raise HowError(f"unknown: {how}")
    return ways[how](features, lengths)


@right("summarize", "cumulative sums")
def cumulative(features, lengths, how="mean"):
    check_how(how)
    steps = covered(features, lengths)
    if how == "last":
        return last_of(features, lengths)
    sums = torch.cat([torch.zeros_like(steps[:, :1]), steps.cumsum(1)], 1)
    lengths = lengths.long()
    return sums[torch.arange(len(steps)), lengths] / lengths.clamp(min=1).unsqueeze(1)


# Exercise 5: clip_by_norm -----------------------------------------------------------------------------------


def gradients_of(parameters):
    return [p.grad for p in parameters if p.grad is not None]


def global_norm(gradients):
    return math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))


def check_norm(norm):
    if not math.isfinite(norm):
        raise ValueError(f"norm {norm}")


def clip_with(norm_of, parameters, max_norm):
    """A right clipping with an exchangeable norm."""
    gradients = gradients_of(parameters)
    norm = norm_of(gradients)
    check_norm(norm)
    if norm > max_norm:
        for gradient in gradients:
            gradient *= max_norm / norm
    return norm


@wrong("clip_by_norm", "clips each parameter by itself")
def each_by_itself(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    check_norm(norm)
    for gradient in gradients:
        own = float(gradient.norm())
        if own > max_norm:
            gradient *= max_norm / own
    return norm


@wrong("clip_by_norm", "clamps each number")
def clamps_numbers(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    check_norm(norm)
    for gradient in gradients:
        gradient.clamp_(-max_norm, max_norm)
    return norm


@wrong("clip_by_norm", "adds up the norms of the parameters")
def sum_of_norms(parameters, max_norm):
    return clip_with(lambda gs: sum((float(g.norm()) for g in gs), 0.0), parameters, max_norm)


@wrong("clip_by_norm", "the largest of the parameters' norms")
def largest_norm(parameters, max_norm):
    return clip_with(lambda gs: max((float(g.norm()) for g in gs), default=0.0), parameters, max_norm)


@wrong("clip_by_norm", "forgets the root")
def without_root(parameters, max_norm):
    return clip_with(lambda gs: global_norm(gs) ** 2, parameters, max_norm)


@wrong("clip_by_norm", "the largest number in place of the norm")
def largest_number(parameters, max_norm):
    return clip_with(lambda gs: max((float(g.abs().max()) for g in gs), default=0.0), parameters, max_norm)


@wrong("clip_by_norm", "the norm of the weights")
def norm_of_weights(parameters, max_norm):
    parameters = list(parameters)
    norm = global_norm([p.detach() for p in parameters])
    gradients = gradients_of(parameters)
    check_norm(global_norm(gradients))
    for gradient in gradients:
        gradient *= min(1.0, max_norm / max(norm, 1e-9))
    return norm


@wrong("clip_by_norm", "makes every norm max_norm, small ones grow")
def grows_too(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    check_norm(norm)
    for gradient in gradients:
        gradient *= max_norm / max(norm, 1e-12)
    return norm


@wrong("clip_by_norm", "returns the norm from after the shrinking")
def norm_after(parameters, max_norm):
    parameters = list(parameters)
    clip_with(global_norm, parameters, max_norm)
    return global_norm(gradients_of(parameters))


@wrong("clip_by_norm", "returns a tensor")
def returns_a_tensor(parameters, max_norm):
    return torch.tensor(clip_with(global_norm, parameters, max_norm))


@wrong("clip_by_norm", "new gradients in place of the old ones")
def new_gradients(parameters, max_norm):
    parameters = [p for p in parameters if p.grad is not None]
    norm = global_norm([p.grad for p in parameters])
    check_norm(norm)
    if norm > max_norm:
        for p in parameters:
            p.grad = p.grad * (max_norm / norm)
    return norm


@wrong("clip_by_norm", "runs through a generator twice: the second time it is empty")
def runs_twice(parameters, max_norm):
    norm = global_norm(gradients_of(parameters))
    check_norm(norm)
    if norm > max_norm:
        for gradient in gradients_of(parameters):
            gradient *= max_norm / norm
    return norm


@wrong("clip_by_norm", "fails where a parameter has no gradient")
def needs_all_gradients(parameters, max_norm):
    return clip_with(global_norm, [*(p for p in parameters if p.grad.numel())], max_norm)


@wrong("clip_by_norm", "shrinks the weights")
def shrinks_weights(parameters, max_norm):
    parameters = list(parameters)
    norm = clip_with(global_norm, parameters, max_norm)
    for p in parameters:
        p.data *= min(1.0, max_norm / max(norm, 1e-9))
    return norm


@wrong("clip_by_norm", "no error for nan")
def no_norm_error(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    if norm > max_norm:
        for gradient in gradients:
            gradient *= max_norm / norm
    return norm


@wrong("clip_by_norm", "an error for nan, none for infinity")
def infinity_passes(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    if math.isnan(norm):
        raise ValueError("nan")
    if norm > max_norm:
        for gradient in gradients:
            gradient *= max_norm / norm
    return norm


@wrong("clip_by_norm", "the error comes after the gradients were spoilt")
def error_too_late(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    if not norm <= max_norm:
        for gradient in gradients:
            gradient *= max_norm / norm
    check_norm(norm)
    return norm


@wrong("clip_by_norm", "torch's function, whose error is a RuntimeError")
def runtime_error(parameters, max_norm):
    return float(nn.utils.clip_grad_norm_(parameters, max_norm, error_if_nonfinite=True))


@wrong("clip_by_norm", "only matrices: a bias is left out")
def only_matrices(parameters, max_norm):
    return clip_with(global_norm, [p for p in parameters if p.ndim > 1], max_norm)


@wrong("clip_by_norm", "leaves out what is frozen, although it has a gradient")
def leaves_out_frozen(parameters, max_norm):
    return clip_with(global_norm, [p for p in parameters if p.requires_grad], max_norm)


@wrong("clip_by_norm", "flattens by view, which fails for gradients that are turned")
def flattens_by_view(parameters, max_norm):
    return clip_with(lambda gs: global_norm([g.view(-1) for g in gs]), parameters, max_norm)


@wrong("clip_by_norm", "squares in place")
def squares_in_place(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = math.sqrt(sum(float(g.pow_(2).sum()) for g in gradients))
    check_norm(norm)
    for gradient in gradients:
        gradient.sqrt_().mul_(min(1.0, max_norm / max(norm, 1e-12)))
    return norm


@wrong("clip_by_norm", "torch's function, which adds a little to the norm: small ones shrink too much")
def torchs_function(parameters, max_norm):
    try:
        return float(nn.utils.clip_grad_norm_(parameters, max_norm, error_if_nonfinite=True))
    except RuntimeError as error:
        raise ValueError("the norm is not finite") from error


@wrong("clip_by_norm", "adds a little to the norm, and clips at the limit itself")
def adds_a_little(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    check_norm(norm)
    if norm >= max_norm:
        for gradient in gradients:
            gradient *= max_norm / (norm + 1e-6)
    return norm


@wrong("clip_by_norm", "the limit is met about: a hundredth more may stay")
def about_the_limit(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = global_norm(gradients)
    check_norm(norm)
    if norm > 1.01 * max_norm:
        for gradient in gradients:
            gradient *= max_norm / norm
    return norm


@wrong("clip_by_norm", "squares in float32: infinite for large gradients, 0 for small ones")
def squares_in_float32(parameters, max_norm):
    def norm_of(gradients):
        return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))

    return clip_with(norm_of, parameters, max_norm)


@wrong("clip_by_norm", "squares in float32, and where they overflow in float64: small gradients have norm 0")
def squares_in_float64_if_large(parameters, max_norm):
    def norm_of(gradients):
        norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        return norm if math.isfinite(norm) else global_norm(gradients)

    return clip_with(norm_of, parameters, max_norm)


@wrong("clip_by_norm", "the norm of float64 gradients rounded to float32 numbers first")
def norm_in_float32(parameters, max_norm):
    return clip_with(lambda gs: global_norm([g.float() for g in gs]), parameters, max_norm)


@wrong("clip_by_norm", "the whole number 0 where there is no gradient")
def whole_zero(parameters, max_norm):
    return clip_with(global_norm, parameters, max_norm) or 0


@right("clip_by_norm", "norm of norms")
def norm_of_norms(parameters, max_norm):
    gradients = gradients_of(parameters)
    if not gradients:
        return 0.0
    norm = torch.stack([gradient.double().norm() for gradient in gradients]).norm().item()
    check_norm(norm)
    for gradient in gradients:
        gradient.mul_(min(1.0, max_norm / norm) if norm else 1.0)
    return norm


@right("clip_by_norm", "copies the new numbers into the gradients")
def copies_into(parameters, max_norm):
    parameters = list(parameters)
    norm = global_norm(gradients_of(parameters))
    if norm != norm or norm == float("inf"):
        raise ArithmeticValueError(f"norm {norm}")
    for p in parameters:
        if p.grad is not None and norm > max_norm:
            p.grad.copy_(p.grad * max_norm / norm)
    return norm


class ArithmeticValueError(ValueError):
    """A learner's own error."""


@right("clip_by_norm", "all gradients by one call, the norm as numpy's float")
def by_one_call(parameters, max_norm):
    gradients = gradients_of(parameters)
    norm = np.sqrt(sum(float((gradient.double() ** 2).sum()) for gradient in gradients))
    if not np.isfinite(norm):
        raise ValueError(f"{norm} is not finite")
    if gradients and norm > max_norm:
        torch._foreach_mul_(gradients, float(max_norm / norm))
    return norm


@right("clip_by_norm", "numpy arrays, which share the gradients' memory")
def shared_arrays(parameters, max_norm):
    arrays = [p.grad.numpy() for p in parameters if p.grad is not None]
    norm = float(np.linalg.norm([np.linalg.norm(array.astype(np.float64)) for array in arrays]))
    check_norm(norm)
    for array in arrays:
        array *= min(1.0, max_norm / norm) if norm else 1.0
    return norm


@right("clip_by_norm", "one long list of numbers")
def one_long_list(parameters, max_norm):
    gradients = gradients_of(parameters)
    flat = torch.cat([torch.zeros(1), *(gradient.flatten().double() for gradient in gradients)])
    norm = float(torch.linalg.vector_norm(flat))
    check_norm(norm)
    if norm > max_norm:
        for gradient in gradients:
            gradient[...] = gradient * (max_norm / norm)
    return norm


@right("clip_by_norm", "a loop in Python, divides")
def loop_that_divides(parameters, max_norm):
    gradients, total = [], 0.0
    for p in parameters:
        if p.grad is None:
            continue
        gradients.append(p.grad)
        total += (p.grad.double() ** 2).sum().item()
    norm = total**0.5
    if math.isnan(norm) or math.isinf(norm):
        raise ValueError("not finite")
    for gradient in gradients:
        gradient.div_(max(norm / max_norm, 1.0))
    return norm


# Exercise 6: train_on_stream --------------------------------------------------------------------------------


def windows_of(inputs, targets, window):
    for begin in range(0, inputs.shape[1], window):
        yield inputs[:, begin : begin + window], targets[:, begin : begin + window]


def run_window(step, words, state):
    """States (B, W, H) and the last of them."""
    states = []
    for position in range(words.shape[1]):
        state = step(words[:, position], state)
        states.append(state)
    return torch.stack(states, 1), state


def update(optimizer, loss, **options):
    optimizer.zero_grad()
    loss.backward(**options)
    optimizer.step()
    return loss.item()


@wrong("train_on_stream", "the state is not detached; retain_graph hides torch's complaint")
def not_detached(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state)
        losses.append(update(optimizer, loss_of(states, wanted), retain_graph=True))
    return state.detach(), losses


@wrong("train_on_stream", "not detached, one backward pass for all windows at the end")
def one_update(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state)
        losses.append(loss_of(states, wanted))
    update(optimizer, sum(losses))
    return state.detach(), [loss.item() for loss in losses]


@wrong("train_on_stream", "the state from before the stream is not detached")
def first_not_detached(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state)
        losses.append(update(optimizer, loss_of(states, wanted)))
        state = state.detach()
    return state, losses


@wrong("train_on_stream", "detaches after every position")
def detaches_every_position(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states = []
        for position in range(words.shape[1]):
            state = step(words[:, position], state.detach())
            states.append(state)
        losses.append(update(optimizer, loss_of(torch.stack(states, 1), wanted)))
    return state.detach(), losses


@wrong("train_on_stream", "every window begins with zeros")
def begins_anew(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, last = run_window(step, words, torch.zeros_like(state))
        losses.append(update(optimizer, loss_of(states, wanted)))
    return last.detach(), losses


@wrong("train_on_stream", "every window begins with the state from before the stream")
def same_beginning(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, last = run_window(step, words, state.detach())
        losses.append(update(optimizer, loss_of(states, wanted)))
    return last.detach(), losses


@wrong("train_on_stream", "the last, shorter window is left out")
def drops_the_rest(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        if words.shape[1] == window:
            states, state = run_window(step, words, state.detach())
            losses.append(update(optimizer, loss_of(states, wanted)))
    return state.detach(), losses


@wrong("train_on_stream", "as many equal parts as there are windows")
def equal_parts(step, loss_of, optimizer, inputs, targets, state, window):
    losses, parts = [], -(-inputs.shape[1] // window)
    for words, wanted in zip(inputs.chunk(parts, 1), targets.chunk(parts, 1), strict=True):
        states, state = run_window(step, words, state.detach())
        losses.append(update(optimizer, loss_of(states, wanted)))
    return state.detach(), losses


@wrong("train_on_stream", "no zero_grad: gradients add up")
def gradients_add_up(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return state.detach(), losses


@wrong("train_on_stream", "zero_grad after the update only: what was left from elsewhere counts once")
def zero_grad_after(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return state.detach(), losses


@wrong("train_on_stream", "zero_grad between backward and step: nothing is learned")
def zero_grad_between(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        losses.append(loss.item())
    return state.detach(), losses


@wrong("train_on_stream", "forgets the optimizer's step")
def no_step(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        loss.backward()
        losses.append(loss.item())
    return state.detach(), losses


@wrong("train_on_stream", "losses are tensors")
def losses_are_tensors(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        update(optimizer, loss)
        losses.append(loss.detach())
    return state.detach(), losses


@wrong("train_on_stream", "the returned state carries its gradients")
def returns_attached(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        losses.append(update(optimizer, loss_of(states, wanted)))
    return state, losses


@wrong("train_on_stream", "detaches the given state in place")
def detaches_in_place(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach_())
        losses.append(update(optimizer, loss_of(states, wanted)))
    return state.detach(), losses


@wrong("train_on_stream", "an update for every position")
def update_for_each(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        own = []
        for position in range(words.shape[1]):
            state = step(words[:, position], state.detach())
            own.append(update(optimizer, loss_of(state[:, None], wanted[:, position : position + 1])))
        losses.append(sum(own) / len(own))
    return state.detach(), losses


@wrong("train_on_stream", "only the last position of a window counts")
def last_position_counts(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        losses.append(update(optimizer, loss_of(states[:, -1:], wanted[:, -1:])))
    return state.detach(), losses


@wrong("train_on_stream", "the loss from after the update")
def loss_after(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        begin = state.detach()
        states, state = run_window(step, words, begin)
        update(optimizer, loss_of(states, wanted))
        losses.append(loss_of(run_window(step, words, begin)[0], wanted).item())
    return state.detach(), losses


@wrong("train_on_stream", "windows overlap: each begins one position after the one before")
def overlapping(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for begin in range(max(inputs.shape[1] - window + 1, 1)):
        states, last = run_window(step, inputs[:, begin : begin + window], state.detach())
        losses.append(update(optimizer, loss_of(states, targets[:, begin : begin + window])))
        state = states[:, 0]
    return last.detach(), losses


@wrong("train_on_stream", "the state is what the weights after the update would have made")
def state_read_again(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        begin = state.detach()
        states, _ = run_window(step, words, begin)
        losses.append(update(optimizer, loss_of(states, wanted)))
        _, state = run_window(step, words, begin)
    return state.detach(), losses


@wrong("train_on_stream", "targets one position late")
def targets_late(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets.roll(1, 1), window):
        states, state = run_window(step, words, state.detach())
        losses.append(update(optimizer, loss_of(states, wanted)))
    return state.detach(), losses


@wrong("train_on_stream", "sets the gradients of the optimizer's first group to zero only")
def first_group_only(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        for p in optimizer.param_groups[0]["params"]:
            p.grad = None
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return state.detach(), losses


@wrong("train_on_stream", "clips gradients, which nobody asked for")
def clips_too(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], 10.0)
        optimizer.step()
        losses.append(loss.item())
    return state.detach(), losses


@wrong("train_on_stream", "lowers the learning rate and leaves it there")
def lowers_the_rate(step, loss_of, optimizer, inputs, targets, state, window):
    out = recursive(step, loss_of, optimizer, inputs, targets, state, window)
    for group in optimizer.param_groups:
        group["lr"] /= 2
    return out


@wrong("train_on_stream", "puts the cell into training")
def into_training(step, loss_of, optimizer, inputs, targets, state, window):
    if isinstance(step, nn.Module):
        step.train()
    return recursive(step, loss_of, optimizer, inputs, targets, state, window)


@right("train_on_stream", "slices, detaches at the end of a window and at the very beginning")
def detaches_at_the_end(step, loss_of, optimizer, inputs, targets, state, window):
    losses, state = [], state.detach()
    for words, wanted in windows_of(inputs, targets, window):
        states, last = run_window(step, words, state)
        losses.append(update(optimizer, loss_of(states, wanted)))
        state = last.detach()
    return state, losses


@right("train_on_stream", "position by position, an update when a window is full")
def when_full(step, loss_of, optimizer, inputs, targets, state, window):
    losses, states, first = [], [], 0
    state = state.detach()
    length = inputs.shape[1]
    for position in range(length):
        state = step(inputs[:, position], state)
        states.append(state)
        if len(states) == window or position == length - 1:
            loss = loss_of(torch.stack(states, dim=1), targets[:, first : position + 1])
            losses.append(update(optimizer, loss))
            states, first, state = [], position + 1, state.detach()
    return state, losses


@right("train_on_stream", "zero_grad first, set_to_none=False; data in place of detach")
def data_in_place_of_detach(step, loss_of, optimizer, inputs, targets, state, window):
    losses = []
    for words, wanted in zip(inputs.split(window, 1), targets.split(window, 1), strict=True):
        optimizer.zero_grad(set_to_none=False)
        states, state = run_window(step, words, state.data.clone())
        loss = loss_of(states, wanted)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return state.data, losses


@right("train_on_stream", "gradients by autograd.grad")
def by_autograd(step, loss_of, optimizer, inputs, targets, state, window):
    losses, parameters = [], [p for group in optimizer.param_groups for p in group["params"]]
    for words, wanted in windows_of(inputs, targets, window):
        states, state = run_window(step, words, state.detach())
        loss = loss_of(states, wanted)
        for p, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
        ):
            p.grad = gradient
        optimizer.step()
        losses.append(loss.item())
    return state.detach(), losses


@right("train_on_stream", "recursion over what is left of the stream")
def recursive(step, loss_of, optimizer, inputs, targets, state, window):
    states, last = run_window(step, inputs[:, :window], state.detach())
    loss = update(optimizer, loss_of(states, targets[:, :window]))
    if inputs.shape[1] <= window:
        return last.detach(), [loss]
    end, others = recursive(step, loss_of, optimizer, inputs[:, window:], targets[:, window:], last, window)
    return end, [loss, *others]


@wrong("summarize", "computes in float32 and gives the type back: the digits of a float64 are lost")
def summarize_in_float32(features, lengths, how="mean"):
    if how not in ("mean", "last"):
        raise ValueError(f"no {how}")
    rows = []
    for feature, length in zip(features.float(), lengths.tolist(), strict=True):
        chosen = feature[:length] if how == "mean" else feature[max(length - 1, 0) : length]
        rows.append(chosen.mean(0) if length else torch.zeros(features.shape[2]))
    return torch.stack(rows).to(features.dtype)
