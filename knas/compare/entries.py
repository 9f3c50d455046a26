"""The rows of a comparison, from searches on the table or from finished runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knas.compare.comparison import Entry
from knas.compare.finished import Finished
from knas.compare.paper import NOTHING, TABLE_1, Published
from knas.compare.searches import Found
from knas.compare.systems import TABLES, System
from knas.compare.tabular import Tabular


def looked_up(
    system: System, dataset: str, found: Iterable[Found], tabular: Tabular, seconds_are: str
) -> Entry:
    """A row on one data set, from searches on the table.

    Args:
        system: the row.
        dataset: of the table.
        found: every search that was carried out, of this row and others.
        tabular: where.
        seconds_are: what the seconds of a training are, in words.
    """
    benchmark, epochs = tabular.benchmark, tabular.final(dataset)
    held = [one for one in found if (one.task.system, one.task.dataset) == (system.name, dataset)]
    entries = [benchmark.query(benchmark.space.parse(one.architecture), dataset, epochs) for one in held]
    return Entry(
        system,
        dataset,
        tuple(entry.test_accuracy for entry in entries if entry.test_accuracy is not None),
        tuple(one.seconds for one in held) if system.algorithm else (),
        _source(system, tabular, seconds_are),
        published=_published(system, dataset),
    )


def _source(system: System, tabular: Tabular, seconds_are: str) -> str:
    """What the seconds of a row are, in words."""
    if system.algorithm is None:
        return ""
    stated = tabular.score_seconds
    scores = "scores measured" if stated is None else f"scores stated, {stated:g} s each"
    if system.scores == "naswot":
        return scores
    simulated = f"simulated: {seconds_are}"
    return f"{simulated}; {scores}" if system.scores in TABLES else simulated


def of_runs(system: System, dataset: str, finished: Sequence[Finished]) -> Entry:
    """A row on one data set, from runs that searched on it, or else from those on another.

    Args:
        system: the row.
        dataset: of the table.
        finished: every run that was given, of this row and others.
    """
    own = [one for one in finished if one.system == system.name]
    searched_on = dataset if any(one.dataset == dataset for one in own) or not own else own[0].dataset
    held = [one for one in own if one.dataset == searched_on]
    return Entry(
        system,
        dataset,
        tuple(one.accuracies[dataset] for one in held),
        tuple(one.seconds for one in held),
        "; ".join(dict.fromkeys(_told(one) for one in held)),
        None if searched_on == dataset else searched_on,
        _published(system, dataset),
    )


def _told(one: Finished) -> str:
    """What its seconds are, of which images, and with which settings."""
    images = "" if one.images is None else f", on images of {one.images}"
    return f"{one.source}{images}" + (f" ({one.options})" if one.options else "")


def _published(system: System, dataset: str) -> Published:
    return TABLE_1.get(system.name, {}).get(dataset, NOTHING)
