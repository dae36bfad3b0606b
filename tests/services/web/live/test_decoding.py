"""CAN frames in words."""

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from tinybms_bridge.services.web.face import MonitoredFrame
from tinybms_bridge.services.web.live.decoding import decoded


def test_known_frame(make_frame: Callable[..., MonitoredFrame]) -> None:
    """The charge limits are told with names and units of the table."""
    document = decoded(make_frame(12))
    assert document["id"] == "0x351"
    assert document["at"] == "2026-01-01T00:00:00.000+00:00"
    values = document["values"]
    assert isinstance(values, dict)
    assert set(values.values()) >= {54.8, 50.0, 44.8}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_any_frame_of_the_bus(arbitration_id: int, data: bytes) -> None:
    """No frame of a stranger breaks the monitor."""
    frame = MonitoredFrame(1, datetime(2026, 1, 1, tzinfo=UTC), "rx", arbitration_id, data)
    document = decoded(frame)
    assert document["data"] == data.hex().upper()
    assert to_json(document)
