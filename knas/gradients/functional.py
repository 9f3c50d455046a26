"""Per-sample gradients of parameters whose use no rule covers: by `torch.func`, or one sample after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from knas.gradients.batch import Batch
from knas.gradients.batch_norm import BatchNormStatistics, Moments
from knas.gradients.layers import Slot
from knas.gradients.objective import total_objective, trained_gradients


def gradients_without_rules(
    model: nn.Module,
    batch: Batch,
    slots: Sequence[Slot],
    *,
    of: str,
    batch_norm: str,
    moments: Sequence[Moments],
    chunk: int,
) -> dict[Slot, Tensor]:
    """Gradients [n, size] of each sample's objective for some parameters.

    By `torch.func`, or where that can't vectorize the model, by a forward and a backward pass for each sample.

    Args:
        model: In evaluation mode, with frozen parameters.
        batch: The samples.
        slots: The parameters.
        of: "output" or "loss".
        batch_norm: "calibrated" or "initial".
        moments: BatchNorm statistics of the batch, one pair per call.
        chunk: Number of samples that are differentiated at once.

    Raises:
        Exception: Whatever the model says when it gets a single sample.
    """
    try:
        return functional_gradients(
            model, batch, slots, of=of, batch_norm=batch_norm, moments=moments, chunk=chunk
        )
    except Exception:  # such as control flow that depends on the data, in the masks of many transformers
        return one_by_one(model, batch, slots, of=of, batch_norm=batch_norm, moments=moments)


def functional_gradients(
    model: nn.Module,
    batch: Batch,
    slots: Sequence[Slot],
    *,
    of: str,
    batch_norm: str,
    moments: Sequence[Moments],
    chunk: int,
) -> dict[Slot, Tensor]:
    """`gradients_without_rules` of all samples under one `torch.func.vmap`.

    Raises:
        Exception: Whatever `torch.func` says when the model cannot be vectorized.
    """
    parameters = {slot.name: slot.parameter.detach() for slot in slots}
    tensors, mapped = _split(batch)

    def objective(values: dict[str, Tensor], samples: list[Tensor], target: Tensor | None) -> Tensor:
        inputs = _rebuild(
            batch, [sample[None] if m == 0 else sample for sample, m in zip(samples, mapped, strict=True)]
        )
        args, kwargs = (
            ((), inputs)
            if isinstance(inputs, dict)
            else (inputs if isinstance(inputs, tuple) else (inputs,), {})
        )
        with BatchNormStatistics(batch_norm, moments):
            outputs = functional_call(model, values, args, kwargs)
        return total_objective(outputs, None if target is None else target[None], of, 1)

    dims = (None, mapped, None if batch.targets is None else 0)
    per_sample = vmap(grad(objective), in_dims=dims, randomness="different", chunk_size=chunk)
    with sdpa_kernel(SDPBackend.MATH):  # the fused attentions have no batching rule
        gradients = per_sample(parameters, tensors, batch.targets)
    return {slot: gradients[slot.name].detach().flatten(1) for slot in slots}


def one_by_one(
    model: nn.Module,
    batch: Batch,
    slots: Sequence[Slot],
    *,
    of: str,
    batch_norm: str,
    moments: Sequence[Moments],
) -> dict[Slot, Tensor]:
    """`gradients_without_rules` by an ordinary forward and backward pass for each sample.

    Raises:
        Exception: Whatever the model says when it gets a single sample.
    """
    parameters = [slot.parameter for slot in slots]
    rows: dict[Slot, list[Tensor]] = {slot: [] for slot in slots}
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        for i in range(batch.n):
            one = batch.part(i, i + 1)
            with BatchNormStatistics(batch_norm, moments):
                outputs = one.call(model)
            found = trained_gradients(total_objective(outputs, one.targets, of, 1), slots)
            for slot, gradient in zip(slots, found, strict=True):
                rows[slot].append(
                    (torch.zeros_like(slot.parameter) if gradient is None else gradient).flatten()
                )
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)
    return {slot: torch.stack(gradients) for slot, gradients in rows.items()}


def _split(batch: Batch) -> tuple[list[Tensor], list[int | None]]:
    """The tensors among the inputs, and the axis of their samples (None for those that all samples share)."""
    values = batch.inputs.values() if isinstance(batch.inputs, dict) else batch.inputs
    values = list(values) if isinstance(batch.inputs, dict | tuple) else [batch.inputs]
    tensors = [value for value in values if isinstance(value, Tensor)]
    return tensors, [0 if tensor.dim() > 0 and tensor.shape[0] == batch.n else None for tensor in tensors]


def _rebuild(batch: Batch, tensors: Sequence[Tensor]) -> Any:
    left = iter(tensors)
    if isinstance(batch.inputs, dict):
        return {
            key: next(left) if isinstance(value, Tensor) else value for key, value in batch.inputs.items()
        }
    if isinstance(batch.inputs, tuple):
        return tuple(next(left) if isinstance(value, Tensor) else value for value in batch.inputs)
    return next(left)


def one_line(error: BaseException) -> str:
    """The first line of an error's text."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
