"""The options of `rank` that compare its scores with a table: checked before a ranking starts, answered after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knas.cli.architectures import read_texts
from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.ranking.correlation import Target
    from knas.ranking.table import Ranking

PANEL = "Comparison with a table"

TableFile = Annotated[
    Path | None,
    typer.Option(
        "--benchmark",
        help="Print how the scores agree with this table's accuracies: a .csv, or what `benchmark import` made.",
        rich_help_panel=PANEL,
    ),
]
TableDataset = Annotated[
    list[str] | None,
    typer.Option(
        "--benchmark-dataset",
        help="cifar10, cifar100 or imagenet16-120; repeatable. All that the table holds.",
        rich_help_panel=PANEL,
    ),
]
Figures = Annotated[
    Path | None, typer.Option(help="Folder for the paper's Figures 1 to 4.", rich_help_panel=PANEL)
]
Cell = Annotated[
    list[str] | None,
    typer.Option(help="Cell of Figure 3, as text or index; repeatable. The best two.", rich_help_panel=PANEL),
]
Bootstrap = Annotated[
    int,
    typer.Option(
        help="Resamples of isomorphism classes that the intervals come from; 0 for no intervals.",
        rich_help_panel=PANEL,
    ),
]
NoControls = Annotated[
    bool,
    typer.Option(
        "--no-controls",
        help="Compare without the sizes of the networks and a random order.",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True)
class Comparison:
    """What was asked for, checked.

    Attributes:
        source: the table's file.
        targets: its columns by data set.
        figures: the folder to draw into.
        cells: of Figure 3; none for the best.
        bootstrap: resamples; 0 for no intervals.
        controls: whether sizes and a random order stand beside the proxies.
    """

    source: str
    targets: Mapping[str, Sequence[Target]]
    figures: Path | None
    cells: Sequence[Any]
    bootstrap: int
    controls: bool

    def answer(
        self, ranking: Ranking, *, seed: int, cells_per_stage: int | None, quiet: bool
    ) -> dict[str, Any]:
        """Print the agreement, unless told to be quiet, and draw the figures.

        Returns:
            The same as plain values.

        Raises:
            KnasError: too few scores are finite, or the folder can't be written in any more.
        """
        from knas.ranking.comparing import comparisons
        from knas.report.agreement import plain, print_agreement
        from knas.report.console import console

        columns = [target for columns in self.targets.values() for target in columns]
        found = comparisons(ranking, columns, seed=seed, resamples=self.bootstrap, controls=self.controls)
        if not quiet:
            print_agreement(console(), found.agreements, self.source, self.bootstrap, found.notes)
        content: dict[str, Any] = {
            "benchmark": self.source,
            "resamples": self.bootstrap,
            "agreement": [plain(one) for one in found.agreements],
            "notes": list(found.notes),
        }
        if self.figures is None:
            return content
        lines, files = self._draw(self.figures, ranking, seed, cells_per_stage or 5)
        if not quiet:
            for line in lines:
                typer.echo(line)
        return {**content, "figures": files}

    def _draw(
        self, folder: Path, ranking: Ranking, seed: int, cells_per_stage: int
    ) -> tuple[list[str], list[str]]:
        """Draw the figures; what is to be said, and their files."""
        from knas.report.figures import save
        from knas.report.paper_figures import draw

        drawing = draw(ranking, self.targets, self.cells, seed, cells_per_stage)
        files = [str(path) for path in save(folder, drawing.figures)]
        said = f"figures  {folder}: {', '.join(drawing.figures)} (.svg and .png)"
        return [*(f"note     {note}" for note in drawing.notes), said], files


def asked(
    benchmark: Path | None,
    datasets: Sequence[str] | None,
    figures: Path | None,
    cell: Sequence[str] | None,
    bootstrap: int = 200,
    controls: bool = True,
    *,
    space: str,
    count: int | None,
    overwrite: bool,
) -> Comparison | None:
    """Check the options.

    Args:
        benchmark: the table's file; None for no comparison.
        datasets: some of those that it holds; None for all.
        figures: the folder to draw into.
        cell: the cells of Figure 3.
        bootstrap: resamples.
        controls: whether sizes and a random order stand beside the proxies.
        space: of the ranking.
        count: architectures that are to be ranked, where that is known.
        overwrite: replace figures.

    Raises:
        UsageError: an option lacks another that it needs, or can't be answered.
    """
    for option, value in (("--benchmark-dataset", datasets), ("--figures", figures)):
        if value and benchmark is None:
            raise UsageError(f"{option} needs a table: give --benchmark FILE as well")
    if cell and figures is None:
        raise UsageError("--cell names a cell of Figure 3: give --figures FOLDER as well")
    if bootstrap < 0:
        raise UsageError(f"--bootstrap must be a whole number of at least 0, not {bootstrap}")
    if benchmark is None:
        return None
    from knas import benchmarks, spaces
    from knas.ranking.correlation import FEWEST, targets

    if count is not None and count < FEWEST:
        raise UsageError(f"--benchmark needs at least {FEWEST} architectures to compare, not {count}")
    if figures is not None:
        from knas.report.figures import check_folder

        check_folder(figures, overwrite=overwrite)
    ranked = spaces.create(space)
    cells = read_texts(ranked, cell or ())
    table = benchmarks.load(benchmark)
    if table.space.name != ranked.name:
        raise UsageError(f"--benchmark {benchmark} holds architectures of {table.space.name}, not of {space}")
    columns = {name: targets(table, name) for name in dict.fromkeys(datasets or table.datasets)}
    return Comparison(table.source, columns, figures, cells, bootstrap, controls)
