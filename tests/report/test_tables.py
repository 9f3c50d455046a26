"""Numbers as the tables have them."""

from __future__ import annotations

import pytest

from knas.report.tables import score_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (19.54, "19.5400"),
        (19.602823, "19.6028"),
        (-0.25, "-0.250000"),
        (1.23456e-9, "1.23456e-09"),
        (15625.0, "15625"),
        (121_822_208.0, "121822208"),
        (0.0, "0"),
    ],
)
def test_scores_of_one_column_have_their_points_below_each_other(value: float, text: str) -> None:
    assert score_text(value) == text
