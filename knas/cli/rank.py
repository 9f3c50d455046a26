"""`knas-search rank`: a search space, or a part of it, in the order of its scores."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knas.cli import comparison, options, wanted
from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.ranking.table import Ranking

Run = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the run; the same command on it resumes. Without it, named by the settings."
    ),
]
Output = Annotated[Path | None, typer.Option(help="Write the table: a file that ends in .csv or .parquet.")]
Compact = Annotated[
    bool,
    typer.Option(
        "--compact", help="Write one row for each class of the whole space, in single precision (.parquet)."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output and the figures.")]
Top = Annotated[int, typer.Option(help="Print so many of the best.")]
Precision = Annotated[
    str,
    typer.Option(help="float32, or bfloat16: faster, but not the same ranking.", rich_help_panel="Machine"),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that score; one per core of the CPU, one on a GPU. "
        "Scores don't depend on them beyond float32 rounding.",
        rich_help_panel="Machine",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads of each worker; its share of the cores.", rich_help_panel="Machine"),
]
Proxies = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        help="What scores untrained networks; repeatable, or several with commas. The first one orders. knas.",
        rich_help_panel="Proxy",
    ),
]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Any option of a proxy, as PROXY.NAME=VALUE where several have it; repeatable.",
        rich_help_panel="Proxy",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")]


def command(
    context: typer.Context,
    everything: wanted.Everything = False,
    samples: wanted.Samples = None,
    architectures: wanted.Architectures = None,
    scores: wanted.Scores = None,
    space: options.Space = "nas-bench-201",
    dataset: options.Dataset = "digits",
    seed: options.Seed = 0,
    run: Run = None,
    output: Output = None,
    compact: Compact = False,
    overwrite: Overwrite = False,
    top: Top = 10,
    benchmark: comparison.TableFile = None,
    benchmark_dataset: comparison.TableDataset = None,
    figures: comparison.Figures = None,
    cell: comparison.Cell = None,
    bootstrap: comparison.Bootstrap = 200,
    no_controls: comparison.NoControls = False,
    max_train_samples: options.MaxTrainSamples = None,
    proxy: Proxies = None,
    estimator: options.Estimator = None,
    of: options.Of = None,
    batch_norm: options.BatchNorm = None,
    proxy_option: ProxyOption = None,
    score_samples: options.ScoreSamples = 32,
    channels: options.Channels = None,
    cells_per_stage: options.CellsPerStage = None,
    initialization: options.Initialization = None,
    model: options.Model = None,
    connection: options.Connection = None,
    max_length: options.MaxLength = None,
    text_column: options.TextColumn = None,
    precision: Precision = "float32",
    device: options.Device = None,
    workers: Workers = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Put a search space, or a part of it, in the order of its untrained networks' scores.

    One network of each isomorphism class is scored (6,466 of the 15,625 cells of nas-bench-201), and every
    architecture gets a row. Scores are recorded as they come; the same command goes on where it was stopped.
    """
    from knas import ranking
    from knas.ranking.proxies import assigned
    from knas.ranking.table import check_output

    if top < 0:
        raise UsageError(f"--top must be at least 0, not {top}")
    if output is not None:
        check_output(output, overwrite=overwrite, suffixes=(".parquet",) if compact else None)
    elif compact:
        raise UsageError("--compact is a form of the table: give --output FILE.parquet as well")
    if compact and (samples is not None or architectures is not None):
        raise UsageError("--compact keeps one row for each class of a whole space: give --all or --scores")
    known = options.search_space(space, model)
    chosen = wanted.wanted(context, known, everything, samples, architectures, scores)
    count = wanted.known_count(chosen)
    asked = comparison.asked(
        benchmark,
        benchmark_dataset,
        figures,
        cell,
        bootstrap,
        not no_controls,
        space=space,
        count=count,
        overwrite=overwrite,
    )
    proxies = [name.strip() for text in proxy or ["knas"] for name in text.split(",") if name.strip()]
    named = {"estimator": estimator, "of": of, "batch_norm": batch_norm}
    values = options.proxy_options(proxy_option, {})
    named = {name: value for name, value in named.items() if value is not None}
    with options.interruptible(run), options.watching(quiet or as_json) as watcher:
        if isinstance(chosen, Path):
            result = wanted.recalled(chosen, known)
        else:
            result = ranking.rank(
                chosen,
                space=space,
                dataset=dataset,
                proxy=proxies,
                proxy_options=assigned(proxies, values, named),
                controls=asked is not None and asked.controls,
                score_samples=score_samples,
                seed=seed,
                max_train_samples=max_train_samples,
                channels=channels,
                cells_per_stage=cells_per_stage,
                initialization=initialization,
                model=model,
                connection=connection,
                max_length=max_length,
                text_columns=text_column,
                precision=precision,
                run=run,
                device=device,
                workers=workers,
                threads=threads,
                progress=watcher,
            )
    if output is not None:
        result.write(output, overwrite=overwrite, small=compact)
    _show(result, output, top, as_json)
    content = _content(result, output, top)
    if asked is not None:
        content |= asked.answer(result, seed=seed, cells_per_stage=cells_per_stage, quiet=as_json)
    if as_json:
        json.dump(content, sys.stdout, indent=2)
        sys.stdout.write("\n")


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
        "failures": ranking.failures,
        "top": [row.cells() for row in ranking.best(top)],
        "run": ranking.run,
        "output": None if output is None else str(output),
    }
