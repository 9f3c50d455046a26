from __future__ import annotations

import pytest
from search.imaginary import ImaginaryBackend, ImaginarySpace
from search.probing import ProbingConformance

from knas import spaces
from knas.errors import KnasError, UsageError
from knas.runs import Record
from knas.search.evaluator import Evaluator
from knas.search.probe import Probe
from knas.search.pruning import decided, whole
from knas.search.te_nas import TENAS, Change, _without_least_important
from knas.spaces import Supernet


class TestTENAS(ProbingConformance):
    max_probes = 2 * (17 + 13 + 9)  # the whole, and 4 decisions of 4, 3 and 2 options, by 2 proxies

    def algorithm(self) -> TENAS:
        return TENAS(repeats=1)


class Meter(ImaginaryBackend):
    """The condition number grows with every `a` that is left, and regions with every `c`."""

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        self._measure(self.probed, (supernet, probe))
        if probe.proxy == "ntk-condition":
            return -10.0 - 3 * str(supernet).count("a")
        return 100.0 + 5 * str(supernet).count("c")


def test_prunes_what_hurts_the_condition_and_keeps_what_makes_regions() -> None:
    backend = Meter()
    outcome = TENAS(repeats=1).search(Evaluator(ImaginarySpace(), backend, Record(":memory:")))
    assert str(outcome.found) == "cccc"
    first, last = backend.probed[0][0], backend.probed[-1][0]
    assert str(first) == "a,b,c,x;a,b,c,x;a,b,c,x;a,b,c,x"
    assert "a" not in str(last), "the first round takes a from every edge"


def test_sum_of_ranks_decides_and_the_condition_breaks_ties() -> None:
    supernet = Supernet((("a", "b", "c"), ("a", "b")))
    changes = [
        Change(0, "a", condition=0.5, regions=0.2),  # ranks 0 + 3
        Change(0, "b", condition=0.1, regions=0.0),  # ranks 2 + 1
        Change(0, "c", condition=0.1, regions=0.3),
        Change(1, "a", condition=0.0, regions=-0.1),  # ranks 3 + 0
        Change(1, "b", condition=0.2, regions=0.3),  # ranks 1 + 4
    ]
    assert str(_without_least_important(supernet, changes)) == "b,c;b"


def test_an_operation_without_which_nothing_scores_stays() -> None:
    supernet = Supernet((("a", "b"), ("a", "b")))
    changes = [Change(0, "b", 0.9, 0.0), Change(1, "a", 0.1, 0.0)]
    assert str(_without_least_important(supernet, changes)) == "a;b"
    with pytest.raises(KnasError, match="without an operation of edge 1 could be scored"):
        _without_least_important(supernet, changes[:1])


def test_none_is_out_from_the_start() -> None:
    space = spaces.create("nas-bench-201")
    supernet = whole(space, leave_out=("none",))
    assert all(
        left == ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3") for left in supernet.options
    )
    cell = space.architecture(1)
    assert decided(space, Supernet(tuple((name,) for name in cell.operations))) == cell


def test_weights_are_the_same_for_all_that_is_compared() -> None:
    backend = ImaginaryBackend()
    TENAS(repeats=2).search(Evaluator(ImaginarySpace(), backend, Record(":memory:"), seed=4))
    seeds = [probe.seed for _, probe in backend.probed]
    assert len(set(seeds)) == 2 * 3, "two for each round"
    assert len(set(seeds[: 2 * 2 * 17])) == 2


@pytest.mark.parametrize("name", ["repeats", "channels", "cells_per_stage", "patches"])
def test_numbers_out_of_range(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: an integer of at least"):
        TENAS(**{name: 0})
