"""Words of the page ``access``."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {}
