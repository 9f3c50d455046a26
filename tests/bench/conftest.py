"""Makes the folder `bench` importable: last on the path, since the source tree's knas/ would hide an installed one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
