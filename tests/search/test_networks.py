from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from knas import data, spaces
from knas.errors import UsageError
from knas.runs import TrialRow
from knas.search import search
from knas.search.networks import Networks
from knas.search.settings import SearchSettings

SETTINGS = SearchSettings(channels=4, cells_per_stage=1, score_samples=4, max_train_samples=100).resolved()
SPACE = spaces.create("nas-bench-201")
TRIAL = TrialRow("", 1, "top-k", 50.0, 50.0, 1.0, None, 1.0)


def make(folder: Path, settings: SearchSettings = SETTINGS) -> Networks:
    dataset = data.load(settings.dataset, max_train_samples=settings.max_train_samples)
    return Networks(SPACE, dataset, settings, folder, torch.device("cpu"))


def test_scores_do_not_depend_on_the_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    architectures = [SPACE.sample(rng) for _ in range(4)]
    first, second = make(tmp_path), make(tmp_path)
    forwards = {architecture: first.score(architecture) for architecture in architectures}
    assert {architecture: second.score(architecture) for architecture in architectures[::-1]} == forwards


def test_score_is_that_of_the_package(tmp_path: Path) -> None:
    import knas

    architecture = SPACE.architecture(1462)
    inputs, targets = data.score_batch(data.load("digits", max_train_samples=100), 4)
    model = SPACE.build(architecture, channels=4, cells_per_stage=1)
    assert make(tmp_path).score(architecture) == knas.score(model, inputs, targets, proxy="knas").value


def test_only_weights_that_may_win_are_kept(tmp_path: Path) -> None:
    networks = make(tmp_path)
    worse, better, equal, control = (SPACE.architecture(index) for index in range(4))
    for architecture in (worse, better, equal, control):
        networks.weights(architecture, 1).touch()
    networks.recorded(better, replace(TRIAL, validation_accuracy=60.0))
    networks.recorded(worse, TRIAL)
    networks.recorded(equal, replace(TRIAL, validation_accuracy=60.0))
    networks.recorded(control, replace(TRIAL, role="control", validation_accuracy=10.0))
    kept = [networks.weights(architecture, 1).exists() for architecture in (worse, better, equal, control)]
    assert kept == [False, True, True, True]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"score_samples": 101}, r"--score-samples\) must be at most 100"),
        ({"initialization": "keiming"}, "kaiming"),
    ],
)
def test_what_can_not_be_done_is_refused_at_once(
    tmp_path: Path, changes: dict[str, object], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        make(tmp_path, replace(SETTINGS, **changes))  # type: ignore[arg-type]


@pytest.mark.cuda
def test_search_on_a_gpu(tmp_path: Path) -> None:
    result = search(
        samples=4,
        top_k=2,
        epochs=1,
        channels=4,
        cells_per_stage=1,
        max_train_samples=200,
        device="cuda",
        run=tmp_path / "run",
    )
    assert result.scored + result.failed == 4
    assert result.best.test_accuracy is not None
