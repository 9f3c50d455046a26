"""TE-NAS: prune a super-network by what an operation does to its trainability and expressivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, ClassVar, NamedTuple

from knas.errors import KnasError, UsageError
from knas.search.base import Outcome, SearchAlgorithm, Selected, choose
from knas.search.evaluator import Evaluator
from knas.search.probe import Probe
from knas.search.pruning import Inquiry, decided, removals, weight_seeds, whole
from knas.spaces.supernet import Supernet

PRECISION = 3
"""Decimals to which the code rounds a relative change (`precision` in `prune_launch.py`)."""


class Change(NamedTuple):
    """What taking an option out of a decision changes, relative to the super-network that has it; means over weights.

    `condition` is how much the condition number falls, `regions` how much the number of linear regions does.
    """

    decision: int
    option: str
    condition: float
    regions: float


@dataclass(frozen=True)
class TENAS(SearchAlgorithm):
    """Training-free search by pruning (Chen et al., ICLR 2021, arXiv 2102.11535).

    From the super-network of all operations, each round takes one operation from every edge with several left: the
    one whose removal lowers the condition number of the neural tangent kernel most and the number of linear regions
    least, by the sum of its ranks among all removals. When every edge is decided, that is the cell; it
    is trained once, for the report alone.

    Defaults are those of the released code for NAS-Bench-201 (`prune_launch.py`, `prune_tenas.py`): 3 initializations;
    kernels of networks with 3 channels and 1 cell per stage, Kaiming fan-out; regions of a lone cell with 1 channel,
    Kaiming fan-in, on 3,000 patches of 3 x 3 pixels; changes rounded to 3 decimals; `none` is out from the start; an
    edge is the mean of its operations.

    It departs from the code in this: all removals of a round are compared with the same weights and images, which the
    code draws again for each; the images are those that the run scores on (`--score-samples 72` gives the code's
    number), and patches come from these; kernels have BatchNorm's statistics held constant and gradients of all
    parameters (see `knas.proxies.NTKCondition`). An operation without which there is no score stays.

    Attributes:
        repeats: initializations that a change is the mean over.
        channels: of the networks whose kernels are taken.
        cells_per_stage: of these.
        patches: for the linear regions.
        batch_norm: of the kernels; see `knas.proxies.NTKCondition`.
    """

    name: ClassVar[str] = "te-nas"
    proxy: ClassVar[str] = "ntk-condition"
    own_proxies: ClassVar[bool] = True

    repeats: int = 3
    channels: int = 3
    cells_per_stage: int = 1
    patches: int = 3000
    batch_norm: str = "calibrated"

    def __post_init__(self) -> None:
        """Refuse numbers that measure nothing."""
        for name, least in (("repeats", 1), ("channels", 1), ("cells_per_stage", 1), ("patches", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UsageError(f"{name}: an integer of at least {least} expected, got {value!r}")

    def search(self, evaluator: Evaluator) -> Outcome:
        """Prune, and train what is left."""
        supernet = whole(evaluator.space, leave_out=("none",))
        inquiry = Inquiry(evaluator)
        evaluator.begin("score", 2 * self.repeats * _questions(supernet))
        rounds = 0
        while not supernet.decided:
            supernet = self._prune(inquiry, supernet, rounds)
            rounds += 1
        found = decided(evaluator.space, supernet)
        evaluator.begin("top-k", 1)
        selected = (Selected(found, None, evaluator.train(found, role="top-k")),)
        return Outcome(inquiry.scored, inquiry.failed, selected, choose(selected), found=found)

    def _prune(self, inquiry: Inquiry, supernet: Supernet, rounds: int) -> Supernet:
        """Take one operation from each edge that has several."""
        seeds = weight_seeds(inquiry.evaluator.seed, self.repeats, rounds)
        kernels, regions = [self._kernel(seed) for seed in seeds], [self._regions(seed) for seed in seeds]
        base = [inquiry.demand(supernet, probe) for probe in (*kernels, *regions)]
        changes: list[Change] = []
        for decision in supernet.undecided:
            for option, rest in removals(supernet, decision):
                rows = [inquiry.ask(rest, probe) for probe in (*kernels, *regions)]
                values = [row.value for row in rows if row.value is not None]
                if len(values) == len(base):
                    falls = [
                        round((was - now) / was, PRECISION) for was, now in zip(base, values, strict=True)
                    ]
                    half = len(kernels)
                    changes.append(Change(decision, option, fmean(falls[:half]), fmean(falls[half:])))
        return _without_least_important(supernet, changes)

    def _kernel(self, seed: int) -> Probe:
        sizes = {"channels": self.channels, "cells_per_stage": self.cells_per_stage}
        build = {**sizes, "initialization": "kaiming-fan-out", "weighting": "mean"}
        return Probe(seed, "ntk-condition", {"batch_norm": self.batch_norm}, build)

    def _regions(self, seed: int) -> Probe:
        build: Mapping[str, Any] = {
            "channels": 1,
            "in_channels": 1,
            "lone_cell": True,
            "initialization": "kaiming",
            "weighting": "mean",
        }
        options = {"patches": self.patches, "patch": 3, "one_channel": True}
        return Probe(seed, "linear-regions", options, build)


def _questions(supernet: Supernet) -> int:
    """How many super-networks a search looks at: in each round the whole, and one for each removal."""
    left = [len(options) for options in supernet.options]
    total = 0
    while max(left) > 1:
        total += 1 + sum(count for count in left if count > 1)
        left = [max(count - 1, 1) for count in left]
    return total


def _without_least_important(supernet: Supernet, changes: Sequence[Change]) -> Supernet:
    """Take from each decision the option whose ranks have the lowest sum.

    Among equals that which lowers the condition number more, then the first, as the code's stable sorting does.

    Raises:
        KnasError: a decision has no option that could be measured without.
    """
    condition = dense_ranks([-change.condition for change in changes])
    regions = dense_ranks([change.regions for change in changes])
    order = sorted(range(len(changes)), key=lambda i: (condition[i] + regions[i], condition[i]))
    for decision in supernet.undecided:
        first = next((changes[i] for i in order if changes[i].decision == decision), None)
        if first is None:
            raise KnasError(
                f"none of the networks without an operation of edge {decision} could be scored; "
                "the reasons are in the run's search.sqlite"
            )
        supernet = supernet.without(decision, first.option)
    return supernet


def dense_ranks(values: Sequence[float]) -> list[int]:
    """Ranks from 0, lowest first; equals share one, and the next has the next number.

    >>> dense_ranks([0.5, 0.1, 0.5, 0.7])
    [1, 0, 1, 2]
    """
    places = {value: place for place, value in enumerate(sorted(set(values)))}
    return [places[value] for value in values]
