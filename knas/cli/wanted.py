"""What `rank` puts in order: the options that say so, of which one must be given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knas.cli.architectures import read_file
from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.ranking.table import Ranking
    from knas.spaces.base import Architecture, SearchSpace

Everything = Annotated[bool, typer.Option("--all", help="Rank the whole space.")]
Samples = Annotated[
    int | None, typer.Option(help="Rank so many, drawn as a search with the same --seed draws them.")
]
Architectures = Annotated[
    Path | None, typer.Option(help="Rank those of a file with one architecture or index per line.")
]
Scores = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Score nothing: take the scores of a table that --output wrote, or of shipped:NAME in the package.",
    ),
]

WITH_SCORES = frozenset(
    (
        "scores",
        "space",
        "seed",
        "output",
        "compact",
        "overwrite",
        "top",
        "quiet",
        "as_json",
        "cells_per_stage",
        "model",
    )
    + ("benchmark", "benchmark_dataset", "figures", "cell", "bootstrap", "no_controls")
)
"""Options that have a meaning where the scores come from a table."""


def wanted(
    context: typer.Context,
    space: SearchSpace,
    everything: bool,
    samples: int | None,
    file: Path | None,
    scores: str | None,
) -> str | int | Sequence[Architecture] | Path:
    """The one of the four options that was given; the path is that of a table of scores.

    Raises:
        UsageError: there is none, or another that has no effect with it, or a file can't be read.
    """
    given = [everything, samples is not None, file is not None, scores is not None]
    if sum(given) != 1:
        names = "--all, --samples N, --architectures FILE or --scores FILE"
        raise UsageError(
            f"give one of {names}, not several" if any(given) else f"nothing to rank: give {names}"
        )
    if scores is not None:
        from knas.ranking.compact import find

        _refuse_scoring(context)
        return find(scores)
    if everything:
        return "all"
    if samples is not None:
        return samples
    assert file is not None
    found = read_file(space, file, "--architectures")
    if not found:
        raise UsageError(f"--architectures {file} holds no architecture")
    return found


def recalled(file: Path, space: SearchSpace) -> Ranking:
    """The ranking of a table of scores.

    Raises:
        UsageError: the file can't be read, or is no such table.
    """
    from knas.ranking.reading import read

    return read(file, space)


def known_count(chosen: str | int | Sequence[Architecture] | Path) -> int | None:
    """How many architectures are to be ranked, where that is known before."""
    if isinstance(chosen, (str, Path)):
        return None
    return chosen if isinstance(chosen, int) else len(set(chosen))


def _refuse_scoring(context: typer.Context) -> None:
    """Refuse options of scoring where nothing is scored."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in WITH_SCORES:
            raise UsageError(f"{parameter.opts[0]} is about scoring: it has no effect with --scores")
