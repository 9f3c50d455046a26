"""Per-sample gradients by one backward pass per sample, through nothing of knas."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

Norms = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def take(inputs: object, rows: slice) -> object:
    if isinstance(inputs, dict):
        return {key: value[rows] for key, value in inputs.items()}
    return tuple(value[rows] for value in inputs) if isinstance(inputs, tuple) else inputs[rows]


def objective(model: nn.Module, inputs: object, targets: Tensor | None) -> Tensor:
    if isinstance(inputs, dict):
        output = model(**inputs)["logits"]
    else:
        output = model(*inputs)[0] if isinstance(inputs, tuple) else model(inputs)
    return output.sum() if targets is None else F.cross_entropy(output, targets, reduction="sum")


def operations(model: nn.Module, inputs: object, n: int) -> dict[str, float]:
    """Operations per sample of the modules that take any, counted by PyTorch; n samples."""
    with FlopCounterMode(display=False) as counter:
        objective(model, inputs, None)
    counts = counter.get_flop_counts()
    return {path.partition(".")[2]: sum(one.values()) / n for path, one in counts.items() if "." in path}


def calibrated(model: nn.Module, inputs: object) -> nn.Module:
    """A copy in evaluation mode whose BatchNorm layers hold the statistics of the batch."""
    model = copy.deepcopy(model).eval()
    model.in_place = False  # PyTorch cannot train what overwrites its inputs

    def keep(module: Norms, arguments: tuple[Tensor, ...]) -> None:
        axes = [axis for axis in range(arguments[0].dim()) if axis != 1]
        module.running_mean = arguments[0].mean(axes)
        module.running_var = arguments[0].var(axes, correction=0)

    with without_gradients(model, keep):
        objective(model, inputs, None)
    return model


@contextmanager
def without_gradients(model: nn.Module, keep: object) -> Iterator[None]:
    norms = [module for module in model.modules() if isinstance(module, Norms)]
    handles = [module.register_forward_pre_hook(keep) for module in norms]
    with torch.no_grad():
        yield
    for handle in handles:
        handle.remove()


def gradients(model: nn.Module, inputs: object, targets: Tensor | None = None) -> dict[str, Tensor]:
    """Rows [n, p] for each module with parameters of its own, for a model whose samples are independent."""
    n = (
        len(next(iter(inputs.values())))
        if isinstance(inputs, dict)
        else len(inputs[0] if isinstance(inputs, tuple) else inputs)
    )
    names, parameters = zip(*model.named_parameters(), strict=True)
    rows: dict[str, list[Tensor]] = {}
    for i in range(n):
        one = slice(i, i + 1)
        value = objective(model, take(inputs, one), None if targets is None else targets[one])
        found = torch.autograd.grad(value, parameters, allow_unused=True)
        layers: dict[str, list[Tensor]] = {}
        for name, parameter, gradient in zip(names, parameters, found, strict=True):
            layer = name.rpartition(".")[0] or type(model).__name__
            layers.setdefault(layer, []).append(
                (torch.zeros_like(parameter) if gradient is None else gradient).flatten()
            )
        for layer, parts in layers.items():
            rows.setdefault(layer, []).append(torch.cat(parts))
    return {layer: torch.stack(vectors) for layer, vectors in rows.items()}
