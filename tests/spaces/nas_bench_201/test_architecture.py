from __future__ import annotations

import re

import pytest
import torch

from knas.errors import UsageError
from knas.spaces import CellArchitecture, NASBench201
from knas.spaces.nas_bench_201 import EDGES, OPERATIONS, Edge
from knas.spaces.nas_bench_201.canonical import expression

N, S, C1, C3, P = OPERATIONS


def cell(*operations: str) -> CellArchitecture:
    """A cell from its operations on the edges 01, 02, 12, 03, 13, 23."""
    return CellArchitecture(operations)


def test_edges_name_their_ends() -> None:
    assert cell(C3, N, S, P, C1, S).edges == (
        Edge(0, 1, C3), Edge(0, 2, N), Edge(1, 2, S), Edge(0, 3, P), Edge(1, 3, C1), Edge(2, 3, S),
    )  # fmt: skip


def test_one_edge_is_replaced() -> None:
    start = cell(C3, N, S, P, C1, S)
    assert start.with_operation(2, C1) == cell(C3, N, C1, P, C1, S)
    assert start.with_operation(5, S) == start
    with pytest.raises(UsageError, match="edge must be an integer from 0 to 5, got 6"):
        start.with_operation(6, S)
    with pytest.raises(
        UsageError, match=r"operation must be one of .*got 'skip'; did you mean 'skip_connect'"
    ):
        start.with_operation(0, "skip")


@pytest.mark.parametrize("operations", [(S,) * 5, (S,) * 7, [S] * 6, "none", None])
def test_a_cell_has_six_operations(operations: object) -> None:
    with pytest.raises(UsageError, match="operations must be a tuple of 6 operations, got"):
        CellArchitecture(operations)  # type: ignore[arg-type]


def test_unknown_operations() -> None:
    with pytest.raises(UsageError, match=re.escape("operation must be one of none, skip_connect")):
        cell(S, S, S, S, S, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("architecture", "dead"),
    [
        (cell(C3, C3, C3, C3, C3, C3), ()),
        (cell(C3, N, S, P, C1, S), (1,)),
        (cell(N, C3, S, C3, P, C3), (0, 2, 4)),  # node 1 is zero: so are a skip and a pooling from it
        (cell(N, N, C3, N, N, C3), (0, 1, 3, 4)),  # convolutions of zeros still add their BatchNorm's bias
        (cell(C3, N, C3, S, N, N), (0, 1, 2, 4, 5)),  # nodes 1 and 2 don't reach the output
        (cell(C3, C3, N, S, N, C3), (0, 2, 4)),
        (cell(N, S, C1, S, N, N), (0, 1, 2, 4, 5)),
        (cell(N, N, P, N, S, S), (0, 1, 2, 3, 4, 5)),
    ],
)
def test_dead_edges(architecture: CellArchitecture, dead: tuple[int, ...]) -> None:
    assert architecture.dead_edges() == dead
    assert all(architecture.pruned().operations[edge] == N for edge in dead)


def test_pruning_is_idempotent_everywhere() -> None:
    for architecture in NASBench201():
        pruned = architecture.pruned()  # type: ignore[attr-defined]
        assert pruned.pruned() == pruned
        assert pruned.dead_edges() == tuple(i for i in range(len(EDGES)) if pruned.operations[i] == N)


@pytest.mark.parametrize("training", [True, False])
def test_pruned_cells_compute_the_same(training: bool) -> None:
    """Also after training: BatchNorm weights and biases are set at random."""
    space = NASBench201()
    inputs = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cells = [architecture for architecture in space if len(architecture.dead_edges()) > 2]  # type: ignore[attr-defined]
    for architecture in cells[:: len(cells) // 40]:
        whole, pruned = (
            space.build(a, channels=3, cells_per_stage=1).double().train(training)
            for a in (architecture, architecture.pruned())  # type: ignore[attr-defined]
        )
        values = {
            name: torch.randn(p.shape, generator=torch.Generator().manual_seed(len(name)), dtype=p.dtype)
            for name, p in whole.named_parameters()
        }
        for network in (whole, pruned):
            network.load_state_dict(
                {**network.state_dict(), **{k: values[k] for k, _ in network.named_parameters()}}
            )
        torch.testing.assert_close(whole(inputs), pruned(inputs), rtol=1e-10, atol=1e-10)


def test_isomorphic_cells() -> None:
    space = NASBench201()
    first, second = cell(C1, C3, P, C1, N, S), cell(C1, C3, P, N, S, S)  # node 1 holds what edge 03 computes
    expected = "#+((0)@nor_conv_1x1)@avg_pool_3x3+(0)@nor_conv_3x3+(0)@nor_conv_1x1"
    assert expression(first) == expression(second) == expected
    assert space.canonical(first) == space.canonical(second)
    assert space.canonical(first) != space.canonical(first.with_operation(1, C1))


def test_zeros_and_passed_on_sums_stay_apart_as_in_the_benchmark() -> None:
    space = NASBench201()
    direct, through_a_node = cell(N, N, N, C3, N, N), cell(C3, N, S, N, N, S)
    assert expression(direct) == "#+#+(0)@nor_conv_3x3"
    assert expression(through_a_node) == "#+#+#+(0)@nor_conv_3x3"
    assert space.canonical(direct) != space.canonical(through_a_node)
