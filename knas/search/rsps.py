"""Random search with parameter sharing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from knas.search.weight_sharing import WeightSharing

if TYPE_CHECKING:
    from knas.training.supernet_recipe import SupernetRecipe


@dataclass(frozen=True)
class Rsps(WeightSharing):
    """Random search with parameter sharing (Li and Talwalkar, arXiv 1902.07638).

    Each step trains one path through the super-network, every operation with the same probability. Then `cells` random
    cells are tried with the shared weights, each on one batch of the other half of the images; the best is taken.

    Defaults are those of the code released with NAS-Bench-201 (github.com/D-X-Y/AutoDL-Projects: `RANDOM-NAS.py`,
    `RANDOM-NAS.sh`, `RANDOM.config`): 250 epochs, batches of 64 and, for choosing, of 512; learning rate 0.025 to
    0.001, Nesterov momentum 0.9, weight decay 0.0005, gradient norm at most 5, 100 cells; BatchNorm in cells without
    parameters and, in evaluation too, with the batch's statistics. It departs from the code in this: weights off the
    path stay as they are (older PyTorch went on moving them by momentum and decay), and initial weights are the run's
    (`--initialization default` gives the code's).

    Attributes:
        cells: random cells that are compared.
    """

    name: ClassVar[str] = "rsps"

    supernet_epochs: int = 250
    cells: int = 100

    def recipe(self) -> SupernetRecipe:
        """Uniform paths."""
        return self._recipe(
            "uniform",
            cells=self.cells,
        )
