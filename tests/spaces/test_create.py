from __future__ import annotations

import pytest

from knas import spaces
from knas.errors import UsageError
from knas.spaces.checks import clipped, integer_in_range, one_of


def test_every_name_makes_its_space() -> None:
    assert "nas-bench-201" in spaces.names()
    assert all(spaces.create(name).name == name for name in spaces.names())


@pytest.mark.parametrize("name", ["nas-bench-210", "", None, 3])
def test_unknown_names_list_the_known_ones(name: object) -> None:
    with pytest.raises(UsageError, match=r"space must be one of nas-bench-201.*, got"):
        spaces.create(name)  # type: ignore[arg-type]


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'nas-bench-201'\?"):
        spaces.create("nasbench201")


def test_checks_return_what_they_accept() -> None:
    assert integer_in_range("n", 3, 1) == 3
    assert integer_in_range("n", 3, 1, 3) == 3
    assert one_of("kind", "b", ("a", "b")) == "b"


def test_long_values_are_shortened_in_error_texts() -> None:
    assert clipped("ab") == "'ab'"
    assert len(clipped("x" * 10_000)) < 130
