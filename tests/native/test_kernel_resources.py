"""What `kernel_resources` reads out of ptxas's report, and what it makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from native import kernel_resources
from native.kernel_resources import Family, Kernel

KERNELS = Path(__file__).parents[2] / "csrc" / "cuda"
BUDGETS = Path(__file__).with_name("kernel_budgets.json")
LINEAR = "_ZN4knas4cuda14moments_kernelINS0_9LinearRunIfEEEEvNT_4TaskENS0_5SplitEPd"
LOG = f"""\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '{LINEAR}' for 'sm_90'
ptxas info    : Function properties for {LINEAR}
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 56 registers, used 1 barriers, 2048 bytes smem
ptxas info    : Compile time = 35.375 ms
ptxas info    : Compiling entry function '_ZN4knas4cuda19gram_combine_kernelEPKdllPd' for 'sm_75'
ptxas info    : Function properties for _ZN4knas4cuda19gram_combine_kernelEPKdllPd
    24 bytes stack frame, 16 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 34 registers, used 0 barriers, 24 bytes cumulative stack size, 384 bytes cmem[0]
ptxas info    : Compile time = 1.862 ms
"""


def test_parse() -> None:
    first, second = kernel_resources.parse(LOG)
    assert (first.architecture, first.registers, first.shared, first.stack, first.spills) == (
        "sm_90",
        56,
        2048,
        0,
        0,
    )
    assert (second.architecture, second.registers, second.shared) == ("sm_75", 34, 0)
    assert (second.stack, second.spills) == (24, 24)


def test_a_report_that_is_not_whole_is_no_report() -> None:
    with pytest.raises(ValueError, match="not understood"):
        kernel_resources.parse(LOG.replace("Used 56 registers", ""))


@pytest.mark.parametrize(
    ("demangled", "short"),
    [
        (
            "void knas::cuda::moments_kernel<knas::cuda::ConvRun<knas::float16, 3, unsigned int> >"
            "(knas::cuda::ConvRun<knas::float16, 3, unsigned int>::Task, knas::cuda::Split, double*)",
            "moments_kernel<ConvRun<float16, 3, unsigned int>>",
        ),
        ("knas::cuda::gram_combine_kernel(double const*, long, long, double*)", "gram_combine_kernel"),
        (
            "void knas::cuda::gram_partial_kernel<float, 64>(float const*, long)",
            "gram_partial_kernel<float, 64>",
        ),
    ],
)
def test_short_name(demangled: str, short: str) -> None:
    assert kernel_resources.short_name(demangled) == short


@pytest.mark.parametrize(
    ("architecture", "registers", "shared", "threads", "occupancy"),
    [
        ("sm_90", 32, 0, 256, 1.0),
        ("sm_90", 33, 0, 256, 0.75),  # 40 registers are given: 6 blocks of 8 warps, of 64
        ("sm_90", 64, 0, 256, 0.5),
        ("sm_75", 64, 0, 256, 1.0),  # 32 warps are all it holds
        ("sm_120", 64, 0, 256, 32 / 48),
        ("sm_90", 255, 0, 256, 0.125),
        ("sm_90", 32, 0, 32, 0.5),  # 32 blocks at most
        ("sm_80", 32, 40 * 1024, 256, 0.5),  # 4 blocks of 41 KiB, of 164
        ("sm_75", 32, 17408, 256, 0.75),  # 3 blocks of 17 KiB, of 64
    ],
)
def test_occupancy(architecture: str, registers: int, shared: int, threads: int, occupancy: float) -> None:
    kernel = Kernel("k", architecture, registers, shared, stack=0, spills=0)
    assert kernel.occupancy(threads) == pytest.approx(occupancy)


def test_faults() -> None:
    family = Family("k", threads=256, registers=64, occupancy=0.5)
    assert not family.faults(Kernel("k", "sm_90", 64, 0, 0, 0))
    (spill,) = family.faults(Kernel("k", "sm_90", 64, 0, 0, 8))
    assert "spills 8 bytes" in spill
    (stack,) = family.faults(Kernel("k", "sm_90", 64, 0, 8, 0))
    assert "stack frame of 8 bytes" in stack
    registers, occupancy = family.faults(Kernel("k", "sm_90", 65, 0, 0, 0))
    assert "65 registers, at most 64 allowed" in registers
    assert "occupancy 38%, at least 50% wanted" in occupancy


def family(name: str, registers: int = 64) -> dict[str, object]:
    return {"kernel": name, "threads": 256, "registers": registers, "occupancy": 0.5}


@pytest.mark.parametrize(
    ("families", "faults"),
    [
        ([family("moments_kernel<*>"), family("gram_combine_kernel")], 2),  # the second's spills and stack
        ([family("moments_kernel<*>", 40), family("gram_combine_kernel")], 3),
        ([family("moments_kernel<*>")], 1),  # a kernel without a budget
        ([family("*"), family("gone_kernel")], 3),  # a budget without a kernel
    ],
)
def test_check(
    families: list[dict[str, object]], faults: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, budgets = tmp_path / "log", tmp_path / "budgets"
    log.write_text(LOG)
    budgets.write_text(json.dumps(families))
    assert kernel_resources.check(budgets, [log]) == faults
    printed = capsys.readouterr().out
    assert printed.count("OVER BUDGET") == faults
    assert "| 56, 50% |" in printed


def test_the_budgets_have_the_launch_bounds_of_the_source() -> None:
    source = "\n".join(path.read_text() for path in KERNELS.glob("*.cuh"))
    bounds = {name: bound for bound, name in re.findall(r"__launch_bounds__\((\w+)[^\n]*\)\n(\w+)\(", source)}
    assert "kMaxThreads = 256;" in source
    for budget in json.loads(BUDGETS.read_text()):
        tile = 64 if ", 32>" in budget["kernel"] else 256  # (32 / 4)^2 and (64 / 4)^2 threads
        bound = bounds[budget["kernel"].split("<")[0]]
        assert budget["threads"] == {"kMaxThreads": 256, "kTile": tile}[bound]
