"""What holds for every battery there can be."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits.model import ChargeState, Freshness, Limits
from tinybms_bridge.battery.snapshot import Cells, Identity, PackValues, Snapshot, Temperatures
from tinybms_bridge.battery.state import BatteryState, PackState
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.codec import FrameSettings, UnknownFrame, decode_frame, encode_frames
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS
from tinybms_bridge.victron.can.outgoing import OPTIONAL_FRAMES

NEVER_SENT = {0x305, 0x307, 0x359, 0x35C, 0x360}

anything = st.floats()
limits = st.builds(
    Limits,
    cvl_v=anything | st.floats(0, 100),
    ccl_a=anything | st.floats(0, 1000),
    dcl_a=anything | st.floats(0, 1000),
    discharge_voltage_v=anything | st.floats(0, 100),
    state=st.sampled_from(ChargeState),
    freshness=st.sampled_from(Freshness),
)
packs = st.builds(
    PackValues,
    voltage_v=anything | st.floats(0, 100),
    current_a=anything | st.floats(-500, 500),
    soc_percent=anything | st.floats(0, 100),
    soh_percent=st.none() | anything,
)
temperatures = st.builds(
    Temperatures,
    internal_c=st.none() | anything,
    external_1_c=st.none() | st.floats(-60, 120),
    external_2_c=st.none() | anything,
)
snapshots = st.builds(
    Snapshot,
    sequence=st.integers(1),
    taken_at_s=st.floats(0, 1e6),
    pack=packs,
    cells=st.builds(Cells, st.lists(anything | st.floats(0, 6.5), max_size=16).map(tuple)),
    temperatures=temperatures,
    ratings=st.none(),
)
identities = st.builds(Identity, firmware_internal=st.integers(0, 65535), serial_number=st.text(max_size=30))
any_state = st.builds(
    BatteryState,
    packs=st.fixed_dictionaries({"main": st.builds(PackState, snapshots, st.none() | identities)}),
    decided=limits,
    alarms=st.builds(Alarms, st.dictionaries(st.sampled_from(AlarmName), st.sampled_from(AlarmLevel))),
    saved_energy=st.builds(EnergyTotals, charged_wh=anything, discharged_wh=st.floats(0, 1e15)),
)
chosen = st.sets(st.sampled_from([i for i in OPTIONAL_FRAMES if i not in (0x370, 0x371, 0x380, 0x381)])).map(frozenset)


def burst(state: BatteryState, frame_settings: FrameSettings) -> dict[int, CanFrame]:
    """Return the frames by id, or none where the codec refuses."""
    try:
        frames = encode_frames(state, frame_settings)
    except ValueError:
        return {}
    return {frame.arbitration_id: frame for frame in frames}


@settings(max_examples=300, deadline=None)
@given(any_state, st.builds(FrameSettings, optional_frames=chosen | st.just(frozenset(OPTIONAL_FRAMES))))
def test_no_battery_whatsoever_makes_a_dangerous_frame(state: BatteryState, frame_settings: FrameSettings) -> None:
    """CVL is never 0 or 65535, no limit negative, SOC at most 100, no frame of another's; or nothing is sent."""
    frames = burst(state, frame_settings)
    if not frames:
        return
    cvl_raw = int.from_bytes(frames[0x351].data[0:2], "little")
    assert 0 < cvl_raw < 0xFFFF
    assert int.from_bytes(frames[0x351].data[2:4], "little", signed=True) >= 0
    assert int.from_bytes(frames[0x351].data[4:6], "little", signed=True) >= 0
    assert frames[0x351].data[6:] not in (b"\xff\xff", b"\x00\x00")
    assert int.from_bytes(frames[0x355].data[0:2], "little") <= 100
    assert int.from_bytes(frames[0x355].data[4:6], "little") <= 10_000
    assert not NEVER_SENT & set(frames)
    assert (0x370 in frames) == (0x371 in frames)
    assert (0x380 in frames) == (0x381 in frames)


@settings(max_examples=300, deadline=None)
@given(any_state)
def test_burst_is_complete_or_refused(state: BatteryState) -> None:
    """Whatever optional data is broken or missing, the minimum goes out, unless a required value is no number."""
    required = (
        state.limits.cvl_v,
        state.limits.ccl_a,
        state.limits.dcl_a,
        state.snapshot.pack.voltage_v,
        state.snapshot.pack.current_a,
        state.snapshot.pack.soc_percent,
        *state.snapshot.cells.voltages_v,
    )
    sound = (
        all(map(math.isfinite, required))
        and state.limits.cvl_v >= 0.05
        and state.limits.ccl_a >= 0
        and state.limits.dcl_a >= 0
    )
    frames = burst(state, FrameSettings())
    assert ({0x351, 0x355, 0x356, 0x35A} <= set(frames)) == sound
    assert bool(frames) == sound


@settings(max_examples=200, deadline=None)
@given(
    cvl_v=st.floats(0.05, 6553.4),
    ccl_a=st.floats(0, 3276.7),
    dcl_a=st.floats(0, 3276.7),
    low_v=st.floats(0.1, 6553.4),
    voltage_v=st.floats(-327.6, 327.6),
    current_a=st.floats(-3276.8, 3276.7),
)
def test_decoded_values_are_within_half_a_step(
    cvl_v: float, ccl_a: float, dcl_a: float, low_v: float, voltage_v: float, current_a: float
) -> None:
    """What a GX reads differs from what was decided by rounding only."""
    values: dict[int, dict[str, float | int | str]] = {
        0x351: {
            "charge_voltage_limit": cvl_v,
            "charge_current_limit": ccl_a,
            "discharge_current_limit": dcl_a,
            "discharge_voltage": low_v,
        },
        0x356: {"voltage": voltage_v, "current": current_a},
    }
    for identifier, sent in values.items():
        table = FRAME_FORMATS[identifier]
        received = decode_frame(table.encode(sent))
        for name, value in sent.items():
            half_step = float(table.fields[name].scale) / 2
            assert abs(float(received.values[name]) - float(value)) <= half_step + 1e-6


@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_any_frame_on_the_bus_can_be_decoded_or_is_unknown(identifier: int, data: bytes) -> None:
    """Whatever another device sends, decoding gives values or UnknownFrame, and nothing else."""
    try:
        decoded = decode_frame(CanFrame(identifier, data))
    except UnknownFrame:
        assert identifier not in FRAME_FORMATS
    else:
        assert set(decoded.values) <= set(FRAME_FORMATS[identifier].fields)


@given(st.sampled_from([0x351, 0x355, 0x356, 0x35F, 0x372, 0x373, 0x378, 0x379]), st.data())
def test_decoded_frames_encode_to_the_same_bytes(identifier: int, data: st.DataObject) -> None:
    """The codec is its own inverse for every frame of numbers within the bounds of the table."""
    table = FRAME_FORMATS[identifier]
    raw = {name: data.draw(st.integers(field.min_raw, field.max_raw)) for name, field in table.fields.items()}
    values = {name: field.from_raw(raw[name]) for name, field in table.fields.items()}
    frame = table.encode(values)
    assert decode_frame(frame).values == values
    assert table.encode(decode_frame(frame).values) == frame
