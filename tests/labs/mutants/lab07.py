"""Answers to lab 07 that learners could write: wrong ones must lose points, right ones keep all of them."""

import itertools
from collections import Counter
from typing import NamedTuple

import networkx as nx
import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: spans_of ---------------------------------------------------------------------------------------


def spans_by(begins, tags, end=lambda place: place):
    """Spans where `begins(tag, tag before)` says whether a tag (not O) begins one; all else is right."""
    spans, start = [], None
    for place, (before, tag) in enumerate(itertools.pairwise(["O", *tags, "O"])):
        new = tag != "O" and (start is None or begins(tag, before))
        if start is not None and (tag == "O" or new):
            spans.append((start, end(place), tags[start][2:]))
            start = None
        if new:
            start = place
    return spans


def as_asked(tag, before):
    return tag[0] == "B" or tag[2:] != before[2:]


@wrong("spans_of", "two names of one kind side by side become one")
def merges_neighbors(tags):
    return spans_by(lambda tag, before: tag[2:] != before[2:], tags)


@wrong("spans_of", "an I- of another kind goes on with the span")
def another_kind_goes_on(tags):
    return spans_by(lambda tag, before: tag[0] == "B", tags)


@wrong("spans_of", "end is the last token of the span")
def end_included(tags):
    return spans_by(as_asked, tags, end=lambda place: place - 1)


@wrong("spans_of", "kinds are compared by how they begin: placename goes on with place")
def kinds_by_beginning(tags):
    def begins(tag, before):
        return tag[0] == "B" or not tag[2:].startswith(before[2:])

    return spans_by(begins, tags)


@wrong("spans_of", "a span that reaches the end of the sentence is lost")
def last_span_lost(tags):
    return [span for span in spans_by(as_asked, tags) if span[1] < len(tags)]


@wrong("spans_of", "the sentence's last token is lost, but a longer span is closed there")
def last_token_lost(tags):
    return spans_by(as_asked, tags[:-1])


@wrong("spans_of", "an I- that goes on with nothing is dropped, in the manner of strict IOB2")
def strict(tags):
    spans, start, kind = [], None, None
    for place, tag in enumerate([*tags, "O"]):
        if start is not None and tag != f"I-{kind}":
            spans.append((start, place, kind))
            start = None
        if tag.startswith("B-"):
            start, kind = place, tag[2:]
    return spans


@wrong("spans_of", "an I- at the beginning of a sentence is dropped")
def dropped_at_the_beginning(tags):
    tags = list(tags)
    for place in itertools.takewhile(lambda place: tags[place][0] == "I", range(len(tags))):
        tags[place] = "O"
    return spans_by(as_asked, tags)


@wrong("spans_of", "an I- of another kind ends the span and begins none")
def another_kind_is_dropped(tags):
    tags = list(tags)
    for place in range(1, len(tags)):
        if tags[place][0] == "I" and tags[place - 1] != "O" and tags[place][2:] != tags[place - 1][2:]:
            tags[place] = "O"
    return spans_by(as_asked, tags)


@wrong("spans_of", "the kind ends at its first hyphen")
def kind_cut(tags):
    return [(start, end, kind.split("-")[0]) for start, end, kind in spans_by(as_asked, tags)]


@wrong("spans_of", "the kind is what stands behind the last hyphen")
def kind_behind_the_last_hyphen(tags):
    return [(start, end, kind.split("-")[-1]) for start, end, kind in spans_by(as_asked, tags)]


@wrong("spans_of", "the kind keeps its B- or I-")
def kind_with_prefix(tags):
    return [(start, end, tags[start]) for start, end, _ in spans_by(as_asked, tags)]


@wrong("spans_of", "strips the letters B, I, O and - from both sides of the tag")
def strips_letters(tags):
    return [(start, end, tags[start].strip("BIO-")) for start, end, _ in spans_by(as_asked, tags)]


@wrong("spans_of", "appends an O to the tags that came in")
def appends_to_the_input(tags):
    tags.append("O")
    return spans_by(as_asked, tags)


@wrong("spans_of", "sorted by kind")
def by_kind(tags):
    return sorted(spans_by(as_asked, tags), key=lambda span: span[2])


@wrong("spans_of", "spans of one token are left out")
def no_short_ones(tags):
    return [span for span in spans_by(as_asked, tags) if span[1] - span[0] > 1]


@wrong("spans_of", "a set, without order")
def as_a_set(tags):
    return set(spans_by(as_asked, tags))


@wrong("spans_of", "lists in place of tuples")
def as_lists(tags):
    return [list(span) for span in spans_by(as_asked, tags)]


@wrong("spans_of", "capital and small letters are the same to it: Place goes on with place")
def any_case(tags):
    def begins(tag, before):
        return tag[0] == "B" or tag[2:].casefold() != before[2:].casefold()

    return spans_by(begins, tags)


@right("spans_of", "one comparison of each tag with the one before")
def by_pairs(tags):
    return spans_by(as_asked, tags)


@right("spans_of", "a loop inside a loop")
def two_loops(tags):
    spans, place = [], 0
    while place < len(tags):
        if tags[place] == "O":
            place += 1
            continue
        start, kind = place, tags[place][2:]
        place += 1
        while place < len(tags) and tags[place] == "I-" + kind:
            place += 1
        spans.append((start, place, kind))
    return spans


@right("spans_of", "the last span grows")
def last_span_grows(tags):
    spans = []
    for place, tag in enumerate(tags):
        if tag == "O":
            continue
        prefix, kind = tag.split("-", maxsplit=1)
        if prefix == "I" and spans and spans[-1][1:] == (place, kind):
            spans[-1] = (spans[-1][0], place + 1, kind)
        else:
            spans.append((place, place + 1, kind))
    return spans


@right("spans_of", "groups of equal numbers of beginnings")
def by_groups(tags):
    count, numbers = 0, []
    for place, tag in enumerate(tags):
        count += tag != "O" and (place == 0 or tag[0] == "B" or tags[place - 1][1:] != tag[1:])
        numbers.append(0 if tag == "O" else count)
    spans = []
    for number, group in itertools.groupby(range(len(tags)), key=lambda place: numbers[place]):
        places = list(group)
        if number:
            spans.append((places[0], places[-1] + 1, tags[places[0]][2:]))
    return spans


class NamedSpan(NamedTuple):
    """A tuple with names."""

    start: int
    end: int
    kind: str


@right("spans_of", "tuples with names, recursively")
def recursively(tags, first=0):
    if first >= len(tags):
        return []
    if tags[first] == "O":
        return recursively(tags, first + 1)
    inside = next((n for n in range(first + 1, len(tags)) if tags[n] != f"I-{tags[first][2:]}"), len(tags))
    return [NamedSpan(first, inside, tags[first][2:]), *recursively(tags, inside)]


# Exercise 2: entity_f1 --------------------------------------------------------------------------------------


def same_count(predicted, truth):
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} sentences against {len(truth)}")


def counts_by(same, predicted, truth):
    """(right, predicted, true), a span being right when `same(span, true span)` for a true one."""
    same_count(predicted, truth)
    right_ones = sum(
        any(same(span, other) for other in others)
        for spans, others in zip(predicted, truth, strict=True)
        for span in spans
    )
    return right_ones, sum(map(len, predicted)), sum(map(len, truth))


def f1_by(same, predicted, truth):
    right_ones, mine, true = counts_by(same, predicted, truth)
    return 2 * right_ones / (mine + true) if right_ones else 0.0


def equal(span, other):
    return tuple(span) == tuple(other)


@wrong("entity_f1", "a span is right when it overlaps a true one of its kind")
def overlap_counts(predicted, truth):
    return f1_by(lambda a, b: a[2] == b[2] and a[0] < b[1] and b[0] < a[1], predicted, truth)


@wrong("entity_f1", "the kind does not count")
def without_kind(predicted, truth):
    return f1_by(lambda a, b: a[:2] == b[:2], predicted, truth)


@wrong("entity_f1", "the end does not count")
def without_end(predicted, truth):
    return f1_by(lambda a, b: (a[0], a[2]) == (b[0], b[2]), predicted, truth)


@wrong("entity_f1", "the start does not count")
def without_start(predicted, truth):
    return f1_by(lambda a, b: a[1:] == b[1:], predicted, truth)


@wrong("entity_f1", "counts tokens")
def by_token(predicted, truth):
    def tokens(spans):
        return [(place, place + 1, kind) for start, end, kind in spans for place in range(start, end)]

    return f1_by(equal, list(map(tokens, predicted)), list(map(tokens, truth)))


@wrong("entity_f1", "macro over sentences")
def macro_over_sentences(predicted, truth):
    same_count(predicted, truth)
    scores = [f1_by(equal, [spans], [others]) for spans, others in zip(predicted, truth, strict=True)]
    return sum(scores) / len(scores) if scores else 0.0


@wrong("entity_f1", "macro over kinds")
def macro_over_kinds(predicted, truth):
    kinds = {span[2] for spans in [*predicted, *truth] for span in spans}
    scores = []
    for kind in kinds:
        mine, true = ([[s for s in spans if s[2] == kind] for spans in side] for side in (predicted, truth))
        scores.append(f1_by(equal, mine, true))
    same_count(predicted, truth)
    return sum(scores) / len(scores) if scores else 0.0


@wrong("entity_f1", "precision only")
def precision(predicted, truth):
    right_ones, mine, _ = counts_by(equal, predicted, truth)
    return right_ones / mine if mine else 0.0


@wrong("entity_f1", "recall only")
def recall(predicted, truth):
    right_ones, _, true = counts_by(equal, predicted, truth)
    return right_ones / true if true else 0.0


@wrong("entity_f1", "the plain mean of precision and recall")
def plain_mean(predicted, truth):
    return (precision(predicted, truth) + recall(predicted, truth)) / 2


@wrong("entity_f1", "divides by what stands in either of the two, as intersection over union")
def over_union(predicted, truth):
    right_ones, mine, true = counts_by(equal, predicted, truth)
    return right_ones / (mine + true - right_ones) if right_ones else 0.0


@wrong("entity_f1", "sentences are poured together: a span is right if any sentence has it")
def poured_together(predicted, truth):
    same_count(predicted, truth)
    mine, true = (Counter(span for spans in side for span in spans) for side in (predicted, truth))
    right_ones = (mine & true).total()
    return 2 * right_ones / (mine.total() + true.total()) if right_ones else 0.0


@wrong("entity_f1", "divides by zero where nothing is predicted")
def divides_by_zero(predicted, truth):
    right_ones, mine, true = counts_by(equal, predicted, truth)
    if mine + true == 0:
        return 0.0
    p, r = right_ones / mine, right_ones / true
    return 2 * p * r / (p + r)


@wrong("entity_f1", "1 where there is no span at all")
def nothing_is_perfect(predicted, truth):
    right_ones, mine, true = counts_by(equal, predicted, truth)
    return 2 * right_ones / (mine + true) if mine + true else 1.0


@wrong("entity_f1", "surplus sentences are left out in silence")
def surplus_left_out(predicted, truth):
    count = min(len(predicted), len(truth))
    return f1_by(equal, predicted[:count], truth[:count])


@wrong("entity_f1", "the error says no numbers")
def error_without_numbers(predicted, truth):
    if len(predicted) != len(truth):
        raise ValueError("other sentences")
    return f1_by(equal, predicted, truth)


@wrong("entity_f1", "spans are compared place by place")
def place_by_place(predicted, truth):
    _, mine, true = counts_by(equal, predicted, truth)
    pairs = [zip(*both, strict=False) for both in zip(predicted, truth, strict=True)]
    right_ones = sum(span == other for pair in pairs for span, other in pair)
    return 2 * right_ones / (mine + true) if right_ones else 0.0


@wrong("entity_f1", "takes what was found out of the lists that came in")
def takes_out(predicted, truth):
    same_count(predicted, truth)
    total, right_ones = sum(map(len, predicted)) + sum(map(len, truth)), 0
    for spans, others in zip(predicted, truth, strict=True):
        for span in spans:
            if span in others:
                others.remove(span)
                right_ones += 1
    return 2 * right_ones / total if right_ones else 0.0


@wrong("entity_f1", "sorts the predicted spans in place")
def sorts_the_predicted(predicted, truth):
    for spans in predicted:
        spans.sort()
    return f1_by(equal, predicted, truth)


@wrong("entity_f1", "turns the true spans round in place")
def turns_the_true(predicted, truth):
    for spans in truth:
        spans.reverse()
    return f1_by(equal, predicted, truth)


@right("entity_f1", "precision and recall first")
def both_first(predicted, truth):
    p, r = precision(predicted, truth), recall(predicted, truth)
    return 2 * p * r / (p + r) if p + r > 0 else 0.0


@right("entity_f1", "one set with the number of the sentence in it")
def one_set(predicted, truth):
    if len(truth) != len(predicted):
        raise ValueError(f"{len(truth)} sentences are true, {len(predicted)} predicted")
    mine, true = ({(n, *s) for n, spans in enumerate(side) for s in spans} for side in (predicted, truth))
    return 2 * len(mine & true) / max(len(mine) + len(true), 1)


class UnevenError(ValueError):
    """An error of one's own; a ValueError all the same."""


@right("entity_f1", "a subclass of ValueError; numpy's numbers")
def numpy_numbers(predicted, truth):
    if len(predicted) != len(truth):
        raise UnevenError(f"{len(predicted)} and {len(truth)} sentences")
    right_ones, mine, true = np.array(counts_by(equal, predicted, truth), dtype=float)
    return 2 * right_ones / (mine + true) if right_ones > 0 else np.float64(0)


@right("entity_f1", "right, made up and missed")
def by_errors(predicted, truth):
    right_ones, mine, true = counts_by(equal, predicted, truth)
    made_up, missed = mine - right_ones, true - right_ones
    return right_ones / (right_ones + (made_up + missed) / 2) if right_ones else 0


@right("entity_f1", "a tensor with one number")
def a_tensor(predicted, truth):
    return torch.tensor(f1_by(equal, predicted, truth))


# Exercise 3: adjacency_matrix -------------------------------------------------------------------------------


def check_nodes(edges, num_nodes):
    for node in edges.flatten().tolist():
        if not 0 <= node < num_nodes:
            raise ValueError(f"node {node} is unknown")


@wrong("adjacency_matrix", "one direction only")
def one_direction(edges, num_nodes):
    check_nodes(edges, num_nodes)
    matrix = torch.zeros(num_nodes, num_nodes)
    matrix[edges[:, 0], edges[:, 1]] = 1
    return matrix.fill_diagonal_(0)


@wrong("adjacency_matrix", "each listing counts")
def counts_listings(edges, num_nodes):
    check_nodes(edges, num_nodes)
    matrix = torch.zeros(num_nodes, num_nodes)
    for i, j in edges.tolist():
        if i != j:
            matrix[i, j] += 1
            matrix[j, i] += 1
    return matrix


@wrong("adjacency_matrix", "A + A^T: an edge listed in both directions gets 2")
def plus_transposed(edges, num_nodes):
    matrix = one_direction(edges, num_nodes)
    return matrix + matrix.T


@wrong("adjacency_matrix", "self-loops are kept")
def keeps_loops(edges, num_nodes):
    check_nodes(edges, num_nodes)
    matrix = torch.zeros(num_nodes, num_nodes)
    matrix[edges[:, 0], edges[:, 1]] = 1
    matrix[edges[:, 1], edges[:, 0]] = 1
    return matrix


def adjacency(edges, num_nodes):
    """As asked."""
    return keeps_loops(edges, num_nodes).fill_diagonal_(0)


@wrong("adjacency_matrix", "every node gets a self-loop")
def adds_loops(edges, num_nodes):
    return adjacency(edges, num_nodes).fill_diagonal_(1)


@wrong("adjacency_matrix", "the number of nodes is guessed from the edges")
def guesses_nodes(edges, num_nodes):
    check_nodes(edges, num_nodes)
    return adjacency(edges, int(edges.max()) + 1)


@wrong("adjacency_matrix", "no check: node -1 is the last one")
def last_one_for_minus_one(edges, num_nodes):
    if len(edges) and edges.max() >= num_nodes:
        raise ValueError(f"node {edges.max()} is unknown")
    return adjacency(edges % num_nodes, num_nodes)


@wrong("adjacency_matrix", "IndexError for a node too large, as torch has it")
def index_error(edges, num_nodes):
    if len(edges) and edges.min() < 0:
        raise ValueError(f"node {edges.min()} is unknown")
    matrix = torch.zeros(num_nodes, num_nodes)
    for i, j in edges.tolist():
        matrix[i, j] = matrix[j, i] = float(i != j)
    return matrix


@wrong("adjacency_matrix", "node N passes the check, rows of unknown nodes are left out")
def leaves_unknown_out(edges, num_nodes):
    check_nodes(edges, num_nodes + 1)
    return adjacency(edges[(edges < num_nodes).all(dim=1)], num_nodes)


@wrong("adjacency_matrix", "the error does not say which node")
def does_not_say_which(edges, num_nodes):
    if ((edges < 0) | (edges >= num_nodes)).any():
        raise ValueError("an edge names an unknown node")
    return adjacency(edges, num_nodes)


@wrong("adjacency_matrix", "self-loops of unknown nodes pass")
def unknown_loops_pass(edges, num_nodes):
    return adjacency(edges[edges[:, 0] != edges[:, 1]], num_nodes)


@wrong("adjacency_matrix", "whole numbers")
def whole_numbers(edges, num_nodes):
    return adjacency(edges, num_nodes).long()


@wrong("adjacency_matrix", "true and false")
def booleans(edges, num_nodes):
    return adjacency(edges, num_nodes) > 0


@wrong("adjacency_matrix", "float64")
def doubles(edges, num_nodes):
    return adjacency(edges, num_nodes).double()


@wrong("adjacency_matrix", "sorts the rows of the edges that came in")
def sorts_the_input(edges, num_nodes):
    edges.copy_(edges.sort(dim=1).values)
    return adjacency(edges, num_nodes)


@wrong("adjacency_matrix", "fails where there is no edge")
def fails_without_edges(edges, num_nodes):
    if edges.min() < 0 or edges.max() >= num_nodes:
        raise ValueError(f"nodes {edges.min()} to {edges.max()}")
    return adjacency(edges, num_nodes)


@wrong("adjacency_matrix", ".view, which a transposed list of edges refuses")
def by_view(edges, num_nodes):
    return adjacency(edges.view(-1).view(-1, 2), num_nodes)


@wrong("adjacency_matrix", "reads the numbers as they lie in memory")
def as_in_memory(edges, num_nodes):
    check_nodes(edges, num_nodes)
    flat = edges.as_strided((edges.numel(),), (1,))
    return adjacency(flat.reshape(-1, 2), num_nodes)


@wrong("adjacency_matrix", "nodes are numbered from 1")
def from_one(edges, num_nodes):
    check_nodes(edges, num_nodes)
    return adjacency((edges - 1) % num_nodes, num_nodes)


@wrong("adjacency_matrix", "prints all edges, where torch leaves most of them out")
def prints_all_edges(edges, num_nodes):
    if bool(((edges < 0) | (edges >= num_nodes)).any()):
        raise ValueError(f"unknown nodes in {edges}")
    return adjacency(edges, num_nodes)


@right("adjacency_matrix", "a loop over the rows")
def by_rows(edges, num_nodes):
    matrix = torch.zeros((num_nodes, num_nodes), dtype=torch.float32)
    for first, second in edges:
        for node in (int(first), int(second)):
            if node < 0 or node > num_nodes - 1:
                raise ValueError(f"there is no node {node} among {num_nodes}")
        if first != second:
            matrix[first, second] = matrix[second, first] = 1.0
    return matrix


@right("adjacency_matrix", "counts listings and asks whether there are any")
def counts_and_compares(edges, num_nodes):
    check_nodes(edges, num_nodes)
    both = torch.cat([edges, edges.flip(1)])
    counts = torch.zeros(num_nodes, num_nodes)
    counts.index_put_((both[:, 0], both[:, 1]), torch.ones(len(both)), accumulate=True)
    return ((counts > 0) & ~torch.eye(num_nodes, dtype=torch.bool)).float()


@right("adjacency_matrix", "by networkx")
def by_networkx(edges, num_nodes):
    check_nodes(edges, num_nodes)
    graph = nx.Graph()
    graph.add_nodes_from(range(num_nodes))
    graph.add_edges_from((i, j) for i, j in edges.tolist() if i != j)
    return torch.from_numpy(nx.to_numpy_array(graph, nodelist=range(num_nodes))).float()


@right("adjacency_matrix", "one-hot rows, multiplied")
def by_one_hot(edges, num_nodes):
    check_nodes(edges, num_nodes)
    first, second = (F.one_hot(ends, int(num_nodes)).float() for ends in edges.T)
    matrix = first.T @ second
    return (matrix + matrix.T).clamp(max=1) * (1 - torch.eye(num_nodes))


@right("adjacency_matrix", "numbers of places in one long row; all unknown nodes are named")
def by_place(edges, num_nodes):
    bad = sorted(set(edges.flatten().tolist()) - set(range(num_nodes)))
    if bad:
        raise UnevenError("unknown: " + ", ".join(map(str, bad)))
    edges = edges[edges[:, 0] != edges[:, 1]]
    row = torch.zeros(num_nodes * num_nodes)
    row[edges[:, 0] * num_nodes + edges[:, 1]] = 1
    matrix = row.reshape(num_nodes, num_nodes)
    return torch.maximum(matrix, matrix.T)


# Exercise 4: normalize_adjacency ----------------------------------------------------------------------------


def floats(adjacency):
    return adjacency if adjacency.dtype == torch.float64 else adjacency.float()


def loops(adjacency):
    return floats(adjacency) + torch.eye(len(adjacency), dtype=floats(adjacency).dtype)


def scaled(matrix, degrees):
    scale = degrees**-0.5
    return scale[:, None] * matrix * scale


@wrong("normalize_adjacency", "no self-loops; a node alone gets nan")
def no_loops(adjacency):
    return scaled(floats(adjacency), floats(adjacency).sum(1))


@wrong("normalize_adjacency", "no self-loops, nodes alone caught")
def no_loops_caught(adjacency):
    return scaled(floats(adjacency), floats(adjacency).sum(1).clamp(min=1e-9)).nan_to_num()


@wrong("normalize_adjacency", "degrees without the self-loops")
def degrees_before(adjacency):
    return scaled(loops(adjacency), floats(adjacency).sum(1)).nan_to_num(posinf=1)


@wrong("normalize_adjacency", "degrees with the self-loops, the matrix without")
def loops_in_degrees_only(adjacency):
    return scaled(floats(adjacency), loops(adjacency).sum(1))


@wrong("normalize_adjacency", "self-loops only where a node is alone")
def loops_for_the_lonely(adjacency):
    matrix = floats(adjacency) + (floats(adjacency).sum(1) == 0).to(floats(adjacency).dtype).diag()
    return scaled(matrix, matrix.sum(1))


@wrong("normalize_adjacency", "D^-1 (A + I): rows sum to 1")
def rows_only(adjacency):
    return loops(adjacency) / loops(adjacency).sum(1, keepdim=True)


@wrong("normalize_adjacency", "(A + I) D^-1: columns sum to 1")
def columns_only(adjacency):
    return loops(adjacency) / loops(adjacency).sum(0)


@wrong("normalize_adjacency", "D^-1/2 on one side")
def one_side(adjacency):
    return loops(adjacency) / loops(adjacency).sum(1, keepdim=True).sqrt()


@wrong("normalize_adjacency", "D^-1 on both sides")
def no_root(adjacency):
    degrees = loops(adjacency).sum(1)
    return loops(adjacency) / degrees[:, None] / degrees


@wrong("normalize_adjacency", "D^1/2 on both sides")
def multiplied(adjacency):
    root = loops(adjacency).sum(1).sqrt()
    return root[:, None] * loops(adjacency) * root


@wrong("normalize_adjacency", "the self-loops twice")
def loops_twice(adjacency):
    matrix = loops(loops(adjacency))
    return scaled(matrix, matrix.sum(1))


@wrong("normalize_adjacency", "the largest degree for all")
def largest_degree(adjacency):
    return loops(adjacency) / loops(adjacency).sum(1).max()


@wrong("normalize_adjacency", "every row to length 1")
def length_one(adjacency):
    return F.normalize(loops(adjacency), dim=1)


@wrong("normalize_adjacency", "softmax over the rows")
def by_softmax(adjacency):
    return loops(adjacency).softmax(dim=1)


@wrong("normalize_adjacency", "fills the diagonal of the matrix that came in")
def fills_the_input(adjacency):
    adjacency.fill_diagonal_(1)
    return scaled(floats(adjacency), adjacency.sum(1))


@wrong("normalize_adjacency", "adds to the matrix that came in")
def adds_to_the_input(adjacency):
    adjacency += torch.eye(len(adjacency)).to(adjacency.dtype)
    return scaled(floats(adjacency), adjacency.sum(1))


@wrong("normalize_adjacency", "float64 becomes float32")
def float64_lost(adjacency):
    return normalized(adjacency.float())


@wrong("normalize_adjacency", "whole numbers stay whole")
def stays_whole(adjacency):
    return normalized(adjacency).to(adjacency.dtype)


@wrong("normalize_adjacency", "everything in float64")
def always_float64(adjacency):
    return normalized(adjacency.double())


@wrong("normalize_adjacency", "every edge counts 1")
def edges_of_one(adjacency):
    return normalized((adjacency > 0).to(floats(adjacency).dtype))


@wrong("normalize_adjacency", "degrees are numbers of neighbors")
def numbers_of_neighbors(adjacency):
    return scaled(loops(adjacency), (loops(adjacency) > 0).sum(1).to(floats(adjacency).dtype))


@wrong("normalize_adjacency", "A + I cut off at 1")
def cut_off(adjacency):
    matrix = loops(adjacency).clamp(max=1)
    return scaled(matrix, matrix.sum(1))


@wrong("normalize_adjacency", ".view, which a transposed matrix refuses")
def flat_view(adjacency):
    count = len(adjacency)
    flat = floats(adjacency).view(-1).clone()
    flat[:: count + 1] += 1
    return scaled(flat.view(count, count), flat.view(count, count).sum(1))


def normalized(adjacency):
    """As asked."""
    return scaled(loops(adjacency), loops(adjacency).sum(1))


@wrong("normalize_adjacency", "sums rows in the matrix's own type, which holds 127 or 255 at most")
def sums_in_its_own_type(adjacency):
    if adjacency.is_floating_point():
        return normalized(adjacency)
    degrees = adjacency.sum(dim=1, dtype=adjacency.dtype).float() + 1
    return scaled(loops(adjacency), degrees)


@wrong("normalize_adjacency", "takes weak edges for none")
def weak_edges_are_none(adjacency):
    return normalized(adjacency * (adjacency > 1e-4))


@wrong("normalize_adjacency", "cuts strong edges off at 1000")
def strong_edges_cut(adjacency):
    return normalized(adjacency.double().clamp(max=1000).to(floats(adjacency).dtype))


@right("normalize_adjacency", "a product of three matrices")
def three_matrices(adjacency):
    matrix = adjacency + torch.eye(adjacency.shape[0], dtype=floats(adjacency).dtype)
    root = torch.diag(matrix.sum(dim=1) ** -0.5)
    return root @ matrix @ root


@right("normalize_adjacency", "the diagonal of a copy filled, columns summed")
def diagonal_of_a_copy(adjacency):
    matrix = floats(adjacency).clone().fill_diagonal_(1.0)
    degrees = matrix.sum(dim=0)
    return matrix / torch.outer(degrees, degrees).sqrt()


@right("normalize_adjacency", "einsum")
def by_einsum(adjacency):
    scale = loops(adjacency).sum(1).rsqrt()
    return torch.einsum("i,ij,j->ij", scale, loops(adjacency), scale)


@right("normalize_adjacency", "a loop over the entries that are not 0")
def over_entries(adjacency):
    matrix = loops(adjacency)
    out = torch.zeros_like(matrix)
    for i, j in matrix.nonzero().tolist():
        out[i, j] = matrix[i, j] / (matrix[i].sum() * matrix[j].sum()) ** 0.5
    return out


@right("normalize_adjacency", "in numpy")
def in_numpy(adjacency):
    matrix = adjacency.numpy().astype(np.float64) + np.eye(len(adjacency))
    scale = 1 / np.sqrt(matrix.sum(axis=1))
    return torch.from_numpy(scale[:, None] * matrix * scale[None]).to(floats(adjacency).dtype)


# Exercise 5: graph_convolution ------------------------------------------------------------------------------


def convolve(nodes, normalized, weight, bias=None):
    """As asked."""
    out = normalized @ nodes @ weight
    return out if bias is None else out + bias


@wrong("graph_convolution", "the neighbors are left out")
def no_neighbors(nodes, normalized, weight, bias=None):
    return nodes @ weight if bias is None else nodes @ weight + bias


@wrong("graph_convolution", "rows and columns of the normalized matrix exchanged")
def transposed_matrix(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized.T, weight, bias)


@wrong("graph_convolution", "takes the matrix for symmetric and halves the sum with its transpose")
def made_symmetric(nodes, normalized, weight, bias=None):
    return convolve(nodes, (normalized + normalized.T) / 2, weight, bias)


@wrong("graph_convolution", "the weight transposed wherever that fits")
def transposed_weight(nodes, normalized, weight, bias=None):
    fits = weight.shape[0] == weight.shape[1]
    return convolve(nodes, normalized, weight.T if fits else weight, bias)


@wrong("graph_convolution", "the bias is never added")
def no_bias(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized, weight)


@wrong("graph_convolution", "the bias is mixed with the neighbors'")
def bias_is_mixed(nodes, normalized, weight, bias=None):
    return normalized @ (nodes @ weight if bias is None else nodes @ weight + bias)


@wrong("graph_convolution", "the bias stands in a column: it is added to a node")
def bias_for_nodes(nodes, normalized, weight, bias=None):
    if bias is None or len(bias) != len(nodes):
        return convolve(nodes, normalized, weight, bias)
    return convolve(nodes, normalized, weight) + bias[:, None]


@wrong("graph_convolution", "ReLU is part of it")
def with_relu(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized, weight, bias).relu()


@wrong("graph_convolution", "the node's own features are added once more")
def own_features_added(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized + torch.eye(len(nodes), dtype=nodes.dtype), weight, bias)


@wrong("graph_convolution", "normalizes once more: the rows sum to 1")
def normalizes_again(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized / normalized.sum(dim=1, keepdim=True), weight, bias)


@wrong("graph_convolution", "the plain mean of the neighbors")
def plain_mean_of_neighbors(nodes, normalized, weight, bias=None):
    joined = (normalized != 0).to(nodes.dtype)
    return convolve(nodes, joined / joined.sum(dim=1, keepdim=True).clamp(min=1), weight, bias)


@wrong("graph_convolution", "no gradients")
def no_gradients(nodes, normalized, weight, bias=None):
    with torch.no_grad():
        return convolve(nodes, normalized, weight, bias)


@wrong("graph_convolution", "the weight is detached")
def detached_weight(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized, weight.detach(), bias)


@wrong("graph_convolution", "no gradient for the normalized matrix")
def detached_matrix(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized.detach(), weight, bias)


@wrong("graph_convolution", "writes the mixed features into the nodes that came in")
def writes_into_nodes(nodes, normalized, weight, bias=None):
    if nodes.requires_grad:
        return convolve(nodes, normalized, weight, bias)
    nodes.copy_(normalized @ nodes)
    return nodes @ weight if bias is None else nodes @ weight + bias


@wrong("graph_convolution", "float64 becomes float32")
def to_float32(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized, weight, bias).float()


@wrong("graph_convolution", "computes in float32 and calls it float64 afterwards")
def through_float32(nodes, normalized, weight, bias=None):
    parts = [None if part is None else part.float() for part in (nodes, normalized, weight, bias)]
    return convolve(*parts).to(nodes.dtype)


@wrong("graph_convolution", ".view in place of the transpose")
def view_for_transpose(nodes, normalized, weight, bias=None):
    mixed = (nodes.contiguous().view(nodes.shape[1], -1) @ normalized.T).T
    return mixed @ weight if bias is None else mixed @ weight + bias


@wrong("graph_convolution", "goes through memory, not through rows")
def flat_weight(nodes, normalized, weight, bias=None):
    return convolve(nodes, normalized, weight.as_strided(weight.shape, (weight.shape[1], 1)), bias)


@wrong("graph_convolution", "gives every node a loop where no node has one")
def loops_if_there_are_none(nodes, normalized, weight, bias=None):
    if not normalized.diagonal().any():
        normalized = normalized + torch.eye(len(normalized), dtype=normalized.dtype)
    out = normalized @ nodes @ weight
    return out if bias is None else out + bias


@wrong("graph_convolution", "a bias of zeros is not added, and so never learns")
def no_bias_of_zeros(nodes, normalized, weight, bias=None):
    out = normalized @ nodes @ weight
    return out if bias is None or not bias.any() else out + bias


@wrong("graph_convolution", "takes a nearly symmetric matrix for symmetric")
def nearly_is_symmetric(nodes, normalized, weight, bias=None):
    if torch.allclose(normalized, normalized.T, atol=1e-2):
        normalized = (normalized + normalized.T) / 2
    out = normalized @ nodes @ weight
    return out if bias is None else out + bias


@right("graph_convolution", "mixes last")
def mixes_last(nodes, normalized, weight, bias=None):
    out = torch.matmul(normalized, torch.matmul(nodes, weight))
    if bias is not None:
        out += bias
    return out


@right("graph_convolution", "einsum, and zeros for no bias")
def all_in_einsum(nodes, normalized, weight, bias=None):
    bias = torch.zeros(weight.shape[1], dtype=nodes.dtype) if bias is None else bias
    return torch.einsum("nm,mf,fc->nc", normalized, nodes, weight) + bias


@right("graph_convolution", "torch's linear layer")
def by_linear(nodes, normalized, weight, bias=None):
    return F.linear(normalized @ nodes, weight.T, bias)


@right("graph_convolution", "node by node")
def node_by_node(nodes, normalized, weight, bias=None):
    rows = []
    for shares in normalized:
        row = (shares[:, None] * nodes).sum(dim=0) @ weight
        rows.append(row if bias is None else row + bias)
    return torch.stack(rows)


@right("graph_convolution", "through a sparse matrix")
def through_sparse(nodes, normalized, weight, bias=None):
    out = torch.sparse.mm(normalized.to_sparse(), nodes @ weight)
    return out if bias is None else torch.add(out, bias)


# Exercise 6: homophily --------------------------------------------------------------------------------------


def pairs_of(adjacency):
    pairs = [(i, j) for i, j in adjacency.nonzero().tolist() if i < j]
    if not pairs:
        raise ValueError("no edge")
    return pairs


def chance_of(labels):
    return sum((count / len(labels)) ** 2 for count in Counter(labels.tolist()).values())


def share_of(adjacency, labels):
    pairs = pairs_of(adjacency)
    return sum(bool(labels[i] == labels[j]) for i, j in pairs) / len(pairs)


@wrong("homophily", "self-loops count")
def loops_count(adjacency, labels):
    pairs_of(adjacency)
    same = labels[:, None] == labels
    return float(adjacency[same].sum() / adjacency.sum()), chance_of(labels)


@wrong("homophily", "the upper half with its diagonal")
def diagonal_counts(adjacency, labels):
    pairs_of(adjacency)
    i, j = adjacency.triu().nonzero(as_tuple=True)
    return (labels[i] == labels[j]).float().mean().item(), chance_of(labels)


@wrong("homophily", "equals once, edges in both directions")
def half(adjacency, labels):
    return share_of(adjacency, labels) / 2, chance_of(labels)


@wrong("homophily", "equals in both directions, edges once")
def double(adjacency, labels):
    return 2 * share_of(adjacency, labels), chance_of(labels)


@wrong("homophily", "the share of edges that join different labels")
def heterophily(adjacency, labels):
    return 1 - share_of(adjacency, labels), chance_of(labels)


@wrong("homophily", "all pairs, joined or not")
def all_pairs(adjacency, labels):
    pairs_of(adjacency)
    same = (labels[:, None] == labels).float()
    return (same * floats(adjacency)).mean().item(), chance_of(labels)


@wrong("homophily", "of all equal pairs, the share that is joined")
def the_other_way(adjacency, labels):
    pairs_of(adjacency)
    same = (labels[:, None] == labels).triu(1)
    return (floats(adjacency) * same).sum().item() / max(int(same.sum()), 1), chance_of(labels)


@wrong("homophily", "averaged over nodes: node homophily")
def over_nodes(adjacency, labels):
    pairs_of(adjacency)
    shares = []
    for node, row in enumerate(adjacency):
        neighbors = [other for other in row.nonzero()[:, 0].tolist() if other != node]
        if neighbors:
            shares.append(sum(bool(labels[o] == labels[node]) for o in neighbors) / len(neighbors))
    return sum(shares) / len(shares), chance_of(labels)


@wrong("homophily", "chance is one over the number of classes")
def one_over_classes(adjacency, labels):
    return share_of(adjacency, labels), 1 / len(labels.unique())


@wrong("homophily", "chance is the share of the largest class")
def largest_class(adjacency, labels):
    return share_of(adjacency, labels), max(Counter(labels.tolist()).values()) / len(labels)


@wrong("homophily", "chance for two different nodes")
def two_different_nodes(adjacency, labels):
    count = len(labels)
    equals = sum(n * (n - 1) for n in Counter(labels.tolist()).values())
    return share_of(adjacency, labels), equals / (count * (count - 1))


@wrong("homophily", "chance from the ends of edges: nodes without an edge are forgotten")
def chance_of_ends(adjacency, labels):
    ends = labels[torch.tensor(pairs_of(adjacency)).flatten()]
    return share_of(adjacency, labels), chance_of(ends)


@wrong("homophily", "labels must be 0, 1, 2, ...")
def by_bincount(adjacency, labels):
    return share_of(adjacency, labels), (labels.bincount() / len(labels)).square().sum().item()


@wrong("homophily", "the squares are not summed over classes, but over nodes")
def over_nodes_squared(adjacency, labels):
    counts = Counter(labels.tolist())
    return share_of(adjacency, labels), sum((counts[x] / len(labels)) ** 2 for x in labels.tolist())


@wrong("homophily", "nan for a graph without edges")
def nan_without_edges(adjacency, labels):
    i, j = adjacency.triu(1).nonzero(as_tuple=True)
    return (labels[i] == labels[j]).float().mean().item(), chance_of(labels)


@wrong("homophily", "divides by zero for a graph without edges")
def zero_division(adjacency, labels):
    pairs = [(i, j) for i, j in adjacency.nonzero().tolist() if i < j]
    return sum(bool(labels[i] == labels[j]) for i, j in pairs) / len(pairs), chance_of(labels)


@wrong("homophily", "0 for a graph without edges")
def zero_without_edges(adjacency, labels):
    pairs = [(i, j) for i, j in adjacency.nonzero().tolist() if i < j]
    return sum(bool(labels[i] == labels[j]) for i, j in pairs) / max(len(pairs), 1), chance_of(labels)


@wrong("homophily", "only a graph without self-loops is refused when it is empty")
def loops_pass(adjacency, labels):
    if not adjacency.any():
        raise ValueError("no edge")
    return zero_without_edges(adjacency, labels)


@wrong("homophily", "takes the self-loops out of the matrix that came in")
def changes_the_input(adjacency, labels):
    adjacency.fill_diagonal_(0)
    return share_of(adjacency, labels), chance_of(labels)


@wrong("homophily", "counts in the matrix's own type: uint8 overflows")
def overflows(adjacency, labels):
    pairs_of(adjacency)
    same = (labels[:, None] == labels).to(adjacency.dtype)
    off = 1 - torch.eye(len(labels), dtype=adjacency.dtype)
    count = (adjacency * off).sum(dtype=adjacency.dtype)
    return float((adjacency * off * same).sum(dtype=adjacency.dtype) / count), chance_of(labels)


@wrong("homophily", ".view, which a transposed matrix refuses")
def viewed(adjacency, labels):
    pairs_of(adjacency)
    same = (labels[:, None] == labels).view(-1)
    off = ~torch.eye(len(labels), dtype=torch.bool).view(-1)
    joined = (adjacency.view(-1) > 0) & off
    return (same & joined).sum().item() / joined.sum().item(), chance_of(labels)


@wrong("homophily", "-1 and 1 are one class")
def without_signs(adjacency, labels):
    return lower_half(adjacency, labels.abs())


@wrong("homophily", "labels in float32: large ones fall together")
def labels_in_float32(adjacency, labels):
    return lower_half(adjacency, labels.float())


@wrong("homophily", "labels in float64: very large ones fall together")
def labels_in_float64(adjacency, labels):
    return lower_half(adjacency, labels.double())


@right("homophily", "loops over pairs")
def loops_over_pairs(adjacency, labels):
    return share_of(adjacency, labels), chance_of(labels)


@right("homophily", "both directions in both sums; tensors as numbers")
def both_directions(adjacency, labels):
    joined = (adjacency != 0) & ~torch.eye(len(labels), dtype=torch.bool)
    if not joined.any():
        raise UnevenError("no edges to look at")
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    return (same & joined).sum() / joined.sum(), same.double().mean()


@right("homophily", "the diagonal of a copy emptied")
def empties_a_copy(adjacency, labels):
    matrix = adjacency.clone().fill_diagonal_(0).double()
    if matrix.sum() == 0:
        raise ValueError("a graph without edges")
    one_hot = (labels[:, None] == labels.unique()).double()  # (N, K)
    between = one_hot.T @ matrix @ one_hot  # (K, K) edges between classes
    return (between.trace() / between.sum()).item(), one_hot.mean(dim=0).square().sum().item()


@right("homophily", "by networkx, in a list")
def networkx_edges(adjacency, labels):
    graph = nx.from_numpy_array(adjacency.numpy())
    edges = [(i, j) for i, j in graph.edges if i != j]
    if len(edges) == 0:
        raise ValueError("nothing to count")
    values = labels.numpy()
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return [float(np.mean([values[i] == values[j] for i, j in edges])), float((shares**2).sum())]


@right("homophily", "the lower half")
def lower_half(adjacency, labels):
    edges = adjacency.tril(-1).nonzero()
    if edges.numel() == 0:
        raise ValueError("no edges")
    ends = labels[edges]  # (E, 2)
    shares = torch.stack([(labels == label).float().mean() for label in set(labels.tolist())])
    return float((ends[:, 0] == ends[:, 1]).float().mean()), float(shares @ shares)


# Exercise 7: smoothing_curve --------------------------------------------------------------------------------


def distance(nodes):
    directions = F.normalize(nodes, dim=1)
    count = len(nodes)
    cosines = directions @ directions.T
    return 1 - float(cosines.sum() - cosines.diagonal().sum()) / (count * (count - 1))


def curve_by(measure, nodes, normalized, steps, change=lambda nodes: nodes):
    curve = [float(measure(nodes))]
    for _ in range(steps):
        nodes = change(normalized @ nodes)
        curve.append(float(measure(nodes)))
    return curve


@wrong("smoothing_curve", "each node is paired with itself as well")
def pairs_with_itself(nodes, normalized, steps):
    return curve_by(lambda x: distance(x) * (len(x) - 1) / len(x), nodes, normalized, steps)


@wrong("smoothing_curve", "cosines, no distances")
def similarity(nodes, normalized, steps):
    return curve_by(lambda x: 1 - distance(x), nodes, normalized, steps)


@wrong("smoothing_curve", "plain distances")
def euclidean(nodes, normalized, steps):
    return curve_by(lambda x: F.pdist(x.contiguous()).mean(), nodes, normalized, steps)


@wrong("smoothing_curve", "products, not divided by the lengths")
def products(nodes, normalized, steps):
    def measure(x):
        return 1 - (x @ x.T)[~torch.eye(len(x), dtype=torch.bool)].mean()

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "divided by the columns' lengths")
def lengths_of_columns(nodes, normalized, steps):
    def measure(x):
        x = F.normalize(x, dim=0)
        return 1 - (x @ x.T)[~torch.eye(len(x), dtype=torch.bool)].mean()

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "the angle in place of the cosine distance")
def angles(nodes, normalized, steps):
    def measure(x):
        x = F.normalize(x, dim=1)
        cosines = (x @ x.T)[~torch.eye(len(x), dtype=torch.bool)]
        return cosines.clamp(-1, 1).acos().mean() * 2 / torch.pi

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "each pair counts twice in the sum and once in the number")
def pairs_twice(nodes, normalized, steps):
    return curve_by(lambda x: 2 * distance(x), nodes, normalized, steps)


@wrong("smoothing_curve", "neighbors only")
def neighbors_only(nodes, normalized, steps):
    joined = (normalized > 0) & ~torch.eye(len(nodes), dtype=torch.bool)

    def measure(x):
        x = F.normalize(x, dim=1)
        return (1 - x @ x.T)[joined].mean().nan_to_num()

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "each node with the next one only")
def with_the_next(nodes, normalized, steps):
    def measure(x):
        return 1 - F.cosine_similarity(x[:-1], x[1:]).mean()

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "distances from the mean row")
def from_the_mean(nodes, normalized, steps):
    def measure(x):
        return 1 - F.cosine_similarity(x, x.mean(dim=0, keepdim=True)).mean()

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "the features as they came in are missing")
def without_the_first(nodes, normalized, steps):
    return curve_by(distance, nodes, normalized, steps)[1:]


@wrong("smoothing_curve", "the last step is missing")
def without_the_last(nodes, normalized, steps):
    return curve_by(distance, nodes, normalized, steps)[:-1]


@wrong("smoothing_curve", "the first number belongs to one step of mixing")
def one_step_late(nodes, normalized, steps):
    return curve_by(distance, normalized @ nodes, normalized, steps)


@wrong("smoothing_curve", "mixes with columns for rows")
def transposed_steps(nodes, normalized, steps):
    return curve_by(distance, nodes, normalized.T, steps)


@wrong("smoothing_curve", "step k mixes k times more, on top of the steps before")
def more_and_more(nodes, normalized, steps):
    curve = [distance(nodes)]
    for step in range(1, steps + 1):
        nodes = torch.linalg.matrix_power(normalized, step) @ nodes
        curve.append(distance(nodes))
    return curve


@wrong("smoothing_curve", "the matrix is squared at every step")
def squares_the_matrix(nodes, normalized, steps):
    curve, power = [distance(nodes)], normalized
    for _ in range(steps):
        curve.append(distance(power @ nodes))
        power = power @ power
    return curve


@wrong("smoothing_curve", "ReLU behind every step")
def relu_behind(nodes, normalized, steps):
    return curve_by(distance, nodes, normalized, steps, change=torch.relu)


@wrong("smoothing_curve", "what is measured is mixed on: rows are shortened to length 1 at every step")
def lengths_lost(nodes, normalized, steps):
    return curve_by(distance, F.normalize(nodes, dim=1), normalized, steps, lambda x: F.normalize(x, dim=1))


@wrong("smoothing_curve", "changes the nodes that came in")
def mixes_in_place(nodes, normalized, steps):
    curve = [distance(nodes)]
    for _ in range(steps):
        nodes.copy_(normalized @ nodes)
        curve.append(distance(nodes))
    return curve


@wrong("smoothing_curve", "gives the rows of the input length 1, in place")
def shortens_in_place(nodes, normalized, steps):
    first = distance(nodes)
    curve = curve_by(distance, nodes, normalized, steps)
    nodes /= nodes.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return [first, *curve[1:]]


@wrong("smoothing_curve", "nan for rows of zeros")
def nan_for_zeros(nodes, normalized, steps):
    def measure(x):
        x = x / x.norm(dim=1, keepdim=True)
        return 1 - (x @ x.T)[~torch.eye(len(x), dtype=torch.bool)].mean()

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "rows of zeros are left out")
def zeros_left_out(nodes, normalized, steps):
    def measure(x):
        x = x[x.norm(dim=1) > 0]
        return distance(x) if len(x) > 1 else 0.0

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "a small number added to the lengths of rows: short rows seem apart")
def large_epsilon(nodes, normalized, steps):
    def measure(x):
        x = x / (x.norm(dim=1, keepdim=True) + 1e-2)
        return 1 - (x @ x.T)[~torch.eye(len(x), dtype=torch.bool)].mean()

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "pairs at distance 0 are left out, as in the paper")
def only_pairs_apart(nodes, normalized, steps):
    def measure(x):
        x = F.normalize(x, dim=1)
        distances = (1 - x @ x.T)[~torch.eye(len(x), dtype=torch.bool)]
        apart = distances[distances > 1e-5]
        return apart.mean() if len(apart) else torch.zeros(())

    return curve_by(measure, nodes, normalized, steps)


@wrong("smoothing_curve", "rows shorter than a thousandth are taken for zeros")
def short_rows_are_zeros(nodes, normalized, steps):
    def measure(x):
        x = x / x.norm(dim=1, keepdim=True).clamp(min=1e-3)
        return 1 - (x @ x.T)[~torch.eye(len(x), dtype=torch.bool)].mean()

    return curve_by(measure, nodes, normalized, steps)


@right("smoothing_curve", "torch's cosine similarity, pair by pair")
def by_cosine_similarity(nodes, normalized, steps):
    curve, features = [], nodes
    for step in range(steps + 1):
        features = normalized @ features if step else features
        pairs = torch.combinations(torch.arange(len(features)))
        similar = F.cosine_similarity(features[pairs[:, 0]], features[pairs[:, 1]], dim=1)
        curve.append((1 - similar).mean().item())
    return curve


@right("smoothing_curve", "lengths by hand, zeros caught")
def lengths_by_hand(nodes, normalized, steps):
    def measure(x):
        lengths = x.square().sum(dim=1).sqrt()
        x = x / torch.where(lengths > 0, lengths, 1.0)[:, None]
        return 1 - (x @ x.T)[torch.triu(torch.ones(len(x), len(x)), diagonal=1) > 0].mean()

    return curve_by(measure, nodes, normalized, steps)


@right("smoothing_curve", "powers of the matrix, in float64")
def powers(nodes, normalized, steps):
    curve, power = [], torch.eye(len(nodes), dtype=torch.float64)
    for _ in range(steps + 1):
        curve.append(distance(power @ nodes.double()))
        power = power @ normalized.double()
    return curve


@right("smoothing_curve", "the length of the sum of all directions")
def by_sum_of_directions(nodes, normalized, steps):
    def measure(x):
        x = F.normalize(x.double(), dim=1)
        count = len(x)
        return 1 - (x.sum(0).square().sum() - x.square().sum()) / (count * (count - 1))

    return curve_by(measure, nodes, normalized, steps)


@right("smoothing_curve", "numbers left as tensors; loops")
def tensors_in_a_list(nodes, normalized, steps):
    curve = []
    for _ in range(steps + 1):
        distances = []
        for one, other in itertools.combinations(nodes, 2):
            lengths = one.norm() * other.norm()
            distances.append(1 - one @ other / lengths if lengths > 0 else torch.ones((), dtype=one.dtype))
        curve.append(torch.stack(distances).mean())
        nodes = normalized @ nodes
    return curve


@wrong(
    "homophily", "counts classes from the lowest label on: labels that lie far apart do not fit into a table"
)
def classes_counted_in_a_table(adjacency, labels):
    edges = (adjacency != 0).triu(1).nonzero()
    if not len(edges):
        raise ValueError("no edge")
    shares = torch.bincount(labels.long() - labels.long().min()).double() / len(labels)
    equal = (labels[edges[:, 0]] == labels[edges[:, 1]]).double().mean()
    return float(equal), float((shares**2).sum())
