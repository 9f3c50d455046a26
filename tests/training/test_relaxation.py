from __future__ import annotations

import torch
from torch import Tensor

import knas
from knas.spaces.supernet import Supernet
from knas.training.relaxation import gumbel_path, one_path, softmax_weights, uniform_path

EDGES, OPERATIONS = 6, 5


def draw(seed: int = 0) -> tuple[Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(EDGES, OPERATIONS, dtype=torch.float64, generator=generator), generator


def network() -> torch.nn.Module:
    space = knas.spaces.create("nas-bench-201")
    model = space.build_supernet(Supernet(space.choices()), seed=3, channels=2, cells_per_stage=1)
    return model.double()


def test_a_path_runs_the_chosen_operations_alone() -> None:
    space = knas.spaces.create("nas-bench-201")
    chosen = [1, 3, 2, 0, 1, 4]
    images = torch.randn(4, 3, 8, 8)
    shared = space.build_supernet(Supernet(space.choices()), seed=3, channels=2, cells_per_stage=1)
    alone = space.build_supernet(
        Supernet(tuple((options[code],) for options, code in zip(space.choices(), chosen, strict=True))),
        seed=3,
        channels=2,
        cells_per_stage=1,
    )
    torch.testing.assert_close(shared(images, one_path(chosen, OPERATIONS)), alone(images))


def test_gradient_of_gumbel_is_that_of_the_straight_through_estimator() -> None:
    model, images = network(), torch.randn(4, 3, 8, 8, dtype=torch.float64)
    values, _ = draw()
    parameters = values.clone().requires_grad_()
    path = gumbel_path(parameters, 0.7, torch.Generator().manual_seed(9))
    (got,) = torch.autograd.grad(model(images, path).square().sum(), [parameters])

    # all operations run, by dense weights whose values are the one-hot ones; what did not win has no gradient
    noise = -torch.empty(EDGES, OPERATIONS).exponential_(generator=torch.Generator().manual_seed(9)).log()
    reference = values.clone().requires_grad_()
    relaxed = torch.softmax((reference.log_softmax(1) + noise.double()) / 0.7, dim=1)
    hard = torch.nn.functional.one_hot(relaxed.argmax(1), OPERATIONS).double()
    weights = (hard - relaxed).detach() + relaxed
    dense = weights.detach().requires_grad_()
    (by_weight,) = torch.autograd.grad(model(images, dense).square().sum(), [dense])
    (want,) = torch.autograd.grad(weights, [reference], by_weight * hard)
    assert want.abs().max() > 1e-3
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def test_gumbel_draws_by_the_softmax_of_the_parameters() -> None:
    parameters, generator = torch.tensor([[0.0, 1.0, 2.0, -1.0]]), torch.Generator().manual_seed(0)
    counts = torch.zeros(4)
    for _ in range(4000):
        (weights,) = gumbel_path(parameters, 5.0, generator)
        counts[[float(weight) for weight in weights].index(1.0)] += 1
    torch.testing.assert_close(counts / 4000, torch.softmax(parameters[0], 0), rtol=0, atol=0.03)


def test_uniform_paths_take_each_operation_as_often() -> None:
    generator = torch.Generator().manual_seed(0)
    paths = torch.tensor([uniform_path(EDGES, OPERATIONS, generator) for _ in range(2000)])
    shares = torch.nn.functional.one_hot(paths, OPERATIONS).double().mean(0)
    torch.testing.assert_close(shares, torch.full_like(shares, 0.2), rtol=0, atol=0.04)


def test_softmax_weights_of_an_edge_add_up_to_one() -> None:
    weights = softmax_weights(draw()[0])
    torch.testing.assert_close(weights.sum(1), torch.ones(EDGES, dtype=torch.float64))
