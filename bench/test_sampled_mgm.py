"""What does the sampled MGM (Eq. 16) of a network cost beside its floors, pure PyTorch and other libraries?

    pytest bench/test_sampled_mgm.py

The ways but knas are given the BatchNorm statistics; knas takes them in its one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

import knas
from bench.exact import relative
from bench.measure import Measure
from bench.pure_pytorch import sampled_mgm
from bench.ways import FLOOR_ERRORS, FLOORS, PER_SAMPLE, Error, Way, time_way
from bench.workload import SEED, Case, Workload, cases


def error(got: float, load: Workload) -> float:
    return relative(got, load.exact.sampled_mgm(load.entries))


def per_sample(way: str) -> Way:
    def prepare(load: Workload) -> Callable[[], float]:
        rows = PER_SAMPLE[way](load.fixed)

        def keep(layer: str, vectors: Tensor) -> Tensor:
            return vectors[:, load.entries[layer]]

        return lambda: sampled_mgm(rows(load.inputs, keep))

    return prepare


def by_knas(load: Workload) -> Callable[[], float]:
    return lambda: knas.score(load.model, load.inputs, seed=SEED).value


WAYS: dict[str, Way] = {**FLOORS, "knas": by_knas, **{way: per_sample(way) for way in PER_SAMPLE}}
ERRORS: dict[str, Error] = {**dict.fromkeys(WAYS, error), **FLOOR_ERRORS}


@pytest.mark.parametrize(("case", "way"), cases(WAYS, slow=PER_SAMPLE))
def test_sampled_mgm(measure: Measure, case: Case, way: str) -> None:
    time_way(measure, "sampled MGM", case, way, WAYS, ERRORS)
