"""Passes run once for all that look at them, and one failure takes nothing else with it."""

from __future__ import annotations

import math

import pytest
import torch
from proxies.conformance import network, residual, samples
from torch import Tensor, nn

import knas
from knas.errors import KnasError, UsageError
from knas.observations import observe

CAPTURE = (
    *(
        "mgm",
        "gram-norm",
        "coherence",
        "gram-entropy",
        "min-eigenvalue",
        "ntk-condition",
        "layers",
        "jacob-cov",
    ),
    *("naswot", "linear-regions", "feature-entropy", "flops", "params"),
)


class Counted(nn.Module):
    """Counts its forward passes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(x)


@pytest.fixture
def counted() -> Counted:
    torch.manual_seed(0)
    return Counted(residual())


@pytest.mark.parametrize(
    ("names", "passes"),
    [(CAPTURE, 1), (("grad-norm", "snip", "fisher", "grasp"), 1), (("naswot", "flops"), 1), (("params",), 0)],
)
def test_one_pass_for_all(counted: Counted, names: tuple[str, ...], passes: int) -> None:
    found = knas.scores(counted, *samples(), proxies=names)
    assert not found.failures
    assert counted.calls == passes
    alone = {name: knas.score(counted, *samples(), proxy=name).value for name in names}
    assert {name: score.value for name, score in found.items()} == pytest.approx(alone, rel=1e-5)


def test_all_proxies_together() -> None:
    names = knas.proxies.names()
    found = knas.scores(residual(), *samples(), proxies=names)
    assert not found.failures
    assert tuple(found) == names
    assert all(math.isfinite(score.value) and score.proxy == name for name, score in found.items())
    assert found.seconds > 0


def test_sampled_gradients_are_taken_once_for_statistics_and_matrices(counted: Counted) -> None:
    sampled = {
        "mgm": knas.proxies.create("mgm", sample=20),
        "norm": knas.proxies.create("gram-norm", sample=20),
        "coherence": knas.proxies.create("coherence"),
    }
    found = knas.scores(counted, *samples(), proxies=sampled, seed=3)
    assert not found.failures
    assert counted.calls == 1
    alone = {
        name: proxy.score(counted, knas.gradients.make_batch(*samples(), torch.device("cpu")), seed=3).value
        for name, proxy in sampled.items()
    }
    assert {name: score.value for name, score in found.items()} == pytest.approx(alone, rel=1e-5)


def test_a_pass_that_carries_another_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0

        def perf_counter(self) -> float:
            self.now += 1.0
            return self.now

    monkeypatch.setattr("knas.observations.base.time", Clock())
    model, (images, _) = residual(), samples()
    batch = knas.gradients.make_batch(images, None, torch.device("cpu"))
    proxies = [knas.proxies.create(name) for name in ("flops", "coherence")]
    flops, coherence = (proxy.observations() for proxy in proxies)
    findings = observe(model, batch, [*flops, *coherence])
    assert findings.seconds_of(flops) == findings.seconds_of(coherence) == 1
    assert findings.seconds_of([*flops, *coherence]) == 1


def test_in_parts_the_forward_pass_is_one_of_its_own(counted: Counted) -> None:
    proxies = {
        "norm": knas.proxies.create("gram-norm", micro_batch=5),
        "naswot": knas.proxies.create("naswot"),
    }
    found = knas.scores(counted, *samples(), proxies=proxies)
    whole = knas.scores(counted, *samples(), proxies=("gram-norm", "naswot"))
    assert found["norm"].value == pytest.approx(whole["gram-norm"].value, rel=1e-5)
    assert found["naswot"].value == pytest.approx(whole["naswot"].value, rel=1e-5)


def test_failures_stay_alone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.Tanh(), nn.Linear(4, 5))
    found = knas.scores(model, samples()[0], proxies=("mgm", "naswot", "snip", "feature-entropy"))
    assert set(found) == {"mgm", "feature-entropy"}
    assert set(found.failures) == {"naswot", "snip"}
    with pytest.raises(UsageError, match="model: no ReLU ran"):
        found["naswot"]
    assert "targets" in str(found.failures["snip"])
    with pytest.raises(KeyError):
        found["grasp"]


def test_a_failed_capture_leaves_the_forward_pass() -> None:
    class NoPath(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x).detach().relu()

    torch.manual_seed(0)
    found = knas.scores(NoPath(), torch.randn(4, 3), proxies=("mgm", "flops", "linear-regions"))
    assert "no gradient path" in str(found.failures["mgm"])
    assert found["flops"].value == 24
    assert found["linear-regions"].value > 1


def test_own_passes_of_mgm_beside_shared_ones() -> None:
    proxies = {"full": knas.proxies.create("mgm", estimator="full"), "mgm": knas.proxies.create("mgm")}
    found = knas.scores(network(), samples()[0], proxies=proxies)
    assert found["full"].value == knas.score(network(), samples()[0], estimator="full").value
    assert found["mgm"].value == knas.score(network(), samples()[0]).value


def test_two_numbers_of_sampled_entries() -> None:
    proxies = {str(sample): knas.proxies.create("mgm", sample=sample) for sample in (5, 20)}
    found = knas.scores(network(), samples()[0], proxies=proxies)
    for name in proxies:
        assert found[name].value == knas.score(network(), samples()[0], sample=int(name)).value


def test_operations_of_watchers_do_not_count() -> None:
    alone = knas.score(residual(), samples()[0], proxy="flops").value
    beside = knas.scores(residual(), samples()[0], proxies=CAPTURE)
    assert beside["flops"].value == alone


BAD = {
    "text": ("mgm", "proxies: names or proxies in a sequence"),
    "none": ((), "proxies: names or proxies in a sequence"),
    "unknown": (("mgn",), "proxy: one of .* did you mean 'mgm'"),
    "twice": (("mgm", "mgm"), "proxies: 'mgm' is there twice"),
}


@pytest.mark.parametrize(("proxies", "message"), BAD.values(), ids=BAD)
def test_bad_proxies(proxies: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        knas.scores(network(), samples()[0], proxies=proxies)


def test_inputs_are_checked_for_all() -> None:
    with pytest.raises(KnasError, match="inputs: at least 2 samples"):
        knas.scores(network(), samples()[0][:1], proxies=("mgm",))


def test_out_of_memory_is_a_failure_of_the_pass_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("knas.observations.training.trained_gradients", full)
    found = knas.scores(network(), *samples(), proxies=("snip", "mgm"))
    assert tuple(found) == ("mgm",)
    assert "a pass over 8 samples does not fit the memory" in str(found.failures["snip"])


def test_errors_of_the_model_itself_are_raised() -> None:
    class Broken(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        knas.scores(Broken(3, 2), torch.ones(4, 3), proxies=("mgm",))
