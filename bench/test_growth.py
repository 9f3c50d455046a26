"""How does the cost of a score grow with n, with the channels and with the number of layers of a network?"""

from __future__ import annotations

import pytest

from bench import test_full_gram, test_sampled_mgm
from bench.measure import Measure
from bench.networks import DEPTHS, WIDTHS, deep_name, wide_name
from bench.ways import Error, Way, time_way
from bench.workload import Case, marks

N = 32
WAYS: dict[str, Way] = {
    "frozen pass, evaluation mode": test_sampled_mgm.WAYS["frozen pass, evaluation mode"],
    "training step": test_sampled_mgm.WAYS["training step"],
    "sampled MGM": test_sampled_mgm.WAYS["knas"],
    "full Gram": test_full_gram.WAYS["knas"],
}
ERRORS: dict[str, Error] = {
    "frozen pass, evaluation mode": test_sampled_mgm.ERRORS["frozen pass, evaluation mode"],
    "training step": test_sampled_mgm.ERRORS["training step"],
    "sampled MGM": test_sampled_mgm.ERRORS["knas"],
    "full Gram": test_full_gram.ERRORS["knas"],
}
AXES: dict[str, dict[int, tuple[str, int]]] = {
    "n": {n: ("medium cell", n) for n in (8, 32, 128)},
    "width": {width: (wide_name(width), N) for width in WIDTHS},
    "cells per stage": {depth: (deep_name(depth), N) for depth in DEPTHS},
}
CASES = [
    pytest.param(
        axis, x, Case(*place, device), way, marks=marks(Case(*place, device)), id=f"{axis} {x} {device} {way}"
    )
    for device in ("cpu", "cuda")
    for axis, places in AXES.items()
    for x, place in places.items()
    for way in WAYS
]


@pytest.mark.parametrize(("axis", "x", "case", "way"), CASES)
def test_growth(measure: Measure, axis: str, x: int, case: Case, way: str) -> None:
    time_way(measure, f"growth with {axis}", case, way, WAYS, ERRORS, x=x)
