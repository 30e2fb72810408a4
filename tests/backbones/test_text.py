"""Text backbones: padding never matters, the order does, and what is wrong with tokens is said."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from backbones import BackboneError, Network, check_backbone, create_backbone
from backbones.heads import ClassificationHead, PositionHead
from backbones.measure.cost import multiply_adds
from backbones.text import TokenError, check_tokens
from backbones.weights import WeightsMismatchError

KINDS = {
    "rnn": ("rnn", {}),
    "lstm, two layers": ("lstm", {"layers": 2}),
    "gru": ("gru", {}),
    "gru, both directions": ("gru", {"bidirectional": True}),
    "lstm, both directions, two layers": ("lstm", {"bidirectional": True, "layers": 2}),
    "transformer": ("transformer", {}),
    "transformer, causal": ("transformer", {"causal": True}),
    "bag": ("bag", {}),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def build(kind: str):
    torch.manual_seed(0)
    name, options = KINDS[kind]
    return create_backbone(name, vocab_size=50, width=16, **options).eval()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    lengths = torch.tensor([7, 3, 1, 5])
    return torch.randint(1, 50, (4, 7)) * (torch.arange(7) < lengths[:, None]), lengths


@each_kind
def test_the_contract_is_kept(kind, batch):
    backbone = build(kind)
    assert check_backbone(backbone, *batch) == []
    features = backbone(*batch)
    assert features.size == (7,)
    assert features.mask.sum(dim=1).tolist() == [7, 3, 1, 5]
    assert features.summary.shape == (4, backbone.channels[1])
    assert (features[1].transpose(1, 2)[~features.mask] == 0).all()


@each_kind
def test_padding_never_changes_a_feature(kind, batch):
    """Alone, together with longer texts, and with any numbers at the padded places: the same to rounding."""
    backbone, (tokens, lengths) = build(kind), batch
    together = backbone(tokens, lengths)
    filled = tokens.where(together.mask, 49)
    for row, length in enumerate(lengths):
        alone = backbone(tokens[row : row + 1, :length])
        for other in (together, backbone(filled, lengths)):
            torch.testing.assert_close(other[1][row, :, :length], alone[1][0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(other.summary[row], alone.summary[0], rtol=1e-4, atol=1e-5)


@each_kind
def test_padding_gets_no_gradient(kind, batch):
    backbone, (tokens, lengths) = build(kind), batch
    filled = tokens.where(check_tokens(tokens, lengths), 49)  # 49 stands at padded places only
    tokens_used = set(tokens.unique().tolist())
    assert 49 not in tokens_used
    features = backbone(filled, lengths)
    (
        features[1].exp().sum() + features.summary.exp().sum()
    ).backward()  # a plain sum is always 0 behind layer norm
    touched = backbone.embedding.weight.grad.abs().sum(dim=1) > 0
    assert not touched[49]
    assert touched[tokens[0]].all()


@each_kind
def test_without_lengths_trailing_zeros_are_padding(kind, batch):
    backbone, (tokens, lengths) = build(kind), batch
    torch.testing.assert_close(backbone(tokens).summary, backbone(tokens, lengths).summary)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bag"])
def test_the_order_of_words_matters(kind):
    backbone = build(kind)
    there, back = backbone(torch.tensor([[5, 6, 7]])), backbone(torch.tensor([[7, 6, 5]]))
    assert (there.summary - back.summary).abs().max() > 1e-3


def test_a_bag_knows_no_order():
    bag = build("bag")
    summary = bag(torch.tensor([[5, 6, 7]])).summary
    torch.testing.assert_close(summary, bag(torch.tensor([[7, 5, 6]])).summary)
    torch.testing.assert_close(summary[0], bag.embedding.weight[5:8].mean(dim=0))


@pytest.mark.parametrize("kind", ["rnn", "gru", "transformer, causal", "transformer", "gru, both directions"])
def test_who_looks_ahead(kind):
    backbone = build(kind)
    one, other = (
        backbone(torch.tensor([[5, 6, last]]))[1][0, :, :2].detach() for last in (7, 8)
    )  # the features of the first two
    looks_ahead = kind in ("transformer", "gru, both directions")
    assert ((one - other).abs().max() > 1e-6) == looks_ahead


def test_the_numbers_are_torch_s():
    backbone = build("gru, both directions")
    tokens = torch.tensor([[4, 9, 2]])
    states, last = backbone.cells(backbone.embedding(tokens))
    features = backbone(tokens)
    torch.testing.assert_close(features[1][0], states[0].T)
    torch.testing.assert_close(features.summary[0], torch.cat([last[0, 0], last[1, 0]]))


def test_the_summary_is_the_last_real_state(batch):
    backbone, (tokens, lengths) = build("lstm, two layers"), batch
    features = backbone(tokens, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(features.summary[row], features[1][row, :, length - 1])


@each_kind
def test_one_head_for_texts_and_one_for_tokens(kind, batch):
    backbone = build(kind)
    tagger = Network(backbone, PositionHead(backbone.channels, num_classes=3))
    assert tagger(*batch).shape == (4, 3, 7)
    verdict = Network(backbone, ClassificationHead(backbone.channels, num_classes=2))
    features = backbone(*batch)
    torch.testing.assert_close(verdict(*batch), verdict.head.classifier(features.summary))


@pytest.mark.parametrize("length", [1, 500])
@each_kind
def test_texts_of_one_and_of_many_tokens(kind, length):
    features = build(kind)(torch.full((2, length), 7))
    assert features[1].shape[2] == length
    assert features.summary.isfinite().all()


@each_kind
def test_weights_are_saved_and_loaded(kind, tmp_path, batch):
    backbone = build(kind)
    torch.save(backbone.state_dict(), tmp_path / "mine.pt")
    name, options = KINDS[kind]
    loaded = create_backbone(name, weights=tmp_path / "mine.pt", vocab_size=50, width=16, **options).eval()
    torch.testing.assert_close(loaded(*batch).summary, backbone(*batch).summary)
    with pytest.raises(WeightsMismatchError, match="shape"):
        create_backbone(name, weights=tmp_path / "mine.pt", vocab_size=51, width=16, **options)


def test_a_copy_and_half_precision_read_the_same(batch):
    backbone = build("gru")
    torch.testing.assert_close(copy.deepcopy(backbone)(*batch).summary, backbone(*batch).summary)
    double = build("gru").double()
    torch.testing.assert_close(double(*batch).summary.float(), backbone(*batch).summary)


@pytest.mark.parametrize(
    ("tokens", "lengths", "sentence"),
    [
        (["a film"], None, "tokens are a list: vocabulary.batch"),
        (np.ones((1, 2), dtype=int), None, "tokens are a ndarray"),
        (torch.ones(3, dtype=torch.int64), None, r"shape \(3,\).*tokens\[None\]"),
        (torch.ones(2, 3), None, "torch.float32: whole numbers"),
        (torch.ones(2, 0, dtype=torch.int64), None, r"shape \(2, 0\)"),
        (torch.tensor([[5, 50]]), None, "token 50 is outside 0 to 49"),
        (torch.tensor([[5, -1]]), None, "token -1 is outside 0 to 49"),
        (torch.tensor([[5, 6], [0, 0]]), None, "row 1 has length 0.*leave an empty text out"),
        (torch.tensor([[5, 6]]), torch.tensor([3]), "row 0 has length 3, but lengths are from 1 to 2"),
        (torch.tensor([[5, 6]]), torch.tensor([1, 2]), r"one whole number per text is needed, shape \(1,\)"),
        (torch.tensor([[5, 6]]), torch.tensor([1.0]), "lengths are torch.float32"),
        (torch.tensor([[5, 6]]), [2], "lengths are list"),
    ],
)
@pytest.mark.parametrize("name", ["gru", "transformer", "bag"])
def test_bad_tokens_are_explained(name, tokens, lengths, sentence):
    with pytest.raises(TokenError, match=sentence):
        create_backbone(name, vocab_size=50, width=16)(tokens, lengths)


def test_advice_about_tokens_works():
    backbone = build("gru")
    backbone(torch.ones(3, dtype=torch.int64)[None])
    backbone(torch.tensor([[5, 6], [1, 0]]))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("gru", {}, "create_backbone.'gru'.*vocab_size"),
        ("gru", {"vocab_size": 9, "output_stride": 8}, "output_stride"),
        ("gru", {"vocab_size": 9, "weights": "imagenet"}, "comes without weights.*minilm"),
        ("resnet18", {"vocab_size": 9}, "vocab_size"),
    ],
)
def test_impossible_options_are_explained(name, options, sentence):
    with pytest.raises(BackboneError, match=sentence):
        create_backbone(name, **options)


def test_too_long_for_a_transformer():
    backbone = create_backbone("transformer", vocab_size=9, width=16, max_length=4)
    with pytest.raises(TokenError, match="5 tokens is longer than max_length=4"):
        backbone(torch.ones(1, 5, dtype=torch.int64))


def test_costs_are_counted():
    """An LSTM of width C: four gates, each C x 2C, at every token; embeddings are looked up."""
    backbone = create_backbone("lstm", vocab_size=50, width=16)
    assert multiply_adds(backbone, torch.ones(1, 10, dtype=torch.int64)) == 10 * 4 * 16 * 32
    layer = create_backbone("transformer", vocab_size=50, width=16, layers=1)
    products = 10 * 16 * 16 * (4 + 8) + 2 * 10 * 10 * 16  # projections and the layers behind; attention
    assert multiply_adds(layer, torch.ones(1, 10, dtype=torch.int64)) == products


def test_a_recurrent_backbone_learns_what_a_bag_cannot():
    """Which of two tokens came first: the bag has no chance, whatever it is taught."""
    torch.manual_seed(0)
    tokens, labels = torch.tensor([[4, 5], [5, 4]] * 8), torch.tensor([0, 1] * 8)
    right = {}
    for name in ("gru", "bag"):
        network = Network(
            backbone := create_backbone(name, vocab_size=6, width=8),
            ClassificationHead(backbone.channels, 2),
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
        for _ in range(60):
            loss = nn.functional.cross_entropy(network(tokens), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right[name] = (network(tokens).argmax(dim=1) == labels).float().mean()
    assert right["gru"] == 1
    assert right["bag"] == 0.5
