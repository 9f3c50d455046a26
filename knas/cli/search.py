"""`knas-search` without a subcommand: the main job."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knas.cli import DEBUG, options
from knas.cli.doctor import print_version
from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.runs.result import SearchResult
    from knas.search.settings import SearchSettings


def command(
    context: typer.Context,
    space: options.Space = "nas-bench-201",
    dataset: options.Dataset = "digits",
    algorithm: Annotated[str, typer.Option(help="Search algorithm.")] = "knas",
    algorithm_option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Any option of the algorithm; repeatable."),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Architectures to score.")] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Architectures to train: those with the best scores.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training.")] = None,
    seed: options.Seed = 0,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run; the same command on it resumes. Without it, named by the settings."
        ),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Also train as many at random, for comparison.")
    ] = False,
    max_train_samples: options.MaxTrainSamples = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            help="What scores an untrained network; the algorithm's own, mostly knas.",
            rich_help_panel="Proxy",
        ),
    ] = None,
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
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="Also train the plain pretrained model, for comparison.", rich_help_panel="Text"
        ),
    ] = False,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest; 3e-5, or 2e-5 for rte.", rich_help_panel="Text")
    ] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of steps in which it rises; 0.06.", rich_help_panel="Text")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="0.1.", rich_help_panel="Text")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Samples per training step; 256, or less where there are few; 4 for text.",
            rich_help_panel="Training",
        ),
    ] = None,
    augment: Annotated[
        bool, typer.Option(help="Crop and mirror training images.", rich_help_panel="Training")
    ] = True,
    benchmark: Annotated[
        Path | None,
        typer.Option(
            help="Look up trainings in a table instead, on a simulated clock: a .csv, or what `benchmark import` made.",
            rich_help_panel="Benchmark",
        ),
    ] = None,
    benchmark_dataset: Annotated[
        str | None,
        typer.Option(help="cifar10 (default), cifar100 or imagenet16-120.", rich_help_panel="Benchmark"),
    ] = None,
    score_seconds: Annotated[
        float | None,
        typer.Option(
            help="What a score costs on the simulated clock; what it really takes unless given.",
            rich_help_panel="Benchmark",
        ),
    ] = None,
    device: options.Device = None,
    threads: options.Threads = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: options.AsJson = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where errors come from.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Versions, and the CUDA story."
        ),
    ] = False,
) -> None:
    """Find a neural architecture without training most candidates.

    Draws architectures, scores each untrained by its gradient kernel, and trains the best few.

    Numbers that are not given suit the data set and are printed at the start. The same command resumes.
    """
    if debug:
        os.environ[DEBUG] = "1"
    if context.invoked_subcommand is not None:
        _refuse_early_options(context, context.invoked_subcommand)
        return
    from knas.search.base import find
    from knas.search.settings import SearchSettings

    options.set_threads(threads, dataset)
    named = {"estimator": estimator, "of": of, "batch_norm": batch_norm}
    settings = SearchSettings(
        space=space,
        dataset=dataset,
        algorithm=algorithm,
        algorithm_options=options.named_values(
            "--algorithm-option", algorithm_option, {}, example="seconds=600"
        ),
        samples=samples,
        top_k=top_k,
        epochs=epochs,
        seed=seed,
        proxy=proxy or find(algorithm).proxy,
        proxy_options=options.proxy_options(proxy_option, named),
        score_samples=score_samples,
        max_train_samples=max_train_samples,
        batch_size=batch_size,
        channels=channels,
        cells_per_stage=cells_per_stage,
        initialization=initialization,
        model=model,
        connection=connection,
        max_length=max_length,
        text_columns=None if text_column is None else tuple(text_column),
        learning_rate=learning_rate,
        warmup=warmup,
        weight_decay=weight_decay,
        plain=plain,
        augment=augment,
        control=control,
        benchmark=None if benchmark is None else str(benchmark),
        benchmark_dataset=benchmark_dataset,
        score_seconds=score_seconds,
    ).resolved()
    result = _run(settings, run if run is not None else settings.run_name(), device, quiet=quiet or as_json)
    _show(result, as_json)


def _refuse_early_options(context: typer.Context, subcommand: str) -> None:
    """An option of the main job before a subcommand would do nothing: say so."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name != "debug" and source is not None and source.name == "COMMANDLINE":
            option = "json" if name == "as_json" else name.replace("_", "-")
            raise UsageError(f"--{option} must come after {subcommand!r}, if that command takes it")


def _run(settings: SearchSettings, run: Path, device: str | None, *, quiet: bool) -> SearchResult:
    from knas.search.runner import run_search

    with options.interruptible(run), options.watching(quiet) as watcher:
        return run_search(settings, run, device=device, watcher=watcher)


def _show(result: SearchResult, as_json: bool) -> None:
    if as_json:
        json.dump(result.to_dict(), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    from knas.report.console import console
    from knas.report.summary import print_result

    print_result(console(), result)
