"""The report on a small made-up run: right ratios, nothing that was not measured, no names of machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import report, results, tables

MACHINE = {
    "cpu": "Some CPU, AVX2",
    "cores": 2,
    "threads": 2,
    "gpu": None,
    "clocks": {},
    "system": "Linux",
    "python": "3.12.1",
    "torch": "2.11.0",
    "cuda": None,
    "knas": "0.1.0",
}


def benchmark(
    question: str, way: str, seconds: float, group: str = "medium cell, n = 64, cpu", **facts: Any
) -> Any:
    facts = {
        "network": "medium cell",
        "n": 64,
        "device": "cpu",
        "parameters": 830_000,
        "layers": 135,
        **facts,
    }
    return {
        "group": f"{question}: {group}",
        "fullname": f"bench/test.py::test[{way}]",
        "extra_info": {"question": question, "way": way, "error": 1e-7, **facts},
        "stats": {"min": seconds, "median": 2 * seconds, "rounds": 3, "data": [seconds] * 3},
    }


def run(*benchmarks: Any, date: str = "2026-11-24", **machine: Any) -> Any:
    return {
        "datetime": f"{date}T08:00:00.0+00:00",
        "machine_info": {**MACHINE, **machine},
        "commit_info": {"id": "abc", "branch": "secret-branch"},
        "benchmarks": list(benchmarks),
    }


SIDE_BY_SIDE = (
    benchmark("sampled MGM", "frozen pass, evaluation mode", 0.2),
    benchmark("sampled MGM", "training step", 0.3),
    benchmark("sampled MGM", "knas", 0.25),
    benchmark("sampled MGM", "backward passes", 1.0),
)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes the page of some runs; gives its text."""

    def page(*runs: Any) -> str:
        files = [tmp_path / f"run{k}.json" for k in range(len(runs))]
        for file, content in zip(files, runs, strict=True):
            file.write_text(json.dumps(content))
        target = tmp_path / "page.md"
        arguments = [*map(str, files), "--results", str(tmp_path / "results"), "--page", str(target)]
        assert report.main(arguments) == 0
        return target.read_text()

    return page


def line_with(text: str, *parts: str) -> list[str]:
    """The cells of the one table row that holds all parts."""
    (line,) = [
        line for line in text.splitlines() if line.startswith("|") and all(part in line for part in parts)
    ]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios(write: Any) -> None:
    page = write(run(*SIDE_BY_SIDE))
    header = line_with(page, "| network | n |")
    row = dict(zip(header, line_with(page, "| medium cell | 64 |"), strict=True))
    assert row["knas, ms"] == "250"
    assert row["of frozen pass, evaluation mode"] == "1.25"
    assert row["of training step"] == "0.83"
    assert row["backward passes"] == "4.00"  # times knas
    assert line_with(page, "5 x faster")[1:] == ["4.00", "the frozen pass alone is 5.00 times faster"]
    for part in ("Some CPU, AVX2, 2 cores", "2026-11-24", "torch 2.11.0", "Python 3.12.1"):
        assert part in page


def test_what_was_not_measured_is_left_out(write: Any) -> None:
    page = write(run(*SIDE_BY_SIDE))
    assert "torch.func |" not in page
    for absent in (
        "### Full Gram",
        "### Peak memory",
        "### All of NAS-Bench-201",
        "full Gram <= 1.6",
        "None",
        "nan",
    ):
        assert absent not in page
    assert "frozen pass, training mode |" not in page
    only_floors = write(run(*SIDE_BY_SIDE[:2], date="2026-11-25"))
    assert "### Sampled MGM" not in only_floors
    assert "### Targets" not in only_floors


def test_no_results_at_all(tmp_path: Path) -> None:
    assert "### " not in report.render(tmp_path)
    assert "What a score costs" in report.render(tmp_path)


def test_share_of_the_measured_ceilings(write: Any) -> None:
    page = write(
        run(
            benchmark("ceilings", "copy", 0.1, "copy of 1 GB", bytes=2 * 10**9),  # 20 GB/s
            benchmark("ceilings", "sgemm", 0.1, "matrix product", flops=10**10),  # 100 GFLOP/s
            benchmark("Gram operator", "knas", 0.004, "64 x 1,000, cpu", bytes=4 * 10**7, flops=10**8),
            benchmark("Gram operator", "G @ G.T", 0.006, "64 x 1,000, cpu", bytes=4 * 10**7, flops=10**8),
        )
    )
    assert line_with(page, "copy of 1 GB")[1] == "20 GB/s"
    assert line_with(page, "64 x 1,000") == ["64 x 1,000", "4,000", "10.0", "25.0", "50 %", "1.50"]


def test_growth_memory_and_whole_space(write: Any) -> None:
    growth = [
        benchmark("growth with width", way, factor * x / 100, f"width {x}", x=x)
        for x in (16, 8)
        for way, factor in (("frozen pass, evaluation mode", 1.0), ("sampled MGM", 1.5))
    ]
    memory = [
        benchmark("peak memory", way, 1.0, peak_bytes=peak << 20)
        for way, peak in (("frozen pass, evaluation mode", 200), ("sampled MGM", 220))
    ]
    ranking = benchmark("whole space", "knas", 323.3, "all, cpu", n=32, networks=6466)
    page = write(run(*growth, *memory, ranking))
    assert line_with(page, "| 8 |") == ["8", "0.83 M", "135", "80", "120"]
    assert page.index("| 8 |") < page.index("| 16 |")
    assert line_with(page, "sampled MGM", "220") == ["sampled MGM", "220", "1.10"]
    assert line_with(page, "6,466")[3:] == ["323", "20.0"]


def test_kept_files(write: Any, tmp_path: Path) -> None:
    again = [benchmark("sampled MGM", "knas", 0.5)]
    write(run(*SIDE_BY_SIDE, benchmark("peak memory", "knas", 1.0, peak_bytes=1)), run(*again))
    (path,) = (tmp_path / "results").iterdir()
    assert path.name == "some-cpu-avx2-2-cores-2026-11-24.json"
    assert "secret-branch" not in path.read_text()
    assert "fullname" not in path.read_text()
    kept = results.read(path)
    found = {(m["question"], m["way"]): m["min"] for m in kept.measurements}
    assert found == {
        ("peak memory", "knas"): 1.0,
        ("sampled MGM", "knas"): 0.5,
    }  # the group was replaced whole


def test_calls_within_a_round(tmp_path: Path) -> None:
    (kept,) = results.compact(run(benchmark("layer operators", "knas", 0.8, calls=8))).measurements
    assert (kept["min"], kept["median"]) == pytest.approx((0.1, 0.2))
    assert "calls" not in kept


def test_devices_apart_and_the_newest_of_each(write: Any) -> None:
    gpu = {"gpu": "NVIDIA H100", "cuda": "13.0"}
    page = write(
        run(*SIDE_BY_SIDE, date="2026-11-20"),
        run(*SIDE_BY_SIDE, date="2026-11-24"),
        run(benchmark("sampled MGM", "knas", 0.01, "medium cell, n = 64, cuda", device="cuda"), **gpu),
    )
    assert "2026-11-20" not in page
    assert page.index("## Some CPU") < page.index("## NVIDIA H100")
    assert "CUDA 13.0" in page


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "not a file of"),
        (run({"fullname": "bench/a.py::b", "extra_info": {}, "group": "g"}), "bench/a.py::b: no question"),
    ],
)
def test_files_that_are_no_results(
    content: Any, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(content))
    page = tmp_path / "page.md"
    assert (
        report.main([str(tmp_path / "run.json"), "--results", str(tmp_path / "r"), "--page", str(page)]) == 1
    )
    assert reason in capsys.readouterr().err
    assert not page.exists()


def test_the_page_is_that_of_the_kept_results() -> None:
    """docs/performance.md was written from bench/results/, and edited nowhere else."""
    folder = Path(report.__file__).parent
    assert (folder.parent / "docs" / "performance.md").read_text() == report.render(folder / "results")
    for result in results.newest(folder / "results"):
        assert tables.View(result, result.measurements[0]["device"]).title
