"""Networks put together from layers that all cells share: a millisecond each, where building one alone takes twelve.

A layer's first weights depend on its place and shape alone (see `knas.spaces.initialization`), so a network in which
every edge is a 3×3 convolution and one in which every edge is a 1×1 convolution have between them every layer that
any cell's network has, with the weights that it would start with.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from knas.spaces.nas_bench_201.architecture import CONVOLUTIONS, OPERATIONS, CellArchitecture
from knas.spaces.nas_bench_201.network import Cell, CellNetwork
from knas.spaces.nas_bench_201.operations import create_operation


class SharedNetworks:
    """All layers of all cells' networks of one size and seed."""

    def __init__(self, networks: Sequence[CellNetwork]) -> None:
        """Take the layers.

        Args:
            networks: one for each of `CONVOLUTIONS`, in their alphabetical order, with it on every edge.
        """
        self._skeleton = networks[0]
        self._convolutions = [
            dict(zip(sorted(CONVOLUTIONS), blocks, strict=True))
            for blocks in zip(*(network.cells for network in networks), strict=True)
        ]
        plain = (name for name in OPERATIONS if name not in CONVOLUTIONS)
        self._plain = {name: create_operation(name, channels=1) for name in plain}

    def network(self, architecture: CellArchitecture) -> CellNetwork:
        """Return the network of a cell: the same function, layers and layers' names as the one built alone.

        Dead edges are not run. The layers are those of every other network from here.
        """
        dead = architecture.dead_edges()
        return self._skeleton.with_cells(
            Cell(self._operations(architecture, blocks), dead) if isinstance(block, Cell) else block
            for block, blocks in zip(self._skeleton.cells, self._convolutions, strict=True)
        )

    def _operations(self, architecture: CellArchitecture, blocks: dict[str, nn.Module]) -> list[nn.Module]:
        return [
            self._plain[name] if name in self._plain else blocks[name].get_submodule(f"edges.{edge}")
            for edge, name in enumerate(architecture.operations)
        ]
