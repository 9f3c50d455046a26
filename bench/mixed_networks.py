"""How proxies order networks of many kinds, which are trained here: an independent test of what was chosen elsewhere.

    python -m bench.mixed_networks --dataset uoft-cs/cifar10 --output mixed.csv

Draws small convolutional networks that differ in width, depth, stages, kernel, normalization, activation, shortcuts and
pooling, trains each for a few epochs on images of half the size, and prints the correlations of their scores before
training with their test accuracies as Markdown. A network's line is written as soon as it is trained; a second call
goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

import knas
from knas import data
from knas.errors import KnasError

PROXIES = ("knas", "flops", "params", "layers", "mgm", "grad-norm", "snip", "synflow")
MOST_FLOPS = 16e6
"""Larger ones are not drawn, so that training takes seconds."""

SCORED = 32
"""Images that are looked at."""

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
NORMALIZATIONS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(4, channels),
}


@dataclass(frozen=True)
class Kind:
    """What a network is like: `depth` blocks in each of its `stages`, each stage twice as wide as the one before."""

    width: int
    stages: int
    depth: int
    kernel: int
    normalization: str
    activation: str
    shortcut: bool
    depthwise: bool
    pooled: int


def draw(generator: np.random.Generator) -> Kind:
    """One kind."""

    def one(*values: Any) -> Any:
        return values[generator.integers(len(values))]

    return Kind(
        width=one(8, 12, 16, 24),
        stages=one(1, 2, 3),
        depth=one(0, 1, 2, 3),
        kernel=one(1, 3, 5),
        normalization=one(*NORMALIZATIONS),
        activation=one(*ACTIVATIONS),
        shortcut=one(True, False),
        depthwise=one(True, False, False),
        pooled=one(1, 1, 2),
    )


class Block(nn.Module):
    """A convolution, or an inverted bottleneck around a depthwise one, with or without a shortcut."""

    def __init__(self, kind: Kind, channels: int) -> None:
        super().__init__()
        norm, activation = NORMALIZATIONS[kind.normalization], ACTIVATIONS[kind.activation]
        padding = kind.kernel // 2
        if kind.depthwise:
            inner = 2 * channels
            self.body = nn.Sequential(
                nn.Conv2d(channels, inner, 1),
                norm(inner),
                activation(),
                nn.Conv2d(inner, inner, kind.kernel, padding=padding, groups=inner),
                norm(inner),
                activation(),
                nn.Conv2d(inner, channels, 1),
                norm(channels),
            )
        else:
            self.body = nn.Sequential(
                nn.Conv2d(channels, channels, kind.kernel, padding=padding), norm(channels)
            )
        self.activation, self.shortcut = activation(), kind.shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        """The block's output."""
        outputs = self.body(inputs)
        return self.activation(inputs + outputs if self.shortcut else outputs)  # type: ignore[no-any-return]


def build(kind: Kind, in_channels: int, num_classes: int, seed: int) -> nn.Module:
    """The network, with PyTorch's own initialization."""
    torch.manual_seed(seed)
    norm, activation = NORMALIZATIONS[kind.normalization], ACTIVATIONS[kind.activation]
    channels = kind.width
    layers = [nn.Conv2d(in_channels, channels, 3, padding=1), norm(channels), activation()]
    for stage in range(kind.stages):
        if stage:
            layers += [
                nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
                norm(2 * channels),
                activation(),
            ]
            channels *= 2
        layers += [Block(kind, channels) for _ in range(kind.depth)]
    layers += [
        nn.AdaptiveAvgPool2d(kind.pooled),
        nn.Flatten(),
        nn.Linear(channels * kind.pooled**2, num_classes),
    ]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Task:
    """Images of half the size, normalized by the training images' mean and deviation."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @classmethod
    def load(cls, name: str, train: int, test: int) -> Task:
        """The first images of a data set."""
        source = data.load(name)
        images, tests = source.train_images[:train].float() / 255, source.test_images[:test].float() / 255
        mean, deviation = (
            images.mean((0, 2, 3), keepdim=True),
            images.std((0, 2, 3), keepdim=True).clamp(min=1e-6),
        )
        images, tests = (F.avg_pool2d((one - mean) / deviation, 2) for one in (images, tests))
        return cls(images, source.train_labels[:train], tests, source.test_labels[:test])

    @property
    def num_classes(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1


def kinds(count: int, task: Task) -> list[Kind]:
    """Different kinds that are small enough."""
    generator, found, seen = np.random.default_rng(11), [], set()
    while len(found) < count:
        kind = draw(generator)
        if kind in seen:
            continue
        seen.add(kind)
        network = build(kind, task.images.shape[1], task.num_classes, seed=0)
        if knas.score(network, task.images[:4], proxy="flops").value < MOST_FLOPS:
            found.append(kind)
    return found


def train(network: nn.Module, task: Task, epochs: int, batch: int = 64) -> float:
    """The test accuracy, between 0 and 1, after AdamW with one cycle of the learning rate and random flips."""
    steps = len(task.images) // batch
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * steps)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(task.images))
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            images = task.images[chosen]
            if torch.rand(1) < 0.5:
                images = images.flip(3)
            loss = F.cross_entropy(network(images), task.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        answers = torch.cat([network(part) for part in task.test_images.split(500)]).argmax(1)
    return float((answers == task.test_labels).float().mean())


def rows(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each network's kind, accuracy, and scores: those on file, and then the others as they are trained."""
    task = Task.load(arguments.dataset, arguments.train_images, arguments.test_images)
    done = read(arguments.output)
    with arguments.output.open("a", newline="") as file:
        writer = csv.DictWriter(file, ["kind", "accuracy", *PROXIES])
        if not done:
            writer.writeheader()
        drawn = kinds(arguments.skip + arguments.networks, task)
        for index in range(arguments.skip, len(drawn)):
            kind = drawn[index]
            text = json.dumps(asdict(kind))
            if text in done:
                yield done[text]
                continue
            network = build(kind, task.images.shape[1], task.num_classes, seed=index)
            found = knas.scores(network, task.images[:SCORED], task.labels[:SCORED], proxies=PROXIES)
            values = {name: found[name].value if name in found else "" for name in PROXIES}
            row = {"kind": text, "accuracy": train(network, task, arguments.epochs), **values}
            writer.writerow(row)
            file.flush()
            yield row


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of a file by kind; none where there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row["kind"]: row for row in csv.DictReader(file)}


def report(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table: over all networks, and over those of each normalization."""
    yield "| networks | " + " | ".join(f"`{name}`" for name in PROXIES) + " |"
    yield "|---|" + "---|" * len(PROXIES)
    groups = {"all": found}
    for name in NORMALIZATIONS:
        groups[f"normalization: {name}"] = [
            row for row in found if json.loads(row["kind"])["normalization"] == name
        ]
    for title, some in groups.items():
        cells = []
        for name in PROXIES:
            both = [(float(row[name]), float(row["accuracy"])) for row in some if row[name] != ""]
            if len(both) < 3:
                cells.append("")
                continue
            scores, accuracies = zip(*both, strict=True)
            cells.append(
                f"{spearmanr(scores, accuracies).statistic:+.3f}, {kendalltau(scores, accuracies).statistic:+.3f}"
            )
        yield f"| {title} ({len(some)}) | {' | '.join(cells)} |"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m bench.mixed_networks", description=__doc__.split("\n")[0])
    found.add_argument("--dataset", default="uoft-cs/cifar10", help="images")
    found.add_argument("--output", type=Path, required=True, help="file of the networks' rows (.csv)")
    found.add_argument("--networks", type=int, default=100)
    found.add_argument("--skip", type=int, default=0, help="networks of the draw to leave out before those")
    found.add_argument("--train-images", type=int, default=8000)
    found.add_argument("--test-images", type=int, default=2500)
    found.add_argument("--epochs", type=int, default=6)
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Train what is left, and print the table."""
    arguments = parser().parse_args(given)
    torch.set_num_threads(1)
    try:
        print("\n".join(report(list(rows(arguments)))))
    except KnasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
