"""Data sets of the Hugging Face Hub, and folders laid out like one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from knas.errors import KnasError, UsageError

if TYPE_CHECKING:
    from datasets import DatasetDict


def read_hub(identifier: str) -> DatasetDict:
    """Open a data set of the Hub, from the network or from the cache of an earlier download.

    Args:
        identifier: Such as "uoft-cs/cifar10", or "nyu-mll/glue/mrpc" for one configuration of several.

    Returns:
        Its parts.

    Raises:
        KnasError: If neither the Hub nor a cached copy can be reached.
        UsageError: If there is no such data set or configuration.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    owner, name, *configuration = identifier.split("/")
    repository = f"{owner}/{name}"
    with _quiet(offline=not _hub_answers(repository)):
        try:
            return load_dataset(repository, *configuration)
        except DatasetNotFoundError as error:
            raise UsageError(f"dataset: the Hub has no public data set {identifier!r}") from error
        except (ConnectionError, FileNotFoundError) as error:
            raise KnasError(
                f"dataset: {identifier!r} is no folder here, and the Hugging Face Hub can't be reached to "
                "download it; pass a folder in the Hub's layout (with data/train-*.parquet and so on)"
            ) from error
        except ValueError as error:  # several configurations, or none of that name
            raise UsageError(f"dataset: {identifier!r} can't be opened ({_one_line(error)})") from error


def read_folder(folder: Path, problem: str = "no folder in") -> DatasetDict:
    """Open a folder in the Hub's layout: parquet files that are named by the part that they hold.

    The network isn't touched. The files are kept once more in the cache of `datasets`, as it always does.

    Args:
        folder: Such as "data/cifar10", which holds "plain_text/train-00000-of-00001.parquet".
        problem: How the error begins where there are no such files.

    Returns:
        Its parts.

    Raises:
        UsageError: If the folder holds no data set, or a file is corrupt.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    with _quiet(offline=True):
        try:
            return load_dataset(str(folder.resolve()))
        except FileNotFoundError as error:
            raise UsageError(
                f"{folder}: {problem} the Hub's layout (data/train-*.parquet, data/test-*.parquet)"
            ) from error
        except (DatasetGenerationError, ValueError, OSError) as error:  # also several data sets in one folder
            broken = _broken_parquet(folder)
            problem = (
                f"{folder}: not one data set in the Hub's layout" if broken is None else f"{broken}: corrupt"
            )
            raise UsageError(f"{problem} ({_one_line(error.__cause__ or error)})") from error


def _one_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _hub_answers(identifier: str) -> bool:
    """Ask the Hub once: `datasets` alone would try for half a minute to reach a Hub that isn't there."""
    import huggingface_hub

    try:
        huggingface_hub.HfApi().dataset_info(identifier, timeout=20)
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.HFValidationError):
        return True  # `datasets` will say what is wrong
    except Exception:
        return False
    return True


@contextlib.contextmanager
def _quiet(*, offline: bool) -> Iterator[None]:
    """No progress bars and no chatter from `datasets`, and its settings as they were afterwards."""
    import datasets
    import huggingface_hub
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    bars = not datasets.are_progress_bars_disabled(), not are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity(), huggingface_hub.logging.get_verbosity()
    was_offline = datasets.config.HF_HUB_OFFLINE
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)  # its errors are raised as well, in one line, below
    disable_progress_bars()
    huggingface_hub.logging.set_verbosity(logging.CRITICAL)
    datasets.config.HF_HUB_OFFLINE = was_offline or offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = was_offline
        datasets.logging.set_verbosity(verbosity[0])
        huggingface_hub.logging.set_verbosity(verbosity[1])
        if bars[0]:
            datasets.enable_progress_bars()
        if bars[1]:
            enable_progress_bars()


def _broken_parquet(folder: Path) -> Path | None:
    """The first parquet file under a folder that isn't one."""
    import pyarrow
    from pyarrow import parquet

    for path in sorted(folder.rglob("*.parquet")):
        try:
            parquet.read_metadata(path)
        except (OSError, pyarrow.ArrowInvalid):
            return path
    return None
