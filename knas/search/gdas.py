"""GDAS: one path at a time, drawn by architecture parameters that learn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from knas.search.weight_sharing import WeightSharing

if TYPE_CHECKING:
    from knas.training.supernet_recipe import SupernetRecipe


@dataclass(frozen=True)
class Gdas(WeightSharing):
    """Search by a differentiable sampler of architectures (Dong and Yang, arXiv 1910.04465).

    Each forward pass runs one operation per edge, drawn by Gumbel-softmax of the architecture parameters (see
    `knas.training.relaxation.gumbel_path` for its gradient); the temperature falls from epoch to epoch. The operation
    with the largest parameter is each edge's.

    Defaults are those of the code released with NAS-Bench-201 (github.com/D-X-Y/AutoDL-Projects: `GDAS.py`, `GDAS.sh`,
    `GDAS.config`): 250 epochs, temperature 10 to 0.1, and for the rest those of `Darts`. It departs from the code in
    that an operation that was not drawn gets no gradient by its weight, as in the paper, and weights off the path
    stay as they are.

    Attributes:
        tau_max: temperature in the first epoch.
        tau_min: temperature in the last.
        architecture_learning_rate: of Adam.
        architecture_weight_decay: of Adam.
    """

    name: ClassVar[str] = "gdas"

    supernet_epochs: int = 250
    tau_max: float = 10.0
    tau_min: float = 0.1
    architecture_learning_rate: float = 3e-4
    architecture_weight_decay: float = 1e-3

    def recipe(self) -> SupernetRecipe:
        """One path, by Gumbel-softmax."""
        return self._recipe(
            "gumbel",
            architecture_learning_rate=self.architecture_learning_rate,
            architecture_weight_decay=self.architecture_weight_decay,
            tau_max=self.tau_max,
            tau_min=self.tau_min,
        )
