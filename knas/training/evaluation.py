"""How well a network classifies: accuracy, and F1 of one class."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from knas.data import Batches, DeviceData
from knas.errors import UsageError
from knas.training.precision import autocast


@dataclass(frozen=True)
class Quality:
    """How well a network classifies, in per cent; `f1` is of class 1, and None unless asked for."""

    accuracy: float
    f1: float | None = None


def evaluate(
    model: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    mean: Tensor,
    std: Tensor,
    batch_size: int | None = None,
    precision: str = "float32",
) -> float:
    """The share of images that a network labels right, without touching its mode or statistics.

    Args:
        model: Gives logits [n, num_classes]; it is run where it is, in evaluation mode.
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        mean: float32 [C], of the data set (`ImageDataset.mean`).
        std: float32 [C], likewise.
        batch_size: Images per forward pass, 512 unless given; it changes the result by rounding at most.
        precision: "float32", "bfloat16" or "float16".

    Returns:
        The accuracy in per cent, 0 to 100.

    Raises:
        UsageError: If there are no images.
    """
    data = DeviceData(images, labels, mean=mean, std=std, device=device_of(model))
    return measure(model, data, torch.arange(len(data)), batch_size=batch_size, precision=precision).accuracy


def measure(
    model: torch.nn.Module,
    data: Batches,
    indices: Tensor,
    *,
    f1: bool = False,
    batch_size: int | None = None,
    precision: str = "float32",
) -> Quality:
    """How well a network classifies the samples at `indices`, int64 [n], of data on the model's device.

    Args:
        model: Gives logits [n, num_classes].
        data: The samples.
        indices: Which of them.
        f1: Whether F1 is wanted.
        batch_size: Samples per forward pass; None for what suits the data.
        precision: "float32", "bfloat16" or "float16".

    Raises:
        UsageError: If there are no samples.
    """
    if len(indices) == 0:
        raise UsageError("images: there is none to evaluate on")
    tally = torch.zeros(
        3, dtype=torch.int64, device=data.device
    )  # right, right of class 1, either of class 1
    with evaluation_mode(model), torch.no_grad(), autocast(precision, data.device):
        for chosen in data.evaluation_batches(indices, batch_size):
            inputs, targets = data.batch(chosen)
            told = model(inputs).argmax(1)
            right = told == targets
            counts = (right, right & (targets == 1), (told == 1) | (targets == 1))
            tally += torch.stack([count.sum() for count in counts])
    correct, both, either = tally.tolist()
    return Quality(100 * correct / len(indices), f1_score(both, either) if f1 else None)


def f1_score(both: int, either: int) -> float:
    r"""F1 of a class in per cent, :math:`2 P R / (P + R) = 2 B / (B + E)`, the harmonic mean of precision and recall.

    Args:
        both: :math:`B`, samples of the class that were told to be.
        either: :math:`E`, samples of the class, or told to be.

    Returns:
        0 to 100; 0 where there is no such sample.
    """
    return 200 * both / (both + either) if both else 0.0


def device_of(model: torch.nn.Module) -> torch.device:
    """Where a model's first parameter is; the CPU for a model without any."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextlib.contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode, and every module of it back into its own mode afterwards."""
    with kept_modes(model):
        model.eval()
        yield


@contextlib.contextmanager
def kept_modes(model: torch.nn.Module) -> Iterator[None]:
    """Put every module of a model back into its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
