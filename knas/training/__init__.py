"""Training a network by the benchmark's recipe, or fine-tuning an encoder, resumable to the bit."""

from __future__ import annotations

from knas.training.evaluation import evaluate
from knas.training.fine_tuning import FineTuning, linear_learning_rate
from knas.training.recipe import Recipe, cosine_learning_rate
from knas.training.trainer import TrainingResult, train

__all__ = [
    "FineTuning",
    "Recipe",
    "TrainingResult",
    "cosine_learning_rate",
    "evaluate",
    "linear_learning_rate",
    "train",
]
