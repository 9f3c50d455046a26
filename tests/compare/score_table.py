"""A table of scores of all of NAS-Bench-201, as `knas-search rank --all` writes it, with made-up scores."""

from __future__ import annotations

from pathlib import Path

from knas import spaces
from knas.ranking import RankedRow, Ranking
from knas.ranking.table import order

SPACE = spaces.create("nas-bench-201")
SECONDS = 0.5


def rows(proxy: str) -> list[RankedRow]:
    """A class scores the index of what stands for it; the one of index 0 failed."""
    found = []
    for architecture in SPACE:
        stands = SPACE.canonical(architecture)
        index = SPACE.index(stands)
        failed = index == SPACE.index(SPACE.canonical(SPACE.architecture(0)))
        value, reasons = (None, {proxy: "no gradient"}) if failed else (float(index), {})
        text = str(architecture)
        found.append(
            RankedRow(SPACE.index(architecture), text, str(stands), {proxy: value}, reasons, SECONDS)
        )
    return found


def write(path: Path, proxy: str = "mgm") -> Path:
    ordered = order(rows(proxy), proxy)
    Ranking("nas-bench-201", "digits", (proxy,), ordered, run="", measured=0, seconds=0.0).write(path)
    return path
