"""Small encoders of each family with random weights, as folders that transformers reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed: pip install 'knas[text]'"
)

WIDTH, VOCABULARY, LENGTH = 16, 50, 24

_SIZES = {
    "hidden_size": WIDTH,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": LENGTH + 2,
}

FAMILIES = {
    "roberta": lambda depth: transformers.RobertaConfig(**_SIZES, num_hidden_layers=depth, type_vocab_size=1),
    "bert": lambda depth: transformers.BertConfig(**_SIZES, num_hidden_layers=depth),
    "distilbert": lambda depth: transformers.DistilBertConfig(
        dim=WIDTH,
        n_heads=2,
        hidden_dim=24,
        vocab_size=VOCABULARY,
        max_position_embeddings=LENGTH,
        n_layers=depth,
    ),
    "mpnet": lambda depth: transformers.MPNetConfig(**_SIZES, num_hidden_layers=depth),
    "electra": lambda depth: transformers.ElectraConfig(**_SIZES, num_hidden_layers=depth, embedding_size=8),
}
"""The configuration of each family by depth."""

TAKES_TYPES = {"bert", "electra"}
"""The families whose tokenizers tell the first from the second sentence."""


def encoder(family: str, depth: int = 3) -> nn.Module:
    """Return a model without a head."""
    return _drawn(transformers.AutoModel, FAMILIES[family](depth))


def classifier(family: str, depth: int = 2, attention: str = "eager") -> nn.Module:
    """Return a family's own classifier of two classes."""
    config = FAMILIES[family](depth)
    config._attn_implementation = attention
    return _drawn(transformers.AutoModelForSequenceClassification, config)


def _drawn(kind: type, config: object) -> nn.Module:
    """Return a model with weights that leave nothing at zero, biases and normalizations included."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model: nn.Module = kind.from_config(config)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
    return model


def save(folder: Path, family: str, depth: int = 3) -> str:
    """Write an encoder into a folder and return the folder's name."""
    encoder(family, depth).save_pretrained(folder)
    return str(folder)


def sentences(family: str, lengths: list[int], width: int | None = None, seed: int = 0) -> dict[str, Tensor]:
    """Return random tokens [n, width] as a tokenizer of the family gives them, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    padding = FAMILIES[family](1).pad_token_id
    ids = torch.full((len(lengths), width or max(lengths)), padding)
    mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(2, VOCABULARY, (length,), generator=generator)
        mask[row, :length] = 1
        types[row, length // 2 : length] = 1
    found = {"input_ids": ids, "attention_mask": mask}
    return {**found, "token_type_ids": types} if family in TAKES_TYPES else found
