"""The CUDA operators without a GPU: `csrc/cuda_*.cpp`, their launchers and kernels, emulated on CPU tensors.

Slow (`-m slow`): compiles for half a minute, then runs one CPU thread per CUDA thread.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import knas
from knas import native, reference

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
OPERATORS = [
    f"{layer}_{kind}" for layer in ("conv", "linear", "affine") for kind in ("sampled_gradients", "gram")
]
DTYPES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-5, torch.float16: 1e-5}


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> object:
    """torch.ops.knas_emulated, with the schemas of torch.ops.knas."""
    pytest.importorskip("ninja")
    from torch.utils import cpp_extension

    library = torch.library.Library("knas_emulated", "DEF")
    for name in [*OPERATORS, "grouped_gram", "gram_matrix", "gram_statistics"]:
        schema = str(getattr(torch.ops.knas, name).default._schema)
        library.define(schema.removeprefix("knas::"))
    native_tests = ROOT / "tests" / "native"
    cpp_extension.load(
        "knas_emulated",
        [str(native_tests / "emulation" / "operators.cpp")],
        extra_cflags=["-O2"],
        extra_include_paths=[str(p) for p in (native_tests / "emulation", native_tests, ROOT / "csrc")],
        build_directory=str(tmp_path_factory.mktemp("emulated")),
        is_python_module=False,
    )
    yield torch.ops.knas_emulated
    library._destroy()


def assert_near(got: Tensor, want: Tensor, dtype: torch.dtype) -> None:
    assert got.shape == want.shape
    assert (got.double() - want).norm() <= DTYPES[dtype] * want.norm()


def check_layer(emulated: object, layer: str, arguments: tuple[object, ...], dtype: torch.dtype) -> None:
    """Both operators of a layer: values of the float64 twin, and the type of the CPU operator."""
    wide = [a.double() if isinstance(a, Tensor) and a.is_floating_point() else a for a in arguments]
    want = getattr(reference, f"{layer}_sampled_gradients")(*wide)
    got = getattr(emulated, f"{layer}_sampled_gradients")(*arguments)
    assert got.dtype == getattr(native, f"{layer}_sampled_gradients")(*arguments).dtype
    assert_near(got, want, dtype)
    fused = getattr(emulated, f"{layer}_gram")(*arguments)
    assert fused.dtype == torch.float64
    assert_near(fused, reference.gram_statistics(want)[:4], dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_conv(emulated: object, axes: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    input, grad = torch.randn(5, 4, *[9] * axes).to(dtype), torch.randn(5, 6, *[5] * axes).to(dtype)
    entries = torch.arange(6 * (2 * 3**axes + 1))[::3].contiguous()[:60]
    geometry = [3] * axes, [2] * axes, [1] * axes, [1] * axes, 2
    check_layer(emulated, "conv", (input, grad, entries, *geometry), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("positions", [1, 70])
def test_linear(emulated: object, positions: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    input, grad = torch.randn(5, positions, 7).to(dtype), torch.randn(5, positions, 6).to(dtype)
    check_layer(emulated, "linear", (input, grad, torch.arange(48)), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("statistics", [1, 5])
def test_affine(emulated: object, statistics: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    input, grad = torch.randn(2, 5, 6, 50).to(dtype)
    mean, rstd = torch.randn(statistics, 6), torch.rand(statistics, 6) + 0.5
    check_layer(emulated, "affine", (input, grad, mean, rstd, torch.arange(12)), dtype)


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_channels_last(emulated: object, axes: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    input, grad = torch.randn(5, 4, *[9] * axes).to(dtype), torch.randn(5, 6, *[5] * axes).to(dtype)
    entries = torch.arange(6 * (2 * 3**axes + 1))[::3].contiguous()[:40]
    geometry = [3] * axes, [2] * axes, [1] * axes, [1] * axes, 2
    for gradient in (channels_last(grad), grad):
        check_layer(emulated, "conv", (channels_last(input), gradient, entries, *geometry), dtype)
    planes = channels_last(input).flatten(2)
    statistics = torch.randn(1, 4), torch.rand(1, 4) + 0.5
    check_layer(emulated, "affine", (planes, planes, *statistics, torch.arange(8)), dtype)


@pytest.mark.parametrize("shift", [0, 1])
def test_conv_in_windows(emulated: object, shift: int) -> None:
    """A planes' width of whole windows; addresses that are no multiple of 16 bytes take the other kernel."""
    torch.manual_seed(0)
    storage = torch.randn(2, 3 * 4 * 8 * 8 + 1)
    input, grad = (part[shift : shift + 3 * 4 * 8 * 8].view(3, 4, 8, 8) for part in storage)
    geometry = [3, 3], [1, 1], [1, 1], [1, 1], 1
    check_layer(emulated, "conv", (input, grad, torch.arange(4 * 37)[::5], *geometry), torch.float32)


def test_grouped(emulated: object) -> None:
    """Layers of every kind, element type and layout, one of them empty: the bits of their own operators."""
    torch.manual_seed(0)
    plane, grad = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8)
    same, entries = ([3, 3], [1, 1], [1, 1], [1, 1], 1), torch.arange(8)
    statistics = torch.randn(1, 4), torch.rand(1, 4)
    layers = [
        *(("conv", (plane.to(dtype), grad.to(dtype), entries, *same)) for dtype in DTYPES),
        ("conv", (channels_last(plane), channels_last(grad), entries, *same)),
        ("conv", (plane, grad, entries[:0], *same)),
        ("linear", (plane.flatten(2), grad.flatten(2), entries)),
        ("affine", (plane.flatten(2), grad.flatten(2), *statistics, entries)),
        ("affine", (channels_last(plane).flatten(2), channels_last(grad).flatten(2), *statistics, entries)),
    ]
    want = torch.stack([getattr(emulated, f"{kind}_gram")(*arguments) for kind, arguments in layers])
    packed = native.pack([native.SampledLayer(*layer) for layer in layers])
    assert torch.equal(emulated.grouped_gram(*packed), want)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n", "p"), [(5, 2049), (33, 70)])
def test_gram(emulated: object, n: int, p: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(n, p).to(dtype)
    assert_near(emulated.gram_matrix(vectors), reference.gram_matrix(vectors.double()), dtype)
    assert_near(emulated.gram_statistics(vectors), reference.gram_statistics(vectors.double()), dtype)


def test_empty_and_strided(emulated: object) -> None:
    entries = torch.arange(4)
    nothing = torch.zeros(0, 3, 2)
    assert torch.equal(emulated.linear_sampled_gradients(nothing, nothing, entries), torch.zeros(0, 4))
    assert torch.equal(emulated.linear_gram(nothing, nothing, entries), torch.zeros(4, dtype=torch.float64))
    assert torch.equal(emulated.gram_statistics(torch.zeros(3, 0)), torch.zeros(5, dtype=torch.float64))
    input, grad = torch.randn(2, 3, 8, 6).transpose(2, 3), torch.randn(2, 3, 8, 6).transpose(2, 3)
    geometry = [1, 1], [1, 1], [0, 0], [1, 1], 1
    want = emulated.conv_sampled_gradients(input.contiguous(), grad.contiguous(), entries, *geometry)
    assert torch.equal(emulated.conv_sampled_gradients(input, grad, entries, *geometry), want)


def test_same_ranking_by_emulated_kernels(emulated: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 cells scored by the CPU operators and by the CUDA ones come out in the same order."""
    space = knas.spaces.create("nas-bench-201")
    generator = np.random.default_rng(0)
    inputs = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    cells = {str(space.canonical(cell)): cell for cell in (space.sample(generator) for _ in range(320))}
    chosen = list(cells.values())[:200]

    def score(cell: knas.spaces.Architecture) -> float:
        model = space.build(cell, channels=2, cells_per_stage=1)
        return knas.score(model, inputs, sample=8).value

    with torch.random.fork_rng():
        by_cpu = [score(cell) for cell in chosen]
        for layer in ("conv", "linear", "affine"):
            monkeypatch.setattr(native, f"{layer}_gram", getattr(emulated, f"{layer}_gram"))
        by_kernels = [score(cell) for cell in chosen]
    assert len(chosen) == 200
    assert by_kernels != by_cpu  # other code: rounded elsewhere
    np.testing.assert_allclose(by_kernels, by_cpu, rtol=1e-5)
    assert np.array_equal(np.argsort(by_kernels), np.argsort(by_cpu))


def test_gram_of_rows_far_apart(emulated: object) -> None:
    """The smallest and the largest gradients side by side: each product has its digits."""
    generator = torch.Generator().manual_seed(0)
    magnitudes = torch.tensor([1e-42, 1e-20, 0.0, 1.0, 1e35])[:, None]
    vectors = torch.randn(5, 60, generator=generator) * magnitudes
    want, norms = reference.gram_matrix(vectors.double()), vectors.double().norm(dim=1)
    assert bool(((emulated.gram_matrix(vectors) - want).abs() <= 1e-5 * norms[:, None] * norms).all())
