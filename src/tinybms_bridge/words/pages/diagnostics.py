"""Words of the page ``diagnostics``."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {}
