"""Training one network: epochs that depend on nothing but the seed and their number."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from knas.data import Batches, Dataset, TextDataset, split
from knas.errors import KnasError, NotFiniteError, RunError, UsageError
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
from knas.training.evaluation import Quality, device_of, kept_modes, measure
from knas.training.fine_tuning import FineTuning
from knas.training.precision import autocast, resolve_precision
from knas.training.recipe import AnyRecipe, Recipe

GRAM_SAMPLES = 64
EpochRecord = dict[str, float]


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    Attributes:
        validation_accuracy: After the last epoch, in per cent.
        test_accuracy: After the last epoch, in per cent; None unless asked for.
        train_loss: Mean cross entropy over the last epoch.
        epochs: How many the network was trained for.
        seconds: What the epochs took, in all processes that worked on them.
        history: One record for each epoch: epoch (from 1), train_loss, train_accuracy and validation_accuracy
            (per cent), learning_rate (of its last step), seconds, validation_f1 where the data set has a positive
            class, and gram_mean and coherence where they are recorded.
        precision: The arithmetic it was trained in.
        notes: What the user should know, such as a batch size that was cut.
        validation_f1: F1 of the data set's positive class after the last epoch, in per cent; None where it has none.
        test_f1: Likewise; None unless asked for, too.
    """

    validation_accuracy: float
    test_accuracy: float | None
    train_loss: float
    epochs: int
    seconds: float
    history: list[EpochRecord]
    precision: str
    notes: tuple[str, ...] = ()
    validation_f1: float | None = None
    test_f1: float | None = None


def train(
    model: torch.nn.Module,
    dataset: Dataset,
    recipe: AnyRecipe | None = None,
    *,
    seed: int = 0,
    device: torch.device | str | None = None,
    validation_fraction: float = 0.2,
    checkpoint: str | PathLike[str] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    test: bool = False,
) -> TrainingResult:
    """Train a network, and leave it with the trained weights.

    With a checkpoint, every epoch is saved as it ends. Calling again with the same arguments, the same
    untrained model among them, goes on after the last saved epoch and ends with the same bits as a training
    without interruption, on the same machine with as many threads: all that an epoch draws follows from the
    seed and its number. The global random state, the modes of the modules and torch's settings are left as
    they were; gradients in the parameters' `grad` are cleared. A training that ends by an exception, Ctrl-C
    included, gives the model back the weights that it came with.

    Args:
        model: Takes images [n, 3, H, W], or a mapping of what a tokenizer gives, [n, t] each; gives logits
            [n, num_classes]. Parameters with `requires_grad=False` stay as they are.
        dataset: Trained on in part, validated on the rest.
        recipe: How; None for the defaults of `Recipe`, which are the benchmark's, or of `FineTuning` for sentences.
        seed: Fixes the split, the order of the samples, their augmentation and dropout.
        device: Where to train; the model is moved there and stays. None for where it is.
        validation_fraction: Share of the training samples to validate on.
        checkpoint: A file to save to and resume from.
        on_epoch: Called with the record of each epoch that is trained, after it was saved.
        test: Whether to measure the accuracy on the test samples at the end.

    Returns:
        Accuracies, losses and times.

    Raises:
        UsageError: If an argument can't be used.
        RunError: If the checkpoint is corrupt or belongs to another training.
        DivergedError: If the loss or a weight becomes NaN or infinite.
        KnasError: If memory runs out.
    """
    if recipe is None:
        recipe = FineTuning() if isinstance(dataset, TextDataset) else Recipe()
    run = _Run(model, dataset, recipe, seed, device, validation_fraction)
    path = None if checkpoint is None else Path(checkpoint)
    with run.prepared():
        if path is not None:
            run.resume(path)
        while run.epochs_done < run.recipe.epochs:
            with counted_divergence(run.history):
                record = run.epoch(run.epochs_done)
            run.history.append(record)
            run.save(path)
            if on_epoch is not None:
                on_epoch(dict(record))
        if test and run.tested is None:
            run.test()
            run.save(path)
        return run.result(run.tested if test else None)


class _Run:
    """The state of one training: everything that a checkpoint holds, and the data."""

    def __init__(
        self,
        model: torch.nn.Module,
        dataset: Dataset,
        recipe: AnyRecipe,
        seed: int,
        device: torch.device | str | None,
        validation_fraction: float,
    ) -> None:
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not trainable:
            raise UsageError(
                "model: it has no parameter that requires a gradient, so there is nothing to train"
            )
        self.device = device_of(model) if device is None else _device(device)
        self.precision = resolve_precision(recipe.precision, self.device)
        self.model, self.dataset, self.recipe, self.seed = model, dataset, recipe, seed
        self.train_indices, self.validation_indices = split(dataset, fraction=validation_fraction, seed=seed)
        self.initial = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        self.identity = {
            "recipe": asdict(recipe),  # type: ignore[call-overload]
            "seed": seed,
            "validation_fraction": validation_fraction,
            "dataset": dataset.fingerprint,
            "model": model_structure(model),
        }
        self.history: list[EpochRecord] = []
        self.tested: Quality | None = None

    @property
    def epochs_done(self) -> int:
        return len(self.history)

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """The model on its device and laid out for training; undone at the end, or all of it if that fails."""
        model = self.model
        with kept_modes(model), deterministic(self.device):
            try:
                with channels_last_weights(model.to(self.device)):
                    self._prepare()
                    yield
            except BaseException as error:
                model.load_state_dict(self.initial)
                if is_out_of_memory(error):
                    raise KnasError(
                        f"recipe: batch_size={self.recipe.batch_size} is more than the memory of "
                        f"{self.device} can hold; pass a smaller one"
                    ) from error
                raise
            finally:
                model.zero_grad(set_to_none=True)

    def _prepare(self) -> None:
        self.data = self.dataset.on_device("train", self.device)
        self.optimizer = self.recipe.optimizer(self.model)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")

    def epoch(self, number: int) -> EpochRecord:
        """Train one epoch, counted from 0, and measure what it brought."""
        started = time.perf_counter()
        with seeded_epoch(self.device, self.seed, number) as generator:
            losses, sizes, correct = self._steps(number, generator)
        self._check_finite(number, losses)
        self._check_weights(number)
        validation = self._measure(self.data, self.validation_indices)
        record: EpochRecord = {
            "epoch": number + 1,
            "train_loss": float((losses.double() * sizes).sum() / sizes.sum()),
            "train_accuracy": 100 * correct / len(self.train_indices),
            "validation_accuracy": validation.accuracy,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        if validation.f1 is not None:
            record["validation_f1"] = validation.f1
        if self.recipe.record_gram:
            record.update(self._gram_health())
        record["seconds"] = time.perf_counter() - started
        return record

    def _steps(self, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, int]:
        """One step per batch; their mean losses and sizes, both [steps], and how many samples were right."""
        self.model.train()
        order = self.train_indices[torch.randperm(len(self.train_indices), generator=generator)]
        batches = order.tensor_split(math.ceil(len(order) / self.recipe.batch_size))
        augmentation = self.recipe.augmentation(self.dataset)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        losses: list[Tensor] = []
        for step, indices in enumerate(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate_at(number, step, len(batches))
            inputs, targets = self.data.batch(indices, augmentation, generator)
            loss, right = self._step(inputs, targets)
            losses.append(loss)
            correct += right
            if self.device.type == "cpu":  # elsewhere looking at a loss makes the device wait: once per epoch
                self._check_finite(number, torch.stack(losses))
        sizes = torch.tensor([len(indices) for indices in batches])
        return torch.stack(losses).cpu(), sizes, int(correct.item())

    def _step(self, inputs: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.precision, self.device):
            logits = self.model(inputs)
        if logits.ndim != 2 or logits.shape[1] < self.dataset.num_classes:
            wanted = f"[{len(targets)}, {self.dataset.num_classes}]"
            raise UsageError(f"model: wanted logits of shape {wanted}, it gives {list(logits.shape)}")
        loss = torch.nn.functional.cross_entropy(
            logits.float(), targets, label_smoothing=self.recipe.label_smoothing
        )
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach(), (logits.detach().argmax(1) == targets).sum()

    def _check_finite(self, number: int, losses: Tensor) -> None:
        bad = (~losses.isfinite()).nonzero()
        where = f"epoch {number + 1} of {self.recipe.epochs}"
        if len(bad):
            step = int(bad[0].item())
            raise NotFiniteError(
                f"training: the loss is {losses[step].item()} in {where}, step {step + 1}; "
                f"try a learning_rate below {self.recipe.learning_rate}"
            )

    def _check_weights(self, number: int) -> None:
        for name, weight in self.model.named_parameters():
            if not weight.isfinite().all():
                raise NotFiniteError(
                    f"training: {name} holds NaN or Inf after epoch {number + 1} of {self.recipe.epochs}; "
                    f"try a learning_rate below {self.recipe.learning_rate}"
                )

    def _measure(self, data: Batches, indices: Tensor) -> Quality:
        f1 = self.dataset.positive is not None
        return measure(self.model, data, indices, f1=f1, precision=self.precision)

    def _gram_health(self) -> EpochRecord:
        """Mean and coherence of the Gram matrix of the loss gradients, on samples that stay the same."""
        from knas.scoring import gram

        inputs, targets = self.data.batch(self.train_indices[:GRAM_SAMPLES])
        health = gram(self.model, inputs, targets, of="loss", sample=50, seed=self.seed)
        return {"gram_mean": float(health.mean), "coherence": float(health.coherence)}

    def test(self) -> None:
        """Measure the accuracy on the test samples."""
        data = self.dataset.on_device("test", self.device)
        self.tested = self._measure(data, torch.arange(len(data)))

    def save(self, path: Path | None) -> None:
        """Write everything that the next epoch depends on; no random state, since epochs seed themselves."""
        if path is None:
            return
        state = {
            "identity": self.identity,
            "initial": state_digest(self.initial),
            "precision": self.precision,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": self.history,
            "test_accuracy": None if self.tested is None else self.tested.accuracy,
            "test_f1": None if self.tested is None else self.tested.f1,
        }
        save_checkpoint(path, state)

    def resume(self, path: Path) -> None:
        """Take up a checkpoint, if there is one."""
        if not path.exists():
            return
        state = load_checkpoint(path, self.device)
        check_identity(path, state["identity"], self.identity)
        weights = state_digest(self.initial)
        if weights not in (state["initial"], state_digest(state["model"])):
            check_identity(path, {"initial weights": state["initial"]}, {"initial weights": weights})
        if state["precision"] != self.precision:
            raise RunError(
                f"checkpoint: {path} was made in {state['precision']}, but {self.recipe.precision!r} means "
                f"{self.precision} on this device; go on where it was made, or delete the file"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.history = state["history"]
        if state["test_accuracy"] is not None:
            self.tested = Quality(state["test_accuracy"], state.get("test_f1"))

    def result(self, tested: Quality | None) -> TrainingResult:
        """Sum up."""
        last, n = self.history[-1], len(self.train_indices)
        notes = []
        if n < self.recipe.batch_size:
            there = f"there are {n:,} {self.dataset.samples} to train on"
            notes.append(f"batch_size={self.recipe.batch_size}: {there}, all in one batch")
        return TrainingResult(
            validation_accuracy=last["validation_accuracy"],
            test_accuracy=None if tested is None else tested.accuracy,
            train_loss=last["train_loss"],
            epochs=len(self.history),
            seconds=sum(record["seconds"] for record in self.history),
            history=self.history,
            precision=self.precision,
            notes=tuple(notes),
            validation_f1=last.get("validation_f1"),
            test_f1=None if tested is None else tested.f1,
        )


def _device(device: torch.device | str) -> torch.device:
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device: {device!r} can't be used here ({str(error).splitlines()[0]})") from error
    return chosen
