from __future__ import annotations

import pytest
from search.imaginary import ImaginarySpace

from knas.errors import UsageError
from knas.search import base


def test_draws_distinct_classes_and_extends() -> None:
    space = ImaginarySpace()
    few = base.draw_classes(space, 10, base.generator(0))
    many = base.draw_classes(space, 30, base.generator(0))
    assert many[:10] == few
    assert len({space.canonical(one) for one in many}) == 30


def test_large_spaces_are_sampled_until_nothing_new_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LISTABLE", 10)
    monkeypatch.setattr(base, "REPEATS", 5000)
    space = ImaginarySpace()
    assert len(base.draw_classes(space, 10, base.generator(0))) == 10
    everything = base.draw_classes(space, 1000, base.generator(0))
    assert len({space.canonical(one) for one in everything}) == len(everything) == 35


def test_create_by_name() -> None:
    algorithm = base.create("knas", samples=7, top_k=2)
    assert algorithm == base.create("knas", samples=7, top_k=2, control=False)
    assert "knas" in base.names()


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown algorithm 'kans': did you mean 'knas'"):
        base.create("kans")
    with pytest.raises(UsageError, match="did you mean 'samples'"):
        base.create("knas", sample=3)
