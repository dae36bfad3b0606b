import pytest

from tinybms_bridge.battery.gx import (
    LONGEST_BURST_MS,
    MPPT_OFFSET_V,
    SHORTEST_BURST_MS,
    STOPPED_BELOW_V,
    reserved_beginning,
)
from tinybms_bridge.config.models.victron import Victron
from tinybms_bridge.victron.can.transmitter import TransmitterSettings


@pytest.mark.parametrize(
    ("name", "reserved"),
    [("PYLON-48", "PYLON"), (" byd box", "BYD"), ("Lg Chem", "LG"), ("TinyBMS", None), ("My BYD", None), ("", None)],
)
def test_a_name_that_a_gx_takes_for_another_maker_is_known(name: str, reserved: str | None) -> None:
    """By its beginning, whatever its case."""
    assert reserved_beginning(name) == reserved


@pytest.mark.parametrize("period_ms", [SHORTEST_BURST_MS, LONGEST_BURST_MS])
def test_every_period_that_may_be_configured_may_be_sent(period_ms: int) -> None:
    """Configuration and transmitter have the same bounds, in milliseconds and in seconds."""
    assert Victron(pgn_update_interval_ms=period_ms).pgn_update_interval_ms == period_ms
    assert TransmitterSettings(period_s=period_ms / 1000.0).period_s == period_ms / 1000.0


@pytest.mark.parametrize("period_ms", [SHORTEST_BURST_MS - 1, LONGEST_BURST_MS + 1])
def test_no_other_period_is_sent(period_ms: int) -> None:
    """A GX would lose the battery, or the bus would be full."""
    with pytest.raises(ValueError, match=r"allowed are 0\.1 to 2\.0"):
        TransmitterSettings(period_s=period_ms / 1000.0)


def test_a_stopped_charger_is_further_below_than_a_solar_charger_adds() -> None:
    """Else one that feeds in would go on charging at a level that counts as a stop."""
    assert 0.0 < MPPT_OFFSET_V < STOPPED_BELOW_V
