"""Full Gram matrices in pure PyTorch: inputs unfolded, batched products, and the product of each layer's gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def gram_by_unfolding(model: nn.Module, inputs: Tensor) -> Tensor:
    """Gram matrix [n, n] of all parameters of a network in evaluation mode, layer by layer in one backward pass."""
    total = inputs.new_zeros(len(inputs), len(inputs))

    def watch(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        input = arguments[0].detach()

        def add(grad: Tensor) -> None:
            for rows in _per_sample(module, input, grad):
                total.addmm_(rows, rows.T)

        if not output.requires_grad:
            output.requires_grad_()
        output.register_hook(add)
        return output

    layers = [
        module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    ]
    handles = [layer.register_forward_hook(watch) for layer in layers]
    model(inputs).sum().backward()
    for handle in handles:
        handle.remove()
    return total


def _per_sample(module: nn.Module, input: Tensor, grad: Tensor) -> list[Tensor]:
    if isinstance(module, nn.BatchNorm2d):
        scale = (module.running_var + module.eps).rsqrt()[:, None, None]
        normalized = (input - module.running_mean[:, None, None]) * scale
        return [(grad * normalized).sum((2, 3)), grad.sum((2, 3))]
    if isinstance(module, nn.Linear):
        weight = torch.bmm(grad[:, :, None], input[:, None, :])
        return [weight.flatten(1), grad]
    seen = F.unfold(input, module.kernel_size, module.dilation, module.padding, module.stride)
    weight = torch.bmm(grad.flatten(2), seen.transpose(1, 2))
    return [weight.flatten(1)] if module.bias is None else [weight.flatten(1), grad.sum((2, 3))]
