"""How large a network is: the controls that every other proxy has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from knas.gradients import POLICIES, layers_of, no_parameters, one_of
from knas.observations import CapturePass, Depth, Findings, Operations, ReachedLayers
from knas.proxies.base import LayerScore, Observing, Score
from knas.proxies.gradient import GradientProxy


@dataclass(frozen=True)
class Params(Observing):
    """The number of trainable parameters; it takes no pass, and counts parameters that no output depends on too."""

    name: ClassVar[str] = "params"

    def observations(self) -> tuple[()]:
        """Nothing."""
        return ()

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """Counts them, layer by layer."""
        layers = layers_of(model)
        if not layers.layers:
            raise no_parameters()
        shares = tuple(
            LayerScore(layer.name, layer.kind, layer.size, float(layer.size)) for layer in layers.layers
        )
        return Score(sum(share.value for share in shares), self.name, shares)


@dataclass(frozen=True)
class FLOPs(Observing):
    """Floating point operations of a forward pass per sample, counted by `torch.utils.flop_counter`.

    These are those of convolutions, matrix products and fused attention, 2 for each multiply-add. Operations on edges
    that add nothing to the output count where they run. Papers often say FLOPs for multiply-adds: half of this value.
    """

    name: ClassVar[str] = "flops"

    def observations(self) -> tuple[Operations]:
        """The operations of a forward pass."""
        return (Operations(),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The count."""
        return Score(findings[Operations()], self.name)


@dataclass(frozen=True)
class DepthCount(GradientProxy):
    """The most convolutions and linear layers on one path from the inputs to the output, each use of a layer one.

    The longest path of the forward pass as it ran, whatever it is multiplied with; 0 where there are no such layers.
    Recurrent modules of PyTorch are none, and what reentrant checkpointing hides is not seen.

    Args:
        of: What is differentiated: "output" (summed over its elements) or "loss" (needs targets).
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
    """

    name: ClassVar[str] = "depth"

    def observations(self) -> tuple[Depth]:
        """The depth."""
        return (Depth(self.made_in),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The number."""
        return Score(float(findings[Depth(self.made_in)]), self.name)


@dataclass(frozen=True)
class LayerCount(Observing):
    """The number of layers, modules with trainable parameters of their own, that the output depends on.

    A layer counts where the gradient that reaches it is not zero.

    Args:
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
    """

    name: ClassVar[str] = "layers"

    batch_norm: str = "calibrated"

    def __post_init__(self) -> None:
        """Checks the option."""
        one_of("batch_norm", self.batch_norm, POLICIES)

    def observations(self) -> tuple[ReachedLayers]:
        """Which layers a gradient reaches."""
        return (ReachedLayers(CapturePass("output", self.batch_norm)),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The count."""
        layers = findings[ReachedLayers(CapturePass("output", self.batch_norm))]
        shares = tuple(LayerScore(layer.name, layer.kind, layer.size, 1.0) for layer in layers)
        return Score(float(len(layers)), self.name, shares)
