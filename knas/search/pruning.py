"""What algorithms share that take operations out of a super-network until one is left on each edge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from knas.runs.record import ScoreRow
from knas.search.base import generator
from knas.search.evaluator import Evaluator, refuse_no_scores
from knas.search.probe import Probe
from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.supernet import Supernet

WEIGHTS = 0
"""The purpose of the generator that seeds of weights come from."""


@dataclass
class Inquiry:
    """Asks for super-networks' scores, and counts what came.

    Attributes:
        evaluator: answers.
        scored: answers that were scores.
        failed: those that were not.
    """

    evaluator: Evaluator
    scored: int = 0
    failed: int = 0

    def ask(self, supernet: Supernet, probe: Probe) -> ScoreRow:
        """The score of a super-network, or why it has none."""
        row = self.evaluator.probe(supernet, probe)
        self.count([row])
        return row

    def count(self, rows: Iterable[ScoreRow]) -> None:
        """Count scores that were asked for elsewhere."""
        for row in rows:
            self.scored += row.value is not None
            self.failed += row.value is None

    def demand(self, supernet: Supernet, probe: Probe) -> float:
        """The score of a super-network that must have one.

        Raises:
            KnasError: it has none; the text gives the reason.
        """
        row = self.ask(supernet, probe)
        refuse_no_scores([row])
        assert row.value is not None
        return row.value


def whole(space: SearchSpace, leave_out: Iterable[str] = ()) -> Supernet:
    """The super-network of all options of a space, less those that are named (where others are left)."""
    unwanted = set(leave_out)
    kept = (tuple(name for name in options if name not in unwanted) for options in space.choices())
    return Supernet(tuple(left or options for left, options in zip(kept, space.choices(), strict=True)))


def decided(space: SearchSpace, supernet: Supernet) -> Architecture:
    """The architecture that a super-network with one option for each decision is."""
    options = zip(space.choices(), supernet.options, strict=True)
    return space.decode([every.index(left[0]) for every, left in options])


def removals(supernet: Supernet, decision: int) -> list[tuple[str, Supernet]]:
    """Each option of a decision, and the super-network that lacks it."""
    return [(option, supernet.without(decision, option)) for option in supernet.options[decision]]


def weight_seeds(seed: int, count: int, *purpose: int) -> Sequence[int]:
    """Seeds of weights, the same for all super-networks that are compared with each other."""
    drawn = generator(seed, WEIGHTS, *purpose).integers(1 << 31, size=count)
    return [int(number) for number in drawn]
