"""The command line `knas-search`: a thin layer over the package, one file per command.

Whatever goes wrong on purpose is one line on stderr: exit code 2 for a bad argument, 1 for a failure,
130 for Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

DEBUG = "KNAS_DEBUG"
"""With this environment variable set to 1, or --debug, errors come with their traceback."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `knas-search` and exit.

    Args:
        arguments: the command line without the program's name; None takes the process's own.
    """
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run `knas-search` and return its exit code."""
    import typer

    from knas.cli.app import app
    from knas.cli.failure import line_and_code, show_warning

    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            code = command.main(args=list(arguments), prog_name="knas-search", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get(DEBUG) == "1":
            raise
        line, code = line_and_code(error)
        print(line, file=sys.stderr)
    return code if isinstance(code, int) else 0
