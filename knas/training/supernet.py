"""Training a super-network whose architectures share their weights, and reading architectures from it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from knas.data import Augmentation, DeviceData, ImageDataset, split
from knas.errors import KnasError, NotFiniteError, UsageError
from knas.gradients.memory import is_out_of_memory
from knas.training.checkpoint import (
    check_identity,
    load_checkpoint,
    model_structure,
    save_checkpoint,
    state_digest,
)
from knas.training.determinism import channels_last_weights, deterministic, seeded_epoch
from knas.training.divergence import counted_divergence
from knas.training.evaluation import evaluation_mode
from knas.training.recipe import cosine_learning_rate
from knas.training.relaxation import (
    gumbel_path,
    initial_parameters,
    one_path,
    softmax_weights,
    temperature,
    uniform_path,
)
from knas.training.supernet_recipe import SupernetRecipe
from knas.training.unrolled import Step, unrolled_gradient

Codes = tuple[int, ...]
EpochRecord = dict[str, float]


@dataclass(frozen=True)
class SupernetResult:
    """What training a super-network came to.

    Attributes:
        found: For each candidate, in the order of its epoch, the position of each edge's operation.
        seconds: What the epochs took, in all processes that worked on them, with the choosing.
        history: One record for each epoch: epoch (from 1), train_loss and train_accuracy (shared weights),
            validation_accuracy (per cent, on the other half of the images), learning_rate, seconds.
    """

    found: tuple[Codes, ...]
    seconds: float
    history: tuple[Mapping[str, float], ...]


def halves(dataset: ImageDataset, seed: int) -> tuple[Tensor, Tensor]:
    """The half of the training images for the weights, and that for the architecture, class by class.

    Raises:
        UsageError: If there are too few images.
    """
    images = len(dataset.train_labels)
    try:
        first, second = split(dataset, fraction=0.5, seed=seed)
    except UsageError:
        first = second = torch.empty(0, dtype=torch.int64)
    if min(len(first), len(second)) < 2:
        raise UsageError(
            "a super-network wants two halves of the training images, each with two or more, and a class with a "
            f"single image can't be halved: {images:,} are too few; raise --max-train-samples"
        )
    return first, second


def train_supernet(
    model: nn.Module,
    dataset: ImageDataset,
    choices: Sequence[int],
    recipe: SupernetRecipe,
    *,
    seed: int = 0,
    split_seed: int = 0,
    augment: bool = True,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
) -> SupernetResult:
    """Train a super-network on one half of the training images, and choose architectures on the other.

    Every epoch is saved as it ends, if there is a checkpoint; calling again with the same arguments goes on after it
    and ends with the same bits, since all that an epoch draws follows from the seed and its number. The arithmetic is
    float32.

    Args:
        model: Takes images and weights [edges, operations] of its operations, gives logits.
        dataset: The images.
        choices: Operations of each edge; the same number everywhere.
        recipe: How.
        seed: Fixes order, augmentation, architecture parameters and draws of paths.
        split_seed: Fixes the halves.
        augment: Whether to crop and mirror.
        device: Where to train; the model is moved there.
        checkpoint: A file to save to and resume from.
        on_epoch: Called with the record of each epoch, after it was saved.

    Raises:
        UsageError: There are too few images, or edges differ in their number of operations.
        RunError: The checkpoint is corrupt or belongs to another training.
        DivergedError: A loss or parameter is NaN or infinite.
        KnasError: Memory runs out.
    """
    if len(set(choices)) != 1:
        raise UsageError(
            f"space: weight sharing wants as many operations for each decision, got {list(choices)}"
        )
    run = _Run(model, dataset, choices, recipe, seed, split_seed, augment, torch.device(device))
    with run.prepared():
        run.resume(checkpoint)
        while len(run.history) < recipe.epochs:
            with counted_divergence(run.history):
                record = run.epoch(len(run.history))
            run.history.append(record)
            run.save(checkpoint)
            if on_epoch is not None:
                on_epoch(dict(record))
    seconds = sum(record["seconds"] for record in run.history)
    return SupernetResult(tuple(run.found), seconds, tuple(run.history))


class _Run:
    """The state of one training: everything that a checkpoint holds, and the data."""

    def __init__(
        self,
        model: nn.Module,
        dataset: ImageDataset,
        choices: Sequence[int],
        recipe: SupernetRecipe,
        seed: int,
        split_seed: int,
        augment: bool,
        device: torch.device,
    ) -> None:
        self.model, self.recipe, self.seed, self.device = model.to(device), recipe, seed, device
        self.edges, self.operations = len(choices), choices[0]
        self.weight_images, self.architecture_images = halves(dataset, split_seed)
        self.data = DeviceData(
            dataset.train_images, dataset.train_labels, mean=dataset.mean, std=dataset.std, device=device
        )
        padding = dataset.train_images.shape[2] // 8
        self.augmentation = Augmentation(padding, dataset.flip) if augment else None
        self.parameters = initial_parameters(self.edges, self.operations, torch.Generator().manual_seed(seed))
        self.parameters = self.parameters.detach().to(device).requires_grad_()
        self.identity = {
            "recipe": asdict(recipe),
            "seed": seed,
            "split_seed": split_seed,
            "augment": augment,
            "dataset": dataset.fingerprint,
            "model": model_structure(model),
            "initial": state_digest(model.state_dict()),
        }
        self.history: list[EpochRecord] = []
        self.found: list[Codes] = []

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        try:
            with deterministic(self.device), channels_last_weights(self.model):
                self._prepare()
                yield
        except BaseException as error:
            if is_out_of_memory(error):
                raise KnasError(
                    f"supernet_batch_size: {self.recipe.batch_size} images are more than the memory of "
                    f"{self.device} can hold; pass a smaller number, or fewer --channels"
                ) from error
            raise

    def _prepare(self) -> None:
        recipe = self.recipe
        self.weights = list(self.model.parameters())
        self.optimizer = torch.optim.SGD(
            self.weights,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )
        self.architecture_optimizer = torch.optim.Adam(
            [self.parameters],
            lr=recipe.architecture_learning_rate,
            betas=(0.5, 0.999),
            weight_decay=recipe.architecture_weight_decay,
        )

    def epoch(self, number: int) -> EpochRecord:
        """Train one epoch, counted from 0, and take a candidate where one is due."""
        started = time.perf_counter()
        recipe = self.recipe
        fall = recipe.learning_rate - recipe.final_learning_rate
        rate = recipe.final_learning_rate + cosine_learning_rate(fall, number, recipe.epochs)
        self.optimizer.param_groups[0]["lr"] = rate
        self.tau = temperature(recipe.tau_max, recipe.tau_min, number, recipe.epochs)
        with seeded_epoch(self.device, self.seed, number) as generator:
            loss, right, elsewhere = self._steps(generator)
            self._check_finite(number, loss)
            if recipe.relaxation == "uniform":
                elsewhere = self._accuracy_of_paths(generator)
            if number + 1 in recipe.choosing_epochs():
                self.found.append(self._choose(generator))
        record = {
            "epoch": number + 1,
            "train_loss": loss,
            "train_accuracy": 100 * right,
            "validation_accuracy": 100 * elsewhere,
            "learning_rate": rate,
        }
        return {**record, "seconds": time.perf_counter() - started}

    def _steps(self, generator: torch.Generator) -> tuple[float, float, float]:
        """Mean loss and share of right answers of the weights' steps, and that of the architecture's."""
        self.model.train()
        order = self.weight_images[torch.randperm(len(self.weight_images), generator=generator)]
        totals = torch.zeros(3, dtype=torch.float64)
        differentiable = self.recipe.relaxation != "uniform"
        for indices in order.tensor_split(math.ceil(len(order) / self.recipe.batch_size)):
            batch = self.data.batch(indices, self.augmentation, generator)
            elsewhere = 0.0
            if differentiable and self.recipe.order == 2:
                elsewhere = self._architecture_step(len(indices), batch, generator)
            loss, right = self._weight_step(*batch, generator)
            if differentiable and self.recipe.order == 1:
                elsewhere = self._architecture_step(len(indices), batch, generator)
            totals += len(indices) * torch.tensor([loss, right, elsewhere], dtype=torch.float64)
        loss, right, elsewhere = (totals / len(order)).tolist()
        return loss, right, elsewhere

    def _weight_step(
        self, inputs: Tensor, targets: Tensor, generator: torch.Generator
    ) -> tuple[float, float]:
        self.optimizer.zero_grad(set_to_none=True)
        logits, loss = self._loss(inputs, targets, generator)
        slopes = torch.autograd.grad(loss, self.weights, allow_unused=True)
        for weight, slope in zip(self.weights, slopes, strict=True):
            weight.grad = slope
        torch.nn.utils.clip_grad_norm_(self.weights, self.recipe.clip)
        self.optimizer.step()
        return loss.item(), _right(logits, targets)

    def _architecture_step(
        self, count: int, training: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> float:
        """Move the architecture parameters by the loss on random images of the other half."""
        drawn = torch.randint(len(self.architecture_images), (count,), generator=generator)
        inputs, targets = self.data.batch(self.architecture_images[drawn], self.augmentation, generator)
        answers: list[Tensor] = []

        def validation_loss() -> Tensor:
            logits, loss = self._loss(inputs, targets, generator)
            answers.append(logits)
            return loss

        if self.recipe.order == 2:
            self.parameters.grad, _ = unrolled_gradient(
                lambda: self._loss(*training, generator)[1],
                validation_loss,
                self.weights,
                self.parameters,
                self._next_step(),
            )
        else:
            (self.parameters.grad,) = torch.autograd.grad(
                validation_loss(), [self.parameters], allow_unused=True, materialize_grads=True
            )
        self.architecture_optimizer.step()
        return _right(answers[0], targets)

    def _next_step(self) -> Step:
        recipe = self.recipe
        buffers = [self.optimizer.state.get(weight, {}).get("momentum_buffer") for weight in self.weights]
        rate = self.optimizer.param_groups[0]["lr"]
        return Step(rate, recipe.momentum, recipe.weight_decay, buffers)

    def _loss(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        logits = self.model(inputs, self._relaxed(generator))
        return logits, torch.nn.functional.cross_entropy(logits, targets)

    def _relaxed(self, generator: torch.Generator) -> Any:
        if self.recipe.relaxation == "softmax":
            return softmax_weights(self.parameters)
        if self.recipe.relaxation == "gumbel":
            return gumbel_path(self.parameters, self.tau, generator)
        return one_path(uniform_path(self.edges, self.operations, generator), self.operations)

    def _accuracy_of_paths(self, generator: torch.Generator) -> float:
        """The share of right answers on the half for the architecture, a random path for each batch."""
        batches = self._choice_batches(self.architecture_images)
        paths = [uniform_path(self.edges, self.operations, generator) for _ in batches]
        right = sum(
            len(batch) * self._right_on(path, batch) for path, batch in zip(paths, batches, strict=True)
        )
        return right / sum(len(batch) for batch in batches)

    def _choice_batches(self, order: Tensor) -> list[Tensor]:
        """Images to choose by; one alone has no statistics that could normalize it."""
        return [batch for batch in order.split(self.recipe.choice_batch) if len(batch) > 1]

    def _choose(self, generator: torch.Generator) -> Codes:
        """The largest parameter of each edge; with uniform paths the best of `cells`, each on one batch."""
        if self.recipe.relaxation != "uniform":
            return tuple(self.parameters.argmax(1).tolist())
        paths = [uniform_path(self.edges, self.operations, generator) for _ in range(self.recipe.cells)]
        order = self.architecture_images[torch.randperm(len(self.architecture_images), generator=generator)]
        batches = self._choice_batches(order)
        shares = [self._right_on(path, batches[i % len(batches)]) for i, path in enumerate(paths)]
        return tuple(paths[max(range(len(paths)), key=shares.__getitem__)])

    def _right_on(self, path: Sequence[int], indices: Tensor) -> float:
        inputs, targets = self.data.batch(indices)
        with evaluation_mode(self.model), torch.no_grad():
            return _right(self.model(inputs, one_path(path, self.operations)), targets)

    def _check_finite(self, number: int, loss: float) -> None:
        values = [*self.weights, self.parameters]
        if not math.isfinite(loss) or not all(bool(value.isfinite().all()) for value in values):
            raise NotFiniteError(
                f"super-network: a loss or parameter is not finite in epoch {number + 1} of {self.recipe.epochs}; "
                f"try a learning_rate below {self.recipe.learning_rate}"
            )

    def save(self, path: Path | None) -> None:
        """Write everything that the next epoch depends on; no random state, since epochs seed themselves."""
        if path is None:
            return
        state = {
            "identity": self.identity,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "parameters": self.parameters.detach(),
            "architecture_optimizer": self.architecture_optimizer.state_dict(),
            "history": self.history,
            "found": [list(codes) for codes in self.found],
        }
        save_checkpoint(path, state)

    def resume(self, path: Path | None) -> None:
        """Take up a checkpoint, if there is one."""
        if path is None or not path.exists():
            return
        state = load_checkpoint(path, self.device)
        check_identity(path, state["identity"], self.identity)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.architecture_optimizer.load_state_dict(state["architecture_optimizer"])
        with torch.no_grad():
            self.parameters.copy_(state["parameters"])
        self.history = state["history"]
        self.found = [tuple(codes) for codes in state["found"]]


def _right(logits: Tensor, targets: Tensor) -> float:
    return float((logits.argmax(1) == targets).double().mean())
