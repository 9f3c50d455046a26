"""`knas-search rank`: a search space, or a part of it, in the order of its scores."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knas.cli import comparison, options
from knas.cli.architectures import read_file
from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.ranking.table import Ranking
    from knas.spaces.base import Architecture

WITH_SCORES = frozenset(
    ("scores", "space", "seed", "output", "overwrite", "top", "quiet", "as_json", "cells_per_stage")
    + ("benchmark", "benchmark_dataset", "figures", "cell")
)
"""Options that have a meaning where the scores come from a table."""


def command(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Rank the whole space.")] = False,
    samples: Annotated[
        int | None, typer.Option(help="Rank so many, drawn as a search with the same --seed draws them.")
    ] = None,
    architectures: Annotated[
        Path | None, typer.Option(help="Rank those of a file with one architecture or index per line.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Rank nothing: take the scores of a table that --output wrote.")
    ] = None,
    space: options.Space = "nas-bench-201",
    dataset: options.Dataset = "digits",
    seed: options.Seed = 0,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run; the same command on it resumes. Without it, named by the settings."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the table: a file that ends in .csv or .parquet.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output and the figures.")
    ] = False,
    top: Annotated[int, typer.Option(help="Print so many of the best.")] = 10,
    benchmark: comparison.TableFile = None,
    benchmark_dataset: comparison.TableDataset = None,
    figures: comparison.Figures = None,
    cell: comparison.Cell = None,
    max_train_samples: options.MaxTrainSamples = None,
    proxy: options.Proxy = "mgm",
    estimator: options.Estimator = None,
    of: options.Of = None,
    batch_norm: options.BatchNorm = None,
    proxy_option: options.ProxyOption = None,
    score_samples: options.ScoreSamples = 32,
    channels: options.Channels = 16,
    cells_per_stage: options.CellsPerStage = 5,
    initialization: options.Initialization = "kaiming",
    precision: Annotated[
        str,
        typer.Option(
            help="float32, or bfloat16: faster, but not the same ranking.", rich_help_panel="Machine"
        ),
    ] = "float32",
    device: options.Device = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that score; one per core of the CPU, one on a GPU. "
            "Scores don't depend on them beyond float32 rounding.",
            rich_help_panel="Machine",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of each worker; its share of the cores.", rich_help_panel="Machine"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Put a search space, or a part of it, in the order of its untrained networks' scores.

    One network of each isomorphism class is scored (6,466 of the 15,625 cells of nas-bench-201), and every
    architecture gets a row. Scores are recorded as they come; the same command goes on where it was stopped.
    """
    from knas import ranking
    from knas.ranking.table import check_output

    if top < 0:
        raise UsageError(f"--top must be at least 0, not {top}")
    if output is not None:
        check_output(output, overwrite=overwrite)
    wanted = _wanted(space, everything, samples, architectures, scores)
    if scores is not None:
        _refuse_scoring(context)
    asked = comparison.asked(
        benchmark, benchmark_dataset, figures, cell, space=space, count=_count(wanted), overwrite=overwrite
    )
    named = {"estimator": estimator, "of": of, "batch_norm": batch_norm}
    with options.interruptible(run), options.watching(quiet or as_json) as watcher:
        result = (
            _recalled(wanted, space)
            if isinstance(wanted, Path)
            else ranking.rank(
                wanted,
                space=space,
                dataset=dataset,
                proxy=proxy,
                proxy_options=options.proxy_options(proxy_option, named),
                score_samples=score_samples,
                seed=seed,
                max_train_samples=max_train_samples,
                channels=channels,
                cells_per_stage=cells_per_stage,
                initialization=initialization,
                precision=precision,
                run=run,
                device=device,
                workers=workers,
                threads=threads,
                progress=watcher,
            )
        )
    if output is not None:
        result.write(output, overwrite=overwrite)
    _show(result, output, top, as_json)
    content = _content(result, output, top)
    if asked is not None:
        content |= asked.answer(result, seed=seed, cells_per_stage=cells_per_stage, quiet=as_json)
    if as_json:
        json.dump(content, sys.stdout, indent=2)
        sys.stdout.write("\n")


def _wanted(
    space: str, everything: bool, samples: int | None, file: Path | None, scores: Path | None
) -> str | int | Sequence[Architecture] | Path:
    """The one of the four options that was given; the path is that of a table of scores."""
    given = [everything, samples is not None, file is not None, scores is not None]
    if sum(given) != 1:
        names = "--all, --samples N, --architectures FILE or --scores FILE"
        raise UsageError(
            f"give one of {names}, not several" if any(given) else f"nothing to rank: give {names}"
        )
    if scores is not None:
        return scores
    if everything:
        return "all"
    if samples is not None:
        return samples
    assert file is not None
    from knas import spaces

    found = read_file(spaces.create(space), file, "--architectures")
    if not found:
        raise UsageError(f"--architectures {file} holds no architecture")
    return found


def _refuse_scoring(context: typer.Context) -> None:
    """Refuse options of scoring where nothing is scored."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in WITH_SCORES:
            raise UsageError(f"{parameter.opts[0]} is about scoring: it has no effect with --scores")


def _recalled(file: Path, space: str) -> Ranking:
    from knas import spaces
    from knas.ranking.reading import read

    return read(file, spaces.create(space))


def _count(wanted: str | int | Sequence[Architecture] | Path) -> int | None:
    """How many architectures are to be ranked, where that is known before."""
    if isinstance(wanted, (str, Path)):
        return None
    return wanted if isinstance(wanted, int) else len(set(wanted))


def _show(ranking: Ranking, output: Path | None, top: int, as_json: bool) -> None:
    if as_json:
        return
    from knas.report.console import console
    from knas.report.summary import print_ranking

    print_ranking(console(), ranking, top)
    if output is not None:
        typer.echo(f"table    {output}")


def _content(ranking: Ranking, output: Path | None, top: int) -> dict[str, Any]:
    """What is printed as JSON."""
    return {
        "space": ranking.space,
        "dataset": ranking.dataset,
        "proxies": list(ranking.proxies),
        "architectures": len(ranking.rows),
        "classes": ranking.classes,
        "failed": ranking.failed,
        "top": [row.cells() for row in ranking.best(top)],
        "run": ranking.run,
        "output": None if output is None else str(output),
    }
