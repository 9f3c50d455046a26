"""Every row of the decision with or without CUDA kernels, from facts alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "build_support"))
import cuda_plan

TOOLKIT = Path("/opt/cuda")
CPU, CUDA = ("2.13.0+cpu", None), ("2.14.1+cu130", "13.0")


def make_toolkit(root: Path, release: str = "release 13.0, V13.0.48", status: int = 0) -> Path:
    """A folder that looks like a CUDA toolkit; its nvcc prints `release`."""
    (root / "bin").mkdir(parents=True)
    (root / "include").mkdir()
    (root / "include/cuda_runtime.h").touch()
    (root / "bin/nvcc").write_text(f"#!/bin/sh\necho 'Cuda compilation tools, {release}'\nexit {status}\n")
    (root / "bin/nvcc").chmod(0o755)
    return root


@pytest.mark.parametrize(
    ("torch", "toolkit", "nvcc", "wish", "builds", "says"),
    [
        (CPU, TOOLKIT, (13, 0), "auto", False, "build without CUDA; install a CUDA build of torch"),
        (CPU, None, None, "auto", False, "build without CUDA"),
        (CUDA, None, None, "auto", False, "no CUDA toolkit was found; install CUDA 13.0 with nvcc"),
        (CUDA, TOOLKIT, None, "auto", False, "/opt/cuda/bin/nvcc does not run"),
        (CUDA, TOOLKIT, (12, 4), "auto", False, "is CUDA 12.4; point CUDA_HOME at a CUDA 13 toolkit"),
        (CUDA, TOOLKIT, (13, 2), "auto", True, "built with CUDA 13.2 for torch 2.14.1"),
        (CUDA, TOOLKIT, (13, 0), "1", True, "built with CUDA 13.0"),
        (CUDA, TOOLKIT, (13, 0), "0", False, "switched off by KNAS_CUDA=0"),
        (CPU, None, None, "0", False, "switched off by KNAS_CUDA=0"),
    ],
)
def test_plan(torch, toolkit, nvcc, wish, builds, says):
    plan = cuda_plan.plan(*torch, toolkit, nvcc, wish)
    assert plan.with_cuda is builds
    assert says in plan.reason
    assert plan.toolkit == (TOOLKIT if builds else None)
    assert plan.version == (nvcc if builds else None)
    assert '"' not in plan.reason  # it becomes a C string on a compiler's command line
    assert "\\" not in plan.reason


@pytest.mark.parametrize(
    ("torch", "toolkit", "nvcc", "says"),
    [
        (CPU, TOOLKIT, (13, 0), "build without CUDA"),
        (CUDA, None, None, "no CUDA toolkit"),
        (CUDA, TOOLKIT, None, "does not run"),
        (CUDA, TOOLKIT, (12, 4), "is CUDA 12.4"),
    ],
)
def test_a_demand_that_cannot_be_met_fails_and_says_why(torch, toolkit, nvcc, says):
    with pytest.raises(SystemExit, match=f"KNAS_CUDA=1, but the CUDA kernels cannot be built: .*{says}"):
        cuda_plan.plan(*torch, toolkit, nvcc, "1")


@pytest.mark.parametrize(
    ("value", "wish"),
    [(None, "auto"), ("", "auto"), ("auto", "auto"), ("AUTO", "auto"), ("0", "0"), (" 1 ", "1")],
)
def test_wish(value, wish):
    assert cuda_plan.wish({} if value is None else {"KNAS_CUDA": value}) == wish


@pytest.mark.parametrize("value", ["yes", "2", "on", "-1"])
def test_a_bad_wish_is_one_clear_line(value):
    with pytest.raises(SystemExit) as stop:
        cuda_plan.wish({"KNAS_CUDA": value})
    text = str(stop.value)
    assert f"KNAS_CUDA={value!r}" in text
    assert "0 (no CUDA kernels)" in text
    assert "\n" not in text


def test_a_named_toolkit_decides_alone(tmp_path):
    there, other = make_toolkit(tmp_path / "there"), make_toolkit(tmp_path / "other")
    path = str(there / "bin")
    assert cuda_plan.find_toolkit({"CUDA_HOME": str(other), "PATH": path}) == other
    assert cuda_plan.find_toolkit({"CUDA_PATH": str(other), "PATH": path}) == other
    assert cuda_plan.find_toolkit({"CUDA_HOME": str(tmp_path / "nowhere"), "PATH": path}, there) is None


def test_the_toolkit_of_the_nvcc_on_path_comes_before_the_usual_place(tmp_path):
    there, usual = make_toolkit(tmp_path / "there"), make_toolkit(tmp_path / "usual")
    assert cuda_plan.find_toolkit({"PATH": str(there / "bin")}, usual) == there
    assert cuda_plan.find_toolkit({"PATH": str(tmp_path)}, usual) == usual
    assert cuda_plan.find_toolkit({"PATH": str(tmp_path)}, tmp_path / "nowhere") is None


def test_a_wrapper_on_path_does_not_hide_the_usual_place(tmp_path):
    usual, wrapper = make_toolkit(tmp_path / "usual"), tmp_path / "bin" / "nvcc"
    wrapper.parent.mkdir()
    wrapper.write_text("#!/bin/sh\n")
    wrapper.chmod(0o755)
    assert cuda_plan.find_toolkit({"PATH": str(wrapper.parent)}, usual) == usual


def test_a_symbolic_link_on_path_leads_to_its_toolkit(tmp_path):
    there, link = make_toolkit(tmp_path / "there"), tmp_path / "bin" / "nvcc"
    link.parent.mkdir()
    os.symlink(there / "bin/nvcc", link)
    assert cuda_plan.find_toolkit({"PATH": str(link.parent)}, tmp_path / "nowhere") == there


def test_nvcc_version(tmp_path):
    assert cuda_plan.nvcc_version(make_toolkit(tmp_path / "a")) == (13, 0)
    assert cuda_plan.nvcc_version(make_toolkit(tmp_path / "b", release="release 12.8, V12.8.9")) == (12, 8)
    assert cuda_plan.nvcc_version(make_toolkit(tmp_path / "c", status=1)) is None
    assert cuda_plan.nvcc_version(make_toolkit(tmp_path / "d", release="something else")) is None
    assert cuda_plan.nvcc_version(tmp_path / "nowhere") is None


def test_architectures_are_those_that_nvcc_knows():
    assert cuda_plan.architectures((13, 0)).endswith("12.0+PTX")
    assert cuda_plan.architectures((12, 8)).endswith("12.0+PTX")
    assert "12.0" not in cuda_plan.architectures((12, 4))
