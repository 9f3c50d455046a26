"""What `knas-search --version` and `doctor` print: how knas was built, what it runs on, what to change."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from knas.native import BuildInfo

LIBRARIES = (
    *("numpy", "scipy", "scikit-learn", "datasets", "pillow"),
    *("safetensors", "pydantic", "pyyaml", "psutil", "typer", "rich"),
)
OPTIONAL_LIBRARIES = ("optuna", "matplotlib", "ray", "transformers", "codecarbon", "plotly")


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        topic: What was looked at.
        finding: What was found.
        remedy: What to do about it; empty where nothing needs doing.
    """

    topic: str
    finding: str
    remedy: str = ""


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, without importing it; None when it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def split_reason(reason: str) -> tuple[str, str]:
    """A build's reason as cause and remedy: they are separated by the first semicolon."""
    cause, _, remedy = reason.partition(";")
    return cause.strip(), remedy.strip()


def describe_build(info: BuildInfo) -> Finding:
    """Says which torch and CUDA knas was compiled for, and why its CUDA kernels are missing if they are."""
    built_for = f"compiled for torch {info.torch_version}"
    if info.with_cuda:
        return Finding("build", f"{built_for} with CUDA {info.cuda_version} kernels")
    cause, remedy = split_reason(info.cuda_reason)
    return Finding("build", f"{built_for} without CUDA kernels: {cause}", remedy)


def build() -> Finding:
    """How the extension was compiled; an extension that does not load is a finding, too."""
    from knas.native import build_info

    return describe_build(build_info())


def running_torch() -> Finding:
    """The torch that is imported now."""
    import torch

    cuda = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return Finding("torch", f"{torch.__version__} {cuda}, Python {platform.python_version()}")


def gpus() -> Finding:
    """The GPUs that torch can use, and what keeps knas from using them."""
    import torch

    from knas.native import build_info

    if torch.version.cuda is None:
        card = " although this machine has one" if shutil.which("nvidia-smi") else ""
        remedy = "install a CUDA build of torch, then reinstall knas" if card else ""
        return Finding("GPU", f"none for torch{card}: torch is a build without CUDA", remedy)
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    if not names:
        driver = shutil.which("nvidia-smi") is not None
        return Finding("GPU", "torch sees none", "check nvidia-smi, CUDA_VISIBLE_DEVICES" if driver else "")
    if build_info().with_cuda:
        return Finding("GPU", names)
    return Finding("GPU", f"{names}, unused: knas has no CUDA kernels", "see build, then reinstall knas")


def threads() -> Finding:
    """Threads and vector instructions on the CPU."""
    import torch

    usable, limit = len(os.sched_getaffinity(0)), os.environ.get("OMP_NUM_THREADS")
    openmp = "OpenMP" if torch.backends.openmp.is_available() else "no OpenMP"
    vectors = torch.backends.cpu.get_cpu_capability()
    finding = f"{torch.get_num_threads()} threads on {usable} usable cores, {openmp}, vectors {vectors}"
    remedy = ""
    if torch.get_num_threads() > usable:
        remedy = f"set OMP_NUM_THREADS={usable}: more threads than cores slow each other down"
    return Finding("CPU", finding + (f", OMP_NUM_THREADS={limit}" if limit else ""), remedy)


def listing(versions: dict[str, str | None]) -> str:
    """Names with their versions, or the fact that they are missing."""
    return ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())


def libraries() -> Finding:
    """The libraries that the main job uses."""
    versions = {name: installed_version(name) for name in LIBRARIES}
    missing = [name for name, version in versions.items() if version is None]
    remedy = f"pip install {' '.join(missing)}" if missing else ""
    return Finding("libraries", listing(versions), remedy)


def optional_libraries() -> Finding:
    """The libraries that only some subcommands use; none of them needs to be there."""
    versions = {name: installed_version(name) for name in OPTIONAL_LIBRARIES}
    return Finding("optional", listing(versions))


def examine(topic: str, examination: Callable[[], Finding]) -> Finding:
    """Runs one examination; what goes wrong in it becomes its finding, so that the others still report."""
    try:
        return examination()
    except Exception as error:  # a broken installation is what this command is for
        text = str(error) if isinstance(error, ImportError) else repr(error)
        return Finding(topic, text)


def report() -> list[Finding]:
    """Everything there is to know about this installation.

    Returns:
        One (topic, finding, remedy) for each thing looked at; the remedy is empty where nothing needs doing.
    """
    own = Finding("knas", f"{installed_version('knas') or 'not installed'} in {os.path.dirname(__file__)}")
    examinations: list[tuple[str, Callable[[], Finding]]] = [
        ("build", build),
        ("torch", running_torch),
        ("GPU", gpus),
        ("CPU", threads),
        ("libraries", libraries),
        ("optional", optional_libraries),
    ]
    return [own, *(examine(topic, examination) for topic, examination in examinations)]


def doctor_text() -> str:
    """The report as aligned lines, each remedy under its finding."""
    findings = report()
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for topic, finding, remedy in findings:
        lines.append(f"{topic:<{width}}  {finding}")
        if remedy:
            lines.append(f"{'':<{width}}  -> {remedy}")
    return "\n".join(lines)


def version_text() -> str:
    """knas's version, what it was compiled for, whether its CUDA kernels are in, and what to do if not."""
    finding = examine("build", build)
    lines = [f"knas {installed_version('knas') or '(not installed)'}", finding.finding]
    if finding.remedy:
        lines.append(f"to get them: {finding.remedy}")
    running = examine("torch", running_torch)
    return "\n".join([*lines, f"running torch {running.finding} ({sys.executable})"])
