"""Reads the arguments of an intercepted function by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def arguments(
    defaults: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Binds a call's arguments to their names; `defaults` holds all names in the function's order."""
    return {**defaults, **dict(zip(defaults, args, strict=False)), **(kwargs or {})}
