"""KNAS: score untrained networks by a gradient kernel, train the best few, keep the best of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from knas.errors import UsageError
from knas.runs.record import ScoreRow, TrialRow
from knas.search.base import Outcome, SearchAlgorithm, Selected, choose, draw_classes, generator
from knas.search.evaluator import Evaluator, refuse_no_scores
from knas.spaces.base import Architecture

DRAW, CONTROL = 0, 1
"""What the run's seed is used for."""


@dataclass(frozen=True)
class Knas(SearchAlgorithm):
    """Algorithm 1 of the KNAS paper (arXiv 2111.13293).

    Draw `samples` architectures, score each untrained (Eq. 16 with the default proxy), train the `top_k` with
    the highest scores from scratch, and return the one with the highest validation accuracy. Architectures
    are drawn from distinct isomorphism classes, so that no network is scored or trained twice.

    Attributes:
        samples: architectures to draw and score.
        top_k: architectures to train.
        control: also train `top_k` of the drawn architectures chosen at random: what the score must beat.
    """

    name: ClassVar[str] = "knas"

    samples: int = 100
    top_k: int = 20
    control: bool = False

    def __post_init__(self) -> None:
        """Refuse budgets that select nothing."""
        if self.samples < 1:
            raise UsageError(f"samples must be at least 1, not {self.samples}")
        if not 1 <= self.top_k <= self.samples:
            raise UsageError(
                f"top_k must be between 1 and samples ({self.samples}), not {self.top_k}: "
                "lower --top-k or raise --samples"
            )

    def search(self, evaluator: Evaluator) -> Outcome:
        """Score, select, train, choose."""
        drawn = draw_classes(evaluator.space, self.samples, generator(evaluator.seed, DRAW))
        evaluator.begin("score", len(drawn))
        rows = [evaluator.score(architecture) for architecture in drawn]
        ranked = rank(drawn, rows)
        kept = ranked[: self.top_k]
        evaluator.begin("top-k", len(kept))
        selected = tuple(
            Selected(architecture, row, evaluator.train(architecture, role="top-k"))
            for architecture, row in kept
        )
        return Outcome(
            scored=len(ranked),
            failed=len(rows) - len(ranked),
            selected=selected,
            best=choose(selected),
            control=self._control(evaluator, drawn) if self.control else None,
        )

    def _control(self, evaluator: Evaluator, drawn: Sequence[Architecture]) -> tuple[TrialRow, ...]:
        """Train as many at random, of all drawn: choosing among those with a score would already use it."""
        rng = generator(evaluator.seed, CONTROL)
        chosen = rng.choice(len(drawn), size=min(self.top_k, len(drawn)), replace=False)
        evaluator.begin("control", len(chosen))
        return tuple(evaluator.train(drawn[int(position)], role="control") for position in chosen)


def rank(drawn: Sequence[Architecture], rows: Sequence[ScoreRow]) -> list[tuple[Architecture, ScoreRow]]:
    """Those with a score, by descending score; equals stay in the order of drawing.

    Raises:
        KnasError: none has a score; the text gives the commonest reason.
    """
    refuse_no_scores(rows)
    ranked = [
        (architecture, row) for architecture, row in zip(drawn, rows, strict=True) if row.value is not None
    ]
    return sorted(ranked, key=lambda pair: -(pair[1].value or 0.0))
