"""The figures by the data in them, and their files."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knas import spaces
from knas.errors import UsageError
from knas.ranking import RankedRow, Ranking
from knas.ranking.correlation import Coefficient, Target, spearman
from knas.report import figures
from knas.report.figures import Ranked, Repeats, check_folder, group_means, save
from knas.report.paper_figures import draw

pytest.importorskip("matplotlib")

SPACE = spaces.create("nas-bench-201")
ACCURACIES = np.linspace(20, 70, len(SPACE)) + np.random.default_rng(0).normal(scale=5, size=len(SPACE))


def ranked(**others: Any) -> Ranked:
    values = {
        "title": "CIFAR-100",
        "score": "mgm",
        "ranks": np.array([2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0]),
        "accuracies": np.arange(8.0),
        "measured": "test accuracy, 200 epochs",
        "coefficient": Coefficient(0.91, 0.002),
        "paper": 0.56,
    }
    return Ranked(**{**values, **others})


def ranking(size: int) -> Ranking:
    """A ranking by index, whose first row is that of the last cell."""
    rows = []
    for index in range(size - 1, -1, -1):
        cell = SPACE.architecture(index)
        rows.append(RankedRow(index, str(cell), str(SPACE.canonical(cell)), {"mgm": float(index)}, {}, 0.1))
    return Ranking("nas-bench-201", "digits", ("mgm",), tuple(rows), "runs/x", size, 1.0)


def columns(*names: str) -> dict[str, tuple[Target, ...]]:
    return {
        name: (
            Target(name, "validation_accuracy", 12, ACCURACIES + 1, 0.53),
            Target(name, "test_accuracy", 200, ACCURACIES, 0.56),
        )
        for name in names
    }


def test_figure_1_shows_points_and_group_means() -> None:
    figure = figures.figure1(ranked())
    points, bars = figure.axes
    assert points.lines[0].get_xydata().tolist() == [
        list(pair) for pair in zip(ranked().ranks, range(8), strict=True)
    ]
    assert [bar.get_height() for bar in bars.patches] == [0.5, 2.5, 4.5, 6.5]
    assert [text.get_text() for text in bars.get_xticklabels()] == ["1–2", "3–4", "5–6", "7–8"]
    assert [text.get_text() for text in bars.texts] == ["0.5", "2.5", "4.5", "6.5"]
    assert figure.get_suptitle() == "CIFAR-100, 8 cells: Spearman +0.910 (p = 0.002); the paper: +0.56"
    assert points.get_ylabel() == "test accuracy, 200 epochs (%)"


def test_groups_follow_the_rank_and_cover_everything() -> None:
    ranks, accuracies = np.array([3.0, 1.0, 5.0, 2.0, 4.0]), np.array([30.0, 10.0, 50.0, 20.0, 40.0])
    assert group_means(ranks, accuracies) == [(1, 2, 15), (3, 3, 30), (4, 4, 40), (5, 5, 50)]
    assert group_means(ranks[:3], accuracies[:3]) == [(1, 1, 10), (2, 2, 30), (3, 3, 50)]


def test_figure_2_shows_all_repeats_beside_the_paper() -> None:
    values = np.array([0.1, 0.2, 0.6, math.nan])
    figure = figures.figure2([Repeats("a", values, 0.53), Repeats("b", -values, 0.56)], "title")
    (axes,) = figure.axes
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_ydata().tolist() for line in points] == [[0.1, 0.2, 0.6], [-0.1, -0.2, -0.6]]
    medians = [
        line.get_ydata()[0]
        for line in axes.lines
        if line.get_color() == "black" and line.get_xdata()[1] - line.get_xdata()[0] > 0.4
    ]
    assert 0.2 in medians
    assert -0.2 in medians
    dashed = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [0.53, 0.56]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a\nmean +0.300", "b\nmean -0.300"]


def test_figure_3_titles_its_cells() -> None:
    cells = [(f"cell {index}", SPACE.architecture(index)) for index in (1, 2, 3)]
    figure = figures.figure3(cells, 5)
    assert [axes.get_title() for axes in figure.axes] == ["", "cell 1", "cell 2", "cell 3"]


def test_figure_4_has_a_panel_for_each_data_set() -> None:
    names = ("CIFAR-10", "CIFAR-100", "ImageNet16-120")
    figure = figures.figure4([ranked(title=name) for name in names])
    assert [axes.get_title() for axes in figure.axes] == [
        f"{name}: Spearman +0.910 (p = 0.002)" for name in names
    ]


def test_a_ranking_becomes_four_figures() -> None:
    drawing = draw(ranking(400), columns("cifar10", "cifar100"), [], seed=3, cells_per_stage=5)
    assert list(drawing.figures) == list(figures.NAMES)
    assert drawing.notes == ()
    points = drawing.figures["figure1"].axes[0].lines[0].get_xydata()
    assert sorted(points[:, 0]) == list(range(1, 201)), "200 of 400, ranked among themselves"
    sampled = np.flatnonzero(np.isin(ACCURACIES[:400], points[:, 1]))
    assert len(sampled) == 200
    want = spearman(sampled.astype(float), ACCURACIES[sampled])
    assert f"CIFAR-100, 200 cells: Spearman {want.value:+.3f}" in drawing.figures["figure1"].get_suptitle()
    titles = [axes.get_title() for axes in drawing.figures["figure3"].axes]
    assert titles[1].startswith("number 1 of 400 by mgm: cell 399\nCIFAR-10 ")
    assert f"CIFAR-100 {ACCURACIES[399]:.2f} %" in titles[1]
    assert len(titles) == 3
    (repeats,) = drawing.figures["figure2"].axes
    assert repeats.get_title() == "mgm on CIFAR-100: 50 draws of 200 from 400 cells"
    assert [len(line.get_xdata()) for line in repeats.lines if line.get_marker() == "o"] == [50, 50]
    assert len(drawing.figures["figure4"].axes) == 2


def test_equal_scores_are_said_to_be_equal() -> None:
    rows = tuple(dataclasses.replace(row, scores={"mgm": 1.0}) for row in ranking(300).rows)
    drawing = draw(dataclasses.replace(ranking(300), rows=rows), columns("cifar100"), [], 0, 5)
    assert "200 cells: no correlation, all are equal" in drawing.figures["figure1"].get_suptitle()
    (axes,) = drawing.figures["figure2"].axes
    assert axes.get_xticklabels()[1].get_text() == "test accuracy\n200 epochs\nall are equal"
    assert len(figures.render(drawing.figures)) == 8


def test_too_few_for_figure_2_is_said() -> None:
    drawing = draw(ranking(200), columns("cifar10"), [SPACE.architecture(7)], seed=0, cells_per_stage=5)
    assert list(drawing.figures) == ["figure1", "figure3", "figure4"]
    assert drawing.notes == (
        "figure 2 needs more than 200 scored architectures to draw from, there are 200: it is left out",
    )
    assert "the paper" not in drawing.figures["figure1"].get_suptitle(), "whose figure is on CIFAR-100"
    titles = [axes.get_title() for axes in drawing.figures["figure3"].axes]
    assert [title.split("\n")[0] for title in titles[1:]] == ["cell 7"]


def test_files_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        files = save(tmp_path / name, {"figure1": figures.figure1(ranked())})
        assert [file.name for file in files] == ["figure1.svg", "figure1.png"]
    for kind in figures.FORMATS:
        first, second = ((tmp_path / name / f"figure1.{kind}").read_bytes() for name in ("a", "b/c"))
        assert first == second
    assert (tmp_path / "a" / "figure1.svg").read_text().count("the paper") == 1, "text stays text"
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["figure1.png", "figure1.svg"]


def test_a_figure_that_fails_leaves_no_files(tmp_path: Path) -> None:
    class Broken:
        def savefig(self, *arguments: Any, **options: Any) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        save(tmp_path / "a", {"figure1": figures.figure1(ranked()), "figure2": Broken()})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_folders_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "figure2.svg").write_text("mine")
    cases = [("file", "is a file"), ("file/below", "is a file"), ("full", "holds figure2.svg.*--overwrite")]
    for name, text in cases:
        with pytest.raises(UsageError, match=text):
            check_folder(tmp_path / name, overwrite=False)
    check_folder(tmp_path / "full", overwrite=True)
    check_folder(tmp_path / "new" / "folder", overwrite=False)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with pytest.raises(UsageError, match="can't be written in"):
        check_folder(tmp_path / "new", overwrite=False)
    monkeypatch.setattr(figures, "find_spec", lambda name: importlib.util.find_spec("no_such_" + name))
    with pytest.raises(UsageError, match=r"pip install 'knas\[figures\]'"):
        check_folder(tmp_path / "new", overwrite=False)
