"""The CUDA operators against the CPU ones and the plain PyTorch twins in float64; streams, devices, determinism."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from knas import native, reference

pytestmark = pytest.mark.cuda

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-5, torch.float16: 1e-5}
Geometry = tuple[list[int], list[int], list[int], list[int], int]


@dataclass(frozen=True)
class Conv:
    """A convolution, by what `torch.nn.functional.conv*d` takes; tensors are drawn on the CPU."""

    n: int
    channels: tuple[int, int]
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def geometry(self) -> Geometry:
        axes = len(self.kernel)
        return (
            list(self.kernel),
            [self.stride] * axes,
            [self.padding] * axes,
            [self.dilation] * axes,
            self.groups,
        )

    @property
    def parameters(self) -> int:
        return self.channels[1] * (self.channels[0] // self.groups * torch.Size(self.kernel).numel() + 1)

    def tensors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        sizes = zip(self.spatial, self.kernel, strict=True)
        reach = [
            (size + 2 * self.padding - self.dilation * (k - 1) - 1) // self.stride + 1 for size, k in sizes
        ]
        input = torch.randn(self.n, self.channels[0], *self.spatial, generator=generator)
        grad = torch.randn(self.n, self.channels[1], *reach, generator=generator)
        return input.to(dtype), grad.to(dtype)


CONVOLUTIONS = {
    "3x3": Conv(64, (16, 16), (32, 32), (3, 3), padding=1),
    "3x3 stride 2": Conv(33, (16, 32), (32, 32), (3, 3), stride=2, padding=1),
    "1x1": Conv(64, (32, 64), (8, 8), (1, 1)),
    "depthwise": Conv(7, (12, 12), (9, 14), (3, 3), padding=1, groups=12),
    "groups": Conv(4, (6, 9), (5, 6), (3, 3), padding=1, groups=3),
    "dilation": Conv(3, (2, 3), (12, 15), (3, 2), stride=2, padding=3, dilation=3),
    "stride beyond the kernel": Conv(3, (2, 2), (13, 11), (2, 2), stride=5),
    "padding beyond the kernel": Conv(2, (1, 2), (3, 2), (2, 2), padding=5),
    "one sample": Conv(1, (1, 1), (5, 5), (3, 3), padding=1),
    "one position": Conv(3, (4, 3), (3, 3), (3, 3)),
    "1d": Conv(5, (3, 2), (400,), (5,), stride=3, padding=2),
    "3d": Conv(3, (4, 4), (5, 6, 7), (3, 2, 3), stride=2, padding=1, groups=2),
}


def assert_near(got: Tensor, want: Tensor, dtype: torch.dtype) -> None:
    """Within the tolerance of `dtype`, relative to the norm: entries that cancel have no digits of their own."""
    assert got.is_cuda
    assert got.shape == want.shape
    assert (got.cpu().double() - want).norm() <= TOLERANCE[dtype] * want.norm()


def check_layer(layer: str, arguments: tuple[object, ...], dtype: torch.dtype) -> None:
    """`<layer>_sampled_gradients` and `<layer>_gram` on the GPU: right, and the same bits when run again."""
    wide = [a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in arguments]
    there = [a.cuda() if isinstance(a, Tensor) else a for a in arguments]
    sampled: Callable[..., Tensor] = getattr(native, f"{layer}_sampled_gradients")
    fused: Callable[..., Tensor] = getattr(native, f"{layer}_gram")
    want = getattr(reference, f"{layer}_sampled_gradients")(*wide)
    got = sampled(*there)
    assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_near(got, want, dtype)
    assert_near(fused(*there), reference.gram_statistics(want)[:4], dtype)
    assert_near(got, sampled(*arguments).double(), dtype)
    assert torch.equal(sampled(*there), got)
    assert torch.equal(fused(*there), fused(*there))


def draw_entries(parameters: int, s: int = 60) -> Tensor:
    """Sorted blocks of neighbours, single entries, and one twice."""
    generator = torch.Generator().manual_seed(1)
    first = torch.randint(parameters, (s // 10,), generator=generator)
    entries = (first[:, None] + torch.arange(9)).flatten() % parameters
    return torch.cat([entries, entries[:1], torch.tensor([parameters - 1, 0])]).sort().values


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_conv(case: Conv, dtype: torch.dtype) -> None:
    check_layer("conv", (*case.tensors(dtype), draw_entries(case.parameters), *case.geometry), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_conv_whole(case: Conv, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """All gradients by library products, and their Gram matrix."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    input, grad = case.tensors(dtype)
    want = reference.conv_per_sample_gradients(input.double(), grad.double(), *case.geometry)
    there = input.cuda(), grad.cuda(), *case.geometry
    assert_near(native.conv_per_sample_gradients(*there), want, dtype)
    assert_near(native.conv_gram_matrix(*there), reference.gram_matrix(want), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    ("n", "positions", "features"), [(64, 1, (64, 10)), (5, 128, (96, 40)), (3, 2500, (7, 5)), (1, 1, (1, 1))]
)
def test_linear(n: int, positions: int, features: tuple[int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    input, grad = (
        torch.randn(n, positions, features[0]).to(dtype),
        torch.randn(n, positions, features[1]).to(dtype),
    )
    check_layer("linear", (input, grad, draw_entries(features[1] * (features[0] + 1))), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("n", "channels", "positions"), [(64, 16, 1024), (5, 3, 1), (1, 40, 77)])
def test_affine(n: int, channels: int, positions: int, shared: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    input, grad = torch.randn(2, n, channels, positions).to(dtype)
    mean, rstd = torch.randn(1 if shared else n, channels), torch.rand(1 if shared else n, channels) + 0.5
    check_layer("affine", (input, grad, mean, rstd, draw_entries(2 * channels)), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    ("n", "p"), [(1, 1), (2, 3), (5, 2049), (32, 50), (33, 7), (64, 100_003), (130, 999)]
)
def test_gram(n: int, p: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(n, p).to(dtype)
    there, want = vectors.cuda(), reference.gram_matrix(vectors.double())
    gram = native.gram_matrix(there)
    assert_near(gram, want, dtype)
    assert_near(native.gram_statistics(there), reference.gram_statistics(vectors.double()), dtype)
    assert torch.equal(gram, gram.T)
    assert torch.equal(native.gram_matrix(there), gram)
    assert torch.equal(native.gram_statistics(there), native.gram_statistics(there))


def test_mean_survives_cancellation() -> None:
    vectors = torch.randn(2, 100, dtype=torch.float64)
    vectors[1] = -vectors[0] + 1e-7
    got = native.gram_statistics(vectors.cuda())[0].cpu()
    torch.testing.assert_close(got, vectors.mean(0).square().sum(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
def test_empty_vectors(shape: tuple[int, int]) -> None:
    vectors = torch.zeros(shape, device="cuda")
    assert torch.equal(
        native.gram_matrix(vectors).cpu(), torch.zeros(shape[0], shape[0], dtype=torch.float64)
    )
    assert torch.equal(native.gram_statistics(vectors).cpu(), torch.zeros(5, dtype=torch.float64))


@pytest.mark.parametrize(("n", "positions", "s"), [(0, 4, 3), (3, 0, 2), (3, 4, 0)])
def test_empty_layers(n: int, positions: int, s: int) -> None:
    entries = torch.zeros(s, dtype=torch.int64, device="cuda")
    tokens, plane = torch.zeros(n, positions, 2, device="cuda"), torch.zeros(n, 2, positions, device="cuda")
    statistics = torch.ones(1, 2, device="cuda")
    layers = {
        "linear": (tokens, tokens, entries),
        "conv": (plane, plane, entries, (1,), (1,), (0,), (1,), 1),
        "affine": (plane, plane, statistics, statistics, entries),
    }
    for layer, arguments in layers.items():
        assert torch.equal(getattr(native, f"{layer}_sampled_gradients")(*arguments).cpu(), torch.zeros(n, s))
        assert torch.equal(
            getattr(native, f"{layer}_gram")(*arguments).cpu(), torch.zeros(4, dtype=torch.float64)
        )


def test_missing_entries_are_not_numbers() -> None:
    """The host does not read the entries back: one that does not exist gives NaN, and reads no memory."""
    case = CONVOLUTIONS["3x3"]
    input, grad = (t.cuda() for t in case.tensors(torch.float32))
    entries = torch.tensor([0, -1, case.parameters, 2**62], device="cuda")
    got = native.conv_sampled_gradients(input, grad, entries, *case.geometry)
    assert got.isnan().any(0).tolist() == [False, True, True, True]


def test_non_contiguous() -> None:
    case = CONVOLUTIONS["3x3"]
    input, grad = (t.cuda() for t in case.tensors(torch.float32))
    entries = draw_entries(case.parameters).cuda()
    want = native.conv_sampled_gradients(input, grad, entries, *case.geometry)
    strided = (t.transpose(2, 3).contiguous().transpose(2, 3) for t in (input, grad))
    spread = torch.stack([entries, entries], 1)[:, 0]
    assert torch.equal(native.conv_sampled_gradients(*strided, spread, *case.geometry), want)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", ["3x3", "3x3 stride 2", "1x1", "depthwise", "1d", "3d"])
def test_channels_last(name: str, dtype: torch.dtype) -> None:
    """Read as they lie, by kernels of their own; a gradient in the other order is brought into the input's."""
    case = CONVOLUTIONS[name]
    plain = case.tensors(dtype)
    input, grad = (t.movedim(1, -1).contiguous().movedim(-1, 1) for t in plain)
    assert not input.is_contiguous()
    for gradient in (grad, plain[1]):
        check_layer("conv", (input, gradient, draw_entries(case.parameters), *case.geometry), dtype)
    planes = input.flatten(2)
    mean, rstd = torch.randn(1, planes.shape[1]), torch.rand(1, planes.shape[1]) + 0.5
    check_layer("affine", (planes, planes, mean, rstd, draw_entries(2 * planes.shape[1])), dtype)


def grouped_layers(dtype: torch.dtype) -> list[native.SampledLayer]:
    """Every convolution of `CONVOLUTIONS` with a normalization of its input, and two linear layers."""
    layers = []
    for case in CONVOLUTIONS.values():
        input, grad = case.tensors(dtype)
        layers.append(
            native.SampledLayer("conv", (input, grad, draw_entries(case.parameters), *case.geometry))
        )
        planes, channels = input.flatten(2), input.shape[1]
        statistics = torch.zeros(1, channels), torch.ones(1, channels)
        layers.append(
            native.SampledLayer("affine", (planes, planes, *statistics, draw_entries(2 * channels)))
        )
    for positions in (1, 70):
        tokens = torch.randn(5, positions, 12).to(dtype)
        layers.append(native.SampledLayer("linear", (tokens, tokens, draw_entries(156))))
    return [native.SampledLayer(layer.kind, tuple(there(a) for a in layer.arguments)) for layer in layers]


def test_grouped_has_the_bits_of_each_layers_own_launch() -> None:
    layers = [layer for dtype in TOLERANCE for layer in grouped_layers(dtype)]
    want = torch.stack([getattr(native, f"{layer.kind}_gram")(*layer.arguments) for layer in layers])
    got = native.grouped_gram(layers)
    assert torch.equal(got, want)
    assert torch.equal(native.grouped_gram(layers * 3), want.repeat(3, 1))


def test_more_than_2_to_the_31_elements() -> None:
    """Samples beyond the first 2^31 elements, whose offsets need 64 bits."""
    if torch.cuda.mem_get_info()[0] < 8 * 2**30:
        pytest.skip("needs 8 GiB of free GPU memory")
    n, channels, side = 33, 1024, 256
    input = torch.zeros(n, channels, side, side, dtype=torch.float16, device="cuda")  # 33 * 2^26 elements
    input[-1, -1] = 1
    grad = torch.ones(n, 1, side, side, dtype=torch.float16, device="cuda")
    entries = torch.tensor([0, channels - 1, channels], device="cuda")
    got = native.conv_sampled_gradients(input, grad, entries, [1, 1], [1, 1], [0, 0], [1, 1], 1)
    want = torch.zeros(n, 3)
    want[-1, 1], want[:, 2] = side * side, side * side
    assert torch.equal(got.cpu(), want)


def test_a_stream_of_its_own() -> None:
    """The kernels wait for work on the current stream, and only for that."""
    case = CONVOLUTIONS["3x3"]
    input, grad = (t.cuda() for t in case.tensors(torch.float32))
    entries = draw_entries(case.parameters).cuda()
    want = native.conv_gram(input, grad, entries, *case.geometry)
    late = torch.zeros_like(input)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)
        late.copy_(input)
        got = native.conv_gram(late, grad, entries, *case.geometry)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(got, want)


def test_replays_in_a_cuda_graph() -> None:
    """No operator waits for the device or reads from it: all can be captured."""
    case = CONVOLUTIONS["1x1"]
    input, grad = (t.cuda() for t in case.tensors(torch.float32))
    entries = draw_entries(case.parameters).cuda()
    native.conv_gram(input, grad, entries, *case.geometry)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = native.conv_gram(input, grad, entries, *case.geometry)
    input.mul_(2)
    graph.replay()
    assert torch.equal(got, native.conv_gram(input, grad, entries, *case.geometry))


def test_grouped_refuses_a_cuda_graph() -> None:
    tokens, entries = torch.randn(2, 3, 4, device="cuda"), torch.arange(4, device="cuda")
    layers = [native.SampledLayer("linear", (tokens, tokens, entries))]
    native.grouped_gram(layers)
    with pytest.raises(RuntimeError, match="not in a CUDA graph"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        native.grouped_gram(layers)


@pytest.mark.skipif("torch.cuda.device_count() < 2", reason="needs two GPUs")
def test_the_tensors_device_not_the_current_one() -> None:
    vectors = torch.randn(5, 100)
    with torch.cuda.device(0):
        got = native.gram_statistics(vectors.to("cuda:1"))
    assert got.device == torch.device("cuda:1")
    assert_near(got, reference.gram_statistics(vectors.double()), torch.float32)


def there(argument: object) -> object:
    """Tensors, and those in lists, on the GPU."""
    if isinstance(argument, list):
        return [there(item) for item in argument]
    return argument.cuda() if isinstance(argument, Tensor) else argument


def opcheck_arguments() -> dict[str, tuple[object, ...]]:
    plane, entries = torch.randn(3, 2, 5), torch.tensor([0, 1, 3])
    conv = plane, torch.randn(3, 2, 5), entries, [1], [1], [0], [1], 1
    linear = torch.randn(3, 4, 2), torch.randn(3, 4, 2), entries
    affine = plane, plane, torch.zeros(1, 2), torch.ones(1, 2), entries
    layers = {"conv": conv, "linear": linear, "affine": affine}
    return {
        **{f"{layer}_{kind}": a for layer, a in layers.items() for kind in ("sampled_gradients", "gram")},
        "grouped_gram": (
            [conv[0], linear[0], affine[0]],
            [conv[1], linear[1], affine[1]],
            [entries] * 3,
            list(affine[2:4]),
            [0, 1, 2],
            [1, 1, 0, 1, 1],
        ),
        "gram_matrix": (torch.randn(3, 4),),
        "gram_statistics": (torch.randn(3, 4),),
    }


@pytest.mark.parametrize("name", opcheck_arguments())
def test_opcheck(name: str) -> None:
    arguments = tuple(there(a) for a in opcheck_arguments()[name])
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(getattr(torch.ops.knas, name).default, arguments, test_utils=tests)


@pytest.mark.parametrize("layer", ["conv", "linear", "affine"])
def test_devices_must_agree(layer: str) -> None:
    arguments = opcheck_arguments()[f"{layer}_gram"]
    mixed = (arguments[0].cuda(), *arguments[1:])  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match=r"must be on|one device"):
        getattr(native, f"{layer}_gram")(*mixed)


def test_gram_of_rows_far_apart() -> None:
    """The smallest and the largest gradients side by side: each product has its digits."""
    generator = torch.Generator().manual_seed(0)
    magnitudes = torch.tensor([1e-42, 1e-20, 0.0, 1.0, 1e35])[:, None]
    vectors = torch.randn(5, 60, generator=generator) * magnitudes
    want, norms = reference.gram_matrix(vectors.double()), vectors.double().norm(dim=1)
    assert bool(
        ((native.gram_matrix(vectors.cuda()).cpu() - want).abs() <= 1e-5 * norms[:, None] * norms).all()
    )
