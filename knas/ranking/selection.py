"""Which architectures are ranked, and which of them stand for their isomorphism class."""

from __future__ import annotations

from collections.abc import Sequence

from knas.errors import UsageError
from knas.search.base import draw_classes, generator
from knas.search.knas import DRAW
from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.checks import clipped


def select(
    space: SearchSpace, wanted: str | int | Sequence[str | int | Architecture], seed: int
) -> dict[Architecture, Architecture]:
    """Find the architectures that are asked for.

    Args:
        space: their space.
        wanted: "all"; how many to draw, each of another isomorphism class; or architectures, as text, indices or
            objects. What comes twice counts once.
        seed: of the draw.

    Returns:
        For each architecture the one that stands for its class.

    Raises:
        UsageError: there is nothing to rank, or something that is no architecture of the space.
    """
    return {architecture: space.canonical(architecture) for architecture in _chosen(space, wanted, seed)}


def _chosen(
    space: SearchSpace, wanted: str | int | Sequence[str | int | Architecture], seed: int
) -> Sequence[Architecture]:
    if isinstance(wanted, str):
        if wanted != "all":
            raise UsageError(
                f"architectures must be 'all', a number to draw, or a list of them, not {clipped(wanted)}"
            )
        return list(space)
    if isinstance(wanted, int):
        if isinstance(wanted, bool) or not 1 <= wanted <= len(space):
            raise UsageError(
                f"samples (--samples) must be between 1 and {len(space):,}, the size of {space.name}, not {wanted}"
            )
        return draw_classes(space, wanted, generator(seed, DRAW))
    if not wanted:
        raise UsageError("architectures: there is nothing to rank; give at least one")
    return [_read(space, one) for one in wanted]


def _read(space: SearchSpace, given: str | int | Architecture) -> Architecture:
    if isinstance(given, Architecture):
        return space.architecture(space.index(given))  # refuses one of another space
    return space.parse(given) if isinstance(given, str) else space.architecture(given)
