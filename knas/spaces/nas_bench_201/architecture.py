"""A cell as data: which operation lies on which edge, its text form, and which edges do nothing."""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

from knas.errors import UsageError
from knas.spaces.base import Architecture
from knas.spaces.checks import clipped, integer_in_range, one_of

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations an edge may carry, in the benchmark's order."""

NODES = 4
"""Node 0 is the cell's input, node 3 its output; every node is the sum of its incoming edges."""

EDGES = tuple((source, target) for target in range(1, NODES) for source in range(target))
"""(source, target) of the six edges, in the order in which the text form writes them."""

CONVOLUTIONS = frozenset(("nor_conv_1x1", "nor_conv_3x3"))
"""The operations with parameters."""

FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


class Edge(NamedTuple):
    """An edge of a cell with the operation that it carries."""

    source: int
    target: int
    operation: str


@dataclasses.dataclass(frozen=True)
class CellArchitecture(Architecture):
    """A cell of the NAS-Bench-201 space.

    Attributes:
        operations: the six operations in the order of `EDGES`.

    Raises:
        UsageError: if there are not six operations, or one is unknown.

    >>> cell = CellArchitecture(("nor_conv_3x3",) + ("skip_connect",) * 5)
    >>> str(cell)
    '|nor_conv_3x3~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|'
    >>> CellArchitecture.parse(str(cell)) == cell
    True
    """

    operations: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.operations, tuple) or len(self.operations) != len(EDGES):
            raise UsageError(
                f"operations must be a tuple of {len(EDGES)} operations, got {clipped(self.operations)}"
            )
        for operation in self.operations:
            if operation not in OPERATIONS:
                one_of("operation", operation, OPERATIONS)

    def __str__(self) -> str:
        """Return the benchmark's text form, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        nodes = (
            "|".join(f"{edge.operation}~{edge.source}" for edge in self.edges if edge.target == node)
            for node in range(1, NODES)
        )
        return "+".join(f"|{node}|" for node in nodes)

    @classmethod
    def parse(cls, text: str) -> CellArchitecture:
        """Read the text form.

        Args:
            text: exactly what `str` writes; nothing may be left out, added or reordered.

        Raises:
            UsageError: saying where the text departs from the form.
        """
        if not isinstance(text, str):
            raise UsageError(f"architecture text must be a string {FORM}, got {type(text).__name__}")
        nodes = text.split("+")
        if len(nodes) != NODES - 1:
            raise _malformed(text, f"there are {len(nodes)} nodes instead of {NODES - 1}")
        parsed = (_parse_node(text, number, node) for number, node in enumerate(nodes, 1))
        return cls(tuple(itertools.chain.from_iterable(parsed)))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The six edges with their operations, in the order of `EDGES`."""
        return tuple(Edge(*ends, operation) for ends, operation in zip(EDGES, self.operations, strict=True))

    def with_operation(self, edge: int, operation: str) -> CellArchitecture:
        """Return the cell that differs in one edge.

        Args:
            edge: the edge's position in `EDGES`, 0 … 5.
            operation: one of `OPERATIONS`.

        Raises:
            UsageError: for another edge or operation.
        """
        edge = integer_in_range("edge", edge, 0, len(EDGES) - 1)
        return CellArchitecture((*self.operations[:edge], operation, *self.operations[edge + 1 :]))

    def dead_edges(self) -> tuple[int, ...]:
        """Return the edges whose removal leaves the cell's function as it is, as positions in `EDGES`.

        An edge is dead if it adds zeros whatever the input and the weights are (`none`, or a skip connection
        or pooling from a node that is always zero), or if everything it reaches ends in such edges. A
        convolution from an always-zero node is alive: its BatchNorm's bias, which is trained, is added.
        """
        adds_zeros = self._edges_that_add_zeros()
        needed = {NODES - 1}
        for edge in sorted(self.edges, key=lambda edge: -edge.target):
            if edge.target in needed and edge not in adds_zeros:
                needed.add(edge.source)
        return tuple(
            position
            for position, edge in enumerate(self.edges)
            if edge in adds_zeros or edge.target not in needed
        )

    def pruned(self) -> CellArchitecture:
        """Return the same function as a cell whose dead edges are all `none`."""
        dead = self.dead_edges()
        return CellArchitecture(
            tuple("none" if i in dead else operation for i, operation in enumerate(self.operations))
        )

    def _edges_that_add_zeros(self) -> set[Edge]:
        found: set[Edge] = set()
        zero_nodes: set[int] = set()
        for node in range(1, NODES):
            incoming = [edge for edge in self.edges if edge.target == node]
            found |= {
                edge
                for edge in incoming
                if edge.operation == "none"
                or (edge.source in zero_nodes and edge.operation not in CONVOLUTIONS)
            }
            if found.issuperset(incoming):
                zero_nodes.add(node)
        return found


def _parse_node(text: str, number: int, node: str) -> list[str]:
    if len(node) < 2 or node[0] != "|" or node[-1] != "|":
        raise _malformed(text, f"node {number}, {clipped(node)}, does not begin and end with '|'")
    inputs = node[1:-1].split("|")
    if len(inputs) != number:
        raise _malformed(text, f"node {number} has {len(inputs)} inputs instead of {number}")
    operations = []
    for source, given in enumerate(inputs):
        operation, tilde, node_text = given.partition("~")
        if not tilde or node_text != str(source):
            raise _malformed(
                text, f"input {source} of node {number} is {clipped(given)} instead of 'op~{source}'"
            )
        operations.append(one_of("operation in the architecture text", operation, OPERATIONS))
    return operations


def _malformed(text: str, what: str) -> UsageError:
    return UsageError(f"architecture text must have the form {FORM}; in {clipped(text)} {what}")
