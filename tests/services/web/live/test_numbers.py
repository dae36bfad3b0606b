"""The flat numbers."""

from dataclasses import replace

from tinybms_bridge.services.web.face import CanFigures, Picture, UartFigures
from tinybms_bridge.services.web.live.numbers import (
    active_levels,
    balancing_bits,
    cells_mv,
    flat_counters,
    limit_numbers,
    pack_numbers,
    rounded,
)


def test_no_sensor_and_no_health(picture: Picture) -> None:
    """What the BMS does not know is null, never 0."""
    assert picture.snapshot is not None
    bare = replace(
        picture.snapshot,
        temperatures=type(picture.snapshot.temperatures)(),
        pack=replace(picture.snapshot.pack, soh_percent=None),
    )
    numbers = pack_numbers(replace(picture, snapshot=bare))
    assert numbers["temperature"] is None
    assert numbers["soh_percent"] is None
    assert numbers["voltage"] == 54.32


def test_names_are_the_same_without_a_sample(picture: Picture) -> None:
    """A client finds every name before the first sample too."""
    assert pack_numbers(replace(picture, snapshot=None)).keys() == pack_numbers(picture).keys()
    assert limit_numbers(replace(picture, limits=None)).keys() == limit_numbers(picture).keys()


def test_cells_and_balancing(picture: Picture) -> None:
    """Cells are whole millivolts from cell 1 up; the mask has the same order."""
    assert cells_mv(picture.snapshot)[:2] == [3415, 3417]
    assert balancing_bits(picture.snapshot) == (1 << 15) | 1
    assert cells_mv(None) == []
    assert balancing_bits(None) == 0


def test_keepalive_is_a_present_gx() -> None:
    """Only a GX that is heard now counts."""
    states = {state: CanFigures(gx_state=state) for state in ("never_seen", "present", "lost")}
    flat = {state: flat_counters(UartFigures(), can)["victron_keepalive_ok"] for state, can in states.items()}
    assert flat == {"never_seen": False, "present": True, "lost": False}


def test_active_levels(picture: Picture) -> None:
    """What is OK is left out."""
    assert active_levels(picture) == {"high_voltage": 1}


def test_rounding_keeps_none() -> None:
    """A missing value stays missing."""
    assert rounded(None, 2) is None
    assert rounded(1.2345, 2) == 1.23
