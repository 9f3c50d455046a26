"""Proposition 4.1 of the KNAS paper (arXiv 2111.13293) in numbers: the Gram matrix bounds how fast the loss falls.

A small network without BatchNorm learns n targets under the squared loss L = 1/2 ||y - y*||^2 (Eq. 5) by gradient flow
dw/dt = -dL/dw (Eq. 8), which is followed by Runge-Kutta steps of fourth order in float64. At every step H(t), the Gram
matrix of the gradients of the outputs (Eq. 9), comes from `knas.gram`, and r(t) = y* - y(t). Checked are

    Eq. 13    ||r(t)||^2 <= exp(-lambda t) ||r(0)||^2
    Eq. 14    lambda_min(H(t)) <= ||H(t)||_F

What the paper leaves out: by Eq. 12, d/dt ||r||^2 = -2 r' H r <= -2 lambda_min(H) ||r||^2. So the exponent may have a
factor of 2 that Eq. 13 does not use; and integrating over time needs a lambda that is at most lambda_min(H(s)) for all
s <= t, so here it is the smallest on the path so far. With lambda_min(H(t)) of the last moment alone, as Eq. 13 is
written, the step from the derivative to the bound is missing. The table says how often that holds with and without the
factor: with targets of four times the size (`--scale 4`), with it, hardly ever.

    python examples/proposition_4_1.py --figure proposition.svg
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import knas

ROUNDING = 1e-9
"""Relative slack for rounding."""


@dataclass(frozen=True)
class Moment:
    """The flow at one time.

    Attributes:
        time: t.
        loss: ||r(t)||^2, twice that of Eq. 5.
        smallest: lambda_min(H(t)).
        path: the smallest lambda_min(H(s)) of all s <= t.
        frobenius: ||H(t)||_F.
        slope: -2 r' H r, which d/dt ||r||^2 must be.
    """

    time: float
    loss: float
    smallest: float
    path: float
    frobenius: float
    slope: float


class Network(nn.Module):
    """Fully connected layers with tanh, whose last layer adds up to one number per sample, as in the paper's Eq. 4."""

    def __init__(self, inputs: int = 64, width: int = 40, depth: int = 2, seed: int = 0) -> None:
        """Draw the weights from a seed."""
        super().__init__()
        sizes = [inputs, *[width] * depth, 1]
        self.layers = nn.ModuleList(
            nn.Linear(size, following, bias=False, dtype=torch.float64)
            for size, following in itertools.pairwise(sizes)
        )
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.normal_(0, layer.in_features**-0.5, generator=generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs [n, d] to outputs [n]."""
        for layer in self.layers[:-1]:
            inputs = layer(inputs).tanh()
        return self.layers[-1](inputs)[:, 0]


def problem(samples: int = 8, size: int = 64, seed: int = 0, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Inputs [n, d] of length 1 and targets [n] of a standard deviation.

    With few samples in many dimensions the smallest eigenvalue is no small part of the largest, so that the bound tells
    something by the time that the loss is small.
    """
    generator = torch.Generator().manual_seed(seed + 1000)
    inputs = torch.randn(samples, size, dtype=torch.float64, generator=generator)
    targets = torch.randn(samples, dtype=torch.float64, generator=generator)
    return inputs / inputs.norm(dim=1, keepdim=True), scale * targets


def flow(network: nn.Module, inputs: Tensor, targets: Tensor, step: float, steps: int) -> list[Moment]:
    """Follow the gradient flow, and look at the Gram matrix at every step.

    Args:
        network: is trained in place.
        inputs: [n, d].
        targets: y* [n].
        step: of time.
        steps: how many.

    Returns:
        What was found before the first step and after each.
    """
    found: list[Moment] = []
    for number in range(steps + 1):
        found.append(_look(network, inputs, targets, number * step, found))
        _runge_kutta(network, lambda: _velocity(network, inputs, targets), step)
    return found


def _look(
    network: nn.Module, inputs: Tensor, targets: Tensor, time: float, before: Sequence[Moment]
) -> Moment:
    gram = knas.gram(network, inputs, of="output")
    with torch.no_grad():
        residual = targets - network(inputs)
    smallest = gram.min_eigenvalue
    return Moment(
        time,
        float(residual.square().sum()),
        smallest,
        min([smallest, *(moment.path for moment in before[-1:])]),
        gram.frobenius,
        -2 * float(residual @ gram.matrix @ residual),
    )


def _velocity(network: nn.Module, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """dw/dt = -dL/dw for every parameter."""
    loss = 0.5 * (targets - network(inputs)).square().sum()
    return [-gradient for gradient in torch.autograd.grad(loss, list(network.parameters()))]


def _runge_kutta(network: nn.Module, velocity: Callable[[], list[Tensor]], step: float) -> None:
    """One classical step of fourth order."""
    parameters = list(network.parameters())
    start = [parameter.detach().clone() for parameter in parameters]

    def at(slope: Sequence[Tensor], part: float) -> list[Tensor]:
        with torch.no_grad():
            for parameter, begin, direction in zip(parameters, start, slope, strict=True):
                parameter.copy_(begin + part * step * direction)
        return velocity()

    first = velocity()
    second = at(first, 0.5)
    third = at(second, 0.5)
    fourth = at(third, 1.0)
    mean = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True)]
    at(mean, 1.0)


def bound(moments: Sequence[Moment], factor: float = 1.0, along_path: bool = True) -> list[float]:
    """exp(-factor lambda t) ||r(0)||^2 at every moment.

    Args:
        moments: what `flow` found.
        factor: 1 as in Eq. 13, 2 as its proof allows.
        along_path: lambda is the smallest so far, rather than that of the moment.
    """
    return [
        math.exp(-factor * (moment.path if along_path else moment.smallest) * moment.time) * moments[0].loss
        for moment in moments
    ]


def above(moments: Sequence[Moment], bounds: Sequence[float]) -> int:
    """At how many moments ||r||^2 is above a bound."""
    return sum(moment.loss > limit * (1 + ROUNDING) for moment, limit in zip(moments, bounds, strict=True))


def slope_error(moments: Sequence[Moment]) -> float:
    """The largest relative difference of -2 r' H r from the slope of ||r||^2 between neighbors (Eq. 12)."""
    return max(
        abs((after.loss - before.loss) / (after.time - before.time) / one.slope - 1)
        for before, one, after in zip(moments, moments[1:], moments[2:], strict=False)
    )


def draw(moments: Sequence[Moment], file: str) -> None:
    """Draw ||r||^2 and its bounds over time."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SystemExit("--figure needs matplotlib: pip install 'knas[figures]'") from error
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    times = [moment.time for moment in moments]
    axes.semilogy(times, bound(moments), label=r"$\exp(-\lambda t)\,\|r(0)\|^2$ (Eq. 13)")
    axes.semilogy(times, bound(moments, factor=2), label=r"$\exp(-2\lambda t)\,\|r(0)\|^2$")
    axes.semilogy(times, [moment.loss for moment in moments], label=r"$\|r(t)\|^2$", color="black")
    axes.set_xlabel("t")
    axes.set_ylabel("squared residual")
    axes.legend()
    figure.savefig(file)


def show(moments: Sequence[Moment]) -> None:
    """Print ten moments, and how often each bound is crossed."""
    proposed, tight = bound(moments), bound(moments, factor=2)
    print("     t      |r|^2     Eq. 13   factor 2   lambda   |H|_F")
    for place in range(0, len(moments), max(1, len(moments) // 10)):
        one = moments[place]
        print(
            f"{one.time:6.2f} {one.loss:10.3e} {proposed[place]:10.3e} {tight[place]:10.3e} "
            f"{one.path:8.4f} {one.frobenius:7.3f}"
        )
    print(f"\nof {len(moments)} moments, |r|^2 is above")
    for factor, name in ((1.0, "Eq. 13"), (2.0, "Eq. 13 with the factor 2")):
        path, alone = above(moments, bound(moments, factor)), above(moments, bound(moments, factor, False))
        print(f"  {name}: {path} times; with lambda_min(H(t)) of the moment alone: {alone}")
    print(f"lambda_min(H) is above |H|_F (Eq. 14): {crossed(moments)} times")
    print(f"d/dt |r|^2 differs from -2 r'Hr (Eq. 12) by at most {100 * slope_error(moments):.2f} %")


def crossed(moments: Sequence[Moment]) -> int:
    """At how many moments Eq. 14 does not hold."""
    return sum(moment.smallest > moment.frobenius for moment in moments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of the flow and whether the bounds hold; the exit code is 1 where one does not."""
    parser = argparse.ArgumentParser(description="Proposition 4.1 of the KNAS paper, in numbers.")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data")
    parser.add_argument("--scale", type=float, default=1.0, help="standard deviation of the targets")
    parser.add_argument("--step", type=float, default=0.01, help="of time")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--figure", help="draw the curves into a file, such as proposition.svg")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # for matrices this small a second one only waits
    network, data = Network(seed=given.seed), problem(seed=given.seed, scale=given.scale)
    moments = flow(network, *data, given.step, given.steps)
    show(moments)
    if given.figure:
        draw(moments, given.figure)
    broken = above(moments, bound(moments)) + above(moments, bound(moments, factor=2)) + crossed(moments)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
