"""One search of one system on a benchmark's simulated clock."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec

from knas.benchmarks.benchmark import Benchmark
from knas.benchmarks.simulated import Simulated
from knas.compare import scores
from knas.compare.scores import Clocked, ScoreTable
from knas.compare.searches import Found, Task
from knas.compare.systems import TABLES, System
from knas.errors import UsageError
from knas.runs.record import Record
from knas.search.base import SearchAlgorithm, create
from knas.search.evaluator import Evaluator
from knas.search.resnet import CELLS
from knas.search.timed import TimedSearch


@dataclass(frozen=True)
class Budget:
    """What a search that trains one architecture after another may spend; None for no limit.

    Attributes:
        seconds: simulated ones.
        trials: trainings.
    """

    seconds: float | None = None
    trials: int | None = None

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.trials:,} trials" if self.trials else f"{self.seconds:,g} simulated seconds"


@dataclass(frozen=True)
class Tabular:
    """Searches on a table.

    Attributes:
        benchmark: the table.
        epochs: of each training of a search.
        budget: of the systems that train one architecture after another.
        tables: of scores, by `System.scores`.
        score_seconds: what a score of a table is said to take; None for what the table tells.
    """

    benchmark: Benchmark
    epochs: int
    budget: Budget
    tables: dict[str, ScoreTable]
    score_seconds: float | None = None

    def missing(self, system: System) -> bool:
        """Whether the system can't be searched with here, for want of scores, real networks, or a package."""
        if system.algorithm == "bohb" and find_spec("optuna") is None:
            return True
        return system.runs or (system.scores in TABLES and system.scores not in self.tables)

    def task(self, system: System, dataset: str, seed: int) -> Task:
        """What tells a search from all others on this table with this budget."""
        table = self.tables.get(system.scores or "")
        if table is None:
            return Task(system.name, dataset, seed)
        return Task(system.name, dataset, seed, table.fingerprint, self.score_seconds)

    def seconds_are(self, dataset: str) -> str:
        """What the seconds of a training are, in words.

        Raises:
            UsageError: the table lacks validation accuracies or test accuracies of a data set, or all seconds.
        """
        told = Simulated(self.benchmark, dataset).seconds_are(self.epochs)
        self.benchmark.accuracies(dataset, self.epochs, "validation")
        self.benchmark.accuracies(dataset, self.final(dataset), "test")
        return told

    def final(self, dataset: str) -> int:
        """After so many epochs found cells are judged: the most that the table holds.

        Raises:
            UsageError: it holds no test accuracies of the data set.
        """
        budgets = self.benchmark.budgets(dataset, "test_accuracy")
        if not budgets:
            raise UsageError(f"{self.benchmark.source} holds no test accuracy on {dataset}")
        return budgets[-1]

    def check(self, system: System, task: Task) -> None:
        """Refuse what can't be searched, before anything is written.

        Raises:
            UsageError: the budget is smaller than one evaluation.
        """
        if system.algorithm is None:
            return
        simulated = Simulated(self.benchmark, task.dataset)
        try:
            with closing(Record(":memory:")) as record:
                self._algorithm(system).check(self._evaluator(simulated, task.seed, record))
        except UsageError as error:
            raise UsageError(f"--budget: {error}") from error

    def search(self, system: System, task: Task) -> Found:
        """Search."""
        if system.algorithm is None:
            return Found(task, CELLS[self.benchmark.space.name], 0.0)
        table = self.tables.get(system.scores or "")
        simulated = Simulated(
            self.benchmark,
            task.dataset,
            self._scorer(system),
            None if table is None else self.score_seconds,
        )
        with closing(Record(":memory:")) as record:
            evaluator = self._evaluator(simulated, task.seed, record)
            outcome = self._algorithm(system).search(evaluator)
            scoring = sum(row.seconds for row in record.scores())
        if outcome.found is not None:  # it was trained for the report alone
            return Found(task, str(outcome.found), scoring)
        return Found(task, outcome.best.trial.architecture, evaluator.seconds())

    def _scorer(self, system: System) -> Clocked | None:
        if system.scores is None:
            return None
        if (table := self.tables.get(system.scores)) is not None:
            return table.scorer(self.benchmark.space)
        return scores.free(self.benchmark.space, system.scores)

    def _algorithm(self, system: System) -> SearchAlgorithm:
        assert system.algorithm is not None
        options = dict(system.options)
        algorithm = create(system.algorithm, **options)
        if isinstance(algorithm, TimedSearch):
            algorithm = create(system.algorithm, seconds=self.budget.seconds, trials=self.budget.trials)
        return algorithm

    def _evaluator(self, simulated: Simulated, seed: int, record: Record) -> Evaluator:
        return Evaluator(self.benchmark.space, simulated, record, seed=seed, epochs=self.epochs)
