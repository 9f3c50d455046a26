"""Benches: what knas costs beside the ways that one would otherwise take, and beside the floors of the machine."""
