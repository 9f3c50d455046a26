"""Algorithms that look at super-networks, on real networks as small as they come."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Command

import knas
from knas.errors import RunError, UsageError
from knas.runs import Record, SearchResult
from knas.search import search
from knas.search.probe import Probe
from knas.search.pruning import whole
from knas.search.scorer import Scorer, draw_batch, load_data
from knas.search.settings import ScoreSettings

SMALL: dict[str, Any] = {
    "dataset": "digits",
    "epochs": 1,
    "channels": 2,
    "cells_per_stage": 1,
    "score_samples": 6,
    "max_train_samples": 100,
}
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()] + ["--threads=1"]
TE_NAS = ["--algorithm=te-nas", "--algorithm-option=repeats=1", "--algorithm-option=patches=200"]


@pytest.mark.parametrize(
    ("algorithm", "options", "proxy"),
    [("knas-build", {"proposals": 2}, "knas"), ("naswot", {}, "naswot")],
)
def test_finds_a_cell(algorithm: str, options: dict[str, Any], proxy: str, tmp_path: Path) -> None:
    samples = {"samples": 4} if algorithm == "naswot" else {}
    result = search(algorithm=algorithm, algorithm_options=options, **SMALL, **samples, run=tmp_path / "run")
    assert result.proxy == proxy
    assert len(result.top_k) == 1
    assert result.best.architecture == result.top_k[0].architecture
    assert result.seconds["score"] > 0
    assert result.scored >= 3


def test_killed_while_probing_it_ends_the_same(tmp_path: Path) -> None:
    whole_run = search(
        algorithm="te-nas", algorithm_options={"repeats": 1, "patches": 200}, **SMALL, run=tmp_path / "whole"
    )
    run = tmp_path / "run"
    Command(*OPTIONS, *TE_NAS, f"--run={run}").kill_when(lambda: recorded_probes(run) >= 10)
    before = recorded_probes(run)
    assert 10 <= before < 114
    output = Command(*OPTIONS, *TE_NAS, f"--run={run}", "--json").finish()
    result = SearchResult.from_dict(json.loads(output))
    assert recorded_probes(run) == 114
    assert result.best.architecture == whole_run.best.architecture
    assert result.scored == whole_run.scored
    assert dataclasses.replace(result.best) == whole_run.best


def recorded_probes(run: Path) -> int:
    try:
        record = Record(run / "search.sqlite", create=False)
    except RunError:  # not there yet
        return 0
    count = len(record.probes())
    record.close()
    return count


def test_score_of_a_super_network_is_that_of_the_package() -> None:
    settings = ScoreSettings(
        channels=2, cells_per_stage=1, score_samples=6, max_train_samples=100, seed=3
    ).resolved()
    images = draw_batch(load_data(settings), settings)
    space = knas.spaces.create("nas-bench-201")
    scorer = Scorer(space, settings, images, torch.device("cpu"))
    supernet = whole(space).without(0, "none")
    network = space.build_supernet(supernet, 10, seed=9, channels=4, cells_per_stage=1, weighting="sum")
    probe = Probe(9, "mgm", {"of": "loss"}, {"channels": 4, "weighting": "sum"})
    want = knas.score(network, images.inputs, images.targets, seed=9, of="loss").value
    assert scorer.probe(supernet, probe) == pytest.approx(want, rel=1e-5)
    own = space.build_supernet(supernet, 10, seed=9, channels=2, cells_per_stage=1)
    assert scorer.probe(supernet, Probe(9)) == pytest.approx(
        knas.score(own, images.inputs, seed=9, proxy="knas").value, rel=1e-5
    )


def test_a_space_without_super_networks_says_so() -> None:
    space = knas.spaces.create("nas-bench-201")
    with pytest.raises(UsageError, match="'nas-bench-201' has no super-networks"):
        super(type(space), space).build_supernet(whole(space))


def test_probes_are_recorded_under_the_super_network_and_the_probe(tmp_path: Path) -> None:
    row = knas.runs.ScoreRow("a,b;a", 2.5, None, 0.5)
    record = Record(tmp_path / "search.sqlite")
    record.add_probe(str(Probe(1)), row)
    record.close()
    record = Record(tmp_path / "search.sqlite")
    assert record.probe("a,b;a", str(Probe(1))) == row
    assert record.probe("a,b;a", str(Probe(2))) is None
    assert record.probe("a;a", str(Probe(1))) is None
    assert record.probes() == [row]
    assert record.scores() == []
    record.close()


def test_text_of_a_probe_tells_it_from_others() -> None:
    probes = [
        Probe(1),
        Probe(2),
        Probe(1, "mgm"),
        Probe(1, "mgm", {"of": "loss"}),
        Probe(1, build={"channels": 3}),
    ]
    assert len({str(probe) for probe in probes}) == len(probes)
    assert str(Probe(1, "mgm", {"a": 1, "b": 2})) == str(Probe(1, "mgm", {"b": 2, "a": 1}))
