"""`knas-search score`: the scores of given architectures."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knas.cli import options
from knas.cli.architectures import read_file, read_texts
from knas.errors import KnasError, UsageError

if TYPE_CHECKING:
    from knas.runs.record import ScoreRow
    from knas.search.settings import SearchSettings


def command(
    architectures: Annotated[
        list[str] | None, typer.Argument(help="Architectures as text, or their indices in the space.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one architecture or index per line.")] = None,
    space: options.Space = "nas-bench-201",
    dataset: options.Dataset = "digits",
    seed: options.Seed = 0,
    max_train_samples: options.MaxTrainSamples = None,
    proxy: options.Proxy = "knas",
    estimator: options.Estimator = None,
    of: options.Of = None,
    batch_norm: options.BatchNorm = None,
    proxy_option: options.ProxyOption = None,
    score_samples: options.ScoreSamples = 64,
    channels: options.Channels = None,
    cells_per_stage: options.CellsPerStage = None,
    initialization: options.Initialization = None,
    model: options.Model = None,
    connection: options.Connection = None,
    max_length: options.MaxLength = None,
    text_column: options.TextColumn = None,
    device: options.Device = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Score given architectures, untrained, exactly as a search with the same options does."""
    from knas.search.runner import score_all
    from knas.search.settings import SearchSettings

    options.set_threads(threads, dataset)
    settings = SearchSettings(
        space=space,
        dataset=dataset,
        seed=seed,
        proxy=proxy,
        proxy_options=options.proxy_options(
            proxy_option, {"estimator": estimator, "of": of, "batch_norm": batch_norm}
        ),
        score_samples=score_samples,
        max_train_samples=max_train_samples,
        channels=channels,
        cells_per_stage=cells_per_stage,
        initialization=initialization,
        model=model,
        connection=connection,
        max_length=max_length,
        text_columns=None if text_column is None else tuple(text_column),
    ).resolved()
    known = settings.create_space()
    wanted = read_texts(known, architectures or ())
    wanted += [] if file is None else read_file(known, file, "--file")
    if not wanted:
        raise UsageError("give at least one architecture, as text or index, or --file with one per line")
    rows = score_all(known, wanted, settings, device=device)
    _show([known.index(one) for one in wanted], rows, settings, as_json)
    if all(row.value is None for row in rows):
        raise KnasError(f"none of {len(rows)} networks could be scored; the first: {rows[0].reason}")


def _show(indices: Sequence[int], rows: Sequence[ScoreRow], settings: SearchSettings, as_json: bool) -> None:
    if not as_json:
        from knas.report.console import console
        from knas.report.summary import print_scores

        print_scores(console(), list(zip(indices, rows, strict=True)), settings.proxy)
        return
    scores = [
        {"index": index, "architecture": row.architecture, "score": row.value, "seconds": row.seconds}
        | ({"reason": row.reason} if row.reason else {})
        for index, row in zip(indices, rows, strict=True)
    ]
    content = {
        "space": settings.space,
        "dataset": settings.dataset,
        "proxy": settings.proxy,
        "scores": scores,
    }
    json.dump(content, sys.stdout, indent=2)
    sys.stdout.write("\n")
