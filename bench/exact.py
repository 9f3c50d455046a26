"""The float64 references: a few ordinary passes in double precision, through nothing of knas's gradients."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional as F

from bench.pure_pytorch import Rows, by_layer, calibrated, frozen_pass


class Exact:
    """What the results for a network should be, in float64 with the batch's BatchNorm statistics.

    No gradient of a single sample is formed, so it is cheap at any n. A Gram matrix G is compared by its products with
    random vectors (Freivalds' check): G v = J (J^T v) is one backward and one forward-mode pass, and a wrong entry of G
    shows in them but for a set of vectors of measure zero.
    """

    def __init__(self, model: nn.Module, inputs: Tensor) -> None:
        self.inputs = inputs.double()
        self.model = calibrated(copy.deepcopy(model).double(), self.inputs)
        self.parameters = dict(self.model.named_parameters())

    def sampled_mgm(self, entries: Rows) -> float:
        """Eq. 16 of the entries of each layer, whose mean over samples is one backward pass."""
        rows = by_layer(self.parameters, [g.flatten()[None] for g in self._backward(1 / len(self.inputs))])
        shares = [rows[layer][0, chosen].square().sum() for layer, chosen in entries.items()]
        return torch.stack(shares).mean().item()

    @cached_property
    def vectors(self) -> Tensor:
        """Random vectors [n, 2]."""
        generator = torch.Generator().manual_seed(1)
        return torch.randn(len(self.inputs), 2, dtype=torch.float64, generator=generator).to(
            self.inputs.device
        )

    @cached_property
    def gram_times_vectors(self) -> Tensor:
        """G [n, n] @ vectors [n, 2]."""
        point = {name: parameter.detach() for name, parameter in self.parameters.items()}
        columns = []
        for vector in self.vectors.T:
            direction = dict(zip(point, self._backward(vector), strict=True))
            columns.append(jvp(self._outputs, (point,), (direction,))[1])
        return torch.stack(columns, 1)

    @cached_property
    def gram_mean(self) -> float:
        """Eq. 15: ||(1/n) sum_i g_i||^2."""
        return sum(g.square().sum().item() for g in self._backward(1 / len(self.inputs)))

    def input_gradient(self, training: bool) -> Tensor:
        """What a frozen pass returns."""
        return frozen_pass(copy.deepcopy(self.model).train(training), self.inputs)

    def loss(self, targets: Tensor) -> float:
        """The mean cross-entropy in training mode."""
        with torch.no_grad():
            return F.cross_entropy(copy.deepcopy(self.model).train()(self.inputs), targets).item()

    def _backward(self, weights: Tensor | float) -> tuple[Tensor, ...]:
        """J^T weights: the gradient of the weighted sum of the samples' outputs, for each parameter."""
        return torch.autograd.grad(
            (self._outputs(self.parameters) * weights).sum(), list(self.parameters.values())
        )

    def _outputs(self, parameters: dict[str, Tensor]) -> Tensor:
        """The sum [n] of each sample's outputs."""
        return functional_call(self.model, parameters, (self.inputs,)).flatten(1).sum(1)


def relative(got: Tensor | float, want: Tensor | float) -> float:
    """The distance of `got` from `want` in units of the norm of `want`."""
    found, expected = (torch.as_tensor(value, dtype=torch.float64) for value in (got, want))
    return ((found - expected).norm() / expected.norm()).item()
