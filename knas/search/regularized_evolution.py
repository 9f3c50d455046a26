"""Regularized evolution: mutate the best of a few, and let the oldest die."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from knas.errors import UsageError
from knas.search.base import generator
from knas.search.evaluator import Evaluator
from knas.search.timed import Proposal, Proposals, TimedSearch
from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.checks import integer_in_range


@dataclass(frozen=True)
class RegularizedEvolution(TimedSearch):
    """REA, Algorithm 1 of Real et al. (arXiv 1802.01548), as in NAS-Bench-201 (arXiv 2001.00326).

    The population starts at random. Then, again and again, `sample` of its members are drawn with repetition, the best
    of them by validation accuracy gets a child that differs in one decision, and the oldest member dies. Defaults are
    those of the scripts released for NAS-Bench-201 (population 10, sample 3). These draw a node first and then one of
    its edges; here each edge is as likely as any other, which needs no knowledge of the space.

    Attributes:
        population: members.
        sample: members of each tournament.
    """

    name: ClassVar[str] = "regularized-evolution"

    population: int = 10
    sample: int = 3

    def __post_init__(self) -> None:
        """Refuse tournaments that are larger than the population."""
        super().__post_init__()
        integer_in_range("population", self.population, 1)
        integer_in_range("sample", self.sample, 1)
        if self.sample > self.population:
            raise UsageError(f"sample must be at most population ({self.population}), not {self.sample}")

    def proposals(self, evaluator: Evaluator) -> Proposals:
        """Draw the first members, then evolve."""
        rng = generator(evaluator.seed, 0)
        members: deque[tuple[float, Architecture]] = deque(maxlen=self.population)  # the oldest falls out
        while True:
            if len(members) < self.population:
                child = evaluator.space.sample(rng)
            else:
                drawn = [members[int(place)] for place in rng.integers(self.population, size=self.sample)]
                child = mutate(evaluator.space, max(drawn, key=lambda member: member[0])[1], rng)
            row = yield Proposal(child)
            members.append((row.validation_accuracy or 0.0, child))


def mutate(space: SearchSpace, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Take another option for one of an architecture's decisions."""
    codes, choices = list(space.encode(architecture)), space.choices()
    place = int(rng.integers(len(codes)))
    others = [code for code in range(len(choices[place])) if code != codes[place]]
    codes[place] = others[int(rng.integers(len(others)))]
    return space.decode(codes)
