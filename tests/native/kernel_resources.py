"""What the compiled kernels take of a multiprocessor, and whether that is within their budgets.

`compile LOG COMMAND...` runs one nvcc command and keeps what it printed; `check BUDGETS LOG...` reads those logs,
prints a table, and fails when a kernel spills, uses more registers than its family may, or leaves a multiprocessor
emptier than its family must. Only the standard library, and `c++filt` to read kernel names.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

WARP = 32
REGISTERS = 65536  # 32-bit registers per multiprocessor, on every architecture below
REGISTER_UNIT = 256  # registers are given to a warp in such units


@dataclass(frozen=True)
class Limits:
    """A multiprocessor's limits: resident threads and blocks, shared memory, and what each block adds to its own."""

    threads: int
    blocks: int
    shared_bytes: int
    reserved_bytes: int


#: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
ARCHITECTURES = {
    "sm_75": Limits(1024, 16, 64 * 1024, 0),
    "sm_80": Limits(2048, 32, 164 * 1024, 1024),
    "sm_90": Limits(2048, 32, 228 * 1024, 1024),
    "sm_120": Limits(1536, 24, 100 * 1024, 1024),
}


@dataclass(frozen=True)
class Kernel:
    """What ptxas reports about one kernel on one architecture; sizes in bytes."""

    name: str
    architecture: str
    registers: int
    shared: int
    stack: int
    spills: int

    def occupancy(self, threads: int) -> float:
        """Resident warps in blocks of `threads` threads, as a fraction of what the multiprocessor can hold."""
        limits, warps = ARCHITECTURES[self.architecture], -(-threads // WARP)
        per_warp = -(-self.registers * WARP // REGISTER_UNIT) * REGISTER_UNIT
        blocks = min(
            REGISTERS // per_warp // warps,
            limits.threads // threads,
            limits.shared_bytes // max(self.shared + limits.reserved_bytes, 1),
            limits.blocks,
        )
        return blocks * warps * WARP / limits.threads


@dataclass(frozen=True)
class Family:
    """Kernels with one budget: those whose name matches `kernel`, a shell pattern, and no family's before it.

    Attributes:
        kernel: Pattern for names such as "moments_kernel<LinearRun<float>>".
        threads: The largest block, the launch bound in the source.
        registers: The most registers per thread.
        occupancy: The least occupancy with blocks of `threads`, on any architecture.
    """

    kernel: str
    threads: int
    registers: int
    occupancy: float

    def faults(self, kernel: Kernel) -> list[str]:
        """What about a kernel breaks the budget, in words."""
        occupancy = kernel.occupancy(self.threads)
        where = f"{kernel.name} on {kernel.architecture}:"
        return [
            *([f"{where} spills {kernel.spills} bytes"] if kernel.spills else []),
            *([f"{where} has a stack frame of {kernel.stack} bytes"] if kernel.stack else []),
            *(
                [f"{where} {kernel.registers} registers, at most {self.registers} allowed"]
                if kernel.registers > self.registers
                else []
            ),
            *(
                [f"{where} occupancy {occupancy:.0%}, at least {self.occupancy:.0%} wanted"]
                if occupancy < self.occupancy
                else []
            ),
        ]


_ENTRY = re.compile(
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


def parse(log: str) -> list[Kernel]:
    """The kernels in what `nvcc -Xptxas -v` printed; their names still mangled.

    Raises:
        ValueError: ptxas did not report one of them whole.
    """
    found = []
    for section in log.split("Compiling entry function ")[1:]:
        head = re.match(r"'([^']+)' for '([^']+)'", section)
        entry = _ENTRY.search(section)
        if not head or not entry:
            raise ValueError(f"what ptxas reports of a kernel is not understood: {section.strip()[:300]}")
        shared = re.search(r"(\d+) bytes smem", entry["rest"])
        found.append(
            Kernel(
                name=head[1],
                architecture=head[2],
                registers=int(entry["registers"]),
                shared=int(shared[1]) if shared else 0,
                stack=int(entry["stack"]),
                spills=int(entry["stores"]) + int(entry["loads"]),
            )
        )
    return found


def short_name(demangled: str) -> str:
    """ "moments_kernel<LinearRun<float>>" of a demangled "void knas::cuda::moments_kernel<...>(...)"."""
    name = re.sub(r"\bknas::(cuda::)?", "", demangled.removeprefix("void ")).replace("> >", ">>")
    depth = 0
    for at, character in enumerate(name):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "(" and depth == 0:
            return name[:at]
    return name


def read(logs: Iterable[Path]) -> list[Kernel]:
    """The kernels of all logs, by readable names."""
    kernels = [kernel for log in logs for kernel in parse(log.read_text())]
    mangled = "\n".join(kernel.name for kernel in kernels)
    names = subprocess.run(
        ["c++filt"], input=mangled, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [replace(kernel, name=short_name(name)) for name, kernel in zip(names, kernels, strict=True)]


def spread(numbers: Sequence[int]) -> str:
    """ "40" or "40-46"."""
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least}–{most}"


def table(families: Sequence[Family], members: dict[Family, list[Kernel]]) -> str:
    """One line per family: registers and the least occupancy on each architecture, shared memory, and the budget."""
    columns = ["kernels", *ARCHITECTURES, "shared bytes", "threads", "budget"]
    lines = [columns, ["---"] * len(columns)]
    for family in families:
        cells = []
        for architecture in ARCHITECTURES:
            here = [kernel for kernel in members[family] if kernel.architecture == architecture]
            occupancy = min((kernel.occupancy(family.threads) for kernel in here), default=0)
            cells.append(f"{spread([k.registers for k in here])}, {occupancy:.0%}" if here else "")
        shared = spread([kernel.shared for kernel in members[family]] or [0])
        budget = f"{family.registers}, {family.occupancy:.0%}"
        lines.append([f"`{family.kernel}`", *cells, shared, str(family.threads), budget])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def check(budgets: Path, logs: Sequence[Path]) -> int:
    """Prints the table and the faults; returns how many faults there are."""
    families = [Family(**family) for family in json.loads(budgets.read_text())]
    members: dict[Family, list[Kernel]] = {family: [] for family in families}
    faults = []
    for kernel in read(logs):
        family = next((f for f in families if fnmatchcase(kernel.name, f.kernel)), None)
        if family:
            members[family].append(kernel)
            faults += family.faults(kernel)
        else:
            faults.append(
                f"{kernel.name} on {kernel.architecture}: no family in {budgets.name} has a budget for it"
            )
    faults += [f"{family.kernel}: no such kernel" for family, kernels in members.items() if not kernels]
    print(
        "Registers per thread and theoretical occupancy, per architecture; the budget: at most, at least.\n"
    )
    print(table(families, members))
    for fault in faults:
        print("OVER BUDGET", fault)
    return len(faults)


def compile_and_keep(log: Path, command: Sequence[str]) -> int:
    """Runs a compiler, keeps what it prints in `log` and prints it too; returns its exit status."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    log.write_text(done.stdout)
    print(done.stdout, end="")
    return done.returncode


if __name__ == "__main__":
    task, path, *rest = sys.argv[1:]
    if task == "compile":
        sys.exit(compile_and_keep(Path(path), rest))
    sys.exit(min(check(Path(path), [Path(log) for log in rest]), 1))
