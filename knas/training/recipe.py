"""What a training run does: the recipe of NAS-Bench-201, with its numbers as defaults."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from knas.errors import UsageError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


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
        for name, wanted, holds in _RULES:
            value = getattr(self, name)
            if not holds(value):
                raise UsageError(f"recipe: {name} wants {wanted}, got {value!r}")
        if self.nesterov and self.momentum == 0:
            raise UsageError(
                "recipe: nesterov wants a momentum above 0; pass nesterov=False to train without"
            )


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _between(value: object, low: float, high: float) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and low <= value < high  # type: ignore[arg-type, operator]


_RULES: tuple[tuple[str, str, Callable[[object], bool]], ...] = (
    ("epochs", "a whole number of at least 1", lambda value: _whole(value, 1)),
    ("batch_size", "a whole number of at least 2", lambda value: _whole(value, 2)),
    ("learning_rate", "a finite number above 0", lambda value: _between(value, 5e-324, math.inf)),
    ("momentum", "a number from 0 up to but not 1", lambda value: _between(value, 0, 1)),
    ("weight_decay", "a finite number of at least 0", lambda value: _between(value, 0, math.inf)),
    ("label_smoothing", "a number from 0 up to but not 1", lambda value: _between(value, 0, 1)),
    ("crop_padding", "None or a whole number of at least 0", lambda value: value is None or _whole(value, 0)),
    ("precision", f"one of {', '.join(PRECISIONS)}", lambda value: value in PRECISIONS),
    *(
        (name, "True or False", lambda value: isinstance(value, bool))
        for name in ("nesterov", "augment", "record_gram")
    ),
)
assert {name for name, _, _ in _RULES} == {field.name for field in fields(Recipe)}


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
