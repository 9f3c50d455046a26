from __future__ import annotations

import pytest
from search.imaginary import ImaginaryBackend, ImaginarySpace
from search.probing import ProbingConformance

from knas.errors import UsageError
from knas.runs import Record
from knas.search.evaluator import Evaluator
from knas.search.knas_build import KnasBuild
from knas.search.probe import Probe
from knas.spaces import Supernet


class TestKnasBuild(ProbingConformance):
    max_scores = 3
    max_probes = 3 * 4 * 4

    def algorithm(self) -> KnasBuild:
        return KnasBuild(proposals=3)


class TestKnasBuildInOrder(ProbingConformance):
    max_probes = 4 * 4 * 2

    def algorithm(self) -> KnasBuild:
        return KnasBuild(proposals=1, order="backward", repeats=2)


class Meter(ImaginaryBackend):
    """A super-network scores by how often `b` is left in it, and a word always."""

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        self._measure(self.probed, (supernet, probe))
        return str(supernet).count("b") - 0.1 * str(supernet).count("c")

    def score(self, architecture: object) -> float:
        return 1.0


def build(**options: object) -> tuple[str, Meter]:
    backend = Meter()
    outcome = KnasBuild(**options).search(Evaluator(ImaginarySpace(), backend, Record(":memory:")))
    return str(outcome.found), backend


def test_keeps_what_the_score_falls_without() -> None:
    assert build(proposals=1)[0] == "bbbb"
    assert build(proposals=1, keep="expendable")[0] == "cccc"


@pytest.mark.parametrize(("order", "first"), [("forward", 0), ("backward", 3)])
def test_order_of_decisions(order: str, first: int) -> None:
    backend = build(proposals=1, order=order)[1]
    sizes = [[len(left) for left in supernet.options] for supernet, _ in backend.probed]
    want = [4, 4, 4, 4]
    want[first] = 3
    assert sizes[:4] == [want] * 4
    assert sizes[-1] == ([1, 1, 1, 3] if order == "forward" else [3, 1, 1, 1])


def test_proposals_have_orders_of_their_own() -> None:
    backend = build(proposals=6)[1]
    starts = {
        supernet.undecided[0] if len(supernet.undecided) == 1 else None for supernet, _ in backend.probed
    }
    assert len(starts - {None}) > 1, "the last decision is not always the same"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"proposals": 0}, "proposals: an integer of at least 1"),
        ({"repeats": 0}, "repeats: an integer of at least 1"),
        ({"order": "up"}, "order must be one of random, forward, backward"),
        ({"keep": "all"}, "keep must be one of essential, expendable"),
        ({"weighting": "softmax"}, "weighting must be one of share, mean, sum"),
    ],
)
def test_bad_options(options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        KnasBuild(**options)
