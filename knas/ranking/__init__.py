"""Ranking a search space, or a part of it, by the scores of its untrained networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.ranking.table import RankedRow, Ranking

if TYPE_CHECKING:
    import torch

    from knas.search.events import Watcher
    from knas.spaces.base import Architecture

__all__ = ["RankedRow", "Ranking", "load", "rank", "shipped"]


def shipped() -> dict[str, dict[str, Any]]:
    """The tables of scores that come with the package: by name the settings, seed and versions that they tell.

    All of them were computed by knas; `load("shipped:NAME")` takes one.

    Raises:
        UsageError: there are some, but no pyarrow that reads them.
    """
    from knas.ranking import compact

    return compact.shipped()


def load(path: str | Path, space: str = "nas-bench-201") -> Ranking:
    """Read a table of scores.

    Args:
        path: a `.csv` or `.parquet` that `Ranking.write` wrote, or "shipped:NAME" for one of `shipped()`.
        space: the space of its architectures.

    Raises:
        UsageError: the file can't be read, or is no such table of this space; the text tells where.
    """
    from knas import spaces
    from knas.ranking.compact import find
    from knas.ranking.reading import read

    return read(find(path), spaces.create(space))


def rank(
    architectures: str | int | Sequence[str | int | Architecture] = "all",
    *,
    space: str = "nas-bench-201",
    dataset: str | Path = "digits",
    proxy: str | Sequence[str] = "knas",
    proxy_options: Mapping[str, Any] | None = None,
    controls: bool = False,
    score_samples: int = 32,
    seed: int = 0,
    max_train_samples: int | None = None,
    channels: int | None = None,
    cells_per_stage: int | None = None,
    initialization: str | None = None,
    model: str | Path | None = None,
    connection: str | None = None,
    max_length: int | None = None,
    text_columns: Sequence[str] | None = None,
    precision: str = "float32",
    run: str | Path | None = None,
    device: str | torch.device | None = None,
    workers: int | None = 1,
    threads: int | None = None,
    progress: Watcher | None = None,
) -> Ranking:
    """Score architectures untrained, and put them in order.

    Isomorphic architectures get the score of the one that stands for their class (`space.canonical`), which is
    measured once. Scores are recorded in the run's folder as they come: the same call goes on where an earlier one
    stopped, and a call for other architectures adds to it.

    With several workers the calling program must be one that can be imported (see `multiprocessing`, "spawn"): below
    `if __name__ == "__main__"`, where it is a script.

    Args:
        architectures: "all" of the space; a number of them to draw, each of another isomorphism class, the same that
            `knas.search` draws under that seed; or the architectures, as text, indices or objects.
        space: name of a search space, one of `knas.spaces.names()`.
        dataset: name, Hub id or folder of a data set, as `knas.data.load` or, for text, `knas.data.load_text` takes it.
        proxy: what scores, of `knas.proxies.names()`; of several the first one orders.
        proxy_options: options of the proxy, such as `{"estimator": "full"}`; where `proxy` is a sequence, those of each
            by its name, such as `{"mgm": {"estimator": "full"}}`.
        controls: score along what others are compared with, `comparing.CONTROLS`. They are no setting of the run.
        score_samples: images or sentences per score.
        seed: fixes drawn architectures, initial weights, images, and what is random in the score.
        max_train_samples: draw the samples from a subset of this size, as `knas.search` cuts it.
        channels: of the first stage of a network; None for the benchmark's 16.
        cells_per_stage: of a network; None for the benchmark's 5.
        initialization: "kaiming" as in the paper unless given, or "default" for PyTorch's; of text see
            `knas.spaces.TextSpace.build`.
        model: of text: the encoder, a Hub id or a folder; None for "roberta-large".
        connection: of text: how a layer takes several inputs; None for "concatenation".
        max_length: of text: tokens per sentence or pair; None for what the encoder takes.
        text_columns: of text: the column of the sentence, or the two of pairs; None finds them.
        precision: of weights and activations, "float32" or "bfloat16": faster, but not the same ranking.
        run: the run's folder; None makes a name from the settings below `runs/`.
        device: such as "cpu" or "cuda"; None takes CUDA where there is one.
        workers: processes that score; 1 scores in this process, None takes as many as pay: one per core of the CPU
            where there are many networks, one on a GPU.
        threads: CPU threads of each worker; None shares the cores among them.
        progress: called with each of the events of `knas.search.events`.

    Returns:
        One row per architecture, best first.

    Raises:
        UsageError: an argument can't be used, or the folder holds a run with other settings.
        RunError: the folder's files are corrupt or foreign, or another process works in it.
        KnasError: no network could be scored, or a worker process died.
    """
    from knas.ranking.comparing import CONTROLS
    from knas.ranking.proxies import with_options
    from knas.ranking.runner import run_ranking
    from knas.ranking.selection import select
    from knas.ranking.settings import RankSettings

    first, *further = with_options(proxy, proxy_options or {}).items()
    settings = RankSettings(
        space=space,
        dataset=str(dataset),
        seed=seed,
        proxy=first[0],
        proxy_options=dict(first[1]),
        further_proxies=dict(further),
        score_samples=score_samples,
        max_train_samples=max_train_samples,
        channels=channels,
        cells_per_stage=cells_per_stage,
        initialization=initialization,
        model=None if model is None else str(model),
        connection=connection,
        max_length=max_length,
        text_columns=None if text_columns is None else tuple(text_columns),
        precision=precision,
    ).resolved()
    chosen = select(settings.create_space(), architectures, settings.seed)
    return run_ranking(
        settings,
        chosen,
        run,
        device=device,
        workers=workers,
        threads=threads,
        watcher=progress,
        controls=CONTROLS if controls else (),
    )
