"""Checks of the arguments that spaces and searches take, each with an error that says what was wanted."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable

from knas.errors import UsageError


def clipped(value: object, length: int = 120) -> str:
    """Return a value's `repr` for an error text: one line, shortened in the middle if it is long."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length // 2]}…{text[-length // 2 :]}"


def integer_in_range(argument: str, value: object, low: int, high: int | None = None) -> int:
    """Return `value` as an int in low … high.

    Args:
        argument: the argument's name, for the error text.
        value: any integer, NumPy's included; booleans are refused.
        low: the smallest value allowed.
        high: the largest value allowed, or None for no limit.

    Raises:
        UsageError: if the value is no integer, or outside the range.
    """
    wanted = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < low or (high is not None and number > high):
        raise UsageError(f"{argument} must be {wanted}, got {clipped(value)}")
    return number


def positive_number(argument: str, value: object) -> float:
    """Return `value` as a float above 0.

    Raises:
        UsageError: if the value is no finite number, or not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise UsageError(f"{argument} must be a number above 0, got {clipped(value)}")
    return float(value)


def one_of(argument: str, value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of the allowed names.

    Raises:
        UsageError: if it is not, naming the allowed ones and the nearest.
    """
    names = tuple(allowed)
    if isinstance(value, str) and value in names:
        return value
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"{argument} must be one of {', '.join(names)}, got {clipped(value)}{hint}")
