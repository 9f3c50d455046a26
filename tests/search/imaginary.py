"""A small search space without networks, and measurements that cost nothing, for testing algorithms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from knas.errors import DivergedError, KnasError
from knas.runs import TrialRow
from knas.search.evaluator import Measured
from knas.search.probe import Probe
from knas.search.supernet_plan import SupernetPlan, TrainedSupernet
from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.supernet import Supernet

OPERATIONS = "abcx"
DEAD = "x"
SLOTS = 4


class Interrupted(BaseException):
    """Stands for `kill -9`."""


@dataclass(frozen=True)
class Word(Architecture):
    """Four letters; those with the same letters are isomorphic."""

    letters: str

    def __str__(self) -> str:
        return self.letters


class ImaginarySpace(SearchSpace):
    """All words: 256 in 35 classes."""

    name = "imaginary"
    kind = Word

    def __len__(self) -> int:
        return len(OPERATIONS) ** SLOTS

    def architecture(self, index: int) -> Word:
        digits = (index // len(OPERATIONS) ** slot % len(OPERATIONS) for slot in range(SLOTS))
        return Word("".join(OPERATIONS[digit] for digit in digits))

    def index(self, architecture: Architecture) -> int:
        return sum(
            OPERATIONS.index(letter) * len(OPERATIONS) ** slot
            for slot, letter in enumerate(str(architecture))
        )

    def parse(self, text: str) -> Word:
        return Word(text)

    def canonical(self, architecture: Architecture) -> Word:
        return Word("".join(sorted(str(architecture))))

    def choices(self) -> tuple[tuple[str, ...], ...]:
        return (tuple(OPERATIONS),) * SLOTS

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        return tuple(OPERATIONS.index(letter) for letter in str(architecture))

    def decode(self, codes: Sequence[int]) -> Word:
        return Word("".join(OPERATIONS[code] for code in codes))

    def build(self, architecture: Architecture, *args: Any, **options: Any) -> nn.Module:
        raise NotImplementedError

    def parameters(self, architecture: Architecture, *args: Any, **options: Any) -> int:
        raise NotImplementedError


class Training(NamedTuple):
    """What a training was asked for."""

    architecture: Architecture
    epochs: int
    seed: int | None


class ImaginaryBackend:
    """Scores and accuracies from a hash of the word; words with two dead letters have no score.

    The clock ticks a second per measurement, and a training says that it took one per epoch. `stop_at` interrupts the
    measurement with that number, and the score with the number `memory` finds none left. `foreseen` tells what a
    training will cost, and `budgets` the epochs that there are.
    """

    def __init__(
        self,
        *,
        stop_at: int | None = None,
        diverging: Collection[Architecture] = (),
        all_fail: bool = False,
        memory: int | None = None,
        foreseen: bool = False,
        budgets: Sequence[int] | None = None,
    ) -> None:
        self.scored: list[Architecture] = []
        self.trained: list[Training] = []
        self.probed: list[tuple[Supernet, Probe]] = []
        self.shared: list[SupernetPlan] = []
        self.told: list[TrialRow | SupernetPlan] = []
        self._stop_at = stop_at
        self._diverging = diverging
        self._all_fail = all_fail
        self._memory = memory
        self._foreseen = foreseen
        self._budgets = budgets
        self._seconds = 0.0

    @property
    def calls(self) -> int:
        return len(self.scored) + len(self.trained) + len(self.probed) + len(self.shared)

    def clock(self) -> float:
        return self._seconds

    def score(self, architecture: Architecture) -> float:
        self._measure(self.scored, architecture)
        dead = str(architecture).count(DEAD)
        if len(self.scored) == self._memory:
            raise KnasError("the samples do not fit the memory") from MemoryError()
        if self._all_fail or dead >= 3:
            raise KnasError("no gradient\nreaches the input")
        return float("nan") if dead == 2 else fraction(architecture, "score")

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        """Those fail early on that lack `b` alone on some slot; dead letters lower the score."""
        self._measure(self.probed, (supernet, probe))
        early = any(len(left) == len(OPERATIONS) for left in supernet.options)
        if self._all_fail or (early and ("a", "c", "x") in supernet.options):
            raise KnasError("no gradient\nreaches the input")
        return 5.0 + fraction(supernet, str(probe)) - 0.25 * str(supernet).count(DEAD)

    def epochs(self) -> Sequence[int] | None:
        return self._budgets

    def cost(self, architecture: Architecture, epochs: int, seed: int | None = None) -> float | None:
        return float(epochs) if self._foreseen else None

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: Callable[[Mapping[str, Any]], None],
        seed: int | None = None,
    ) -> Measured:
        self._measure(self.trained, Training(architecture, epochs, seed))
        if self._all_fail or architecture in self._diverging:
            raise DivergedError("the loss is nan", 1.0)
        accuracy = 100 * fraction(architecture, "accuracy")
        history = [{"epoch": epoch, "validation_accuracy": accuracy} for epoch in range(1, epochs + 1)]
        for values in history:
            on_epoch(values)
        return Measured(accuracy, accuracy / 2, 0.5, float(epochs), history)

    def train_supernet(
        self, plan: SupernetPlan, on_epoch: Callable[[Mapping[str, Any]], None]
    ) -> TrainedSupernet:
        """As many words as there are candidates, and a second per epoch."""
        self._measure(self.shared, plan)
        if self._all_fail:
            raise DivergedError("the loss is nan", 1.0)
        history = [
            {"epoch": epoch, "validation_accuracy": 10.0} for epoch in range(1, plan.recipe.epochs + 1)
        ]
        for values in history:
            on_epoch(values)
        space = ImaginarySpace()
        numbers = (fraction(f"{plan} {number}", "supernet") for number in range(plan.recipe.candidates))
        found = [space.architecture(int(number * len(space))) for number in numbers]
        return TrainedSupernet(found, float(plan.recipe.epochs), history)

    def recorded_supernet(self, plan: SupernetPlan) -> None:
        self.told.append(plan)

    def recorded(self, architecture: Architecture, trial: TrialRow) -> None:
        self.told.append(trial)

    def _measure(self, calls: list[Any], asked: Any) -> None:
        stop = self.calls == self._stop_at
        calls.append(asked)
        if stop:
            raise Interrupted
        self._seconds += 1.0


def fraction(architecture: object, purpose: str) -> float:
    """A number in 0..1 that the word and the purpose fix."""
    digest = hashlib.sha256(f"{purpose} {architecture}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
