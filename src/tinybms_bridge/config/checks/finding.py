"""What a check across several keys found."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ConfigFinding", "ordered"]


@dataclass(frozen=True, slots=True)
class ConfigFinding:
    """Keys that do not fit together."""

    paths: tuple[str, ...]
    """The keys concerned."""
    messages: tuple[str, ...]
    """What is wrong, seen from the first key, and perhaps from the second, with the numbers of the others."""


def ordered(
    low_path: str,
    low: float | None,
    high_path: str,
    high: float | None,
    unit: str,
    *,
    strictly: bool = False,
) -> Iterator[ConfigFinding]:
    """Yield a finding when the higher value is below (or, strictly, not above) the lower one; None fits all."""
    if low is None or high is None or low < high or (low == high and not strictly):
        return
    above, below = ("above", "below") if strictly else ("at least", "at most")
    yield ConfigFinding(
        (high_path, low_path),
        (
            f"must be {above} {low_path}, which is {low:g} {unit}",
            f"must be {below} {high_path}, which is {high:g} {unit}",
        ),
    )
