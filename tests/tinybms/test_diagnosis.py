import pytest

from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.tinybms.diagnosis import explain_failure
from tinybms_bridge.tinybms.statistics import LinkStatistics

SILENCE = LinkError("the BMS did not answer within 300 ms")


@pytest.mark.parametrize(
    ("seen", "hint"),
    [
        (LinkStatistics(), "RX and TX"),
        (LinkStatistics(garbage_bytes=3), "115200 baud"),
        (LinkStatistics(crc_errors=1), "115200 baud"),
        (LinkStatistics(garbage_bytes=3, success=1), None),
        (LinkStatistics(success=1), None),
    ],
)
def test_the_hint_fits_what_was_seen(seen: LinkStatistics, hint: str | None) -> None:
    """Silence points at the wires, garbage at the speed and the ground, and a line that has worked at neither."""
    text = explain_failure(SILENCE, seen).text
    assert text.startswith(str(SILENCE))
    assert (hint in text) if hint else (text == str(SILENCE))


def test_a_refusal_is_no_fault_of_the_line() -> None:
    """A BMS that says no has been heard well."""
    refusal = DeviceRefused(3, 0)
    assert explain_failure(refusal, LinkStatistics()).text == str(refusal)
