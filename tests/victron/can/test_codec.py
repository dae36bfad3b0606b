"""The minimum set of frames, the order of a burst, and what may not be sent."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.limits.model import Freshness
from tinybms_bridge.battery.snapshot import Cells, Temperatures
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.codec import (
    FrameSettings,
    UnknownFrame,
    burst_ids,
    decode_frame,
    encode_frames,
    encode_together,
)
from tinybms_bridge.victron.can.outgoing import OPTIONAL_FRAMES

MINIMUM = (0x351, 0x355, 0x356, 0x35A)
WITH_LIMITS = {0x351, 0x35A, 0x35E, 0x35F, 0x370, 0x371, 0x372, 0x378, 0x379, 0x380, 0x381, 0x382}
BARE = FrameSettings(optional_frames=frozenset())


def test_burst_of_a_healthy_battery_is_complete_and_in_order(make_state: Any) -> None:
    """The controlling frame goes first, then the rest of the minimum, then all that is known."""
    frames = encode_frames(make_state(), FrameSettings())
    assert tuple(frame.arbitration_id for frame in frames) == (*MINIMUM, *OPTIONAL_FRAMES)


def test_minimum_cannot_be_switched_off(make_state: Any) -> None:
    """With no optional frame chosen, what a GX needs still goes out."""
    frames = encode_frames(make_state(), BARE)
    assert tuple(frame.arbitration_id for frame in frames) == MINIMUM


@pytest.mark.parametrize("chosen", [0x35E, 0x35F, 0x372, 0x373, 0x378, 0x379, 0x382])
def test_single_optional_frames_can_be_chosen(make_state: Any, chosen: int) -> None:
    """Only the chosen frame is added."""
    frames = encode_frames(make_state(), FrameSettings(optional_frames=frozenset({chosen})))
    assert tuple(frame.arbitration_id for frame in frames) == (*MINIMUM, chosen)


def test_limits_have_the_scale_of_the_protocol(encode: Any) -> None:
    """CVL is in 0.1 V: the old firmware sent 584.0 V for 58.4 V."""
    frame = encode(cvl_v=58.1, ccl_a=110.0, dcl_a=195.0, discharge_voltage_v=46.4)[0x351]
    assert frame.data.hex(" ") == "45 02 4c 04 9e 07 d0 01"


def test_limits_end_after_dcl_on_request(encode: Any) -> None:
    """Without the discharge voltage the frame is shorter; it never carries 0 or 655.35 V in its place."""
    frame = encode(replace(BARE, discharge_voltage_in_351=False), cvl_v=58.1, ccl_a=110.0, dcl_a=195.0)[0x351]
    assert frame.data.hex(" ") == "45 02 4c 04 9e 07"


@pytest.mark.parametrize("voltage_v", [0.0, -1.0, math.nan, math.inf])
def test_discharge_voltage_that_is_not_real_is_left_out(encode: Any, voltage_v: float) -> None:
    """An unknown low voltage shortens the frame instead of raising a permanent Low Battery alarm."""
    assert len(encode(discharge_voltage_v=voltage_v)[0x351].data) == 6


def test_current_limits_of_zero_are_sent_as_zero(encode: Any, field_of: Any) -> None:
    """Protection can stop either direction; the old firmware replaced 0 by a statistic."""
    frame = encode(ccl_a=0.0, dcl_a=0.0)[0x351]
    assert field_of(frame, "charge_current_limit") == 0.0
    assert field_of(frame, "discharge_current_limit") == 0.0


@pytest.mark.parametrize(("key", "name"), [("ccl_a", "charge_current_limit"), ("dcl_a", "discharge_current_limit")])
def test_enormous_current_limit_saturates(encode: Any, field_of: Any, key: str, name: str) -> None:
    """A limit beyond sn16 becomes the largest value, not a negative one."""
    assert field_of(encode(**{key: 1e9})[0x351], name) == 3276.7


@pytest.mark.parametrize("key", ["cvl_v", "ccl_a", "dcl_a", "voltage_v", "current_a", "soc_percent"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_stop_the_burst(encode: Any, key: str, value: float) -> None:
    """What a GX acts on is a number, or nothing at all is sent."""
    with pytest.raises(ValueError, match=r"nothing is sent|discharge the battery|may be negative"):
        encode(**{key: value})


@pytest.mark.parametrize("cvl_v", [0.0, 0.049, -0.1, -56.0])
def test_charge_voltage_of_zero_stops_the_burst(encode: Any, cvl_v: float) -> None:
    """CVL 0 would make the system discharge the battery with full power."""
    with pytest.raises(ValueError, match="discharge the battery"):
        encode(cvl_v=cvl_v)


@pytest.mark.parametrize("key", ["ccl_a", "dcl_a"])
def test_negative_current_limit_stops_the_burst(encode: Any, key: str) -> None:
    """A negative limit is a mistake upstream, not a 0."""
    with pytest.raises(ValueError, match="neither may be negative"):
        encode(**{key: -0.1})


def test_cell_that_is_no_number_stops_the_burst(encode: Any) -> None:
    """A snapshot with a hole in it is not a snapshot."""
    with pytest.raises(ValueError, match="a cell voltage is not a number"):
        encode(cells=Cells((3.3, math.nan)))


@pytest.mark.parametrize(
    ("soc_percent", "sent", "fine"), [(100.4, 100, 100.0), (-0.4, 0, 0.0), (81.53, 82, 81.53), (0.5, 1, 0.5)]
)
def test_state_of_charge_is_clamped_and_rounded(
    encode: Any, field_of: Any, soc_percent: float, sent: int, fine: float
) -> None:
    """A GX does not clamp: 100.4 % is sent as 100, in both resolutions."""
    frame = encode(soc_percent=soc_percent)[0x355]
    assert (field_of(frame, "soc"), field_of(frame, "soc_high_resolution")) == (sent, fine)


def test_high_resolution_soc_can_be_left_out(encode: Any) -> None:
    """Without it the frame has the four bytes of the first document."""
    assert encode(replace(BARE, send_high_resolution_soc=False))[0x355].data.hex(" ") == "52 00 61 00"


@pytest.mark.parametrize("soh_percent", [None, math.nan])
def test_unknown_state_of_health_is_sent_as_configured(encode: Any, field_of: Any, soh_percent: float | None) -> None:
    """Older firmware has no state of health, and the frame no way to say so."""
    assert field_of(encode(soh_percent=soh_percent)[0x355], "soh") == 100
    assert field_of(encode(replace(BARE, unknown_soh_percent=80.0), soh_percent=soh_percent)[0x355], "soh") == 80


@pytest.mark.parametrize(("current_a", "raw"), [(-30.1, "d3fe"), (20.9, "d100"), (0.0, "0000"), (-3276.8, "0080")])
def test_discharge_current_is_negative(encode: Any, current_a: float, raw: str) -> None:
    """The sign of the current is that of the protocol: negative = discharge."""
    assert encode(current_a=current_a)[0x356].data[2:4].hex() == raw


def test_temperature_is_that_of_the_hottest_sensor(encode: Any, field_of: Any) -> None:
    """0x356 has one temperature; the external sensors stand for the cells, the hotter one counts."""
    assert field_of(encode()[0x356], "temperature") == 21.6


def test_board_temperature_stands_in_for_missing_sensors(encode: Any, field_of: Any) -> None:
    """With no external sensor the board's own is better than none."""
    assert field_of(encode(temperatures=Temperatures(internal_c=31.0))[0x356], "temperature") == 31.0


@pytest.mark.parametrize(("hot_c", "raw"), [(-20.0, "38ff"), (-0.05, "ffff"), (0.0, "0000")])
def test_frost_is_a_negative_number(encode: Any, hot_c: float, raw: str) -> None:
    """The temperature is signed; frost does not read as 6500 degrees."""
    assert encode(temperatures=Temperatures(external_1_c=hot_c))[0x356].data[4:].hex() == raw


@pytest.mark.parametrize("temperatures", [Temperatures(), Temperatures(external_1_c=math.nan)])
def test_measurements_without_a_sensor_are_shorter(encode: Any, temperatures: Temperatures) -> None:
    """No sensor, no temperature: a GX shows none instead of a made-up one."""
    assert len(encode(temperatures=temperatures)[0x356].data) == 4


def test_healthy_battery_sends_the_alarms_of_the_field_capture(encode: Any) -> None:
    """All OK is AA AA AA 02 twice, as a real battery does."""
    assert encode()[0x35A].data.hex(" ") == "aa aa aa 02 aa aa aa 02"


def test_alarms_that_nobody_watches_are_not_supported(encode: Any) -> None:
    """Missing names are 0, and never OK or active."""
    assert encode(alarms=Alarms())[0x35A].data == bytes(8)


@pytest.mark.parametrize("name", list(AlarmName))
@pytest.mark.parametrize(
    ("level", "alarm", "warning"),
    [
        (AlarmLevel.OK, "ok", "ok"),
        (AlarmLevel.WARNING, "ok", "active"),
        (AlarmLevel.ALARM, "active", "active"),
    ],
)
def test_levels_become_alarm_and_warning(
    encode: Any, name: AlarmName, level: AlarmLevel, alarm: str, warning: str
) -> None:
    """A warning is no alarm, an alarm is a warning too, and no other field changes."""
    values = decode_frame(encode(alarms=Alarms({name: level}))[0x35A]).values
    assert (values.pop(f"alarm_{name.value}"), values.pop(f"warning_{name.value}")) == (alarm, warning)
    assert values.pop("system_status") == 0
    assert set(values.values()) == {"not supported"}


def test_cleared_alarm_returns_to_ok_and_not_to_unsupported(encode: Any, field_of: Any) -> None:
    """An alarm that has gone is 2 again, so that a GX clears it."""
    name = AlarmName.LOW_VOLTAGE
    seen = [
        field_of(encode(alarms=Alarms({name: level}))[0x35A], "alarm_low_voltage")
        for level in (AlarmLevel.OK, AlarmLevel.ALARM, AlarmLevel.OK)
    ]
    assert seen == ["ok", "active", "ok"]


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_system_status_is_sent_as_configured(encode: Any, status: int) -> None:
    """The coding is undocumented, so the user may choose; it lies beside the imbalance warning."""
    assert encode(replace(BARE, system_status=status))[0x35A].data[7] == 0x02 | status << 2


@pytest.mark.parametrize(("freshness", "status"), [(Freshness.FRESH, 2), (Freshness.HOLD, 1), (Freshness.SILENT, 1)])
def test_system_status_can_follow_the_link(encode: Any, field_of: Any, freshness: Freshness, status: int) -> None:
    """``online`` is 2 while the samples are fresh and 1 otherwise, as one public encoder has it."""
    frame = encode(replace(BARE, system_status="online"), freshness=freshness)[0x35A]
    assert field_of(frame, "system_status") == status


def test_unknown_frame_is_refused_by_its_id() -> None:
    """A frame of another protocol raises, with its id for the message."""
    with pytest.raises(UnknownFrame, match=r"no frame 0x35C in the Victron") as caught:
        decode_frame(CanFrame(0x35C, b"\xc0\x00"))
    assert caught.value.arbitration_id == 0x35C


def test_numbers_can_be_asked_for_without_checking_words() -> None:
    """A word or a missing field is no number."""
    decoded = decode_frame(CanFrame(0x373, bytes.fromhex("B90CC20CFFFF")))
    assert decoded.number("lowest_cell_voltage") == 3257.0
    assert decoded.number("lowest_cell_temperature") is None
    assert decoded.number("highest_cell_temperature") is None


def test_whole_burst_is_what_its_frames_are_one_by_one(make_state: Any) -> None:
    """Made when each is sent or all at once: the same state gives the same bytes, and each frame once."""
    state, settings = make_state(), FrameSettings()
    waiting = list(burst_ids(state, settings))
    made: dict[int, CanFrame] = {}
    while waiting:
        for frame in encode_together(waiting[0], waiting, state, settings):
            assert frame.arbitration_id not in made
            made[frame.arbitration_id] = frame
            waiting.remove(frame.arbitration_id)
    assert sorted(made.values(), key=str) == sorted(encode_frames(state, settings), key=str)
    assert burst_ids(state, settings) == tuple(frame.arbitration_id for frame in encode_frames(state, settings))


@pytest.mark.parametrize(
    ("identifier", "others"),
    [
        (0x351, WITH_LIMITS - {0x351}),
        (0x35A, WITH_LIMITS - {0x35A}),
        (0x371, WITH_LIMITS - {0x371}),
        (0x375, {0x373, 0x374, 0x376, 0x377}),
        (0x355, set()),
        (0x356, set()),
    ],
)
def test_frames_that_have_to_agree_are_made_together(make_state: Any, identifier: int, others: set[int]) -> None:
    """Limits with their alarms, halves of a name, extremes with the cells that have them; only what still waits."""
    state, settings = make_state(), FrameSettings()
    everything = encode_together(identifier, burst_ids(state, settings), state, settings)
    assert {frame.arbitration_id for frame in everything} == {identifier, *others}
    alone = encode_together(identifier, (), state, settings)
    assert [frame.arbitration_id for frame in alone] == [identifier]


def test_frame_without_data_is_not_made(make_state: Any) -> None:
    """A sensor may be lost between the beginning of a burst and the turn of its frame."""
    state = make_state(temperatures=Temperatures(None, None, None))
    frames = encode_together(0x373, (0x374, 0x375, 0x376, 0x377), state, FrameSettings())
    assert [frame.arbitration_id for frame in frames] == [0x373, 0x374, 0x375]
    assert encode_together(0x376, (), state, FrameSettings()) == ()
    assert encode_together(0x382, (), state, FrameSettings(optional_frames=frozenset())) == ()


def test_frame_alone_is_refused_like_a_burst(make_state: Any) -> None:
    """No frame goes out beside a limit that may not be sent."""
    with pytest.raises(ValueError, match="CVL is 0"):
        encode_together(0x356, (), make_state(cvl_v=0.0), FrameSettings())
