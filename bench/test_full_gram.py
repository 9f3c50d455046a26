"""What does the full Gram matrix of a network cost beside a training step, pure PyTorch and other libraries?

    pytest bench/test_full_gram.py

The ways but knas are given the BatchNorm statistics; knas takes them in its one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

import knas
from bench.exact import relative
from bench.measure import Measure
from bench.pure_pytorch import gram
from bench.ways import FLOOR_ERRORS, FLOORS, PER_SAMPLE, Error, Way, time_way
from bench.workload import Case, Workload, cases


def error(got: Tensor, load: Workload) -> float:
    vectors = load.exact.vectors
    return relative(got.to(vectors) @ vectors, load.exact.gram_times_vectors)


def error_of_mean(got: float, load: Workload) -> float:
    return relative(got, load.exact.gram_mean)


def per_sample(way: str) -> Way:
    def prepare(load: Workload) -> Callable[[], Tensor]:
        rows = PER_SAMPLE[way](load.fixed)
        return lambda: gram(rows(load.inputs, lambda _, vectors: vectors))

    return prepare


def by_knas(load: Workload) -> Callable[[], Tensor]:
    return lambda: knas.gram(load.model, load.inputs).matrix


def mean_by_knas(load: Workload) -> Callable[[], float]:
    return lambda: knas.score(load.model, load.inputs, estimator="full").value


WAYS: dict[str, Way] = {
    **FLOORS,
    "knas": by_knas,
    "knas, mean only (Eq. 15)": mean_by_knas,
    **{way: per_sample(way) for way in PER_SAMPLE},
}
ERRORS: dict[str, Error] = {
    **dict.fromkeys(WAYS, error),
    **FLOOR_ERRORS,
    "knas, mean only (Eq. 15)": error_of_mean,
}


@pytest.mark.parametrize(("case", "way"), cases(WAYS, slow=PER_SAMPLE))
def test_full_gram(measure: Measure, case: Case, way: str) -> None:
    time_way(measure, "full Gram", case, way, WAYS, ERRORS)
