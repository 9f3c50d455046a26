from __future__ import annotations

import pytest

from knas.errors import UsageError
from knas.spaces.text import STRUCTURES, SkipStructure

PLAIN_7 = ((0,), (1,), (2,), (3,), (4,), (5,), (6,))


@pytest.mark.parametrize(
    ("text", "wiring"),
    [
        ("highway:2", PLAIN_7),
        ("look-ahead:2", PLAIN_7),
        ("highway:3", ((0,), (1,), (1, 2), (3,), (4,), (4, 5), (6,))),
        ("look-ahead:3", ((0,), (1,), (1, 2), (3,), (4,), (4, 5), (6,))),
        ("highway:4", ((0,), (1,), (2,), (1, 3), (4,), (5,), (5, 6))),
        ("look-ahead:5", ((0,), (1,), (2,), (3,), (1, 2, 3, 4), (5,), (6,))),
        ("densenet:2", ((0,), (1,), (2,), (3,), (2, 4), (5,), (2, 4, 6))),
        ("densenet:3", ((0,), (1,), (2,), (3,), (4,), (5,), (3, 6))),
        ("densenet:4", PLAIN_7),
        ("highway:7", ((0,), (1,), (2,), (3,), (4,), (5,), (1, 6))),
    ],
)
def test_what_each_of_seven_layers_takes(text: str, wiring: tuple[tuple[int, ...], ...]) -> None:
    assert SkipStructure.parse(text).wiring(7) == wiring


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("depth", [2, 7, 24])
@pytest.mark.parametrize("cell", [2, 5, 11])
def test_every_layer_takes_the_one_before_it(structure: str, cell: int, depth: int) -> None:
    wiring = SkipStructure(structure, cell).wiring(depth)
    assert [taken[-1] for taken in wiring] == list(range(depth))
    assert all(taken == tuple(sorted(set(taken))) for taken in wiring)
    assert all(0 not in taken for taken in wiring[1:])


@pytest.mark.parametrize(
    ("structure", "cell"), [("chain", 4), ("highway", 1), ("highway", 12), ("highway", "4")]
)
def test_unknown_structures(structure: str, cell: object) -> None:
    with pytest.raises(UsageError):
        SkipStructure(structure, cell)  # type: ignore[arg-type]
