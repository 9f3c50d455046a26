"""Random search: train what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from knas.search.base import generator
from knas.search.evaluator import Evaluator
from knas.search.timed import Proposal, Proposals, TimedSearch


@dataclass(frozen=True)
class RandomSearch(TimedSearch):
    """RS (Bergstra & Bengio, JMLR 13, 2012) as in NAS-Bench-201 (arXiv 2001.00326).

    Each architecture of the space is drawn with the same probability, with repetition.
    """

    name: ClassVar[str] = "random"

    def proposals(self, evaluator: Evaluator) -> Proposals:
        """Draw."""
        rng = generator(evaluator.seed, 0)
        while True:
            yield Proposal(evaluator.space.sample(rng))
