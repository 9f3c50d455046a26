"""One line and an exit code for everything that can end a command."""

from __future__ import annotations

import sys

from knas.errors import KnasError, UsageError


def line_and_code(error: BaseException) -> tuple[str, int]:
    """What to print for an error, and what to exit with."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if isinstance(error, KnasError):
        return f"error: {_one_line(error)}", 2 if isinstance(error, UsageError) else 1
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # an error of typer's own
        return f"error: {' '.join(error.format_message().split())}", int(error.exit_code)
    if _out_of_memory(error):
        return (
            "error: out of memory; lower --batch-size, --score-samples or --channels, or take another "
            "--device (what is recorded stays recorded)"
        ), 1
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return f"error:{where} {error.strerror or _one_line(error)}", 1
    return (
        f"error: unexpected {type(error).__name__}: {_one_line(error)} (KNAS_DEBUG=1 shows where; "
        "what is recorded stays recorded)"
    ), 1


def _out_of_memory(error: BaseException) -> bool:
    from knas.gradients.memory import is_out_of_memory

    return is_out_of_memory(error)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def show_warning(message: Warning | str, *where: object, **more: object) -> None:
    """A warning as one line on stderr, in place of `warnings.showwarning`."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
