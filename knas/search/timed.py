"""Algorithms that train one architecture after another until their time or number of trials is used up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from knas.errors import UsageError
from knas.runs.record import TrialRow
from knas.search.base import Outcome, SearchAlgorithm, Selected, choose
from knas.search.evaluator import Evaluator
from knas.spaces.base import Architecture
from knas.spaces.checks import integer_in_range, positive_number

SECONDS = 12_000.0
"""What the comparison in NAS-Bench-201 (arXiv 2001.00326) gives each search on CIFAR-10."""


@dataclass(frozen=True)
class Proposal:
    """What an algorithm wants trained; for the run's number of epochs where none is given."""

    architecture: Architecture
    epochs: int | None = None


Proposals = Generator[Proposal, TrialRow, None]
"""Yields what to train next, and is sent how that went."""


@dataclass(frozen=True)
class TimedSearch(SearchAlgorithm):
    """Trains what `proposals` asks for, one after another, and takes the best by validation accuracy.

    A trial that would exceed the budget is not started where its cost is known before, as on a benchmark; elsewhere the
    last trial may end after it. An architecture that is proposed again, or an isomorphic one, is not trained again, but
    its seconds count again, as in the released code of NAS-Bench-201's baselines: a search that has converged ends.

    Attributes:
        seconds: that all trials may take, simulated ones on a benchmark; None for no limit.
        trials: how many there may be at most; None for no limit.
    """

    scores: ClassVar[bool] = False

    seconds: float | None = SECONDS
    trials: int | None = None

    def __post_init__(self) -> None:
        """Refuse budgets that allow nothing, or everything."""
        if self.seconds is not None:
            positive_number("seconds", self.seconds)
        if self.trials is not None:
            integer_in_range("trials", self.trials, 1)
        if self.seconds is None and self.trials is None:
            raise UsageError("seconds and trials are both unlimited: give --algorithm-option trials=N")

    @abstractmethod
    def proposals(self, evaluator: Evaluator) -> Proposals:
        """Propose forever; depends on nothing but the evaluator's space, seed, epochs and budgets, and what is sent."""

    def check(self, evaluator: Evaluator) -> None:
        """Refuse a budget that is smaller than the first trial."""
        asks = self.proposals(evaluator)
        first = next(asks)
        asks.close()
        if not self._affords(evaluator, first, 0):
            cost = evaluator.cost(first.architecture, epochs=first.epochs)
            raise UsageError(
                f"a budget of {self.seconds:g} seconds is smaller than one evaluation: the first, of "
                f"{first.architecture}, takes {cost:g}; raise seconds"
            )

    def search(self, evaluator: Evaluator) -> Outcome:
        """Train what is proposed while the budget lasts."""
        self.check(evaluator)
        evaluator.begin("search", self.trials or 0, self.seconds)
        asks = self.proposals(evaluator)
        proposal, trained = next(asks), list[Selected]()
        while self._affords(evaluator, proposal, len(trained)):
            row = evaluator.train(proposal.architecture, role="search", epochs=proposal.epochs)
            trained.append(Selected(proposal.architecture, None, row))
            proposal = asks.send(row)
        asks.close()
        selected = longest(evaluator, trained)
        return Outcome(scored=0, failed=0, selected=selected, best=choose(selected))

    def _affords(self, evaluator: Evaluator, proposal: Proposal, trials: int) -> bool:
        if self.trials is not None and trials >= self.trials:
            return False
        if self.seconds is None:
            return True
        cost = evaluator.cost(proposal.architecture, epochs=proposal.epochs)
        spent = evaluator.seconds()
        return spent < self.seconds if cost is None else spent + cost <= self.seconds


def longest(evaluator: Evaluator, trained: Sequence[Selected]) -> tuple[Selected, ...]:
    """Each class once, in the order of training: those of the most epochs, which are compared, and the failures."""
    most = max((one.trial.epochs for one in trained if one.trial.reason is None), default=0)
    found: dict[str, Selected] = {}
    for one in trained:
        if one.trial.reason is not None or one.trial.epochs == most:
            found.setdefault(str(evaluator.space.canonical(one.architecture)), one)
    return tuple(found.values())
