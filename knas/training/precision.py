"""Which arithmetic a network is trained in, and the context that switches it on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import torch

from knas.errors import UsageError


def resolve_precision(precision: str, device: torch.device) -> str:
    """Settle "auto" for a device, by what its hardware can do and not by a measurement, which might waver.

    Measured on a CPU for a NAS-Bench-201 network of 0.6 M parameters on images of 8, 16 and 32 pixels: with AMX
    a training step in bfloat16 takes 0.79, 0.71 and 0.63 of the time of one in float32. With AVX512-BF16 alone
    it takes 1.1 to 1.2 of it, so that is no reason to choose bfloat16.

    Args:
        precision: "auto", "float32", "bfloat16" or "float16".
        device: Where the network is trained.

    Returns:
        "float32", "bfloat16" or "float16".

    Raises:
        UsageError: If float16 is wanted on a device other than a CUDA GPU.
    """
    if precision == "float16" and device.type != "cuda":
        raise UsageError(
            f"recipe: precision='float16' needs a CUDA device, not {device}; bfloat16 works there"
        )
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"
    # not in every torch that knas is built for
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if device.type == "cpu" and capabilities.get("amx_bf16") else "float32"


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context in which a network computes in `precision`, for a precision out of `resolve_precision`."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))
