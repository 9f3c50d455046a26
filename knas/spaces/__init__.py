"""Search spaces by name: `create("nas-bench-201")` makes one, `names()` lists them."""

from __future__ import annotations

from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.checks import one_of
from knas.spaces.nas_bench_201 import CellArchitecture, NASBench201
from knas.spaces.supernet import Supernet

__all__ = ["Architecture", "CellArchitecture", "NASBench201", "SearchSpace", "Supernet", "create", "names"]

_SPACES: dict[str, type[SearchSpace]] = {space.name: space for space in (NASBench201,)}


def names() -> tuple[str, ...]:
    """Return the names that `create` knows."""
    return tuple(_SPACES)


def create(name: str) -> SearchSpace:
    """Make the search space with a given name.

    Args:
        name: one of `names()`.

    Raises:
        UsageError: if there is no space of that name.

    >>> len(create("nas-bench-201"))
    15625
    """
    return _SPACES[one_of("space", name, _SPACES)]()
