"""The figures of the KNAS paper (arXiv 2111.13293) from a ranking of one's own, as data -> matplotlib figure.

No figure touches matplotlib's global state, and none reads or writes a file but `save`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knas.errors import UsageError
from knas.ranking.measures import Coefficient
from knas.report.agreement import in_title, signed
from knas.report.cell_graph import draw_cell, draw_framework
from knas.runs.atomic import write_atomically
from knas.spaces.nas_bench_201.architecture import CellArchitecture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = NDArray[np.float64]

GROUPS = 4
"""Bars of Figure 1."""

NAMES = ("figure1", "figure2", "figure3", "figure4")
FORMATS = ("svg", "png")
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#555555"


@dataclass(frozen=True)
class Ranked:
    """The ranks of a score beside accuracies.

    Attributes:
        title: the data set.
        score: the proxy's name.
        ranks: [n], 1 for the smallest score.
        accuracies: [n] in per cent.
        measured: what the accuracies are.
        coefficient: Spearman's, of the two.
        paper: the paper's coefficient where it gives one.
    """

    title: str
    score: str
    ranks: Numbers
    accuracies: Numbers
    measured: str
    coefficient: Coefficient
    paper: float | None = None


@dataclass(frozen=True)
class Repeats:
    """Spearman's coefficients of many draws.

    Attributes:
        label: what the score was compared with.
        values: [repeats]; NaN where a draw has none.
        paper: the paper's mean.
    """

    label: str
    values: Numbers
    paper: float


def group_means(ranks: Numbers, accuracies: Numbers, groups: int = GROUPS) -> list[tuple[int, int, float]]:
    """First and last place and the mean accuracy of groups of equal size in the order of ranks, ascending."""
    parts = np.array_split(np.argsort(ranks, kind="stable"), groups)
    ends = np.cumsum([len(part) for part in parts])
    return [
        (int(end) - len(part) + 1, int(end), float(accuracies[part].mean()))
        for part, end in zip(parts, ends, strict=True)
        if len(part)
    ]


def figure1(ranked: Ranked) -> Figure:
    """Figure 1: accuracy over the rank of the score, and its mean in four groups by rank."""
    figure = _figure(9, 3.8)
    points, bars = figure.subplots(1, 2)
    _draw_points(points, ranked)
    groups = group_means(ranked.ranks, ranked.accuracies)
    labels = [f"{first}–{last}" for first, last, _ in groups]
    drawn = bars.bar(labels, [mean for *_, mean in groups], color=BLUE, width=0.7)
    bars.bar_label(drawn, fmt="%.1f", padding=2)
    bars.set_xlabel(f"group by rank of {ranked.score}, smallest first")
    bars.set_ylabel("mean accuracy (%)")
    bars.margins(y=0.12)
    paper = "" if ranked.paper is None else f"; the paper: {ranked.paper:+.2f}"
    figure.suptitle(f"{ranked.title}, {len(ranked.ranks)} cells: {in_title(ranked.coefficient)}{paper}")
    return figure


def figure2(columns: Sequence[Repeats], title: str) -> Figure:
    """Figure 2: the coefficients of many draws, as points and boxes, beside the paper's means."""
    figure = _figure(1.5 + 2.4 * len(columns), 4.2)
    axes = figure.subplots()
    jitter = np.random.default_rng(0)
    for place, one in enumerate(columns):
        values = one.values[np.isfinite(one.values)]
        axes.boxplot(
            [values], positions=[place], widths=0.42, showfliers=False, medianprops={"color": "black"}
        )
        x = place + jitter.uniform(-0.13, 0.13, len(values))
        axes.plot(x, values, "o", color=BLUE, markersize=3.5, alpha=0.6)
        axes.plot([place - 0.36, place + 0.36], [one.paper] * 2, "--", color=ORANGE)
        axes.text(
            place, one.paper + 0.015, f"the paper: {one.paper:.2f}", color=ORANGE, ha="center", va="bottom"
        )
    axes.set_xticks(range(len(columns)), [f"{one.label}\n{_mean(one.values)}" for one in columns])
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.margins(y=0.1)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_ylabel("Spearman's coefficient")
    axes.set_title(title, fontsize=10)
    return figure


def figure3(cells: Sequence[tuple[str, CellArchitecture]], cells_per_stage: int) -> Figure:
    """Figure 3: the network that all cells share, and below it cells with their titles, as graphs."""
    columns = min(len(cells), 2)
    rows = -(-len(cells) // 2)
    figure = _figure(4.5 * max(columns, 2), 0.8 + 2.7 * rows)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[0.25, *[1.0] * rows])
    draw_framework(figure.add_subplot(grid[0, :]), cells_per_stage)
    for place, (title, cell) in enumerate(cells):
        draw_cell(figure.add_subplot(grid[1 + place // 2, place % 2]), cell, title)
    return figure


def figure4(panels: Sequence[Ranked]) -> Figure:
    """Figure 4: accuracy over the rank of the score for several data sets."""
    figure = _figure(4.2 * len(panels), 3.8)
    for axes, ranked in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_points(axes, ranked)
        axes.set_title(f"{ranked.title}: {in_title(ranked.coefficient)}", fontsize=10)
    return figure


def render(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """The files of figures: each as SVG and as PNG, the same bytes for the same data."""
    import matplotlib

    files = {}
    with matplotlib.rc_context({"svg.hashsalt": "knas", "svg.fonttype": "none"}):
        for name, figure in figures.items():
            for kind in FORMATS:
                sink = io.BytesIO()
                metadata = {"Date": None} if kind == "svg" else {}
                figure.savefig(sink, format=kind, dpi=150, metadata=metadata)
                files[f"{name}.{kind}"] = sink.getvalue()
    return files


def save(folder: Path, figures: Mapping[str, Figure]) -> list[Path]:
    """Write figures into a folder, which is made where it is not there; every file is whole or absent.

    All are drawn before the first is written.

    Raises:
        OSError: the folder can't be written in.
    """
    files = render(figures)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Look whether figures can be drawn into a folder, without writing.

    Raises:
        UsageError: matplotlib is missing, the folder is a file or not writable, or holds figures already.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("--figures needs matplotlib: pip install 'knas[figures]'")
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"--figures {folder}: {there} is a file; give the name of a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"--figures {folder}: {there} can't be written in")
    held = [
        name for name in (f"{name}.{kind}" for name in NAMES for kind in FORMATS) if (folder / name).exists()
    ]
    if held and not overwrite:
        raise UsageError(f"--figures {folder} holds {held[0]}; give another folder, or --overwrite")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _mean(values: Numbers) -> str:
    finite = values[np.isfinite(values)]
    return f"mean {signed(float(finite.mean()))}" if len(finite) else "all are equal"


def _draw_points(axes: Axes, ranked: Ranked) -> None:
    axes.plot(ranked.ranks, ranked.accuracies, "o", color=BLUE, markersize=4, alpha=0.6)
    axes.set_xlabel(f"rank of {ranked.score} (1: smallest)")
    axes.set_ylabel(f"{ranked.measured} (%)")
