"""Which proxies score, and which option belongs to which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knas.errors import UsageError


def with_options(proxy: str | Sequence[str], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The proxies by name, each with its options.

    Args:
        proxy: one, or several.
        options: of the one; or of each of the several by its name.

    Raises:
        UsageError: there is none, one comes twice, or options are of a proxy that is not there.
    """
    if isinstance(proxy, str):
        return {proxy: dict(options)}
    names = list(proxy)
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f"proxy (--proxy) must be a name or several, not {proxy!r}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"proxy (--proxy) {twice!r} comes twice; give it once")
    if unknown := next((name for name in options if name not in names), None):
        raise UsageError(f"proxy_options: {unknown!r} is none of the proxies {', '.join(names)}")
    return {name: dict(options.get(name, {})) for name in names}


def assigned(
    proxies: Sequence[str], given: Mapping[str, Any], mgm: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Which proxy has which option, as the command line gives them.

    Args:
        proxies: their names.
        given: values by "option", which exactly one of the proxies has, or "proxy.option".
        mgm: values by option, of mgm alone where there are several proxies.

    Raises:
        UsageError: no proxy or several have an option, or it comes twice.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in proxies}
    for name, value in mgm.items():
        owner = proxies[0] if len(proxies) == 1 else "mgm"
        if owner not in found:
            raise UsageError(f"--{name.replace('_', '-')} is an option of mgm, which is not among --proxy")
        found[owner][name] = value
    for name, value in given.items():
        owner, option = _owner(proxies, name)
        if option in found[owner]:
            raise UsageError(f"--proxy-option gives {owner}.{option} a second time; give it once")
        found[owner][option] = value
    return found


def _owner(proxies: Sequence[str], name: str) -> tuple[str, str]:
    """The proxy that an option belongs to, and the option's own name."""
    from knas.proxies import create

    prefix, dot, option = name.rpartition(".")
    if dot:
        owner = next((one for one in proxies if one.replace("-", "_") == prefix.replace("-", "_")), None)
        if owner is None:
            raise UsageError(f"--proxy-option {name}: {prefix!r} is not among --proxy {', '.join(proxies)}")
        return owner, option
    if len(proxies) == 1:
        return proxies[0], name
    owners = [proxy for proxy in proxies if name in create(proxy).options()]
    if len(owners) != 1:
        which = (
            f"say which: {' or '.join(f'{one}.{name}' for one in owners)}"
            if owners
            else "none of them has it"
        )
        raise UsageError(f"--proxy-option {name} of {', '.join(proxies)}: {which}")
    return owners[0], name
