"""Training on a simulated clock: a benchmark answers, and the clock moves on by what the training would have cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from knas.benchmarks.benchmark import Benchmark, Entry
from knas.errors import DivergedError, UsageError
from knas.runs.record import TrialRow
from knas.search.evaluator import Measured, ScoreBackend
from knas.search.probe import Probe, Prober
from knas.search.supernet_plan import SupernetPlan, SupernetTrainer, TrainedSupernet, needed
from knas.spaces.base import Architecture
from knas.spaces.supernet import Supernet

RELATIVE_COST: Mapping[str, float] = {"cifar10": 2160.0, "cifar100": 4600.0, "imagenet16-120": 10_000.0}
"""Seconds that one training and evaluation takes on each data set, in the KNAS paper (arXiv 2111.13293, Section 6.3).

Where a benchmark lacks the seconds on a data set, they are those on CIFAR-10 times the quotient of these numbers.
"""


class Simulated:
    """The `Backend` of a search on a benchmark: no network is trained.

    Trials give the mean over the benchmark's seeds, unless an algorithm asks for one seed. Scores come from real
    networks and take what they take by the scorer's clock, or `score_seconds` each. Super-networks are really trained.

    Attributes:
        benchmark: the table.
        dataset: the data set that is looked up.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        dataset: str,
        scorer: ScoreBackend | None = None,
        score_seconds: float | None = None,
        supernets: SupernetTrainer | None = None,
    ) -> None:
        """Start the clock at zero.

        Args:
            benchmark: the table.
            dataset: one of `benchmark.datasets`.
            scorer: scores networks; None for algorithms that score nothing.
            score_seconds: what a score costs; None for what it takes.
            supernets: trains super-networks; None for algorithms without.

        Raises:
            UsageError: the benchmark lacks the data set, or validation accuracies or training times on it.
        """
        self.benchmark = benchmark
        self.dataset = dataset
        self._scorer = scorer
        self._score_seconds = score_seconds
        self._supernets = supernets
        self._now = 0.0
        self._epochs = benchmark.budgets(dataset, "validation_accuracy")
        if not self._epochs:
            raise UsageError(f"{benchmark.source} holds no validation accuracy on {dataset}")
        self._sources = {epochs: self._source(epochs) for epochs in self._epochs}

    def clock(self) -> float:
        """Simulated seconds since the start."""
        return self._now

    def epochs(self) -> Sequence[int]:
        """The numbers of epochs after which the benchmark holds validation accuracies."""
        return self._epochs

    def score(self, architecture: Architecture) -> float:
        """Score a real network, untrained."""
        return self._score(lambda scorer: scorer.score(architecture))

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        """Score a real super-network, untrained."""

        def ask(scorer: ScoreBackend) -> float:
            if not isinstance(scorer, Prober):
                raise UsageError("algorithm: what scores networks here scores no super-networks")
            return scorer.probe(supernet, probe)

        return self._score(ask)

    def _score(self, ask: Callable[[ScoreBackend], float]) -> float:
        if self._scorer is None:
            raise UsageError("this algorithm was said to score nothing")
        start = self._scorer.clock()
        try:
            return ask(self._scorer)
        finally:
            measured = self._scorer.clock() - start
            self._now += measured if self._score_seconds is None else self._score_seconds

    def train_supernet(
        self, plan: SupernetPlan, on_epoch: Callable[[Mapping[str, Any]], None]
    ) -> TrainedSupernet:
        """Train a real super-network; the clock moves on by what that took."""
        try:
            trained = needed(self._supernets).train_supernet(plan, on_epoch)
        except DivergedError as error:
            self._now += error.seconds
            raise
        self._now += trained.seconds
        return trained

    def recorded_supernet(self, plan: SupernetPlan) -> None:
        """Pass on that the answer is on the disk."""
        needed(self._supernets).recorded_supernet(plan)

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: Callable[[Mapping[str, Any]], None],
        seed: int | None = None,
    ) -> Measured:
        """Look up the accuracies after the last epoch, and let the time pass."""
        entry = self.benchmark.query(architecture, self.dataset, epochs, seed)
        if entry.validation_accuracy is None:
            raise UsageError(
                f"{self.benchmark.source} lacks the validation accuracy of {architecture} after {epochs} epochs"
            )
        seconds = self.cost(architecture, epochs, seed)
        self._now += seconds
        return Measured(entry.validation_accuracy, entry.test_accuracy, entry.train_loss, seconds)

    def recorded(self, architecture: Architecture, trial: TrialRow) -> None:
        """Nothing was kept in case of an interruption."""

    def cost(self, architecture: Architecture, epochs: int, seed: int | None = None) -> float:
        """The seconds of a training; where the table lacks them, estimated as `seconds_are` says."""
        self._known(epochs)
        dataset, held, factor = self._sources[epochs]
        own = (dataset, held) == (self.dataset, epochs)
        entry: Entry = self.benchmark.query(architecture, dataset, held, seed if own else None)
        if entry.seconds is None:
            raise UsageError(f"{self.benchmark.source} lacks the seconds of {architecture} on {dataset}")
        return factor * entry.seconds

    def seconds_are(self, epochs: int) -> str:
        """What the simulated seconds of a training are, in words."""
        self._known(epochs)
        dataset, held, factor = self._sources[epochs]
        if (dataset, held) == (self.dataset, epochs):
            return f"those of the table for {epochs} epochs on {dataset}"
        told = f"those of the table for {held} epochs on {dataset}, times {factor:.4g}"
        if dataset != self.dataset:
            told += (
                f"; {RELATIVE_COST[self.dataset]:g} / {RELATIVE_COST[dataset]:g} is what training takes there "
                "in the KNAS paper, Section 6.3"
            )
        return told

    def found(self, architecture: Architecture) -> dict[str, dict[str, dict[str, float | None]]]:
        """The accuracies that the benchmark tells of an architecture, by data set and number of epochs."""
        return {
            dataset: {
                str(epochs): self._accuracies(architecture, dataset, epochs)
                for epochs in self.benchmark.budgets(dataset)
            }
            for dataset in self.benchmark.datasets
        }

    def _accuracies(self, architecture: Architecture, dataset: str, epochs: int) -> dict[str, float | None]:
        try:
            entry = self.benchmark.query(architecture, dataset, epochs)
        except UsageError:  # an incomplete table may lack this one
            entry = Entry()
        return {"validation_accuracy": entry.validation_accuracy, "test_accuracy": entry.test_accuracy}

    def _known(self, epochs: int) -> None:
        if epochs not in self._sources:
            held = " and ".join(map(str, self._epochs))
            raise UsageError(
                f"epochs (--epochs): {self.benchmark.source} has validation accuracies on {self.dataset} after {held} "
                f"epochs, not {epochs}"
            )

    def _source(self, epochs: int) -> tuple[str, int, float]:
        """Where the seconds come from: data set, number of epochs, and what to multiply by."""
        for dataset in dict.fromkeys((self.dataset, "cifar10")):
            held = self.benchmark.budgets(dataset, "seconds") if dataset in self.benchmark.datasets else ()
            if held:
                nearest = min(held, key=lambda budget: abs(budget - epochs))
                relative = RELATIVE_COST[self.dataset] / RELATIVE_COST[dataset]
                return dataset, nearest, relative * epochs / nearest
        raise UsageError(f"{self.benchmark.source} tells no training time on {self.dataset} or cifar10")
