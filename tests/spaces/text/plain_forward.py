"""The forward pass of a BERT-like encoder with a structure, written out: the slow twin of `Chain`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from knas.spaces.text import TextNetwork


def mask(attention_mask: Tensor) -> Tensor:
    """[n, t] -> what layers add to their attention scores, [n, 1, 1, t]."""
    return (1 - attention_mask[:, None, None, :].float()) * torch.finfo(torch.float32).min


def joined(joint: nn.Module, inputs: list[Tensor], connection: str) -> Tensor:
    if connection == "mean":
        return sum(inputs) / len(inputs)
    weight, bias = joint.projection.weight, joint.projection.bias
    added = inputs if connection == "concatenation" else inputs[:-1]
    blocks = weight.split(inputs[0].shape[-1], 1)
    projected = sum(x @ block.T for x, block in zip(added, blocks, strict=True)) + bias
    return projected if connection == "concatenation" else inputs[-1] + projected


def forward(network: TextNetwork, inputs: dict[str, Tensor], wiring: object, connection: str) -> Tensor:
    """Return logits [n, num_classes] of a network in evaluation mode."""
    encoder, chain = network.encoder, network.encoder.encoder.layer[0]
    embedded = encoder.embeddings(**{key: value for key, value in inputs.items() if key != "attention_mask"})
    outputs = [embedded]
    for number, (layer, taken) in enumerate(zip(chain.layers, wiring, strict=True), 1):
        several = [outputs[source] for source in taken]
        x = joined(chain.joints[str(number)], several, connection) if len(several) > 1 else several[0]
        outputs.append(layer(x, mask(inputs["attention_mask"])))
    first, head = outputs[-1][:, 0], network.head
    hidden = (first @ head.dense.weight.T + head.dense.bias).tanh()
    return hidden @ head.output.weight.T + head.output.bias
