"""Tables of scores: read back, and refused in one line each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from compare import score_table
from compare.score_table import SECONDS, SPACE

from knas.compare.scores import ScoreTable, free, read_scores
from knas.errors import KnasError, UsageError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return score_table.write(tmp_path_factory.mktemp("scores") / "mgm.csv")


@pytest.fixture(scope="module")
def table(path: Path) -> ScoreTable:
    (found,) = read_scores(path, SPACE)
    return found


def test_every_class_has_its_score(table: ScoreTable) -> None:
    assert table.proxy == "mgm"
    assert len(table.rows) == 6466
    assert table.failed == 1
    for index in (1, 77, 15624):
        architecture = SPACE.architecture(index)
        stands = SPACE.canonical(architecture)
        assert table.scorer(SPACE).score(architecture) == SPACE.index(stands)


def test_scores_and_failures_take_their_time(table: ScoreTable) -> None:
    scorer = table.scorer(SPACE)
    scorer.score(SPACE.architecture(1))
    with pytest.raises(KnasError, match="no gradient"):
        scorer.score(SPACE.architecture(0))
    assert scorer.clock() == 2 * SECONDS


def test_parquet_holds_the_same(table: ScoreTable, tmp_path: Path) -> None:
    (other,) = read_scores(score_table.write(tmp_path / "mgm.parquet"), SPACE)
    assert other.rows == table.rows
    assert other.fingerprint != table.fingerprint


def test_controls_cost_nothing() -> None:
    small, large = SPACE.architecture(0), SPACE.architecture(1)
    parameters = free(SPACE, "parameters")
    assert parameters.score(large) == SPACE.parameters(large) > parameters.score(small)
    assert free(SPACE, "none").score(large) == free(SPACE, "none").score(small)
    assert parameters.clock() == 0


def with_a_second_proxy(text: str, names: str = "mgm,naswot") -> str:
    return re.sub(r"(,[^,\n]*,0\.5\n)", r",1\1", text.replace("mgm,", f"{names},", 1))


def test_every_proxy_that_fills_rows_is_read(table: ScoreTable, path: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.csv"
    both.write_text(with_a_second_proxy(path.read_text()).replace("no gradient", "mgm: no gradient"))
    mgm, naswot = read_scores(both, SPACE)
    assert (mgm.proxy, naswot.proxy) == ("mgm", "naswot")
    assert mgm.rows == table.rows
    assert {row.value for row in naswot.rows.values()} == {1.0}


def test_a_table_of_the_package() -> None:
    pytest.importorskip("pyarrow")
    found = {one.proxy: one for one in read_scores("shipped:nas-bench-201-cifar10", SPACE)}
    assert set(found) == {"mgm", "knas", "naswot"}
    assert {name: one.failed for name, one in found.items()} == {"mgm": 0, "knas": 0, "naswot": 5}
    with pytest.raises(UsageError, match="the package has shipped:"):
        read_scores("shipped:none", SPACE)


def without_a_class(text: str) -> str:
    header, first, *rest = text.splitlines()
    dropped = first.split(",")[2]
    return "\n".join([header, *(row for row in rest if row.split(",")[2] != dropped)]) + "\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("seconds", "time", 1), r"must have the columns index, .*, not index"),
        (
            lambda text: with_a_second_proxy(text, "zen,zico"),
            r"must have the scores of mgm, knas, naswot or of one proxy, not of zen, zico",
        ),
        (
            lambda text: text.replace("|none~0|", "|conv~0|", 1),
            r"row \d+: architecture \d+ of nas-bench-201 is not",
        ),
        (lambda text: text.replace(".0,,0.5", ".x,,0.5", 1), r"row 1: a number can't be read .*'\d+.x'"),
        (without_a_class, r"lacks 1 of 6,466 isomorphism classes of nas-bench-201, such as \|"),
        (lambda text: "\n".join(text.split("\n")[:300]), r"lacks [\d,]+ of 6,466 isomorphism classes"),
        (lambda text: "", r"holds no architecture"),
    ],
)
def test_bad_tables(change: Callable[[str], str], message: str, path: Path, tmp_path: Path) -> None:
    changed = tmp_path / "scores.csv"
    changed.write_text(change(path.read_text()))
    with pytest.raises(UsageError, match=message) as caught:
        read_scores(changed, SPACE)
    assert "\n" not in str(caught.value)


def test_two_scores_of_one_class(path: Path, tmp_path: Path) -> None:
    header, *lines = path.read_text().splitlines()
    rows = [line.split(",") for line in lines]
    stands = next(row[2] for row in rows if row[1] != row[2])
    last = [row for row in rows if row[2] == stands][-1]
    last[3] = "123.5"
    changed = tmp_path / "scores.csv"
    changed.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    with pytest.raises(UsageError, match=r"the isomorphism class \S+ has two scores"):
        read_scores(changed, SPACE)
