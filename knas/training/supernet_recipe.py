"""How a super-network is trained, with the numbers of NAS-Bench-201's released scripts as defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass

from knas.errors import UsageError
from knas.spaces.checks import integer_in_range, one_of, positive_number

RELAXATIONS = ("uniform", "softmax", "gumbel")


@dataclass(frozen=True)
class SupernetRecipe:
    """Two halves of the images: one for the shared weights (SGD), one for the architecture (Adam, or choosing).

    The numbers are those of the released code (github.com/D-X-Y/AutoDL-Projects): `configs/nas-benchmark/algos/` for
    the weights, `scripts-search/NAS-Bench-201-algos/` and `exps/NAS-Bench-201-algos/` for the rest.

    Attributes:
        relaxation: What an edge multiplies its operations by: "uniform" (one operation at random), "softmax" (all, by
            the softmax of the architecture parameters) or "gumbel" (one, drawn by them; its gradient as if relaxed).
        epochs: Passes over the half for the weights.
        candidates: Architectures that are taken: at the ends of as many epochs, evenly spaced, the last among them.
        order: Of the architecture gradient: 1, or 2 with the derivative through the next step of the weights.
        batch_size: Images per step, at most.
        learning_rate: Of the weights in the first epoch; it falls along a cosine, one step per epoch.
        final_learning_rate: Where the cosine ends.
        momentum: Nesterov's.
        weight_decay: Of the weights.
        clip: Norm that the gradient of the weights is cut to.
        architecture_learning_rate: Of Adam with betas 0.5 and 0.999.
        architecture_weight_decay: Of Adam.
        tau_max: Temperature of "gumbel" in the first epoch.
        tau_min: In the last epoch; it falls along a line.
        cells: With "uniform", architectures that a candidate is the best of, each on one batch of `choice_batch`.
        choice_batch: Images of that batch, at most.
    """

    relaxation: str
    epochs: int = 50
    candidates: int = 1
    order: int = 1
    batch_size: int = 64
    learning_rate: float = 0.025
    final_learning_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 5.0
    architecture_learning_rate: float = 3e-4
    architecture_weight_decay: float = 1e-3
    tau_max: float = 10.0
    tau_min: float = 0.1
    cells: int = 100
    choice_batch: int = 512

    def __post_init__(self) -> None:
        one_of("relaxation", self.relaxation, RELAXATIONS)
        integer_in_range("supernet_epochs", self.epochs, 1)
        integer_in_range("candidates", self.candidates, 1, self.epochs)
        integer_in_range("order", self.order, 1, 2)
        integer_in_range("supernet_batch_size", self.batch_size, 2)
        integer_in_range("cells", self.cells, 1)
        integer_in_range("choice_batch", self.choice_batch, 2)
        for name in (
            "learning_rate",
            "final_learning_rate",
            "momentum",
            "clip",
            "architecture_learning_rate",
        ):
            positive_number(name, getattr(self, name))
        for name in ("tau_max", "tau_min"):
            positive_number(name, getattr(self, name))
        for name in ("weight_decay", "architecture_weight_decay"):
            if getattr(self, name) != 0:
                positive_number(name, getattr(self, name))
        if self.final_learning_rate > self.learning_rate:
            raise UsageError(
                f"learning_rate must be at least {self.final_learning_rate:g}, where it ends, "
                f"got {self.learning_rate:g}"
            )
        if self.tau_min > self.tau_max:
            raise UsageError(f"tau_max must be at least tau_min, {self.tau_min:g}, got {self.tau_max:g}")

    def choosing_epochs(self) -> frozenset[int]:
        """The epochs, counted from 1, at whose ends a candidate is taken.

        >>> sorted(SupernetRecipe("softmax", epochs=10, candidates=3).choosing_epochs())
        [4, 7, 10]
        """
        return frozenset(
            math.ceil(self.epochs * part / self.candidates) for part in range(1, self.candidates + 1)
        )
