"""A healthy battery to start from, and the frames that others recorded."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits.model import ChargeState, Freshness, Limits
from tinybms_bridge.battery.snapshot import Cells, Identity, PackState, Ratings, Snapshot, Temperatures
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.codec import FrameSettings, Outgoing, decode_frame, encode_frames
from tinybms_bridge.victron.dbc import frame_formats
from tinybms_bridge.victron.field import FieldValue

RATINGS = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.5,
    fully_discharged_cell_v=3.0,
    over_voltage_cell_v=3.65,
    under_voltage_cell_v=2.8,
    charge_over_current_a=120.0,
    discharge_over_current_a=150.0,
    discharge_peak_current_a=None,
    over_heat_c=60.0,
    low_temperature_charge_c=0.0,
    capacity_ah=280.0,
)

HEALTHY = Outgoing(
    snapshot=Snapshot(
        sequence=1,
        taken_at_s=10.0,
        pack=PackState(voltage_v=53.12, current_a=-12.3, soc_percent=81.53, soh_percent=97.2),
        cells=Cells((3.310, 3.325, *(3.320 for _ in range(14)))),
        temperatures=Temperatures(internal_c=31.0, external_1_c=18.4, external_2_c=21.6),
        ratings=RATINGS,
    ),
    limits=Limits(
        cvl_v=56.0,
        ccl_a=100.0,
        dcl_a=120.0,
        discharge_voltage_v=48.0,
        state=ChargeState.BULK,
        freshness=Freshness.FRESH,
    ),
    alarms=Alarms(dict.fromkeys(AlarmName, AlarmLevel.OK)),
    energy=EnergyTotals(charged_wh=123_450.0, discharged_wh=98_760.0),
    identity=Identity(firmware_internal=242, serial_number="0123456789abcdef01234567"),
)

MakeOutgoing = Callable[..., Outgoing]
Encode = Callable[..., dict[int, CanFrame]]
DecodeField = Callable[[CanFrame, str], FieldValue]


@pytest.fixture(scope="session", autouse=True)
def loaded_table() -> None:
    """Load the frame table outside of any event loop, as a program does at its start."""
    frame_formats()


@pytest.fixture(scope="session")
def make_outgoing() -> MakeOutgoing:
    """Return a function that builds a healthy battery with changes; a key names the part that holds it."""
    of_snapshot = {"cells", "temperatures", "ratings"}
    of_pack = {field.name for field in fields(PackState)}
    of_limits = {field.name for field in fields(Limits)}

    def make(**changes: Any) -> Outgoing:
        def chosen(names: set[str]) -> dict[str, Any]:
            return {name: changes.pop(name) for name in names & changes.keys()}

        pack = replace(HEALTHY.snapshot.pack, **chosen(of_pack))
        snapshot = replace(HEALTHY.snapshot, pack=pack, **chosen(of_snapshot))
        limits = replace(HEALTHY.limits, **chosen(of_limits))
        return replace(HEALTHY, snapshot=snapshot, limits=limits, **changes)

    return make


@pytest.fixture(scope="session")
def encode(make_outgoing: MakeOutgoing) -> Encode:
    """Return a function that encodes a changed battery and gives the frames by id."""

    def encoded(settings: FrameSettings | None = None, **changes: Any) -> dict[int, CanFrame]:
        frames = encode_frames(make_outgoing(**changes), settings or FrameSettings())
        return {frame.arbitration_id: frame for frame in frames}

    return encoded


@pytest.fixture(scope="session")
def field_of() -> DecodeField:
    """Return a function that reads one field of a frame."""
    return lambda frame, name: decode_frame(frame).values[name]


def golden_frames() -> list[dict[str, Any]]:
    """Return the recorded frames with the values that their source states."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("golden_frames.json").read_text("utf-8"))
    frames: list[dict[str, Any]] = loaded["frames"]
    return frames


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each recorded frame to the tests that ask for one."""
    if "golden" in metafunc.fixturenames:
        frames = golden_frames()
        metafunc.parametrize("golden", frames, ids=[f"{frame['id']} of the {frame['from']}" for frame in frames])
