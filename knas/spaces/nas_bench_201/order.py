"""The benchmark's numbering of its 15,625 cells.

The benchmark listed all cells lexicographically (operations in the order of `OPERATIONS`, edges in the order
of `EDGES`, the last edge changing fastest) and shuffled that list once with Python's `random.seed(88)`. The
shuffle is written out here, from the Mersenne Twister's bits, since Python promises to keep only those.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

from knas.spaces.nas_bench_201.architecture import EDGES, OPERATIONS, CellArchitecture

SIZE: int = len(OPERATIONS) ** len(EDGES)
_SHUFFLE_SEED = 88


@functools.cache
def codes() -> tuple[int, ...]:
    """Return the lexicographic code of each cell, in the order of the benchmark's numbers."""
    bits = random.Random(_SHUFFLE_SEED).getrandbits
    order = list(range(SIZE))
    for last in range(SIZE - 1, 0, -1):
        chosen = _below(last + 1, bits)
        order[last], order[chosen] = order[chosen], order[last]
    return tuple(order)


@functools.cache
def indices() -> tuple[int, ...]:
    """Return the benchmark's number of each cell, in the order of the lexicographic codes."""
    inverse = [0] * SIZE
    for index, code in enumerate(codes()):
        inverse[code] = index
    return tuple(inverse)


def encode(cell: CellArchitecture) -> int:
    """Return the lexicographic code: the operations' positions as the digits of a number in base 5."""
    code = 0
    for operation in cell.operations:
        code = len(OPERATIONS) * code + OPERATIONS.index(operation)
    return code


def decode(code: int) -> CellArchitecture:
    """Return the cell with a lexicographic code, the inverse of `encode`."""
    digits = []
    for _ in EDGES:
        code, digit = divmod(code, len(OPERATIONS))
        digits.append(OPERATIONS[digit])
    return CellArchitecture(tuple(reversed(digits)))


def _below(limit: int, bits: Callable[[int], int]) -> int:
    """Draw from 0 … limit − 1 by drawing just enough bits until they make a number below the limit."""
    width = limit.bit_length()
    number = bits(width)
    while number >= limit:
        number = bits(width)
    return number
