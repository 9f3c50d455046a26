"""The example of Proposition 4.1 holds, and would not if its numbers were wrong."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILE = Path(__file__).resolve().parents[2] / "examples" / "proposition_4_1.py"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The example's own setting, undone for the tests that follow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("proposition_4_1", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_both_bounds_hold_and_tell_something(example: ModuleType, seed: int) -> None:
    network = example.Network(seed=seed, depth=1 + seed)
    moments = example.flow(network, *example.problem(seed=seed), 0.02, 100)
    assert moments[-1].loss < 1e-3 * moments[0].loss
    assert example.above(moments, example.bound(moments)) == 0
    assert example.above(moments, example.bound(moments, factor=2)) == 0
    assert example.bound(moments, factor=2)[-1] < 0.2 * moments[0].loss
    assert example.crossed(moments) == 0
    assert all(moment.path <= moment.smallest for moment in moments)
    assert example.slope_error(moments) < 0.05


def test_the_gram_matrix_is_that_of_autograd(example: ModuleType) -> None:
    network, (inputs, targets) = example.Network(seed=3), example.problem(seed=3)
    rows = []
    for output in network(inputs):
        found = torch.autograd.grad(output, list(network.parameters()), retain_graph=True)
        rows.append(torch.cat([part.flatten() for part in found]))
    gradients = torch.stack(rows)
    eigenvalues = torch.linalg.eigvalsh(gradients @ gradients.T)
    moment = example.flow(network, inputs, targets, 0.01, 0)[0]
    assert moment.smallest == pytest.approx(float(eigenvalues[0]), rel=1e-9)
    assert moment.frobenius == pytest.approx(float(eigenvalues.square().sum().sqrt()), rel=1e-9)


def test_half_the_step_is_the_same_flow(example: ModuleType) -> None:
    losses = [
        example.flow(example.Network(), *example.problem(), step, round(1 / step))[-1].loss
        for step in (0.02, 0.01)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_with_lambda_of_the_moment_the_tight_bound_fails(example: ModuleType) -> None:
    moments = example.flow(example.Network(seed=1), *example.problem(seed=1, scale=4.0), 0.005, 100)
    assert example.above(moments, example.bound(moments, factor=2, along_path=False)) > 50
    assert example.above(moments, example.bound(moments, factor=2)) == 0


def test_a_slower_flow_is_caught(example: ModuleType) -> None:
    moments = example.flow(example.Network(), *example.problem(), 0.02, 20)
    slow = [dataclasses.replace(moment, loss=moments[0].loss) for moment in moments]
    assert example.above(slow, example.bound(slow)) == 20
    assert example.slope_error(slow) == 1.0


def test_it_prints_a_table_and_draws(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'knas[figures]'")
    assert example.main(["--steps", "20", "--figure", str(tmp_path / "curve.svg")]) == 0
    printed = capsys.readouterr().out
    assert "of 21 moments, |r|^2 is above\n  Eq. 13: 0 times" in printed
    assert "Eq. 14): 0 times" in printed
    assert "<svg" in (tmp_path / "curve.svg").read_text()
