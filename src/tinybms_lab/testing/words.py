"""Words without a code, for tests to which it does not matter what is told."""

from tinybms_bridge.words import Message, message

__all__ = ["said"]


def said(text: str) -> Message:
    """Return a message with this text."""
    return message("said", text=text)
