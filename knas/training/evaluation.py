"""The accuracy of a network on a data set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from knas.data import DeviceData
from knas.errors import UsageError
from knas.training.precision import autocast

EVALUATION_BATCH = 512


def evaluate(
    model: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    mean: Tensor,
    std: Tensor,
    batch_size: int = EVALUATION_BATCH,
    precision: str = "float32",
) -> float:
    """The share of images that a network labels right, without touching its mode or statistics.

    Args:
        model: Gives logits [n, num_classes]; it is run where it is, in evaluation mode.
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        mean: float32 [C], of the data set (`ImageDataset.mean`).
        std: float32 [C], likewise.
        batch_size: Images per forward pass; it changes the result by rounding at most.
        precision: "float32", "bfloat16" or "float16".

    Returns:
        The accuracy in per cent, 0 to 100.

    Raises:
        UsageError: If there are no images.
    """
    data = DeviceData(images, labels, mean=mean, std=std, device=device_of(model))
    return accuracy(model, data, torch.arange(len(data)), batch_size=batch_size, precision=precision)


def accuracy(
    model: torch.nn.Module,
    data: DeviceData,
    indices: Tensor,
    *,
    batch_size: int = EVALUATION_BATCH,
    precision: str = "float32",
) -> float:
    """The accuracy in per cent on the images at `indices`, int64 [n], of data on the model's device."""
    if len(indices) == 0:
        raise UsageError("images: there is none to evaluate on")
    correct = torch.zeros((), dtype=torch.int64, device=data.device)
    with evaluation_mode(model), torch.no_grad(), autocast(precision, data.device):
        for chosen in indices.split(batch_size):
            inputs, targets = data.batch(chosen)
            correct += (model(inputs).argmax(1) == targets).sum()
    return 100 * correct.item() / len(indices)


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
