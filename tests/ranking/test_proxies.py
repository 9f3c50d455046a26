"""Which of several proxies an option of the command line belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from knas.cli import run
from knas.errors import UsageError
from knas.ranking.proxies import assigned, with_options

TWO = ("mgm", "gram-norm")


def test_one_proxy_has_all_options() -> None:
    assert with_options("naswot", {"a": 1}) == {"naswot": {"a": 1}}
    assert assigned(["naswot"], {"a": 1}, {"of": "loss"}) == {"naswot": {"a": 1, "of": "loss"}}


def test_options_find_their_proxies() -> None:
    given = {"batches": 5, "gram_norm.batch_norm": "batch", "mgm.of": "loss"}
    found = assigned(TWO, given, {"estimator": "full"})
    assert found == {
        "mgm": {"estimator": "full", "batches": 5, "of": "loss"},
        "gram-norm": {"batch_norm": "batch"},
    }
    assert with_options(TWO, {"gram-norm": {"of": "loss"}}) == {"mgm": {}, "gram-norm": {"of": "loss"}}


@pytest.mark.parametrize(
    ("proxies", "given", "mgm", "text"),
    [
        (TWO, {"batch_norm": "batch"}, {}, "say which: mgm.batch_norm or gram-norm.batch_norm"),
        (TWO, {"sampel": 1}, {}, "none of them has it"),
        (TWO, {"naswot.of": 1}, {}, "'naswot' is not among --proxy mgm, gram-norm"),
        (TWO, {"mgm.estimator": "full"}, {"estimator": "full"}, "gives mgm.estimator a second time"),
        (["params", "naswot"], {}, {"batch_norm": "batch"}, "--batch-norm is an option of mgm"),
    ],
)
def test_options_of_nobody(proxies: Any, given: Any, mgm: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        assigned(proxies, given, mgm)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["rank", "--samples=3", "--channels=4", "--cells-per-stage=1", "--score-samples=4", "--json"]
    arguments += ["--proxy=params,mgm", "--proxy", "layers", "--estimator=full", f"--run={tmp_path / 'run'}"]
    assert run([*arguments, "--proxy-option", "layers.batch-norm=batch"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["proxies"] == ["params", "mgm", "layers"]
    assert {"params", "mgm", "layers"} <= content["top"][0].keys()
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "estimator: full" in config
    assert "batch_norm: batch" in config
    assert run(arguments) == 2
    assert "further_proxies was" in capsys.readouterr().err
