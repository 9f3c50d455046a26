"""Finished runs of `knas-search --benchmark`, for the rows that need real networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from knas.benchmarks.benchmark import Benchmark
from knas.compare.systems import SYSTEMS, System
from knas.errors import RunError, UsageError
from knas.runs.config import read_config
from knas.runs.folder import RunFolder
from knas.runs.result import SearchResult
from knas.search.settings import DATA, SearchSettings

VARYING = ("seed", "dataset", "benchmark_dataset", "benchmark", DATA)
"""Settings in which runs of one row may differ."""

IMAGES = ("scored_on", "supernet_on")
"""Where a result tells the images of its networks."""


@dataclass(frozen=True)
class Finished:
    """One run.

    Attributes:
        system: the row's name.
        folder: where it lies.
        dataset: of the table, that it searched on.
        images: the data set that its networks saw; None where none were needed.
        options: its settings that are not the defaults, in words.
        seed: its seed.
        accuracies: of the found cell in the table, by data set: test, after the most epochs.
        seconds: of the search, without the training for the report where the cell was found before it.
        source: what the seconds are.
    """

    system: str
    folder: str
    dataset: str
    images: str | None
    options: str
    seed: int
    accuracies: Mapping[str, float]
    seconds: float
    source: str


def read_runs(folders: Sequence[str | Path], benchmark: Benchmark) -> list[Finished]:
    """Read the results of runs.

    Args:
        folders: of the runs; those of one row must differ in nothing but seed and data.
        benchmark: the table that they looked up.

    Raises:
        UsageError: a folder holds no finished run on this table, a system that has no row, or what another holds too.
        RunError: a file of a run is corrupt.
    """
    found: list[Finished] = []
    settings: dict[str, tuple[str, dict[str, Any]]] = {}
    for folder in folders:
        try:
            one, config = _read(Path(folder), benchmark)
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"--runs {folder}: its result or settings lack {error}; leave it out") from error
        _check_settings(one, config, *settings.setdefault(one.system, (one.folder, config)))
        for other in found:
            if (other.system, other.dataset, other.seed) == (one.system, one.dataset, one.seed):
                raise UsageError(
                    f"--runs {other.folder} and {one.folder} are both of {one.system} on {one.dataset} with seed "
                    f"{one.seed}; give one of them"
                )
        found.append(one)
    return found


def _read(path: Path, benchmark: Benchmark) -> tuple[Finished, dict[str, Any]]:
    folder = RunFolder(path)
    result = folder.finished()
    if result is None or not folder.config.exists():
        raise UsageError(f"--runs {path} holds no {folder.result.name}: give folders of finished runs")
    if result.benchmark is None:
        raise UsageError(f"--runs {path} was trained for real: give runs that were made with --benchmark")
    if result.benchmark["sha256"] != benchmark.fingerprint:
        raise UsageError(f"--runs {path} was looked up in another table, {result.benchmark['file']}")
    config = read_config(folder.config)
    system = _system(path, config)
    seconds, source = _cost(result)
    finished = Finished(
        system=system.name,
        folder=str(path),
        dataset=result.benchmark["dataset"],
        images=next((result.benchmark[name] for name in IMAGES if name in result.benchmark), None),
        options=_options(config),
        seed=config["seed"],
        accuracies={name: _last(entries) for name, entries in result.benchmark["found"].items()},
        seconds=seconds,
        source=source,
    )
    return finished, config


def _system(path: Path, config: Mapping[str, Any]) -> System:
    """The row of a run: KNAS has one for each k, and controls have none."""
    for system in SYSTEMS:
        same = all(config.get(name) == value for name, value in system.options.items())
        if system.algorithm == config["algorithm"] and same and system.scores not in ("none", "parameters"):
            return system
    options = {name: config[name] for name in ("samples", "top_k") if config.get(name) is not None}
    told = "".join(f", {name} {value}" for name, value in options.items())
    raise UsageError(f"--runs {path} is of {config['algorithm']}{told}, for which there is no row")


def _options(config: Mapping[str, Any]) -> str:
    """The settings that are not the defaults of the algorithm on a table."""
    known = {field.name for field in fields(SearchSettings)} - {"algorithm_options", *VARYING}
    kept = {name: config[name] for name in ("dataset", "algorithm", "benchmark", "proxy")}
    plain = SearchSettings(**kept).resolved().to_dict()
    told = {name: config[name] for name in config if name in known and config[name] != plain.get(name)}
    told |= config.get("algorithm_options", {})
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _cost(result: SearchResult) -> tuple[float, str]:
    """The seconds of a search, and what they are."""
    assert result.benchmark is not None
    reported = len(result.top_k) == 1  # one trial decides nothing: it was for the report
    counted = {
        name: seconds
        for name, seconds in result.seconds.items()
        if name != "control" and not (reported and name == "train") and seconds
    }
    words = result.benchmark["seconds"]
    told = [f"{name} {words.get(name, 'measured')}" for name in counted]
    return sum(counted.values()), "; ".join(told) or "nothing"


def _last(entries: Mapping[str, Mapping[str, float | None]]) -> float:
    """The test accuracy after the most epochs."""
    accuracies = {int(epochs): entry["test_accuracy"] for epochs, entry in entries.items()}
    found = accuracies[max(accuracies)]
    assert found is not None  # the table was checked to be complete
    return found


def _check_settings(
    one: Finished, config: Mapping[str, Any], other: str, settings: Mapping[str, Any]
) -> None:
    """Runs with other settings are other systems, and not averaged."""
    for name in {**settings, **config}:
        if name not in VARYING and config.get(name) != settings.get(name):
            raise UsageError(
                f"--runs {other} and {one.folder} are both of {one.system}, but {name} is {settings.get(name)!r} "
                f"and {config.get(name)!r}: give runs with the same settings"
            )
