"""Words of the page ``bms``."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {}
