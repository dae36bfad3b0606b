"""The words of the live view: durations, and text that cannot move the cursor."""

import pytest

from tinybms_bridge.cli.live_words import clean, duration


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (119.0, "119 s"), (150.0, "2 min"), (7300.0, "2 h 1 min"), (200_000.0, "2 days")],
)
def test_durations(seconds: float, told: str) -> None:
    """One or two units."""
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain °C Δ 日本", "plain °C Δ 日本"), ("a\nb\tc", "a b c"), ("\x1b[2Jx\x07\u202e", " [2Jx  ")],
)
def test_text_moves_no_cursor(text: str, shown: str) -> None:
    """Peers and users write parts of what is logged: no escape sequence and no change of direction gets through."""
    assert clean(text) == shown
