"""The tokenizer of a pretrained encoder, and how many tokens the encoder takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from knas.data.text import Tokens
from knas.errors import UsageError
from knas.spaces.text.pretrained import read_configuration, reading, where

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

COUNTED_FROM_PADDING = (
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
"""Encoders whose positions start behind that of padding, so that a table of 514 positions takes 512 tokens."""

USUAL_LENGTH = 512
"""Where neither tokenizer nor configuration tell a limit."""


class Tokenizer:
    """Turns sentences or pairs of them into tokens, cut to what the encoder takes.

    Args:
        model: A Hub id, or a folder.
        max_length: Tokens per sentence or pair, special ones included; None for as many as the encoder takes.

    Raises:
        UsageError: If there is no tokenizer, or `max_length` is out of range.
    """

    def __init__(self, model: str, max_length: int | None = None) -> None:
        self._tokenizer = _read(model)
        most = _most(self._tokenizer, read_configuration(model))
        self.least = self._tokenizer.num_special_tokens_to_add(pair=True) + 2
        if max_length is not None and (
            isinstance(max_length, bool)
            or not isinstance(max_length, int)
            or not self.least <= max_length <= most
        ):
            raise UsageError(
                f"max_length: wanted {self.least} to {most} tokens, what {model} takes, got {max_length!r}"
            )
        self.model, self.max_length = model, max_length or most

    def __call__(self, sentences: Sequence[tuple[str, ...]]) -> tuple[Tokens, int]:
        """Tokenize.

        Args:
            sentences: N tuples of one or two sentences each.

        Returns:
            The tokens, and how many of the N were too long and are cut, the longer sentence of a pair first.
        """
        parts = [list(part) for part in zip(*sentences, strict=True)]
        found = self._tokenizer(*parts, return_attention_mask=False, verbose=False)
        cut = [number for number, ids in enumerate(found["input_ids"]) if len(ids) > self.max_length]
        if cut:
            found = self._tokenizer(
                *parts, return_attention_mask=False, truncation=True, max_length=self.max_length
            )
        lengths = torch.tensor([len(ids) for ids in found["input_ids"]])
        columns = {
            name: torch.tensor([value for row in rows for value in row], dtype=torch.int32)
            for name, rows in found.items()
        }
        padding = {
            "input_ids": self._tokenizer.pad_token_id,
            "token_type_ids": self._tokenizer.pad_token_type_id,
        }
        return Tokens(columns, lengths, {name: padding.get(name, 0) for name in columns}), len(cut)


def _read(model: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with reading(model, "tokenizer"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model, **where(model))
    if tokenizer.pad_token_id is None:
        raise UsageError(f"model: the tokenizer of {model} has no token to fill sentences up with")
    return tokenizer


def _most(tokenizer: PreTrainedTokenizerBase, config: Any) -> int:
    """How many tokens the encoder takes."""
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        told = tokenizer.model_max_length
        return int(told) if told < 1 << 20 else USUAL_LENGTH  # a tokenizer without a limit says 10^30
    if config.model_type in COUNTED_FROM_PADDING:
        positions -= (config.pad_token_id or 0) + 1
    return int(min(positions, tokenizer.model_max_length))
