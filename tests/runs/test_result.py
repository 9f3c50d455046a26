from __future__ import annotations

import json
from pathlib import Path

import pytest

from knas.errors import RunError
from knas.runs import Best, Candidate, Control, SearchResult, read_result
from knas.runs.result import write_result

RESULT = SearchResult(
    space="nas-bench-201",
    dataset="digits",
    proxy="mgm",
    algorithm="knas",
    scored=9,
    failed=1,
    top_k=(Candidate("a", 2.0, 90.5), Candidate("b", 1.0, None, "the loss is nan")),
    best=Best("a", 90.5, 89.0),
    seconds={"score": 1.5, "train": 20.0},
    versions={"knas": "0.1.0"},
)


def test_round_trip(tmp_path: Path) -> None:
    control = Control(("c", "d"), 80.0, Best("c", 85.0, 84.0))
    for result in (RESULT, SearchResult(**{**vars(RESULT), "control": control})):
        write_result(tmp_path / "result.json", result)
        read = read_result(tmp_path / "result.json")
        assert read == SearchResult(**{**vars(result), "run": str(tmp_path)})


def test_names_in_the_file(tmp_path: Path) -> None:
    write_result(tmp_path / "result.json", RESULT)
    content = json.loads((tmp_path / "result.json").read_text())
    names = "format space dataset proxy algorithm scored failed top_k best seconds versions"
    assert list(content) == names.split()
    assert content["top_k"][0] == {"architecture": "a", "score": 2.0, "validation_accuracy": 90.5}
    assert content["best"] == {"architecture": "a", "validation_accuracy": 90.5, "test_accuracy": 89.0}


def test_attributes_are_keys_too() -> None:
    assert RESULT["best"]["test_accuracy"] == RESULT.best.test_accuracy
    with pytest.raises(KeyError):
        RESULT["to_dict"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": "x"}'])
def test_unreadable_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(RunError, match=r"result\.json is not a result of knas"):
        read_result(tmp_path / "result.json")


def test_result_of_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"format": 2, "planets": []}')
    with pytest.raises(RunError, match=r"format 2.*upgrade knas"):
        read_result(tmp_path / "result.json")
