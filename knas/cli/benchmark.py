"""`knas-search benchmark`: tables of trained architectures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.benchmarks import Benchmark

TOLD = 500
"""Architectures from one line of progress to the next: every 20 seconds or so."""

app = typer.Typer(help="Tables of trained architectures: convert the official file of NAS-Bench-201.")


@app.callback()
def group() -> None:
    """Tables of trained architectures."""


@app.command("import")
def convert(
    file: Annotated[
        Path, typer.Argument(help="The official file of NAS-Bench-201, NAS-Bench-201-v1_1-096897.pth.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="The table, a name in .parquet; that of the file unless given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
) -> None:
    """Convert the official file once, to a small table with a checksum that is read at once.

    No class that the file names is ever imported, and one architecture at a time is held: the 4.7 GB take about a
    quarter of an hour and less than 1 GB of memory.
    """
    from knas.benchmarks import official, parquet
    from knas.ranking.table import check_output

    output = file.with_suffix(".parquet") if output is None else output
    if output.suffix.lower() != ".parquet":
        raise UsageError(f"--output {output} must end in .parquet")
    check_output(output, overwrite=overwrite)
    benchmark = official.read(file, (lambda count: None) if quiet else _tell)
    digest = parquet.write(output, benchmark)
    _show(benchmark, output, digest)


def _tell(count: int) -> None:
    if count % TOLD == 0:
        typer.echo(f"read {count:,} architectures", err=True)


def _show(benchmark: Benchmark, output: Path, digest: str) -> None:
    typer.echo(f"read     {benchmark.architectures:,} of {len(benchmark.space):,} architectures")
    for dataset in benchmark.datasets:
        for epochs in benchmark.budgets(dataset):
            seeds = ", ".join(map(str, benchmark.seeds(dataset, epochs)))
            typer.echo(f"         {dataset} after {epochs} epochs: seeds {seeds}")
    typer.echo(f"table    {output} (SHA-256 of its values {digest})")
