"""A skip-connection structure as data: its name, its text form, and what each layer of an encoder takes as input."""

from __future__ import annotations

import dataclasses

from knas.errors import UsageError
from knas.spaces.base import Architecture
from knas.spaces.checks import clipped, integer_in_range, one_of

STRUCTURES = ("highway", "look-ahead", "densenet")
"""How the layers of a cell, or the cells, are connected beyond the chain that they form."""

FEWEST, MOST = 2, 11
"""Layers per cell."""

Wiring = tuple[tuple[int, ...], ...]
"""For each layer 1 … depth, whose outputs it takes as its input, in increasing order; 0 is the embeddings."""

FORM = "STRUCTURE:LAYERS_PER_CELL, such as highway:4"


@dataclasses.dataclass(frozen=True)
class SkipStructure(Architecture):
    """One structure of section 8.2 of the KNAS paper (arXiv 2111.13293).

    The layers of an encoder are cut, from the first on, into cells of `layers_per_cell`; what is left over makes a
    last, shorter cell. Layers form a chain. Beyond it, with a cell of layers 1 … c:

    - `highway`: layer c takes the output of layer 1 beside that of layer c − 1.
    - `look-ahead`: layer c takes the outputs of layers 1 … c − 1.
    - `densenet`: layer 1 takes the outputs of all previous cells.

    An output counts once among what a layer takes, so a highway of 2 layers is the plain chain.

    Attributes:
        structure: one of `STRUCTURES`.
        layers_per_cell: 2 … 11.

    Raises:
        UsageError: for another structure, or another number of layers.

    >>> str(SkipStructure("look-ahead", 4))
    'look-ahead:4'
    >>> SkipStructure("look-ahead", 4).wiring(6)
    ((0,), (1,), (2,), (1, 2, 3), (4,), (5,))
    >>> SkipStructure("densenet", 2).wiring(6)
    ((0,), (1,), (2,), (3,), (2, 4), (5,))
    """

    structure: str
    layers_per_cell: int

    def __post_init__(self) -> None:
        one_of("structure", self.structure, STRUCTURES)
        integer_in_range("layers_per_cell", self.layers_per_cell, FEWEST, MOST)

    def __str__(self) -> str:
        """Return the text form, such as `highway:4`."""
        return f"{self.structure}:{self.layers_per_cell}"

    @classmethod
    def parse(cls, text: str) -> SkipStructure:
        """Read the text form.

        Raises:
            UsageError: if the text is malformed.
        """
        if not isinstance(text, str):
            raise _malformed(text, f"a {type(text).__name__} is no text")
        structure, colon, number = text.partition(":")
        if not colon:
            raise _malformed(text, "there is no ':'")
        one_of("structure in the architecture text", structure, STRUCTURES)
        if number not in map(str, range(FEWEST, MOST + 1)):
            raise _malformed(text, f"{clipped(number)} is no number of layers from {FEWEST} to {MOST}")
        return cls(structure, int(number))

    def wiring(self, depth: int) -> Wiring:
        """Return what each layer of an encoder of `depth` layers takes as its input.

        Args:
            depth: L, the encoder's layers.
        """
        return tuple(self._sources(layer, depth) for layer in range(1, depth + 1))

    def _sources(self, layer: int, depth: int) -> tuple[int, ...]:
        size = self.layers_per_cell
        first = layer - (layer - 1) % size
        last = min(first + size - 1, depth)
        found = {layer - 1}
        if self.structure == "densenet" and layer == first:
            found.update(range(size, first, size))
        elif self.structure != "densenet" and layer == last > first:
            found.update((first,) if self.structure == "highway" else range(first, last))
        return tuple(sorted(found))


def _malformed(text: object, what: str) -> UsageError:
    return UsageError(f"architecture text must have the form {FORM}; in {clipped(text)} {what}")
