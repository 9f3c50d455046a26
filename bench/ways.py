"""The ways that questions have in common: to per-sample gradients without knas, and the floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from bench import other_libraries, pure_pytorch
from bench.exact import relative
from bench.measure import Measure
from bench.pure_pytorch import Keep, Rows
from bench.workload import Case, Workload, make_workload

#: A way: what it must prepare outside of what is timed, and then what is timed.
Way = Callable[[Workload], Callable[[], Any]]
#: The error of a way's result relative to the float64 reference of the workload.
Error = Callable[[Any, Workload], float]

#: What the signs of ReLUs may do to a score or a Gram matrix in float32: in a network of 97 convolutions every way is
#: up to 1 % off, PyTorch's too.
WITH_RELUS = 2e-2

PER_SAMPLE: dict[str, Callable[[torch.nn.Module], Callable[[Tensor, Keep], Rows]]] = {
    "backward passes": lambda model: partial(pure_pytorch.backward_passes, model),
    "torch.func": lambda model: partial(pure_pytorch.torch_func, model),
    "unfold + bmm": lambda model: partial(pure_pytorch.unfold_and_multiply, model),
    "Opacus": other_libraries.opacus,
    "BackPACK": other_libraries.backpack,
}


def frozen_pass(load: Workload, training: bool, order: torch.memory_format) -> Callable[[], Tensor]:
    """Forward and backward with frozen weights."""
    model = load.copy_of_fixed().train(training).requires_grad_(False).to(memory_format=order)
    return partial(pure_pytorch.frozen_pass, model, load.inputs.to(memory_format=order))


def training_step(load: Workload) -> Callable[[], Tensor]:
    """SGD with Nesterov momentum."""
    model = load.copy_of_fixed().train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True)
    return partial(pure_pytorch.training_step, model, optimizer, load.inputs, load.targets)


FLOORS: dict[str, Way] = {
    "frozen pass, evaluation mode": partial(frozen_pass, training=False, order=torch.contiguous_format),
    "frozen pass, channels last": partial(frozen_pass, training=False, order=torch.channels_last),
    "frozen pass, training mode": partial(frozen_pass, training=True, order=torch.contiguous_format),
    "training step": training_step,
}
FLOOR_ERRORS: dict[str, Error] = {
    "frozen pass, evaluation mode": lambda got, load: relative(got, load.exact.input_gradient(False)),
    "frozen pass, channels last": lambda got, load: relative(got, load.exact.input_gradient(False)),
    "frozen pass, training mode": lambda got, load: relative(got, load.exact.input_gradient(True)),
    "training step": lambda got, load: relative(got, load.exact.loss(load.targets)),
}


def time_way(
    measure: Measure,
    question: str,
    case: Case,
    way: str,
    ways: Mapping[str, Way],
    errors: Mapping[str, Error],
    **facts: object,
) -> None:
    """Asserts that a way is right, in float64 on 8 samples and in float32 on the case's, then times the latter.

    In float32 it must be right for the network's smooth twin. Rounding flips the signs of a few ReLUs of the network
    itself, which moves a score by up to a per cent, and single entries of a gradient by more, whatever computes them.
    """
    few = make_workload(replace(case, n=8), torch.float64)
    try:
        found = errors[way](ways[way](few)(), few)
    except other_libraries.RefusedError as reason:
        pytest.skip(str(reason))
    assert found <= 1e-9, f"{way} in float64 is {found:.1e} off the reference"
    load, twin = make_workload(case), make_workload(replace(case, smooth=True))
    run = ways[way](load)
    if way not in FLOORS:
        found = errors[way](run(), load)
        assert found <= WITH_RELUS, f"{way} is {found:.1e} off the float64 reference"
    facts |= {"network": case.network, "n": case.n, "device": case.device, **load.facts()}
    check = partial(_error_of_twin, ways[way], errors[way], twin)
    measure(run, check, question=question, way=way, group=str(case), **facts)


def _error_of_twin(way: Way, error: Error, twin: Workload, _: object) -> float:
    return error(way(twin)(), twin)
