"""Scores of untrained networks: all built from one seed, and looked at on the same images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from knas.errors import UsageError
from knas.search.settings import ScoreSettings, option
from knas.spaces.base import Architecture, SearchSpace

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from knas.data import ImageDataset
    from knas.search.probe import Probe
    from knas.spaces.supernet import Supernet


def load_data(settings: ScoreSettings) -> ImageDataset:
    """Load the data set that the settings name."""
    from knas import data

    return data.load(settings.dataset, max_train_samples=settings.max_train_samples, seed=settings.seed)


class ScoreImages(NamedTuple):
    """What networks are scored on: inputs [n, C, H, W], targets [n], and how many classes these are of."""

    inputs: Tensor
    targets: Tensor
    num_classes: int


def score_images(dataset: ImageDataset, settings: ScoreSettings) -> ScoreImages:
    """Draw the images for scoring, on the CPU.

    Raises:
        UsageError: the settings ask for more than there are.
    """
    from knas.data import score_batch

    available = len(dataset.train_labels)
    if settings.score_samples > available:
        raise UsageError(
            f"{option('score_samples')} must be at most {available:,}, the number of training images, "
            f"not {settings.score_samples:,}"
        )
    inputs, targets = score_batch(dataset, settings.score_samples, seed=settings.seed)
    return ScoreImages(inputs, targets, dataset.num_classes)


class Scorer:
    """Scores networks of one space.

    Layers that two architectures share start with the same weights, so that scores differ by the architectures alone,
    and no score depends on the order in which networks are handled.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: ScoreSettings,
        images: ScoreImages,
        device: torch.device,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Build one network, so that what can't be built is refused at once.

        Args:
            space: builds the networks.
            settings: resolved settings.
            images: what they are scored on.
            device: where.
            dtype: of weights, images and activations; None for that of the images.
        """
        self._settings = settings
        self._device = device
        dtype = dtype or images.inputs.dtype
        self._inputs, self._targets = images.inputs.to(device, dtype), images.targets.to(device)
        self._space, self._num_classes = space, images.num_classes
        self._sizes = settings.build_options()
        self._build = space.builder(images.num_classes, settings.seed, device, dtype, **self._sizes)
        self._build(space.architecture(0))

    def clock(self) -> float:
        """Real seconds."""
        return time.perf_counter()

    def score(self, architecture: Architecture) -> float:
        """Build a network and score it, untrained."""
        settings = self._settings
        return self._value(self._build(architecture), settings.proxy, settings.proxy_options, settings.seed)

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        """Build a super-network and score it, untrained."""
        settings = self._settings
        build = {**self._sizes, "seed": probe.seed, **probe.build}
        network = self._space.build_supernet(supernet, self._num_classes, **build)
        network = network.to(self._device, self._inputs.dtype)
        if probe.proxy is None:
            return self._value(network, settings.proxy, settings.proxy_options, probe.seed)
        return self._value(network, probe.proxy, probe.proxy_options, probe.seed)

    def _value(self, network: nn.Module, proxy: str, options: Mapping[str, Any], seed: int) -> float:
        from knas import scoring

        score = scoring.score(
            network, self._inputs, self._targets, proxy=proxy, seed=seed, device=self._device, **options
        )
        return score.value
