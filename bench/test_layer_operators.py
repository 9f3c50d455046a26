"""What bandwidth do the fused sampled operators reach, on the layers of the benched networks?

Bytes are those that the drawn entries make necessary: each plane (or feature) of the input and of the output's gradient
that an entry touches, once. On a GPU the calls are replayed as one CUDA graph, so that launching is not what is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import pytest
import torch
from torch import Tensor, nn

from bench.exact import relative
from bench.measure import Measure
from bench.workload import ON_DEVICES, SEED
from knas import native, reference
from knas.gradients import layers_of, random_entries

COPIES = 8  # different inputs in turn: one set alone would stay in the cache
Arguments = tuple[object, ...]


@dataclass(frozen=True)
class Layer:
    """A layer by its module, and the shapes of its input and its output for one sample."""

    operator: str
    module: nn.Module
    input: tuple[int, ...]
    output: tuple[int, ...]

    def entries(self) -> Tensor:
        (layer,) = layers_of(self.module).layers
        return random_entries(50, SEED)(layer)

    def arguments(self, n: int, device: str) -> Arguments:
        """Fresh inputs for the operator."""
        tensors = [torch.randn(n, *shape, device=device) for shape in (self.input, self.output)]
        entries, module = self.entries().to(device), self.module
        if isinstance(module, nn.Conv2d):
            return *tensors, entries, module.kernel_size, module.stride, module.padding, module.dilation, 1
        if self.operator == "affine_gram":
            statistics = (
                torch.zeros(1, self.input[0], device=device),
                torch.ones(1, self.input[0], device=device),
            )
            return *tensors, *statistics, entries
        return *tensors, entries

    def bytes(self, n: int) -> int:
        """What must be read, for float32."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        entries = self.entries()
        of_weight = entries[entries < weight.numel()]
        outputs = entries - weight.numel()
        fan_in = weight[0].numel() // (weight[0, 0].numel() if weight.dim() == 4 else 1)
        taps = weight[0].numel() // fan_in
        rows = torch.cat([of_weight // weight[0].numel(), outputs[outputs >= 0]])
        columns = of_weight // taps % fan_in if weight.dim() > 1 else of_weight
        plane = {"linear_gram": lambda shape: shape[0]}.get(
            self.operator, lambda shape: torch.Size(shape[1:]).numel()
        )
        touched = columns.unique().numel() * plane(self.input) + rows.unique().numel() * plane(self.output)
        return 4 * n * touched

    def operations(self, n: int) -> int:
        """A multiplication and an addition for each entry, position and sample."""
        positions = self.output[0] if self.operator == "linear_gram" else torch.Size(self.output[1:]).numel()
        return 2 * n * positions * self.entries().numel()


def conv(channels: int, side: int, kernel: int) -> Layer:
    shape = (channels, side, side)
    module = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
    return Layer("conv_gram", module, shape, shape)


def affine(channels: int, side: int) -> Layer:
    return Layer("affine_gram", nn.BatchNorm2d(channels), (channels, side * side), (channels, side * side))


LAYERS = {
    "conv_gram, 3x3, 16 x 32 x 32": conv(16, 32, 3),
    "conv_gram, 3x3, 32 x 16 x 16": conv(32, 16, 3),
    "conv_gram, 3x3, 64 x 8 x 8": conv(64, 8, 3),
    "conv_gram, 1x1, 16 x 32 x 32": conv(16, 32, 1),
    "affine_gram, 16 x 32 x 32": affine(16, 32),
    "affine_gram, 64 x 8 x 8": affine(64, 8),
    "linear_gram, 64 tokens, 128 to 512": Layer("linear_gram", nn.Linear(128, 512), (64, 128), (64, 512)),
}


@pytest.mark.parametrize("n", [64, pytest.param(256, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("device", ON_DEVICES)
def test_layer_operator(measure: Measure, device: str, name: str, n: int) -> None:
    layer = LAYERS[name]
    sets = [layer.arguments(n, device) for _ in range(COPIES)]
    operator: Callable[..., Tensor] = getattr(native, layer.operator)
    wide = [a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in sets[0]]
    want = getattr(reference, layer.operator)(*wide)
    turn = cycle(sets)
    calls = 1
    run: Callable[[], Tensor] = lambda: operator(*next(turn))  # noqa: E731
    if device == "cuda":
        run, calls = replay(operator, sets), COPIES
    measure(
        run,
        lambda got: relative(got, want),
        question="layer operators",
        way="knas",
        group=f"{name}, n = {n}, {device}",
        device=device,
        n=n,
        calls=calls,
        bytes=layer.bytes(n),
        flops=layer.operations(n),
    )


def replay(operator: Callable[..., Tensor], sets: list[Arguments]) -> Callable[[], Tensor]:
    """The operator on all sets as one CUDA graph; gives the first result."""
    for arguments in sets:
        operator(*arguments)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = [operator(*arguments) for arguments in sets]

    def run() -> Tensor:
        graph.replay()
        return results[0]

    return run
