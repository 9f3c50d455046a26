"""Networks of the space: what their layers take, and where their weights come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_encoders
import torch
from spaces.text.plain_forward import forward
from torch import nn

import knas
from knas import spaces
from knas.errors import UsageError
from knas.spaces.text import CONNECTIONS, TextSpace

DEPTH = 7
LENGTHS = [5, 9, 3, 7]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> TextSpace:
    return TextSpace(tiny_encoders.save(tmp_path_factory.mktemp("bert"), "bert", DEPTH))


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("text", ["highway:4", "look-ahead:4", "densenet:2", "densenet:3"])
def test_logits_are_those_of_the_layers_one_by_one(bert: TextSpace, text: str, connection: str) -> None:
    structure = bert.parse(text)
    network = bert.build(structure, seed=3, connection=connection).eval()
    inputs = tiny_encoders.sentences("bert", LENGTHS)
    want = forward(network, inputs, structure.wiring(DEPTH), connection)
    torch.testing.assert_close(network(inputs), want)
    plain = bert.build(bert.plain(), seed=3).eval()
    assert not torch.allclose(network(**inputs), plain(**inputs), atol=1e-3)


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("family", tiny_encoders.FAMILIES)
def test_the_plain_chain_is_the_pretrained_model(tmp_path: Path, family: str, connection: str) -> None:
    """Every structure whose wiring is the chain gives the encoder's own states, to the bit."""
    space = TextSpace(tiny_encoders.save(tmp_path, family, 4))
    inputs = tiny_encoders.sentences(family, LENGTHS)
    want = tiny_encoders.transformers.AutoModel.from_pretrained(tmp_path)(**inputs)[0]
    plain = [structure for structure in space if space.canonical(structure) == space.plain()]
    assert set(map(str, plain)) == {"highway:2", "look-ahead:2", "densenet:2", "densenet:3", "densenet:4"}
    for structure in plain:
        network = space.build(structure, connection=connection).eval()
        assert torch.equal(network.encoder(**inputs)[0], want)


def test_logits_of_the_plain_chain_are_robertas_own(tmp_path: Path) -> None:
    model = tiny_encoders.classifier("roberta", attention="sdpa").eval()
    model.save_pretrained(tmp_path)
    space, inputs = TextSpace(str(tmp_path)), tiny_encoders.sentences("roberta", LENGTHS)
    network = space.build(space.plain()).eval()
    network.head.dense.load_state_dict(model.classifier.dense.state_dict())
    network.head.output.load_state_dict(model.classifier.out_proj.state_dict())
    assert torch.equal(network(inputs), model(**inputs).logits)


def test_added_parameters_start_as_xavier_says(bert: TextSpace) -> None:
    network = bert.build(bert.parse("densenet:2"), seed=2)
    joints = network.encoder.encoder.layer[0].joints
    assert [joint.projection.in_features for joint in joints.values()] == [2 * 16, 3 * 16]
    for layer in (network.head.dense, network.head.output, *(joint.projection for joint in joints.values())):
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert 0.8 * bound < layer.weight.abs().max() <= bound
        assert (layer.bias == 0).all()


def test_layers_of_two_structures_start_the_same(bert: TextSpace) -> None:
    one, other = (bert.build(bert.parse(text), seed=4).state_dict() for text in ("look-ahead:4", "highway:4"))
    assert len(one.keys() & other.keys()) > 100
    assert all(
        torch.equal(one[key], other[key]) for key in one.keys() & other.keys() if "joints.4" not in key
    )


@pytest.mark.parametrize("initialization", ["xavier", "default"])
def test_random_encoders_need_no_weights(tmp_path: Path, initialization: str) -> None:
    tiny_encoders.FAMILIES["roberta"](4).save_pretrained(tmp_path)
    space = TextSpace(str(tmp_path))
    before = torch.get_rng_state()
    first, again, other = (
        space.build(space.plain(), seed=seed, initialization=initialization) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    weight = "encoder.encoder.layer.0.layers.2.output.dense.weight"
    assert torch.equal(first.get_parameter(weight), again.get_parameter(weight))
    assert not torch.equal(first.get_parameter(weight), other.get_parameter(weight))
    spread = {"xavier": (2 / (24 + 16)) ** 0.5, "default": 0.02}[initialization]
    assert first.get_parameter(weight).std().item() == pytest.approx(spread, rel=0.2)
    words = first.encoder.embeddings.word_embeddings
    assert (words.weight[words.padding_idx] == 0).all()
    with pytest.raises(UsageError, match="no encoder can be read"):
        space.build(space.plain())


def test_a_network_is_its_own(bert: TextSpace) -> None:
    """Training one changes neither the next nor what the space keeps."""
    inputs = tiny_encoders.sentences("bert", LENGTHS)
    first = bert.build(bert.plain()).eval()
    want = first(inputs)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    assert torch.equal(bert.build(bert.plain()).eval()(inputs), want)


def test_weights_are_read_once(bert: TextSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    bert.build(bert.plain())
    monkeypatch.setattr("knas.spaces.text.space.read_encoder", None)
    for structure in bert:
        bert.build(structure, seed=5, num_classes=3)


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_scores_and_skips_nothing(bert: TextSpace, connection: str) -> None:
    inputs = tiny_encoders.sentences("bert", LENGTHS)
    padded = tiny_encoders.sentences("bert", LENGTHS, width=tiny_encoders.LENGTH)
    build = bert.builder(2, 0, dtype=torch.float64, connection=connection)
    values = {}
    for text in ("highway:2", "highway:4", "look-ahead:4", "densenet:2"):
        score = knas.score(build(bert.parse(text)), inputs)
        assert not score.skipped
        values[text] = score.value
        again = knas.score(build(bert.parse(text)), padded).value
        assert again == pytest.approx(score.value, rel=1e-10)
    assert len(set(values.values())) == 4


def test_create_passes_the_model_on(bert: TextSpace) -> None:
    assert len(spaces.create("text", model=bert.model)) == 3 * (DEPTH - 1)
    with pytest.raises(UsageError, match="space 'text' has no option 'folder'"):
        spaces.create("text", folder=bert.model)
    with pytest.raises(UsageError, match="model must be a Hub id or a folder, got 3"):
        spaces.create("text", model=3)


def test_roberta_large_has_ten_of_each(tmp_path: Path) -> None:
    tiny_encoders.FAMILIES["roberta"](24).save_pretrained(tmp_path)
    space = TextSpace(str(tmp_path))
    assert list(map(str, space)) == [
        f"{structure}:{cell}" for structure in ("highway", "look-ahead", "densenet") for cell in range(2, 12)
    ]
    assert len({space.canonical(structure) for structure in space}) == 28


def test_connections_are_modules(bert: TextSpace) -> None:
    with pytest.raises(
        UsageError, match="connection must be one of concatenation, addition, mean, got 'sum'"
    ):
        bert.build(bert.plain(), connection="sum")
    assert all(issubclass(kind, nn.Module) for kind in CONNECTIONS.values())
