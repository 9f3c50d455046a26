"""A run's folder: its settings, its record in SQLite, its result, and the winner's weights."""

from __future__ import annotations

from knas.runs.best import load_best
from knas.runs.folder import RunFolder
from knas.runs.record import Record, ScoreRow, SupernetRow, TrialRow
from knas.runs.result import Best, Candidate, Control, SearchResult, read_result

__all__ = [
    "Best",
    "Candidate",
    "Control",
    "Record",
    "RunFolder",
    "ScoreRow",
    "SearchResult",
    "SupernetRow",
    "TrialRow",
    "load_best",
    "read_result",
]
