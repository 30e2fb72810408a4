"""Text backbones: tokens in, one feature vector per token out, and a summary of the whole text.

    backbone = create_backbone("gru", vocab_size=len(vocabulary), width=64, bidirectional=True)
    tokens, lengths = vocabulary.batch(["a fine film", "dull"])     # (2, 3), (2,)
    features = backbone(tokens, lengths)                            # {1: (2, 128, 3)}
    features.mask, features.summary                                 # (2, 3) real or padding, (2, 128)

    "rnn", "lstm", "gru"    recurrent: one token after the other
    "transformer"           all tokens at once, by attention
    "bag"                   each token by itself, without any order: the control

MiniLM, which was trained on a billion pairs of sentences, is in `minilm.py`.
"""

import math
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .backbone import Backbone, BackboneError, ByStride, Features, register
from .data.vocabulary import PAD
from .weights import check_fit, read_weights


class TokenError(BackboneError):
    """Tokens or lengths cannot be read; the message says what to do."""


def check_tokens(tokens: Any, lengths: Any = None, vocab_size: int | None = None) -> Tensor:
    """Say which positions are real, or what is wrong with a batch of texts.

    Args:
        tokens: int64 (B, T), padded with 0 at the end.
        lengths: int64 (B,), how many tokens of each row are real, 1 to T; None: up to the last that is not 0.
        vocab_size: ids have to be below it; None: not checked.
    Returns:
        bool (B, T), True where a token is real.
    Raises:
        TokenError: a sentence about the first thing that is wrong.
    """
    if not isinstance(tokens, Tensor):
        raise TokenError(
            f"tokens are a {type(tokens).__name__}: vocabulary.batch([text, ...]) makes a tensor of texts"
        )
    if tokens.ndim != 2 or not tokens.shape[1] or tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise TokenError(
            f"tokens have shape {tuple(tokens.shape)} and type {tokens.dtype}: whole numbers (B, T) are "
            "needed, one row per text; tokens[None] makes a batch of one text"
        )
    if tokens.is_meta:  # numbers that do not exist cannot be wrong; costs are counted without padding
        return torch.ones(tokens.shape, dtype=torch.bool, device=tokens.device)
    positions = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    if lengths is None:
        lengths = (positions * (tokens != PAD)).amax(dim=1)
    if not isinstance(lengths, Tensor) or lengths.shape != tokens.shape[:1] or lengths.is_floating_point():
        shape = getattr(lengths, "shape", None)
        what = type(lengths).__name__ if shape is None else f"{lengths.dtype} of shape {tuple(shape)}"
        raise TokenError(f"lengths are {what}: one whole number per text is needed, shape ({len(tokens)},)")
    lengths = lengths.to(tokens.device)
    if len(tokens) and not 1 <= int(lengths.min()) <= int(lengths.max()) <= tokens.shape[1]:
        row = int(((lengths < 1) | (lengths > tokens.shape[1])).int().argmax())
        raise TokenError(
            f"row {row} has length {int(lengths[row])}, but lengths are from 1 to {tokens.shape[1]} here: "
            "leave an empty text out, or give it one token (id 1, unknown)"
        )
    if vocab_size is not None and tokens.numel():
        low, high = map(int, tokens.aminmax())
        if low < 0 or high >= vocab_size:
            raise TokenError(
                f"token {low if low < 0 else high} is outside 0 to {vocab_size - 1}: this backbone was built "
                f"with vocab_size={vocab_size}; take the vocabulary that it was built for"
            )
    return positions <= lengths[:, None]


class SequenceBackbone(Backbone):
    """What text backbones share: an embedding, and a mask that keeps padding out. A subclass has `read`.

    Attributes:
        embedding: token -> vector.
        channels: {1: C}.
    """

    def __init__(self, name: str, vocab_size: int, width: int, channels: int, dropout: float = 0.0):
        """
        Args:
            name: as for `create_backbone`.
            vocab_size: how many different tokens there are, padding (0) included.
            width: numbers per token after the embedding.
            channels: C, numbers per token in the end.
            dropout: the share of numbers that training sets to zero, 0 <= dropout < 1.
        """
        super().__init__()
        self.name, self.channels = name, ByStride({1: channels})
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)

    def read(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """One feature vector per token.

        Args:
            vectors: (B, T, width), the embedded tokens.
            mask: bool (B, T), True where a token is real.
        Returns:
            (B, T, C), anything at padded positions, and a summary (B, C); None for the mean over real tokens.
        """
        raise NotImplementedError(f"{type(self).__name__} has to say how it reads")

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Features:
        """Compute the features of a batch of texts. Padding never changes the feature of a real token.

        Args:
            tokens: int64 (B, T), padded with 0 at the end.
            lengths: int64 (B,), from 1 to T; None: up to the last token that is not 0.
        Returns:
            {1: (B, C, T)}, 0 at padded positions, with `size` (T,), `mask` (B, T) and `summary` (B, C).
        Raises:
            TokenError: see `check_tokens`.
        """
        mask = check_tokens(tokens, lengths, self.embedding.num_embeddings)
        states, summary = self.read(self.dropout(self.embedding(tokens)), mask)  # => (B, T, C)
        return features_of(states, mask, summary)


def features_of(states: Tensor, mask: Tensor, summary: Tensor | None = None) -> Features:
    """What `read` found as features, with 0 at padded positions.

    Args:
        states: (B, T, C).
        mask: bool (B, T), True where a token is real.
        summary: (B, C); None for the mean over real tokens.
    """
    states = states.where(mask[..., None], 0)
    if summary is None:
        summary = states.sum(dim=1) / mask.sum(dim=1, keepdim=True)
    return Features({1: states.transpose(1, 2)}, mask.shape[1:], mask, summary)


class Recurrent(SequenceBackbone):
    """RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014), by torch.

    The summary is the state after the last real token; read in both directions, with that after the first.
    """

    KINDS: ClassVar = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}

    def __init__(
        self,
        name: str,
        vocab_size: int,
        width: int = 128,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ):
        """
        Args:
            name: "rnn", "lstm" or "gru".
            vocab_size: see `SequenceBackbone`.
            width: numbers per token, after the embedding and in each direction.
            layers: each reads the features of the one below.
            bidirectional: True reads a second time from the end; C is then twice `width`.
            dropout: after the embedding and between layers.
        """
        super().__init__(name, vocab_size, width, width * (2 if bidirectional else 1), dropout)
        self.cells = self.KINDS[name](
            width,
            width,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )

    def read(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if vectors.is_meta or bool(mask.all()):
            states, last = self.cells(vectors)
        else:  # packed: the second direction begins at each row's last real token
            lengths = mask.sum(dim=1).cpu()
            packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
            packed, last = self.cells(packed)
            states, _ = pad_packed_sequence(packed, batch_first=True, total_length=mask.shape[1])
        if isinstance(last, tuple):
            last, _ = last  # an LSTM's memory cell stays inside
        directions = 2 if self.cells.bidirectional else 1
        return states, last[-directions:].transpose(0, 1).flatten(
            1
        )  # (layers x directions, B, width) => (B, C)


class Transformer(SequenceBackbone):
    """Layers of self-attention (Vaswani et al. 2017, with the norm before each part), by torch."""

    def __init__(
        self,
        name: str,
        vocab_size: int,
        width: int = 128,
        layers: int = 2,
        num_heads: int = 4,
        dropout: float = 0.1,
        causal: bool = False,
        max_length: int = 512,
    ):
        """
        Args:
            name: "transformer".
            vocab_size: see `SequenceBackbone`.
            width: C, numbers per token; a multiple of `num_heads`.
            layers: how many, one behind the other.
            num_heads: of attention, per layer.
            dropout: the share of numbers that training sets to zero.
            causal: True lets every token see itself and what comes before, as a language model must.
            max_length: of a text, in tokens; each position has a vector of its own.
        """
        super().__init__(name, vocab_size, width, width, dropout)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.position, self.causal = nn.Parameter(torch.randn(max_length, width) * width**-0.5), causal
        layer = nn.TransformerEncoderLayer(
            width, num_heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def read(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, None]:
        length = vectors.shape[1]
        if length > len(self.position):
            raise TokenError(
                f"a text of {length} tokens is longer than max_length={len(self.position)}: cut it, or build "
                "the backbone with a larger max_length"
            )
        later = nn.Transformer.generate_square_subsequent_mask(length, device=vectors.device)
        states = self.encoder(
            (vectors + self.position[:length]) * math.sqrt(self.position.shape[1]),
            mask=(later < 0) if self.causal else None,
            src_key_padding_mask=None if vectors.is_meta or bool(mask.all()) else ~mask,
        )
        return states, None


class Bag(SequenceBackbone):
    """No order at all: a token's feature is its embedding, the summary is their mean."""

    def __init__(self, name: str, vocab_size: int, width: int = 128, dropout: float = 0.0):
        """
        Args:
            name: "bag".
            vocab_size: see `SequenceBackbone`.
            width: C, numbers per token.
            dropout: see `SequenceBackbone`.
        """
        super().__init__(name, vocab_size, width, width, dropout)

    def read(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, None]:
        return vectors, None


def _build(name: str, weights: str | Path | None = None, **options: Any) -> SequenceBackbone:
    backbone = BACKBONES[name](name, **options)
    if weights is not None:
        if weights in ("imagenet", "bundled"):
            raise BackboneError(
                f"{name!r} comes without weights: weights=None, or the path of a file that you saved; "
                'create_backbone("minilm", weights="bundled") has learned from text'
            )
        state = read_weights(weights)
        check_fit(state, {key: value.shape for key, value in backbone.state_dict().items()}, name)
        backbone.load_state_dict(state)
    return backbone


BACKBONES: dict[str, type[SequenceBackbone]] = {
    "rnn": Recurrent,
    "lstm": Recurrent,
    "gru": Recurrent,
    "transformer": Transformer,
    "bag": Bag,
}
for _name in BACKBONES:
    register(_name, partial(_build, _name))
