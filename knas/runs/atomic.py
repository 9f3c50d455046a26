"""Files that are either whole or absent, whenever the process dies."""

from __future__ import annotations

import os
from pathlib import Path

PARTIAL_SUFFIX = ".partial"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a later process, sees all of it or nothing.

    The content goes to a neighbour of the file, reaches the disk, and takes the file's name in one step.

    Args:
        path: the file; its folder exists.
        content: all its bytes.

    Raises:
        OSError: the folder is not writable or the disk is full.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make a folder's list of names reach the disk (a no-op where folders cannot be opened)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems refuse to sync a folder
        pass
    finally:
        os.close(descriptor)
