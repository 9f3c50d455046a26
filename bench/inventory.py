"""Says what a machine has, before knas is built on it: versions, the GPU's state, what lacking packages leave out."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess

#: Packages that steps want, and what is left out without them.
WANTED = {
    "setuptools": "the build needs it, at least 77",
    "ninja": "the build needs it",
    "numpy": "everything needs it",
    "pytest": "tests and benches are left out",
    "pytest-timeout": "tests have no limit of their own",
    "pytest-benchmark": "benches are left out",
    "hypothesis": "property tests skip themselves",
    "jinja2": "performance.md is not written",
    "psutil": "tests of scores on a CPU fail, which read the free memory",
    "scipy": "rank statistics are left out",
    "matplotlib": "figures are left out",
    "scikit-learn": "the embedded digits are left out",
    "pillow": "the ranking is left out, whose images are files",
    "pyyaml": "the ranking is left out, whose settings are a file",
    "safetensors": "saved networks are left out",
    "rich": "the command line is left out",
    "typer": "the command line is left out",
    "datasets": "tests of data from the Hub are left out",
    "opacus": "its column is left out",
    "backpack-for-pytorch": "its column is left out",
}
COMMANDS = (
    ("nvcc", "--version"),
    ("compute-sanitizer", "--version"),
    ("nvidia-smi",),
    (
        "nvidia-smi",
        "--query-gpu=clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.draw,power.limit",
        "--format=csv",
    ),
)


def version(package: str) -> str | None:
    """The installed version; None without the package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Prints it."""
    print(f"Python {platform.python_version()}, torch {version('torch')}")
    for package, without in WANTED.items():
        found = version(package)
        print(f"{package} {found}" if found else f"{package} is not there: {without}")
    for command in COMMANDS:
        print(f"$ {' '.join(command)}", flush=True)
        if shutil.which(command[0]):
            subprocess.run(command, check=False)
        else:
            print("not there")


if __name__ == "__main__":
    main()
