"""Writes docs/performance.md from results that were measured.

    pytest bench --benchmark-json=run.json && python -m bench.report run.json

keeps the run under bench/results/ and writes the page from the newest result of each device; without arguments it
only writes the page. The explanations and the floors' arithmetic are in performance.md.j2, every measured figure in
the JSON.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jinja2

from bench import results, tables

FOLDER = Path(__file__).parent


def views(folder: Path) -> list[tables.View]:
    """What was measured, CPUs first."""
    found = [
        tables.View(result, device)
        for result in results.newest(folder)
        for device in sorted({m["device"] for m in result.measurements if "device" in m})
    ]
    return sorted(found, key=lambda view: view.device)


def render(folder: Path) -> str:
    """The page's text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.filters.update(times=tables.times, ms=tables.milliseconds, percent=tables.percent)
    template = environment.get_template("performance.md.j2")
    text = template.render(views=views(folder), **tables.TABLES)
    return "\n".join(_without_gaps(text.splitlines())) + "\n"


def _without_gaps(lines: Sequence[str]) -> list[str]:
    """Leaves one empty line where what was not measured left several."""
    return [
        line.rstrip()
        for previous, line in zip(["", *lines], lines, strict=False)
        if line.strip() or previous.strip()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("runs", nargs="*", type=Path, help="files of `pytest bench --benchmark-json=FILE`")
    parser.add_argument("--results", type=Path, default=FOLDER / "results", help="folder of kept results")
    parser.add_argument("--page", type=Path, default=FOLDER.parent / "docs" / "performance.md")
    chosen = parser.parse_args(arguments)
    try:
        for path in results.keep(chosen.runs, chosen.results):
            print(f"kept {path}")
    except (OSError, ValueError) as error:
        print(f"{' '.join(map(str, chosen.runs))}: {error}", file=sys.stderr)
        return 1
    chosen.page.write_text(render(chosen.results))
    print(f"wrote {chosen.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
