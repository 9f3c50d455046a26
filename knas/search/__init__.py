"""Searching a space for a good architecture, with a run folder that any interruption leaves resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.runs.result import SearchResult

if TYPE_CHECKING:
    import torch

    from knas.search.events import Watcher

__all__ = ["SearchResult", "search"]


def search(
    space: str = "nas-bench-201",
    dataset: str | Path = "digits",
    algorithm: str = "knas",
    samples: int | None = None,
    top_k: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    run: str | Path | None = None,
    *,
    algorithm_options: Mapping[str, Any] | None = None,
    proxy: str | None = None,
    proxy_options: Mapping[str, Any] | None = None,
    score_samples: int = 64,
    max_train_samples: int | None = None,
    batch_size: int | None = None,
    channels: int | None = None,
    cells_per_stage: int | None = None,
    initialization: str | None = None,
    model: str | Path | None = None,
    connection: str | None = None,
    max_length: int | None = None,
    text_columns: Sequence[str] | None = None,
    learning_rate: float | None = None,
    warmup: float | None = None,
    weight_decay: float | None = None,
    plain: bool = False,
    augment: bool = True,
    control: bool = False,
    benchmark: str | Path | None = None,
    benchmark_dataset: str | None = None,
    score_seconds: float | None = None,
    device: str | torch.device | None = None,
    progress: Watcher | None = None,
) -> SearchResult:
    """Find an architecture by Algorithm 1 of the KNAS paper (arXiv 2111.13293), or another algorithm, and train it.

    Algorithm 1: draw architectures, score them untrained, train the `top_k` with the highest scores, choose by
    validation accuracy. Everything is recorded in the run's folder as it happens: the same call on the same folder goes
    on where an earlier one was interrupted, even by `kill -9`, and returns a finished run's result as it is.

    Where None, `samples`, `top_k`, `epochs`, `channels` and `cells_per_stage` are 100, 20, 20, 16 and 5 as in the
    paper, but smaller (`knas.search.settings.SMALL`) for "digits"; on a benchmark `epochs` are 12. In the space "text"
    they are, and the options of its own, what `knas.search.text_settings.fine_tuning_defaults` says.

    Args:
        space: name of a search space, one of `knas.spaces.names()`.
        dataset: name, Hub id or folder of a data set, as `knas.data.load` or, for text, `knas.data.load_text` takes it.
        algorithm: name of a search algorithm, one of `knas.search.base.names()`.
        samples: architectures to draw and score, each of another isomorphism class.
        top_k: architectures to train.
        epochs: of each training.
        seed: fixes architectures, initial weights, images for scoring, validation split and training.
        run: the run's folder; None makes a name from the settings below `runs/`.
        algorithm_options: options of the algorithm's class, such as `{"seconds": 600}`.
        proxy: what scores, one of `knas.proxies.names()`; None for the algorithm's own, mostly "knas".
        proxy_options: options of the proxy, such as `{"estimator": "full"}`.
        score_samples: images or sentences per score.
        max_train_samples: train on a subset of this size: class-balanced of images, with the classes' shares of
            sentences.
        batch_size: samples per training step; None for 256, or less where there are few images, and 4 for text.
        channels: of the first stage of a network.
        cells_per_stage: of a network.
        initialization: "kaiming" as in the paper unless given, or "default" for PyTorch's; of text see
            `knas.spaces.TextSpace.build`.
        model: of text: the encoder, a Hub id or a folder.
        connection: of text: how a layer takes several inputs.
        max_length: of text: tokens per sentence or pair; None for what the encoder takes.
        text_columns: of text: the column of the sentence, or the two of pairs; None finds them.
        learning_rate: of text: of fine-tuning, at its highest.
        warmup: of text: share of the steps in which it rises.
        weight_decay: of text: of fine-tuning.
        plain: of text: also train the plain pretrained model in the same way.
        augment: crop training images at random, and mirror them where the data set allows it.
        control: also train `top_k` of the drawn architectures chosen at random.
        benchmark: a table that `knas.benchmarks.load` reads: nothing is trained, accuracies and training times are
            looked up (see `knas.benchmarks.simulated`), and `dataset` gives the images for scores only.
        benchmark_dataset: "cifar10" (unless given), "cifar100" or "imagenet16-120".
        score_seconds: what a score costs on a benchmark; None for what it really takes.
        device: such as "cpu" or "cuda"; None takes CUDA where there is one.
        progress: called with each of the events of `knas.search.events`.

    Returns:
        What was found and what it cost.

    Raises:
        UsageError: an argument can't be used, or the folder holds a run with other settings.
        RunError: the folder's files are corrupt or foreign, or another process works in it.
        KnasError: no network could be scored, or none trained.
    """
    from knas.search.base import find
    from knas.search.runner import run_search
    from knas.search.settings import SearchSettings

    settings = SearchSettings(
        space=space,
        dataset=str(dataset),
        algorithm=algorithm,
        algorithm_options=dict(algorithm_options or {}),
        samples=samples,
        top_k=top_k,
        epochs=epochs,
        seed=seed,
        proxy=proxy or find(algorithm).proxy,
        proxy_options=dict(proxy_options or {}),
        score_samples=score_samples,
        max_train_samples=max_train_samples,
        batch_size=batch_size,
        channels=channels,
        cells_per_stage=cells_per_stage,
        initialization=initialization,
        model=None if model is None else str(model),
        connection=connection,
        max_length=max_length,
        text_columns=None if text_columns is None else tuple(text_columns),
        learning_rate=learning_rate,
        warmup=warmup,
        weight_decay=weight_decay,
        plain=plain,
        augment=augment,
        control=control,
        benchmark=None if benchmark is None else str(benchmark),
        benchmark_dataset=benchmark_dataset,
        score_seconds=score_seconds,
    ).resolved()
    return run_search(settings, run, device=device, watcher=progress)
