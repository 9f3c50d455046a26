"""Between an algorithm and the networks: what is recorded is answered, the rest is measured and recorded.

An algorithm asks for scores and trials and decides from the answers. Every answer is on the disk before the
algorithm sees it, and an algorithm depends on nothing but its seed and the answers; so running it again from
the start with the same record *is* resuming it: it asks the same questions, and nothing that was answered is
measured again.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from knas.errors import DivergedError, KnasError, UsageError
from knas.runs.record import Record, ScoreRow, SupernetRow, TrialRow
from knas.search.events import (
    EpochEnded,
    PhaseStarted,
    Scored,
    SupernetTrained,
    Trained,
    TrialStarted,
    Watcher,
    ignore,
)
from knas.search.probe import Probe, Prober
from knas.search.supernet_plan import SupernetPlan, SupernetTrainer
from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.supernet import Supernet

if TYPE_CHECKING:
    from knas.proxies import Proxy
    from knas.search.scorer import Scorer

SUPERNET = "super-network"
"""What events call a super-network in the place of an architecture."""


@dataclass(frozen=True)
class Measured:
    """What training one architecture gave: accuracies and `metrics` in per cent, `seconds` over all its sittings."""

    validation_accuracy: float
    test_accuracy: float | None
    train_loss: float | None
    seconds: float
    history: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)


class ScoreBackend(Protocol):
    """Where scores come from."""

    def clock(self) -> float:
        """Seconds since some fixed moment, real or simulated."""
        ...

    def score(self, architecture: Architecture) -> float:
        """The proxy's value of an untrained network; `KnasError` where there is none."""
        ...


class Backend(ScoreBackend, Protocol):
    """Where scores and accuracies come from: real networks, or a table of a benchmark."""

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: Callable[[Mapping[str, Any]], None],
        seed: int | None = None,
    ) -> Measured:
        """Train from scratch, by the run's own seed unless one is given; `DivergedError` where it diverges."""
        ...

    def epochs(self) -> Sequence[int] | None:
        """The numbers of epochs that it can train for, ascending; None for any."""
        ...

    def cost(self, architecture: Architecture, epochs: int, seed: int | None = None) -> float | None:
        """Seconds that a training will take, where that is known before it; else None."""
        ...

    def recorded(self, architecture: Architecture, trial: TrialRow) -> None:
        """Told once a trial is on the disk: what was kept in case it is interrupted can go."""
        ...


class Evaluator:
    """Answers an algorithm's questions about one space under one record.

    Attributes:
        space: the search space.
        seed: the run's seed; algorithms derive their generators from it.
        epochs: how long `train` trains unless told otherwise.
    """

    def __init__(
        self,
        space: SearchSpace,
        backend: Backend,
        record: Record,
        *,
        seed: int = 0,
        epochs: int = 20,
        watcher: Watcher = ignore,
    ) -> None:
        """Bind a space, a source of measurements and a record.

        Args:
            space: the search space.
            backend: measures what is not recorded.
            record: holds what is.
            seed: the run's seed.
            epochs: of each trial.
            watcher: told every event.
        """
        self.space = space
        self.seed = seed
        self.epochs = epochs
        self._backend = backend
        self._record = record
        self._watcher = watcher
        self._seconds = 0.0
        self._known: dict[tuple[str, int, int | None], float] = {}

    def begin(self, phase: str, total: int = 0, seconds: float | None = None) -> None:
        """Tell the watcher that a phase begins (see `PhaseStarted`)."""
        self._watcher(PhaseStarted(phase, total, seconds))

    def seconds(self) -> float:
        """What the answers so far took, measured or simulated.

        A recorded answer counts like a new one, so that a budget of time makes the same decisions when a search is
        resumed; and an answer counts each time that it is given, as in the released code of NAS-Bench-201's
        baselines, so that a search which comes back to the same few architectures ends.
        """
        return self._seconds

    def budgets(self) -> tuple[int, ...] | None:
        """The numbers of epochs that architectures can be trained for, ascending; None for any."""
        epochs = self._backend.epochs()
        return None if epochs is None else tuple(epochs)

    def cost(
        self, architecture: Architecture, *, epochs: int | None = None, seed: int | None = None
    ) -> float | None:
        """What `train` with the same arguments will add to `seconds()`, where that is known before; else None.

        It is known on a benchmark, and where this search was given that trial before.
        """
        key = self._trial_key(architecture, epochs, seed)
        known = self._known.get(
            key
        )  # not the record: a resumed search must not know more than the first one did
        return self._backend.cost(architecture, key[1], seed) if known is None else known

    def score(self, architecture: Architecture) -> ScoreRow:
        """Score an architecture, or recall its score or that of an isomorphic one.

        A score that fails or is not finite is recorded as a failure with its reason.
        """
        key = str(self.space.canonical(architecture))
        row = self._record.score(key)
        replayed = row is not None
        if row is None:
            row = measure_score(self._backend, architecture)
            self._record.add_score(key, row)
        self._seconds += row.seconds
        self._watcher(Scored(row, replayed))
        return row

    def probe(self, supernet: Supernet, probe: Probe) -> ScoreRow:
        """Score a super-network, or recall its score under the same probe.

        Args:
            supernet: the options that are left.
            probe: how it is looked at.

        Raises:
            UsageError: the backend has no networks.
        """
        if not isinstance(self._backend, Prober):
            raise UsageError("algorithm: it scores super-networks, which needs a backend that has networks")
        key = str(probe)
        row = self._record.probe(str(supernet), key)
        replayed = row is not None
        if row is None:
            value = functools.partial(self._backend.probe, supernet, probe)
            row = _measure(str(supernet), value, self._backend.clock)
            self._record.add_probe(key, row)
        self._seconds += row.seconds
        self._watcher(Scored(row, replayed))
        return row

    def train_supernet(self, plan: SupernetPlan) -> SupernetRow:
        """Train a super-network whose architectures share their weights, or recall what it told.

        Training that diverges is recorded as a failure with its reason.

        Args:
            plan: seed and recipe.

        Raises:
            UsageError: the backend has no images.
        """
        if not isinstance(self._backend, SupernetTrainer):
            raise UsageError("algorithm: it trains super-networks, which needs a backend that has images")
        row = self._record.supernet(str(plan))
        replayed = row is not None
        if row is None:
            self._watcher(TrialStarted(SUPERNET, plan.recipe.epochs))
            row = self._measure_supernet(self._backend, plan)
            self._record.add_supernet(row)
            self._backend.recorded_supernet(plan)
        self._seconds += row.seconds
        self._watcher(SupernetTrained(row, replayed))
        return row

    def _measure_supernet(self, backend: SupernetTrainer, plan: SupernetPlan) -> SupernetRow:
        try:
            trained = backend.train_supernet(plan, lambda values: self._watcher(EpochEnded(SUPERNET, values)))
        except DivergedError as error:
            return SupernetRow(str(plan), (), _in_one_line(error), error.seconds)
        found = tuple(str(architecture) for architecture in trained.found)
        return SupernetRow(str(plan), found, None, trained.seconds, tuple(trained.history))

    def train(
        self, architecture: Architecture, *, role: str, epochs: int | None = None, seed: int | None = None
    ) -> TrialRow:
        """Train an architecture from scratch, or recall its trial or that of an isomorphic one.

        Training that diverges is recorded as a failure with its reason.

        Args:
            architecture: what to train.
            role: what for: "search", "top-k", "control" or "plain"; kept in the record.
            epochs: the evaluator's own number unless given.
            seed: of this training; None for the one that the backend uses for all.
        """
        key = self._trial_key(architecture, epochs, seed)
        row = self._record.trial(*key)
        replayed = row is not None
        if row is None:
            self._watcher(TrialStarted(str(architecture), key[1]))
            row = self._measure_trial(architecture, role, key[1], seed)
            self._record.add_trial(key[0], row)
            self._backend.recorded(architecture, row)
        self._known[key] = row.seconds
        self._seconds += row.seconds
        self._watcher(Trained(row, replayed))
        return row

    def _trial_key(
        self, architecture: Architecture, epochs: int | None, seed: int | None
    ) -> tuple[str, int, int | None]:
        return str(self.space.canonical(architecture)), self.epochs if epochs is None else epochs, seed

    def _measure_trial(
        self, architecture: Architecture, role: str, epochs: int, seed: int | None
    ) -> TrialRow:
        text = str(architecture)
        try:
            measured = self._backend.train(
                architecture, epochs, lambda values: self._watcher(EpochEnded(text, values)), seed
            )
        except DivergedError as error:
            reason = _in_one_line(error)
            return TrialRow(text, epochs, role, None, None, None, reason, error.seconds, seed=seed)
        return TrialRow(
            text,
            epochs,
            role,
            measured.validation_accuracy,
            measured.test_accuracy,
            measured.train_loss,
            None,
            measured.seconds,
            tuple(measured.history),
            seed,
            measured.metrics,
        )


def measure_score(backend: ScoreBackend, architecture: Architecture) -> ScoreRow:
    """Score an architecture; a failure, or a score that is not finite, becomes a row with its reason."""
    return _measure(str(architecture), functools.partial(backend.score, architecture), backend.clock)


def measure_scores(
    scorer: Scorer, architecture: Architecture, proxies: Mapping[str, Proxy]
) -> dict[str, ScoreRow]:
    """Score an architecture by several proxies in one call; each row has an equal share of the time.

    Args:
        scorer: builds its network.
        architecture: which.
        proxies: by name.
    """
    start = scorer.clock()
    try:
        found = scorer.scores(architecture, proxies)
        values, failures = {name: one.value for name, one in found.items()}, found.failures
    except KnasError as error:  # of the network itself
        values, failures = {}, dict.fromkeys(proxies, error)
    seconds = (scorer.clock() - start) / len(proxies)
    text = str(architecture)
    rows = {name: _row(text, value, seconds) for name, value in values.items()}
    rows |= {name: ScoreRow(text, None, _reason(error), seconds) for name, error in failures.items()}
    return rows


def _measure(text: str, score: Callable[[], float], clock: Callable[[], float]) -> ScoreRow:
    start = clock()
    try:
        return _row(text, float(score()), clock() - start)
    except KnasError as error:
        return ScoreRow(text, None, _reason(error), clock() - start)


def _row(text: str, value: float, seconds: float) -> ScoreRow:
    """The row of a score, which is a failure where it is not finite."""
    finite = math.isfinite(value)
    return ScoreRow(text, value if finite else None, None if finite else f"the score is {value}", seconds)


def _reason(error: KnasError) -> str:
    """Why there is no score, in one line.

    Raises:
        KnasError: memory ran out. This says nothing about the network: the run stops, and can go on with more.
    """
    if _ran_out_of_memory(error):
        raise error
    return _in_one_line(error)


def _in_one_line(error: KnasError) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def refuse_no_scores(rows: Sequence[ScoreRow]) -> None:
    """Refuse to go on where no architecture has a score.

    Raises:
        KnasError: none has; the text gives the commonest reason.
    """
    if all(row.value is None for row in rows):
        reason, times = Counter(row.reason for row in rows).most_common(1)[0]
        raise KnasError(f"none of {len(rows)} networks could be scored; {times} of them: {reason}")


def _ran_out_of_memory(error: BaseException) -> bool:
    from knas.gradients.memory import is_out_of_memory

    return error.__cause__ is not None and is_out_of_memory(error.__cause__)
