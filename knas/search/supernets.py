"""Super-networks trained on a run's images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.search.pruning import whole
from knas.search.settings import SearchSettings
from knas.search.supernet_plan import SupernetPlan, TrainedSupernet
from knas.spaces.base import SearchSpace

if TYPE_CHECKING:
    import torch
    from torch import nn

    from knas.data import ImageDataset


class Supernets:
    """The `SupernetTrainer` of a run; super-networks have the sizes of its networks.

    Attributes:
        told: how the images are divided, in words.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: ImageDataset,
        settings: SearchSettings,
        folder: Path,
        device: torch.device,
    ) -> None:
        """Divide the images, and build one super-network so that what can't be built is refused at once.

        Args:
            space: whose super-network.
            dataset: what it is trained on.
            settings: resolved settings.
            folder: where checkpoints lie; it must exist once something is trained.
            device: where.

        Raises:
            UsageError: there are too few images for two halves, or the space has no super-networks.
        """
        from knas.training.supernet import halves

        self._space, self._dataset, self._settings = space, dataset, settings
        self._folder, self._device = folder, device
        first, second = halves(dataset, settings.seed)
        self.told = (
            f"trained on {settings.dataset}, {len(first):,} images for the weights and {len(second):,} for the "
            "architecture"
        )
        self._build(settings.seed)

    def train_supernet(
        self, plan: SupernetPlan, on_epoch: Callable[[Mapping[str, Any]], None]
    ) -> TrainedSupernet:
        """Train the super-network of the whole space, and decode what was found."""
        from knas.training.supernet import train_supernet

        settings = self._settings
        result = train_supernet(
            self._build(plan.seed),
            self._dataset,
            [len(options) for options in self._space.choices()],
            plan.recipe,
            seed=plan.seed,
            split_seed=settings.seed,
            augment=settings.augment,
            device=self._device,
            checkpoint=self._checkpoint(plan),
            on_epoch=on_epoch,
        )
        found = [self._space.decode(codes) for codes in result.found]
        return TrainedSupernet(found, result.seconds, result.history)

    def recorded_supernet(self, plan: SupernetPlan) -> None:
        """Remove the checkpoint."""
        self._checkpoint(plan).unlink(missing_ok=True)

    def _build(self, seed: int) -> nn.Module:
        options = self._settings.build_options()
        classes = self._dataset.num_classes
        return self._space.build_supernet(
            whole(self._space), classes, seed=seed, batch_statistics=True, **options
        )

    def _checkpoint(self, plan: SupernetPlan) -> Path:
        digest = hashlib.sha256(str(plan).encode()).hexdigest()[:16]
        return self._folder / f"supernet-{digest}.checkpoint"
