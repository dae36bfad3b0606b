import pytest

from tinybms_bridge.suggestions import did_you_mean, nearest

KNOWN = ("chemistry", "cells", 242, 254, "set_state_of_charge", "set_state_of_health", "LTO")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("chemistri", ["chemistry"]),
        ("Chemistry", ["chemistry"]),
        (251, ["254"]),
        ("set-state-of-charge", ["set_state_of_charge"]),
        ("lto", ["LTO"]),
        ("zzz", []),
        ("", []),
        ("\ud800", []),
        (None, []),
    ],
)
def test_the_nearest_name_is_found(name: object, found: list[str]) -> None:
    """As it is spelt where it is known; case, hyphens and underscores are what people get wrong first."""
    assert nearest(name, KNOWN) == found


def test_several_are_given_in_order_of_likeness() -> None:
    """Where two names differ in a word, the user has to choose."""
    assert nearest("set_state_of_chage", KNOWN, most=3) == ["set_state_of_charge", "set_state_of_health"]


def test_the_hint_goes_behind_a_message() -> None:
    """And is nothing when nothing is near."""
    assert did_you_mean("cels", KNOWN) == "; did you mean cells?"
    assert did_you_mean("watchdog", KNOWN) == ""
    assert did_you_mean("set_state_of_chage", KNOWN, 2) == "; did you mean set_state_of_charge, set_state_of_health?"


def test_only_the_beginning_of_a_name_is_compared() -> None:
    """A megabyte in a request must not keep the processor, whose work grows with the square."""
    assert nearest("a" * 60 + "b" * 1_000_000, ["a" * 60]) == ["a" * 60]
