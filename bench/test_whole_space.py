"""How many networks of NAS-Bench-201 are ranked per second? 200 of them, or all with `--whole-space FILE`.

On a CPU by a process per core; on a GPU by one, and all of them by eight, since one is bound by Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ranking = pytest.importorskip("knas.ranking")
settings = pytest.importorskip("knas.ranking.settings")
N = 32
CHECKED = 3
SOME = 200


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
@pytest.mark.parametrize(
    ("device", "precision"),
    [
        ("cpu", "float32"),
        *(pytest.param("cuda", name, marks=pytest.mark.cuda) for name in settings.PRECISIONS),
    ],
)
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
    workers = len(os.sched_getaffinity(0)) if device == "cpu" else 8 if whole else 1

    def rank(architectures: Any, device: str, run: str, workers: int) -> Any:
        options = {"dataset": images, "score_samples": N, "precision": precision, "workers": workers}
        return ranking.rank(architectures, proxy="mgm", device=device, run=tmp_path / run, **options)

    what = "all cells" if whole else f"{SOME} cells"
    benchmark.group = f"whole space: {what}, {precision}, {workers} processes, {device}"
    found = benchmark.pedantic(lambda: rank("all" if whole else SOME, device, "timed", workers))
    assert found.failed == 0
    assert_scores_are_those_of_a_cpu(found, lambda few: rank(few, "cpu", "alone", 1), precision)
    if whole:
        found.write(table)
    facts = {"device": device, "n": N, "networks": found.measured}
    benchmark.extra_info.update(question="whole space", way="knas", **facts)


def assert_scores_are_those_of_a_cpu(found: Any, again: Callable[[list[str]], Any], precision: str) -> None:
    """A few, within what rounding does to deep networks."""
    few = {row.canonical: row.scores["mgm"] for row in found.rows[:: len(found.rows) // CHECKED]}
    tolerance = 1e-2 if precision == "float32" else 0.5
    for row in again(list(few)).rows:
        assert row.scores["mgm"] == pytest.approx(few[row.canonical], rel=tolerance)
