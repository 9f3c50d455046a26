"""What a training that diverges has cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from knas.errors import DivergedError, NotFiniteError


@contextmanager
def counted_divergence(history: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """Adds to an epoch's `NotFiniteError` the seconds of that epoch and of those before it.

    Raises:
        DivergedError: In its place.
    """
    started = time.perf_counter()
    try:
        yield
    except NotFiniteError as error:
        spent = sum(record["seconds"] for record in history) + time.perf_counter() - started
        raise DivergedError(str(error), spent) from error
