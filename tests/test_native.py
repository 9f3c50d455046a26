"""The native operators against their plain PyTorch twins in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hostile import ORDERS, Conv, convolutions
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from knas import native, reference

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-5, torch.float16: 1e-5}


CONVOLUTIONS = {
    "3x3": Conv(4, (6, 5), (9, 7), (3, 3), (1, 1), (1, 1), (1, 1)),
    "1x1": Conv(3, (4, 6), (5, 5), (1, 1), (1, 1), (0, 0), (1, 1)),
    "1x1 stride 2": Conv(3, (4, 6), (8, 8), (1, 1), (2, 2), (0, 0), (1, 1)),
    "3x3 stride 2": Conv(5, (3, 4), (8, 9), (3, 3), (2, 2), (1, 1), (1, 1)),
    "stride 3 dilation 2": Conv(2, (3, 4), (15, 13), (3, 2), (3, 3), (2, 1), (2, 2)),
    "mixed axes": Conv(2, (4, 4), (11, 6), (5, 1), (2, 1), (4, 0), (1, 3)),
    "padding beyond kernel": Conv(2, (2, 2), (3, 3), (2, 2), (1, 1), (3, 3), (1, 1)),
    "depthwise": Conv(3, (6, 6), (6, 6), (3, 3), (1, 1), (1, 1), (1, 1), groups=6),
    "groups": Conv(3, (6, 9), (5, 6), (3, 3), (2, 1), (1, 1), (1, 1), groups=3),
    "1d": Conv(4, (5, 3), (17,), (4,), (2,), (1,), (2,)),
    "3d": Conv(2, (3, 4), (5, 6, 4), (2, 3, 3), (1, 2, 1), (1, 1, 0), (1, 1, 1)),
    "one position": Conv(2, (3, 4), (3, 3), (3, 3), (1, 1), (0, 0), (1, 1)),
    "one sample": Conv(1, (3, 4), (5, 5), (3, 3), (1, 1), (1, 1), (1, 1)),
    "longer than a block": Conv(2, (2, 2), (64, 65), (3, 3), (1, 1), (1, 1), (1, 1)),
}


def tensors(case: Conv, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    input = torch.randn(case.n, case.channels[0], *case.spatial, generator=generator)
    grad = torch.randn(case.n, case.channels[1], *case.out_spatial, generator=generator)
    return input.to(dtype), grad.to(dtype)


in_every_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)


def assert_near(got: Tensor, want: Tensor, dtype: torch.dtype) -> None:
    """Within the tolerance of `dtype`, relative to the largest entry: what cancels has no digits of its own."""
    assert got.shape == want.shape
    scale = want.abs().max().item() if want.numel() else 0.0
    assert (got.double() - want).abs().max().item() <= TOLERANCE[dtype] * scale if want.numel() else True


@in_every_order
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_conv(case: Conv, dtype: torch.dtype, order: Callable[[Tensor], Tensor]) -> None:
    input, grad = map(order, tensors(case, dtype))
    entries = torch.arange(case.parameters)
    want = reference.conv_sampled_gradients(input.double(), grad.double(), entries, *case.geometry)
    got = native.conv_sampled_gradients(input, grad, entries, *case.geometry)
    assert_near(got, want, dtype)
    assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_near(
        native.conv_gram(input, grad, entries, *case.geometry), reference.gram_statistics(want)[:4], dtype
    )


@settings(max_examples=80, deadline=None)
@given(convolutions(), st.data(), st.sampled_from([*ORDERS.values()]))
def test_conv_any_shape(case: Conv, data: st.DataObject, order: Callable[[Tensor], Tensor]) -> None:
    input, grad = map(order, tensors(case, torch.float64))
    picks = data.draw(st.lists(st.integers(0, case.parameters - 1), min_size=1, max_size=20))
    entries = torch.tensor(picks)
    want = reference.conv_sampled_gradients(input, grad, entries, *case.geometry)
    assert_near(native.conv_sampled_gradients(input, grad, entries, *case.geometry), want, torch.float64)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("n", "positions"), [(4, 1), (3, 7), (1, 5), (5, 2500)])
def test_linear(n: int, positions: int, dtype: torch.dtype) -> None:
    input, grad = torch.randn(n, positions, 5).to(dtype), torch.randn(n, positions, 3).to(dtype)
    entries = torch.arange(5 * 3 + 3)
    want = reference.linear_sampled_gradients(input.double(), grad.double(), entries)
    assert_near(native.linear_sampled_gradients(input, grad, entries), want, dtype)
    assert_near(native.linear_gram(input, grad, entries), reference.gram_statistics(want)[:4], dtype)


@in_every_order
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("statistics", [1, 4])
@pytest.mark.parametrize(("channels", "positions"), [(3, 1), (3, 9), (3, 2500), (16, 7), (35, 601)])
def test_affine(
    channels: int, positions: int, statistics: int, dtype: torch.dtype, order: Callable[[Tensor], Tensor]
) -> None:
    shape = 4, channels, positions
    input, grad = order((torch.randn(shape) * 0.1 + 5).to(dtype)), order(torch.randn(shape).to(dtype))
    mean, rstd = torch.full((statistics, channels), 5.0), torch.rand(statistics, channels) + 9
    entries = torch.tensor([0, 2, 2, channels + 1, 2 * channels - 1, channels - 1])
    want = reference.affine_sampled_gradients(
        input.double(), grad.double(), mean.double(), rstd.double(), entries
    )
    assert_near(native.affine_sampled_gradients(input, grad, mean, rstd, entries), want, dtype)
    assert_near(
        native.affine_gram(input, grad, mean, rstd, entries), reference.gram_statistics(want)[:4], dtype
    )


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("n", "p"), [(1, 1), (2, 3), (5, 2049), (7, 1), (16, 50), (9, 5000)])
def test_gram(n: int, p: int, dtype: torch.dtype) -> None:
    vectors = torch.randn(n, p).to(dtype)
    assert_near(native.gram_matrix(vectors), reference.gram_matrix(vectors.double()), dtype)
    assert_near(native.gram_statistics(vectors), reference.gram_statistics(vectors.double()), dtype)


IMAGES = [(2, 3), (2, 3, 1), (5, 17, 9), (3, 16, 50, 50), (3, 35, 2, 3, 4)]


def images(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Channels whose means are 0, 30, -300, 0, ..."""
    means = torch.tensor([0.0, 30.0, -300.0]).repeat(shape[1])[: shape[1]]
    return (torch.randn(shape) + means.view(1, -1, *[1] * (len(shape) - 2))).to(dtype)


@in_every_order
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_channel_moments(
    shape: tuple[int, ...], dtype: torch.dtype, order: Callable[[Tensor], Tensor]
) -> None:
    input = order(images(shape, dtype))
    for got, want in zip(
        native.channel_moments(input), reference.channel_moments(input.double()), strict=True
    ):
        torch.testing.assert_close(got.double(), want, rtol=10 * TOLERANCE[dtype], atol=1e-6)


@in_every_order
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", IMAGES, ids=str)
def test_fixed_batch_norm(
    shape: tuple[int, ...], affine: bool, dtype: torch.dtype, order: Callable[[Tensor], Tensor]
) -> None:
    """Values, gradient and memory order."""
    input = order(images(shape, dtype)).requires_grad_()
    mean, variance = reference.channel_moments(input.detach().to(native.accumulate_type(input)))
    weight, bias = (torch.rand(2, shape[1], dtype=mean.dtype) + 0.5).unbind() if affine else (None, None)
    output, rstd, scale = native.fixed_batch_norm(input, mean, variance, weight, bias, 1e-5)
    exact = [None if number is None else number.double() for number in (mean, variance, weight, bias)]
    want, want_rstd, want_scale = reference.fixed_batch_norm(input.detach().double(), *exact, 1e-5)
    rounding = {torch.bfloat16: 2**-8, torch.float16: 2**-11}.get(dtype, 10 * TOLERANCE[dtype])
    torch.testing.assert_close(
        output.double(), want, rtol=rounding, atol=1e-4 if dtype != torch.float64 else 1e-12
    )
    torch.testing.assert_close(rstd.double(), want_rstd, rtol=1e-5, atol=0)
    torch.testing.assert_close(scale.double(), want_scale, rtol=1e-5, atol=0)
    grad = order(torch.randn(shape).to(dtype))
    (got,) = torch.autograd.grad(output, input, grad)
    want_grad = reference.scale_channels(grad.double(), want_scale)
    torch.testing.assert_close(got.double(), want_grad, rtol=max(rounding, 1e-5), atol=1e-6)
    assert output.stride() == got.stride() == input.stride()
    assert output.dtype == got.dtype == dtype


def test_fixed_batch_norm_refuses_other_gradients() -> None:
    numbers = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="only its input may require a gradient"):
        native.fixed_batch_norm(torch.ones(2, 3), torch.zeros(3), torch.ones(3), numbers, None, 1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_all_finite(bad: float, dtype: torch.dtype) -> None:
    tensors = [torch.randn(7, 33).to(dtype).T, torch.zeros(0), torch.full((1,), 6e4).to(dtype)]
    assert native.all_finite(tensors) is reference.all_finite(tensors) is True
    assert native.all_finite([]) is reference.all_finite([]) is True
    tensors[0][20, 3] = bad
    assert native.all_finite(tensors) is reference.all_finite(tensors) is False


def test_mean_survives_cancellation() -> None:
    """Vectors that nearly cancel: the mean is tiny beside the trace, and must keep its digits."""
    vectors = torch.randn(2, 100, dtype=torch.float64)
    vectors[1] = -vectors[0] + 1e-7
    want = vectors.mean(0).square().sum()
    torch.testing.assert_close(native.gram_statistics(vectors)[0], want, rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
def test_empty_vectors(shape: tuple[int, int]) -> None:
    vectors = torch.zeros(shape)
    assert torch.equal(native.gram_matrix(vectors), torch.zeros(shape[0], shape[0], dtype=torch.float64))
    assert torch.equal(native.gram_statistics(vectors), torch.zeros(5, dtype=torch.float64))


@pytest.mark.parametrize(("n", "positions", "s"), [(0, 4, 3), (3, 0, 2), (3, 4, 0)])
def test_empty_layers(n: int, positions: int, s: int) -> None:
    entries = torch.zeros(s, dtype=torch.int64)
    linear = torch.zeros(n, positions, 2), torch.zeros(n, positions, 3), entries
    assert torch.equal(native.linear_sampled_gradients(*linear), torch.zeros(n, s))
    assert torch.equal(native.linear_gram(*linear), torch.zeros(4, dtype=torch.float64))
    plane = torch.zeros(n, 2, positions)
    geometry = (1,), (1,), (0,), (1,), 1
    assert torch.equal(native.conv_sampled_gradients(plane, plane, entries, *geometry), torch.zeros(n, s))
    statistics = torch.zeros(1, 2), torch.zeros(1, 2)
    assert torch.equal(native.affine_sampled_gradients(plane, plane, *statistics, entries), torch.zeros(n, s))


def test_non_contiguous_and_channels_last() -> None:
    case = CONVOLUTIONS["3x3"]
    input, grad = tensors(case, torch.float32)
    entries = torch.arange(0, case.parameters, 3)
    want = native.conv_sampled_gradients(input, grad, entries, *case.geometry)
    strided = input.to(memory_format=torch.channels_last), grad.transpose(2, 3).contiguous().transpose(2, 3)
    assert torch.equal(native.conv_sampled_gradients(*strided, entries, *case.geometry), want)


@pytest.mark.parametrize("threads", [1, 3])
def test_same_bits_for_any_number_of_threads(threads: int) -> None:
    case = CONVOLUTIONS["3x3"]
    input, grad = tensors(Conv(17, *list(case.__dict__.values())[1:]), torch.float32)
    entries = torch.arange(case.parameters)
    want = native.conv_gram(input, grad, entries, *case.geometry)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert torch.equal(native.conv_gram(input, grad, entries, *case.geometry), want)
    finally:
        torch.set_num_threads(before)


def opcheck_arguments() -> dict[str, tuple[object, ...]]:
    plane, entries = torch.randn(3, 2, 5), torch.tensor([0, 1, 3])
    conv = plane, torch.randn(3, 2, 5), entries, [1], [1], [0], [1], 1
    linear = torch.randn(3, 4, 2), torch.randn(3, 4, 2), entries
    affine = plane, plane, torch.zeros(1, 2), torch.ones(1, 2), entries
    layers = {"conv": conv, "linear": linear, "affine": affine}
    return {
        **{f"{layer}_{kind}": a for layer, a in layers.items() for kind in ("sampled_gradients", "gram")},
        "conv_per_sample_gradients": conv[:2] + conv[3:],
        "conv_gram_matrix": conv[:2] + conv[3:],
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
        "channel_moments": (plane,),
        "fixed_batch_norm": (plane, torch.zeros(2), torch.ones(2), torch.ones(2), None, 1e-5),
        "scale_channels": (plane, torch.ones(2)),
        "all_finite": ([plane, plane],),
    }


@pytest.mark.parametrize("name", opcheck_arguments())
def test_opcheck(name: str) -> None:
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    tests = tests[:1] if name == "all_finite" else tests  # a bool cannot be traced
    torch.library.opcheck(getattr(torch.ops.knas, name).default, opcheck_arguments()[name], test_utils=tests)


BAD = {
    "types differ": (lambda a: (a[0].double(), *a[1:]), "input is Double but grad_output is Float"),
    "samples differ": (lambda a: (a[0][:1], *a[1:]), "same number of axes and samples"),
    "entry outside": (lambda a: (a[0], a[1], a[2] + 1000, *a[3:]), "outside the layer's"),
    "entries not int64": (lambda a: (a[0], a[1], a[2].int(), *a[3:]), "entries must be int64"),
    "wrong geometry": (lambda a: (*a[:3], (2, 2), *a[4:]), "is not what this convolution makes"),
    "groups": (lambda a: (*a[:7], 4), "must divide"),
    "axes": (lambda a: (*a[:3], (3,), *a[4:]), "need 2 numbers each"),
    "integers": (
        lambda a: (a[0].int(), a[1].int(), *a[2:]),
        "float32, float64, bfloat16 or float16 expected",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_arguments(change, message: str) -> None:
    case = CONVOLUTIONS["3x3"]
    arguments = (*tensors(case, torch.float32), torch.arange(5), *case.geometry)
    with pytest.raises((RuntimeError, IndexError, TypeError), match=message):
        native.conv_sampled_gradients(*change(arguments))


def test_without_cuda_kernels() -> None:
    """A CPU build says, for a CUDA tensor, why it has no kernels."""
    if native.build_info().with_cuda:
        pytest.skip("this build has the CUDA kernels")
    keys = torch._C._dispatch_has_kernel_for_dispatch_key
    by_torch = {"channel_moments", "fixed_batch_norm", "scale_channels", "all_finite"}
    assert all(keys(f"knas::{name}", "CUDA") for name in set(opcheck_arguments()) - by_torch)
