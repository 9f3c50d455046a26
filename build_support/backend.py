"""setuptools' PEP 517 backend, except that it builds against the torch already installed beside the package.

pip's isolated build environment would otherwise bring a torch of its own, whose C++ ABI need not be that of
the torch which loads the extension.
"""

from __future__ import annotations

import importlib.metadata
import re
import site
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from setuptools.build_meta import *  # noqa: F403

OLDEST_TORCH = (2, 11)
TORCH = "torch>={}.{}".format(*OLDEST_TORCH)  # what a machine with no usable torch builds against


def sees_user_site(prefix: Path, base_prefix: Path) -> bool:
    """Whether the interpreter at `prefix` imports from the user's own site-packages; most venvs do not."""
    settings = prefix / "pyvenv.cfg"
    if prefix == base_prefix or not settings.is_file():
        return True
    text = settings.read_text(encoding="utf-8")
    return re.search(r"^include-system-site-packages\s*=\s*true\s*$", text, re.M | re.I) is not None


def site_folders() -> list[str]:
    """The site-packages of the interpreter that gets knas; pip hides them from an isolated build."""
    user = sees_user_site(Path(sys.prefix), Path(sys.base_prefix))
    return [*site.getsitepackages(), *([site.getusersitepackages()] if user else [])]


def site_with_torch(folders: Sequence[str]) -> str | None:
    """The first of `folders` that holds a torch; None without one, or when it is too old to build against."""
    for folder in folders:
        for torch in importlib.metadata.distributions(name="torch", path=[folder]):
            release = tuple(int(part) for part in re.findall(r"\d+", torch.version)[:2])
            return folder if release >= OLDEST_TORCH else None
    return None


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Asks for torch only where none is installed yet."""
    return [] if site_with_torch(site_folders()) else [TORCH]


get_requires_for_build_editable = get_requires_for_build_wheel
get_requires_for_build_sdist = get_requires_for_build_wheel

if (_folder := site_with_torch(site_folders())) and _folder not in sys.path:
    sys.path.append(_folder)  # last: the build environment's own packages win
