"""Compiles knas._C against the installed torch; what does not depend on torch is in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "build_support"))
try:
    import torch
except ImportError as error:
    raise SystemExit(
        "knas compiles against torch: install torch>=2.11 first, or leave out --no-build-isolation"
    ) from error
import cuda_plan  # noqa: E402
from setuptools import setup  # noqa: E402
from setuptools.command.build_py import build_py  # noqa: E402

MINOR = ".".join(torch.__version__.split(".")[:2])
if tuple(map(int, MINOR.split("."))) < (2, 11):
    raise SystemExit(f"knas needs torch>=2.11, and this is torch {torch.__version__}: upgrade torch first")

REQUIRES = [
    # torch promises no C++ ABI across minor releases: the extension needs the one that it was built for.
    f"torch=={MINOR}.*",
    "numpy",
    "scipy",
    "scikit-learn",
    "datasets>=3",
    "pillow",  # decodes the images of `datasets`
    "safetensors",
    "nas-bench-201",  # one small module in Python: what the official file's numbers mean
    "pydantic>=2",
    "pyyaml",
    "psutil",
    "typer>=0.12",
    "rich",
]

plan = cuda_plan.plan_for_this_machine(torch.__version__, torch.version.cuda)
verdict = "will be built" if plan.with_cuda else "SKIPPED"
print(f"knas: CUDA kernels {verdict}: {plan.reason}", file=sys.stderr)
if plan.toolkit and plan.version:
    os.environ["CUDA_HOME"] = str(plan.toolkit)  # read by cpp_extension when it is imported
    if torch.cuda.device_count() == 0:  # else it picks the visible GPUs' own architectures
        os.environ.setdefault("TORCH_CUDA_ARCH_LIST", cuda_plan.architectures(plan.version))
# ninja alone would start two compilers more than there are cores, and count cores that we may not use.
os.environ.setdefault("MAX_JOBS", str(len(os.sched_getaffinity(0))))

from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension  # noqa: E402


class FreshBuildPy(build_py):
    """Starts from an empty folder: setuptools would ship modules that are gone from the source tree."""

    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "knas", ignore_errors=True)
        super().run()


def extension() -> CppExtension | CUDAExtension:
    """knas._C: the bindings and the C++ core, with the CUDA half where the plan says so."""
    folders = [("csrc/core", "*.cpp"), *([("csrc/cuda", "*.cu")] if plan.with_cuda else [])]
    top = [path for path in Path("csrc").glob("*.cpp") if plan.with_cuda or not path.stem.startswith("cuda")]
    sources = [*top, *(path for folder, pattern in folders for path in Path(folder).glob(pattern))]
    macros = [("KNAS_CUDA_REASON", f'"{plan.reason}"')]
    if plan.version:
        macros += [("KNAS_WITH_CUDA", None), ("KNAS_CUDA_VERSION", '"{}.{}"'.format(*plan.version))]
    return (CUDAExtension if plan.with_cuda else CppExtension)(
        "knas._C",
        sorted(map(str, sources)),
        include_dirs=[str(ROOT.resolve() / "csrc")],
        define_macros=macros,
        # No -std (torch chooses), -march=native or -ffast-math: the same numbers on every machine.
        extra_compile_args={"cxx": ["-O3", "-g0", "-fopenmp"], "nvcc": ["-O3", "-lineinfo"]},
        extra_link_args=["-fopenmp"],
    )


setup(
    install_requires=REQUIRES,
    ext_modules=[extension()],
    cmdclass={"build_ext": BuildExtension, "build_py": FreshBuildPy},
)
