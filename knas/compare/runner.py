"""One comparison from its settings to its table."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from knas import benchmarks
from knas.benchmarks.benchmark import DATASETS
from knas.compare.commands import filling
from knas.compare.comparison import Comparison, Entry
from knas.compare.entries import looked_up, of_runs
from knas.compare.finished import Finished, read_runs
from knas.compare.notes import notes
from knas.compare.scores import ScoreTable, read_scores
from knas.compare.searches import FILE, Found, Searches, Task
from knas.compare.systems import SYSTEMS, TABLES, System
from knas.compare.tabular import Budget, Tabular
from knas.errors import UsageError
from knas.runs.config import COMMAND
from knas.runs.folder import RunFolder
from knas.search.settings import TABLE
from knas.spaces.checks import integer_in_range, one_of, positive_number

FREE = ("benchmark",)
"""The table may lie elsewhere when a comparison is resumed; its content may not differ."""

Progress = Callable[[str, int, int], None]
"""Told the row that is searched with, how many searches are done, and of how many."""


@dataclass(frozen=True)
class CompareSettings:
    """What a comparison is asked for; see `knas.compare.compare`."""

    benchmark: str
    datasets: tuple[str, ...]
    repeats: int
    seed: int
    budget: Budget
    epochs: int
    score_seconds: float | None

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        integer_in_range("repeats (--repeats)", self.repeats, 1)
        integer_in_range("seed (--seed)", self.seed, 0)
        integer_in_range("epochs (--epochs)", self.epochs, 1)
        if self.score_seconds is not None:
            positive_number("score_seconds (--score-seconds)", self.score_seconds)
        for dataset in self.datasets:
            one_of("data set (--data-set)", dataset, DATASETS)

    @property
    def seeds(self) -> range:
        """The seeds of the searches."""
        return range(self.seed, self.seed + self.repeats)


def run_comparison(
    settings: CompareSettings,
    scores: Sequence[str | Path] = (),
    runs: Sequence[str | Path] = (),
    run: str | Path | None = None,
    progress: Progress = lambda title, done, total: None,
) -> Comparison:
    """Carry out or resume a comparison; see `knas.compare.compare`.

    What can be refused is refused before anything is written.

    Args:
        settings: what is asked for.
        scores: tables of scores.
        runs: folders of finished runs.
        run: the folder that keeps finished searches; None keeps nothing.
        progress: told how far it is.
    """
    table = benchmarks.load(settings.benchmark)
    datasets = [one_of("data set (--data-set)", name, table.datasets) for name in settings.datasets]
    tables = _by_use([one for path in scores for one in read_scores(path, table.space)])
    tabular = Tabular(table, settings.epochs, settings.budget, tables, settings.score_seconds)
    sources = {dataset: tabular.seconds_are(dataset) for dataset in datasets}
    finished = read_runs(runs, table)
    searched = [system for system in SYSTEMS if not tabular.missing(system)]
    _refuse_double({system.name for system in searched}, finished)
    work = _work(searched, datasets, settings.seeds, tabular)
    config = _config(settings, table.fingerprint)
    if run is not None:
        RunFolder(run).check(config, FREE)
    for system, task in work:
        tabular.check(system, task)
    found = _search(work, tabular, config, run, progress)
    entries = {
        dataset: tuple(
            looked_up(system, dataset, found, tabular, sources[dataset])
            if system in searched
            else of_runs(system, dataset, finished)
            for system in SYSTEMS
        )
        for dataset in datasets
    }
    return _comparison(settings, tabular, entries, run)


def _work(
    systems: Sequence[System], datasets: Sequence[str], seeds: range, tabular: Tabular
) -> list[tuple[System, Task]]:
    """Every search; a fixed cell needs no second seed."""
    return [
        (system, tabular.task(system, dataset, seed))
        for system in systems
        for dataset in datasets
        for seed in (seeds if system.algorithm else seeds[:1])
    ]


def _by_use(tables: Sequence[ScoreTable]) -> dict[str, ScoreTable]:
    """Tables of scores by the rows that take them."""
    found: dict[str, ScoreTable] = {}
    for table in tables:
        use = table.proxy if table.proxy in TABLES else "mgm"
        if use in found:
            raise UsageError(
                f"--scores {found[use].source} and {table.source} are both for {TABLES[use]}; give one of them"
            )
        found[use] = table
    return found


def _refuse_double(searched: Collection[str], finished: Sequence[Finished]) -> None:
    for one in finished:
        if one.system in searched:
            raise UsageError(
                f"--runs {one.folder} is of {one.system}, which is searched with here: leave it out"
            )


def _config(settings: CompareSettings, fingerprint: str) -> dict[str, Any]:
    """What every search of a folder has in common, as its `config.yaml` has it."""
    return {
        COMMAND: "compare",
        "benchmark": settings.benchmark,
        TABLE: fingerprint,
        "epochs": settings.epochs,
        "seconds": settings.budget.seconds,
        "trials": settings.budget.trials,
    }


def _search(
    work: Sequence[tuple[System, Task]],
    tabular: Tabular,
    config: Mapping[str, Any],
    run: str | Path | None,
    progress: Progress,
) -> list[Found]:
    """Carry out every search, or recall it."""
    with contextlib.ExitStack() as stack:
        path = None
        if run is not None:
            folder = RunFolder(run)
            stack.enter_context(folder.held(config, FREE))
            path = folder.path / FILE
        searches = Searches(path)
        found = []
        for done, (system, task) in enumerate(work):
            progress(system.title, done, len(work))
            found.append(searches.get(task, functools.partial(tabular.search, system)))
        return found


def _comparison(
    settings: CompareSettings,
    tabular: Tabular,
    entries: Mapping[str, tuple[Entry, ...]],
    run: str | Path | None,
) -> Comparison:
    empty = {one.system for column in entries.values() for one in column if not one.accuracies}
    benchmark = tabular.benchmark
    comparison = Comparison(
        settings={
            "benchmark": benchmark.source,
            "sha256": benchmark.fingerprint,
            "seeds": list(settings.seeds),
            "budget": str(settings.budget),
            "epochs": settings.epochs,
            "final_epochs": {dataset: tabular.final(dataset) for dataset in entries},
            "scores": {
                table.proxy: {"file": table.source, "sha256": table.fingerprint, "failed": table.failed}
                for table in tabular.tables.values()
            },
            "score_seconds": settings.score_seconds,
        },
        entries=entries,
        not_run={one.name: filling(one, settings.benchmark) for one in SYSTEMS if one in empty},
        run=None if run is None else str(run),
    )
    return replace(comparison, notes=notes(comparison))
