"""Which arithmetic a network is trained in, and the context that switches it on."""

from __future__ import annotations

import contextlib

import torch

from knas.errors import UsageError


def resolve_precision(precision: str, device: torch.device) -> str:
    """Settle "auto" for a device, by what its hardware can do and not by a measurement, which might waver.

    Measured on two cores with AMX, for NAS-Bench-201 networks of 0.6 and 1.5 M parameters on 256 images of 8
    to 32 pixels: a step in bfloat16 takes 0.51 to 0.90 of the time of one in float32.

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
    return "bfloat16" if device.type == "cpu" and _cpu_multiplies_bfloat16() else "float32"


def _cpu_multiplies_bfloat16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context in which a network computes in `precision`, for a precision out of `resolve_precision`."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))
