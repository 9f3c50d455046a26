"""Whether the CUDA half of the extension can be built here, and if not, why.

The answer is printed once, and compiled into the package for `knas-search doctor` to repeat.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WISHES = ("0", "1", "auto")
DEFAULT_TOOLKIT = Path("/usr/local/cuda")


@dataclass(frozen=True)
class CudaPlan:
    """What to build, and one sentence about it that a user can act on.

    Attributes:
        toolkit: Root of the CUDA toolkit to build with; None for a CPU build.
        version: The toolkit's version, such as (13, 0); None for a CPU build.
        reason: Why; the installed package repeats it in `knas-search doctor`.
    """

    toolkit: Path | None
    version: tuple[int, int] | None
    reason: str

    @property
    def with_cuda(self) -> bool:
        """Whether the CUDA kernels are built."""
        return self.toolkit is not None


def wish(environment: Mapping[str, str]) -> str:
    """What the user asked for in KNAS_CUDA: "0", "1" or "auto".

    Raises:
        SystemExit: KNAS_CUDA holds anything else.
    """
    value = environment.get("KNAS_CUDA", "").strip().lower() or "auto"
    if value not in WISHES:
        raise SystemExit(
            f"KNAS_CUDA={environment['KNAS_CUDA']!r} is not understood: "
            "set it to 0 (no CUDA kernels), 1 (fail without them) or auto"
        )
    return value


def is_toolkit(root: Path) -> bool:
    """Whether `root` holds both a compiler and headers: an `nvcc` on PATH may be a wrapper."""
    return (root / "bin/nvcc").is_file() and (root / "include/cuda_runtime.h").is_file()


def find_toolkit(environment: Mapping[str, str], default: Path = DEFAULT_TOOLKIT) -> Path | None:
    """The CUDA toolkit to build with.

    CUDA_HOME (or CUDA_PATH) decides alone when it is set, so that it can also hide a toolkit; then comes the
    `nvcc` on PATH, then the usual place.
    """
    if named := environment.get("CUDA_HOME") or environment.get("CUDA_PATH"):
        return Path(named) if is_toolkit(Path(named)) else None
    nvcc = shutil.which("nvcc", path=environment.get("PATH"))
    roots = [*([Path(nvcc).resolve().parent.parent] if nvcc else []), default]
    return next(filter(is_toolkit, roots), None)


def nvcc_version(toolkit: Path) -> tuple[int, int] | None:
    """The release that the toolkit's nvcc reports; None when it does not run."""
    try:
        run = subprocess.run([toolkit / "bin/nvcc", "--version"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"release (\d+)\.(\d+)", run.stdout)
    return (int(found[1]), int(found[2])) if found else None


def obstacle(
    torch_version: str, torch_cuda: str | None, toolkit: Path | None, nvcc: tuple[int, int] | None
) -> str | None:
    """Why no CUDA kernels can be built from these facts, with the remedy; None when they can."""
    if torch_cuda is None:
        return (
            f"torch {torch_version} is a build without CUDA; "
            "install a CUDA build of torch, then reinstall knas"
        )
    if toolkit is None:
        return (
            f"torch {torch_version} uses CUDA {torch_cuda}, but no CUDA toolkit was found; install CUDA "
            f"{torch_cuda} with nvcc or point CUDA_HOME at it, then reinstall knas"
        )
    if nvcc is None:
        return (
            f"{toolkit}/bin/nvcc does not run; "
            "repair the CUDA toolkit or point CUDA_HOME at another, then reinstall knas"
        )
    major = torch_cuda.split(".")[0]
    if nvcc[0] != int(major):
        return (
            f"torch {torch_version} uses CUDA {torch_cuda}, but {toolkit} is CUDA {nvcc[0]}.{nvcc[1]}; "
            f"point CUDA_HOME at a CUDA {major} toolkit, then reinstall knas"
        )
    return None


def plan(
    torch_version: str, torch_cuda: str | None, toolkit: Path | None, nvcc: tuple[int, int] | None, wish: str
) -> CudaPlan:
    """Decides from facts alone, so that every row can be tested without a GPU, a toolkit or a second torch.

    Raises:
        SystemExit: the kernels were demanded (`wish` is "1") and cannot be built.
    """
    if wish == "0":
        return CudaPlan(None, None, "switched off by KNAS_CUDA=0; reinstall knas without it to get them")
    why_not = obstacle(torch_version, torch_cuda, toolkit, nvcc)
    if why_not is None and toolkit is not None and nvcc is not None:
        return CudaPlan(toolkit, nvcc, f"built with CUDA {nvcc[0]}.{nvcc[1]} for torch {torch_version}")
    if wish == "1":
        raise SystemExit(f"KNAS_CUDA=1, but the CUDA kernels cannot be built: {why_not}")
    return CudaPlan(None, None, str(why_not))


def plan_for_this_machine(torch_version: str, torch_cuda: str | None) -> CudaPlan:
    """Gathers the facts (KNAS_CUDA, CUDA_HOME, PATH, nvcc) and decides."""
    wanted = wish(os.environ)
    toolkit = find_toolkit(os.environ)
    return plan(torch_version, torch_cuda, toolkit, nvcc_version(toolkit) if toolkit else None, wanted)


def architectures(nvcc: tuple[int, int]) -> str:
    """TORCH_CUDA_ARCH_LIST where no GPU can be asked: what this nvcc can compile for, from Turing on."""
    return "7.5;8.0;9.0;12.0+PTX" if nvcc >= (12, 8) else "7.5;8.0;9.0+PTX"
