"""What every search space must do: its tests inherit `SearchSpaceConformance`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from knas import spaces
from knas.errors import UsageError
from knas.spaces import Architecture, SearchSpace


class SearchSpaceConformance:
    """Subclasses set `name`, `malformed` (text and what the error says), `inputs`, and options where there are some.

    `misspelled` is an initialization that there isn't, and the one that is meant.
    """

    name: ClassVar[str]
    malformed: ClassVar[tuple[tuple[object, str], ...]]
    build_options: ClassVar[dict[str, int]] = {}
    misspelled: ClassVar[tuple[str, str]] = ("kaimin", "kaiming")

    def inputs(self, n: int) -> object:
        """Return a batch of n samples that the space's networks take."""
        raise NotImplementedError

    @pytest.fixture
    def space_options(self) -> dict[str, object]:
        """Return what `spaces.create` takes beside the name."""
        return {}

    @pytest.fixture
    def space(self, space_options: dict[str, object]) -> SearchSpace:
        return spaces.create(self.name, **space_options)

    def drawn(self, space: SearchSpace, count: int, seed: int = 0) -> list[Architecture]:
        generator = np.random.default_rng(seed)
        return [space.sample(generator) for _ in range(count)]

    def test_is_registered_under_its_name(self, space: SearchSpace) -> None:
        assert self.name == space.name
        assert self.name in spaces.names()

    def test_text_and_number_round_trip(self, space: SearchSpace) -> None:
        for architecture in self.drawn(space, 200):
            assert space.parse(str(architecture)) == architecture
            assert space.architecture(space.index(architecture)) == architecture
            assert isinstance(architecture, space.kind)

    def test_choices_make_the_architectures(self, space: SearchSpace) -> None:
        choices = space.choices()
        for architecture in self.drawn(space, 200):
            codes = space.encode(architecture)
            assert space.decode(codes) == architecture
            assert len(codes) == len(choices)
            assert all(code in range(len(names)) for code, names in zip(codes, choices, strict=True))
        for wrong in (codes[1:], (*codes, 0), (-1, *codes[1:]), (len(choices[0]), *codes[1:])):
            with pytest.raises(UsageError):
                space.decode(wrong)

    def test_iteration_follows_the_numbers(self, space: SearchSpace) -> None:
        for index, architecture in zip(range(50), space):  # noqa: B905 (a space may have fewer)
            assert space.index(architecture) == index

    def test_architectures_are_hashable_and_immutable(self, space: SearchSpace) -> None:
        first, again = space.architecture(0), space.architecture(0)
        assert len({first, again, space.architecture(len(space) - 1)}) == 2
        with pytest.raises(AttributeError):
            first.anything = 1  # type: ignore[attr-defined]

    def test_sampling_depends_on_the_generator_alone(self, space: SearchSpace) -> None:
        np.random.seed(0)  # noqa: NPY002 (the global state must not matter)
        first = self.drawn(space, 20, seed=3)
        np.random.seed(1)  # noqa: NPY002
        assert self.drawn(space, 20, seed=3) == first
        assert self.drawn(space, 20, seed=4) != first

    def test_sampling_covers_the_numbers_evenly(self, space: SearchSpace) -> None:
        numbers = np.array([space.index(architecture) for architecture in self.drawn(space, 4000)])
        assert numbers.min() >= 0
        assert numbers.max() < len(space)
        spread = (len(space) ** 2 - 1) ** 0.5 / 12**0.5
        assert abs(numbers.mean() - (len(space) - 1) / 2) < 4 * spread / 4000**0.5

    def test_canonical_is_idempotent_and_a_member(self, space: SearchSpace) -> None:
        for architecture in self.drawn(space, 200):
            canonical = space.canonical(architecture)
            assert space.canonical(canonical) == canonical
            assert space.parse(str(canonical)) == canonical

    def build(self, space: SearchSpace, architecture: Architecture, **options: object) -> nn.Module:
        return space.build(architecture, **{**self.build_options, **options})

    def test_build_depends_on_the_seed_alone(self, space: SearchSpace) -> None:
        architecture = self.drawn(space, 1)[0]
        torch.manual_seed(0)
        first = self.build(space, architecture, seed=5).state_dict()
        torch.manual_seed(1)
        before = torch.get_rng_state()
        again = self.build(space, architecture, seed=5).state_dict()
        assert torch.equal(torch.get_rng_state(), before)
        assert first.keys() == again.keys()
        assert all(torch.equal(first[key], again[key]) for key in first)
        other = self.build(space, architecture, seed=6).state_dict()
        assert any(not torch.equal(first[key], other[key]) for key in first)

    @pytest.mark.parametrize("num_classes", [2, 10, 120])
    def test_parameters_and_logits_of_built_networks(self, space: SearchSpace, num_classes: int) -> None:
        for architecture in self.drawn(space, 4, seed=num_classes):
            network = self.build(space, architecture, num_classes=num_classes)
            built = sum(p.numel() for p in network.parameters() if p.requires_grad)
            assert space.parameters(architecture, num_classes, **self.build_options) == built
            logits: Tensor = network(self.inputs(3))
            assert logits.shape == (3, num_classes)
            assert torch.isfinite(logits).all()

    def test_malformed_text(self, space: SearchSpace) -> None:
        assert self.malformed
        for text, wanted in self.malformed:
            with pytest.raises(UsageError) as caught:
                space.parse(text)  # type: ignore[arg-type]
            assert "architecture text" in str(caught.value)
            assert wanted in str(caught.value)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("index", [-1, None, 1.0, "0", True])
    def test_numbers_out_of_range(self, space: SearchSpace, index: object) -> None:
        with pytest.raises(UsageError, match=f"index must be an integer from 0 to {len(space) - 1}, got"):
            space.architecture(index)  # type: ignore[arg-type]

    def test_number_past_the_end(self, space: SearchSpace) -> None:
        with pytest.raises(UsageError, match=f"got {len(space)}"):
            space.architecture(len(space))

    def test_text_in_place_of_an_architecture(self, space: SearchSpace) -> None:
        text = str(space.architecture(0))
        for method in (space.index, space.canonical, space.build, space.parameters):
            with pytest.raises(UsageError, match=r"architecture must be .* space\.parse"):
                method(text)  # type: ignore[operator]

    def test_sampling_wants_a_numpy_generator(self, space: SearchSpace) -> None:
        with pytest.raises(UsageError, match=r"generator must be .*default_rng\(0\), got int"):
            space.sample(0)  # type: ignore[arg-type]

    def test_classes_seeds_and_initializations_out_of_range(self, space: SearchSpace) -> None:
        architecture = space.architecture(0)
        with pytest.raises(UsageError, match="num_classes must be an integer of at least 1, got 0"):
            space.build(architecture, num_classes=0)
        with pytest.raises(UsageError, match="num_classes must be"):
            space.parameters(architecture, num_classes=2.5)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="seed must be an integer of at least 0, got -1"):
            self.build(space, architecture, seed=-1)
        given, meant = self.misspelled
        wanted = rf"initialization must be one of .*got '{given}'; did you mean '{meant}'"
        with pytest.raises(UsageError, match=wanted):
            self.build(space, architecture, initialization=given)

    def test_builder_makes_what_build_makes(self, space: SearchSpace) -> None:
        builder = space.builder(7, 5, "cpu", **self.build_options)
        for architecture in self.drawn(space, 6, seed=1):
            alone = self.build(space, architecture, num_classes=7, seed=5)
            for _ in range(2):
                state, wanted = builder(architecture).state_dict(), alone.state_dict()
                assert list(state) == list(wanted)
                assert all(torch.equal(state[key], wanted[key]) for key in wanted)
            alone.train(False)
            torch.testing.assert_close(
                builder(architecture).train(False)(self.inputs(3)), alone(self.inputs(3))
            )
