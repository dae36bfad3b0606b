"""Words of the page ``settings``."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {}
