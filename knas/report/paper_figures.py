"""Which data goes into the paper's figures: draws from a ranking, beside the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knas.ranking.correlation import Scores, Target, ranks, repeated
from knas.ranking.measures import spearman
from knas.ranking.table import Ranking
from knas.report.agreement import TITLES
from knas.report.figures import Ranked, Repeats, figure1, figure2, figure3, figure4
from knas.search.base import generator
from knas.spaces import create
from knas.spaces.nas_bench_201.architecture import CellArchitecture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS = 200
"""Architectures in each of the paper's samples."""

REPEATS = 50
"""Samples in Figure 2."""

FOUND = 2
"""Cells in Figure 3."""

PAPER_DATASET = "cifar100"
"""The data set of Figures 1 and 2."""

SAMPLE, DRAWS = (2, 0), (2, 1)
"""What tells the random draws of figures from others under the same seed."""

Targets = Mapping[str, Sequence[Target]]
"""By data set, what a score is compared with; the last is the accuracy."""


@dataclass(frozen=True)
class Drawing:
    """Figures by name, and what is to be said about those that could not be drawn."""

    figures: Mapping[str, Figure]
    notes: tuple[str, ...]


def draw(
    ranking: Ranking, targets: Targets, cells: Sequence[CellArchitecture], seed: int, cells_per_stage: int
) -> Drawing:
    """Draw Figures 1 to 4 of the paper.

    Figures 1 and 4 show a sample of `CELLS` architectures of the ranking, Figure 2 `REPEATS` such samples, which
    needs a ranking of more. Figures 1 and 2 are about CIFAR-100 where that was asked for, else the first data set.

    Args:
        ranking: what was scored.
        targets: by data set.
        cells: of Figure 3; none takes the best of the ranking.
        seed: of the draws.
        cells_per_stage: of the networks.

    Raises:
        KnasError: there are too few finite scores.
    """
    scores = Scores.of(ranking)
    proxy = ranking.proxies[0]
    sample = scores.drawn(CELLS, generator(seed, *SAMPLE))
    panels = {name: _ranked(sample, columns[-1], proxy) for name, columns in targets.items()}
    main = PAPER_DATASET if PAPER_DATASET in targets else next(iter(targets))
    found: dict[str, Any] = {"figure1": figure1(panels[main])}
    notes = []
    size = len(scores.values)
    if size > CELLS:
        rng = generator(seed, *DRAWS)
        columns = [
            Repeats(one.name.replace(", ", "\n"), repeated(scores, one, rng, REPEATS, CELLS), one.paper)
            for one in targets[main]
        ]
        title = f"{proxy} on {TITLES[main]}: {REPEATS} draws of {CELLS} from {size:,} cells"
        found["figure2"] = figure2(columns, title)
    else:
        notes.append(
            f"figure 2 needs more than {CELLS} scored architectures to draw from, there are {size}: it is left out"
        )
    chosen = _found(ranking, cells, targets)
    found["figure3"] = figure3(chosen, cells_per_stage)
    found["figure4"] = figure4(list(panels.values()))
    return Drawing(found, tuple(notes))


def _ranked(sample: Scores, target: Target, proxy: str) -> Ranked:
    values = target.values[sample.indices]
    return Ranked(
        TITLES[target.dataset],
        proxy,
        ranks(sample),
        values,
        target.name,
        spearman(sample.values, values),
        target.paper if target.dataset == PAPER_DATASET else None,
    )


def _found(
    ranking: Ranking, cells: Sequence[CellArchitecture], targets: Targets
) -> list[tuple[str, CellArchitecture]]:
    """The cells of Figure 3, each with its name and its accuracies."""
    space = create(ranking.space)
    chosen = [(f"cell {space.index(cell)}", cell) for cell in cells]
    for place, row in enumerate(() if cells else ranking.best(FOUND), start=1):
        name = f"number {place} of {len(ranking.rows):,} by {ranking.proxies[0]}: cell {row.index}"
        chosen.append((name, CellArchitecture.parse(row.architecture)))
    return [(f"{title}\n{_accuracies(space.index(cell), targets)}", cell) for title, cell in chosen]


def _accuracies(index: int, targets: Targets) -> str:
    return ", ".join(f"{TITLES[name]} {columns[-1].values[index]:.2f} %" for name, columns in targets.items())
