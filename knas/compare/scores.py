"""Scores on a simulated clock: from a table that `knas-search rank --all` wrote, or from what costs nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from knas.compare.systems import TABLES
from knas.errors import KnasError, UsageError
from knas.ranking import Ranking
from knas.ranking.compact import find
from knas.ranking.reading import read
from knas.runs.record import ScoreRow
from knas.spaces.base import Architecture, SearchSpace

AGAIN = "write it again with `knas-search rank --all`"


@dataclass(frozen=True)
class ScoreTable:
    """A score for every isomorphism class of a space.

    Attributes:
        source: the file.
        proxy: name of the column that holds the scores.
        rows: by the text of the architecture that stands for a class.
        fingerprint: SHA-256 of the file.
    """

    source: str
    proxy: str
    rows: Mapping[str, ScoreRow]
    fingerprint: str

    @property
    def failed(self) -> int:
        """Classes without a score."""
        return sum(row.value is None for row in self.rows.values())

    def scorer(self, space: SearchSpace) -> Clocked:
        """What answers with these scores, each of which takes what the table tells."""

        def answer(architecture: Architecture) -> tuple[float, float]:
            row = self.rows[str(space.canonical(architecture))]
            if row.value is None:
                raise _Failed(row.reason or "no reason given", row.seconds)
            return row.value, row.seconds

        return Clocked(answer)


class Clocked:
    """A `ScoreBackend` that looks scores up, with a clock of its own."""

    def __init__(self, answer: Callable[[Architecture], tuple[float, float]]) -> None:
        """Start the clock at zero.

        Args:
            answer: the score of an architecture, and the seconds that it takes.
        """
        self._answer = answer
        self._now = 0.0

    def clock(self) -> float:
        """Simulated seconds since the start."""
        return self._now

    def score(self, architecture: Architecture) -> float:
        """Look a score up, and let its time pass."""
        try:
            value, seconds = self._answer(architecture)
        except _Failed as error:
            self._now += error.seconds
            raise
        self._now += seconds
        return value


class _Failed(KnasError):
    """Scoring failed, after some seconds."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


def free(space: SearchSpace, kind: str) -> Clocked:
    """Scores that cost nothing: the number of "parameters", or the same for all for "none"."""
    if kind == "none":
        return Clocked(lambda architecture: (0.0, 0.0))
    return Clocked(lambda architecture: (float(space.parameters(architecture)), 0.0))


def read_scores(path: str | Path, space: SearchSpace) -> list[ScoreTable]:
    """Read the scores of a whole space: those by the one proxy of a table, or by each of several that fills rows.

    Args:
        path: the `.csv` or `.parquet` that `knas-search rank --all --output` wrote, or "shipped:NAME" of the package.
        space: the space that they must be of.

    Raises:
        UsageError: the file can't be read, is of another space, lacks columns or classes, or holds no numbers; or none
            of several proxies fills a row.
    """
    file = find(path)
    ranking = read(file, space)
    proxies = [name for name in ranking.proxies if name in TABLES or len(ranking.proxies) == 1]
    if not proxies:
        raise UsageError(
            f"--scores {path} must have the scores of {', '.join(TABLES)} or of one proxy, not of "
            f"{', '.join(ranking.proxies)}"
        )
    fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()
    stands = {str(architecture): str(space.canonical(architecture)) for architecture in space}
    return [
        ScoreTable(str(path), name, _classes(path, space, ranking, name, stands), fingerprint)
        for name in proxies
    ]


def _classes(
    path: str | Path, space: SearchSpace, ranking: Ranking, proxy: str, stands: Mapping[str, str]
) -> dict[str, ScoreRow]:
    """The score of every class, by the text of the architecture that stands for it."""
    found: dict[str, ScoreRow] = {}
    for one in ranking.rows:
        row = ScoreRow(stands[one.architecture], one.scores[proxy], one.reasons.get(proxy), one.seconds)
        known = found.setdefault(row.architecture, row)
        if (known.value, known.reason) != (row.value, row.reason):
            raise UsageError(
                f"--scores {path}: the isomorphism class {row.architecture} has two scores: {AGAIN}"
            )
    wanted = set(stands.values())
    if missing := sorted(wanted - set(found)):
        raise UsageError(
            f"--scores {path} lacks {len(missing):,} of {len(wanted):,} isomorphism classes of {space.name}, such as "
            f"{missing[0]}: {AGAIN}"
        )
    return found
