"""What a weight-sharing search asks its backend for: a trained super-network, and the architectures found in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from knas.errors import UsageError
from knas.spaces.base import Architecture

if TYPE_CHECKING:
    from knas.training.supernet_recipe import SupernetRecipe


@dataclass(frozen=True)
class SupernetPlan:
    """One training of the super-network of a whole space; its text is the recorded question.

    Attributes:
        seed: of weights, order of images and draws.
        recipe: how it is trained, and how many architectures are taken.
    """

    seed: int
    recipe: SupernetRecipe

    def __str__(self) -> str:
        """Return one line that tells this plan from every other."""
        return json.dumps([self.seed, asdict(self.recipe)], sort_keys=True)


@dataclass(frozen=True)
class TrainedSupernet:
    """What came of a plan: architectures in the order of their epochs, and `seconds` over all sittings."""

    found: Sequence[Architecture]
    seconds: float
    history: Sequence[Mapping[str, Any]] = ()


@runtime_checkable
class SupernetTrainer(Protocol):
    """A backend that has images, so that it can train super-networks."""

    def train_supernet(
        self, plan: SupernetPlan, on_epoch: Callable[[Mapping[str, Any]], None]
    ) -> TrainedSupernet:
        """Train, from a checkpoint where there is one; `DivergedError` where it diverges."""
        ...

    def recorded_supernet(self, plan: SupernetPlan) -> None:
        """Told once the answer is on the disk: what was kept in case of an interruption can go."""
        ...


def needed(trainer: SupernetTrainer | None) -> SupernetTrainer:
    """What trains super-networks.

    Raises:
        UsageError: there is none, since the algorithm was said to train none.
    """
    if trainer is None:
        raise UsageError("this algorithm was said to train no super-networks")
    return trainer
