"""NASWOT: score untrained networks, take the one with the highest score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from knas.errors import UsageError
from knas.search.base import Outcome, SearchAlgorithm, Selected, choose, draw_classes, generator
from knas.search.evaluator import Evaluator
from knas.search.knas import DRAW, rank


@dataclass(frozen=True)
class Naswot(SearchAlgorithm):
    """Neural architecture search without training (Mellor et al., ICML 2021, arXiv 2006.04647, Algorithm 1).

    Draw `samples` architectures, score each untrained, and take the one with the highest score. No accuracy has a say:
    the winner is trained once, for the report alone. The paper's Table 2 has N = 10, 100 and 1,000 samples on
    NAS-Bench-201, with batches of 128 images (`--score-samples 128`; the code's `--batch_size`).

    It departs from the code in that architectures are drawn from distinct isomorphism classes, so that no network is
    scored twice, and that one whose kernel is singular is left out.

    Attributes:
        samples: N, architectures to draw and score.
    """

    name: ClassVar[str] = "naswot"
    proxy: ClassVar[str] = "naswot"

    samples: int = 100

    def __post_init__(self) -> None:
        """Refuse a draw of nothing."""
        if self.samples < 1:
            raise UsageError(f"samples must be at least 1, not {self.samples}")

    def search(self, evaluator: Evaluator) -> Outcome:
        """Score, take the best, train it."""
        drawn = draw_classes(evaluator.space, self.samples, generator(evaluator.seed, DRAW))
        evaluator.begin("score", len(drawn))
        ranked = rank(drawn, [evaluator.score(architecture) for architecture in drawn])
        found, row = ranked[0]
        evaluator.begin("top-k", 1)
        selected = (Selected(found, row, evaluator.train(found, role="top-k")),)
        return Outcome(len(ranked), len(drawn) - len(ranked), selected, choose(selected), found=found)
