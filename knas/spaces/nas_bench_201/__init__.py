"""The NAS-Bench-201 space: cells of four nodes and five operations (arXiv 2001.00326)."""

from __future__ import annotations

from knas.spaces.nas_bench_201.architecture import EDGES, OPERATIONS, CellArchitecture, Edge
from knas.spaces.nas_bench_201.network import Cell, CellNetwork
from knas.spaces.nas_bench_201.space import NASBench201
from knas.spaces.nas_bench_201.supernet import SuperCell, SuperNetwork

__all__ = [
    "EDGES",
    "OPERATIONS",
    "Cell",
    "CellArchitecture",
    "CellNetwork",
    "Edge",
    "NASBench201",
    "SuperCell",
    "SuperNetwork",
]
