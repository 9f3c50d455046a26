"""The passes of AZ-NAS: a network as a chain of blocks, their features, and how gradients pass each block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from knas.errors import KnasError, NotFiniteError
from knas.gradients import Batch
from knas.gradients.batch_norm import BatchNormStatistics
from knas.gradients.checks import refuse_unusable_weights
from knas.gradients.undisturbed import undisturbed
from knas.observations.base import Found, Observation, Pass
from knas.observations.blocks import blocks_of
from knas.observations.features import channel_covariance, channel_rows, spectra
from knas.observations.replaced import call_with, gaussian, gaussian_inputs


@dataclass(frozen=True)
class ChainPass(Pass):
    """A forward pass of Gaussian inputs through Kaiming-initialized weights, and a backward pass through each block.

    BatchNorm is in training mode. The network's own weights and the values of the samples' floating point inputs do
    not matter, only their shapes.
    """

    def run(self, model: nn.Module, batch: Batch, wanted: Sequence[Observation[Any]], seed: int) -> Found:
        """Runs them."""
        refuse_unusable_weights(model)
        generator = torch.Generator().manual_seed(seed % 2**63)
        chain = Chain(model)
        with undisturbed(model, seed, frozen=True):
            weights, inputs = gaussian(model, generator, fan_in=True), gaussian_inputs(batch, generator)
            with BatchNormStatistics("batch"), chain.watching():
                call_with(model, weights, inputs)
            if len(chain.features) < 3:
                raise KnasError(
                    "model: a chain of at least two blocks expected, each with a tensor as its first argument "
                    "and another as its output"
                )
            found: Found = {}
            if ChainSpectra(self) in wanted:
                covariances = [channel_covariance(features.detach()) for features in chain.features]
                found[ChainSpectra(self)] = spectra(covariances)
            if ChainGains(self) in wanted:
                found[ChainGains(self)] = self._gains(chain, generator)
        return found

    def _gains(self, chain: Chain, generator: torch.Generator) -> list[float] | KnasError:
        pairs = zip(chain.names, chain.features, chain.features[1:], strict=False)
        try:
            return [block_gain(name, before, after, generator) for name, before, after in pairs]
        except KnasError as error:
            return error


CHAIN = ChainPass()


@dataclass(frozen=True)
class ChainSpectra(Observation[list[Tensor]]):
    """Eigenvalues of the channels' covariance, of the input of the first block and of each block's output."""

    made_in: ChainPass = CHAIN


@dataclass(frozen=True)
class ChainGains(Observation[list[float]]):
    """How much each block stretches gradients: see `block_gain`."""

    made_in: ChainPass = CHAIN


class Chain:
    """Keeps the input of a model's first block and the output of each, connected by autograd."""

    def __init__(self, model: nn.Module) -> None:
        self.blocks = blocks_of(model)
        self.features: list[Tensor] = []
        self.names: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What the forward pass runs within."""
        before = register_module_forward_pre_hook(self._first)
        after = register_module_forward_hook(self._output)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def _first(self, module: nn.Module, inputs: Any) -> Any:
        if self.features or module not in self.blocks or not inputs or not _is_feature(inputs[0]):
            return None
        self.features.append(inputs[0].detach().requires_grad_())  # nothing before it is differentiated
        return (self.features[0].clone(), *inputs[1:])

    def _output(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple | list) and output else output
        if module not in self.blocks or not self.features or not _is_feature(first):
            return None
        self.features.append(first)
        self.names.append(self.blocks[module])
        passed = first.clone()  # what follows may overwrite it
        if isinstance(output, tuple):
            return type(output)(passed, *output[1:]) if hasattr(output, "_fields") else (passed, *output[1:])
        return [passed, *output[1:]] if isinstance(output, list) else passed


def _is_feature(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() >= 2


def block_gain(name: str, before: Tensor, after: Tensor, generator: torch.Generator) -> float:
    """Largest singular value of the mean over samples and positions of d_in d_out^T, d_out random signs.

    Args:
        name: Of the block, for errors.
        before: Its input [n, C, ...] or [n, ..., C].
        after: Its output, of as many positions or a whole fraction of them along each axis.
        generator: Draws the signs.

    Raises:
        KnasError: Its output does not depend on its input, or is the input itself.
    """
    signs = torch.randint(0, 2, after.shape, generator=generator).to(after).mul_(2).sub_(1)
    (gradient,) = (
        torch.autograd.grad(after, before, signs, retain_graph=True, allow_unused=True)
        if after.requires_grad
        else (None,)
    )
    if gradient is None or not bool(gradient.any()):
        raise KnasError(f"model: the output of block {name} does not depend on its input")
    if gradient.shape == signs.shape and torch.equal(gradient, signs):
        raise KnasError(f"model: block {name} passes its input on as it is")
    gradient = _folded(gradient, signs)
    rows_in, rows_out = channel_rows(gradient), channel_rows(signs)
    if len(rows_in) != len(rows_out):
        raise KnasError(
            f"model: block {name} turns {list(before.shape)} into {list(after.shape)}, positions that do not match"
        )
    mean = rows_in.T @ rows_out / len(rows_out)
    if not bool(torch.isfinite(mean).all()):
        raise NotFiniteError(f"gradients: NaN or Inf in block {name}; the network is unstable")
    return float(torch.linalg.matrix_norm(mean.double(), 2))


def _folded(gradient: Tensor, output: Tensor) -> Tensor:
    """Positions of the input that lie in one position of the output become channels of that."""
    if output.dim() == 2:
        return gradient.flatten(1)
    if gradient.dim() != 4 or output.dim() != 4 or gradient.shape[2:] == output.shape[2:]:
        return gradient
    factor = gradient.shape[2] // max(output.shape[2], 1)
    fits = factor > 1 and all(output.shape[axis] * factor == gradient.shape[axis] for axis in (2, 3))
    return torch.nn.functional.pixel_unshuffle(gradient, factor) if fits else gradient
