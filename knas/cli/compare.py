"""`knas-search compare`: the paper's Table 1 again, on a table of trained architectures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knas.cli import options
from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.compare.comparison import Comparison


def command(
    benchmark: Annotated[
        Path, typer.Option(help="Table of trained architectures: a .csv, or what `benchmark import` made.")
    ],
    more: Annotated[list[Path] | None, typer.Argument(hidden=True, metavar="FOLDER")] = None,
    repeats: Annotated[int, typer.Option(help="Searches of each row on each data set.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the first; the others follow it.")] = 0,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="Scores of the whole space, by `rank --all`, or shipped:NAME of the package: by naswot, by knas, and "
            "for KNAS by mgm or any other proxy; repeatable."
        ),
    ] = None,
    score_seconds: Annotated[
        float | None, typer.Option(help="What a score costs; what its table tells unless given.")
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER...",
            help="Finished runs for the rows that need real networks; those of several seeds are averaged.",
        ),
    ] = None,
    data_set: Annotated[
        list[str] | None,
        typer.Option(help="cifar10, cifar100 or imagenet16-120; repeatable, all unless given."),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            help="Of a search by training: paper (100 trials), nas-bench-201 (12,000 seconds), or a number of seconds."
        ),
    ] = "paper",
    epochs: Annotated[int | None, typer.Option(help="Of each training in a search; 12.")] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps every finished search; the same command on it resumes."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the tables: a file that ends in .csv or .md.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Reproduce the paper's Table 1: every system over many seeds, beside the paper's numbers, and with controls.

    Searches look trainings up in the table, on a simulated clock. Nothing is invented: a row that has neither scores
    nor finished runs says which command fills it.
    """
    from knas import compare
    from knas.ranking.table import check_output
    from knas.report.comparison import FORMATS
    from knas.runs.atomic import write_atomically

    if more and not runs:
        raise UsageError(f"unexpected argument {str(more[0])!r}; give finished runs after --runs")
    if output is not None:
        check_output(output, overwrite=overwrite, suffixes=FORMATS)
    seconds, trials = _budget(budget)
    with options.interruptible(run):
        result = compare.compare(
            benchmark,
            datasets=data_set,
            repeats=repeats,
            seed=seed,
            seconds=seconds,
            trials=trials,
            epochs=epochs,
            scores=scores or (),
            score_seconds=score_seconds,
            runs=[*(runs or ()), *(more or ())],
            run=run,
            progress=None if quiet or as_json else _Progress(),
        )
    if output is not None:
        write_atomically(output, FORMATS[output.suffix.lower()](result))
    _show(result, output, as_json)


def _budget(text: str) -> tuple[float | None, int | None]:
    """Seconds and trials."""
    from knas.compare import PAPER_TRIALS
    from knas.search.timed import SECONDS

    if text == "paper":
        return None, PAPER_TRIALS
    if text == "nas-bench-201":
        return SECONDS, None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--budget must be paper, nas-bench-201 or a number of seconds, not {text!r}")
    return seconds, None


class _Progress:
    """One line for each row on stderr."""

    def __init__(self) -> None:
        self._told = ""

    def __call__(self, title: str, done: int, total: int) -> None:
        if title != self._told:
            self._told = title
            typer.echo(f"searching {done}/{total}  {title}", err=True)


def _show(result: Comparison, output: Path | None, as_json: bool) -> None:
    if as_json:
        json.dump(result.to_dict(), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    from knas.report.comparison import print_comparison
    from knas.report.console import console

    print_comparison(console(), result)
    if output is not None:
        typer.echo(f"table    {output}")
