"""The errors that knas raises: each carries one line that names the argument and the remedy."""

from __future__ import annotations


class KnasError(Exception):
    """Base of every error that knas raises on purpose; the command line prints its text and exits with 1."""


class UsageError(KnasError, ValueError):
    """An argument, name, option or file that cannot be used; the command line exits with 2."""


class NotFiniteError(KnasError):
    """NaN or Inf in inputs, weights or gradients: there is no score to report."""


class DivergedError(NotFiniteError):
    """A training that came to NaN or Inf.

    Attributes:
        seconds: What it took until then, in all processes that worked on it.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class RunError(KnasError):
    """A run folder that cannot be used: corrupt, written by another program, or made with other settings."""
