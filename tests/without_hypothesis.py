"""A stand-in for Hypothesis where it is not installed: its tests skip, and the others of their files run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


class Anything:
    """Takes the place of every strategy, setting and decorator."""

    def __getattr__(self, name: str) -> Anything:
        return self

    def composite(self, _: Callable[..., Any]) -> Anything:
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return arguments[0] if len(arguments) == 1 and callable(arguments[0]) else self


def skipped(*_: object, **__: object) -> Callable[..., Any]:
    return pytest.mark.skip(reason="Hypothesis is not installed")


def install() -> None:
    """For the time of the collection; PyTorch too asks whether there is a module of that name."""
    module = ModuleType("hypothesis")
    vars(module).update(given=skipped, settings=Anything(), strategies=Anything(), assume=Anything())
    sys.modules.update({"hypothesis": module, "hypothesis.strategies": Anything()})  # type: ignore[dict-item]


def uninstall() -> None:
    if not hasattr(sys.modules.get("hypothesis"), "__file__"):
        sys.modules.pop("hypothesis", None)
        sys.modules.pop("hypothesis.strategies", None)
