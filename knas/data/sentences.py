"""What a name stands for, and how it becomes a data set of tokens."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from knas.data.columns import find_test, label_column, labels_of, training_part
from knas.data.dataset import check_seed, proportional_subset
from knas.data.hub import read_folder, read_hub
from knas.data.parts import limited, usable
from knas.data.registry import find_folder, names
from knas.data.text import TextDataset, Tokens
from knas.data.tokenizer import Tokenizer
from knas.errors import UsageError

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset, DatasetDict

KNOWN_COLUMNS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("sentence",),
    ("text",),
)
"""Names that GLUE, and others after it, give to sentences; only needed where a set has more columns of text."""


@dataclass(frozen=True)
class TextPart:
    """One part of a source: labels, int64 [N], and the columns of its sentences."""

    where: str
    labels: Tensor
    columns: Mapping[str, pyarrow.ChunkedArray]

    def sentences(self, indices: Tensor) -> list[tuple[str, ...]]:
        """The sentences, or pairs of them, at some indices.

        Raises:
            UsageError: If one is missing.
        """
        rows = indices.numpy()
        read = {name: column.take(rows).to_pylist() for name, column in self.columns.items()}
        for name, values in read.items():
            if None in values:
                row = int(rows[values.index(None)])
                raise UsageError(f"{self.where}, row {row}: there is no sentence in the column {name!r}")
        return list(zip(*read.values(), strict=True))


def load_text(
    name: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    max_length: int | None = None,
    max_train_samples: int | None = None,
    max_test_samples: int | None = None,
    seed: int = 0,
) -> TextDataset:
    """Load labelled sentences, or pairs of them, as the tokens that a pretrained encoder takes.

    The test part is the first of "test" and "validation" all of whose samples have labels: for GLUE, which keeps the
    labels of its test parts to itself, that is "validation".

    Args:
        name: A folder with parquet files in the Hub's layout, or an id of the Hugging Face Hub, with a configuration
            behind another slash: "nyu-mll/glue/mrpc". A folder goes before a Hub id.
        model: The encoder whose tokenizer is used: a Hub id, or a folder.
        columns: Of the sentence, or of the two sentences. None finds them by their type, and among several by name.
        max_length: Tokens per sentence or pair; None for as many as the encoder takes. Longer ones are cut, the longer
            sentence of a pair first, and `notes` says how many.
        max_train_samples: Keep at most this many to train on, of each class in proportion.
        max_test_samples: Likewise to test on.
        seed: Fixes which samples these limits keep.

    Returns:
        The data set. Where it comes without a test part, a fifth of the training samples is held out as one, the same
        for every seed, and `notes` says so.

    Raises:
        UsageError: If there is no such data set or tokenizer, labels are missing, or a column can't be told.
        KnasError: If the data set is on the Hub, and the Hub can't be reached.
    """
    check_seed(seed)
    name = os.fspath(name)
    if name in names():
        raise UsageError(f"dataset: {name} holds images, and sentences are wanted, such as nyu-mll/glue/mrpc")
    tokenizer = Tokenizer(os.fspath(model), max_length)
    folder = find_folder(name)
    dataset = read_hub(name) if folder is None else read_folder(folder)
    notes: list[str] = []
    source = _Source.of(name if folder is None else folder.resolve().name, dataset, columns, notes)
    train, test, rows, test_rows = usable(source.name, source.train, source.test, notes, "samples")
    floor = max(2, len(source.classes))
    rows = limited(
        "max_train_samples", train, rows, max_train_samples, floor, seed, notes, proportional_subset
    )
    test_rows = limited(
        "max_test_samples", test, test_rows, max_test_samples, 1, seed, notes, proportional_subset
    )
    return TextDataset(
        source.name,
        _tokens(tokenizer, train, rows, "training", notes),
        train.labels[rows],
        _tokens(tokenizer, test, test_rows, "test", notes),
        test.labels[test_rows],
        source.classes,
        source.columns,
        tokenizer.model,
        tokenizer.max_length,
        tuple(notes),
    )


def _tokens(tokenizer: Tokenizer, part: TextPart, rows: Tensor, use: str, notes: list[str]) -> Tokens:
    tokens, cut = tokenizer(part.sentences(rows))
    if cut:
        limit = f"the {tokenizer.max_length:,} tokens that are taken of each"
        notes.append(f"{cut:,} of {len(rows):,} {use} samples are longer than {limit}, and are cut")
    return tokens


@dataclass(frozen=True)
class _Source:
    """A data set before anything is tokenized; `test` is None where none comes with it."""

    name: str
    train: TextPart
    test: TextPart | None
    classes: tuple[str, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, name: str, dataset: DatasetDict, columns: Sequence[str] | None, notes: list[str]) -> _Source:
        """Find parts and columns."""
        train = training_part(name, dataset)
        label, classes = label_column(name, train)
        _refuse_numbers(name, train, label)
        test, unlabelled = find_test(dataset, label, classes)
        for part in unlabelled:
            instead = "a held-out part of 'train'" if test is None else repr(test)
            notes.append(f"{name}: the part {part!r} lacks labels, and {instead} is tested on")
        chosen = sentence_columns(name, train, columns)
        return cls(
            name,
            _part(f"{name}, train", train, chosen, label, classes),
            None if test is None else _part(f"{name}, {test}", dataset[test], chosen, label, classes),
            classes,
            chosen,
        )


def _part(
    where: str, dataset: Dataset, columns: Sequence[str], label: str, classes: tuple[str, ...]
) -> TextPart:
    labels = labels_of(dataset, label, classes)
    if labels is None:
        raise UsageError(f"dataset: {where} has sentences without a label in its column {label!r}")
    return TextPart(where, labels, {name: dataset.data.column(name) for name in columns})


def _refuse_numbers(name: str, dataset: Dataset, label: str) -> None:
    kind = getattr(dataset.features[label], "dtype", "")
    if kind.startswith("float"):
        raise UsageError(
            f"dataset: the column {label!r} of {name} holds numbers ({kind}), and classes are wanted"
        )


def sentence_columns(name: str, dataset: Dataset, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The column of sentences, or the two columns of pairs of them.

    Args:
        name: Of the data set.
        dataset: One part.
        asked: The columns that the user names; None to find them.

    Returns:
        One name or two.

    Raises:
        UsageError: If there is no such column, or it can't be told which ones are meant.
    """
    kinds = {column: str(getattr(feature, "dtype", feature)) for column, feature in dataset.features.items()}
    texts = [column for column, kind in kinds.items() if kind in ("string", "large_string")]
    if asked is not None:
        if len(asked) not in (1, 2) or len(set(asked)) != len(asked) or not set(asked) <= set(texts):
            raise UsageError(
                f"columns: wanted one or two columns of text of {name} ({', '.join(texts) or 'it has none'}), "
                f"got {', '.join(map(repr, asked)) or 'none'}"
            )
        return tuple(asked)
    known = [columns for columns in KNOWN_COLUMNS if set(columns) <= set(texts)]
    if known or len(texts) in (1, 2):
        return known[0] if known else tuple(texts)
    found = ", ".join(f"{column} ({kind})" for column, kind in kinds.items())
    raise UsageError(
        f"dataset: which columns of {name} hold the sentences can't be told; name one or two of: {found}"
    )
