"""The graph of words, and the graph of nearest neighbors: edges, what is told, what is refused."""

import pytest
import torch
import torch.nn.functional as F

from backbones import Network, create_backbone
from backbones.data import Digits, Words, nearest_neighbors
from backbones.data.lexicon import rated_words
from backbones.data.words import letter_features
from backbones.graphs import check_graph
from backbones.heads import PositionHead


def ready(**options) -> Words:
    data = Words(**options)
    data.setup()
    return data


def told(item) -> torch.Tensor:
    return (item[1] != -100).nonzero().flatten()


DATA = ready()
VECTORS = torch.randn(len(DATA.words), 4, generator=torch.Generator().manual_seed(0))


def test_sizes_and_classes():
    N = len(DATA.words)
    assert N == 2213
    assert (DATA.nodes.shape, DATA.nodes.dtype) == ((N, 512), torch.float32)
    assert (DATA.labels.shape, DATA.labels.dtype) == ((N,), torch.int64)
    torch.testing.assert_close(DATA.nodes.norm(dim=1), torch.ones(N))
    for word, label in (("love", 1), ("hate", 0), ("war", 0)):
        assert DATA.class_names[DATA.labels[DATA.words.index(word)]] == ("negative", "positive")[label]


def test_there_is_one_word_per_family():
    starts = [word[:5] for word in DATA.words]
    assert len(set(starts)) == len(starts)
    assert set(starts) == {word[:5] for word in rated_words()}
    assert "abandon" in DATA.words  # the first of its family


def test_the_parts_tell_different_words_and_share_the_graph():
    parts = [told(part[0]) for part in (DATA.train, DATA.val, DATA.test)]
    assert [len(part) for part in parts] == [1413, 300, 500]
    assert len(torch.cat(parts).unique()) == len(DATA.words)
    for (nodes, adjacency), answers in (DATA.train[0], DATA.val[0], DATA.test[0]):
        assert nodes is DATA.nodes
        assert adjacency is DATA.adjacency
        assert torch.equal(answers[answers >= 0], DATA.labels[answers >= 0])


@pytest.mark.parametrize("options", [{}, {"edges": "meaning", "vectors": VECTORS}])
def test_edges_go_both_ways_and_every_word_has_eight_at_least(options):
    data = ready(**options)
    assert check_graph(data.nodes, data.adjacency) == []
    dense = data.adjacency.to_dense()
    assert torch.equal(dense, dense.T)
    assert set(dense.unique().tolist()) == {0, 1}
    assert dense.sum(1).min() == 8


def test_edges_follow_letters_or_the_vectors():
    homophily = {}
    labels = F.one_hot(DATA.labels).float()
    for name, data in (
        ("letters", DATA),
        ("meaning", ready(edges="meaning", vectors=100 * labels + VECTORS[:, :2])),
    ):
        rows, columns = data.adjacency.indices()
        homophily[name] = (DATA.labels[rows] == DATA.labels[columns]).float().mean()
    assert 0.55 < homophily["letters"] < 0.65
    assert homophily["meaning"] == 1  # these vectors know the class


def test_the_length_of_vectors_does_not_matter():
    lengths = torch.arange(1, 2214)[:, None]
    same = ready(edges="meaning", vectors=VECTORS * lengths)
    there = ready(edges="meaning", vectors=VECTORS)
    assert torch.equal(same.adjacency.indices(), there.adjacency.indices())


@pytest.mark.slow
def test_labels_keep_a_growing_part_half_of_it_positive():
    few, more, other = (ready(labels=n, seed=s) for n, s in ((20, 0), (101, 0), (20, 1)))
    kept = told(few.train[0])
    assert DATA.labels[kept].sum() == 10
    assert set(kept.tolist()) < set(told(more.train[0]).tolist()) < set(told(DATA.train[0]).tolist())
    assert set(kept.tolist()) != set(told(other.train[0]).tolist())
    assert torch.equal(few.test[0][1], DATA.test[0][1])
    with pytest.raises(ValueError, match="labels=1414 is more than the 1413"):
        ready(labels=1414)


def test_a_batch_is_the_graph_as_often_as_asked():
    data = ready(steps_per_epoch=3)
    batches = list(data.train_dataloader())
    assert len(batches) == 3
    inputs, answers = batches[0]
    backbone = create_backbone("gcn", in_features=512, width=8)
    logits = Network(backbone, PositionHead(backbone.channels, 2))(*inputs)
    assert F.cross_entropy(logits, answers, ignore_index=-100).isfinite()
    assert len(data.test_dataloader()) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"edges": "sound"}, "edges='sound' is not possible"),
        ({"edges": "meaning"}, "belong together"),
        ({"vectors": VECTORS}, "belong together"),
        ({"edges": "meaning", "vectors": VECTORS[1:]}, r"shape \(2212, 4\): pass one per word, \(2213, D\)"),
        ({"labels": 0}, "labels"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
    ],
)
def test_options_that_make_no_sense(options, says):
    with pytest.raises(ValueError, match=says):
        Words(**options)


def test_before_setup():
    assert "abandon" in Words().words  # known at once: whoever brings vectors needs them
    with pytest.raises(AttributeError, match=r"no \.adjacency yet: call setup"):
        Words().adjacency  # noqa: B018


def test_letters_alike_are_near():
    hope, hoped, zebra = letter_features(["hope", "hoped", "zebra"])
    assert hope @ hoped > 0.5 > hope @ zebra


def test_nearest_neighbors_by_hand():
    """0, 1 and 3 on a line, and far away 10: 10's nearest is 3, whose nearest is 1."""
    graph = nearest_neighbors(torch.tensor([[0.0], [1], [3], [10]]), 1)
    assert graph.is_sparse
    assert graph.dtype == torch.float32
    assert graph.to_dense().tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


def test_equal_vectors_are_neighbors_and_nobody_is_its_own():
    graph = nearest_neighbors(torch.zeros(4, 2).numpy(), 2).to_dense()
    assert (graph.diagonal() == 0).all()
    assert (graph.sum(1) >= 2).all()


@pytest.mark.parametrize("k", [0, 4, -1])
def test_a_number_of_neighbors_that_there_is_not(k):
    with pytest.raises(ValueError, match="each of 4 has 1 to 3 neighbors"):
        nearest_neighbors(torch.zeros(4, 2), k)


def test_neighbors_among_digits_mostly_agree():
    digits = Digits()
    digits.setup()
    images, labels = digits.train.tensors
    rows, columns = nearest_neighbors(images.flatten(1), 8).indices()
    assert (labels[rows] == labels[columns]).float().mean() > 0.9
