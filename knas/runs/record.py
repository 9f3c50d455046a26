"""The record of a run (`search.sqlite`): every score, failure, super-network and trial, written as it happens.

One row is one transaction with `synchronous=FULL`, in SQLite's rollback-journal mode (it also works on
network file systems, where the write-ahead log does not), so a row that was written survives `kill -9` and
power loss.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from knas.errors import RunError

APPLICATION_ID = int.from_bytes(b"knas", "big")
SCHEMA_VERSION = 5

SCORES = """
CREATE TABLE score (
    class TEXT NOT NULL,          -- canonical form: the same text for isomorphic architectures
    proxy TEXT NOT NULL,          -- its name; '' for the one that the run's settings name first
    architecture TEXT NOT NULL,   -- as drawn
    value REAL,                   -- NULL where scoring failed
    reason TEXT,                  -- why it failed
    seconds REAL NOT NULL,
    recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (class, proxy),
    CHECK ((value IS NULL) <> (reason IS NULL))
);
"""

PROBES = """
CREATE TABLE probe (
    supernet TEXT NOT NULL,       -- the operations that are left for each decision
    probe TEXT NOT NULL,          -- JSON: seed, proxy, its options, and sizes; the run's own where nothing is said
    value REAL,                   -- NULL where scoring failed
    reason TEXT,                  -- why it failed
    seconds REAL NOT NULL,
    recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (supernet, probe),
    CHECK ((value IS NULL) <> (reason IS NULL))
);
"""

TRIALS = """
CREATE TABLE trial (
    class TEXT NOT NULL,
    epochs INTEGER NOT NULL,
    seed INTEGER,                 -- of this training; NULL for the one that the run uses for all
    architecture TEXT NOT NULL,
    role TEXT NOT NULL,           -- what it was trained for: 'search', 'top-k', 'control' or 'plain'
    validation_accuracy REAL,     -- per cent; NULL where training failed
    test_accuracy REAL,           -- per cent
    train_loss REAL,
    reason TEXT,                  -- why training failed
    seconds REAL NOT NULL,
    history TEXT NOT NULL,        -- JSON: one mapping per epoch
    recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    metrics TEXT NOT NULL DEFAULT '{}',  -- JSON: what else was measured at the end, per cent: 'test_f1' and the like
    CHECK ((validation_accuracy IS NULL) <> (reason IS NULL))
);
CREATE UNIQUE INDEX trial_key ON trial (class, epochs, coalesce(seed, -1));
"""

SUPERNETS = """
CREATE TABLE supernet (
    plan TEXT PRIMARY KEY,        -- JSON: seed, and how it was trained
    found TEXT NOT NULL,          -- JSON: architectures that it told, in the order of their epochs
    reason TEXT,                  -- why training failed
    seconds REAL NOT NULL,
    history TEXT NOT NULL,        -- JSON: one mapping per epoch
    recorded_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CHECK ((found = '[]') = (reason IS NOT NULL))
);
"""

TRIALS_OF_VERSION_1 = f"""
ALTER TABLE trial RENAME TO trial_1;
{TRIALS}
INSERT INTO trial SELECT class, epochs, NULL, architecture, role, validation_accuracy, test_accuracy, train_loss,
    reason, seconds, history, recorded_at, '{{}}' FROM trial_1 ORDER BY rowid;
DROP TABLE trial_1;
{PROBES}
"""
"""Trials were known by class and epochs alone, before a run could train with several seeds; there were no probes."""

METRICS = "ALTER TABLE trial ADD COLUMN metrics TEXT NOT NULL DEFAULT '{}';"
"""Up to version 3, accuracies were all that was measured at the end of a trial."""

SCORES_OF_VERSION_4 = f"""
ALTER TABLE score RENAME TO score_4;
{SCORES}
INSERT INTO score SELECT class, '', architecture, value, reason, seconds, recorded_at FROM score_4 ORDER BY rowid;
DROP TABLE score_4;
"""
"""Scores were known by class alone, before a run could have several proxies."""

MIGRATIONS = {
    0: SCORES + TRIALS + PROBES + SUPERNETS,
    1: TRIALS_OF_VERSION_1 + SUPERNETS + SCORES_OF_VERSION_4,
    2: SUPERNETS + METRICS + SCORES_OF_VERSION_4,
    3: METRICS + SCORES_OF_VERSION_4,
    4: SCORES_OF_VERSION_4,
}
"""What brings a record of each version, 0 for an empty file, to this one."""


@dataclass(frozen=True)
class ScoreRow:
    """One scored architecture or super-network: `value` is None where it failed for `reason`; it took `seconds`."""

    architecture: str
    value: float | None
    reason: str | None
    seconds: float


@dataclass(frozen=True)
class TrialRow:
    """One trained architecture: accuracies in per cent, None where training failed for `reason`.

    `seed` is that of this training, None for the one that the run uses for all; `metrics` is what else was measured at
    its end, in per cent: `validation_f1` and `test_f1` of sentences of two classes.
    """

    architecture: str
    epochs: int
    role: str
    validation_accuracy: float | None
    test_accuracy: float | None
    train_loss: float | None
    reason: str | None
    seconds: float
    history: tuple[Mapping[str, Any], ...] = ()
    seed: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SupernetRow:
    """One trained super-network: `found` holds the architectures that it told, none where it failed for `reason`."""

    plan: str
    found: tuple[str, ...]
    reason: str | None
    seconds: float
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def validation_accuracy(self) -> float | None:
        """Per cent at the end, with shared weights, on the images that the architecture was chosen by."""
        return self.history[-1].get("validation_accuracy") if self.history and self.found else None


class Record:
    """The rows of one run, keyed by the canonical form of an architecture (a trial by epochs and seed too)."""

    def __init__(self, path: Path | str, *, create: bool = True) -> None:
        """Open a record, or make an empty one.

        Args:
            path: the file, or ":memory:" for a record that nobody keeps.
            create: make the file and its tables where there are none; without it the file must exist.

        Raises:
            RunError: the file is corrupt, belongs to another application, or comes from a newer knas.
        """
        self.path = path
        with self._naming_the_file():
            # "rw" even to look at it: what a killed process left half-written must be rolled back first
            name = str(path) if create else f"{Path(path).resolve().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(name, uri=not create, isolation_level=None)
            try:
                self._prepare(create)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file; every row is already on the disk."""
        self._connection.close()

    def score(self, key: str, proxy: str = "") -> ScoreRow | None:
        """The score recorded for a canonical form, or None; by the run's first proxy unless another is named."""
        return self.scores_of(proxy, key).get(key)

    def scores(self) -> list[ScoreRow]:
        """All scores and failures of the run's first proxy in the order in which they were recorded."""
        return list(self.scores_of("").values())

    def scores_of(self, proxy: str, key: str | None = None) -> dict[str, ScoreRow]:
        """The scores and failures of one proxy by canonical form, in the order in which they were recorded.

        Args:
            proxy: its name; "" for the run's first.
            key: the only canonical form that is looked for; None for all.
        """
        where, values = ("1", []) if key is None else ("class = ?", [key])
        if self._version >= 5:
            where, values = f"{where} AND proxy = ?", [*values, proxy]
        elif proxy:  # an older record that is only looked at
            return {}
        query = f"SELECT class, {_SCORE_COLUMNS} FROM score WHERE {where} ORDER BY rowid"
        return {row[0]: ScoreRow(*row[1:]) for row in self._rows(query, *values)}

    def add_score(self, key: str, row: ScoreRow) -> None:
        """Write one score or failure to the disk."""
        self.add_scores(key, {"": row})

    def add_scores(self, key: str, rows: Mapping[str, ScoreRow]) -> None:
        """Write what several proxies say of one architecture to the disk, all or nothing.

        Args:
            key: its canonical form.
            rows: by the proxy's name, "" for the run's first.
        """
        values: list[Any] = []
        for proxy, row in rows.items():
            values += [key, proxy, row.architecture, row.value, row.reason, row.seconds]
        places = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(rows))
        self._write(f"INSERT INTO score (class, proxy, {_SCORE_COLUMNS}) VALUES {places}", tuple(values))

    def probe(self, supernet: str, probe: str) -> ScoreRow | None:
        """What a probe of a super-network gave, or None."""
        where = "supernet = ? AND probe = ?"
        rows = self._rows(f"SELECT {_PROBE_COLUMNS} FROM probe WHERE {where}", supernet, probe)
        return ScoreRow(*rows[0]) if rows else None

    def probes(self) -> list[ScoreRow]:
        """What all probes gave, in the order in which they were recorded; a row's architecture is the super-network."""
        if self._version < 2:  # an older record that is only looked at
            return []
        return [ScoreRow(*row) for row in self._rows(f"SELECT {_PROBE_COLUMNS} FROM probe ORDER BY rowid")]

    def add_probe(self, probe: str, row: ScoreRow) -> None:
        """Write what one probe gave, or why it failed, to the disk."""
        self._write(
            f"INSERT INTO probe (probe, {_PROBE_COLUMNS}) VALUES (?, ?, ?, ?, ?)",
            (probe, row.architecture, row.value, row.reason, row.seconds),
        )

    def trial(self, key: str, epochs: int, seed: int | None = None) -> TrialRow | None:
        """The trial recorded for a canonical form, a number of epochs and a seed, or None."""
        where = "class = ? AND epochs = ? AND coalesce(seed, -1) = coalesce(?, -1)"
        rows = self._rows(f"SELECT {self._trial_columns} FROM trial WHERE {where}", key, epochs, seed)
        return _trial(rows[0]) if rows else None

    def trials(self) -> list[TrialRow]:
        """All trials in the order in which they were recorded."""
        return [_trial(row) for row in self._rows(f"SELECT {self._trial_columns} FROM trial ORDER BY rowid")]

    def add_trial(self, key: str, row: TrialRow) -> None:
        """Write one trial to the disk."""
        self._write(
            f"INSERT INTO trial (class, {_TRIAL_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, row.architecture, row.epochs, row.role, row.validation_accuracy, row.test_accuracy)
            + (row.train_loss, row.reason, row.seconds, json.dumps(list(row.history)), row.seed)
            + (json.dumps(dict(row.metrics)),),
        )

    @property
    def _trial_columns(self) -> str:
        if self._version < 4:  # an older record that is only looked at
            return _TRIAL_COLUMNS.replace("metrics", "'{}'")
        return _TRIAL_COLUMNS

    def supernet(self, plan: str) -> SupernetRow | None:
        """The super-network recorded for a plan, or None."""
        rows = self._rows(f"SELECT {_SUPERNET_COLUMNS} FROM supernet WHERE plan = ?", plan)
        return _supernet(rows[0]) if rows else None

    def supernets(self) -> list[SupernetRow]:
        """All super-networks in the order in which they were recorded."""
        if self._version < 3:  # an older record that is only looked at
            return []
        rows = self._rows(f"SELECT {_SUPERNET_COLUMNS} FROM supernet ORDER BY rowid")
        return [_supernet(row) for row in rows]

    def add_supernet(self, row: SupernetRow) -> None:
        """Write one super-network to the disk."""
        self._write(
            f"INSERT INTO supernet ({_SUPERNET_COLUMNS}) VALUES (?, ?, ?, ?, ?)",
            (row.plan, json.dumps(row.found), row.reason, row.seconds, json.dumps(list(row.history))),
        )

    def _prepare(self, create: bool) -> None:
        application, version, tables = (
            self._rows(query)[0][0]
            for query in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        empty = application == 0 and version == 0 and tables == 0
        if not empty:
            self._check(application, version)
        self._version = version
        self._connection.execute("PRAGMA synchronous = FULL")
        if create and (empty or version < SCHEMA_VERSION):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {MIGRATIONS[version]}"
                f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
            self._version = SCHEMA_VERSION

    def _check(self, application: int, version: int) -> None:
        if application != APPLICATION_ID:
            raise RunError(f"{self.path} belongs to another application; give another --run")
        if version > SCHEMA_VERSION:
            raise RunError(
                f"{self.path} is of version {version} and this knas reads up to {SCHEMA_VERSION}: "
                "upgrade knas or give another --run"
            )
        fault = self._rows("PRAGMA quick_check(1)")[0][0]
        if fault != "ok":
            raise RunError(f"{self.path} is corrupt ({' '.join(fault.split())}); give another --run")

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._naming_the_file():
            return self._connection.execute(query, values).fetchall()

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._naming_the_file():
            self._connection.execute(statement, values)  # autocommit: the row is one transaction of its own

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, disk full, not readable: the content may be fine
            raise RunError(f"{self.path} can't be used ({error})") from error
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"{self.path} is corrupt or not a record of knas ({error}); give another --run"
            ) from error


_SCORE_COLUMNS = "architecture, value, reason, seconds"

_PROBE_COLUMNS = "supernet, value, reason, seconds"

_SUPERNET_COLUMNS = "plan, found, reason, seconds, history"

_TRIAL_COLUMNS = (
    "architecture, epochs, role, validation_accuracy, test_accuracy, train_loss, "
    "reason, seconds, history, seed, metrics"
)


def _trial(row: tuple[Any, ...]) -> TrialRow:
    history, _, metrics = row[-3:]
    return replace(TrialRow(*row), history=tuple(json.loads(history)), metrics=json.loads(metrics))


def _supernet(row: tuple[Any, ...]) -> SupernetRow:
    plan, found, reason, seconds, history = row
    return SupernetRow(plan, tuple(json.loads(found)), reason, seconds, tuple(json.loads(history)))
