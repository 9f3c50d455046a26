"""Loads the compiled extension, or refuses with one sentence that says what to do.

torch promises no C++ ABI across minor releases: an extension compiled for another one may load, and be wrong.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from types import ModuleType

EXTENSION = "knas._C"
REINSTALL = "reinstall knas from its source folder (pip install --force-reinstall --no-deps .)"


def minor_release(version: str) -> tuple[str, ...]:
    """The part of a torch version that its C++ ABI depends on: ("2", "13") of "2.13.0+cpu"."""
    return tuple(version.split(".")[:2])


def check(built_for: str, running: str) -> None:
    """Refuses a torch of another minor release than the one that knas was compiled for.

    Args:
        built_for: Version of the torch that the extension was compiled against, such as "2.13.0".
        running: Version of the torch that is imported now.

    Raises:
        ImportError: The two differ in their major or minor release.
    """
    if minor_release(built_for) != minor_release(running):
        wanted = ".".join(minor_release(built_for))
        raise ImportError(
            f"knas was compiled for torch {built_for} and this is torch {running}: "
            f"{REINSTALL}, or go back to torch {wanted}"
        )


def installed_pin() -> str | None:
    """The torch that the installed package asks for, such as "2.13", from its metadata; None without one."""
    try:
        requirements = importlib.metadata.requires("knas") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    pins = (re.match(r"torch\s*==\s*(\d+\.\d+)", requirement) for requirement in requirements)
    return next((pin[1] for pin in pins if pin), None)


def load_extension() -> ModuleType:
    """Imports the compiled extension, whose operators appear under `torch.ops.knas`.

    Returns:
        The module, with the attributes `torch_version`, `cuda_version`, `with_cuda` and `cuda_reason`.

    Raises:
        ImportError: torch is missing, or the extension is missing or compiled for another torch.
    """
    pin = installed_pin()
    try:
        import torch  # the extension finds libtorch through the one that is loaded here
    except ModuleNotFoundError as error:
        raise ImportError(f"knas needs torch: pip install 'torch=={pin or '2.13'}.*'") from error
    try:
        extension = importlib.import_module(EXTENSION)
    except ModuleNotFoundError as error:
        raise ImportError(
            "knas's compiled extension is not in this source tree: build it with `pip install -e .`, "
            "or install knas with `pip install .` and import it from another folder"
        ) from error
    except ImportError as error:  # a library or a symbol that this torch does not have
        built_for = f"torch {pin}" if pin else "another torch"
        raise ImportError(
            f"knas's extension, compiled for {built_for}, does not load with torch {torch.__version__} "
            f"({error}): {REINSTALL}"
        ) from error
    check(extension.torch_version, torch.__version__)
    return extension
