from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from spaces.nas_bench_201 import plain_forward
from torch import nn

from knas.errors import UsageError
from knas.spaces import CellArchitecture, NASBench201
from knas.spaces.nas_bench_201 import OPERATIONS
from knas.spaces.nas_bench_201.operations import create_operation

SPACE = NASBench201()


def images(n: int, size: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randn(n, channels, size, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
def test_forward_is_the_plain_functions(training: bool) -> None:
    generator = np.random.default_rng(0)
    for _ in range(12):
        architecture = SPACE.sample(generator)
        network = SPACE.build(architecture, channels=4, cells_per_stage=2).double()
        network(images(16, 8))  # moves the running statistics away from 0 and 1
        network.train(training)
        inputs, state = images(3, 12), {key: value.clone() for key, value in network.state_dict().items()}
        expected = plain_forward.network(inputs, str(architecture), state, 2, training)
        torch.testing.assert_close(network(inputs), expected, rtol=1e-10, atol=1e-10)


def test_gradients_are_the_plain_functions() -> None:
    architecture = CellArchitecture.parse(
        "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    )
    network = SPACE.build(architecture, channels=4, cells_per_stage=1).double()
    parameters, inputs = dict(network.named_parameters()), images(4, 8)
    ours = torch.autograd.grad(network(inputs).square().sum(), list(parameters.values()))
    state = {**network.state_dict(), **parameters}
    plain = plain_forward.network(inputs, str(architecture), state, 1, training=True)
    for mine, twin in zip(
        ours, torch.autograd.grad(plain.square().sum(), list(parameters.values())), strict=True
    ):
        torch.testing.assert_close(mine, twin, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_leave_their_input_alone(name: str) -> None:
    operation, inputs = create_operation(name, 3).double(), images(2, 5)
    for parameter in operation.parameters():
        nn.init.ones_(parameter)
    before = inputs.clone()
    assert operation(inputs).shape == inputs.shape
    assert torch.equal(inputs, before)


def test_pooling_counts_only_pixels_inside() -> None:
    ones = torch.ones(1, 2, 4, 4)
    assert torch.equal(create_operation("avg_pool_3x3", 2)(ones), ones)


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 16), (3, 33), (3, 50), (3, 1)])
def test_grey_images_and_other_sizes(channels: int, size: int) -> None:
    network = SPACE.build(SPACE.architecture(1), 7, channels=2, cells_per_stage=1, in_channels=channels)
    logits = network(images(2, size, channels).float())
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


def test_kaiming_initialization() -> None:
    network = SPACE.build(CellArchitecture(("nor_conv_3x3",) * 6), seed=1)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            wanted = (2 / layer.weight[0].numel()) ** 0.5
            assert layer.weight.std().item() == pytest.approx(
                wanted, rel=5 / (2 * layer.weight.numel()) ** 0.5
            )
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()
    assert network.classifier.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.15)
    assert (network.classifier.bias == 0).all()


def test_default_initialization_has_pytorchs_bounds() -> None:
    network = SPACE.build(CellArchitecture(("nor_conv_1x1",) * 6), 100, initialization="default")
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = layer.weight[0].numel() ** -0.5
            assert 0.9 * bound < layer.weight.abs().max().item() <= bound
    assert 0.05 < network.classifier.bias.abs().max().item() <= 1 / 8


def test_a_layer_starts_the_same_in_every_cell() -> None:
    one, other = (
        SPACE.build(CellArchitecture((first, *("nor_conv_3x3",) * 5)), seed=2, cells_per_stage=1).state_dict()
        for first in ("none", "nor_conv_1x1")
    )
    shared = [key for key in one if key in other]
    assert len(shared) == len(one)
    assert all(torch.equal(one[key], other[key]) for key in shared)


def test_layers_of_a_network_differ() -> None:
    network = SPACE.build(CellArchitecture(("nor_conv_3x3",) * 6))
    kernels = {m.weight.flatten()[0].item() for m in network.modules() if isinstance(m, nn.Conv2d)}
    assert len(kernels) == sum(isinstance(m, nn.Conv2d) for m in network.modules())


def test_networks_are_built_on_the_cpu_under_another_default_device() -> None:
    with torch.device("meta"):
        network = SPACE.build(SPACE.architecture(0), channels=2, cells_per_stage=1)
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"cpu"}


@pytest.mark.parametrize("argument", ["num_classes", "channels", "cells_per_stage", "in_channels"])
@pytest.mark.parametrize("value", [0, -3, 1.5, "16", True])
def test_sizes_below_one(argument: str, value: object) -> None:
    for method in (SPACE.build, SPACE.parameters):
        with pytest.raises(UsageError, match=f"{argument} must be an integer of at least 1, got"):
            method(SPACE.architecture(0), **{argument: value})  # type: ignore[operator]


def test_networks_can_be_copied_and_pickled() -> None:
    network = SPACE.build(SPACE.architecture(1), channels=2, cells_per_stage=1).eval()
    inputs = images(2, 8).float()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(twin(inputs), network(inputs))
