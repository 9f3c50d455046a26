"""The command `knas-search`, before knas is imported: an installation that does not fit is one line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line of `knas.cli`; exit with 1 and one line where something of it cannot be imported."""
    try:
        from knas.cli import main as command

        command()
    except ImportError as error:
        if os.environ.get("KNAS_DEBUG") == "1":
            raise
        foreign = error.name is not None and not error.name.startswith("knas")
        remedy = (
            "; knas was installed without its dependencies: pip install . without --no-deps"
            if foreign
            else ""
        )
        sys.exit(f"error: {error}{remedy}")
    except KeyboardInterrupt:  # while torch was being imported, which takes a second
        print("interrupted", file=sys.stderr)
        sys.exit(130)
