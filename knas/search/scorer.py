"""Scores of untrained networks: all built from one seed, and looked at on the same images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from knas.errors import UsageError
from knas.search.settings import DATA, ENCODER, ScoreSettings, option
from knas.spaces.base import Architecture, SearchSpace

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from knas.data import Dataset
    from knas.proxies import Proxy
    from knas.scoring import Scores
    from knas.search.probe import Probe
    from knas.spaces.supernet import Supernet


def load_data(settings: ScoreSettings) -> Dataset:
    """Load the data set that the settings name: images, or sentences as the encoder takes them."""
    from knas import data

    if settings.text:
        assert settings.model is not None  # the settings are resolved
        return data.load_text(
            settings.dataset,
            settings.model,
            columns=settings.text_columns,
            max_length=settings.max_length,
            max_train_samples=settings.max_train_samples,
            seed=settings.seed,
        )
    return data.load(settings.dataset, max_train_samples=settings.max_train_samples, seed=settings.seed)


def content(dataset: Dataset, space: SearchSpace, settings: ScoreSettings) -> dict[str, str]:
    """What the settings on disk tell of the data, and of the pretrained weights that networks start from."""
    from knas.spaces.text import TextSpace

    found = {DATA: dataset.fingerprint}
    if isinstance(space, TextSpace) and settings.initialization == "pretrained":
        from knas.training.checkpoint import state_digest

        found[ENCODER] = state_digest(space.build(space.plain()).encoder.state_dict())
    return found


class ScoreBatch(NamedTuple):
    """What networks are scored on: inputs as they take them, targets [n], and how many classes these are of."""

    inputs: Any
    targets: Tensor
    num_classes: int


def draw_batch(dataset: Dataset, settings: ScoreSettings) -> ScoreBatch:
    """Draw the samples for scoring, on the CPU.

    Raises:
        UsageError: the settings ask for more than there are.
    """
    from knas.data import score_batch

    available = len(dataset.train_labels)
    if settings.score_samples > available:
        raise UsageError(
            f"{option('score_samples')} must be at most {available:,}, the number of training {dataset.samples}, "
            f"not {settings.score_samples:,}"
        )
    inputs, targets = score_batch(dataset, settings.score_samples, seed=settings.seed)
    return ScoreBatch(inputs, targets, dataset.num_classes)


class Scorer:
    """Scores networks of one space.

    Layers that two architectures share start with the same weights, so that scores differ by the architectures alone,
    and no score depends on the order in which networks are handled.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: ScoreSettings,
        batch: ScoreBatch,
        device: torch.device,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Build one network, so that what can't be built is refused at once.

        Args:
            space: builds the networks.
            settings: resolved settings.
            batch: what they are scored on.
            device: where.
            dtype: of weights, images and activations; float32 unless given.
        """
        import torch

        from knas.data.score_batch import placed

        self._settings = settings
        self._device = device
        self._dtype = dtype or torch.float32
        self._inputs, self._targets = placed(batch.inputs, device, self._dtype), batch.targets.to(device)
        self._space, self._num_classes = space, batch.num_classes
        self._sizes = settings.build_options()
        self._build = space.builder(batch.num_classes, settings.seed, device, self._dtype, **self._sizes)
        self._build(space.architecture(0))

    def clock(self) -> float:
        """Real seconds."""
        return time.perf_counter()

    def score(self, architecture: Architecture) -> float:
        """Build a network and score it, untrained."""
        settings = self._settings
        return self._value(self._build(architecture), settings.proxy, settings.proxy_options, settings.seed)

    def scores(self, architecture: Architecture, proxies: Mapping[str, Proxy]) -> Scores:
        """Build a network and score it by several proxies, untrained."""
        from knas import scoring

        return scoring.scores(
            self._build(architecture),
            self._inputs,
            self._targets,
            proxies=proxies,
            seed=self._settings.seed,
            device=self._device,
        )

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        """Build a super-network and score it, untrained."""
        settings = self._settings
        build = {**self._sizes, "seed": probe.seed, **probe.build}
        network = self._space.build_supernet(supernet, self._num_classes, **build)
        network = network.to(self._device, self._dtype)
        if probe.proxy is None:
            return self._value(network, settings.proxy, settings.proxy_options, probe.seed)
        return self._value(network, probe.proxy, probe.proxy_options, probe.seed)

    def _value(self, network: nn.Module, proxy: str, options: Mapping[str, Any], seed: int) -> float:
        from knas import scoring

        score = scoring.score(
            network, self._inputs, self._targets, proxy=proxy, seed=seed, device=self._device, **options
        )
        return score.value
