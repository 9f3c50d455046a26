"""What `import knas` says when its extension does not fit."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from knas import compatibility


@pytest.mark.parametrize(
    ("built_for", "running"),
    [
        ("2.13.0", "2.13.0"),
        ("2.13.0", "2.13.0+cpu"),
        ("2.13.0+cpu", "2.13.1+cu130"),
        ("2.14.1", "2.14.0a0+git1"),
    ],
)
def test_patch_releases_and_builds_of_one_minor_release_fit(built_for, running):
    compatibility.check(built_for, running)


@pytest.mark.parametrize(
    ("built_for", "running"),
    [("2.13.0", "2.14.1"), ("2.13.0", "2.1.3"), ("2.13.0", "3.13.0"), ("2.1.0", "2.11.0")],
)
def test_another_minor_release_is_refused_in_one_sentence(built_for, running):
    with pytest.raises(ImportError) as refusal:
        compatibility.check(built_for, running)
    text = str(refusal.value)
    assert f"compiled for torch {built_for} and this is torch {running}" in text
    assert "pip install --force-reinstall --no-deps ." in text
    assert "\n" not in text


def failing_import(error):
    def import_module(name):
        raise error

    return import_module


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ModuleNotFoundError("No module named 'knas._C'"), "is not in this source tree: .*`pip install -e"),
        (ImportError("undefined symbol: _ZN3c10"), r"does not load .*undefined symbol.*force-reinstall"),
        (ImportError("libc10_cuda.so: cannot open shared object file"), r"does not load .*libc10_cuda"),
    ],
)
def test_an_extension_that_does_not_load_is_one_sentence(monkeypatch, error, says):
    monkeypatch.setattr(importlib, "import_module", failing_import(error))
    with pytest.raises(ImportError, match=says) as refusal:
        compatibility.load_extension()
    assert "\n" not in str(refusal.value)
    assert refusal.value.__cause__ is error


def test_a_missing_torch_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"knas needs torch: pip install 'torch==\d+\.\d+\.\*'"):
        compatibility.load_extension()


def test_an_extension_for_another_torch_is_refused_after_loading(monkeypatch):
    extension = SimpleNamespace(torch_version="2.1.0")
    monkeypatch.setattr(importlib, "import_module", lambda name: extension)
    with pytest.raises(ImportError, match=r"compiled for torch 2\.1\.0"):
        compatibility.load_extension()


@pytest.mark.parametrize(
    ("requirements", "pin"),
    [
        (["numpy", "torch==2.13.*", "pytest>=8; extra == 'test'"], "2.13"),
        (["torch == 2.9.1"], "2.9"),
        (["torchvision==0.29.1", "torch>=2"], None),
        ([], None),
        (None, None),
    ],
)
def test_installed_pin(monkeypatch, requirements, pin):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requirements)
    assert compatibility.installed_pin() == pin


def test_installed_pin_without_an_installation(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert compatibility.installed_pin() is None


def test_the_installed_package_pins_the_torch_that_it_was_compiled_for():
    built_for = compatibility.load_extension().torch_version
    assert compatibility.installed_pin() == ".".join(compatibility.minor_release(built_for))
    assert compatibility.minor_release(built_for) == compatibility.minor_release(torch.__version__)


def test_import_under_another_torch_ends_in_that_sentence(tmp_path):
    program = "import torch; torch.__version__ = '2.99.0'; import knas.native"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: knas was compiled for torch ")
    assert "this is torch 2.99.0" in last
