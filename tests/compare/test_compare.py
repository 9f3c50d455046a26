"""Whole comparisons on made-up tables, and the numbers that they must give."""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from benchmarks import table
from command import Command
from compare import score_table

from knas import benchmarks, spaces
from knas.benchmarks import DATASETS
from knas.cli import run
from knas.compare import compare
from knas.compare.comparison import Comparison
from knas.compare.paper import TABLE_1
from knas.compare.searches import FILE
from knas.compare.systems import CONTROLS, SYSTEMS
from knas.errors import RunError, UsageError
from knas.runs import read_result
from knas.search import search
from knas.search.resnet import CELLS

SPACE = spaces.create("nas-bench-201")
FOR_RUNS = ("rsps", "gdas", "darts", "te-nas", "knas-build")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    table.write(folder / "table.parquet")
    score_table.write(folder / "mgm.csv")
    score_table.write(folder / "naswot.csv", "naswot")
    score_table.write(folder / "knas.csv", "knas")
    return folder


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"benchmark": folder / "table.parquet", "repeats": 3}


@pytest.fixture(scope="module")
def whole(folder: Path, options: dict[str, Any]) -> Comparison:
    return compare(**options, scores=[folder / "mgm.csv", folder / "naswot.csv", folder / "knas.csv"])


def test_every_row_of_the_paper_is_there(whole: Comparison) -> None:
    names = [system.name for system in SYSTEMS]
    assert [name for name in names if name in TABLE_1] == list(TABLE_1)
    assert {name for controls in CONTROLS.values() for name in controls} <= set(names)
    for dataset in DATASETS:
        for entry in whole.entries[dataset]:
            assert entry.published == TABLE_1.get(entry.system.name, {}).get(dataset, entry.published)
            if entry.system.name in FOR_RUNS:
                assert entry.mean is entry.time is None
            else:
                assert len(entry.accuracies) == (1 if entry.system.name == "resnet" else 3)
    assert set(whole.not_run) == set(FOR_RUNS)


@pytest.mark.parametrize(
    ("name", "algorithm", "search_options"),
    [
        ("random", "random", {"algorithm_options": {"trials": 100, "seconds": None}}),
        (
            "regularized-evolution",
            "regularized-evolution",
            {"algorithm_options": {"trials": 100, "seconds": None}},
        ),
    ],
)
def test_rows_are_the_searches_of_the_same_seeds(
    name: str, algorithm: str, search_options: dict[str, Any], whole: Comparison, folder: Path, tmp_path: Path
) -> None:
    found = [
        search(
            algorithm=algorithm,
            seed=seed,
            benchmark=folder / "table.parquet",
            benchmark_dataset="cifar100",
            run=tmp_path / str(seed),
            **search_options,
        )
        for seed in range(3)
    ]
    entry = whole.entry(name, "cifar100")
    held = [one.benchmark["found"]["cifar100"]["200"]["test_accuracy"] for one in found if one.benchmark]
    assert entry.accuracies == pytest.approx(held)
    assert entry.mean == pytest.approx(statistics.fmean(held))
    assert entry.std == pytest.approx(statistics.stdev(held))
    assert entry.time == pytest.approx(100 * table.SECONDS * 4600 / 2160), "repeated trials are charged again"


def test_knas_trains_the_best_by_score_and_naswot_none(whole: Comparison) -> None:
    knas, naswot = whole.entry("knas-20", "cifar10"), whole.entry("naswot", "cifar10")
    assert knas.time == pytest.approx(20 * table.SECONDS + 100 * score_table.SECONDS)
    assert "scores measured" in knas.source
    assert knas.source.startswith("simulated: ")
    assert naswot.time == pytest.approx(100 * score_table.SECONDS), "its training is for the report alone"
    assert naswot.source == "scores measured"
    assert whole.speed_up(knas) == pytest.approx(100 * table.SECONDS / knas.time)
    assert whole.entry("resnet", "cifar10").time is None


def test_controls_train_as_many_for_nothing_else(whole: Comparison) -> None:
    for name, k in (("random-20", 20), ("random-40", 40), ("parameters-20", 20), ("parameters-40", 40)):
        assert whole.entry(name, "cifar10").time == k * table.SECONDS


def test_the_fixed_cell(whole: Comparison, options: dict[str, Any], shared_data: Path) -> None:
    benchmark = benchmarks.load(options["benchmark"])
    expected = benchmark.query(SPACE.parse(CELLS["nas-bench-201"]), "cifar10", 200).test_accuracy
    assert whole.entry("resnet", "cifar10").accuracies == (expected,)
    real = compare(shared_data / "nas-bench-201" / "accuracies.csv", repeats=1, datasets=["cifar10"])
    assert real.entry("resnet", "cifar10").accuracies == (93.91,)
    published = real.entry("resnet", "cifar10").published.accuracy
    assert any("ResNet on cifar10: 93.91, 0.06 below" in note for note in real.notes)
    assert published == 93.97


def test_what_disagrees_is_told(whole: Comparison) -> None:
    text = "\n".join(whole.notes)
    assert "budget: 100 trials" in text
    assert "12 epochs; the paper says 20 for KNAS, which the table does not hold" in text
    assert "1 class failed" in text
    assert "KNAS (k = 20): as fast as random search times 4.88x on cifar10 (the paper: 50x), 4.9" in text
    assert "finished run" not in text
    assert "standard deviations" in text


def test_stated_seconds(folder: Path, options: dict[str, Any]) -> None:
    told = compare(**options, scores=[folder / "mgm.csv"], score_seconds=3.0, datasets=["cifar10"])
    entry = told.entry("knas-40", "cifar10")
    assert entry.time == pytest.approx(40 * table.SECONDS + 100 * 3.0)
    assert "scores stated, 3 s each" in entry.source
    assert told.entry("naswot", "cifar10").mean is None
    assert told.not_run["naswot"].startswith(
        "knas-search rank --all --dataset uoft-cs/cifar10 --proxy naswot "
    )


def test_without_optuna(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knas.compare.tabular.find_spec", lambda name: None)
    told = compare(**{**options, "repeats": 1, "datasets": ["cifar10"]})
    assert told.entry("bohb", "cifar10").mean is None
    assert told.not_run["bohb"] == "pip install 'knas[bohb]'"


def plain(comparison: Comparison) -> dict[str, Any]:
    return {**comparison.to_dict(), "run": None}


def test_resumes_and_extends(
    options: dict[str, Any], folder: Path, tmp_path: Path, whole: Comparison
) -> None:
    place = {"run": tmp_path / "run", "scores": [folder / "mgm.csv"]}
    compare(**{**options, "repeats": 1, "datasets": ["cifar100"]}, **place)
    before = (tmp_path / "run" / FILE).read_bytes()
    calls: list[int] = []
    compare(**options, **place, progress=lambda title, done, total: calls.append(total))
    assert (tmp_path / "run" / FILE).read_bytes().startswith(before)
    changed = {**place, "scores": [folder / "mgm.csv", folder / "naswot.csv", folder / "knas.csv"]}
    assert plain(compare(**options, **changed)) == plain(whole), "scores may be added"


def test_survives_kill_and_a_torn_line(options: dict[str, Any], tmp_path: Path) -> None:
    arguments = ["compare", "--benchmark", str(options["benchmark"]), "--repeats", "3", "--json"]
    arguments += ["--data-set", "cifar10", "--run", str(tmp_path / "run")]
    file = tmp_path / "run" / FILE
    Command(*arguments).kill_when(lambda: file.exists() and file.read_bytes().count(b"\n") >= 5)
    with file.open("ab") as stream:
        stream.write(b'{"task": {"sys')
    resumed = json.loads(Command(*arguments).finish())
    alone = compare(**options, datasets=["cifar10"])
    assert {**resumed, "run": None} == json.loads(json.dumps(plain(alone)))
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_folder_of_others_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    compare(**{**options, "repeats": 1}, run=run_folder)
    with pytest.raises(UsageError, match=r"trials was 100 and is now None"):
        compare(**{**options, "repeats": 1}, run=run_folder, seconds=12_000)
    (run_folder / FILE).write_text("[]\n")
    with pytest.raises(RunError, match=r"searches.jsonl is corrupt"):
        compare(**{**options, "repeats": 1}, run=run_folder)


@pytest.fixture(scope="module")
def finished(folder: Path) -> list[Path]:
    """Runs of `te-nas` as they are on disk; a real one, whose numbers are then changed."""
    return [made_up_run(folder, seed, seconds=10.0 + seed) for seed in (0, 1)]


def made_up_run(folder: Path, seed: int, seconds: float) -> Path:
    """A run on the table whose searched cell is that of index 100 + seed."""
    run_folder = folder / f"te-nas-{seed}"
    search(
        algorithm="naswot",
        samples=2,
        seed=seed,
        score_samples=4,
        channels=4,
        cells_per_stage=1,
        benchmark=folder / "table.parquet",
        run=run_folder,
    )
    result = read_result(run_folder / "result.json")
    assert result.benchmark
    entry = {"validation_accuracy": None, "test_accuracy": 60.0 + seed}
    found = {dataset: {"12": {**entry, "test_accuracy": 1.0}, "200": entry} for dataset in DATASETS}
    changed = dataclasses.replace(
        result,
        algorithm="te-nas",
        seconds={"score": seconds, "train": 100.0},
        benchmark={**result.benchmark, "found": found},
    )
    (run_folder / "result.json").write_text(json.dumps(changed.to_dict()))
    config = run_folder / "config.yaml"
    text = config.read_text().replace("algorithm: naswot", "algorithm: te-nas")
    config.write_text(
        text.replace("\nsamples: 2", "\nsamples: null").replace("proxy: naswot", "proxy: ntk-condition")
    )
    return run_folder


def test_finished_runs_fill_their_row(options: dict[str, Any], finished: list[Path]) -> None:
    filled = compare(**options, runs=finished)
    entry = filled.entry("te-nas", "cifar10")
    assert entry.accuracies == (60.0, 61.0)
    assert entry.seconds == (10.0, 11.0), "the training was for the report"
    told = "score_samples 4, channels 4, cells_per_stage 1"
    assert entry.source == f"score measured, on images of digits ({told})"
    assert entry.searched_on is None
    assert filled.entry("te-nas", "cifar100").searched_on == "cifar10"
    assert "te-nas" not in filled.not_run
    assert "TE-NAS: of 2 finished runs" in filled.notes


def test_runs_that_do_not_fit(
    options: dict[str, Any], finished: list[Path], folder: Path, tmp_path: Path
) -> None:
    for runs, message in (
        ([tmp_path], r"holds no result.json"),
        ([finished[0], finished[0]], r"both of te-nas on cifar10 with seed 0; give one"),
    ):
        with pytest.raises(UsageError, match=message):
            compare(**options, runs=runs)
    config = finished[1] / "config.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("score_samples: 4", "score_samples: 8"))
        with pytest.raises(UsageError, match=r"but score_samples is 4 and 8: give runs with the same"):
            compare(**options, runs=finished)
        config.write_text(text.replace("seed: 1\n", ""))
        with pytest.raises(RunError, match=r"its result or settings lack 'seed'; leave it out"):
            compare(**options, runs=finished)
        config.write_text(
            text.replace("algorithm: te-nas", "algorithm: random").replace("ntk-condition", "knas")
        )
        with pytest.raises(UsageError, match=r"is of random, which is searched with here: leave it out"):
            compare(**options, runs=[finished[1]])
    finally:
        config.write_text(text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--repeats 0", "--repeats) must be an integer of at least 1, got 0"),
        ("--seed=-1", "--seed) must be an integer of at least 0"),
        ("--data-set cifar11", "did you mean 'cifar10'?"),
        ("--budget 99", "--budget: a budget of 99 seconds is smaller than one evaluation: the first, of"),
        ("--budget much", "--budget must be paper, nas-bench-201 or a number of seconds, not 'much'"),
        ("--budget nan", "--budget must be paper, nas-bench-201 or a number of seconds, not 'nan'"),
        ("--epochs 20", "after 12 epochs, not 20"),
        ("--score-seconds 0", "--score-seconds) must be a number above 0"),
        ("--scores none.csv", "--scores none.csv can't be read (No such file or directory)"),
        ("--scores {folder}/mgm.csv --scores {folder}/mgm.csv", "are both for KNAS; give one of them"),
        ("--output table.txt", "--output table.txt must end in .csv or .md"),
        ("--runs nowhere", "--runs nowhere holds no result.json"),
        ("stray", "unexpected argument 'stray'"),
    ],
)
def test_bad_arguments_leave_nothing(
    arguments: str,
    text: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["compare", "--benchmark", str(folder / "table.parquet"), "--run", "run", "--quiet"]
    given += arguments.format(folder=folder).split()
    given += [] if "--output" in given else ["--output", "out.md"]
    assert run(given) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


def test_a_table_that_lacks_accuracies(folder: Path, tmp_path: Path) -> None:
    from knas.benchmarks import parquet

    held = dict(benchmarks.load(folder / "table.parquet").trainings())
    held["cifar10", 12].values["validation_accuracy"][0, 77] = float("nan")
    parquet.write(tmp_path / "holes.parquet", benchmarks.Benchmark(held, source="made up", fingerprint=""))
    with pytest.raises(UsageError, match=r"lacks the validation accuracy after 12 epochs on cifar10 of 1 of"):
        compare(tmp_path / "holes.parquet")


def test_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", "--benchmark", str(folder / "table.parquet"), "--repeats", "2"]
    arguments += ["--data-set", "cifar10", "--budget", "nas-bench-201", "--output", str(tmp_path / "out.md")]
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert "searching 0/17  ResNet\n" in captured.err
    assert "budget: 12,000 simulated seconds" in captured.out
    assert "not run: te-nas: knas-search --algorithm te-nas --benchmark " in captured.out
    text = (tmp_path / "out.md").read_text()
    assert text.startswith("| cifar10 | accuracy | paper | time (s) | paper | speed-up | paper |\n")
    assert "| RS | " in text
    assert run(arguments) == 2
    assert "exists; give another name, or --overwrite" in capsys.readouterr().err
