"""Feature maps of a forward pass, as the spectra of their channels' covariances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from typing_extensions import override

from knas.errors import KnasError, NotFiniteError, UsageError
from knas.gradients.watch import Watcher, unwatched
from knas.observations.blocks import blocks_of
from knas.observations.forward import CALIBRATED, ForwardObservation, ForwardPass


@dataclass
class Spectra:
    """The eigenvalues of the covariance of each block's channels.

    Attributes:
        names: Paths of the blocks, in the order in which they ran.
        kinds: Their classes.
        parameters: Their numbers of parameters.
        values: float64 on the CPU, [channels] for each, in ascending order.
    """

    names: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    parameters: list[int] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


class BlockWatcher(Watcher):
    """Looks at the output of each block at once, since what follows may overwrite it."""

    def __init__(self) -> None:
        self.spectra = Spectra()
        self.blocks: dict[nn.Module, str] = {}
        self.covariances: list[Tensor] = []

    @override
    @contextmanager
    def watching(self, model: nn.Module, n: int) -> Iterator[None]:
        self.blocks = blocks_of(model)
        handle = register_module_forward_hook(
            self._seen
        )  # of all modules, so that none carries a hook of ours
        try:
            yield
        finally:
            handle.remove()

    @override
    def finish(self) -> None:
        if not self.covariances:
            raise UsageError("model: no block with an output tensor ran in its forward pass")
        self.spectra.values += spectra(self.covariances)
        for name, values in zip(self.spectra.names, self.spectra.values, strict=True):
            if not bool(torch.isfinite(values).all()):
                raise NotFiniteError(
                    f"activations: NaN or Inf after {name}; the network or its initialization is unstable"
                )

    def _seen(self, module: nn.Module, inputs: Any, output: Any) -> None:
        name = self.blocks.get(module)
        if name is None or self.error is not None:
            return
        features = output[0] if isinstance(output, tuple | list) else output
        if not isinstance(features, Tensor) or not features.is_floating_point() or features.dim() < 2:
            return
        with unwatched():
            try:
                self.covariances.append(channel_covariance(features))
            except KnasError as error:
                self.error = error
                return
        self.spectra.names.append(name)
        self.spectra.kinds.append(type(module).__name__)
        self.spectra.parameters.append(sum(parameter.numel() for parameter in module.parameters()))


def channel_covariance(features: Tensor) -> Tensor:
    """Covariance of the channels over samples and positions; of the positions instead where those are fewer.

    Both have the same eigenvalues other than 0.

    Args:
        features: [n, channels, ...] with two or more axes of positions, else [n, ..., channels].

    Returns:
        [m, m], in the accumulation type of the features.
    """
    rows = channel_rows(features)
    rows = rows if rows.dtype == torch.float64 else rows.float()
    if not rows.numel():
        raise UsageError(f"model: a block's output {list(features.shape)} has no elements")
    centered = rows - rows.mean(0)
    product = centered.T @ centered if rows.shape[1] <= rows.shape[0] else centered @ centered.T
    return product / rows.shape[0]


def channel_rows(features: Tensor) -> Tensor:
    """The channels of features as rows [samples x positions, channels]; see `channel_covariance` for their axis."""
    moved = features.movedim(1, -1) if features.dim() >= 4 else features
    return moved.reshape(-1, moved.shape[-1])


def spectra(covariances: list[Tensor]) -> list[Tensor]:
    """Eigenvalues of each matrix, none below 0, float64 on the CPU; those of one size are taken together."""
    found: list[Tensor] = [torch.empty(0)] * len(covariances)
    for size in {len(matrix) for matrix in covariances}:
        places = [place for place, matrix in enumerate(covariances) if len(matrix) == size]
        stack = torch.stack([covariances[place] for place in places]).double().cpu()
        finite = torch.isfinite(stack).flatten(1).all(1)
        values = torch.linalg.eigvalsh(torch.where(finite[:, None, None], stack, 0.0)).clamp(min=0)
        values[~finite] = torch.nan
        for place, row in zip(places, values, strict=True):
            found[place] = row
    return found


@dataclass(frozen=True)
class FeatureSpectra(ForwardObservation[Spectra]):
    """The eigenvalues of the channels' covariance of the output of each of the network's blocks."""

    made_in: ForwardPass = CALIBRATED

    def watcher(self) -> BlockWatcher:
        """Watches blocks."""
        return BlockWatcher()

    def read(self, watcher: BlockWatcher) -> Spectra:
        """The eigenvalues."""
        return watcher.spectra
