"""Encoders of Hugging Face transformers: read by Hub id or from a folder, their layers found, and checked."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from knas.errors import KnasError, UsageError
from knas.spaces.checks import clipped
from knas.spaces.text.chain import Chain

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_WITHOUT_LAYERS = "the text space wants an encoder such as RoBERTa, BERT, DistilBERT or MPNet"


def read_configuration(model: str) -> PretrainedConfig:
    """Read an encoder's configuration, without its weights.

    Args:
        model: a Hub id, or a folder with a config.json.

    Raises:
        UsageError: there is none, it is of no known kind, or no encoder's.
    """
    from_transformers = _transformers()
    with reading(model):
        config: PretrainedConfig = from_transformers.AutoConfig.from_pretrained(model, **where(model))
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "is_decoder", False):
        raise UsageError(f"model: {clipped(model)} has a decoder; {_WITHOUT_LAYERS}")
    for name in ("num_hidden_layers", "hidden_size"):
        if not isinstance(getattr(config, name, None), int):
            raise UsageError(f"model: {clipped(model)} says no {name} in its config.json; {_WITHOUT_LAYERS}")
    return config


def read_encoder(model: str, config: PretrainedConfig) -> nn.Module:
    """Read an encoder with its pretrained weights, in float32 on the CPU, without the pooler.

    Raises:
        UsageError: there are no weights, or they lack some of the encoder's.
    """
    auto = _transformers().AutoModel
    with reading(model), torch.random.fork_rng([]):  # what the file lacks is drawn, and refused below
        encoder, found = auto.from_pretrained(
            model, config=copy.deepcopy(config), dtype=torch.float32, output_loading_info=True, **where(model)
        )
    _drop_pooler(encoder)
    lacking = sorted(set(found["missing_keys"]) & set(encoder.state_dict()))
    if lacking:
        raise UsageError(
            f"model: the weights of {clipped(model)} lack {len(lacking)} of its encoder's, such as {lacking[0]}; "
            "use initialization='xavier', or a complete checkpoint"
        )
    return _checked(encoder, model)


def where(model: str) -> dict[str, bool]:
    """What tells transformers to look into its cache alone, where the Hub is asked for and doesn't answer.

    By itself it would try for half a minute to reach a Hub that isn't there.
    """
    import huggingface_hub

    if Path(model).is_dir():
        return {}
    try:
        huggingface_hub.HfApi().model_info(model, timeout=20)
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.HFValidationError):
        return {}  # transformers will say what is wrong
    except Exception:
        return {"local_files_only": True}
    return {}


def draw_encoder(model: str, config: PretrainedConfig, seed: int) -> nn.Module:
    """Make an encoder with the random weights that its family starts from."""
    auto = _transformers().AutoModel
    with reading(model), torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        encoder = auto.from_config(copy.deepcopy(config), dtype=torch.float32)
    return _checked(_drop_pooler(encoder), model)


def empty_encoder(model: str, config: PretrainedConfig) -> nn.Module:
    """Make an encoder whose weights have shapes and no values."""
    auto = _transformers().AutoModel
    with reading(model), torch.random.fork_rng([]), torch.device("meta"):
        return _drop_pooler(auto.from_config(copy.deepcopy(config), dtype=torch.float32))


def layers_of(encoder: nn.Module, depth: int) -> tuple[str, nn.ModuleList]:
    """Return the path and the list of an encoder's layers.

    Args:
        encoder: one of transformers' models without a head.
        depth: how many layers it says that it has.

    Raises:
        UsageError: there is no list of that many modules, or more than one.
    """
    lists = [
        (path, module)
        for path, module in encoder.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth and not _within_layer(path)
    ]
    if len(lists) != 1:
        raise UsageError(
            f"model: {type(encoder).__name__} has {len(lists) or 'no'} lists of its {depth} layers instead of one; "
            + _WITHOUT_LAYERS
        )
    return lists[0]


def put_layers(encoder: nn.Module, path: str, layers: nn.ModuleList) -> None:
    """Put other layers where an encoder's list of them is, in place."""
    parent, _, name = path.rpartition(".")
    setattr(encoder.get_submodule(parent), name, layers)


def _within_layer(path: str) -> bool:
    """Whether a module lies in an element of another list."""
    return any(part.isdecimal() for part in path.split("."))


def _drop_pooler(encoder: nn.Module) -> nn.Module:
    """The classifier reads the first token itself, as RoBERTa's does; a pooler would only have idle parameters."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.register_module("pooler", None)
    return encoder


def _checked(encoder: nn.Module, model: str) -> nn.Module:
    """Refuse an encoder that a chain in place of its layers changes, or whose first token doesn't see the others."""
    config: Any = encoder.config
    ids = [number for number in range(config.vocab_size) if number != config.pad_token_id][:3]
    tokens = torch.tensor([[ids[0], ids[1]], [ids[0], ids[2]]])
    path, layers = layers_of(encoder, config.num_hidden_layers)
    plain = tuple((layer,) for layer in range(len(layers)))
    with reading(model):
        wanted = _first_states(encoder, tokens)
        put_layers(encoder, path, nn.ModuleList([Chain(layers, plain, nn.ModuleDict())]))
        rewired = _first_states(encoder, tokens)
    put_layers(encoder, path, layers)
    if not torch.equal(wanted, rewired):
        raise UsageError(f"model: the layers of {clipped(model)} can't be connected anew; {_WITHOUT_LAYERS}")
    if torch.equal(wanted[0], wanted[1]):
        raise UsageError(f"model: no token of {clipped(model)} sees those after it; {_WITHOUT_LAYERS}")
    return encoder


def _first_states(encoder: nn.Module, tokens: Tensor) -> Tensor:  # [n, t] -> [n, d]
    with torch.no_grad():
        states: Tensor = encoder.eval()(input_ids=tokens)[0]
    encoder.train()
    return states[:, 0]


@contextmanager
def reading(model: str, what: str = "encoder") -> Iterator[None]:
    """Silence transformers, and give its errors in one line."""
    logging_ = _transformers().utils.logging
    level, bars = logging_.get_verbosity(), logging_.is_progress_bar_enabled()
    logging_.set_verbosity(logging.CRITICAL)
    logging_.disable_progress_bar()
    try:
        yield
    except KnasError:
        raise
    except Exception as error:  # whatever the code of a model's family, or of a file's format, may raise
        reason = next(
            (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        raise UsageError(f"model: no {what} can be read from {clipped(model)}: {reason}") from error
    finally:
        logging_.set_verbosity(level)
        if bars:
            logging_.enable_progress_bar()


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError("the space 'text' needs transformers: pip install 'knas[text]'") from error
    return transformers
