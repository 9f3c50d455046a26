"""The application: which commands there are. Commands import the package only once they run."""

from __future__ import annotations

import typer

from knas.cli import benchmark, compare, doctor, rank, score, search

app = typer.Typer(
    name="knas-search",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(invoke_without_command=True)(search.command)
app.command("score")(score.command)
app.command("rank")(rank.command)
app.command("compare")(compare.command)
app.add_typer(benchmark.app, name="benchmark")
app.command("doctor")(doctor.command)
