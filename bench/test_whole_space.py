"""How many networks of NAS-Bench-201 are ranked per second? 100 in one process, or all with `--whole-space FILE`.

All are ranked by up to eight processes, since one is bound by Python on a GPU.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.workload import ON_DEVICES

ranking = pytest.importorskip("knas.ranking")
N = 32
CHECKED = 3


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A data set of 64 random images of 32 x 32 in two classes: the digits have 8 x 8."""
    image = pytest.importorskip("PIL.Image")
    generator = numpy.random.default_rng(0)
    for k in range(64):
        path = tmp_path / "images" / ("train", "test")[k % 4 == 3] / str(k % 2) / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=numpy.uint8)).save(path)
    return tmp_path / "images"


@pytest.mark.thorough
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("device", ON_DEVICES)
def test_whole_space(
    benchmark: BenchmarkFixture,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    images: Path,
    device: str,
    precision: str,
) -> None:
    table = request.config.getoption("--whole-space")
    whole = table is not None and precision == "float32"
    workers = min(8, len(os.sched_getaffinity(0))) if whole else 1

    def rank(architectures: Any, device: str, run: str, workers: int) -> Any:
        options = {"dataset": images, "score_samples": N, "precision": precision, "workers": workers}
        return ranking.rank(architectures, device=device, run=tmp_path / run, **options)

    found = benchmark.pedantic(lambda: rank("all" if whole else 100, device, "timed", workers))
    assert found.failed == 0
    few = {row.canonical: row.scores["mgm"] for row in found.rows[:: len(found.rows) // CHECKED]}
    alone = rank(list(few), "cpu", "alone", 1)
    tolerance = 1e-2 if precision == "float32" else 0.5  # of what rounding does to deep networks
    for row in alone.rows:
        assert row.scores["mgm"] == pytest.approx(few[row.canonical], rel=tolerance)
    if whole:
        found.write(table)
    what = "all cells" if whole else "100 cells"
    benchmark.group = f"whole space: {what}, {precision}, {workers} processes, {device}"
    facts = {"device": device, "n": N, "networks": found.measured}
    benchmark.extra_info.update(question="whole space", way="knas", **facts)
