"""The live messages: names, types and length, CAN frames in words, and what is new since the one before."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import LimitCode, Quantity, Reason
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.config.models.web_server import WebServer
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.state import CanState, MonitoredFrame, UartState
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.web.live.alarms import AlarmTracker
from tinybms_bridge.services.web.live.client import ThrottleSettings
from tinybms_bridge.services.web.live.messages import (
    BATCHES,
    Topic,
    can_message,
    decoded,
    encode,
    error_message,
    events_message,
    limits_message,
    newest,
    registers_message,
    status_message,
)
from tinybms_bridge.services.web.live.overview import Overview
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.packs import battery_of, four_packs, pack_state


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


README_KEYS = {
    "voltage", "current", "soc_percent", "bms_soc_percent", "soh_percent", "temperature", "min_cell_mv", "max_cell_mv",
    "cell_imbalance_mv", "online_status", "uptime_ms", "stats", "registers",
}  # fmt: skip


def seen(moment: Moment, **changes: Any) -> Moment:
    """Return a moment whose view differs."""
    return replace(moment, view=replace(moment.view, **changes))


def alarmed(moment: Moment) -> BatteryState:
    """Return a battery with every alarm and notice."""
    alarms = Alarms(dict.fromkeys(AlarmName, AlarmLevel.ALARM))
    return replace(moment.battery, alarms=alarms, notices=Notices(dict.fromkeys(NoticeName, AlarmLevel.ALARM)))


def test_names_of_the_readme(core: Any) -> None:
    """The message is flat, has the README's names and no field that tells its type, as in the firmware."""
    message = json.loads(status_message(core))
    assert message.keys() >= README_KEYS
    assert "topic" not in message
    assert message["temperature"] == 24.1
    assert message["cells_mv"][0] == 3415
    assert len(message["cells_mv"]) == 16
    assert message["stats"]["cvl"]["state"] == "FLOAT"
    assert message["stats"]["victron_keepalive_ok"] is True


async def test_at_most_1600_bytes_with_everything_at_its_longest(core: Any, moment: Moment) -> None:
    """16 cells, every alarm and notice and large counters fit into 1.6 KB, with the registers into the usual limit."""
    big = 4_294_967_295
    core.uptime_s, core.now = 1e9, replace(moment, battery=alarmed(moment))
    core.uart_figures = UartState(success=big, errors=big)
    core.can_figures = CanState(tx_count=big, tx_errors=big)
    for direction in Direction:
        await core.inhibit(direction, 60.0, "a reason", "boss")
    text = status_message(core, registers=False)
    assert len(text.encode()) <= 1600
    assert len(status_message(core).encode()) <= 3500 < ThrottleSettings().max_payload_bytes
    assert ", " not in text
    assert ": " not in text


def test_registers_as_the_seed_sends_them(core: Any) -> None:
    """The README's message has them, in the form of ``/api/status``; who does not want them gets all else."""
    message = json.loads(status_message(core))
    registers = {each["address"]: each for each in message["registers"]}
    assert registers[0] == {"address": 0, "name": "cell_1_voltage", "value": 3.4152, "unit": "V"}
    assert registers[36]["value"] == 54.321
    assert len(registers) == 29
    del message["registers"]
    assert json.loads(status_message(core, registers=False)) == message


async def test_nothing_old_looks_live(core: Any, moment: Moment) -> None:
    """HOLD and SILENT: measurements null, limits as sent, the last values apart; still within 1.9 KB."""
    assert moment.view.measured is not None
    assert moment.view.limits is not None
    big = 4_294_967_295
    last = Last(moment.view.measured, 1e6, moment.view.limits)
    held = replace(moment.view.limits, ccl_a=0.0, freshness=Freshness.HOLD)
    old = View(Freshness.HOLD, None, held, 1e6, last)
    core.uptime_s, core.now = 1e9, replace(moment, view=old, battery=alarmed(moment))
    core.uart_figures = UartState(success=big, errors=big)
    core.can_figures = CanState(tx_count=big, tx_errors=big)
    text = status_message(core)
    message = json.loads(text)
    assert len(text.encode()) <= 1900
    live = (
        "voltage",
        "current",
        "soc_percent",
        "power_w",
        "min_cell_mv",
        "online_status",
        "balancing_bits",
        "time_left_s",
    )
    assert {message[name] for name in live} == {None}
    assert message["cells_mv"] == message["temperatures"] == message["registers"] == []
    assert message["stats"]["cvl"]["ccl_limit_a"] == 0.0
    assert message["last"]["voltage"] == 54.32
    assert message["remark"].startswith("charging is stopped because")
    assert json.loads(limits_message(core.now))["ccl_limit_a"] == 0.0
    assert json.loads(registers_message(core.now))["registers"] == []
    core.now = replace(core.now, view=replace(old, freshness=Freshness.SILENT, limits=None))
    message = json.loads(status_message(core))
    assert set(message["stats"]["cvl"].values()) == {None}
    assert message["last"]["cvl"]["ccl_limit_a"] == 5.0
    assert message["remark"] == "nothing is sent; the GX has lost the BMS"


def test_before_the_first_sample(core: Any) -> None:
    """Without a sample the numbers are null and the lists empty."""
    core.now = Moment.of(BatteryState(), core.clock)
    message = json.loads(status_message(core))
    assert message["voltage"] is None
    assert message["cells_mv"] == []
    assert message["temperatures"] == []
    assert message["freshness"] == "STARTING"


def test_numbers_that_json_cannot_carry(core: Any, moment: Moment) -> None:
    """A value that is not finite becomes null instead of breaking every browser."""
    assert moment.view.measured is not None
    pack = replace(moment.view.measured.pack, current_a=float("nan"))
    core.now = seen(moment, measured=replace(moment.view.measured, pack=pack))
    assert json.loads(status_message(core))["current"] is None


def test_limits_with_reasons(moment: Moment) -> None:
    """The reasons go out as codes and numbers."""
    message = json.loads(limits_message(moment))
    assert message["topic"] == "limits"
    assert message["reasons"][1]["code"] == "state"
    assert message["reasons"][1]["detail"] == "FLOAT"
    assert json.loads(limits_message(seen(moment, limits=None)))["reasons"] == []


def test_reasons_have_sane_decimals(moment: Moment) -> None:
    """Sums of binary fractions are no precision."""
    assert moment.view.limits is not None
    odd = Reason(Quantity.CVL, LimitCode.STATE, 53.690000000000005, 26.29450089899956)
    message = json.loads(limits_message(seen(moment, limits=replace(moment.view.limits, reasons=(odd,)))))
    assert (message["reasons"][0]["limit"], message["reasons"][0]["value"]) == (53.69, 26.2945)


def test_registers(moment: Moment) -> None:
    """The topic carries each value with register, name and unit."""
    message = json.loads(registers_message(moment))
    by_address = {each["address"]: each for each in message["registers"]}
    assert by_address[0] == {"address": 0, "name": "cell_1_voltage", "value": 3.4152, "unit": "V"}
    assert by_address[50]["value"] == 147
    assert json.loads(registers_message(seen(moment, measured=None)))["registers"] == []


def test_can_frames_in_words(make_frame: Callable[..., MonitoredFrame]) -> None:
    """Frames carry the names and values of their fields; strange ones only their bytes."""
    message = json.loads(can_message([make_frame(4), make_frame(5, 0x123, "0102")]))
    known, strange = message["frames"]
    assert message["topic"] == "can"
    assert (known["number"], known["id"], known["data"]) == (4, "0x351", "2402F401F401C001")
    assert known["name"]
    assert 54.8 in known["values"].values()
    assert strange["name"] is None


def test_events_and_errors() -> None:
    """Entries have ISO times; errors carry the firmware's success field."""
    entry = EventRecord(
        3, datetime(2026, 1, 1, tzinfo=UTC), EventSource.BRIDGE, Severity.INFO, "gx", "GX present", by="boss"
    )
    assert "boss" not in events_message([entry]), "one message goes to every client, logged in or not"
    assert json.loads(events_message([entry]))["events"][0]["at"] == "2026-01-01T00:00:00Z"
    assert json.loads(error_message("is not JSON")) == {"topic": "error", "success": False, "message": "is not JSON"}


@pytest.fixture
def busy(core: Any, make_frame: Callable[..., MonitoredFrame]) -> Any:
    """A bridge with 300 frames and 120 entries."""
    core.seen_frames.extend(make_frame(number) for number in range(1, 301))
    core.event_list.extend(
        EventRecord(number, None, EventSource.BRIDGE, Severity.INFO, "x", "") for number in range(1, 121)
    )
    return core


@pytest.mark.parametrize("topic", list(Topic))
def test_every_topic_has_a_message(busy: Any, topic: Topic) -> None:
    """Each topic gives JSON; only the flat one has no name of a topic."""
    overview = Overview(busy, AlarmTracker(busy.bus))
    message = json.loads(encode(busy, topic, 0, overview=overview).text)
    assert message.get("topic", "status") == topic


def test_registers_are_left_out_on_request(busy: Any) -> None:
    """Of the flat message only; the topic of that name is what it says."""
    full, bare = encode(busy, Topic.STATUS, 0), encode(busy, Topic.STATUS, 0, registers=False)
    assert "registers" in json.loads(full.text)
    assert "registers" not in json.loads(bare.text)
    assert encode(busy, Topic.REGISTERS, 0, registers=False) == encode(busy, Topic.REGISTERS, 0)


def test_batches_are_bounded(busy: Any) -> None:
    """A message holds the newest hundred frames or the next fifty entries, however many there are."""
    frames, events = encode(busy, Topic.CAN, 0), encode(busy, Topic.EVENTS, 0)
    assert [len(json.loads(frames.text)["frames"]), len(json.loads(events.text)["events"])] == [100, 50]
    assert (frames.last, events.last) == (300, 50)


def test_no_entry_is_left_out(busy: Any) -> None:
    """What does not fit into one message follows in the next."""
    seen, last = [], 0
    while (made := encode(busy, Topic.EVENTS, last)).text:
        seen += [event["number"] for event in json.loads(made.text)["events"]]
        last = made.last
    assert seen == list(range(1, 121))


@pytest.mark.parametrize(("after", "missed"), [(0, 200), (10, 190), (199, 1), (200, 0), (299, 0)])
def test_frames_that_are_left_out_are_counted(busy: Any, after: int, missed: int) -> None:
    """A client that looks rarely knows of the gap, also of frames that nobody remembers."""
    del busy.seen_frames[:50]
    document = json.loads(encode(busy, Topic.CAN, after).text)
    assert document["missed"] == (missed if after else 150)
    assert document["frames"][-1]["number"] == 300


@pytest.mark.parametrize("topic", sorted(BATCHES))
def test_nothing_new_is_no_message(busy: Any, topic: Topic) -> None:
    """After the newest number there is nothing to send."""
    assert encode(busy, topic, newest(busy, topic)).text == ""


def test_numbers_of_the_newest(busy: Any, core: Any) -> None:
    """Each list has its own numbers; other topics have none."""
    assert [newest(busy, topic) for topic in (Topic.CAN, Topic.EVENTS, Topic.STATUS)] == [300, 120, 0]
    core.seen_frames.clear()
    assert newest(core, Topic.CAN) == 0


def test_packs_by_name(core: Any, moment: Moment) -> None:
    """Each pack has the names of the flat message, and null for what is old."""
    message = json.loads(encode(core, Topic.PACKS, 0).text)
    flat = json.loads(status_message(core))
    assert message.keys() == {"topic", "packs"}
    part = dict.fromkeys(("charge_blocked", "discharge_blocked", "charge_share", "discharge_share"))
    measured = {name: flat[name] for name in message["packs"]["main"] if name in flat}
    assert message["packs"] == {"main": {**measured, **part, "condition": "in_use"}}
    assert {"voltage", "cells_mv", "balancing_bits", "freshness", "age_ms"} <= message["packs"]["main"].keys()
    core.now = replace(moment, packs={"main": View(Freshness.SILENT, age_s=60.0)})
    old = json.loads(encode(core, Topic.PACKS, 0).text)["packs"]["main"]
    assert (old["voltage"], old["cells_mv"], old["freshness"], old["age_ms"]) == (None, [], "SILENT", 60_000)


def test_outputs_by_name(core: Any) -> None:
    """An output tells whether its adapter is open and whether a GX is heard, as in ``/api/status``."""
    core.can_figures = CanState(up=False, gx_state="lost")
    message = json.loads(encode(core, Topic.OUTPUTS, 0).text)
    assert message == {"topic": "outputs", "outputs": {"can": {"up": False, "gx_state": "lost"}}}


def test_sixteen_packs_fit_into_a_message(core: Any, moment: Moment) -> None:
    """The longest message that a battery can have stays within what a client takes."""
    view = moment.packs["main"]
    core.now = replace(moment, packs={f"pack {number:02}": view for number in range(16)})
    assert len(encode(core, Topic.PACKS, 0).text) <= 16 * 600


def test_the_flat_message_of_sixteen_packs_of_sixteen_cells(core: Any, clock: FakeClock) -> None:
    """Without its registers, which are of one BMS, it is within the usual limit, so that it is sent."""
    packs = {
        f"pack-{number:02d}": pack_state(number, cells_v=tuple(3.3 + 0.001 * cell for cell in range(16)))
        for number in range(1, 17)
    }
    core.now = Moment.of(battery_of(packs), clock)
    text = encode(core, Topic.STATUS, 0).text
    flat = json.loads(text)
    assert (len(flat["cells_mv"]), flat["registers"], flat["balancing_bits"]) == (256, [], None)
    assert len(text) <= WebServer().websocket_max_payload_bytes


def test_registers_of_several_packs_by_name(core: Any, clock: FakeClock) -> None:
    """Each BMS has its own; of a silent one there are none."""
    core.now = Moment.of(four_packs(), clock)
    message = json.loads(encode(core, Topic.REGISTERS, 0).text)
    assert message["registers"] == []
    assert {name: bool(registers) for name, registers in message["packs"].items()} == {
        "a": True,
        "b": True,
        "c": False,
        "d": True,
    }
