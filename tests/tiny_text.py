"""A small encoder with a tokenizer of a few words, and small data sets of sentences in the Hub's layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import tiny_encoders

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # as RoBERTa numbers them
WORDS = (
    "cat",
    "dog",
    "bird",
    "fish",
    "sees",
    "hears",
    "likes",
    "a",
    "the",
    "yes",
    "no",
    "old",
    "young",
    "big",
)


def encoder_with_tokenizer(folder: Path, family: str = "roberta", depth: int = 3) -> str:
    """Write a random encoder and its tokenizer into a folder and return the folder's name."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    name = tiny_encoders.save(folder, family, depth)
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(SPECIAL + WORDS)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s>:1 $B:1 </s>:1", special_tokens=special
    )
    types = ["token_type_ids"] if family in tiny_encoders.TAKES_TYPES else []
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_input_names=["input_ids", *types, "attention_mask"],
    ).save_pretrained(folder)
    return name


def pairs(count: int, seed: int = 0, longest: int = 6) -> dict[str, list[Any]]:
    """Pairs of sentences of random words; the label tells whether the second one starts with "yes"."""
    generator = numpy.random.default_rng(seed)
    labels = [number % 2 for number in range(count)]

    def words(first: str) -> str:
        return " ".join([first, *generator.choice(WORDS[:9], generator.integers(1, longest))])

    return {
        "sentence1": [words("the") for _ in labels],
        "sentence2": [words("yes" if label else "no") for label in labels],
        "label": labels,
        "idx": list(range(count)),
    }


def write_parts(
    folder: Path,
    parts: Mapping[str, Mapping[str, Sequence[Any]]],
    classes: Sequence[str] | None = ("no", "yes"),
) -> Path:
    """Write parts in the Hub's layout: columns by name; `label` is a ClassLabel unless there are no classes."""
    import pyarrow
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    for part, columns in parts.items():
        table = pyarrow.table({name: list(values) for name, values in columns.items()})
        if classes is not None:
            feature = {"names": list(classes), "_type": "ClassLabel"}
            kinds = {"int64": "int64", "double": "float64", "string": "string"}
            features = {
                field.name: {"dtype": kinds[str(field.type)], "_type": "Value"} for field in table.schema
            }
            told = {"info": {"features": {**features, "label": feature}}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(told)})
        parquet.write_table(table, folder / f"{part}-00000-of-00001.parquet")
    return folder


def data_folder(folder: Path, train: int = 40, test: int = 16) -> Path:
    """Write a data set of pairs, the test part under the name of GLUE's."""
    return write_parts(folder, {"train": pairs(train), "validation": pairs(test, seed=1)})
