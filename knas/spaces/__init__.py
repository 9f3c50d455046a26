"""Search spaces by name: `create("nas-bench-201")` makes one, `names()` lists them."""

from __future__ import annotations

import inspect
from typing import Any

from knas.errors import UsageError
from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.checks import one_of
from knas.spaces.nas_bench_201 import CellArchitecture, NASBench201
from knas.spaces.supernet import Supernet
from knas.spaces.text import SkipStructure, TextSpace

__all__ = [
    "Architecture",
    "CellArchitecture",
    "NASBench201",
    "SearchSpace",
    "SkipStructure",
    "Supernet",
    "TextSpace",
    "create",
    "names",
]

_SPACES: dict[str, type[SearchSpace]] = {space.name: space for space in (NASBench201, TextSpace)}


def names() -> tuple[str, ...]:
    """Return the names that `create` knows."""
    return tuple(_SPACES)


def create(name: str, **options: Any) -> SearchSpace:
    """Make the search space with a given name.

    Args:
        name: one of `names()`.
        options: the space's own, such as `model` for `"text"`.

    Raises:
        UsageError: if there is no space of that name, or it has no such option.

    >>> len(create("nas-bench-201"))
    15625
    """
    space = _SPACES[one_of("space", name, _SPACES)]
    for option in options:
        if option not in inspect.signature(space).parameters:
            raise UsageError(f"space {name!r} has no option {option!r}")
    return space(**options)
