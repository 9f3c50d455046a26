"""What the numbers of a recipe may be, and the one line that refuses others."""

from __future__ import annotations

import math
from collections.abc import Callable

from knas.errors import UsageError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")

Rule = tuple[str, str, Callable[[object], bool]]
"""A field, what it wants in words, and whether a value is that."""


def whole(value: object, least: int) -> bool:
    """Whether a value is an integer of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def between(value: object, low: float, high: float) -> bool:
    """Whether a value is a finite number from `low` up to but not `high`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and low <= value < high  # type: ignore[arg-type, operator]


COMMON: tuple[Rule, ...] = (
    ("epochs", "a whole number of at least 1", lambda value: whole(value, 1)),
    ("batch_size", "a whole number of at least 2", lambda value: whole(value, 2)),
    ("learning_rate", "a finite number above 0", lambda value: between(value, 5e-324, math.inf)),
    ("weight_decay", "a finite number of at least 0", lambda value: between(value, 0, math.inf)),
    ("label_smoothing", "a number from 0 up to but not 1", lambda value: between(value, 0, 1)),
    ("precision", f"one of {', '.join(PRECISIONS)}", lambda value: value in PRECISIONS),
    ("record_gram", "True or False", lambda value: isinstance(value, bool)),
)
"""Of the fields that all recipes have."""


def check(recipe: object, rules: tuple[Rule, ...]) -> None:
    """Refuse a recipe whose fields break a rule.

    Raises:
        UsageError: The text names the field, what it wants and what came.
    """
    for name, wanted, holds in rules:
        value = getattr(recipe, name)
        if not holds(value):
            raise UsageError(f"recipe: {name} wants {wanted}, got {value!r}")
