"""Reading a pickle that may want only a few harmless classes, and forgetting its parts as soon as they were used.

A pickle is a program: it names classes and functions and calls them. This reader knows a handful of names, each with a
stand-in of its own, and refuses every other; nothing that the file names is ever imported.

It is Python's own reader in Python (`pickle._Unpickler`) with another memo. A pickle numbers every text, list and
dictionary, since later parts may refer to it, and the usual memo keeps them all until the end. Here a text is kept
once, with 4 bytes for each of its numbers, and everything else is forgotten when `finished` says so: a later
reference to it yields `FORGOTTEN`.
"""

from __future__ import annotations

import itertools
import pickle
import struct
from array import array
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

from knas.errors import UsageError

FORGOTTEN = object()
"""Stands for what was read and dropped, and for tensors, which are never read."""

NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B"} | {
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "b1": "?",
}
"""NumPy's names of scalars, and how `struct` calls them."""


class _Type:
    """Stands for `numpy.dtype`: the name of a scalar's type and its byte order."""

    def __init__(self, name: str, *flags: Any) -> None:
        self.name = name
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


def _scalar(kind: _Type, content: bytes) -> Any:
    """Stands for NumPy's scalars: a plain number."""
    return struct.unpack(kind.order + NUMBERS[kind.name], content)[0]


def _bytes(text: str, encoding: str) -> bytes:
    """Stands for `codecs.encode`, as which protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _tensor(*arguments: Any) -> Any:
    """Stands for what rebuilds a tensor: weights are not read."""
    return FORGOTTEN


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("_codecs", "encode"): _bytes,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("torch", f"{kind}Storage"): _tensor for kind in ("Float", "Half", "Double", "Long", "Int")},
}
"""Every name that a pickle may use, with its stand-in."""


class _Memo:
    """What the pickle's numbers stand for."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._texts: list[str] = []
        self._text_of = array("i")  # per number: which text, -1 for something else
        self._others: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._text_of)

    def __setitem__(self, number: int, value: Any) -> None:
        if number != len(self._text_of):
            raise pickle.UnpicklingError("its parts are not numbered in order")
        if type(value) is str:
            code = self._codes.setdefault(value, len(self._texts))
            if code == len(self._texts):
                self._texts.append(value)
            self._text_of.append(code)
        else:
            self._others[number] = value
            self._text_of.append(-1)

    def __getitem__(self, number: int) -> Any:
        code = self._text_of[number]
        return self._others.get(number, FORGOTTEN) if code < 0 else self._texts[code]

    def forget(self, whole: object) -> None:
        """Drop what was numbered from `whole` on, but for texts, and for the names and types that any part may use."""
        numbers = list(
            itertools.takewhile(lambda number: self._others[number] is not whole, reversed(self._others))
        )
        if len(numbers) == len(self._others):
            return  # it has no number: nothing refers to it later
        numbers.append(next(number for number in reversed(self._others) if self._others[number] is whole))
        for number in numbers:
            if not callable(self._others[number]) and not isinstance(self._others[number], _Type):
                del self._others[number]


_InPython: Any = pickle._Unpickler  # typeshed takes it for the one in C


class Unpickler(_InPython):  # type: ignore[misc]
    """Reads one pickle of a file.

    Args:
        file: where to read on.
        path: its name, for errors.
        finished: told every dictionary of texts once its items are in; what it returns is not None where that takes
            the dictionary's place and its contents can be forgotten.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_InPython.dispatch)

    def __init__(self, file: IO[bytes], path: object, finished: Callable[[dict[Any, Any]], Any]) -> None:
        super().__init__(file)
        self.memo = _Memo()
        self._path = path
        self._finished = finished

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in of a name.

        Raises:
            UsageError: the pickle wants another class.
        """
        if (module, name) not in ALLOWED:
            raise UsageError(
                f"{self._path} wants the class {module}.{name}, which no file of NAS-Bench-201 needs: it is not read"
            )
        return ALLOWED[module, name]

    def persistent_load(self, identifier: Any) -> Any:
        """Weights lie outside the pickle, and are not read."""
        return FORGOTTEN

    def load_setitems(self) -> None:
        """Fill a dictionary, and look whether it is finished."""
        super().load_setitems()
        whole = self.stack[-1]
        result = self._finished(whole) if isinstance(whole, dict) else None
        if result is not None:
            self.stack[-1] = result
            self.memo.forget(whole)

    dispatch[pickle.SETITEMS[0]] = load_setitems
