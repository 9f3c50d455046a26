"""`bench/gpu.sh` without a GPU: its cheap steps, its summary, and what follows when a step fails or time runs out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "gpu.sh"


def run(
    out: Path, *arguments: str, **environment: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The finished script, and its steps by name."""
    done = subprocess.run(
        [SCRIPT, "--dry-run", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable, "OUT": str(out), **environment},
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["dry_run"]
    return done, {step["step"]: step for step in summary["steps"]}


def test_cheap_steps(tmp_path: Path) -> None:
    done, steps = run(tmp_path, "machine", "installed", "memcheck", "racecheck", "report")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {name: step["verdict"] for name, step in steps.items()}
    assert verdicts == {
        "machine": "passed",
        "installed": "passed",
        "memcheck": "does not apply",
        "racecheck": "does not apply",
        "report": "passed",
    }
    log = (tmp_path / "log.txt").read_text()
    for part in ("=== machine (at most", "torch ", "BuildInfo(", "needs a GPU and compute-sanitizer"):
        assert part in log
    assert "What a score costs" in (tmp_path / "performance.md").read_text()
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) <= 7  # few enough to be carried home


def test_the_benches_skip_with_their_reason(tmp_path: Path) -> None:
    pytest.importorskip("pytest_benchmark")
    done, steps = run(tmp_path, "bench")
    assert steps["bench"]["verdict"] in ("passed", "does not apply"), done.stdout
    assert "needs a GPU and knas's CUDA kernels" in (tmp_path / "log.txt").read_text()
    assert done.returncode == 0


def test_later_steps_run_when_one_fails(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *"import knas"*) exit 3;; esac\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    done, steps = run(tmp_path / "out", "installed", "report", PYTHON=str(python))
    assert (steps["installed"]["verdict"], steps["installed"]["exit_code"]) == ("FAILED", 3)
    assert steps["report"]["verdict"] == "passed"
    assert done.returncode == 1


def test_no_time_left(tmp_path: Path) -> None:
    done, steps = run(tmp_path, "machine", LIMIT="5")
    assert steps["machine"]["verdict"] == "no time left"
    assert done.returncode == 1


def test_unknown_option(tmp_path: Path) -> None:
    done = subprocess.run([SCRIPT, "--dry"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "got --dry" in done.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck() -> None:
    subprocess.run(["shellcheck", SCRIPT], check=True)
