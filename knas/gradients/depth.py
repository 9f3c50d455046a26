"""The longest path through autograd's graph."""

from __future__ import annotations

from torch import Tensor
from torch.autograd.graph import Node

_COUNTS = "knas.counts"


def count_in_paths(output: Tensor) -> None:
    """Lets what made a tensor count in `longest_path`.

    The mark lies in the graph itself: whoever kept its nodes would keep all activations, by the hooks on them.
    """
    if output.grad_fn is not None:
        _metadata(output.grad_fn)[_COUNTS] = True


def longest_path(root: Tensor) -> int:
    """The most nodes that count on one path from a tensor to the leaves of its graph."""
    if root.grad_fn is None:
        return 0
    lengths: dict[Node, int] = {}
    waiting = [root.grad_fn]
    while waiting:  # no recursion: a graph may be thousands of nodes deep
        node = waiting[-1]
        behind = [other for other, _ in node.next_functions if other is not None]
        if unknown := [other for other in behind if other not in lengths]:
            waiting += unknown
            continue
        waiting.pop()
        lengths[node] = max((lengths[other] for other in behind), default=0) + (_COUNTS in _metadata(node))
    return lengths[root.grad_fn]


def _metadata(node: Node) -> dict[str, object]:
    return node.metadata  # type: ignore[return-value]  # a dictionary, declared as a method
