"""A run's settings on disk (`config.yaml`), and what differs between two sets of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from knas.errors import RunError, UsageError
from knas.runs.atomic import write_atomically

FORMAT = 1
COMMAND = "command"
"""Under this name the settings tell which command they are of; a search leaves it out."""

HEADER = "# Settings of a knas run. The same command resumes it; do not edit.\n"


def write_config(path: Path, settings: Mapping[str, Any]) -> None:
    """Write settings (YAML scalars, lists and mappings) to `path` in one step."""
    import yaml

    text = yaml.safe_dump({"format": FORMAT, **settings}, sort_keys=False, allow_unicode=True)
    write_atomically(path, (HEADER + text).encode())


def read_config(path: Path) -> dict[str, Any]:
    """Read the settings that `write_config` wrote.

    Raises:
        RunError: the file is not readable YAML, holds no mapping, or comes from a newer knas.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path} is not readable ({reason}); give another --run") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise RunError(f"{path} does not hold the settings of a knas run; give another --run")
    version = content.pop("format")
    if version > FORMAT:
        raise RunError(
            f"{path} is of format {version} and this knas reads up to {FORMAT}: "
            "upgrade knas or give another --run"
        )
    return content


def check_same(path: Path, old: Mapping[str, Any], new: Mapping[str, Any], free: Collection[str]) -> None:
    """Refuse to go on with a run under other settings than those it was made with.

    Args:
        path: the run's folder, for the message.
        old: the settings that the folder holds.
        new: the settings that are asked for.
        free: names that may differ, since no recorded number depends on them.

    Raises:
        UsageError: some other setting differs; the text gives each with both values and the remedy.
    """
    made, asked = (settings.get(COMMAND, "search") for settings in (old, new))
    if made != asked:
        raise UsageError(f"the run in {path} is one of {made}, not of {asked}; give another --run")
    names = [name for name in {**old, **new} if name not in free and old.get(name) != new.get(name)]
    if names:
        listed = ", ".join(f"{name} was {old.get(name)!r} and is now {new.get(name)!r}" for name in names)
        raise UsageError(
            f"the run in {path} was made with other settings: {listed}; "
            "give another --run, or the old settings"
        )
