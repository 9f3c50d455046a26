"""The paper's Table 1 again: every system over many seeds on a table of trained architectures, beside the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knas.compare.comparison import Comparison

__all__ = ["PAPER_TRIALS", "compare"]

PAPER_TRIALS = 100
"""Trainings of each search by training: the times in Table 1 are 100 times what Section 6.3 gives for one."""


def compare(
    benchmark: str | Path,
    *,
    datasets: Sequence[str] | None = None,
    repeats: int = 20,
    seed: int = 0,
    seconds: float | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    scores: Sequence[str | Path] = (),
    score_seconds: float | None = None,
    runs: Sequence[str | Path] = (),
    run: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Search with every system of Table 1 of the KNAS paper (arXiv 2111.13293), and with controls, over many seeds.

    Nothing is trained: accuracies come from the table, and the clock is simulated (`knas.benchmarks.simulated`). Rows
    of KNAS and NASWOT take their scores from tables of scores; rows of systems that need real super-networks are filled
    from finished runs. What has neither is left empty, with the command that fills it.

    Args:
        benchmark: a table that `knas.benchmarks.load` reads.
        datasets: some of `knas.benchmarks.DATASETS`; None for all.
        repeats: searches of each row on each data set, with as many seeds.
        seed: the first of them.
        seconds: that each search by training may take, simulated.
        trials: that it may train; 100 where neither is given, as the paper's times are.
        epochs: of each training; None for 12, with which NAS-Bench-201 searches.
        scores: tables that `knas-search rank --all --output` wrote, or "shipped:NAME" of the package. Scores by
            `naswot` and `knas` fill rows of their own, those by `mgm`, or by the one proxy of a table, those of KNAS.
            The seconds of a table with several proxies are those of all together.
        score_seconds: what a score takes; None for what the tables tell.
        runs: folders of finished runs of `knas-search --benchmark` on the same table. Several seeds are averaged.
        run: a folder that keeps every finished search, so that the same call resumes; None keeps nothing.
        progress: called with the title of a row, how many searches are done, and of how many.

    Returns:
        The table, with notes on what does not agree with the paper.

    Raises:
        UsageError: an argument or a file can't be used, or the folder holds a comparison with other settings.
        RunError: a folder's files are corrupt or foreign, or another process works in it.
    """
    from knas.benchmarks import DATASETS
    from knas.compare.runner import CompareSettings, run_comparison
    from knas.compare.tabular import Budget
    from knas.search.settings import TABLE_EPOCHS

    settings = CompareSettings(
        benchmark=str(benchmark),
        datasets=tuple(DATASETS if datasets is None else dict.fromkeys(datasets)),
        repeats=repeats,
        seed=seed,
        budget=Budget(seconds, PAPER_TRIALS if seconds is None and trials is None else trials),
        epochs=TABLE_EPOCHS if epochs is None else epochs,
        score_seconds=score_seconds,
    )
    return run_comparison(settings, scores, runs, run, progress or (lambda title, done, total: None))
