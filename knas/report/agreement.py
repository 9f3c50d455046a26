"""How a ranking agrees with a table, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from knas.ranking.correlation import PAPER_ACCURACY, PAPER_LOSS, Agreement
from knas.ranking.measures import CHOICE, SHARE, Coefficient
from knas.report.tables import add_row, new_table, say
from knas.report.tally import count

if TYPE_CHECKING:
    from rich.console import Console

TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}
"""How data sets are written."""

DIGITS = {"train_loss": 4, "validation_accuracy": 2, "test_accuracy": 2}
"""Digits after the point of a column's values."""


COLUMNS = {
    "spearman": "Spearman",
    "kendall": "Kendall",
    "ndcg": f"nDCG@{SHARE:.0%}",
    "regret_1": "regret@1",
    "regret_20": "regret@20",
    "first": "first",
    "chosen": f"best of {CHOICE}",
}
"""What is printed of the coefficients; the rest is in the JSON."""

SIGNED = ("spearman", "kendall")
"""Coefficients between -1 and 1."""


def print_agreement(
    console: Console, agreements: Sequence[Agreement], source: str, resamples: int, notes: Sequence[str] = ()
) -> None:
    """Print a block for each data set and column, with a line for each proxy.

    Args:
        console: where to.
        agreements: of one ranking, those of one column after each other.
        source: the table's file.
        resamples: that intervals come from; 0 for no intervals.
        notes: what else is to be said.
    """
    for _, block in groupby(agreements, key=lambda one: (one.target.dataset, one.target.name)):
        _print_block(console, list(block))
    for line in _explanation(agreements, source, resamples):
        say(console, line)
    for note in notes:
        say(console, f"note     {note}")


def _print_block(console: Console, block: Sequence[Agreement]) -> None:
    target = block[0].target
    digits = DIGITS[target.field]
    names = [name for name in COLUMNS if name in block[0].coefficients]
    table = new_table("proxy", *(COLUMNS[name] for name in names))
    for one in block:
        add_row(table, one.proxy, *(_cell(name, one.coefficients.get(name), digits) for name in names))
    best = max(one.optimum for one in block)
    say(console, "")
    say(console, f"{TITLES[target.dataset]}, {target.name}; the best has {best:.{digits}f}")
    console.print(table)


def _cell(name: str, one: Coefficient | None, digits: int) -> str:
    if one is None:
        return ""
    if name not in SIGNED:
        return f"{one.value:.{3 if name == 'ndcg' else digits}f}"
    if math.isnan(one.value) or one.interval is None:
        return signed(one.value)
    low, high = one.interval
    return f"{one.value:+.3f} [{low:+.2f}, {high:+.2f}]"


def _explanation(agreements: Sequence[Agreement], source: str, resamples: int) -> list[str]:
    """What was compared, and what the columns are."""
    most = max(one.architectures + one.left_out for one in agreements)
    left_out = {one.proxy: one.left_out for one in agreements if one.left_out}
    without = "".join(f"; without a finite score of {name}: {number:,}" for name, number in left_out.items())
    lines = ["", f"against  {source}: {count(most, 'architecture')}{without}"]
    if resamples:
        lines.append(f"[95 %]   from {count(resamples, 'resample')} of the isomorphism classes")
    lines.append(
        "regret   what the best of the 1 or 20 highest scores lacks of the best; first: what the highest has"
    )
    epochs = next((one.target.by_epochs for one in agreements), None)
    if epochs is not None:
        lines.append(
            f"best of  of the {CHOICE} highest scores the one with the best validation accuracy after {epochs} epochs"
        )
    return [
        *lines,
        f"paper    Spearman {PAPER_LOSS} with the negative training loss, {PAPER_ACCURACY} with the validation "
        "accuracy (200 cells, CIFAR-100)",
    ]


def plain(agreement: Agreement) -> dict[str, Any]:
    """An agreement as plain values, None for what is not defined."""
    coefficients: dict[str, Any] = {}
    for name, one in agreement.coefficients.items():
        coefficients[name] = _defined(one.value)
        if name in SIGNED:
            coefficients[f"{name}_p"] = _defined(one.p)
        if one.interval is not None:
            coefficients[f"{name}_95"] = list(one.interval)
    return {
        "dataset": agreement.target.dataset,
        "compared_with": agreement.target.name,
        "proxy": agreement.proxy,
        "architectures": agreement.architectures,
        "left_out": agreement.left_out,
        "optimum": agreement.optimum,
        **coefficients,
    }


def signed(value: float) -> str:
    """A coefficient with its sign, or why there is none."""
    return "all are equal" if math.isnan(value) else f"{value:+.3f}"


def probability(p: float | None) -> str:
    """A p-value, short."""
    if p is None or math.isnan(p):
        return "-"
    return "< 1e-300" if p < 1e-300 else f"{p:.1e}" if p < 0.001 else f"{p:.3f}"


def in_title(coefficient: Coefficient) -> str:
    """Spearman's coefficient with its p-value, for a title."""
    if math.isnan(coefficient.value):
        return "no correlation, all are equal"
    p = probability(coefficient.p)
    return f"Spearman {signed(coefficient.value)} (p {p if p.startswith('<') else f'= {p}'})"


def _defined(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
