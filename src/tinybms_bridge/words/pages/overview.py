"""Words of the page ``overview``."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {}
