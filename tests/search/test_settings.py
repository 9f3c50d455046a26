from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from knas.errors import UsageError
from knas.search import base
from knas.search.base import Outcome, SearchAlgorithm
from knas.search.evaluator import Evaluator
from knas.search.knas import Knas
from knas.search.settings import SearchSettings, default_batch_size


def test_defaults_are_the_papers() -> None:
    settings = SearchSettings(dataset="cifar10").resolved()
    assert (settings.samples, settings.top_k, settings.epochs) == (100, 20, 20)
    assert (settings.channels, settings.cells_per_stage, settings.batch_size) == (16, 5, None)
    assert settings.augment is True


def test_digits_are_smaller() -> None:
    small, paper = SearchSettings().resolved(), SearchSettings(dataset="cifar10").resolved()
    for name in ("top_k", "epochs", "cells_per_stage"):
        assert getattr(small, name) < getattr(paper, name)


@pytest.mark.parametrize(
    ("images", "size"), [(50_000, 256), (12_800, 256), (12_799, 128), (2000, 32), (800, 16), (3, 16)]
)
def test_few_images_get_smaller_batches(images: int, size: int) -> None:
    assert default_batch_size(images) == size


def test_given_values_win_and_top_k_follows_fewer_samples() -> None:
    settings = SearchSettings(samples=3, epochs=1).resolved()
    assert (settings.samples, settings.top_k, settings.epochs) == (3, 3, 1)
    assert settings.resolved() == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples", 0),
        ("score_samples", 1),
        ("epochs", 0),
        ("batch_size", -1),
        ("channels", 0),
        ("cells_per_stage", 0),
        ("seed", -1),
        ("max_train_samples", 1),
        ("samples", 2.5),
        ("top_k", True),
    ],
)
def test_numbers_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')}.*at least .*{value}"):
        SearchSettings(**{name: value}).resolved()


@dataclass(frozen=True)
class Plain(SearchAlgorithm):
    """An algorithm that scores nothing and has no option of the shared ones."""

    name: ClassVar[str] = "plain"
    scores: ClassVar[bool] = False
    seconds: float = 60.0

    def search(self, evaluator: Evaluator) -> Outcome:
        raise NotImplementedError


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_classes", lambda: {"plain": Plain, "knas": Knas})


@pytest.mark.usefixtures("plain")
def test_what_the_algorithm_has_no_use_for_stays_none_and_is_refused() -> None:
    settings = SearchSettings(dataset="cifar10", algorithm="plain").resolved()
    assert (settings.samples, settings.top_k, settings.epochs) == (None, None, 20)
    assert settings.run_name() == Path("runs/cifar10-plain-e20-s0")
    for name, value in (("samples", 0), ("top_k", 3), ("control", True)):
        with pytest.raises(UsageError, match=rf"'plain' has no {name} \(--"):
            SearchSettings(algorithm="plain", **{name: value}).resolved()
    with pytest.raises(UsageError, match=r"give samples \(--samples\)"):
        SearchSettings(algorithm_options={"samples": 3}).resolved()


@pytest.mark.usefixtures("plain")
def test_options_of_the_algorithm_are_told_where_there_are_some() -> None:
    settings = SearchSettings(algorithm="plain", algorithm_options={"seconds": 5.0}).resolved()
    assert settings.to_dict()["algorithm_options"] == {"seconds": 5.0}
    assert settings.run_name() != SearchSettings(algorithm="plain").resolved().run_name()
    assert "algorithm_options" not in SearchSettings().resolved().to_dict(), "as older runs have it on disk"


def test_run_name_tells_the_main_settings() -> None:
    assert SearchSettings(dataset="cifar10").resolved().run_name() == Path(
        "runs/cifar10-knas-n100-k20-e20-s0"
    )
    named = SearchSettings(dataset="../data/uoft-cs/cifar10", samples=30, top_k=3, epochs=2).resolved()
    assert named.run_name().name.startswith("cifar10-knas-n30-k3-e2-s0-")


def test_run_name_differs_with_any_setting_but_the_control() -> None:
    base = SearchSettings().resolved()
    names = {base.run_name()}
    others: list[dict[str, Any]] = [
        {"channels": 4},
        {"proxy_options": {"estimator": "full"}},
        {"seed": 1},
        {"score_samples": 32},
        {"initialization": "default"},
        {"augment": False},
        {"max_train_samples": 100},
    ]
    for other in others:
        names.add(SearchSettings(**other).resolved().run_name())
    assert len(names) == 1 + len(others)
    assert SearchSettings(control=True).resolved().run_name() == base.run_name()
