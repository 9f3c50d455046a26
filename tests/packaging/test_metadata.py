"""The README's set-up lines, and the package's own papers."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]


def test_the_readme_has_exactly_two_set_up_lines():
    readme = (REPOSITORY / "README.md").read_text()
    block = re.search(r"<!-- set-up -->\n```\n(.*?)```\n<!-- /set-up -->", readme, re.S)
    install, test = block[1].splitlines()
    assert install.startswith("pip install . && knas-search")
    assert test == "pip install '.[test]' && tests/all.sh"


def test_version_is_the_same_everywhere():
    version = importlib.metadata.version("knas")
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert f'version = "{version}"' in (REPOSITORY / "pyproject.toml").read_text()


def test_the_citation_names_the_paper():
    (paper,) = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["references"]
    assert paper["title"] == "KNAS: Green Neural Architecture Search"
    assert paper["year"] == 2021
    assert paper["identifiers"][0]["value"] == "arXiv:2111.13293"


def test_the_console_script_points_at_the_command_line():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="knas-search")
    assert script.value == "knas.cli:main"
