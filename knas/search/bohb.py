"""BOHB through Optuna: a model of good architectures proposes, Hyperband trains few of them for long."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from knas.errors import UsageError
from knas.search.evaluator import Evaluator
from knas.search.timed import Proposal, Proposals, TimedSearch
from knas.spaces.checks import integer_in_range

RUNGS = 3
"""Budgets where any number of epochs can be had: the run's, and two smaller ones."""


@dataclass(frozen=True)
class Bohb(TimedSearch):
    """BOHB (Falkner et al., arXiv 1807.01774) as Optuna's TPE with Hyperband.

    A tree-structured Parzen estimator over all decisions proposes architectures. Each is trained for the smallest
    number of epochs first; the best third goes on to the next larger one, trained from scratch again, and so on. Only
    architectures of the largest number that was reached are compared in the end. Where any number of epochs can be
    had, the rungs are the run's epochs, a third, and a ninth of them. A benchmark has the rungs that it holds up to
    the run's epochs: with 12 alone, Hyperband has nothing to decide, and BOHB is TPE on trainings of 12 epochs. So it
    is in NAS-Bench-201's comparison (arXiv 2001.00326): its released code looks up each proposal's accuracy
    after 12 epochs, whatever budget Hyperband asks for.

    Optuna's TPE is not BOHB's own model. `candidates` and `eta` are as in the scripts released for NAS-Bench-201
    (`num_samples` 4, `eta` 3); its kernel bandwidths have no counterpart. `startup` is BOHB's own default, one more
    than there are decisions, for NAS-Bench-201's six.

    Attributes:
        candidates: how many the model looks at for each proposal.
        startup: proposals at random before the model is used.
        eta: of so many, one goes on to the next rung.
    """

    name: ClassVar[str] = "bohb"

    candidates: int = 4
    startup: int = 7
    eta: int = 3

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        integer_in_range("candidates", self.candidates, 1)
        integer_in_range("startup", self.startup, 1)
        integer_in_range("eta", self.eta, 2)

    def proposals(self, evaluator: Evaluator) -> Proposals:
        """Ask Optuna, and tell it how far each trial came."""
        rungs = self.rungs(evaluator)
        study = self._study(evaluator.seed, len(rungs))
        choices = evaluator.space.choices()
        while True:
            trial = study.ask()
            names = [trial.suggest_categorical(str(place), options) for place, options in enumerate(choices)]
            codes = [options.index(name) for options, name in zip(choices, names, strict=True)]
            architecture = evaluator.space.decode(codes)
            for rung, epochs in enumerate(rungs):
                row = yield Proposal(architecture, epochs)
                accuracy = row.validation_accuracy or 0.0
                trial.report(
                    accuracy, step=self.eta**rung
                )  # rungs as Hyperband counts them, whatever their epochs
                if trial.should_prune():
                    break
            study.tell(trial, accuracy)

    def rungs(self, evaluator: Evaluator) -> tuple[int, ...]:
        """The numbers of epochs of the trainings, ascending.

        Raises:
            UsageError: the benchmark has none up to the run's.
        """
        most, held = evaluator.epochs, evaluator.budgets()
        if held is None:
            held = tuple(max(most // self.eta**power, 1) for power in range(RUNGS))
        found = tuple(sorted({epochs for epochs in held if epochs <= most}))
        if not found:
            raise UsageError(f"epochs (--epochs): the benchmark holds {held}, nothing up to {most}")
        return found

    def _study(self, seed: int, rungs: int) -> Any:
        optuna = _optuna()
        pruner = optuna.pruners.NopPruner()
        if rungs > 1:
            pruner = optuna.pruners.HyperbandPruner(1, self.eta ** (rungs - 1), self.eta)
        with _quietly(optuna):
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=self.startup,
                n_ei_candidates=self.candidates,
                multivariate=True,
                seed=seed % 2**32,
            )
            return optuna.create_study(
                direction="maximize",
                sampler=sampler,
                pruner=pruner,
                study_name="knas",  # Hyperband deals trials to brackets by it
            )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError("algorithm bohb needs Optuna: pip install 'knas[bohb]'") from error
    return optuna


@contextlib.contextmanager
def _quietly(optuna: Any) -> Iterator[None]:
    """Without the log line that there is a study, and the warning that its model of all decisions may change."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
