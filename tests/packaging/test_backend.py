"""Where the build backend looks for the torch that is already installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[2] / "build_support" / "backend.py"


@pytest.fixture
def backend(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # importing it may append a folder
    specification = importlib.util.spec_from_file_location("backend", BACKEND)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def install(folder: Path, version: str) -> str:
    """Puts the metadata of a torch into a folder, as pip would."""
    information = folder / f"torch-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    return str(folder)


def test_the_first_folder_with_a_torch_wins(backend, tmp_path):
    empty, first, second = (
        str(tmp_path / "empty"),
        install(tmp_path / "a", "2.13.0+cpu"),
        install(tmp_path / "b", "2.14.1"),
    )
    assert backend.site_with_torch([empty, first, second]) == first
    assert backend.site_with_torch([empty]) is None
    assert backend.site_with_torch([]) is None


@pytest.mark.parametrize(
    ("version", "usable"),
    [("1.13.1", False), ("2.9.1", False), ("2.10.0", False), ("2.11.0+cu130", True), ("3.0", True)],
)
def test_a_torch_that_is_too_old_is_not_built_against(backend, tmp_path, version, usable):
    folder = install(tmp_path, version)
    assert backend.site_with_torch([folder]) == (folder if usable else None)


def test_an_old_torch_hides_those_behind_it_as_it_does_for_imports(backend, tmp_path):
    assert (
        backend.site_with_torch([install(tmp_path / "a", "2.9.1"), install(tmp_path / "b", "2.13.0")]) is None
    )


@pytest.mark.parametrize(
    ("settings", "sees"),
    [
        ("include-system-site-packages = false\n", False),
        ("home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.11.7\n", True),
        ("home = /usr/bin\n", False),
        (None, True),
    ],
)
def test_user_site_of_a_virtual_environment(backend, tmp_path, settings, sees):
    if settings is not None:
        (tmp_path / "pyvenv.cfg").write_text(settings)
    assert backend.sees_user_site(tmp_path, Path("/usr")) is sees


def test_user_site_without_a_virtual_environment(backend, tmp_path):
    assert backend.sees_user_site(tmp_path, tmp_path)


@pytest.mark.parametrize("hook", ["wheel", "editable", "sdist"])
def test_torch_is_asked_for_only_where_there_is_none(backend, monkeypatch, tmp_path, hook):
    requires = getattr(backend, f"get_requires_for_build_{hook}")
    monkeypatch.setattr(backend, "site_folders", lambda: [str(tmp_path)])
    assert requires() == ["torch>=2.11"]
    install(tmp_path, "2.13.0+cpu")
    assert requires({}) == []


def test_the_installed_torch_is_importable_and_comes_last(backend):
    import torch

    folder = str(Path(torch.__file__).parents[1])
    if folder not in backend.site_folders():
        pytest.skip(f"this torch was found in {folder}, on PYTHONPATH or by a .pth file")
    assert folder in sys.path
