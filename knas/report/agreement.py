"""How a ranking agrees with a table, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from knas.ranking.correlation import MEASURES, PAPER_ACCURACY, PAPER_LOSS, Agreement, Coefficient
from knas.report.tables import add_row, new_table, say
from knas.report.tally import count

if TYPE_CHECKING:
    from rich.console import Console

TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}
"""How data sets are written."""


def print_agreement(console: Console, agreements: Sequence[Agreement], source: str) -> None:
    """Print the coefficients for each data set and column, beside the paper's.

    Args:
        console: where to.
        agreements: of one ranking.
        source: the table's file.
    """
    columns = [text for name in MEASURES for text in (name.capitalize(), "p")]
    table = new_table("data set", "compared with", *columns)
    for one in agreements:
        numbers = [
            text
            for name in MEASURES
            for text in (signed(one.coefficients[name].value), probability(one.coefficients[name].p))
        ]
        add_row(table, TITLES[one.target.dataset], one.target.name, *numbers)
    say(console, "")
    console.print(table)
    say(console, "")
    first = agreements[0]
    left_out = f", {first.left_out} without a finite score left out" if first.left_out else ""
    say(console, f"against  {source}: {count(first.architectures, 'architecture')}{left_out}; p is two-sided")
    say(
        console,
        f"paper    Spearman {PAPER_LOSS} with the negative training loss, {PAPER_ACCURACY} with the validation "
        "accuracy (200 cells, CIFAR-100)",
    )


def plain(agreement: Agreement) -> dict[str, Any]:
    """An agreement as plain values, None for what is not defined."""
    coefficients: dict[str, Any] = {}
    for name, one in agreement.coefficients.items():
        coefficients |= {name: _defined(one.value), f"{name}_p": _defined(one.p)}
    return {
        "dataset": agreement.target.dataset,
        "compared_with": agreement.target.name,
        "architectures": agreement.architectures,
        "left_out": agreement.left_out,
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
