"""Training a network by the benchmark's recipe, resumable to the bit."""

from __future__ import annotations

from knas.training.evaluation import evaluate
from knas.training.recipe import Recipe, cosine_learning_rate
from knas.training.trainer import TrainingResult, train

__all__ = ["Recipe", "TrainingResult", "cosine_learning_rate", "evaluate", "train"]
