"""The finite difference of DARTS against exact differentiation through the step, in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import knas
from knas.spaces.supernet import Supernet
from knas.training import unrolled
from knas.training.relaxation import softmax_weights
from knas.training.unrolled import Step, unrolled_gradient

Loss = Callable[[list[Tensor], Tensor], Tensor]


def exact(training: Loss, validation: Loss, weights: list[Tensor], parameters: Tensor, step: Step) -> Tensor:
    """By autograd, with the graph of the step itself."""
    slopes = torch.autograd.grad(training(weights, parameters), weights, create_graph=True)
    moved = []
    for weight, slope, buffer in zip(weights, slopes, step.buffers, strict=True):
        momentum = 0 if buffer is None else step.momentum * buffer
        moved.append(weight - step.learning_rate * (slope + step.weight_decay * weight + momentum))
    (gradient,) = torch.autograd.grad(validation(moved, parameters), [parameters])
    return gradient


def smooth(seed: int) -> tuple[Loss, list[Tensor], Tensor]:
    """Two layers, each a weighted sum of tanh, sine and the identity of a linear map; a squared error."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    inputs, targets = draw(16, 5), draw(16, 3)

    def loss(weights: list[Tensor], parameters: Tensor) -> Tensor:
        features = inputs
        for weight, mix in zip(weights, softmax_weights(parameters), strict=True):
            linear = features @ weight
            features = mix[0] * linear.tanh() + mix[1] * linear.sin() + mix[2] * linear
        return (features - targets).square().mean()

    weights = [draw(5, 4).requires_grad_(), draw(4, 3).requires_grad_()]
    return loss, weights, draw(2, 3).requires_grad_()


@pytest.mark.parametrize("with_momentum", [False, True])
def test_agrees_with_exact_differentiation(with_momentum: bool) -> None:
    training, weights, parameters = smooth(0)
    validation, _, _ = smooth(1)
    buffers = [torch.ones_like(weight) if with_momentum else None for weight in weights]
    step = Step(0.3, 0.9, 0.01, buffers)
    before = [weight.detach().clone() for weight in weights]
    got, loss = unrolled_gradient(
        lambda: training(weights, parameters),
        lambda: validation(weights, parameters),
        weights,
        parameters,
        step,
    )
    want = exact(training, validation, weights, parameters, step)
    first = torch.autograd.grad(validation(weights, parameters), [parameters])[0]
    assert (want - first).norm() > 0.05 * want.norm(), "the second-order term matters here"
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-5)
    assert all(torch.equal(weight, old) for weight, old in zip(weights, before, strict=True))
    assert loss != validation(weights, parameters), "it is the loss after the step"


def test_agrees_on_a_super_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small difference: ReLU has kinks, and the published 0.01 reaches over them on so small a network."""
    monkeypatch.setattr(unrolled, "EPSILON", 1e-6)
    space = knas.spaces.create("nas-bench-201")
    model = space.build_supernet(
        Supernet(space.choices()), seed=1, channels=2, cells_per_stage=1, batch_statistics=True
    ).double()
    names = [name for name, _ in model.named_parameters()]
    weights = list(model.parameters())
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(6, 5, dtype=torch.float64, generator=generator).requires_grad_()

    def loss_on(seed: int) -> Loss:
        drawn = torch.Generator().manual_seed(seed)
        inputs = torch.randn(16, 3, 8, 8, dtype=torch.float64, generator=drawn)
        targets = torch.randint(10, (16,), generator=drawn)

        def loss(values: list[Tensor], alpha: Tensor) -> Tensor:
            state = dict(zip(names, values, strict=True))
            logits = torch.func.functional_call(model, state, (inputs, softmax_weights(alpha)))
            return torch.nn.functional.cross_entropy(logits, targets)

        return loss

    training, validation = loss_on(1), loss_on(2)
    step = Step(0.01, 0.9, 5e-4, [None] * len(weights))
    got, _ = unrolled_gradient(
        lambda: training(weights, parameters),
        lambda: validation(weights, parameters),
        weights,
        parameters,
        step,
    )
    want = exact(training, validation, weights, parameters, step)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-7)


def test_no_direction_leaves_the_first_order() -> None:
    parameters = torch.ones(1, 2, requires_grad=True)
    weight = torch.ones(3, requires_grad=True)
    got, _ = unrolled_gradient(
        lambda: (weight * parameters.sum()).sum(),
        lambda: parameters.square().sum() + 0 * weight.sum(),
        [weight],
        parameters,
        Step(0.1, 0.9, 0.0, [None]),
    )
    torch.testing.assert_close(got, torch.full((1, 2), 2.0))
