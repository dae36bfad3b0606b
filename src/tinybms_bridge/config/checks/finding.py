"""What a check across several keys found."""

from collections.abc import Iterator
from dataclasses import dataclass

from tinybms_bridge.words import Message, message

__all__ = ["ConfigFinding", "ordered"]


@dataclass(frozen=True, slots=True)
class ConfigFinding:
    """Keys that do not fit together."""

    paths: tuple[str, ...]
    """The keys concerned."""
    messages: tuple[Message, ...]
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
    yield ConfigFinding(
        (high_path, low_path),
        (
            message("config.above" if strictly else "config.at_least", key=low_path, value=low, unit=unit),
            message("config.below" if strictly else "config.at_most", key=high_path, value=high, unit=unit),
        ),
    )
