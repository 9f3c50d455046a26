"""The README's set-up lines, and the package's own papers."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

import knas
from knas import doctor

REPOSITORY = Path(__file__).parents[2]


def test_the_readme_has_exactly_two_set_up_lines():
    readme = (REPOSITORY / "README.md").read_text()
    block = re.search(r"<!-- set-up -->\n```\n(.*?)```\n<!-- /set-up -->", readme, re.S)
    install, test = block[1].splitlines()
    assert install.startswith("pip install . && knas-search")
    assert test == "pip install '.[test]' && tests/all.sh"


def test_the_readme_opens_with_lines_that_work(capsys):
    code = re.search(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)[1]
    assert len([line for line in code.splitlines() if line]) <= 12
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_version_is_the_same_everywhere():
    version = importlib.metadata.version("knas")
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert knas.__version__ == version
    assert f'version = "{version}"' in (REPOSITORY / "pyproject.toml").read_text()


def test_the_citation_names_the_paper():
    (paper,) = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["references"]
    assert paper["title"] == "KNAS: Green Neural Architecture Search"
    assert paper["year"] == 2021
    assert paper["identifiers"][0]["value"] == "arXiv:2111.13293"


def test_the_console_script_points_at_the_command_line():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="knas-search")
    assert script.value == "knas_search:main"


def run_command(folder: Path, before: str, debug: str = "0") -> subprocess.CompletedProcess[str]:
    """Runs `knas-search --version` after some Python that spoils the installation."""
    program = f"import sys, torch; {before}; import knas_search; knas_search.main()"
    command = [sys.executable, "-c", program, "--version"]
    environment = {**os.environ, "KNAS_DEBUG": debug}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_command_says_in_one_line_that_knas_does_not_fit_this_torch(tmp_path):
    other = "torch.__version__ = '2.99.0'"
    run = run_command(tmp_path, other)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: knas was compiled for torch ")
    assert "Traceback" in run_command(tmp_path, other, debug="1").stderr


def test_the_command_says_in_one_line_that_a_dependency_is_missing(tmp_path):
    run = run_command(tmp_path, "sys.modules['typer'] = None")
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "typer" in line
    assert "installed without its dependencies: pip install ." in line


def test_the_command_prints_the_version(tmp_path):
    run = run_command(tmp_path, "pass")
    assert run.returncode == 0
    assert run.stdout.splitlines()[:2] == doctor.version_text().splitlines()[:2]
