"""Super-networks against the networks of single cells, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from knas import spaces
from knas.errors import UsageError
from knas.gradients import layers_of
from knas.spaces import Supernet
from knas.spaces.nas_bench_201 import EDGES, OPERATIONS, SuperCell, SuperNetwork

SIZES = {"num_classes": 4, "channels": 4, "cells_per_stage": 1}
WHOLE = Supernet((OPERATIONS,) * len(EDGES))


def images() -> torch.Tensor:
    return torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def copy_weights(supernet: nn.Module, network: nn.Module, operations: tuple[str, ...]) -> None:
    """Gives a cell's network the weights that a super-network has in its place."""
    for cell, source in zip(network.cells, supernet.cells, strict=True):
        if isinstance(source, SuperCell):
            for edge, mixed, name in zip(cell.edges, source.edges, operations, strict=True):
                edge.load_state_dict(mixed.operations[name].state_dict())
        else:
            cell.load_state_dict(source.state_dict())
    for part in ("stem", "last", "classifier"):
        getattr(network, part).load_state_dict(getattr(supernet, part).state_dict())


@pytest.mark.parametrize("index", [0, 1, 5, 77])
@pytest.mark.parametrize("weighting", ["sum", "mean"])
def test_decided_it_is_the_cells_network(index: int, weighting: str) -> None:
    space = spaces.create("nas-bench-201")
    cell = space.architecture(index)
    decided = Supernet(tuple((name,) for name in cell.operations))
    assert decided.decided
    supernet = space.build_supernet(decided, seed=3, weighting=weighting, **SIZES)
    network = space.build(cell, **SIZES)
    copy_weights(supernet, network, cell.operations)
    torch.testing.assert_close(supernet(images()), network(images()))


def test_weights_pick_a_cell_out_of_the_whole() -> None:
    space = spaces.create("nas-bench-201")
    cell = space.architecture(1)
    supernet = space.build_supernet(WHOLE, **SIZES)
    network = space.build(cell, **SIZES)
    copy_weights(supernet, network, cell.operations)
    picked = [[float(name == operation) for name in OPERATIONS] for operation in cell.operations]
    torch.testing.assert_close(supernet(images(), picked), network(images()))
    weights = torch.tensor(picked, requires_grad=True)
    output = supernet.eval()(images(), weights)
    output.sum().backward()
    assert weights.grad is not None
    assert weights.grad.abs().sum(1).count_nonzero() == len(EDGES)


def test_edge_is_the_weighted_sum_of_what_is_left() -> None:
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(1))
    left = (("skip_connect", "avg_pool_3x3"),) * 6
    for weighting, weight in (("sum", 1.0), ("mean", 0.5), ("share", 0.2)):
        edge = SuperCell(left, 4, weighting).edges[0]
        want = weight * (x + nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False))
        torch.testing.assert_close(edge(x, [weight] * 2), want)
        assert SuperCell(left, 4, weighting).weights == [[weight] * 2] * 6


def test_pruning_changes_no_other_weight() -> None:
    space = spaces.create("nas-bench-201")
    whole = dict(space.build_supernet(WHOLE, seed=5, **SIZES).named_parameters())
    pruned = dict(space.build_supernet(WHOLE.without(2, "nor_conv_3x3"), seed=5, **SIZES).named_parameters())
    assert len(pruned) == len(whole) - 9
    assert all(torch.equal(value, whole[name]) for name, value in pruned.items())


def test_lone_cell_takes_images_of_its_own_channels() -> None:
    space = spaces.create("nas-bench-201")
    lone = space.build_supernet(WHOLE, num_classes=4, channels=1, lone_cell=True)
    assert lone(torch.randn(7, 1, 3, 3)).shape == (7, 4)
    convolutions = [layer for layer in layers_of(lone).layers if layer.kind == "Convolution"]
    assert len(convolutions) == 2 * len(EDGES)


def test_supernet_as_data() -> None:
    supernet = WHOLE.without(0, "none").only(3, "skip_connect")
    assert supernet.undecided == (0, 1, 2, 4, 5)
    assert str(supernet).split(";")[3] == "skip_connect"
    assert len({WHOLE, WHOLE.without(0, "none"), WHOLE.without(0, "none")}) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WHOLE.without(6, "none"), "decision must be an integer from 0 to 5"),
        (lambda: WHOLE.only(0, "conv"), "option of decision 0 must be one of none"),
        (lambda: WHOLE.only(0, "none").without(0, "none"), "none is left of decision 0"),
        (lambda: build(Supernet((("none",),))), "supernet must have 6 edges"),
        (lambda: build(Supernet((("conv",),) * 6)), "operation must be one of none"),
        (lambda: build(WHOLE, weighting="softmax"), "weighting must be one of sum, mean, share"),
        (lambda: build(WHOLE, channels=0), "channels must be an integer of at least 1"),
    ],
)
def test_refused(call, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def build(supernet: Supernet, **options: object) -> SuperNetwork:
    return spaces.create("nas-bench-201").build_supernet(supernet, **options)
