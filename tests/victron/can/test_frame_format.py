"""The bytes of a frame by its format."""

import pytest

from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS


def test_field_that_is_not_in_the_frame_is_refused() -> None:
    """A misspelt field raises instead of being left out."""
    with pytest.raises(ValueError, match="frame 0x355 has no field state"):
        FRAME_FORMATS[0x355].encode({"soc": 1, "state": 2})


def test_fields_left_out_are_zero() -> None:
    """Only the given fields are set."""
    assert FRAME_FORMATS[0x355].encode({"soh": 100}).data == bytes.fromhex("000064000000")


def test_shorter_frame_ends_before_its_last_fields() -> None:
    """A length cuts whole fields off and leaves the others as they are."""
    values = {"voltage": 52.17, "current": -30.1, "temperature": 23.5}
    assert FRAME_FORMATS[0x356].encode(values, 4).data == bytes.fromhex("6114D3FE")


@pytest.mark.parametrize("length", range(9))
def test_frame_of_any_length_decodes_to_the_fields_it_holds(length: int) -> None:
    """A frame cut short on its way gives fewer fields, never wrong ones, and never an exception."""
    data = bytes.fromhex("4302E8039E07D001")[:length]
    names = ["charge_voltage_limit", "charge_current_limit", "discharge_current_limit", "discharge_voltage"]
    assert list(FRAME_FORMATS[0x351].decode(data)) == names[: length // 2]


def test_text_shorter_than_its_frame_is_read() -> None:
    """Some batteries send a name in fewer than 8 bytes."""
    assert FRAME_FORMATS[0x35E].decode(b"PACK") == {"text": "PACK"}
