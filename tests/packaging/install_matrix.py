"""Installs knas for real, in fresh virtual environments, in every way that docs/install.md promises.

    python tests/packaging/install_matrix.py             # the rows with a CPU torch: a few minutes
    python tests/packaging/install_matrix.py --rows all  # CUDA builds of torch, too: 12 GB, half an hour
    python tests/packaging/install_matrix.py --rows editable,wish

Prints a table. Needs git and a checkout; what is installed is a clean copy of its tracked and new files. The
rows of one group share a virtual environment and run in the order given here.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD_TOOLS = "pip install 'setuptools>=77' ninja numpy"
BY_HAND = f"pip uninstall -y knas && {BUILD_TOOLS} && pip install --no-build-isolation --no-deps"
AGAIN = "pip install --force-reinstall --no-deps ."

# Printed by the installed package, from another folder than the source tree.
FACTS = """
import importlib.metadata, json, torch
from knas import native, reference
vectors = torch.randn(5, 7, dtype=torch.float64)
torch.testing.assert_close(native.gram_statistics(vectors), reference.gram_statistics(vectors))
info = native.build_info()
pins = [line for line in importlib.metadata.requires("knas") if line.startswith("torch=")]
print(json.dumps([torch.__version__, pins[0], info.with_cuda, info.cuda_reason]))
"""


@dataclass(frozen=True)
class Row:
    """One way to install.

    Attributes:
        group: Rows with the same group share a virtual environment.
        name: What is tried.
        command: What a user types, in the source folder.
        says: A part of the build's reason, or of the output where the command or the import must fail.
        cuda: Whether the CUDA kernels must be in; None where installing or importing must fail.
        environment: Variables that the user sets.
        torch: A part of the running torch's version.
    """

    group: str
    name: str
    command: str
    says: str
    cuda: bool | None = False
    environment: Mapping[str, str] = field(default_factory=dict)
    torch: str = ""


def rows(cpu: str, cuda: str) -> list[Row]:
    """The matrix, for the given pip arguments of a CPU and a CUDA build of torch."""
    nowhere = {"CUDA_HOME": "/nowhere"}
    return [
        Row("cpu", "CPU torch", f"pip install {cpu} && pip install .", "is a build without CUDA"),
        Row("cpu", "wish: KNAS_CUDA=1", AGAIN, "KNAS_CUDA=1, but the CUDA kernels", None, {"KNAS_CUDA": "1"}),
        Row(
            "cpu",
            "wish: KNAS_CUDA=yes",
            AGAIN,
            "KNAS_CUDA='yes' is not understood",
            None,
            {"KNAS_CUDA": "yes"},
        ),
        Row("cpu", "wish: KNAS_CUDA=0", AGAIN, "switched off by KNAS_CUDA=0", False, {"KNAS_CUDA": "0"}),
        Row("cpu", "no isolation", f"{BY_HAND} .", "is a build without CUDA"),
        Row("cpu", "editable, no isolation", f"{BY_HAND} -e .", "is a build without CUDA"),
        Row("cpu", "editable", "pip uninstall -y knas && pip install -e .", "is a build without CUDA"),
        Row("none", "no torch at all", "pip install .", "", True),
        Row(
            "cuda",
            "CPU torch, then CUDA torch",
            f"pip install {cpu} && {BUILD_TOOLS} && pip install . && pip install {cuda}",
            "knas was compiled for torch",
            None,
        ),
        Row("cuda", "CUDA torch, toolkit, no GPU", AGAIN, "built with CUDA", True),
        Row("cuda", "CUDA torch, no toolkit", AGAIN, "no CUDA toolkit was found", False, nowhere),
        Row(
            "cuda",
            "CUDA torch, no toolkit, wish",
            AGAIN,
            "no CUDA toolkit was found",
            None,
            {**nowhere, "KNAS_CUDA": "1"},
        ),
        Row(
            "cuda",
            "CUDA torch, editable",
            "pip uninstall -y knas && pip install --no-deps -e .",
            "built with CUDA",
            True,
        ),
    ]


def copy_sources(target: Path) -> None:
    """Copies what a checkout holds: neither build products nor compiled extensions."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


def shell(command: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def verdict(
    row: Row, installed: subprocess.CompletedProcess[str], facts: subprocess.CompletedProcess[str] | None
) -> tuple[str, str]:
    """ "passed" or "FAILED", and what was seen."""
    last = facts if installed.returncode == 0 else installed
    assert last is not None
    output = (last.stdout + last.stderr).strip()
    if last.returncode != 0:
        line = next(
            (line.strip() for line in output.splitlines() if row.says and row.says in line), output[-600:]
        )
        return "passed" if row.cuda is None and row.says in output else "FAILED", line
    torch, pin, with_cuda, reason = json.loads(output.splitlines()[-1])
    fits = pin == "torch=={}.{}.*".format(*torch.split(".")[:2])
    passed = row.cuda is with_cuda and row.says in reason and fits and row.torch in torch
    return (
        "passed" if passed else "FAILED",
        f"torch {torch}, needs {pin}, kernels {'in' if with_cuda else 'out'}: {reason}",
    )


def attempt(row: Row, sources: Path, venv: Path) -> tuple[str, str]:
    """Installs as the row says and looks at the result."""
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KNAS_", "CUDA_", "PYTHON"))
        },
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(venv),
        "CUDA_VISIBLE_DEVICES": "",
        **row.environment,
    }
    installed = shell(row.command, sources, environment)
    if installed.returncode:
        return verdict(row, installed, None)
    return verdict(row, installed, shell(f"python -c {shlex.quote(FACTS)}", venv, environment))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="cpu", help="groups or parts of names, with commas between; or all")
    parser.add_argument("--cpu-torch", default="torch==2.13.0", help="pip arguments for a CPU build of torch")
    parser.add_argument(
        "--cuda-torch", default="torch==2.14.1", help="pip arguments for a CUDA build of torch"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter to make virtual environments of"
    )
    options = parser.parse_args()
    wanted = options.rows.split(",")
    chosen = [
        row
        for row in rows(options.cpu_torch, options.cuda_torch)
        if wanted == ["all"] or any(part == row.group or part in row.name for part in wanted)
    ]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="knas-install-") as folder:
        sources, group = Path(folder) / "knas", ""
        for row in chosen:
            venv = Path(folder) / "venv"
            if row.group != group:  # one at a time: a CUDA build of torch takes 6 GB
                shutil.rmtree(venv, ignore_errors=True)
                shutil.rmtree(sources, ignore_errors=True)
                subprocess.run([options.python, "-m", "venv", venv], check=True)
                copy_sources(sources)
                group = row.group
            start = time.monotonic()
            outcome, seen = attempt(row, sources, venv)
            failures += outcome != "passed"
            print(f"{outcome}  {row.name:<30} {time.monotonic() - start:4.0f} s  {seen}", flush=True)
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
