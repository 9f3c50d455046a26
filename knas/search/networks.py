"""Scores and accuracies from real networks: build, score, train, keep the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.runs.best import write_weights
from knas.runs.record import TrialRow
from knas.search.evaluator import Measured
from knas.search.scorer import Scorer, draw_batch
from knas.search.settings import SearchSettings, default_batch_size
from knas.search.supernet_plan import SupernetPlan, SupernetTrainer, TrainedSupernet, needed
from knas.spaces.base import Architecture, SearchSpace

if TYPE_CHECKING:
    import torch

    from knas.data import Dataset
    from knas.search.probe import Probe
    from knas.spaces.supernet import Supernet
    from knas.training import TrainingResult
    from knas.training.recipe import AnyRecipe


class Networks:
    """The `Backend` of a search on images or sentences.

    Every network of a run is built from the run's seed. No number depends on the order in which networks are handled.

    Attributes:
        dataset: the data set.
        batch_size: samples per training step.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: Dataset,
        settings: SearchSettings,
        folder: Path,
        device: torch.device,
        supernets: SupernetTrainer | None = None,
    ) -> None:
        """Draw the scoring batch, and build one network so that what can't be built is refused at once.

        Args:
            space: builds the networks.
            dataset: trains and tests them.
            settings: resolved settings.
            folder: where checkpoints and weights of trials lie; it must exist once something is trained.
            device: where networks are scored and trained.
            supernets: trains super-networks; None for algorithms without.

        Raises:
            UsageError: the settings ask for more to score on than there is, or for impossible networks or training.
        """
        self._space = space
        self.dataset = dataset
        self._settings = settings
        self._folder = folder
        self._device = device
        self._supernets = supernets
        self.batch_size = settings.batch_size or default_batch_size(len(dataset.train_labels))
        assert settings.epochs is not None  # the settings are resolved
        self._recipe(settings.epochs)
        self._scorer = Scorer(space, settings, draw_batch(dataset, settings), device)
        self._best: dict[tuple[str, int], tuple[float, Path]] = {}

    def clock(self) -> float:
        """Real seconds."""
        return self._scorer.clock()

    def score(self, architecture: Architecture) -> float:
        """Build the network and score it, untrained, on the scoring batch."""
        return self._scorer.score(architecture)

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        """Build the super-network and score it, untrained, on the scoring batch."""
        return self._scorer.probe(supernet, probe)

    def train_supernet(
        self, plan: SupernetPlan, on_epoch: Callable[[Mapping[str, Any]], None]
    ) -> TrainedSupernet:
        """Train a super-network on the training images."""
        return needed(self._supernets).train_supernet(plan, on_epoch)

    def recorded_supernet(self, plan: SupernetPlan) -> None:
        """Remove the super-network's checkpoint."""
        needed(self._supernets).recorded_supernet(plan)

    def epochs(self) -> None:
        """Any number of epochs."""

    def cost(self, architecture: Architecture, epochs: int, seed: int | None = None) -> None:
        """Nobody knows before the training."""

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: Callable[[Mapping[str, Any]], None],
        seed: int | None = None,
    ) -> Measured:
        """Train by the space's recipe, from a checkpoint where there is one, and keep the weights."""
        from knas.training import train

        settings = self._settings
        model = self._space.build(architecture, **self._arguments(seed))
        result = train(
            model,
            self.dataset,
            self._recipe(epochs),
            # the run's own: the same split, order and crops for every network
            seed=settings.seed if seed is None else seed,
            device=self._device,
            checkpoint=self._path(architecture, epochs, seed, ".checkpoint"),
            on_epoch=on_epoch,
            test=True,
        )
        write_weights(self.weights(architecture, epochs, seed), model)
        return Measured(
            validation_accuracy=result.validation_accuracy,
            test_accuracy=result.test_accuracy,
            train_loss=result.train_loss,
            seconds=result.seconds,
            history=tuple(result.history),
            metrics=_f1(result),
        )

    def _recipe(self, epochs: int) -> AnyRecipe:
        """The benchmark's recipe for images, RoBERTa's for sentences."""
        from knas.training import FineTuning, Recipe

        settings = self._settings
        if not settings.text:
            return Recipe(epochs=epochs, batch_size=self.batch_size, augment=settings.augment)
        numbers = {name: getattr(settings, name) for name in ("learning_rate", "warmup", "weight_decay")}
        return FineTuning(epochs=epochs, batch_size=self.batch_size, **numbers)

    def weights(self, architecture: Architecture, epochs: int, seed: int | None = None) -> Path:
        """Where a trial's weights lie until the run is finished (if it may still win)."""
        return self._path(architecture, epochs, seed, ".safetensors")

    def recorded(self, architecture: Architecture, trial: TrialRow) -> None:
        """Remove the trial's checkpoint, and the weights of a trial that some other has beaten."""
        self._path(architecture, trial.epochs, trial.seed, ".checkpoint").unlink(missing_ok=True)
        if trial.validation_accuracy is None:
            return
        group = (trial.role, trial.epochs)
        mine = (trial.validation_accuracy, self.weights(architecture, trial.epochs, trial.seed))
        best = self._best.get(group, mine)
        loser = min(mine, best, key=lambda pair: pair[0])
        if mine[0] != best[0]:
            loser[1].unlink(missing_ok=True)
        self._best[group] = best if loser is mine else mine

    def description(self, architecture: Architecture, seed: int | None = None) -> dict[str, Any]:
        """What `best/architecture.json` tells of the winner, trained with a seed or the run's own."""
        from knas.training.precision import resolve_precision

        dataset = self.dataset
        return {
            "space": self._space.name,
            **({"space_options": options} if (options := self._settings.space_options()) else {}),
            "architecture": str(architecture),
            "index": self._space.index(architecture),
            "dataset": self._settings.dataset,
            "classes": list(dataset.classes),
            "build": self._arguments(seed),
            "precision": resolve_precision("auto", self._device),
            **_inputs(dataset),
        }

    def _arguments(self, seed: int | None = None) -> dict[str, Any]:
        return {
            "num_classes": self.dataset.num_classes,
            "seed": self._settings.seed if seed is None else seed,
            **self._settings.build_options(),
        }

    def _path(self, architecture: Architecture, epochs: int, seed: int | None, suffix: str) -> Path:
        name = f"{architecture} {epochs}" + ("" if seed is None else f" {seed}")
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        return self._folder / f"{digest}{suffix}"


def _f1(result: TrainingResult) -> dict[str, float]:
    found = {"validation_f1": result.validation_f1, "test_f1": result.test_f1}
    return {name: value for name, value in found.items() if value is not None}


def _inputs(dataset: Dataset) -> dict[str, Any]:
    """How the winner's inputs are made, and how it is rebuilt."""
    from knas.data import ImageDataset, TextDataset

    by_hand = (
        "knas.runs.load_best(FOLDER) does it; by hand, knas.spaces.create(space{options})"
        ".build(architecture, **build), then safetensors.torch.load_model. "
        "Inputs: {inputs}; accuracies were measured in this precision."
    )
    if isinstance(dataset, TextDataset):
        inputs = (
            "what the tokenizer of the model gives of the columns, cut to max_length and padded on the right"
        )
        told = {"columns": list(dataset.columns), "max_length": dataset.max_length}
        return {**told, "rebuild": by_hand.format(options=", **space_options", inputs=inputs)}
    assert isinstance(dataset, ImageDataset)
    return {
        "mean": [float(value) for value in dataset.mean],
        "std": [float(value) for value in dataset.std],
        "rebuild": by_hand.format(options="", inputs="images in 0..1, less mean, divided by std"),
    }
