import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tinybms_bridge.tinybms.frames import Action, ReadModbus, Reply, Request, SettingsTable, SimpleRequest, to_u32
from tinybms_bridge.tinybms.frames.wire import CommandCode
from tinybms_bridge.tinybms.live import decode_identity, decode_live, decode_ratings
from tinybms_lab.bms import AnsweringDevice, Dump, DumpDevice, OffMap, Responder, load_dump, real_dump
from tinybms_lab.bms.records import entries_in
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]
Exchange = Callable[[AnsweringDevice, Request], Reply | None]


def _words(device: DumpDevice, address: int, count: int) -> tuple[int, ...]:
    words = device.read(address, count)
    assert words is not None
    return words


def test_the_capture_is_the_real_pack(dump: DumpDevice) -> None:
    """55.78 V, 14 cells, 83.554824 %, as published."""
    snapshot = decode_live(_words(dump, 0, 56), sequence=1, taken_at_s=0.0)

    assert snapshot.pack.voltage_v == 55.78
    assert snapshot.pack.soc_percent == 83.554824
    assert snapshot.cells.count == 14
    assert sum(snapshot.cells.voltages_v) == pytest.approx(55.781, abs=0.0001)
    assert snapshot.temperatures.internal_c == 9.7
    assert snapshot.temperatures.external_1_c is None
    assert snapshot.pack.lifetime_s == 16_683_981


@pytest.mark.parametrize(
    "name",
    ["0_16", "32_2", "34_2", "36_2", "38_2", "40_4", "46_3", "50_4"],
)
def test_it_answers_byte_for_byte_like_the_real_unit(
    clock: FakeClock, dump: DumpDevice, golden: dict[str, bytes], name: str
) -> None:
    """Every captured exchange is repeated exactly."""
    (reply,) = Responder(dump, clock).feed(golden[f"cap_modbus_{name}_req"])

    assert reply.data == golden[f"cap_modbus_{name}_rsp"]


@pytest.mark.parametrize("name", ["inf_07_0_57", "inf_09_16regs"])
def test_it_splits_long_replies_as_a_real_unit_did(
    clock: FakeClock, dump: DumpDevice, golden: dict[str, bytes], name: str
) -> None:
    """Two packets with 63 bytes in the first."""
    (reply,) = Responder(dump, clock).feed(golden[f"{name}_req"])

    assert reply.packets == (golden[f"{name}_rsp_1"], golden[f"{name}_rsp_2"])


def test_the_cell_command_gives_the_14_cells(clock: FakeClock, dump: DumpDevice, golden: dict[str, bytes]) -> None:
    """As many entries as register 307 says."""
    (reply,) = Responder(dump, clock).feed(golden["cmp_req_1C"])

    assert reply.data == golden["cmp_rsp_1C_14s"]


def test_the_settings_of_the_capture_are_usable(dump: DumpDevice) -> None:
    """Limits can be derived, in the order that the BMS enforces."""
    ratings = decode_ratings(_words(dump, 300, 44))

    assert ratings.series_cells == 14
    assert ratings.capacity_ah == 66.0
    assert ratings.under_voltage_cell_v < ratings.fully_discharged_cell_v < ratings.fully_charged_cell_v
    assert ratings.fully_charged_cell_v < ratings.over_voltage_cell_v
    assert decode_identity(_words(dump, 500, 10)).firmware_internal == 242
    assert _words(dump, 328, 1) == (0xFFFF,)


def test_the_events_of_the_capture(dump: DumpDevice) -> None:
    """Charger seen, charging started, gone after 22 s."""
    events = entries_in(_words(dump, 200, 98))

    assert [(e.time_s, e.event_id) for e in events][1:] == [
        (12_144_171, 0x64),
        (12_144_172, 0x62),
        (12_144_194, 0x65),
    ]


def test_every_register_of_the_capture_has_a_provenance() -> None:
    """Nobody takes a filled-in value for a measured one."""
    dump = real_dump()
    covered: set[int] = set()
    for span in dump.meta["provenance"]:
        first, _, last = span.partition("-")
        covered |= set(range(int(first), int(last or first) + 1))

    assert set(dump.registers) <= covered


def test_values_stay_and_the_lifetime_counts(dump: DumpDevice, pass_time: PassTime) -> None:
    """The only thing that moves is the clock."""
    before = _words(dump, 0, 127)
    pass_time(100.0)
    after = _words(dump, 0, 127)

    assert to_u32(*after[32:34]) - to_u32(*before[32:34]) == 100
    assert after[:32] + after[34:] == before[:32] + before[34:]


def test_it_sleeps_like_a_real_one(clock: FakeClock, dump: DumpDevice, pass_time: PassTime) -> None:
    """An idle capture sleeps after ten seconds, unless that is switched off."""
    awake = DumpDevice(real_dump(), clock, asleep_allowed=False)
    pass_time(11.0)

    assert (dump.asleep, awake.asleep) == (True, False)
    assert [dump.hear(), dump.hear()] == [False, True]
    assert awake.hear()


def test_settings_can_be_written_in_memory(dump: DumpDevice) -> None:
    """The file stays as it is."""
    assert dump.write([(300, 4100)])
    assert not dump.write([(300, 9000)])

    assert _words(dump, 300, 1) == (4100,)
    assert dump.settings_table(SettingsTable.CURRENT, 2) == (4100, 3000)
    assert dump.settings_table(SettingsTable.DEFAULT, 1) == (4150,)
    assert real_dump().registers[300] == 4150


def test_actions_work_in_memory(dump: DumpDevice, exchange: Exchange) -> None:
    """Events and statistics can be cleared; a restart is an outage."""
    assert dump.act(Action.CLEAR_EVENTS)
    assert dump.act(Action.CLEAR_STATISTICS)
    assert entries_in(_words(dump, 200, 98)) == []
    assert _words(dump, 100, 18) == (0,) * 18

    assert dump.act(Action.RESET)
    assert exchange(dump, SimpleRequest(CommandCode.STATUS)) is None


def test_reading_off_the_map_follows_the_option(clock: FakeClock, dump: DumpDevice, exchange: Exchange) -> None:
    """The same choice as for the simulated pack."""
    babbling = DumpDevice(real_dump(), clock, off_map=OffMap.GARBAGE)

    assert dump.read(700, 2) is None
    assert babbling.read(700, 2) is not None
    assert exchange(babbling, ReadModbus(0x2C01, 45)) is not None


def test_a_dump_is_read_from_a_file(tmp_path: Path) -> None:
    """Registers left out read 0; meta may be missing."""
    path = tmp_path / "unit.json"
    path.write_text(json.dumps({"registers": {"0": 38720, "599": 1}}), encoding="utf-8")
    device = DumpDevice(load_dump(path), FakeClock())

    assert _words(device, 0, 2) == (38720, 0)
    assert _words(device, 599, 1) == (1,)
    assert load_dump(path).meta == {}


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """The caller names the file to the user."""
    with pytest.raises(FileNotFoundError):
        load_dump(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"registers": {}}', '{"registers": [1]}', '{"meta": 1, "registers": {"0": 1}}', "3"]
)
def test_another_shape_is_refused(text: str) -> None:
    """The message shows the shape."""
    with pytest.raises(ValueError, match="a dump is a JSON object"):
        Dump.parse(text)


@pytest.mark.parametrize("text", ["", "{", "registers"])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    """As ValueError like every other mistake in the file."""
    with pytest.raises(ValueError, match="line 1 column"):
        Dump.parse(text)


@pytest.mark.parametrize("key", ["600", "-1", "x", "1.5", ""])
def test_an_impossible_address_is_refused(key: str) -> None:
    """The message names it."""
    with pytest.raises(ValueError, match=f"register '{key}' is not an address"):
        Dump.parse(json.dumps({"registers": {key: 1}}))


@pytest.mark.parametrize("value", [-1, 65536, 1.5, "1", None, True])
def test_an_impossible_value_is_refused(value: object) -> None:
    """The message names the register."""
    with pytest.raises(ValueError, match=r"register 36 = .* is not a whole number"):
        Dump.parse(json.dumps({"registers": {"36": value}}))
