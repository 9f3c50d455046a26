"""Per-sample gradients and their MGM in pure PyTorch, as one would write them without knas, and the floors of both.

Each way takes a network in evaluation mode and `keep(layer, rows [k, p])`, which is called with the gradients of k
samples for all p parameters of a layer and returns what is kept of them [k, s].
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

Rows = dict[str, Tensor]
Keep = Callable[[str, Tensor], Tensor]


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


def backward_passes(model: nn.Module, inputs: Tensor, keep: Keep) -> Rows:
    """One backward pass per sample."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    rows: dict[str, list[Tensor]] = {}
    for sample in inputs.split(1):
        found = torch.autograd.grad(model(sample).sum(), parameters)
        for layer, vector in by_layer(names, [gradient.flatten()[None] for gradient in found]).items():
            rows.setdefault(layer, []).append(keep(layer, vector))
    return {layer: torch.cat(vectors) for layer, vectors in rows.items()}


def torch_func(model: nn.Module, inputs: Tensor, keep: Keep) -> Rows:
    """`torch.func.vmap(grad)` over the samples."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def output(values: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(model, values, (sample[None],)).sum()

    found = vmap(grad(output), in_dims=(None, 0))(parameters, inputs)
    rows = by_layer(found, [gradient.flatten(1) for gradient in found.values()])
    return {layer: keep(layer, vectors) for layer, vectors in rows.items()}


def unfold_and_multiply(model: nn.Module, inputs: Tensor, keep: Keep) -> Rows:
    """One frozen pass with hooks: per layer, its unfolded input times its output's gradient, in one batched product."""
    rows: Rows = {}
    handles = []
    for name, module in model.named_modules():
        if rule := next((rule for kind, rule in RULES.items() if isinstance(module, kind)), None):

            def watch(
                module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor, name=name, rule=rule
            ) -> None:  # type: ignore[no-untyped-def]
                def reduce(gradient: Tensor) -> None:
                    rows[name] = keep(name, rule(module, arguments[0].detach(), gradient))

                output.register_hook(reduce)

            handles.append(module.register_forward_hook(watch))
    frozen_pass(model, inputs)
    for handle in handles:
        handle.remove()
    return rows


def conv_rows(layer: nn.Conv2d, inputs: Tensor, gradient: Tensor) -> Tensor:
    """dL/dw[o, (c, u)] = sum_t gradient[o, t] * unfold(input)[(c, u), t], for one group without bias."""
    columns = F.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # type: ignore[arg-type]
    return torch.bmm(gradient.flatten(2), columns.transpose(1, 2)).flatten(1)


def linear_rows(layer: nn.Linear, inputs: Tensor, gradient: Tensor) -> Tensor:
    inputs, gradient = (t.flatten(1, -2) if t.dim() > 2 else t[:, None] for t in (inputs, gradient))
    return torch.cat([torch.bmm(gradient.transpose(1, 2), inputs).flatten(1), gradient.sum(1)], 1)


def batch_norm_rows(layer: nn.BatchNorm2d, inputs: Tensor, gradient: Tensor) -> Tensor:
    normal = F.batch_norm(inputs, layer.running_mean, layer.running_var, eps=layer.eps)
    return torch.cat([(normal * gradient).sum((2, 3)), gradient.sum((2, 3))], 1)


def layer_norm_rows(layer: nn.LayerNorm, inputs: Tensor, gradient: Tensor) -> Tensor:
    normal = F.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
    return torch.cat([(t if t.dim() == 2 else t.sum(1)) for t in (normal * gradient, gradient)], 1)


RULES: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv2d: conv_rows,
    nn.Linear: linear_rows,
    nn.BatchNorm2d: batch_norm_rows,
    nn.LayerNorm: layer_norm_rows,
}


def frozen_pass(model: nn.Module, inputs: Tensor) -> Tensor:
    """Forward and backward with frozen weights: only activation gradients flow. The floor of any sampled score."""
    inputs = inputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model(inputs).sum(), inputs)
    return gradient


def training_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor
) -> Tensor:
    """An ordinary training step of the same batch; returns the loss before it."""
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss.detach()


def by_layer(names: Iterable[str], rows: list[Tensor]) -> Rows:
    """Joins the gradients [k, p] of the parameters of each layer."""
    layers: dict[str, list[Tensor]] = {}
    for name, vector in zip(names, rows, strict=True):
        layers.setdefault(name.rpartition(".")[0], []).append(vector)
    return {layer: torch.cat(parts, 1) for layer, parts in layers.items()}


def sampled_mgm(rows: Rows) -> float:
    """Eq. 16: ||(1/n) sum_i g_i||^2 over the sampled entries of each layer, averaged over layers."""
    return torch.stack([vectors.mean(0).square().sum() for vectors in rows.values()]).mean().item()


def gram(rows: Rows) -> Tensor:
    """Gram matrix [n, n] of all layers together."""
    return torch.stack([vectors @ vectors.T for vectors in rows.values()]).sum(0)
