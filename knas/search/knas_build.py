"""KNAS-build: decide a cell one edge at a time, by what the super-network's score loses without an operation."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from knas.errors import KnasError, UsageError
from knas.search.base import Outcome, SearchAlgorithm, Selected, choose, generator
from knas.search.evaluator import Evaluator, refuse_no_scores
from knas.search.knas import rank
from knas.search.probe import Probe
from knas.search.pruning import Inquiry, decided, removals, weight_seeds, whole
from knas.spaces.base import Architecture
from knas.spaces.checks import one_of
from knas.spaces.supernet import Supernet

ORDERS = ("random", "forward", "backward")
WEIGHTINGS = ("share", "mean", "sum")
KEEPS = ("essential", "expendable")
ORDER = 1
"""The purpose of the generator of orders of decisions."""


@dataclass(frozen=True)
class KnasBuild(SearchAlgorithm):
    """A cell builder by perturbation, with the run's proxy (MGM) and no training at all.

    As in Zero-Cost-PT (Xiang et al., AAAI 2023, arXiv 2106.08554): edges of the super-network of all
    operations are decided one at a time. On the edge in hand each operation is taken out in turn; the operation
    without which the super-network scores lowest is the most important, and stays alone. That makes a proposal; of
    `proposals` of them, each with another order of edges, the one whose own network scores highest is the cell. It is
    trained once, for the report alone.

    Zero-Cost-PT's setting for NAS-Bench-201 is 10 proposals and random order, with 100 rounds of validation over
    batches of 256 images and the Jacobian covariance for a proxy (`zerocostpt_nb201_pipeline.sh`); an
    edge's operations have fixed weights 1/5. Here proposals are compared on one batch, the run's, and the proxy is
    the run's (`--proxy`), its super-networks of the run's size (`--channels`, `--cells-per-stage`).

    Attributes:
        proposals: cells that are built.
        order: of the decisions: "random" (another for each proposal), "forward" (input to output) or "backward".
        repeats: initializations whose scores are averaged.
        weighting: of the operations of an edge: "share" (1/5, however many are left), "mean" or "sum".
        keep: "essential" keeps the operation without which the score is lowest; "expendable" the one without which
            it is highest, for proxies by which worse super-networks score higher.
    """

    name: ClassVar[str] = "knas-build"

    proposals: int = 10
    order: str = "random"
    repeats: int = 1
    weighting: str = "share"
    keep: str = "essential"

    def __post_init__(self) -> None:
        """Refuse numbers and names that mean nothing."""
        one_of("order", self.order, ORDERS)
        one_of("keep", self.keep, KEEPS)
        one_of("weighting", self.weighting, WEIGHTINGS)
        for name in ("proposals", "repeats"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{name}: an integer of at least 1 expected, got {value!r}")

    def search(self, evaluator: Evaluator) -> Outcome:
        """Build proposals, take the one with the highest score, train it."""
        inquiry = Inquiry(evaluator)
        start = whole(evaluator.space)
        questions = self.repeats * sum(len(options) for options in start.options if len(options) > 1)
        evaluator.begin("score", self.proposals * (questions + 1))
        built = [self._build(inquiry, start, number) for number in range(self.proposals)]
        proposals = list({str(evaluator.space.canonical(one)): one for one in built}.values())
        found, row = proposals[0], None
        if len(proposals) > 1:
            rows = [evaluator.score(proposal) for proposal in proposals]
            found, row = rank(proposals, rows)[0]
            inquiry.count(rows)
        evaluator.begin("top-k", 1)
        selected = (Selected(found, row, evaluator.train(found, role="top-k")),)
        return Outcome(inquiry.scored, inquiry.failed, selected, choose(selected), found=found)

    def _build(self, inquiry: Inquiry, supernet: Supernet, number: int) -> Architecture:
        for decision in self._decisions(supernet, inquiry.evaluator.seed, number):
            supernet = self._decide(inquiry, supernet, decision)
        return decided(inquiry.evaluator.space, supernet)

    def _decisions(self, supernet: Supernet, seed: int, number: int) -> list[int]:
        decisions = list(supernet.undecided)
        if self.order == "random":
            generator(seed, ORDER, number).shuffle(decisions)
        return decisions[::-1] if self.order == "backward" else decisions

    def _decide(self, inquiry: Inquiry, supernet: Supernet, decision: int) -> Supernet:
        """Keep the most important option; one without which there is no score can't be compared and is passed over.

        Raises:
            KnasError: there is no score without any of the options.
        """
        seeds = weight_seeds(inquiry.evaluator.seed, self.repeats)
        scores: dict[str, float] = {}
        rows = []
        for option, rest in removals(supernet, decision):
            own = [inquiry.ask(rest, Probe(seed, build={"weighting": self.weighting})) for seed in seeds]
            values = [row.value for row in own if row.value is not None]
            if len(values) == len(own):
                scores[option] = fmean(values)
            rows += own
        refuse_no_scores(rows)
        if not scores:
            raise KnasError(
                f"edge {decision}: no operation could be taken out under all {self.repeats} initializations"
            )
        sign = 1 if self.keep == "essential" else -1
        return supernet.only(decision, min(scores, key=lambda option: sign * scores[option]))
