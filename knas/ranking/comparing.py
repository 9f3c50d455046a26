"""All proxies of a ranking beside each other, and beside what they have to beat: sizes of networks, and chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knas.errors import KnasError
from knas.ranking.correlation import Agreement, Scores, Target, compare, expectation
from knas.ranking.resampling import Resamples
from knas.ranking.table import Ranking
from knas.search.base import generator

CONTROLS = ("params", "flops", "layers")
"""Proxies that a ranking is compared with: what a network's size alone tells."""

BOOTSTRAP, SHUFFLE = (3, 0), (3, 1)
"""What tells the random draws of a comparison from others under the same seed."""


@dataclass(frozen=True)
class Comparisons:
    """How all proxies agree with all columns: those of a column after each other; and what is to be said of them."""

    agreements: tuple[Agreement, ...]
    notes: tuple[str, ...]


def comparisons(
    ranking: Ranking, targets: Sequence[Target], *, seed: int = 0, resamples: int = 200, controls: bool = True
) -> Comparisons:
    """Compare each proxy of a ranking, and the controls, with each column.

    Args:
        ranking: the scores.
        targets: the columns.
        seed: of the resamples and of the random order.
        resamples: of isomorphism classes, for the intervals; 0 for no intervals.
        controls: add the number of parameters, where the ranking lacks it; a random order; and what such an order has
            on the average.

    Raises:
        KnasError: no proxy of the ranking has enough finite scores.
    """
    proxies = ranking.proxies
    notes = []
    if controls:
        ranking = _with_parameters(ranking)
        if missing := [name for name in CONTROLS if name not in ranking.proxies]:
            notes.append(f"the scores lack the controls {', '.join(missing)}")
    found: list[Scores] = []
    for name in ranking.proxies:
        try:
            found.append(Scores.of(ranking, name))
        except KnasError as error:
            notes.append(str(error))
    if not any(one.proxy in proxies for one in found):
        raise KnasError(next(note for note in notes if note.startswith("a correlation")))
    drawn = Resamples.draw(ranking.classes, resamples, generator(seed, *BOOTSTRAP)) if resamples else None
    everything = max(found, key=lambda one: len(one.values))
    if controls:
        found.append(everything.shuffled(generator(seed, *SHUFFLE)))
    agreements = []
    for target in targets:
        agreements += [compare(one, target, drawn) for one in found]
        agreements += [expectation(everything, target)] if controls else []
    return Comparisons(tuple(agreements), tuple(notes))


def _with_parameters(ranking: Ranking) -> Ranking:
    """The ranking with the number of parameters as a proxy, counted without building anything."""
    from knas import spaces

    if CONTROLS[0] in ranking.proxies:
        return ranking
    space = spaces.create(ranking.space)
    sizes = {row.index: float(space.parameters(space.architecture(row.index))) for row in ranking.rows}
    return ranking.with_scores(CONTROLS[0], sizes)
