"""Which cells are the same network: the benchmark's 6,466 isomorphism classes.

A cell is written as an expression of its input and two cells are isomorphic if the expressions are equal:
a sum's terms are sorted, `skip_connect` is left out, `none` and any operation on a node written as zero are
zero. As in the benchmark, that is as far as it goes: a sum of zeros is not simplified to zero, and a sum that
a skip connection passes on stays one term. 6,466 expressions remain, which is what the NAS-Bench-201 paper
counts; fewer functions are different (see `CellArchitecture.pruned`).
"""

from __future__ import annotations

import functools

from knas.spaces.nas_bench_201 import order
from knas.spaces.nas_bench_201.architecture import NODES, CellArchitecture

_ZERO = "#"
_INPUT = "0"


def expression(cell: CellArchitecture) -> str:
    """Return the cell's output as a sorted expression of its input: equal for isomorphic cells."""
    values = [_INPUT]
    for node in range(1, NODES):
        terms = [_apply(edge.operation, values[edge.source]) for edge in cell.edges if edge.target == node]
        values.append("+".join(sorted(terms)))
    return values[-1]


def _apply(operation: str, value: str) -> str:
    if operation == "none" or value == _ZERO:
        return _ZERO
    return value if operation == "skip_connect" else f"({value})@{operation}"


@functools.cache
def representatives() -> tuple[int, ...]:
    """Return, for each of the benchmark's numbers, the lowest number in its isomorphism class."""
    first: dict[str, int] = {}
    return tuple(
        first.setdefault(expression(order.decode(code)), index) for index, code in enumerate(order.codes())
    )
