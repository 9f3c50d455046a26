"""Where a search's answers come from: networks that are trained, or a benchmark that is looked up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from knas.errors import UsageError
from knas.runs.best import ARCHITECTURE, WEIGHTS, write_best
from knas.runs.folder import RunFolder
from knas.search.base import Outcome, SearchAlgorithm
from knas.search.evaluator import Backend
from knas.search.machine import machine
from knas.search.settings import DATA, TABLE, SearchSettings
from knas.spaces.base import SearchSpace

if TYPE_CHECKING:
    import torch

    from knas.data import Dataset
    from knas.search.supernets import Supernets


class Source(ABC):
    """A backend, and what a run tells of it.

    Attributes:
        backend: what the evaluator asks.
        content: what the settings on disk tell of the data, so that a run never goes on with others.
        told: further settings for whoever watches.
        machine: where it computes, in words.
        notes: what the user should know of the data.
    """

    backend: Backend
    content: Mapping[str, str]
    told: Mapping[str, Any]
    machine: str
    notes: tuple[str, ...]

    @abstractmethod
    def keep(self, outcome: Outcome, folder: RunFolder) -> None:
        """Fill the run's `best/` where there are weights to keep."""

    @abstractmethod
    def benchmark(self, outcome: Outcome) -> dict[str, Any] | None:
        """What `SearchResult.benchmark` tells."""


class TrainedNetworks(Source):
    """Real data and real training."""

    def __init__(
        self,
        settings: SearchSettings,
        space: SearchSpace,
        folder: RunFolder,
        algorithm: SearchAlgorithm,
        device: torch.device,
    ) -> None:
        """Load the data set, and build one network so that what can't be built is refused at once."""
        from knas.search.networks import Networks
        from knas.search.scorer import content, load_data

        dataset = load_data(settings)
        supernets = _supernets(settings, space, dataset, folder, algorithm, device)
        self._networks = Networks(space, dataset, settings, folder.trials, device, supernets)
        self.backend = self._networks
        self.content = content(dataset, space, settings)
        self.told = {
            "batch_size": self._networks.batch_size,
            "samples_are": dataset.samples,
            **_told(supernets),
        }
        self.machine = machine(device)
        self.notes = self._networks.dataset.notes

    def keep(self, outcome: Outcome, folder: RunFolder) -> None:
        """Fill `best/`, unless that was done before the run was interrupted or its control was asked for."""
        architecture, trial = outcome.best.architecture, outcome.best.trial
        weights = self._networks.weights(architecture, trial.epochs, trial.seed)
        if not weights.exists():
            if (folder.best / WEIGHTS).exists() and (folder.best / ARCHITECTURE).exists():
                return
            # someone removed the file: make it again
            self._networks.train(architecture, trial.epochs, lambda values: None, trial.seed)
        write_best(folder.best, self._networks.description(architecture, trial.seed), weights)

    def benchmark(self, outcome: Outcome) -> None:
        """Nothing: the networks were trained."""


class LookedUp(Source):
    """A benchmark on a simulated clock; only scores come from real networks, and what super-networks tell."""

    def __init__(
        self,
        settings: SearchSettings,
        space: SearchSpace,
        folder: RunFolder,
        algorithm: SearchAlgorithm,
        device: torch.device,
    ) -> None:
        """Read the table, and the images for scores or super-networks where the algorithm wants some.

        Raises:
            UsageError: the table can't be read, is one of another space, or lacks what the settings ask for.
        """
        from knas import benchmarks
        from knas.benchmarks.simulated import Simulated

        assert settings.benchmark is not None
        assert settings.epochs is not None
        assert settings.benchmark_dataset is not None
        table = benchmarks.load(settings.benchmark)
        if table.space.name != space.name:
            raise UsageError(
                f"--benchmark {settings.benchmark} is one of {table.space.name}, not of {space.name}"
            )
        self._settings, self._algorithm = settings, algorithm
        self.content, self.notes, self.machine = {TABLE: table.fingerprint}, (), "a simulated clock"
        scorer, supernets = None, None
        if algorithm.scores or algorithm.supernets:
            from knas.search.scorer import Scorer, draw_batch, load_data

            images = load_data(settings)
            if algorithm.scores:
                scorer = Scorer(space, settings, draw_batch(images, settings), device)
            supernets = _supernets(settings, space, images, folder, algorithm, device)
            self.content |= {DATA: images.fingerprint}
            self.notes = images.notes
            real = "scores" if algorithm.scores else "super-networks"
            self.machine = f"a simulated clock, {real} on {machine(device)}"
        self._simulated = Simulated(
            table, settings.benchmark_dataset, scorer, settings.score_seconds, supernets
        )
        self._seconds_are = self._simulated.seconds_are(settings.epochs)
        self.backend = self._simulated
        self.told = {"batch_size": None, "seconds_are": self._seconds_are, **_told(supernets)}

    def keep(self, outcome: Outcome, folder: RunFolder) -> None:
        """Nothing: there are no weights."""

    def benchmark(self, outcome: Outcome) -> dict[str, Any]:
        """What the table tells of the found architecture, and what the seconds are."""
        settings, simulated, algorithm = self._settings, self._simulated, self._algorithm
        found = outcome.found or simulated.benchmark.space.parse(outcome.best.trial.architecture)
        stated = settings.score_seconds
        images: dict[str, str] = {}
        seconds = {"train": f"simulated: {self._seconds_are}"}
        if algorithm.scores:
            images["scored_on"] = settings.dataset
            seconds["score"] = "measured" if stated is None else f"stated, {stated:g} each"
        if algorithm.supernets:
            images["supernet_on"] = settings.dataset
            seconds["supernet"] = "measured"
        return {
            "file": settings.benchmark,
            "sha256": simulated.benchmark.fingerprint,
            "dataset": simulated.dataset,
            **images,
            "seconds": seconds,
            "found": simulated.found(found),
        }


def _supernets(
    settings: SearchSettings,
    space: SearchSpace,
    dataset: Dataset,
    folder: RunFolder,
    algorithm: SearchAlgorithm,
    device: torch.device,
) -> Supernets | None:
    """What trains super-networks, where the algorithm does."""
    if not algorithm.supernets:
        return None
    from knas.data import ImageDataset
    from knas.search.supernets import Supernets

    if not isinstance(dataset, ImageDataset):
        raise UsageError(
            f"algorithm {settings.algorithm!r} trains a super-network, which space {space.name!r} has not"
        )
    return Supernets(space, dataset, settings, folder.trials, device)


def _told(supernets: Supernets | None) -> dict[str, str]:
    return {} if supernets is None else {"supernets": supernets.told}
