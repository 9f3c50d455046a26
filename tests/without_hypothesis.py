"""A stand-in for Hypothesis where it is not installed: its tests skip, and the others of their files run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

NAMES = ("hypothesis", "hypothesis.strategies")


class Module(ModuleType):
    """The module and its strategies."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


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
    for name in NAMES:
        sys.modules[name] = Module(name)
    vars(sys.modules["hypothesis"])["given"] = skipped


def uninstall() -> None:
    for name in NAMES:
        if isinstance(sys.modules.get(name), Module):
            del sys.modules[name]
