"""``GET /api/tinybms/info``."""

from dataclasses import replace
from typing import Any

import httpx

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.services.web.face import Picture
from tinybms_bridge.tinybms.device_statistics import decode_statistics

RATINGS = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 150.0, None, 60.0, 1.0, 100.0)


async def test_who_it_is(visitor: httpx.AsyncClient, face: Any) -> None:
    """Identity, ratings and statistics are told with units in the names and causes as words."""
    words = [0, 0, 1234, 987, 150, 1, 2, 3, 4, 5, 0, 60, 40, 0x28FB, 0x0104, 0, 7, 0]
    face.statistics = decode_statistics(words)
    picture = face.picture()
    snapshot = picture.view.measured
    face.now = replace(picture, view=replace(picture.view, measured=replace(snapshot, ratings=RATINGS)))
    found = (await visitor.get("/api/tinybms/info")).json()
    assert found["identity"]["firmware_internal"] == 254
    assert found["identity"]["firmware"] == "2.3.254"
    assert found["ratings"]["over_voltage_cell_v"] == 3.75
    assert found["ratings"]["discharge_peak_current_a"] is None
    assert found["lifetime_s"] == 123_456
    assert found["statistics"]["max_discharge_current_a"] == 123.4
    assert found["statistics"]["min_temperature_c"] == -5
    assert found["statistics"]["reset_cause"] == "SOFTWARE"


async def test_before_anything_was_read(visitor: httpx.AsyncClient, face: Any) -> None:
    """Nothing is claimed of a BMS that has not answered yet."""
    face.now = Picture(uptime_s=1.0, at=face.clock.wall())
    found = (await visitor.get("/api/tinybms/info")).json()
    assert set(found.values()) == {None}
