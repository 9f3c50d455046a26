"""The text space: skip-connection structures over a pretrained encoder (section 8 of the KNAS paper)."""

from __future__ import annotations

from knas.spaces.text.architecture import STRUCTURES, SkipStructure
from knas.spaces.text.chain import CONNECTIONS, Chain
from knas.spaces.text.network import TextNetwork
from knas.spaces.text.space import TextSpace

__all__ = ["CONNECTIONS", "STRUCTURES", "Chain", "SkipStructure", "TextNetwork", "TextSpace"]
