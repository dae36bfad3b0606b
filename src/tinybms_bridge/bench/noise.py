"""Chance that repeats: every run of a scenario sees the same noise and the same clouds."""

import random

__all__ = ["generator"]


def generator(seed: int) -> random.Random:
    """Return a source of numbers that depends on the seed only."""
    return random.Random(seed)  # noqa: S311 -- weather and sensor noise, not secrets
