"""DARTS: architecture parameters trained by gradient, by turns with the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from knas.search.weight_sharing import WeightSharing

if TYPE_CHECKING:
    from knas.training.supernet_recipe import SupernetRecipe


@dataclass(frozen=True)
class Darts(WeightSharing):
    """Differentiable architecture search (Liu et al., arXiv 1806.09055), of first or second order.

    Each edge is the sum of its operations, weighted by a softmax of architecture parameters. Steps of the weights on
    one half of the images take turns with steps of these parameters on the other. The operation with the largest
    parameter is each edge's, `none` included, as NAS-Bench-201 has it.

    Defaults are those of the code released with NAS-Bench-201 (github.com/D-X-Y/AutoDL-Projects: `DARTS-V1.py`,
    `DARTS-V2.py`, their `.sh`, `DARTS.config`): 50 epochs, batches of 64, learning rate 0.025 to 0.001, Nesterov
    momentum 0.9, weight decay 0.0005, gradient norm at most 5; Adam with learning rate 0.0003, betas 0.5 and 0.999,
    weight decay 0.001; BatchNorm in cells without parameters and with the batch's statistics. As there, the weights
    are first in a step of order 1, the architecture in one of order 2. Initial weights are the run's
    (`--initialization default` gives the code's).

    Attributes:
        order: 1 takes the weights as given, 2 differentiates through their next step (see
            `knas.training.unrolled.unrolled_gradient`).
        architecture_learning_rate: of Adam.
        architecture_weight_decay: of Adam.
    """

    name: ClassVar[str] = "darts"

    order: int = 1
    architecture_learning_rate: float = 3e-4
    architecture_weight_decay: float = 1e-3

    def recipe(self) -> SupernetRecipe:
        """All operations, by softmax."""
        return self._recipe(
            "softmax",
            order=self.order,
            architecture_learning_rate=self.architecture_learning_rate,
            architecture_weight_decay=self.architecture_weight_decay,
        )
