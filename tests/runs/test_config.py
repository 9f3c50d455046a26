from __future__ import annotations

from pathlib import Path

import pytest

from knas.errors import RunError, UsageError
from knas.runs.config import check_same, read_config, write_config

SETTINGS = {"space": "nas-bench-201", "samples": 30, "proxy_options": {"estimator": "full"}, "max": None}


def test_round_trip_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_config(path, SETTINGS)
    write_config(path, SETTINGS)
    assert read_config(path) == SETTINGS
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "space: x", "\x00"])
def test_unreadable_config_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml.*--run") as caught:
        read_config(path)
    assert "\n" not in str(caught.value)


def test_newer_config_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("format: 99\nspace: x\n")
    with pytest.raises(RunError, match="upgrade knas"):
        read_config(path)


def test_each_difference_is_told_with_both_values() -> None:
    new = {**SETTINGS, "samples": 40, "proxy_options": {}, "control": True}
    with pytest.raises(
        UsageError, match=r"samples was 30 and is now 40, proxy_options was .*full.* and is now {}"
    ):
        check_same(Path("runs/a"), SETTINGS, new, free=("control",))
    check_same(Path("runs/a"), SETTINGS, {**SETTINGS, "control": True}, free=("control",))
