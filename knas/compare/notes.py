"""What a reader of the table must know: the choices behind it, and where it does not agree with the paper."""

from __future__ import annotations

from collections.abc import Iterator

from knas.compare.comparison import Comparison, Entry
from knas.compare.systems import CONTROLS, System

STDS = 2.0
"""A mean that is further from the paper's number than so many standard deviations is told."""

FACTOR = 2.0
"""A speed-up that is further from the paper's than this factor is told."""


def notes(comparison: Comparison) -> tuple[str, ...]:
    """All lines, choices first."""
    return (
        *_choices(comparison),
        *_speed(comparison),
        *_controls(comparison),
        *_accuracies(comparison),
    )


def _choices(comparison: Comparison) -> Iterator[str]:
    settings = comparison.settings
    epochs = settings["epochs"]
    yield (
        f"budget: {settings['budget']} for RS, RL, REA and BOHB on each data set (the paper's times are those of 100 "
        "trials; NAS-Bench-201's own comparison gives 12,000 seconds)"
    )
    yield (
        f"trainings of a search: {epochs} epochs; the paper says 20 for KNAS"
        + (", which the table does not hold" if epochs != 20 else "")
    )
    finals = sorted(set(settings["final_epochs"].values()))
    first, last = settings["seeds"][0], settings["seeds"][-1]
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    yield (
        f"accuracy: test, of the found cell, after {' or '.join(map(str, finals))} epochs in the table; mean and "
        f"standard deviation over {seeds}"
    )
    for system, entries in _rows(comparison):
        count = max(len(entry.accuracies) for entry in entries)
        if system.algorithm is not None and count not in (0, len(settings["seeds"])):
            yield f"{system.title}: of {count} finished run{'s' if count > 1 else ''}"
    for proxy, table in settings["scores"].items():
        told = "as its table tells" if settings["score_seconds"] is None else "stated"
        failed = (
            f", {table['failed']:,} class{'es' if table['failed'] > 1 else ''} failed"
            if table["failed"]
            else ""
        )
        yield f"scores {proxy}: {table['file']}, the same for every data set, seconds {told}{failed}"


def _speed(comparison: Comparison) -> Iterator[str]:
    """The paper's speed-ups against ours, where they differ much."""
    if any(entry.time for entry in _all(comparison) if entry.system.name.startswith("knas-")):
        yield (
            "time: the paper counts 2,160 s for a training of random search (CIFAR-10) and 4.4K s for 20 trainings of "
            "KNAS, about a tenth each, as 20 of 200 epochs would take; here both train equally long, so that KNAS "
            "saves no more than the trainings that it does not make"
        )
    if any("measured" in entry.source for entry in _all(comparison)):
        yield (
            "measured seconds are those of the machine that ran the networks, the table's are its authors': their "
            "quotient tells the order of magnitude at best"
        )
    for system, entries in _rows(comparison):
        told = [
            f"{ours:.2f}x on {entry.dataset} (the paper: {theirs:g}x)"
            for entry in entries
            if (ours := comparison.speed_up(entry))
            and (theirs := entry.published.speed_up)
            and entry.source.startswith("simulated")
            and not 1 / FACTOR <= ours / theirs <= FACTOR
        ]
        if told:
            yield f"{system.title}: as fast as random search times {', '.join(told)}"


def _controls(comparison: Comparison) -> Iterator[str]:
    """Whether KNAS beats what it has to beat."""
    for system, entries in _rows(comparison):
        for name in CONTROLS.get(system.name, ()):
            told = [
                f"{control.mean - entry.mean:.2f} on {entry.dataset}"
                for entry in entries
                if (control := comparison.entry(name, entry.dataset)).mean is not None
                and entry.mean is not None
                and entry.mean <= control.mean
            ]
            if told:
                title = comparison.entry(name, entries[0].dataset).system.title
                yield f"{system.title}: below the control '{title}' by {', '.join(told)}"


def _accuracies(comparison: Comparison) -> Iterator[str]:
    for entry in _all(comparison):
        ours, theirs = entry.mean, entry.published.accuracy
        if ours is None or theirs is None:
            continue
        difference = ours - theirs
        way = "above" if difference > 0 else "below"
        told = f"{_name(entry)}: {ours:.2f}, {abs(difference):.2f} {way} the paper's {theirs:.2f}"
        if entry.std and abs(difference) > STDS * entry.std:
            yield f"{told}, {abs(difference) / entry.std:.1f} standard deviations"
        elif entry.system.algorithm is None and abs(difference) > 0.005:
            yield f"{told}, in this table"


def _rows(comparison: Comparison) -> Iterator[tuple[System, tuple[Entry, ...]]]:
    """Every row with its entries by data set."""
    for entries in zip(*comparison.entries.values(), strict=True):
        yield entries[0].system, entries


def _all(comparison: Comparison) -> Iterator[Entry]:
    """Every entry, row by row."""
    for _, entries in _rows(comparison):
        yield from entries


def _name(entry: Entry) -> str:
    return f"{entry.system.title} on {entry.dataset}"
