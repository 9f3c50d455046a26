"""Checks of options that proxies share."""

from __future__ import annotations

from knas.errors import UsageError


def positive(option: str, value: object, least: int) -> None:
    """Raises UsageError unless an option's value is an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{option}: an integer of at least {least} expected, got {value!r}")


def positive_or_none(option: str, value: object) -> None:
    """Raises UsageError unless an option's value is None or an integer of at least 1."""
    if value is not None:
        positive(option, value, 1)
