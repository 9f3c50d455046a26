"""Initial weights that depend on a seed and on a layer's place in its network, and on nothing else.

Every layer draws from a generator of its own, seeded with a hash of (seed, name of the layer, shape of its
weight). So the same layer starts with the same weights in every network of a space that has it, whatever the
other layers are: differences between two architectures' scores then come from the architectures and not from
other random numbers, and a network without its dead edges computes exactly what the whole one does.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from knas.spaces.checks import integer_in_range, one_of

Drawn = nn.Conv2d | nn.Linear | nn.Embedding
Draw = Callable[[Drawn, torch.Generator], None]


def _kaiming(layer: Drawn, generator: torch.Generator, mode: Literal["fan_in", "fan_out"] = "fan_in") -> None:
    nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu", generator=generator)
    _without_offset(layer)


def _xavier(layer: Drawn, generator: torch.Generator) -> None:
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    _without_offset(layer)


def _pytorch_default(layer: Drawn, generator: torch.Generator) -> None:
    if isinstance(layer, nn.Embedding):
        nn.init.normal_(layer.weight, generator=generator)
        _without_offset(layer)
        return
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if layer.bias is not None:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _without_offset(layer: Drawn) -> None:
    """Zero a bias, and the embedding of padding."""
    if isinstance(layer, nn.Embedding):
        if layer.padding_idx is not None:
            nn.init.zeros_(layer.weight[layer.padding_idx])
    elif layer.bias is not None:
        nn.init.zeros_(layer.bias)


INITIALIZATIONS: dict[str, Draw] = {
    "kaiming": _kaiming,
    "kaiming-fan-out": functools.partial(_kaiming, mode="fan_out"),
    "xavier": _xavier,
    "default": _pytorch_default,
}


def initialize(model: nn.Module, initialization: str = "kaiming", seed: int = 0) -> nn.Module:
    """Fill the weights of a model's convolutions, linear layers and embeddings, in place.

    - `"kaiming"`: w ~ N(0, 2/fan_in), biases 0 (He et al. 2015, eq. 10). The KNAS paper, section 8, says that
      its image networks use "Kaiming initialization" and no more; fan-in with the gain of ReLU, for linear
      layers too, is the usual reading.
    - `"kaiming-fan-out"`: w ~ N(0, 2/fan_out), biases 0: what TE-NAS (arXiv 2102.11535) takes gradients from.
    - `"xavier"`: w ~ U(±√(6/(fan_in + fan_out))), biases 0 (Glorot and Bengio 2010, eq. 16): what the KNAS paper,
      section 8, says of its text networks.
    - `"default"`: PyTorch's own, w and b ~ U(±1/√fan_in), which is `kaiming_uniform_` with a = √5. The
      benchmark's networks were trained from it.

    Layers of normalization keep what their constructor gave them: weight 1, bias 0. The embedding of padding is 0.

    Args:
        model: a network on the CPU; its other modules are left alone.
        initialization: one of these.
        seed: an integer of at least 0.

    Returns:
        The same model.

    Raises:
        UsageError: for an unknown initialization or a seed below 0.
    """
    draw = INITIALIZATIONS[one_of("initialization", initialization, INITIALIZATIONS)]
    seed = integer_in_range("seed", seed, 0)
    generator = torch.Generator()
    for place, layer in model.named_modules():
        if isinstance(layer, Drawn):
            generator.manual_seed(_place_seed(seed, place, layer.weight.shape))
            draw(layer, generator)
    return model


def _place_seed(seed: int, place: str, shape: torch.Size) -> int:
    key = f"{seed}/{place}/{tuple(shape)}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 1
