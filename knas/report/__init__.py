"""What people look at: progress while a search runs, and the tables at its end."""

from __future__ import annotations
