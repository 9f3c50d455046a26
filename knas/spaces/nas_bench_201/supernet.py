"""Super-networks: the benchmark's skeleton with several operations on each edge, added up with weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from knas.errors import UsageError
from knas.spaces.checks import clipped, one_of
from knas.spaces.nas_bench_201.architecture import EDGES, NODES, OPERATIONS
from knas.spaces.nas_bench_201.network import CellNetwork
from knas.spaces.nas_bench_201.operations import CPU, Linear, ReLUConvBN, create_operation

EdgeWeights = Tensor | Sequence["float | Tensor"]
Weights = Tensor | Sequence[Sequence["float | Tensor"]]
"""What the operations of a cell are multiplied by: [edges, operations of the edge]."""

WEIGHTINGS: dict[str, Callable[[int], float]] = {
    "sum": lambda left: 1.0,
    "mean": lambda left: 1 / left,
    "share": lambda left: 1 / len(OPERATIONS),
}
"""Weights of the operations of an edge on which some number of them is left."""


class MixedEdge(nn.Module):
    """Several operations on one edge: their weighted sum."""

    def __init__(self, names: Sequence[str], channels: int) -> None:
        """Make the operations.

        Args:
            names: some of `OPERATIONS`, at least one.
            channels: channels of input and output.
        """
        super().__init__()
        self.operations = nn.ModuleDict({name: create_operation(name, channels) for name in names})

    def forward(self, inputs: Tensor, weights: EdgeWeights) -> Tensor:
        """Map [n, channels, h, w] to the same shape.

        Args:
            inputs: the value of the node that the edge comes from.
            weights: of the operations, in their order; one that is the number 0 is not run.
        """
        total: Tensor | None = None
        for weight, (name, operation) in zip(weights, self.operations.items(), strict=True):
            if name == "none" or (not isinstance(weight, Tensor) and weight == 0):
                continue
            term = operation(inputs) * weight
            total = term if total is None else total + term
        return inputs * 0.0 if total is None else total


class SuperCell(nn.Module):
    """A cell with several operations on each edge.

    Weights that no call gives are fixed ones.
    """

    def __init__(self, options: Sequence[Sequence[str]], channels: int, weighting: str = "mean") -> None:
        """Make the operations.

        Args:
            options: names of the operations of each edge, in the order of `EDGES`.
            channels: channels of input and output.
            weighting: the fixed weights: `"sum"` (1), `"mean"` (1 / operations left on the edge) or `"share"` (1/5,
                however many are left).
        """
        super().__init__()
        self.edges = nn.ModuleList(MixedEdge(names, channels) for names in options)
        weight = WEIGHTINGS[one_of("weighting", weighting, WEIGHTINGS)]
        self.weights = [[weight(len(names))] * len(names) for names in options]

    def forward(self, inputs: Tensor, weights: Weights | None = None) -> Tensor:
        """Map [n, channels, h, w] to the same shape, with the fixed weights or those given."""
        given = self.weights if weights is None else weights
        nodes = [inputs]
        total: Tensor | None = None
        for (source, target), edge, own in zip(EDGES, self.edges, given, strict=True):
            term = edge(nodes[source], own)
            total = term if total is None else total + term
            if source == target - 1:  # the last edge into this node
                nodes.append(total)
                total = None
        return nodes[NODES - 1]


class SuperNetwork(CellNetwork):
    """The benchmark's skeleton around super-cells, which all take the same weights."""

    def forward(self, inputs: Tensor, weights: Weights | None = None) -> Tensor:
        """Map images to logits [n, num_classes].

        Args:
            inputs: [n, in_channels, h, w].
            weights: of the operations of every cell, such as architecture parameters; None for the fixed ones.
        """
        features = self.stem(inputs)
        for cell in self.cells:
            features = cell(features, weights) if isinstance(cell, SuperCell) else cell(features)
        logits: Tensor = self.classifier(self.pool(self.last(features)).flatten(1))
        return logits


def normalize_by_batch(network: nn.Module) -> None:
    """Let BatchNorm within super-cells normalize with the batch at hand, always, and have no parameters.

    Statistics that are kept, and factors that are learned, would be those of whatever architectures came last.
    """
    for cell in network.modules():
        if isinstance(cell, SuperCell):
            for layer in cell.modules():
                if isinstance(layer, ReLUConvBN):
                    layer.norm = nn.BatchNorm2d(
                        layer.norm.num_features, affine=False, track_running_stats=False, device=CPU
                    )


class LoneCell(nn.Module):
    """One super-cell right on the image, and a classifier: what TE-NAS counts linear regions of."""

    def __init__(self, cell: SuperCell, channels: int, num_classes: int) -> None:
        """Put the layers together.

        Args:
            cell: the cell.
            channels: its channels, and those of the images.
            num_classes: outputs of the classifier.
        """
        super().__init__()
        self.cell = cell
        self.last = nn.Sequential(nn.BatchNorm2d(channels, device=CPU), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = Linear(channels, num_classes, device=CPU)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map images [n, channels, h, w] to logits [n, num_classes]."""
        logits: Tensor = self.classifier(self.pool(self.last(self.cell(inputs))).flatten(1))
        return logits


def check_options(options: Sequence[Sequence[str]]) -> None:
    """Refuse what is no super-network of this space.

    Raises:
        UsageError: there are not six edges, or an operation is unknown.
    """
    if len(options) != len(EDGES):
        raise UsageError(f"supernet must have {len(EDGES)} edges, got {clipped(options)}")
    for names in options:
        for name in names:
            one_of("operation", name, OPERATIONS)
