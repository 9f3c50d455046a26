"""The operators on whole per-sample gradients, and their library products, against the twins in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from test_native import CONVOLUTIONS, TOLERANCE, Conv, assert_near, convolutions, tensors
from torch import Tensor

from knas import library_products, native, reference

MORE = {
    **CONVOLUTIONS,
    "whole tiles": Conv(3, (16, 16), (6, 6), (3, 3), (1, 1), (1, 1), (1, 1)),
    "depthwise, many": Conv(2, (37, 74), (6, 6), (3, 3), (2, 2), (1, 1), (1, 1), groups=37),
    "many samples": Conv(51, (3, 9), (4, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
}


def wanted(case: Conv, input: Tensor, grad: Tensor) -> Tensor:
    return reference.conv_per_sample_gradients(input.double(), grad.double(), *case.geometry)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("case", MORE.values(), ids=MORE)
def test_conv(case: Conv, dtype: torch.dtype) -> None:
    input, grad = tensors(case, dtype)
    want = wanted(case, input, grad)
    got = native.conv_per_sample_gradients(input, grad, *case.geometry)
    assert got.dtype == native.accumulate_type(input)
    assert_near(got, want, dtype)
    assert_near(native.conv_gram_matrix(input, grad, *case.geometry), reference.gram_matrix(want), dtype)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_conv_any_shape(case: Conv) -> None:
    input, grad = tensors(case, torch.float64)
    want = wanted(case, input, grad)
    assert_near(native.conv_per_sample_gradients(input, grad, *case.geometry), want, torch.float64)
    gram = native.conv_gram_matrix(input, grad, *case.geometry)
    assert_near(gram, reference.gram_matrix(want), torch.float64)


@pytest.mark.parametrize("block", [1, 1 << 28])
@pytest.mark.parametrize("case", MORE.values(), ids=MORE)
def test_library_products(case: Conv, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What CUDA tensors take, in one block and in the smallest ones."""
    monkeypatch.setattr(library_products, "_BLOCK", block)
    input, grad = tensors(case, torch.float64)
    want = wanted(case, input, grad)
    assert_near(library_products.conv_per_sample_gradients(input, grad, *case.geometry), want, torch.float64)
    blocks = library_products.output_blocks(input, grad, *case.geometry)
    gram = torch.stack([native.gram_matrix(rows) for rows in blocks]).sum(0)
    assert_near(gram, reference.gram_matrix(want), torch.float64)


@pytest.mark.parametrize("name", ["3x3", "depthwise", "groups", "longer than a block"])
def test_any_strides(name: str) -> None:
    """Channels-last and other strides are read where they lie; the bits are those of contiguous tensors."""
    case = MORE[name]
    input, grad = tensors(case, torch.float32)
    want = native.conv_gram_matrix(input, grad, *case.geometry)
    for change in (
        lambda tensor: tensor.to(memory_format=torch.channels_last),
        lambda tensor: tensor.transpose(2, 3).contiguous().transpose(2, 3),
        lambda tensor: torch.stack([tensor, tensor], 1)[:, 1],
    ):
        assert torch.equal(native.conv_gram_matrix(change(input), change(grad), *case.geometry), want)


@pytest.mark.parametrize("threads", [1, 3])
def test_same_bits_for_any_number_of_threads(threads: int) -> None:
    case = MORE["many samples"]
    input, grad = tensors(case, torch.float32)
    vectors = torch.randn(50, 9000)
    before = torch.get_num_threads()
    want = native.conv_gram_matrix(input, grad, *case.geometry), native.gram_matrix(vectors)
    try:
        torch.set_num_threads(threads)
        assert torch.equal(native.conv_gram_matrix(input, grad, *case.geometry), want[0])
        assert torch.equal(native.gram_matrix(vectors), want[1])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e-20, 1e18, 1e30])
def test_squares_beyond_the_range(scale: float) -> None:
    """Entries that float32 holds, some of them denormal, but not their squares."""
    vectors = torch.randn(9, 3000) * scale
    assert_near(native.gram_matrix(vectors), reference.gram_matrix(vectors.double()), torch.float32)
    case = MORE["whole tiles"]
    input, grad = tensors(case, torch.float32)
    if scale > 1e-40:  # a product with a denormal number is one itself, and has lost its digits
        want = wanted(case, input, grad * scale)
        gram = native.conv_gram_matrix(input, grad * scale, *case.geometry)
        assert_near(gram, reference.gram_matrix(want), torch.float32)


def test_not_finite() -> None:
    vectors = torch.randn(4, 50)
    assert torch.equal(native.gram_matrix(vectors * 0), torch.zeros(4, 4, dtype=torch.float64))
    for value in (float("nan"), float("inf")):
        vectors[2, 7] = value
        assert not bool(torch.isfinite(native.gram_matrix(vectors)[2]).any())


def test_empty() -> None:
    geometry = (1,), (1,), (0,), (1,), 1
    for n, positions in ((0, 4), (3, 0)):
        input, grad = torch.zeros(n, 2, positions), torch.zeros(n, 5, positions)
        assert torch.equal(native.conv_per_sample_gradients(input, grad, *geometry), torch.zeros(n, 10))
        assert torch.equal(
            native.conv_gram_matrix(input, grad, *geometry), torch.zeros(n, n, dtype=torch.float64)
        )


def test_bad_arguments() -> None:
    case = MORE["3x3"]
    input, grad = tensors(case, torch.float32)
    with pytest.raises(RuntimeError, match="is not what this convolution makes"):
        native.conv_gram_matrix(input, grad[..., 1:], *case.geometry)
    with pytest.raises(RuntimeError, match="input is Double but grad_output is Float"):
        native.conv_per_sample_gradients(input.double(), grad, *case.geometry)
