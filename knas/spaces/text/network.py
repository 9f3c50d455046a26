"""The classifier of a space's networks: an encoder, and a head on the state of its first token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import skip_init


class FirstTokenHead(nn.Module):
    """RoBERTa's classification head, as released: W_2 tanh(W_1 h + b_1) + b_2, with dropout before each W.

    Its weights are left unset.

    Args:
        width: d, of the state h.
        num_classes: outputs.
        dropout: probability.
    """

    def __init__(self, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dense, self.dropout = skip_init(nn.Linear, width, width), nn.Dropout(dropout)
        self.output = skip_init(nn.Linear, width, num_classes)

    def forward(self, states: Tensor) -> Tensor:  # [n, t, d]
        """Return logits [n, num_classes]."""
        hidden = self.dense(self.dropout(states[:, 0])).tanh()
        logits: Tensor = self.output(self.dropout(hidden))
        return logits


class TextNetwork(nn.Module):
    """A classifier of sentences, or of pairs of them.

    Args:
        encoder: one of transformers' models without a head; its layers may be a `Chain`.
        head: what makes logits of its last states.
    """

    def __init__(self, encoder: nn.Module, head: FirstTokenHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, inputs: Mapping[str, Any] | None = None, **more: Any) -> Tensor:
        """Return logits [n, num_classes].

        Args:
            inputs: what a tokenizer gives: `input_ids` [n, t], `attention_mask` [n, t], and where the encoder takes
                them `token_type_ids` [n, t].
            more: the same as keyword arguments.
        """
        states: Tensor = self.encoder(**{**(inputs or {}), **more})[0]
        logits: Tensor = self.head(states)
        return logits
