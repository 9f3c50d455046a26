"""`knas-search doctor` and `--version`: how knas was built and what it runs on."""

from __future__ import annotations

import typer


def command() -> None:
    """Say which torch and CUDA knas was built for, whether its CUDA kernels are in, and what to do if not."""
    from knas.doctor import doctor_text

    typer.echo(doctor_text())


def print_version(asked: bool) -> None:
    """Print the version and exit, where asked for."""
    if asked:
        from knas.doctor import version_text

        typer.echo(version_text())
        raise typer.Exit
