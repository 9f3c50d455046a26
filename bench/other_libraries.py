"""Per-sample gradients by Opacus and BackPACK, where they are installed and accept the network.

Neither is among knas's extras: BackPACK asks for torchvision, which would replace the installed torch. To bench them:
    pip install --no-deps opacus opt-einsum backpack-for-pytorch unfoldNd einops

A network is wrapped once, outside of what is timed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

from torch import Tensor, nn

from bench.pure_pytorch import Keep, Rows, by_layer


class RefusedError(Exception):
    """The library is not installed, or does not take this network."""


def opacus(model: nn.Module) -> Callable[[Tensor, Keep], Rows]:
    """`GradSampleModule`, which takes no layer with buffers, hence no BatchNorm, and only records in training mode."""
    try:
        from opacus.grad_sample import GradSampleModule
    except ImportError as error:
        raise RefusedError(f"Opacus cannot be imported: {error}") from None
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        raise RefusedError("Opacus takes no BatchNorm: GradSampleModule refuses layers with buffers")
    wrapped = GradSampleModule(plain(model).train(), loss_reduction="sum")

    def run(inputs: Tensor, keep: Keep) -> Rows:
        wrapped(inputs.detach().requires_grad_()).sum().backward()
        return taken(wrapped._module, "grad_sample", keep)

    return run


def backpack(model: nn.Module) -> Callable[[Tensor, Keep], Rows]:
    """`BatchGrad`, which knows layers by their exact class: no LayerNorm, BatchNorm in evaluation mode only."""
    try:
        import backpack
        from backpack.extensions import BatchGrad
    except ImportError as error:
        raise RefusedError(f"BackPACK cannot be imported: {error}") from None
    if any(isinstance(module, nn.LayerNorm) for module in model.modules()):
        raise RefusedError("BackPACK takes no LayerNorm: BatchGrad has no extension for it")
    extended = backpack.extend(plain(model))

    def run(inputs: Tensor, keep: Keep) -> Rows:
        with warnings.catch_warnings():  # of modules that only hold others
            warnings.filterwarnings("ignore", "Extension saving to grad_batch", UserWarning)
            with backpack.backpack(BatchGrad()):
                extended(inputs.detach().requires_grad_()).sum().backward()
        return taken(extended, "grad_batch", keep)

    return run


def plain(model: nn.Module) -> nn.Module:
    """A copy whose layers are of PyTorch's own classes: both libraries look up the exact class."""
    model = copy.deepcopy(model)
    for module in model.modules():
        for base in (nn.Conv2d, nn.Linear):
            if isinstance(module, base):
                module.__class__ = base
    return model


def taken(model: nn.Module, attribute: str, keep: Keep) -> Rows:
    """Moves the gradients that a library left beside each parameter out of the model."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    rows = by_layer(names, [getattr(parameter, attribute).flatten(1) for parameter in parameters])
    for parameter in parameters:
        parameter.grad = None
        setattr(parameter, attribute, None)
    return {layer: keep(layer, vectors) for layer, vectors in rows.items()}
