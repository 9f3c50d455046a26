"""The samples that networks are scored on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from knas.data.dataset import check_seed
from knas.data.protocol import Dataset, Inputs
from knas.errors import UsageError


def score_batch(
    dataset: Dataset,
    n: int,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[Any, Tensor]:
    """Draw training samples to score networks on, without augmentation.

    The draw is plain: every sample is as likely as any other. With one seed, a larger batch starts with the
    samples of a smaller one.

    Args:
        dataset: The data set.
        n: How many samples, from 2 to as many as there are.
        seed: Fixes the draw.
        device: Where the batch goes.
        dtype: Of images.

    Returns:
        Inputs and targets, int64 [n]. Inputs are normalized images [n, C, H, W], contiguous, or what the tokenizer
        gives of sentences, padded to the longest: a mapping of int64 [n, t].

    Raises:
        UsageError: If `n` is below 2 or more than there are training samples.
    """
    available = len(dataset.train_labels)
    if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= available:
        wanted = f"wanted from 2 to the {available} training {dataset.samples} of {dataset.name}"
        raise UsageError(f"n: {wanted}, got {n!r}")
    generator = torch.Generator().manual_seed(check_seed(seed))
    chosen = torch.randperm(available, generator=generator)[:n]
    inputs, targets = dataset.on_device("train", "cpu", chosen).batch(torch.arange(n))
    return placed(inputs, device, dtype), targets.to(device)


def placed(inputs: Inputs, device: torch.device | str, dtype: torch.dtype) -> Any:
    """Inputs on a device, contiguous; images become `dtype`, and the integers of a tokenizer stay what they are."""
    if isinstance(inputs, Tensor):
        return inputs.to(device, dtype, memory_format=torch.contiguous_format)
    return {name: values.to(device) for name, values in inputs.items()}
