"""Settings that the text space has and spaces of image networks don't, and what they are unless given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEXT = "text"
"""The name of the space whose networks read sentences."""

TEXT_ONLY = (
    "model",
    "connection",
    "max_length",
    "text_columns",
    "learning_rate",
    "warmup",
    "weight_decay",
    "plain",
)
"""Settings that have no meaning for images; the newer ones, which older runs don't have on disk."""

IMAGES_ONLY = ("channels", "cells_per_stage", "benchmark")
"""Settings that have no meaning for sentences."""

SCORING: Mapping[str, Any] = {
    "model": "roberta-large",
    "connection": "concatenation",
    "initialization": "pretrained",
}
"""What the networks of the text space are built from, unless given."""

FINE_TUNING: Mapping[str, Any] = {
    "samples": 30,  # all of RoBERTa-large's structures
    "top_k": 2,
    "epochs": 10,
    "batch_size": 4,
    "learning_rate": 3e-5,
    "warmup": 0.06,
    "weight_decay": 0.1,
}
"""The paper's numbers for MRPC (section 8); warm-up, weight decay and epochs are RoBERTa's (see `FineTuning`)."""

OF_TASKS: Mapping[str, Mapping[str, Any]] = {"rte": {"top_k": 5, "learning_rate": 2e-5}}
"""What the paper has otherwise, by the last part of a data set's name."""


def fine_tuning_defaults(dataset: str) -> dict[str, Any]:
    """Budget and training of a search on a data set of sentences."""
    return {**SCORING, **FINE_TUNING, **OF_TASKS.get(Path(dataset).name.lower(), {})}
