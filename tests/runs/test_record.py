from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from knas.errors import RunError
from knas.runs import Record, ScoreRow, SupernetRow, TrialRow

SCORE = ScoreRow("a", 1.25, None, 0.5)
FAILURE = ScoreRow("b", None, "no gradient", 0.25)
TRIAL = TrialRow("a", 3, "top-k", 90.0, 89.5, 0.1, None, 12.0, ({"epoch": 1, "train_loss": 0.4},))
DIVERGED = TrialRow("b", 3, "control", None, None, None, "the loss is nan", 2.0)
SHARED = SupernetRow("[1, {}]", ("a", "b"), None, 20.0, ({"epoch": 1, "validation_accuracy": 30.0},))
UNSHARED = SupernetRow("[2, {}]", (), "the loss is nan", 1.0)
SEEDED = TrialRow("a", 3, "search", 91.0, None, None, None, 12.5, (), 777)
MEASURED = TrialRow("c", 3, "plain", 80.0, 81.0, 0.2, None, 5.0, metrics={"test_f1": 87.5})


def fill(record: Record) -> None:
    record.add_score("A", SCORE)
    record.add_score("B", FAILURE)
    record.add_trial("A", TRIAL)
    record.add_trial("B", DIVERGED)
    record.add_trial("A", SEEDED)
    record.add_supernet(SHARED)
    record.add_supernet(UNSHARED)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    record = Record(tmp_path / "search.sqlite")
    fill(record)
    record.add_trial("C", MEASURED)
    record.close()
    record = Record(tmp_path / "search.sqlite")
    assert record.scores() == [SCORE, FAILURE]
    assert record.trials() == [TRIAL, DIVERGED, SEEDED, MEASURED]
    assert record.trial("C", 3) == MEASURED
    assert record.score("B") == FAILURE
    assert record.trial("A", 3) == TRIAL
    assert record.trial("A", 3, 777) == SEEDED
    assert record.trial("A", 3, 888) is None
    assert record.supernets() == [SHARED, UNSHARED]
    assert record.supernet("[2, {}]") == UNSHARED
    assert record.supernet("[3, {}]") is None
    assert [row.validation_accuracy for row in record.supernets()] == [30.0, None]
    assert record.score("C") is None
    assert record.trial("A", 4) is None
    record.close()


def test_each_row_is_on_the_disk_at_once(tmp_path: Path) -> None:
    record = Record(tmp_path / "search.sqlite")
    record.add_score("A", SCORE)
    other = Record(tmp_path / "search.sqlite", create=False)
    assert other.scores() == [SCORE]
    other.close()
    record.close()


def test_foreign_tools_see_what_it_is(tmp_path: Path) -> None:
    record = Record(tmp_path / "search.sqlite")
    fill(record)
    record.close()
    with sqlite3.connect(tmp_path / "search.sqlite") as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (0x6B6E6173,)
        assert connection.execute("SELECT architecture FROM score WHERE value IS NULL").fetchall() == [("b",)]
    connection.close()


def test_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    path.write_text("not a database, but long enough to look at" * 10)
    with pytest.raises(RunError, match=r"search\.sqlite is corrupt or not a record of knas.*--run"):
        Record(path)
    assert path.read_text().startswith("not a database")


def test_database_of_another_application(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmark (url TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RunError, match="another application"):
        Record(path)
    assert path.read_bytes() == before


def test_record_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    Record(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RunError, match=r"version 99.*upgrade knas"):
        Record(path)


def test_a_trial_is_recorded_once(tmp_path: Path) -> None:
    record = Record(tmp_path / "search.sqlite")
    fill(record)
    for row in (TRIAL, SEEDED):
        with pytest.raises(RunError, match="UNIQUE"):
            record.add_trial("A", row)
    record.close()


VERSION_1 = """
CREATE TABLE score (class TEXT PRIMARY KEY, architecture TEXT NOT NULL, value REAL, reason TEXT, seconds REAL NOT NULL,
    recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE trial (class TEXT NOT NULL, epochs INTEGER NOT NULL, architecture TEXT NOT NULL, role TEXT NOT NULL,
    validation_accuracy REAL, test_accuracy REAL, train_loss REAL, reason TEXT, seconds REAL NOT NULL,
    history TEXT NOT NULL, recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (class, epochs));
INSERT INTO score (class, architecture, value, seconds) VALUES ('A', 'a', 1.25, 0.5);
INSERT INTO trial VALUES ('B', 3, 'b', 'control', NULL, NULL, NULL, 'the loss is nan', 2.0, '[]', '2026');
INSERT INTO trial VALUES ('A', 3, 'a', 'top-k', 90, 89.5, 0.1, NULL, 12, '[{"epoch": 1, "train_loss": 0.4}]', '2026');
PRAGMA application_id = 0x6B6E6173; PRAGMA user_version = 1;
"""

TO_VERSION_4 = """
CREATE TABLE score_4 (class TEXT PRIMARY KEY, architecture TEXT NOT NULL, value REAL, reason TEXT,
    seconds REAL NOT NULL, recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
INSERT INTO score_4 SELECT class, architecture, value, reason, seconds, recorded_at FROM score ORDER BY rowid;
DROP TABLE score;
ALTER TABLE score_4 RENAME TO score;
PRAGMA user_version = 4;
"""


def test_record_of_version_1_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    before = path.read_bytes()
    record = Record(path, create=False)
    assert (record.scores(), record.probes(), record.supernets()) == ([SCORE], [], [])
    record.close()
    assert path.read_bytes() == before, "to look at it changes nothing"
    for _ in range(2):
        record = Record(path)
        assert record.scores() == [SCORE]
        assert record.trials() == [DIVERGED, TRIAL]
        assert record.trial("A", 3) == TRIAL
        assert len(record.probes()) <= 1
        if not record.probes():
            record.add_probe("{}", SCORE)
        record.close()


def test_record_of_version_2_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    with closing(Record(path)) as record:
        fill(record)
        record.add_probe("{}", SCORE)
    connection = sqlite3.connect(path)  # version 3 added the table of super-networks, version 4 the metrics
    connection.executescript(TO_VERSION_4)
    connection.executescript(
        "DROP TABLE supernet; ALTER TABLE trial DROP COLUMN metrics; PRAGMA user_version = 2;"
    )
    connection.close()
    before = path.read_bytes()
    with closing(Record(path, create=False)) as record:
        assert (record.trials(), record.probes()) == ([TRIAL, DIVERGED, SEEDED], [SCORE])
        assert record.supernets() == []
    assert path.read_bytes() == before, "to look at it changes nothing"
    with closing(Record(path)) as record:
        assert record.trials() == [TRIAL, DIVERGED, SEEDED]
        record.add_supernet(SHARED)
    with closing(Record(path, create=False)) as record:
        assert record.supernets() == [SHARED]
        assert record.probes() == [SCORE]


def test_record_of_version_3_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    with closing(Record(path)) as record:
        fill(record)
    connection = sqlite3.connect(path)
    connection.executescript(TO_VERSION_4)
    connection.executescript("ALTER TABLE trial DROP COLUMN metrics; PRAGMA user_version = 3;")
    connection.close()
    before = path.read_bytes()
    with closing(Record(path, create=False)) as record:
        assert record.trials() == [TRIAL, DIVERGED, SEEDED]
        assert record.supernets() == [SHARED, UNSHARED]
    assert path.read_bytes() == before, "to look at it changes nothing"
    with closing(Record(path)) as record:
        record.add_trial("C", MEASURED)
        assert record.trials() == [TRIAL, DIVERGED, SEEDED, MEASURED]


def test_record_of_version_4_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    with closing(Record(path)) as record:
        fill(record)
    connection = sqlite3.connect(path)
    connection.executescript(TO_VERSION_4)
    connection.close()
    before = path.read_bytes()
    with closing(Record(path, create=False)) as record:
        assert (record.scores(), record.score("B"), record.scores_of("naswot")) == (
            [SCORE, FAILURE],
            FAILURE,
            {},
        )
    assert path.read_bytes() == before, "to look at it changes nothing"
    with closing(Record(path)) as record:
        record.add_scores("A", {"naswot": FAILURE})
        assert record.scores() == [SCORE, FAILURE]
        assert record.scores_of("naswot") == {"A": FAILURE}


def test_several_proxies_of_one_architecture(tmp_path: Path) -> None:
    with closing(Record(tmp_path / "search.sqlite")) as record:
        record.add_scores("A", {"": SCORE, "naswot": FAILURE})
        record.add_scores("B", {"naswot": SCORE})
    with closing(Record(tmp_path / "search.sqlite")) as record:
        assert (record.score("A"), record.score("A", "naswot"), record.score("B")) == (SCORE, FAILURE, None)
        assert record.scores() == [SCORE]
        assert record.scores_of("naswot") == {"A": FAILURE, "B": SCORE}
        with pytest.raises(RunError, match="UNIQUE"):
            record.add_scores("A", {"params": SCORE, "naswot": SCORE})
        assert record.scores_of("params") == {}, "all or nothing"


@pytest.mark.parametrize("create", [True, False])
def test_overwritten_pages(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "search.sqlite"
    record = Record(path)
    for number in range(20):
        record.add_score(str(number), ScoreRow("architecture" * 200, float(number), None, 0.0))
    record.close()
    content = bytearray(path.read_bytes())
    content[4096:20480] = b"\xff" * 16384
    path.write_bytes(content)
    with pytest.raises(RunError, match="corrupt"):
        Record(path, create=create)


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    record = Record(path)
    fill(record)
    record.close()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RunError, match=r"search\.sqlite"):
        Record(path)


def test_killed_before_the_tables_were_made(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    path.touch()
    record = Record(path)
    assert record.scores() == []
    record.close()


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    record = Record(tmp_path / "search.sqlite")
    record._connection.execute("PRAGMA max_page_count = 8")
    record.add_score("A", SCORE)
    with pytest.raises(RunError, match=r"search\.sqlite can't be used \(database or disk is full\)"):
        record.add_score("B", ScoreRow("a" * 50_000, 1.0, None, 0.0))
    assert record.scores() == [SCORE], "what fitted is kept"
    record.close()
