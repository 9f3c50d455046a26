"""Training-free proxies: numbers of an untrained network that tell how well it will do."""

from __future__ import annotations

import difflib
from typing import Any

from knas.errors import UsageError
from knas.proxies.base import LayerScore, Proxy, Score
from knas.proxies.mgm import MGM

_PROXIES: dict[str, type[Proxy]] = {MGM.name: MGM}


def names() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(_PROXIES)


def create(name: str, **options: Any) -> Proxy:
    """Makes a proxy by name.

    Args:
        name: One of `names()`.
        **options: The proxy's options; see its class.

    Raises:
        UsageError: The name or an option is unknown, or an option's value does not fit.
    """
    if name not in _PROXIES:
        close = difflib.get_close_matches(str(name), _PROXIES, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"proxy: one of {', '.join(_PROXIES)} expected, got {name!r}{hint}")
    kind = _PROXIES[name]
    unknown = [option for option in options if option not in kind.options()]
    if unknown:
        close = difflib.get_close_matches(unknown[0], kind.options(), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"{unknown[0]}: not an option of proxy {name!r}, which has {', '.join(kind.options())}{hint}"
        )
    return kind(**options)


__all__ = ["MGM", "LayerScore", "Proxy", "Score", "create", "names"]
