"""Heads that answer one token after the other: translation, and the writing of a language model.

A language model needs no head of its own: `PositionHead` says at every position which token comes next, and
`generate` asks it again and again. A translation is longer or shorter than its source, so its head, the
decoder, reads the features through attention while it writes.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..backbone import Backbone, BackboneError, ByStride, Features, Network
from ..data.vocabulary import BEGIN, END, PAD


class AttentionDecoder(nn.Module):
    """A recurrent decoder that looks at all of the source's features before it writes a token.

    Luong, Pham, Manning, Effective Approaches to Attention-based Neural Machine Translation (2015): the
    "general" score of equation 8, the combination of equation 5.

    Attributes:
        attention: (B, S, T) of the last call: how much each written token looked at each source token.
    """

    attention: Tensor | None = None

    def __init__(self, channels: ByStride, vocab_size: int, width: int = 128, bottleneck: bool = False):
        """
        Args:
            channels: the backbone's `.channels`.
            vocab_size: of the target's tokens.
            width: of the decoder's state.
            bottleneck: True takes the attention away: the decoder knows the summary only, as in Sutskever,
                Vinyals, Le, Sequence to Sequence Learning with Neural Networks (2014).
        """
        super().__init__()
        source = channels[1]
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PAD)
        self.start = nn.Linear(source, width)  # the backbone's summary => the first state
        self.cells = nn.GRU(width, width, batch_first=True)
        self.query = nn.Linear(width, source, bias=False)
        self.combine = nn.Linear(source + width, width)
        self.classifier = nn.Linear(width, vocab_size)
        self.bottleneck = bottleneck

    def forward(self, features: Features, target: Tensor | None = None, max_length: int = 64) -> Tensor:
        """Translate or, if the right answer is given, say which token it would have written at each place.

        Args:
            features: {1: (B, C, T)} with a summary (B, C).
            target: int64 (B, S), each row from `<begin>` to `<end>` and then padding: *teacher forcing*.
            max_length: how many tokens it writes at most where there is no target.
        Returns:
            With a target logits (B, vocab_size, S - 1), for the tokens target[:, 1:]; without, the tokens
            that it finds likeliest, one by one, int64 (B, at most max_length), padded after `<end>`.
        """
        if features.summary is None:
            raise BackboneError("these features have no summary to begin with: take a text backbone")
        state = torch.tanh(self.start(features.summary))[None]  # => (1, B, width)
        if target is not None:
            logits, _, self.attention = self._step(features, target[:, :-1], state)
            return logits.transpose(1, 2)
        token = torch.full((len(features.summary), 1), BEGIN, device=state.device)
        written, looks = [], []
        finished = torch.zeros_like(token, dtype=torch.bool)
        while len(written) < max_length and not finished.all():
            logits, state, look = self._step(features, token, state)
            token = logits.argmax(dim=2).where(~finished, PAD)  # (B, 1)
            finished |= token == END
            written.append(token)
            looks.append(look)
        self.attention = torch.cat(looks, dim=1)
        return torch.cat(written, dim=1)

    def _step(self, features: Features, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read tokens (B, S): logits (B, S, vocab_size) of those that follow, state, attention (B, S, T)."""
        maps = features[1]  # (B, C, T)
        states, state = self.cells(self.embedding(tokens), state)
        scores = self.query(states) @ maps / maps.shape[1] ** 0.5  # => (B, S, T)
        if features.mask is not None:
            scores = scores.masked_fill(~features.mask[:, None], -torch.inf)
        attention = scores.softmax(dim=2)
        if self.bottleneck:
            context = features.summary[:, None].expand(-1, states.shape[1], -1)
        else:
            context = attention @ maps.transpose(1, 2)  # => (B, S, C)
        combined = torch.tanh(self.combine(torch.cat([context, states], dim=2)))
        return self.classifier(combined), state, attention


class Translator(Network):
    """A backbone that reads the source with an `AttentionDecoder` that writes the target."""

    head: AttentionDecoder

    def __init__(self, backbone: Backbone, vocab_size: int, width: int = 128, bottleneck: bool = False):
        """
        Args:
            backbone: of the source's tokens.
            vocab_size: see `AttentionDecoder`.
            width: see `AttentionDecoder`.
            bottleneck: see `AttentionDecoder`.
        """
        super().__init__(backbone, AttentionDecoder(backbone.channels, vocab_size, width, bottleneck))

    def forward(self, tokens: Tensor, lengths: Tensor | None = None, target: Tensor | None = None) -> Tensor:
        """Translate, or with a target say how likely it is.

        Args:
            tokens: int64 (B, T), the source.
            lengths: int64 (B,), of the source.
            target: see `AttentionDecoder`.
        Returns:
            See `AttentionDecoder`.
        """
        return self.head(self.backbone(tokens, lengths), target)


@torch.no_grad()
def generate(
    network: nn.Module, prefix: Tensor, choose: Callable[[Tensor], Tensor], max_length: int = 64
) -> Tensor:
    """Write on: ask a language model what comes next, choose, append, ask again.

    Args:
        network: causal; tokens (B, P) -> logits (B, vocab_size, P).
        prefix: int64 (B, P), what is there already, without padding; `<begin>` alone for an empty page.
        choose: logits (B, vocab_size) of the next token -> the token, int64 (B,).
        max_length: of the result, in tokens, the prefix included.
    Returns:
        int64 (B, at most max_length), beginning with the prefix, padded after `<end>`.
    """
    finished = torch.zeros(len(prefix), dtype=torch.bool, device=prefix.device)
    while prefix.shape[1] < max_length and not finished.all():
        lengths = torch.full((len(prefix),), prefix.shape[1], device=prefix.device)
        token = choose(network(prefix, lengths)[:, :, -1]).where(~finished, PAD)
        finished = finished | (token == END)
        prefix = torch.cat([prefix, token[:, None]], dim=1)
    return prefix
