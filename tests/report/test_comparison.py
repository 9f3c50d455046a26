"""The tables of a comparison as people see them."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from knas.compare.comparison import Comparison, Entry
from knas.compare.paper import NOTHING, TABLE_1
from knas.compare.systems import SYSTEMS
from knas.report.comparison import as_csv, as_markdown, print_comparison, thousands

BY_NAME = {system.name: system for system in SYSTEMS}
FILLED = {
    "resnet": Entry(BY_NAME["resnet"], "cifar10", (93.91,)),
    "random": Entry(BY_NAME["random"], "cifar10", (93.0, 94.0), (1e4, 1.2e4), "simulated"),
    "te-nas": Entry(BY_NAME["te-nas"], "cifar10", (93.5,), (44.0,), "[measured]", searched_on="cifar100"),
}


def entry(name: str) -> Entry:
    published = TABLE_1.get(name, {}).get("cifar10", NOTHING)
    found = FILLED.get(name, Entry(BY_NAME[name], "cifar10"))
    return Entry(
        found.system,
        "cifar10",
        found.accuracies,
        found.seconds,
        found.source,
        found.searched_on,
        published,
    )


COMPARISON = Comparison(
    settings={},
    entries={"cifar10": tuple(entry(system.name) for system in SYSTEMS)},
    not_run={"rsps": "knas-search --algorithm rsps, then --runs runs/rsps-0"},
    notes=("a note that is longer than a narrow screen is wide: " + 5 * "and so it goes on ",),
    run="runs/table-1",
)


def shown(width: int) -> list[str]:
    stream = io.StringIO()
    print_comparison(Console(file=stream, width=width, color_system=None), COMPARISON)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_every_row_is_one_line(width: int) -> None:
    lines = shown(width)
    place = next(number for number, line in enumerate(lines) if not line.strip())
    table = lines[:place]
    assert len(table) == 2 + len(SYSTEMS)
    assert max(map(len, table)) <= 80
    assert table[0].split() == ["cifar10", "accuracy", "paper", "time", "(s)", "paper", "speed-up", "paper"]
    rows = {line.split("  ")[0]: line.split() for line in table[2:]}
    assert rows["ResNet"] == ["ResNet", "93.91", "93.97"]
    assert rows["RS"][1:] == ["93.50", "±", "0.71", "93.63", "11.0K", "a", "216K", "1.00x", "1x"]
    assert rows["TE-NAS"][1:] == ["93.50", "*", "93.90", "44", "b", "2.2K", "250x", "100x"]
    assert rows["GDAS"][1:] == ["not", "run", "93.36", "22.0K", "12x"]
    assert rows["knas-build"][1:] == ["not", "run"]


def test_lines_beneath() -> None:
    lines = shown(80)
    assert "a  simulated" in lines
    assert "b  [measured]" in lines, "brackets are text"
    assert "*  searched on another data set and looked up here: TE-NAS on cifar100" in lines
    assert "not run: rsps: knas-search --algorithm rsps, then --runs runs/rsps-0" in lines
    assert COMPARISON.notes[0] in lines, "a line that is copied must not be broken"
    assert lines[-1] == "run      runs/table-1"


def test_csv_has_the_numbers() -> None:
    rows = {row["system"]: row for row in csv.DictReader(io.StringIO(as_csv(COMPARISON).decode()))}
    assert list(rows) == [system.name for system in SYSTEMS]
    assert float(rows["random"]["seconds"]) == 1.1e4
    assert float(rows["te-nas"]["speed_up"]) == 250
    assert rows["te-nas"]["std"] == ""
    assert rows["rsps"]["not_run"].startswith("knas-search --algorithm rsps")
    assert rows["rsps"]["accuracy"] == ""


def test_markdown_has_the_same_rows() -> None:
    lines = as_markdown(COMPARISON).decode().splitlines()
    assert lines[0] == "| cifar10 | accuracy | paper | time (s) | paper | speed-up | paper |"
    assert lines[3] == "| RS | 93.50 ± 0.71 | 93.63 | 11.0K a | 216K | 1.00x | 1x |"
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert "- a  simulated" in lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.123, "0.12"), (9.4, "9.4"), (44, "44"), (999.4, "999"), (999.9, "1.0K"), (4400, "4.4K")]
    + [(18.4e3, "18.4K"), (99.96e3, "100K"), (460e3, "460K"), (999.9e3, "1.0M"), (1e6, "1.0M")],
)
def test_seconds_as_the_paper_writes_them(seconds: float, text: str) -> None:
    assert thousands(seconds) == text
