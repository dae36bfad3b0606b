"""Settings of the frames: names, choices, refusals."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.gx import RESERVED_NAMES
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.victron.can.outgoing import OPTIONAL_FRAMES, Fall, FrameSettings, fall_of


def named(key: str, name: str) -> FrameSettings:
    """Return settings with one of the three names changed."""
    names: dict[str, Any] = {key: name}
    return FrameSettings(**names)


@pytest.mark.parametrize("reserved", RESERVED_NAMES)
@pytest.mark.parametrize("key", ["manufacturer_name", "battery_name", "family_name"])
def test_names_for_which_a_gx_has_quirks_are_refused(reserved: str, key: str) -> None:
    """A GX must not take this battery for one whose limits it replaces: dvcc.py floats a BYD at 55 V."""
    with pytest.raises(ValueError, match=f"{key} .* begins like {reserved}"):
        named(key, reserved)


@pytest.mark.parametrize("name", ["pylon", "Pylontec", " BYD", "lg chem", "LGC", "Dyness-L"])
def test_quirky_names_are_found_in_any_spelling(name: str) -> None:
    """A GX matches the beginning of a name; case and spaces do not hide it."""
    with pytest.raises(ValueError, match="begins like"):
        FrameSettings(manufacturer_name=name)


@pytest.mark.parametrize("name", ["ENEPAQ", "Alga", "MyBYD", "Solar LG"])
def test_other_names_are_accepted(name: str) -> None:
    """Only the beginning counts."""
    assert FrameSettings(manufacturer_name=name).manufacturer_name == name


@pytest.mark.parametrize(("key", "size"), [("manufacturer_name", 8), ("battery_name", 16), ("family_name", 8)])
def test_name_that_does_not_fit_is_refused_with_both_lengths(key: str, size: int) -> None:
    """A name is not cut off silently."""
    assert getattr(named(key, "x" * size), key) == "x" * size
    with pytest.raises(ValueError, match=f"has {size + 1} characters, allowed are {size}"):
        named(key, "x" * (size + 1))


@pytest.mark.parametrize("name", ["Grün", "a\tb", "a\0b", "电池"])
def test_name_outside_of_printable_ascii_is_refused(name: str) -> None:
    """The protocol has 7-bit ASCII only."""
    with pytest.raises(ValueError, match="7-bit ASCII"):
        FrameSettings(battery_name=name)


def test_some_name_is_needed() -> None:
    """0x35E cannot be empty: it would identify nothing."""
    for nothing in ("", "  "):
        with pytest.raises(ValueError, match="both empty"):
            FrameSettings(manufacturer_name=nothing, battery_name=nothing)


@pytest.mark.parametrize("length", [0, 1, 3, 7, 9, -2])
def test_capacity_frame_has_two_or_eight_bytes(length: int) -> None:
    """The document's length, and the longest that there is."""
    with pytest.raises(ValueError, match="allowed are 2 and 8"):
        FrameSettings(installed_capacity_bytes=length)


def test_long_name_fills_both_parts_and_0x35e_equals_the_first() -> None:
    """0x370 must equal 0x35E when both are sent, so the battery's name is in both."""
    settings = FrameSettings(battery_name="TinyBMS-s516")
    assert settings.has_long_name
    assert settings.battery_name_texts == ("TinyBMS-", "s516")
    assert settings.manufacturer_text == "TinyBMS-"


@pytest.mark.parametrize(
    ("name", "texts", "alone"),
    [
        ("TinyBMS s516", ("TinyBMS ", "s516"), "TinyBMS"),
        ("Boat    house", ("Boat    ", "house"), "Boat"),
        ("My boat  1", ("My boat ", " 1"), "My boat"),
    ],
)
def test_blank_between_the_halves_stays_out_of_0x35e(name: str, texts: tuple[str, str], alone: str) -> None:
    """Readers show 0x35E by itself; the pair, joined, still gives the whole name."""
    settings = FrameSettings(battery_name=name)
    assert settings.battery_name_texts == texts
    assert "".join(texts) == name
    assert settings.manufacturer_text == alone


@pytest.mark.parametrize("manufacturer", [" Acme", "Acme ", " Acme  "])
def test_manufacturer_has_no_blanks_around_it(manufacturer: str) -> None:
    """As with the battery's name."""
    settings = FrameSettings(manufacturer_name=manufacturer, separate_manufacturer=True)
    assert settings.manufacturer_text == "Acme"


def test_short_name_is_sent_in_0x35e_alone() -> None:
    """A name of 8 characters needs no 0x370."""
    settings = FrameSettings(battery_name="Battery1")
    assert not settings.has_long_name
    assert settings.manufacturer_text == "Battery1"


def test_manufacturer_shows_when_the_battery_has_no_name() -> None:
    """Without a battery name 0x35E carries the manufacturer."""
    assert FrameSettings(battery_name="").manufacturer_text == "ENEPAQ"


@pytest.mark.parametrize("battery_name", ["TinyBMS s516", "Battery1", ""])
def test_manufacturer_apart_from_the_name_on_request(battery_name: str) -> None:
    """With the switch 0x35E is the manufacturer whatever the battery is called."""
    settings = FrameSettings(battery_name=battery_name, separate_manufacturer=True)
    assert settings.manufacturer_text == "ENEPAQ"


@pytest.mark.parametrize("model", [-1, 65536])
def test_model_outside_of_its_range_is_refused(model: int) -> None:
    """A model id that would saturate is an error of the configuration."""
    with pytest.raises(ValueError, match="allowed are 0 to 65535"):
        FrameSettings(battery_model_id=model)


@pytest.mark.parametrize("status", [4, -1])
def test_system_status_has_two_bits(status: int) -> None:
    """Only what fits into two bits can be chosen."""
    with pytest.raises(ValueError, match="allowed are 0 to 3"):
        FrameSettings(system_status=status)


@pytest.mark.parametrize("soh_percent", [-0.1, 100.1])
def test_substitute_for_the_state_of_health_is_a_percentage(soh_percent: float) -> None:
    """The value for a BMS without state of health is bounded."""
    with pytest.raises(ValueError, match="allowed are 0 to 100"):
        FrameSettings(unknown_soh_percent=soh_percent)


@pytest.mark.parametrize("identifier", [0x305, 0x307, 0x359, 0x35C, 0x360])
def test_frames_of_others_cannot_be_chosen(identifier: int) -> None:
    """Neither the GX's frames nor those of other makers' protocols can be switched on."""
    with pytest.raises(ValueError, match=f"0x{identifier:03X} cannot be chosen"):
        FrameSettings(optional_frames=frozenset({identifier}))


@pytest.mark.parametrize("pair", [(0x370, 0x371), (0x380, 0x381)])
def test_halves_of_a_pair_cannot_be_chosen_alone(pair: tuple[int, int]) -> None:
    """The old firmware sent 0x371 without 0x370, and a GX could not join the name."""
    for left_out in pair:
        with pytest.raises(ValueError, match="choose both or none"):
            FrameSettings(optional_frames=frozenset(OPTIONAL_FRAMES) - {left_out})
    assert FrameSettings(optional_frames=frozenset(pair)).optional_frames == frozenset(pair)


def limits(cvl_v: float = 56.0, ccl_a: float = 100.0, dcl_a: float = 150.0) -> Limits:
    """Return limits as they are sent."""
    return Limits(cvl_v, ccl_a, dcl_a, 46.4, ChargeState.BULK, Freshness.FRESH)


@pytest.mark.parametrize(
    ("now", "fall"),
    [
        (limits(), Fall.NONE),
        (limits(cvl_v=56.5, ccl_a=110.0, dcl_a=200.0), Fall.NONE),
        (limits(cvl_v=55.9), Fall.LARGE),
        (limits(ccl_a=99.1), Fall.SMALL),
        (limits(ccl_a=99.0), Fall.LARGE),
        (limits(dcl_a=149.1), Fall.SMALL),
        (limits(dcl_a=149.0), Fall.LARGE),
        (limits(ccl_a=0.0), Fall.LARGE),
        (limits(dcl_a=0.0), Fall.LARGE),
        (limits(cvl_v=56.5, ccl_a=99.5, dcl_a=10.0), Fall.LARGE),
    ],
)
def test_fall_of_any_limit_counts(now: Limits, fall: Fall) -> None:
    """Each of the three limits can have fallen; rises wait for the next burst, and do not hide a fall."""
    assert fall_of(limits(), now) is fall


@pytest.mark.parametrize(("before_a", "after_a"), [(0.5, 0.0), (0.1, 0.0), (20.0, 19.5), (5.0, 4.9)])
def test_share_counts_where_a_limit_is_low(before_a: float, after_a: float) -> None:
    """Half an ampere is much of twenty, and nothing is not a little less than something."""
    assert fall_of(limits(ccl_a=before_a), limits(ccl_a=after_a)) is Fall.LARGE


@given(st.integers(0, 32767), st.integers(0, 32767))
def test_every_fall_is_seen(before: int, after: int) -> None:
    """In steps of the frame: below is a fall, at or above is none."""
    fall = fall_of(limits(dcl_a=before / 10), limits(dcl_a=after / 10))
    assert (fall is not Fall.NONE) is (after < before)
