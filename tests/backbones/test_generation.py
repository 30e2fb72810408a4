"""The decoder and the writing of a language model: what they know, when they stop, whether they learn."""

import pytest
import torch
from torch import Tensor, nn

from backbones import BackboneError, Network, create_backbone
from backbones.backbone import ByStride, Features
from backbones.data.splits import SplitData
from backbones.data.vocabulary import BEGIN, END, PAD, pad
from backbones.heads import AttentionDecoder, PositionHead, Translator, generate
from backbones.tasks import PositionClassification, Translation, evaluate, exact_matches, fit


def translator(**options) -> Translator:
    torch.manual_seed(0)
    return Translator(create_backbone("gru", vocab_size=20, width=16, bidirectional=True), 12, 16, **options)


TOKENS, LENGTHS = torch.tensor([[5, 6, 7, 8], [9, 5, 0, 0]]), torch.tensor([4, 2])
TARGET = torch.tensor([[BEGIN, 4, 5, 6, END], [BEGIN, 7, END, PAD, PAD]])


@pytest.mark.parametrize("bottleneck", [False, True])
def test_shapes(bottleneck):
    network = translator(bottleneck=bottleneck).eval()
    assert network(TOKENS, LENGTHS, TARGET).shape == (2, 12, 4)
    assert network.head.attention.shape == (2, 4, 4)
    written = network(TOKENS, LENGTHS)
    assert written.dtype == torch.int64
    assert network.head.attention.shape == (2, written.shape[1], 4)


def test_attention_is_a_share_of_the_real_tokens():
    network = translator().eval()
    network(TOKENS, LENGTHS, TARGET)
    attention = network.head.attention
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(2, 4))
    assert (attention[1, :, 2:] == 0).all()
    assert (attention[0] > 0).all()


def test_padding_of_source_and_target_changes_nothing():
    network = translator().eval()
    alone = network(TOKENS[1:, :2], LENGTHS[1:], TARGET[1:, :3])
    torch.testing.assert_close(network(TOKENS, LENGTHS, TARGET)[1:, :, :2], alone, rtol=1e-4, atol=1e-5)


def test_teacher_forcing_looks_at_no_later_token():
    network = translator().eval()
    changed = TARGET.clone()
    changed[0, 3] = 9
    before, after = network(TOKENS, LENGTHS, TARGET), network(TOKENS, LENGTHS, changed)
    torch.testing.assert_close(before[0, :, :3], after[0, :, :3])
    assert (before[0, :, 3] - after[0, :, 3]).abs().max() > 1e-6


def test_free_running_writes_what_teacher_forcing_finds_likeliest():
    network = translator().eval()
    written = network(TOKENS, LENGTHS)
    target = torch.cat([torch.full((2, 1), BEGIN), written], dim=1)
    forced = network(TOKENS, LENGTHS, target).argmax(dim=1)
    assert forced[written != PAD].tolist() == written[written != PAD].tolist()


def says(head: AttentionDecoder, token: int) -> None:
    """Let the decoder find one token likeliest, always."""
    nn.init.zeros_(head.classifier.weight)
    with torch.no_grad():
        head.classifier.bias.copy_(torch.eye(12)[token])


def test_it_stops_at_the_end_and_at_the_latest_at_max_length():
    network = translator().eval()
    says(network.head, END)
    assert network(TOKENS, LENGTHS).tolist() == [[END], [END]]
    says(network.head, 7)
    assert network(TOKENS, LENGTHS).tolist() == [[7] * 64] * 2
    features = network.backbone(TOKENS, LENGTHS)
    assert network.head(features, max_length=3).tolist() == [[7] * 3] * 2


def test_with_a_bottleneck_only_the_summary_counts():
    network = translator(bottleneck=True).eval()
    features = network.backbone(TOKENS, LENGTHS)
    other = Features({1: features[1] + 1}, features.size, features.mask, features.summary)
    torch.testing.assert_close(network.head(other, TARGET), network.head(features, TARGET))
    attending = translator().eval().head
    assert (attending(other, TARGET) - attending(features, TARGET)).abs().max() > 1e-3


def test_pixels_have_no_summary_to_begin_with():
    with pytest.raises(BackboneError, match="no summary"):
        AttentionDecoder(ByStride({1: 8}), 12)(Features({1: torch.zeros(1, 8, 3)}, (3,)), TARGET)


class Copies(SplitData):
    """Three tokens, to be written once more. 300 to learn from, 40 to test."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_size, self.seed = 20, 0

    def setup(self, stage: str | None = None) -> None:
        rows = torch.randint(4, 12, (340, 3), generator=torch.Generator().manual_seed(0)).tolist()
        self.train, self.val, self.test = rows[:300], [], rows[300:]

    @staticmethod
    def collate(rows: list[list[int]]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        return pad(rows), pad([[BEGIN, *row, END] for row in rows])[0]


@pytest.mark.slow
def test_it_learns_to_copy():
    task = Translation(translator(), lr=0.01, backbone_lr=0.01)
    before = evaluate(task, Copies())
    history = fit(task, Copies(), epochs=25, validate=False)
    after = evaluate(task, Copies())
    assert set(after) == {"test_loss", "test_exact_match"}
    assert before["test_exact_match"] < 0.1
    assert after["test_exact_match"] > 0.9
    assert history[-1]["train_loss"] < 0.1 * before["test_loss"]


def test_exact_matches_by_hand():
    target = torch.tensor([[BEGIN, 4, END, PAD], [BEGIN, 4, 5, END], [BEGIN, 4, END, PAD]])
    written = torch.tensor([[4, END], [4, END], [4, 5]])
    assert exact_matches(written, target).tolist() == [True, False, False]
    longer = torch.tensor([[4, END, PAD, PAD, PAD]] * 3)
    assert exact_matches(longer, target).tolist() == [True, False, True]


def test_the_loss_leaves_out_padding_and_begin():
    task = Translation(translator())
    logits = torch.full((1, 12, 3), 0.0)
    logits[0, 4, 0], logits[0, END, 1], logits[0, 9, 2] = 50, 50, 50  # the last stands at padding
    assert task.loss(logits, torch.tensor([[BEGIN, 4, END, PAD]])) == pytest.approx(0, abs=1e-5)


# ---- A language model ----------------------------------------------------------------------------


class Counting(nn.Module):
    """Finds the next number likeliest; after 9 the end. Notes how often it is asked."""

    asked = 0

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        self.asked += 1
        following = (tokens + 1).where(tokens < 9, END)
        return nn.functional.one_hot(following, 12).float().transpose(1, 2)


def test_generate_writes_on_and_stops():
    model = Counting()
    written = generate(model, torch.tensor([[BEGIN, 7], [BEGIN, 5]]), lambda logits: logits.argmax(dim=1), 20)
    assert written.tolist() == [[2, 7, 8, 9, 3, 0, 0], [2, 5, 6, 7, 8, 9, 3]]
    assert model.asked == 5
    short = generate(model, torch.tensor([[BEGIN, 5]]), lambda logits: logits.argmax(dim=1), max_length=4)
    assert short.tolist() == [[2, 5, 6, 7]]


def test_a_language_model_is_a_causal_backbone_with_a_position_head():
    backbone = create_backbone("gru", vocab_size=12, width=8)
    network = Network(backbone, PositionHead(backbone.channels, 12)).eval()
    written = generate(network, torch.full((3, 1), BEGIN), lambda logits: logits.argmax(dim=1), 6)
    assert written.shape[0] == 3
    assert written.shape[1] <= 6


class Tagged(Copies):
    """Of one to three tokens each: is it even?"""

    @staticmethod
    def collate(rows):
        tokens, lengths = pad([row[: 1 + row[0] % 3] for row in rows])
        return (tokens, lengths), (tokens % 2).where(tokens != PAD, -100)


@pytest.mark.slow
def test_tags_are_learned_and_their_loss_is_a_mean_over_tokens():
    torch.manual_seed(0)
    backbone = create_backbone("bag", vocab_size=12, width=8)
    task = PositionClassification(Network(backbone, PositionHead(backbone.channels, 2)), 2, lr=0.03)
    fit(task, Tagged(), epochs=10, validate=False)
    data = Tagged()
    measured = evaluate(task, data)
    assert measured["test_accuracy"] == 1
    (tokens, lengths), tags = Tagged.collate(data.test)  # in one batch
    assert measured["test_loss"] == pytest.approx(task.loss(task(tokens, lengths), tags).item(), rel=1e-4)


def test_positions_are_counted_and_padding_is_not():
    torch.manual_seed(0)
    backbone = create_backbone("bag", vocab_size=12, width=8)
    task = PositionClassification(Network(backbone, PositionHead(backbone.channels, 2)), 2)
    logits = torch.tensor([[[5.0, 0.0, 0.0], [0.0, 5.0, 9.0]]])  # says 0, 1, 1
    answers = torch.tensor([[0, 0, -100]])
    expected = nn.functional.cross_entropy(logits, answers)
    torch.testing.assert_close(task.loss(logits, answers), expected)
    assert task.weight(answers) == 2
    task.val_accuracy(task.decide(logits), answers)
    assert task.val_accuracy.compute() == 0.5
