"""Every example in a docstring of the installed package is a test."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import knas

MODULES = [
    module.name for module in pkgutil.walk_packages(knas.__path__, "knas.") if not module.name.endswith("._C")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).failed == 0
