"""What a training run does: the recipe of NAS-Bench-201, with its numbers as defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Protocol

import torch

from knas.data import Augmentation, Dataset
from knas.errors import UsageError
from knas.training.fields import COMMON, Rule, between, check, whole


class AnyRecipe(Protocol):
    """What a trainer asks of a recipe; the recipes are frozen dataclasses."""

    @property
    def epochs(self) -> int:
        """Passes over the training samples."""
        ...

    @property
    def batch_size(self) -> int:
        """Samples per step, at most."""
        ...

    @property
    def learning_rate(self) -> float:
        """At its highest."""
        ...

    @property
    def label_smoothing(self) -> float:
        """Share of a target that is spread over all classes."""
        ...

    @property
    def precision(self) -> str:
        """Of the network's arithmetic."""
        ...

    @property
    def record_gram(self) -> bool:
        """Whether to record the Gram matrix of the loss gradients after each epoch."""
        ...

    def optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """What moves the parameters."""
        ...

    def learning_rate_at(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate of a step."""
        ...

    def augmentation(self, dataset: Dataset) -> Augmentation | None:
        """What is done to the training samples."""
        ...


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with a cosine schedule, as in NAS-Bench-201 (arXiv 2001.00326, Table 1).

    The benchmark trains for 12 or 200 epochs; 20 is what KNAS trains its candidates for.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per step, at most. An epoch is cut into as few batches as that allows, whose
            sizes differ by one at most: 1,600 images make 7 batches of 228 or 229, and no small last one that
            would upset batch normalization.
        learning_rate: At the start. It falls to 0 along a cosine, one step per epoch as in the benchmark.
        momentum: Of the gradient.
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: On every parameter.
        label_smoothing: Share of a target that is spread over all classes.
        augment: Whether to crop at random and, where the data set allows it, mirror the training images.
        crop_padding: Border of the random crop in pixels; None for an eighth of the image's height: 4 at
            32 pixels and 2 at 16 as in the benchmark, 1 at 8.
        precision: Of the network's arithmetic; the weights are float32. "auto" takes bfloat16 where the
            hardware is faster in it (CPUs with AMX, GPUs from compute capability 8.0 on), float16 with a scaled
            loss on older GPUs, else float32.
        record_gram: Whether to record the mean and the coherence of the Gram matrix of the loss gradients
            after each epoch.
    """

    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    augment: bool = True
    crop_padding: int | None = None
    precision: str = "auto"
    record_gram: bool = False

    def __post_init__(self) -> None:
        check(self, RULES)
        if self.nesterov and self.momentum == 0:
            raise UsageError(
                "recipe: nesterov wants a momentum above 0; pass nesterov=False to train without"
            )

    def optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """What moves those parameters of a model that require a gradient."""
        return torch.optim.SGD(
            [parameter for parameter in model.parameters() if parameter.requires_grad],
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def learning_rate_at(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate of a step: that of its epoch. All are counted from 0; an epoch has `steps` of them."""
        return cosine_learning_rate(self.learning_rate, epoch, self.epochs)

    def augmentation(self, dataset: Dataset) -> Augmentation | None:
        """What is done to the training images of a data set."""
        return dataset.augmentation(self.crop_padding) if self.augment else None


RULES: tuple[Rule, ...] = (
    *COMMON,
    ("momentum", "a number from 0 up to but not 1", lambda value: between(value, 0, 1)),
    ("crop_padding", "None or a whole number of at least 0", lambda value: value is None or whole(value, 0)),
    *((name, "True or False", lambda value: isinstance(value, bool)) for name in ("nesterov", "augment")),
)
assert {name for name, _, _ in RULES} == {field.name for field in fields(Recipe)}


def cosine_learning_rate(learning_rate: float, epoch: int, epochs: int) -> float:
    r"""The learning rate of an epoch, :math:`\frac{\eta}{2} (1 + \cos(\pi e / E))`, as NAS-Bench-201 has it.

    Args:
        learning_rate: :math:`\eta`, that of the first epoch.
        epoch: :math:`e`, counted from 0.
        epochs: :math:`E`, how many there are; the rate would be 0 at epoch :math:`E`.

    Returns:
        The learning rate.
    """
    return learning_rate / 2 * (1 + math.cos(math.pi * epoch / epochs))
