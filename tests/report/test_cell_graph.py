"""A drawn cell: which edges are there, how they look, and that nothing lies on anything else."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from knas.report.cell_graph import NAMES, draw_cell, draw_framework, middle
from knas.spaces.nas_bench_201.architecture import OPERATIONS, CellArchitecture

figure = pytest.importorskip("matplotlib.figure")
patches = pytest.importorskip("matplotlib.patches")

FULL = CellArchitecture(("nor_conv_3x3", "avg_pool_3x3") * 3)


def drawn(cell: CellArchitecture, title: str = "") -> Any:
    axes = figure.Figure(figsize=(4.5, 2.7)).subplots()
    draw_cell(axes, cell, title)
    axes.figure.canvas.draw()
    return axes


def arrows(axes: Any) -> list[Any]:
    return [one for one in axes.patches if isinstance(one, patches.FancyArrowPatch)]


def labels(axes: Any) -> list[str]:
    return [one.get_text() for one in axes.texts if one.get_text() in NAMES.values()]


def curve(arrow: Any) -> Any:
    """Points [200, 2] of an arrow's line, without its head, in the axes' coordinates."""
    start, control, end = arrow.get_path().vertices[:3]
    t = np.linspace(0, 1, 200)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def test_every_edge_has_its_arrow_and_label() -> None:
    axes = drawn(FULL, "some cell")
    assert labels(axes) == [NAMES[edge.operation] for edge in FULL.edges]
    assert len(arrows(axes)) == 6
    assert axes.get_title() == "some cell"
    assert {one.get_text() for one in axes.texts} >= {"in", "1", "2", "out"}
    assert not any("dashed" in one.get_text() for one in axes.texts)
    for arrow, edge in zip(arrows(axes), FULL.edges, strict=True):
        points = curve(arrow)
        assert points[[0, -1], 0] == pytest.approx([edge.source * 2, edge.target * 2], abs=0.5)


def test_nothing_overlaps() -> None:
    axes = drawn(FULL)
    boxes = [one.get_window_extent() for one in axes.texts]
    assert len(boxes) == 10, "six labels and four nodes"
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


def test_a_label_lies_on_its_own_arc_and_no_other() -> None:
    axes = drawn(FULL)
    curves = [axes.transData.transform(curve(one)) for one in arrows(axes)]
    for number, edge in enumerate(FULL.edges):
        place = axes.transData.transform(middle(edge))
        distances = [np.linalg.norm(curve - place, axis=1).min() for curve in curves]
        assert np.argmin(distances) == number
        assert sorted(distances)[1] > 12, "pixels to the next arc"


def test_none_is_not_drawn_and_what_has_no_effect_is_dashed() -> None:
    cell = CellArchitecture.parse(
        "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|skip_connect~1|avg_pool_3x3~2|"
    )
    axes = drawn(cell)
    assert labels(axes) == ["conv 3×3", "conv 1×1", "skip", "pool 3×3"]
    assert [one.get_linestyle() for one in arrows(axes)] == ["-", "-", "-", "--"]
    assert "dashed: no effect on the output" in {one.get_text() for one in axes.texts}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_can_be_drawn(operation: str) -> None:
    axes = drawn(CellArchitecture((operation,) * 6))
    assert len(arrows(axes)) == len(labels(axes)) == (0 if operation == "none" else 6)


def test_the_framework_names_its_parts_in_order() -> None:
    axes = figure.Figure(figsize=(9, 0.8), layout="constrained").subplots()
    draw_framework(axes, 5)
    axes.figure.canvas.draw()
    names = [one for one in axes.texts if one.get_text()]
    assert [one.get_text() for one in names].count("cell × 5") == 3
    assert [one.get_position()[0] for one in names] == list(range(9))
    boxes = [one.get_window_extent().padded(5) for one in names]  # the box adds 0.4 of 8 points
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
