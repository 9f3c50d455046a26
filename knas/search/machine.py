"""What a run computes on."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from knas.errors import UsageError

if TYPE_CHECKING:
    import torch


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    import torch

    import knas

    found = {
        "knas": knas.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
    return {**found, "cuda": torch.version.cuda} if torch.version.cuda else found


def machine(device: torch.device, threads: int | None = None) -> str:
    """A device in words.

    Args:
        device: where something is computed.
        threads: how many of the CPU; None for those of this process, 0 to leave them out.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if threads == 0:
        return str(device)
    threads = torch.get_num_threads() if threads is None else threads
    return f"{device} with {threads} thread{'s' if threads > 1 else ''}"


def find_device(device: str | torch.device | None) -> torch.device:
    """The device that is asked for; CUDA where there is one and None is given.

    Raises:
        UsageError: it can't be used here.
    """
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device (--device) {str(device)!r} can't be used here: {str(error).splitlines()[0]}"
        ) from error
    return found
