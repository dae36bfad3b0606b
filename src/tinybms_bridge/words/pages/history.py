"""Words of the page ``history``."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {}
