"""Sampled MGM (Eq. 16) in pure PyTorch, as one would write it without knas: what the benches compare against."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from knas.gradients import Gradients, Settings, make_batch, random_entries

SEED = 0

Entries = dict[str, Tensor]


def calibrated(model: nn.Module, inputs: Tensor) -> nn.Module:
    """A copy in evaluation mode, whose BatchNorm layers hold the statistics of the batch."""
    model = copy.deepcopy(model).eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]

    def keep(module: nn.BatchNorm2d, arguments: tuple[Tensor, ...]) -> None:
        module.running_var, module.running_mean = torch.var_mean(arguments[0], (0, 2, 3), correction=0)

    handles = [norm.register_forward_pre_hook(keep) for norm in norms]
    with torch.no_grad():
        model(inputs)
    for handle in handles:
        handle.remove()
    return model


def entries_of(model: nn.Module, inputs: Tensor) -> Entries:
    """The entries that knas samples with `SEED`, per layer, numbered through the layer's parameters."""
    layers = Gradients(model, make_batch(inputs, None, inputs.device), Settings()).layers.layers
    draw = random_entries(50, SEED)
    return {layer.name: draw(layer).to(inputs.device) for layer in layers}


def by_backward_passes(model: nn.Module, inputs: Tensor, entries: Entries) -> float:
    """One backward pass per sample."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    rows: dict[str, list[Tensor]] = {name: [] for name in entries}
    for sample in inputs.split(1):
        found = torch.autograd.grad(model(sample).sum(), parameters, allow_unused=True)
        flat = [g if g is not None else torch.zeros_like(p) for g, p in zip(found, parameters, strict=True)]
        for layer, vector in _join(names, [g.flatten() for g in flat], 0).items():
            rows[layer].append(vector[entries[layer]])
    return _mean({layer: torch.stack(vectors) for layer, vectors in rows.items()})


def by_torch_func(model: nn.Module, inputs: Tensor, entries: Entries) -> float:
    """`torch.func.vmap(grad)` over the samples."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def output(values: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(model, values, (sample[None],)).sum()

    found = vmap(grad(output), in_dims=(None, 0))(parameters, inputs)
    rows = _join(found, [gradient.flatten(1) for gradient in found.values()], 1)
    return _mean({layer: vectors[:, entries[layer]] for layer, vectors in rows.items()})


def frozen_pass(model: nn.Module, inputs: Tensor) -> None:
    """Forward and backward with frozen weights: only activation gradients flow. The floor of any sampled score."""
    torch.autograd.grad(model(inputs.requires_grad_()).sum(), inputs)


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor
) -> None:
    """An ordinary training step of the same batch."""
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()


def _join(names: object, flat: list[Tensor], axis: int) -> dict[str, Tensor]:
    layers: dict[str, list[Tensor]] = {}
    for name, vector in zip(names, flat, strict=True):
        layers.setdefault(name.rpartition(".")[0], []).append(vector)
    return {layer: torch.cat(parts, axis) for layer, parts in layers.items()}


def _mean(rows: dict[str, Tensor]) -> float:
    return torch.stack([vectors.mean(0).square().sum() for vectors in rows.values()]).mean().item()
