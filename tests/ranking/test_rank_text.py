"""Rankings of the structures of a small encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_text

import knas
from knas import data, spaces
from knas.ranking import rank


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("text")
    return {
        "space": "text",
        "dataset": tiny_text.data_folder(folder / "mine"),
        "model": tiny_text.encoder_with_tokenizer(folder / "encoder", "bert", depth=6),
        "connection": "addition",
        "score_samples": 8,
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_a_score_is_that_of_the_network_alone(options: dict[str, Any], tmp_path: Path, workers: int) -> None:
    ranking = rank("all", **options, run=tmp_path / "run", proxy="mgm", workers=workers, threads=1)
    assert len(ranking.rows) == 15
    assert ranking.classes == 9
    space = spaces.create("text", model=options["model"])
    inputs, targets = data.score_batch(data.load_text(options["dataset"], options["model"]), 8)
    for row in (ranking.rows[0], ranking.rows[-1]):
        network = space.build(space.parse(row.architecture), 2, 0, connection="addition")
        score = knas.score(network, inputs, targets, proxy="mgm")
        assert row.scores["mgm"] == pytest.approx(score.value, rel=1e-5)
