"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knas.errors import UsageError

if TYPE_CHECKING:
    from knas.search.events import Watcher
    from knas.spaces.base import SearchSpace

Space = Annotated[str, typer.Option(help="Search space.")]
Dataset = Annotated[
    str, typer.Option(help="Data set: a name (digits, cifar10, ...), a Hugging Face id, or a folder.")
]
Seed = Annotated[int, typer.Option(help="Fixes everything that is random.")]
Proxy = Annotated[str, typer.Option(help="What scores an untrained network.", rich_help_panel="Proxy")]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Any option of the proxy; repeatable.", rich_help_panel="Proxy"),
]
Estimator = Annotated[
    str | None,
    typer.Option(help="mgm: sampled (Eq. 16), full (Eq. 15), split or released.", rich_help_panel="Proxy"),
]
Of = Annotated[
    str | None, typer.Option(help="mgm: gradients of the output or of the loss.", rich_help_panel="Proxy")
]
BatchNorm = Annotated[
    str | None, typer.Option(help="mgm: calibrated, batch or initial.", rich_help_panel="Proxy")
]
ScoreSamples = Annotated[int, typer.Option(help="Images or sentences per score.", rich_help_panel="Proxy")]
MaxTrainSamples = Annotated[
    int | None,
    typer.Option(
        help="Use a subset of the training data: class-balanced of images, with the classes' shares of sentences."
    ),
]
Channels = Annotated[int | None, typer.Option(help="Channels of the first stage.", rich_help_panel="Network")]
CellsPerStage = Annotated[int | None, typer.Option(help="Cells per stage.", rich_help_panel="Network")]
Initialization = Annotated[
    str | None,
    typer.Option(
        help="kaiming, kaiming-fan-out or default; of text: pretrained, xavier or default.",
        rich_help_panel="Network",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Pretrained encoder: a Hugging Face id or a folder; roberta-large.", rich_help_panel="Text"
    ),
]
Connection = Annotated[
    str | None,
    typer.Option(
        help="How a layer takes several inputs: concatenation, addition or mean.", rich_help_panel="Text"
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(help="Tokens per sentence or pair; what the encoder takes.", rich_help_panel="Text"),
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Column of the sentence; twice for pairs. Found by type and name unless given.",
        rich_help_panel="Text",
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cpu or cuda; CUDA where there is one.", rich_help_panel="Machine")
]
Threads = Annotated[
    int | None, typer.Option(help="CPU threads; all cores, but one for digits.", rich_help_panel="Machine")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


def search_space(name: str, model: str | None) -> SearchSpace:
    """The space of a name, around an encoder where it is that of text."""
    from knas.search.settings import ScoreSettings

    return ScoreSettings(space=name, model=model).resolved().create_space()


def proxy_options(given: Sequence[str] | None, named: Mapping[str, Any]) -> dict[str, Any]:
    """The proxy's options from `--proxy-option NAME=VALUE` and from options of their own (see `named_values`)."""
    return named_values("--proxy-option", given, named, example="sample=50")


def named_values(
    option: str, given: Sequence[str] | None, named: Mapping[str, Any], *, example: str
) -> dict[str, Any]:
    """What a repeatable option NAME=VALUE gives, together with options of their own.

    A value is read as YAML reads it: `50` is a number, `true` a truth value, `full` a text.

    Args:
        option: its name, for errors.
        given: its values.
        named: options of their own by name; None where they were not given.
        example: a value, for errors.

    Raises:
        UsageError: an entry has no "=", or a name comes twice.
    """
    import yaml

    options = {name: value for name, value in named.items() if value is not None}
    for entry in given or ():
        name, equals, text = entry.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"{option} {entry!r} must be NAME=VALUE, such as {example}")
        if name in options:
            raise UsageError(f"{option} {entry!r} gives {name} a second time; give it once")
        try:
            options[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"{option} {entry!r} has a value that can't be read") from error
    return options


@contextmanager
def interruptible(run: Path | None) -> Iterator[None]:
    """Answer Ctrl-C with how to go on.

    Args:
        run: the run's folder, where it is known.
    """
    try:
        yield
    except KeyboardInterrupt:
        where = "" if run is None else f", from {run}"
        typer.echo(f"interrupted: the same command goes on where it stopped{where}", err=True)
        raise typer.Exit(130) from None


@contextmanager
def watching(quiet: bool) -> Iterator[Watcher]:
    """What shows the events of a run on stderr, or nothing where that is asked for."""
    if quiet:
        from knas.search.events import ignore

        yield ignore
        return
    from knas.report.console import progress

    with progress() as watcher:
        yield watcher


def set_threads(threads: int | None, dataset: str) -> None:
    """Limit the CPU threads of torch, where asked for or where the data set's networks are small.

    Args:
        threads: how many; None for what suits the data set.
        dataset: its name.

    Raises:
        UsageError: the number is below 1.
    """
    from knas.search.settings import SMALL_THREADS

    threads = SMALL_THREADS.get(dataset) if threads is None else threads
    if threads is None:
        return
    if threads < 1:
        raise UsageError(f"--threads must be at least 1, not {threads}")
    import torch

    torch.set_num_threads(threads)
