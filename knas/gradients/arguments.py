"""Reads the arguments of an intercepted function by their names, and checks those that are names themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knas.errors import UsageError


def arguments(
    defaults: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Binds a call's arguments to their names; `defaults` holds all names in the function's order."""
    return {**defaults, **dict(zip(defaults, args, strict=False)), **(kwargs or {})}


def one_of(option: str, value: object, allowed: Sequence[str]) -> None:
    """Raises UsageError unless an option's value is one of the allowed names."""
    if value not in allowed:
        raise UsageError(f"{option}: one of {', '.join(allowed)} expected, got {value!r}")
