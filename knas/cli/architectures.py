"""Architectures as arguments and in files, the same for every command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.spaces.base import Architecture, SearchSpace


def read_texts(space: SearchSpace, texts: Sequence[str]) -> list[Architecture]:
    """Read architectures from texts or indices.

    Raises:
        UsageError: one of them is neither.
    """
    return [_read(space, text) for text in texts]


def read_file(space: SearchSpace, file: Path, option: str) -> list[Architecture]:
    """Read a file of one architecture or index per line; blank lines and those that begin with # are left out.

    Args:
        space: the architectures' space.
        file: its name.
        option: the option that named it, for errors.

    Raises:
        UsageError: the file can't be read, or a line is no architecture; the text tells which.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{option} {file} can't be read ({reason})") from error
    found = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                found.append(_read(space, text))
            except UsageError as error:
                raise UsageError(f"{option} {file}, line {number}: {error}") from error
    return found


def _read(space: SearchSpace, text: str) -> Architecture:
    return space.architecture(int(text)) if text.lstrip("-").isdecimal() else space.parse(text)
