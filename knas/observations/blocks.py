"""Where a network's feature maps are: the blocks that it is a chain of."""

from __future__ import annotations

from torch import nn

from knas.gradients.layers import walk

_LISTS = (nn.Sequential, nn.ModuleList)


def blocks_of(model: nn.Module) -> dict[nn.Module, str]:
    """The modules whose outputs count as a network's feature maps, with their paths.

    A block is an entry of an `nn.Sequential` or `nn.ModuleList` that is made of modules itself, and not within
    another block: the cells of NAS-Bench-201, the residual blocks of a ResNet, the layers of a transformer. Lists
    within lists are one list. What a block holds does not matter, so that it counts without parameters too. A model
    with fewer than two blocks, such as a plain chain of layers, has those of its modules that own a weight of at least
    two axes.
    """
    found: dict[nn.Module, str] = {}
    _visit(model, "", found)
    if len(found) >= 2:
        return found
    return {module: path for path, module in walk(model) if _has_weight(module)}


def _visit(module: nn.Module, path: str, found: dict[nn.Module, str]) -> None:
    listed = type(module) in _LISTS
    for name, child in module._modules.items():
        if child is None or child in found:
            continue
        inside = f"{path}.{name}" if path else name
        if listed and type(child) not in _LISTS and child._modules:
            found[child] = inside
        else:
            _visit(child, inside, found)


def _has_weight(module: nn.Module) -> bool:
    return any(parameter is not None and parameter.dim() >= 2 for parameter in module._parameters.values())
