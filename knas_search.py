"""The command `knas-search`, before knas is imported: an installation that does not fit is one line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line of `knas.cli`; exit with 1 and one line where knas cannot be imported."""
    try:
        from knas.cli import main as command
    except ImportError as error:
        if os.environ.get("KNAS_DEBUG") == "1":
            raise
        sys.exit(f"error: {error}")
    command()
