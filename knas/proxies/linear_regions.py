"""The number of linear regions that samples fall into, the expressivity of TE-NAS (arXiv 2102.11535)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.errors import UsageError
from knas.gradients import POLICIES, Batch, one_of, watch_relus
from knas.gradients.checks import refuse_unusable_weights
from knas.observations import Findings, ForwardPass, ReLUCodes
from knas.proxies.base import Observing, Score
from knas.proxies.checks import positive


@dataclass(frozen=True)
class LinearRegions(Observing):
    """The number of distinct activation patterns among samples (Chen et al., ICLR 2021, arXiv 2102.11535).

    A network of ReLUs is linear wherever no unit changes between on and off; two samples with the same pattern of all
    units lie in one linear region. More regions say more expressivity, so higher is better.

    The count never exceeds the number of samples, and a network of usual width tells all images apart: then it says
    nothing. The published code counts where it does: 3,000 patches of 3 x 3 pixels from one channel drawn at random,
    a single cell with 1 channel and no stem, Kaiming initialization with fan-in, BatchNorm in training mode, the mean
    over 3 initializations (`Linear_Region_Collector` in `prune_tenas.py`). `patches=3000, patch=3, one_channel=True`
    gives these inputs; the network is up to the caller.

    Args:
        patches: How many patches are cut from the samples at random places; None takes the samples as they are.
        patch: Height and width of a patch in pixels.
        one_channel: Whether a patch has one of the image's channels, drawn at random, in place of all.
        batch_norm: What BatchNorm normalizes by: the statistics of the batch ("calibrated" and "batch" are the same
            without gradients) or "initial".
    """

    name: ClassVar[str] = "linear-regions"

    patches: int | None = None
    patch: int = 3
    one_channel: bool = False
    batch_norm: str = "calibrated"

    def __post_init__(self) -> None:
        """Checks the options."""
        one_of("batch_norm", self.batch_norm, POLICIES)
        positive("patch", self.patch, 1)
        if self.patches is not None:
            positive("patches", self.patches, 2)
        if not isinstance(self.one_channel, bool):
            raise UsageError(f"one_channel: true or false expected, got {self.one_channel!r}")

    @property
    def own_passes(self) -> bool:
        """Whether it looks at patches, which no other proxy does."""
        return self.patches is not None

    def observations(self) -> tuple[ReLUCodes]:
        """The Hamming kernel."""
        return (ReLUCodes(ForwardPass(self.batch_norm)),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """Two samples share a region where they agree in all units."""
        kernel = findings[ReLUCodes(ForwardPass(self.batch_norm))]
        first = (kernel.matrix == kernel.units).int().argmax(1)  # the first sample with the same code
        return Score(float(len(first.unique())), self.name)

    def score(self, model: nn.Module, batch: Batch, *, seed: int = 0) -> Score:
        """Scores a network by one forward pass without gradients; it has no shares of layers.

        Raises:
            KnasError: The network has no ReLU, some activation is not finite, or patches are asked of other inputs
                than images.
        """
        if self.patches is None:
            return super().score(model, batch, seed=seed)
        started = time.perf_counter()
        refuse_unusable_weights(model)
        images = random_patches(_images(batch), self.patches, self.patch, seed, one_channel=self.one_channel)
        regions = Regions(self.patches)
        patches = Batch(images, None, self.patches)
        watch_relus(model, patches, regions.add, batch_norm=self.batch_norm, seed=seed)
        return Score(float(regions.count), self.name, seconds=time.perf_counter() - started)


class Regions:
    """Which samples share a region: those that agree in all codes added so far."""

    def __init__(self, n: int) -> None:
        """Starts with all samples in one region.

        Args:
            n: Number of samples.
        """
        self.members = torch.zeros(n, dtype=torch.long)  # the region of each sample

    @property
    def count(self) -> int:
        """How many regions there are."""
        return int(self.members.max()) + 1

    def add(self, code: Tensor) -> None:
        """Divides the regions by a code, bool [n, units]."""
        if self.count == len(self.members):
            return
        _, own = torch.unique(code.cpu(), dim=0, return_inverse=True)
        _, self.members = torch.unique(self.members * len(own) + own, return_inverse=True)


def random_patches(images: Tensor, count: int, size: int, seed: int, *, one_channel: bool = False) -> Tensor:
    """Cuts patches from random places of random images.

    Args:
        images: [n, C, h, w].
        count: How many.
        size: Height and width in pixels.
        seed: Fixes them.
        one_channel: Whether to keep one channel of each, drawn at random.

    Returns:
        [count, C or 1, size, size].

    Raises:
        UsageError: The images are smaller than a patch.
    """
    n, channels, height, width = images.shape
    if min(height, width) < size:
        raise UsageError(f"patch: at most the images' {height} x {width} pixels expected, got {size}")
    generator = torch.Generator().manual_seed(seed)

    def draw(below: int) -> Tensor:
        return torch.randint(below, (count,), generator=generator).to(images.device)

    windows = images.unfold(2, size, 1).unfold(3, size, 1)  # [n, C, h', w', size, size], a view
    patches = windows[draw(n), :, draw(height - size + 1), draw(width - size + 1)]
    if one_channel:
        chosen = draw(channels)
        patches = patches[torch.arange(count, device=images.device), chosen].unsqueeze(1)
    return patches.contiguous()


def _images(batch: Batch) -> Tensor:
    if not isinstance(batch.inputs, Tensor) or batch.inputs.dim() != 4:
        raise UsageError(
            "patches: only images, a tensor [n, channels, height, width], can be cut; use patches=None"
        )
    return batch.inputs
