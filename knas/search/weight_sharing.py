"""What RSPS, DARTS and GDAS share: train super-networks, take the cells that they tell, train these from scratch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from knas.errors import KnasError
from knas.search.base import Outcome, SearchAlgorithm, Selected, choose, generator
from knas.search.evaluator import Evaluator
from knas.search.supernet_plan import SupernetPlan
from knas.spaces.base import Architecture
from knas.spaces.checks import integer_in_range

if TYPE_CHECKING:
    from knas.training.supernet_recipe import SupernetRecipe

SUPERNET = 3
"""The purpose of the generator of super-networks' seeds."""


@dataclass(frozen=True)
class WeightSharing(SearchAlgorithm):
    """Trains one super-network per seed, and takes the cells that each tells at the ends of some epochs.

    A single cell is trained once, for the report alone. Where there are several, the best by validation accuracy wins,
    as the KNAS paper (arXiv 2111.13293) has it for DARTS and RSPS. The super-network's training is real, also on a
    benchmark, where only the cells are looked up.

    Attributes:
        supernet_epochs: of each super-network.
        supernet_batch_size: images per step, at most.
        learning_rate: of the weights in the first epoch.
        seeds: super-networks that are trained, each from a seed of its own.
        candidates: cells that are taken from each, at the ends of evenly spaced epochs, the last among them.
    """

    scores: ClassVar[bool] = False
    supernets: ClassVar[bool] = True

    supernet_epochs: int = 50
    supernet_batch_size: int = 64
    learning_rate: float = 0.025
    seeds: int = 1
    candidates: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that train nothing."""
        integer_in_range("seeds", self.seeds, 1)
        self.recipe()

    @abstractmethod
    def recipe(self) -> SupernetRecipe:
        """How the super-networks are trained.

        Raises:
            UsageError: an option is out of range.
        """

    def _recipe(self, relaxation: str, **own: Any) -> SupernetRecipe:
        """The recipe with the options that all have, and an algorithm's own."""
        from knas.training.supernet_recipe import SupernetRecipe

        return SupernetRecipe(
            relaxation,
            epochs=self.supernet_epochs,
            candidates=self.candidates,
            batch_size=self.supernet_batch_size,
            learning_rate=self.learning_rate,
            **own,
        )

    def search(self, evaluator: Evaluator) -> Outcome:
        """Train the super-networks, then their cells."""
        cells = self._cells(evaluator)
        evaluator.begin("top-k", len(cells))
        selected = tuple(Selected(cell, None, evaluator.train(cell, role="top-k")) for cell in cells)
        found = cells[0] if len(cells) == 1 else None
        return Outcome(scored=0, failed=0, selected=selected, best=choose(selected), found=found)

    def _cells(self, evaluator: Evaluator) -> list[Architecture]:
        """The cells of all super-networks, each isomorphism class once.

        Raises:
            KnasError: the training of each super-network failed.
        """
        evaluator.begin("supernet", self.seeds)
        recipe = self.recipe()
        rows = [
            evaluator.train_supernet(SupernetPlan(_seed(evaluator.seed, number), recipe))
            for number in range(self.seeds)
        ]
        cells = [evaluator.space.parse(text) for row in rows for text in row.found]
        if not cells:
            raise KnasError(f"none of {len(rows)} super-networks could be trained: {rows[0].reason}")
        return list({str(evaluator.space.canonical(cell)): cell for cell in reversed(cells)}.values())[::-1]


def _seed(seed: int, number: int) -> int:
    return int(generator(seed, SUPERNET, number).integers(1 << 31))
