"""A cell of NAS-Bench-201 as a graph: nodes on a line, edges as arcs that never cross, each with its label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from knas.spaces.nas_bench_201.architecture import NODES, CellArchitecture, Edge

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Circle

NAMES = {
    "skip_connect": "skip",
    "nor_conv_1x1": "conv 1×1",
    "nor_conv_3x3": "conv 3×3",
    "avg_pool_3x3": "pool 3×3",
}
COLORS = {
    "skip_connect": "#7a7a7a",
    "nor_conv_1x1": "#0072b2",
    "nor_conv_3x3": "#d55e00",
    "avg_pool_3x3": "#009e73",
}
"""Colours that the color-blind can tell apart (Okabe and Ito), and grey for what has no weights and no effect."""

SPACING = 2.0
HEIGHTS = {1: 0.0, 2: 0.85, 3: 1.7}
"""How far the middle of an arc lies from the line of nodes, by how many nodes it spans."""

RADIUS = 0.22


def draw_cell(axes: Axes, cell: CellArchitecture, title: str = "") -> None:
    """Draw a cell: node 0 is its input, node 3 its output; every node is the sum of what comes in.

    Edges with `none` are left out. Those that have no effect on the output, since nothing but `none` leads to them
    or on from them, are dashed.

    Args:
        axes: what to draw on; its limits and its frame are set.
        cell: the cell.
        title: written above it.
    """
    dead = cell.dead_edges()
    nodes = [_draw_node(axes, node * SPACING, name) for node, name in enumerate(("in", "1", "2", "out"))]
    for position, edge in enumerate(cell.edges):
        if edge.operation != "none":
            _draw_edge(axes, edge, nodes, dead=position in dead)
    if any(cell.operations[position] != "none" for position in dead):
        axes.text(NODES * SPACING / 2 - 1, -1.15, "dashed: no effect on the output", fontsize=7, ha="center")
    axes.set_xlim(-0.4, (NODES - 1) * SPACING + 0.4)
    axes.set_ylim(-1.25, 1.95)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)


def middle(edge: Edge) -> tuple[float, float]:
    """The middle of an edge's arc: above the nodes, but below them from node 1 to the output, where 0 to 2 is above."""
    height = HEIGHTS[edge.target - edge.source]
    return (edge.source + edge.target) / 2 * SPACING, -height if edge[:2] == (1, 3) else height


def draw_framework(axes: Axes, cells_per_stage: int) -> None:
    """Draw what all networks share: where the cell goes, from the images to the classes."""
    stage = f"cell × {cells_per_stage}"
    halving = "residual block,\nstride 2"
    names = ("image", "conv 3×3", stage, halving, stage, halving, stage, "global average\npooling", "classes")
    boxes = []
    for place, name in enumerate(names):
        color = "#f0e442" if name == stage else "#eeeeee"
        box = {"boxstyle": "round,pad=0.4", "facecolor": color, "edgecolor": "black", "linewidth": 0.8}
        text = axes.text(place, 0, name, fontsize=8, ha="center", va="center", bbox=box, zorder=2)
        boxes.append(text.get_bbox_patch())
    for place in range(1, len(names)):
        ends = {"patchA": boxes[place - 1], "patchB": boxes[place]}
        arrow = {"arrowstyle": "-|>", "color": "black", **ends}
        axes.annotate("", xy=(place, 0), xytext=(place - 1, 0), arrowprops=arrow)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(-0.8, 0.8)
    axes.set_axis_off()


def _draw_edge(axes: Axes, edge: Edge, nodes: Sequence[Circle], *, dead: bool) -> None:
    from matplotlib.patches import FancyArrowPatch

    x, y = middle(edge)
    length = (edge.target - edge.source) * SPACING
    color = COLORS[edge.operation]
    arrow = FancyArrowPatch(
        nodes[edge.source].center,
        nodes[edge.target].center,
        patchA=nodes[edge.source],
        patchB=nodes[edge.target],
        # the control point of "arc3" is twice as far from the chord as the arc's middle, and below it for rad > 0
        connectionstyle=f"arc3,rad={-2 * y / length}",
        arrowstyle="-|>",
        mutation_scale=12,
        shrinkA=0,
        shrinkB=1,
        color=color,
        linewidth=1.6,
        linestyle="--" if dead else "-",
        zorder=1,
    )
    axes.add_patch(arrow)
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    axes.text(
        x, y, NAMES[edge.operation], color=color, fontsize=8, ha="center", va="center", bbox=box, zorder=2
    )


def _draw_node(axes: Axes, x: float, name: str) -> Circle:
    from matplotlib.patches import Circle

    node = Circle((x, 0), RADIUS, facecolor="#f0e442", edgecolor="black", zorder=3)
    axes.add_patch(node)
    axes.text(x, 0, name, fontsize=8, ha="center", va="center", zorder=4)
    return node
