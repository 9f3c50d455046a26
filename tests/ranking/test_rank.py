"""Rankings of real networks, as small as they come."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import Command, recorded_scores

import knas
from knas import data, scoring, spaces
from knas.errors import KnasError, UsageError
from knas.ranking import Ranking, rank
from knas.ranking.selection import select
from knas.ranking.workers import Workers
from knas.runs import Record
from knas.search import search
from knas.search.events import Event, RankingOpened, Scored

SPACE = spaces.create("nas-bench-201")
SMALL: dict[str, Any] = {
    "channels": 4,
    "cells_per_stage": 1,
    "score_samples": 4,
    "max_train_samples": 100,
    "seed": 1,
}
OPTIONS = ["rank", *(f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items())]


def values(ranking: Ranking) -> dict[int, float | None]:
    return {row.index: row.scores[ranking.proxies[0]] for row in ranking.rows}


def recorded_values(run: Path) -> list[float | None]:
    with closing(Record(run / "search.sqlite", create=False)) as record:
        return [row.value for row in record.scores()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ranking:
    return rank(40, **SMALL, run=tmp_path_factory.mktemp("whole") / "run", threads=1)


def test_order_and_columns(whole: Ranking) -> None:
    assert len(whole.rows) == whole.classes == whole.measured == 40
    scores = [row.scores["knas"] for row in whole.rows]
    assert scores == sorted(scores, key=lambda value: -(value or 0.0))
    for row in whole.rows:
        architecture = SPACE.architecture(row.index)
        assert row.architecture == str(architecture)
        assert row.canonical == str(SPACE.canonical(architecture))
        assert row.reason is None
        assert row.seconds > 0


def test_a_score_is_that_of_the_network_alone(whole: Ranking) -> None:
    inputs, targets = data.score_batch(data.load("digits", max_train_samples=100, seed=1), 4, seed=1)
    build = SPACE.builder(
        seed=1, channels=4, cells_per_stage=1
    )  # it runs no edge that adds nothing, which would count
    for row in whole.rows[::8]:
        model = build(SPACE.parse(row.canonical))
        alone = knas.score(model, inputs, targets, seed=1, proxy="knas").value
        assert row.scores["knas"] == pytest.approx(alone, rel=1e-6)


def test_a_number_draws_what_a_search_draws(whole: Ranking, tmp_path: Path) -> None:
    found = search(**SMALL, samples=3, top_k=1, epochs=1, run=tmp_path / "run")
    record = Record(Path(found.run) / "search.sqlite", create=False)
    assert {row.architecture for row in record.scores()} <= {row.architecture for row in whole.rows}
    record.close()


def test_isomorphic_architectures_are_scored_once(tmp_path: Path) -> None:
    classes: dict[Any, list[int]] = {}
    for index in range(300):
        classes.setdefault(SPACE.canonical(SPACE.architecture(index)), []).append(index)
    members = max(classes.values(), key=len)
    told: list[Event] = []
    ranking = rank(
        [*members, str(SPACE.architecture(members[0])), 5], **SMALL, run=tmp_path / "a", progress=told.append
    )
    assert len(ranking.rows) == len(members) + 1  # the text is a repetition
    assert ranking.classes == ranking.measured == sum(isinstance(event, Scored) for event in told) == 2
    assert len({values(ranking)[index] for index in members}) == 1
    assert [row.canonical for row in ranking.best(9)] == list(
        dict.fromkeys(row.canonical for row in ranking.rows)
    )


def test_all_of_the_space_has_6466_classes() -> None:
    chosen = select(SPACE, "all", 0)
    assert len(chosen) == 15_625
    assert len(set(chosen.values())) == 6_466


def test_the_same_folder_goes_on_and_grows(whole: Ranking, tmp_path: Path) -> None:
    first = rank(10, **SMALL, run=tmp_path / "run")
    told: list[Event] = []
    second = rank(40, **SMALL, run=tmp_path / "run", progress=told.append)
    assert (first.measured, second.measured) == (10, 30)
    assert values(second) == pytest.approx(values(whole), rel=1e-6)
    opened = next(event for event in told if isinstance(event, RankingOpened))
    assert (opened.architectures, opened.classes, opened.scores) == (40, 40, 10)
    assert rank(10, **SMALL, run=tmp_path / "run").measured == 0
    with pytest.raises(UsageError, match=r"score_samples was 4 and is now 8"):
        rank(10, **{**SMALL, "score_samples": 8}, run=tmp_path / "run")


def test_a_search_and_a_ranking_refuse_each_others_folder(tmp_path: Path) -> None:
    rank([0], **SMALL, run=tmp_path / "a")
    with pytest.raises(UsageError, match="is one of rank, not of search"):
        search(**SMALL, samples=1, epochs=1, run=tmp_path / "a")
    search(**SMALL, samples=1, epochs=1, run=tmp_path / "b")
    with pytest.raises(UsageError, match="is one of search, not of rank"):
        rank([0], **SMALL, run=tmp_path / "b")


def test_failures_are_rows_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = scoring.scores
    calls = iter(range(100))

    def sometimes(*arguments: Any, **options: Any) -> Any:
        if next(calls) in (0, 2):
            raise knas.errors.NotFiniteError("gradients: NaN or Inf in cells.0")
        return real(*arguments, **options)

    monkeypatch.setattr(scoring, "scores", sometimes)
    ranking = rank(5, **SMALL, run=tmp_path / "run")
    assert [row.reason for row in ranking.rows] == [None] * 3 + ["gradients: NaN or Inf in cells.0"] * 2
    assert [row.scores["knas"] is None for row in ranking.rows] == [False] * 3 + [True] * 2
    assert ranking.failed == 2
    assert len(ranking.best(10)) == 3
    again = rank(5, **SMALL, run=tmp_path / "run")
    assert again.rows == ranking.rows, "a recorded failure is not tried again"
    with pytest.raises(KnasError, match="none of 1 networks could be scored"):
        rank([ranking.rows[-1].index], **SMALL, run=tmp_path / "run")


def test_several_proxies_have_the_scores_of_each_alone(whole: Ranking, tmp_path: Path) -> None:
    names = ("naswot", "knas", "params")
    ranking = rank(10, **SMALL, run=tmp_path / "run", proxy=names, controls=True)
    assert ranking.proxies == (*names, "flops", "layers")
    ordered = [row.scores["naswot"] or 0.0 for row in ranking.rows]
    assert ordered == sorted(ordered, reverse=True)
    alone = values(whole)
    for row in ranking.rows:
        assert row.scores["knas"] == pytest.approx(alone[row.index])
        architecture = SPACE.parse(row.canonical)
        assert row.scores["params"] == SPACE.parameters(architecture, channels=4, cells_per_stage=1)
    workers = rank(10, **SMALL, run=tmp_path / "workers", proxy=names, controls=True, workers=2)
    assert [dict(row.scores) for row in workers.rows] == [
        pytest.approx(dict(row.scores)) for row in ranking.rows
    ]


def test_controls_are_added_and_proxies_are_not(tmp_path: Path) -> None:
    first = rank(6, **SMALL, run=tmp_path / "run")
    told: list[Event] = []
    second = rank(6, **SMALL, run=tmp_path / "run", controls=True, progress=told.append)
    assert second.measured == 6
    assert (second.proxies, values(second)) == (("knas", "params", "flops", "layers"), values(first))
    assert [event.row.value for event in told if isinstance(event, Scored)] == list(
        recorded_values(tmp_path / "run")
    )
    assert rank(6, **SMALL, run=tmp_path / "run", controls=True).measured == 0
    assert rank(6, **SMALL, run=tmp_path / "run").rows == first.rows
    with pytest.raises(UsageError, match="further_proxies"):
        rank(6, **SMALL, run=tmp_path / "run", proxy=("mgm", "naswot"))


def test_a_proxy_that_fails_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Any:
        raise knas.errors.NotFiniteError("codes: none")

    monkeypatch.setattr(knas.proxies.NASWOT, "read", fail)
    ranking = rank(3, **SMALL, run=tmp_path / "run", proxy=("mgm", "naswot"))
    assert values(ranking) == pytest.approx(values(rank(3, **SMALL, run=tmp_path / "mgm", proxy="mgm")))
    assert [(row.scores["naswot"], row.reason) for row in ranking.rows] == [(None, "naswot: codes: none")] * 3
    assert (ranking.failed, ranking.failures) == (0, {"naswot": 3})
    assert rank(3, **SMALL, run=tmp_path / "run", proxy=("mgm", "naswot")).rows == ranking.rows


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ([], "nothing to rank"),
        (0, "between 1 and 15,625"),
        (15_626, "between 1 and 15,625"),
        (True, "between 1 and 15,625"),
        ("some", "'all'"),
        ([15_625], "15624"),
        (["|none~0|"], "architecture text"),
    ],
)
def test_what_is_no_architecture(wanted: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        rank(wanted)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": 0}, "--workers"),
        ({"threads": 0}, "--threads"),
        ({"workers": 1.5}, "--workers"),
        ({"score_samples": 1}, "--score-samples"),
        ({"score_samples": 9999}, "--score-samples"),
        ({"proxy": "mmg"}, "mgm"),
        ({"proxy": ()}, "--proxy"),
        ({"proxy": ("mgm", "naswot", "mgm")}, "'mgm' comes twice"),
        ({"proxy": ("mgm", "nasswot")}, "did you mean 'naswot'"),
        ({"proxy": ("mgm",), "proxy_options": {"naswot": {}}}, "'naswot' is none of the proxies mgm"),
        ({"proxy": ("mgm", "naswot"), "proxy_options": {"mgm": {"sampel": 1}}}, "sample"),
        ({"proxy": "mgm", "proxy_options": {"sampel": 1}}, "sample"),
        ({"initialization": "keiming"}, "kaiming"),
        ({"device": "cuba"}, "--device"),
        ({"seed": -1}, "--seed"),
        ({"precision": "bfloat"}, r"--precision.*did you mean 'bfloat16'"),
    ],
)
def test_bad_arguments_write_nothing(options: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=text):
        rank([0], **{**SMALL, **options}, run=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_tables(whole: Ranking, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"table{suffix}"
    whole.write(path)
    names = ["index", "architecture", "class", "knas", "reason", "seconds"]
    if suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow.parquet")
        table = pyarrow.read_table(path)
        assert table.column_names == names
        assert [str(kind) for kind in table.schema.types] == [
            "int64",
            "string",
            "string",
            "double",
            "string",
            "double",
        ]
        assert table.to_pylist() == [row.cells() for row in whole.rows]
        return
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == names
    assert [(int(row["index"]), float(row["knas"])) for row in rows] == list(values(whole).items())
    assert all(row["reason"] == "" for row in rows)


def test_output_that_can_not_be(whole: Ranking, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for name, text in (
        ("there.csv", "--overwrite"),
        ("table.txt", r"\.csv or \.parquet"),
        ("no/folder.csv", "no folder"),
        (".", r"\.csv or"),
    ):
        with pytest.raises(UsageError, match=text):
            whole.write(tmp_path / name)
    assert (tmp_path / "there.csv").read_text() == "mine"
    whole.write(tmp_path / "there.csv", overwrite=True)
    assert (tmp_path / "there.csv").read_text().startswith("index,")


def test_workers_give_the_same_rows_and_leave_nothing(whole: Ranking, tmp_path: Path) -> None:
    ranking = rank(40, **SMALL, run=tmp_path / "run", workers=2)
    assert values(ranking) == pytest.approx(values(whole), rel=1e-6)
    assert psutil.Process().children(recursive=True) == [
        child
        for child in psutil.Process().children(recursive=True)
        if "resource_tracker" in child.cmdline()[-1]
    ]


def test_bfloat16_is_near(whole: Ranking, tmp_path: Path) -> None:
    stats = pytest.importorskip("scipy.stats")
    rough = values(rank(40, **SMALL, run=tmp_path / "run", precision="bfloat16"))
    pairs = [(value or 0.0, rough[index] or 0.0) for index, value in values(whole).items()]
    assert 0.97 < stats.spearmanr(*zip(*pairs, strict=True)).statistic < 1
    with pytest.raises(UsageError, match="precision was 'bfloat16' and is now 'float32'"):
        rank(40, **SMALL, run=tmp_path / "run")


def test_a_worker_that_dies_is_one_error(
    whole: Ranking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill_one(event: Event) -> None:
        if isinstance(event, Scored):
            next(iter(started[0]._processes.values())).kill()

    started: list[Workers] = []
    enter = Workers.__enter__
    monkeypatch.setattr(Workers, "__enter__", lambda self: started.append(self) or enter(self))
    with pytest.raises(KnasError, match=r"a worker process died by signal 9 .*goes on where it stopped"):
        rank(40, **SMALL, run=tmp_path / "run", workers=2, progress=kill_one)
    assert 1 <= recorded_scores(tmp_path / "run") < 40
    assert values(rank(40, **SMALL, run=tmp_path / "run")) == pytest.approx(values(whole), rel=1e-6)


def test_an_error_in_a_worker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knas.ranking.workers.Job.of", lambda *arguments: "no job")
    with pytest.raises(KnasError, match="a worker process failed: 'str' object has no attribute"):
        rank(4, **SMALL, run=tmp_path / "run", workers=2)


def test_killed_it_goes_on_and_its_workers_are_gone(whole: Ranking, tmp_path: Path) -> None:
    run, output = tmp_path / "run", tmp_path / "table.csv"
    count = 400  # so many that none can be done with all of them before the signal comes
    arguments = [*OPTIONS, f"--samples={count}", "--workers=2", f"--run={run}"]
    command = Command(*arguments)
    workers: list[psutil.Process] = []

    def ready() -> bool:
        workers[:] = psutil.Process(command.process.pid).children()
        return recorded_scores(run) >= 5

    command.kill_when(ready)
    recorded = recorded_scores(run)
    assert 5 <= recorded < count
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    content = json.loads(Command(*arguments, f"--output={output}", "--json", "--top=2").finish())
    assert (content["architectures"], content["classes"], content["failed"]) == (count, count, 0)
    with output.open(newline="") as file:
        found = {int(row["index"]): float(row["knas"]) for row in csv.DictReader(file)}
    assert len(found) == count
    assert [one["index"] for one in content["top"]] == list(found)[:2]
    # the first 40 draws of 400 are those of 40
    assert {index: found[index] for index in values(whole)} == pytest.approx(values(whole), rel=1e-6)


INTERRUPTIBLE = """import signal
from knas.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell switches off for what runs in the background
main()"""


def test_ctrl_c_is_one_line_and_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *OPTIONS, "--all", "--workers=2"] + [f"--run={run}", "--quiet"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C goes to the workers as well
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        while recorded_scores(run) < 3:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()  # where it has not ended, it would rank the whole space
        process.wait()
    assert process.returncode == 130
    assert error == f"interrupted: the same command goes on where it stopped, from {run}\n"
    assert recorded_scores(run) >= 3


@pytest.mark.cuda
@pytest.mark.parametrize("workers", [1, 2])
def test_on_a_gpu(whole: Ranking, workers: int, tmp_path: Path) -> None:
    ranking = rank(40, **SMALL, run=tmp_path / "run", device="cuda", workers=workers)
    assert values(ranking) == pytest.approx(values(whole), rel=1e-3)
