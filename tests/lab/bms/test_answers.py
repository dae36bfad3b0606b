from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    CellValues,
    CommandCode,
    EventEntry,
    EventsReply,
    ExtendedVersion,
    FloatValue,
    Framer,
    LongValue,
    Nack,
    ReadBlock,
    ReadList,
    ReadModbus,
    ReadSettingValues,
    RegisterPairs,
    RegistersReply,
    Reply,
    Request,
    SettingsTable,
    SettingsValues,
    ShortValue,
    SimpleRequest,
    TemperatureValues,
    Trip,
    Version,
    WriteBlock,
    WriteDone,
    WriteList,
    WriteModbus,
    to_float,
    to_u32,
)
from tinybms_lab.bms import (
    FIRMWARES,
    AnsweringDevice,
    BmsOptions,
    OffMap,
    Responder,
    SimulatedBms,
    parse_profile,
)
from tinybms_lab.bms.hardware import SwitchStates
from tinybms_lab.bms.responder import answer
from tinybms_lab.bms.variants import BlockLength, CellOrder, EventOrder, PacketId, Quirks
from tinybms_lab.testing.fake_clock import FakeClock

Exchange = Callable[[AnsweringDevice, Request], Reply | None]
PassTime = Callable[[float], None]

_ADDRESSES = st.one_of(
    st.integers(min_value=0, max_value=399),
    st.integers(min_value=500, max_value=599),
    st.integers(min_value=0, max_value=0xFFFF),
)
_WORDS = st.integers(min_value=0, max_value=0xFFFF)
_REQUESTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(ReadModbus, st.integers(min_value=0, max_value=60000), st.integers(min_value=1, max_value=127)),
    st.builds(ReadBlock, st.integers(min_value=0, max_value=600), st.integers(min_value=1, max_value=255)),
    st.builds(ReadList, st.lists(_ADDRESSES, min_size=1, max_size=31).map(tuple)),
    st.builds(WriteList, st.lists(st.tuples(_ADDRESSES, _WORDS), min_size=1, max_size=15).map(tuple)),
    st.builds(
        WriteModbus,
        st.integers(min_value=280, max_value=350),
        st.lists(_WORDS, min_size=1, max_size=100).map(tuple),
    ),
    st.builds(
        WriteBlock,
        st.integers(min_value=280, max_value=350),
        st.lists(_WORDS, min_size=1, max_size=30).map(tuple),
        st.booleans(),
    ),
    st.builds(ReadSettingValues, st.sampled_from(SettingsTable), st.integers(min_value=1, max_value=100)),
    st.builds(ActionRequest, st.sampled_from([Action.CLEAR_EVENTS, Action.CLEAR_STATISTICS])),
    st.builds(
        SimpleRequest,
        st.sampled_from([c for c in CommandCode if c >= CommandCode.EVENTS_NEWEST and c is not CommandCode.SETTINGS]),
    ),
)


@pytest.fixture
def charged(clock: FakeClock, pass_time: PassTime) -> SimulatedBms:
    """A 14-cell pack that is being charged."""
    device = SimulatedBms.build(clock, cells=14, profile=parse_profile("charge"))
    pass_time(5.0)
    return device


def _words(device: AnsweringDevice, address: int, count: int) -> tuple[int, ...]:
    words = device.read(address, count)
    assert words is not None
    return words


@given(st.lists(_REQUESTS, min_size=1, max_size=6))
def test_every_request_is_answered_in_its_shape(requests: list[Request]) -> None:
    """The host's framer takes each answer, whole and without a byte too many."""
    clock = FakeClock()
    device = SimulatedBms.build(clock, options=BmsOptions(off_map=OffMap.GARBAGE))
    responder = Responder(device, clock)
    for request in requests:
        framer = Framer()
        framer.expect(request)

        (outgoing,) = responder.feed(request.encode())
        (reply,) = framer.feed(outgoing.data)

        assert reply == answer(device, request) or isinstance(reply, Nack | Ack | WriteDone)
        assert framer.missing == 0


@pytest.mark.parametrize("count", [1, 56, 127])
def test_modbus_read(charged: SimulatedBms, exchange: Exchange, count: int) -> None:
    """0x03 up to its 127 registers."""
    assert exchange(charged, ReadModbus(0, count)) == RegistersReply(CommandCode.READ_MODBUS, _words(charged, 0, count))


@pytest.mark.parametrize("count", [1, 31, 32, 57, 255])
def test_block_read(charged: SimulatedBms, exchange: Exchange, count: int) -> None:
    """0x07 in one packet or in several."""
    assert exchange(charged, ReadBlock(0, count)) == RegistersReply(CommandCode.READ_BLOCK, _words(charged, 0, count))


@pytest.mark.parametrize("addresses", [(50,), (306, 36, 37), tuple(range(31))])
def test_list_read(charged: SimulatedBms, exchange: Exchange, addresses: tuple[int, ...]) -> None:
    """0x09 names each register, in the order asked for."""
    pairs = tuple((address, _words(charged, address, 1)[0]) for address in addresses)

    assert exchange(charged, ReadList(addresses)) == RegisterPairs(pairs)


@pytest.mark.parametrize(
    "request_", [ReadModbus(395, 10), ReadModbus(0x2C01, 45), ReadBlock(600, 1), ReadList((36, 450))], ids=repr
)
def test_reads_off_the_map_are_refused(charged: SimulatedBms, exchange: Exchange, request_: Request) -> None:
    """Code 0, command error."""
    assert exchange(charged, request_) == Nack(request_.command, 0)


def test_fast_values_are_those_of_the_registers(charged: SimulatedBms, exchange: Exchange) -> None:
    """0x14 to 0x1A; 0x16 is the largest cell and 0x17 the smallest."""
    live = _words(charged, 0, 56)

    def ask(command: CommandCode) -> Reply | None:
        return exchange(charged, SimpleRequest(command))

    assert ask(CommandCode.PACK_VOLTAGE) == FloatValue(CommandCode.PACK_VOLTAGE, to_float(*live[36:38]))
    assert ask(CommandCode.PACK_CURRENT) == FloatValue(CommandCode.PACK_CURRENT, 30.0)
    assert ask(CommandCode.MAX_CELL) == ShortValue(CommandCode.MAX_CELL, live[41])
    assert ask(CommandCode.MIN_CELL) == ShortValue(CommandCode.MIN_CELL, live[40])
    assert ask(CommandCode.STATUS) == ShortValue(CommandCode.STATUS, 0x91)
    assert ask(CommandCode.LIFETIME) == LongValue(CommandCode.LIFETIME, to_u32(*live[32:34]))
    assert ask(CommandCode.SOC) == LongValue(CommandCode.SOC, to_u32(*live[46:48]))
    assert live[41] > live[40]


def test_temperatures_in_the_vendors_order(clock: FakeClock, exchange: Exchange) -> None:
    """Internal first, then the external ones; absent is -32768, frost is negative."""
    device = SimulatedBms.build(clock, ambient_c=-12.0, options=BmsOptions(external_sensors=1))

    assert exchange(device, SimpleRequest(CommandCode.TEMPERATURES)) == TemperatureValues(-100, -120, -32768)


def test_cell_values_are_as_many_as_cells(charged: SimulatedBms, exchange: Exchange) -> None:
    """0x1C gives register 307 entries, the lowest cell first."""
    assert exchange(charged, SimpleRequest(CommandCode.CELLS)) == CellValues(_words(charged, 2, 14))


def test_versions(clock: FakeClock, exchange: Exchange) -> None:
    """0x1E and 0x1F split the words of registers 500 to 503."""
    device = SimulatedBms.build(clock, options=BmsOptions(firmware=FIRMWARES[242]))

    assert exchange(device, SimpleRequest(CommandCode.VERSION)) == Version(2, 1, 1, 242)
    assert exchange(device, SimpleRequest(CommandCode.VERSION_EXTENDED)) == ExtendedVersion(2, 1, 1, 242, 24, 4)


def test_trip_has_no_speed_and_the_time_left(charged: SimulatedBms, exchange: Exchange) -> None:
    """0x20 without a speed sensor."""
    left_s = to_u32(*_words(charged, 34, 2))

    assert exchange(charged, SimpleRequest(CommandCode.TRIP)) == Trip(0.0, 0, left_s)


@pytest.mark.parametrize("command", [CommandCode.EVENTS_NEWEST, CommandCode.EVENTS_ALL])
def test_events_start_with_the_start(bms: SimulatedBms, exchange: Exchange, command: CommandCode) -> None:
    """0x11 and 0x12 add the present time."""
    now_s = to_u32(*_words(bms, 32, 2))

    assert exchange(bms, SimpleRequest(command)) == EventsReply(
        command is CommandCode.EVENTS_NEWEST, now_s, (EventEntry(2_592_000, 0x61),)
    )


def test_newest_events_are_few_and_newest_first(
    clock: FakeClock, bms: SimulatedBms, exchange: Exchange, pass_time: PassTime
) -> None:
    """0x11 gives ten, 0x12 gives all."""
    for _ in range(14):
        exchange(bms, ActionRequest(Action.RESET))
        pass_time(2.0)

    newest = exchange(bms, SimpleRequest(CommandCode.EVENTS_NEWEST))
    every = exchange(bms, SimpleRequest(CommandCode.EVENTS_ALL))

    assert isinstance(newest, EventsReply)
    assert isinstance(every, EventsReply)
    assert len(every.entries) == 15
    times_s = sorted((entry.time_s for entry in every.entries), reverse=True)
    assert [entry.time_s for entry in newest.entries] == times_s[:10]


@pytest.mark.parametrize("table", SettingsTable)
def test_settings_tables(charged: SimulatedBms, exchange: Exchange, table: SettingsTable) -> None:
    """0x1D from register 300, up to a hundred."""
    assert exchange(charged, ReadSettingValues(table)) == SettingsValues(table, charged.settings_table(table, 100))
    assert exchange(charged, ReadSettingValues(table, 20)) == SettingsValues(table, charged.settings_table(table, 20))


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (WriteModbus(315, (3700, 2600)), WriteDone(315, 2)),
        (WriteList(((315, 3700), (316, 2600))), Ack(CommandCode.WRITE_LIST)),
        (WriteBlock(315, (3700, 2600)), Ack(CommandCode.WRITE_BLOCK)),
        (WriteBlock(315, (3700, 2600), count_address_bytes=True), Ack(CommandCode.WRITE_BLOCK)),
    ],
    ids=["0x10", "0x0D", "0x0B", "0x0B with address"],
)
def test_writes(bms: SimulatedBms, exchange: Exchange, request_: Request, reply: Reply) -> None:
    """0x10 echoes, the others acknowledge; the value is there."""
    assert exchange(bms, request_) == reply
    assert exchange(bms, ReadModbus(315, 2)) == RegistersReply(CommandCode.READ_MODBUS, (3700, 2600))


@pytest.mark.parametrize(
    "request_",
    [
        WriteModbus(12801, (0x4001,)),
        WriteModbus(315, (9000,)),
        WriteList(((315, 3700), (0, 1))),
        WriteBlock(399, (1, 1)),
    ],
    ids=["address", "range", "one of two", "past the end"],
)
def test_bad_writes_are_refused_whole(bms: SimulatedBms, exchange: Exchange, request_: Request) -> None:
    """NACK 0, and nothing changed."""
    before = _words(bms, 300, 100)

    assert exchange(bms, request_) == Nack(request_.command, 0)
    assert _words(bms, 300, 100) == before


@pytest.mark.parametrize("action", Action)
def test_actions_are_acknowledged(bms: SimulatedBms, exchange: Exchange, action: Action) -> None:
    """The ACK of a restart still goes out."""
    assert exchange(bms, ActionRequest(action)) == Ack(CommandCode.ACTION)


@pytest.mark.parametrize(
    ("habit", "data_only", "with_address"),
    [(BlockLength.EITHER, True, True), (BlockLength.DATA_ONLY, True, False), (BlockLength.WITH_ADDRESS, False, True)],
)
def test_the_length_of_a_block_write_is_a_habit(
    bms: SimulatedBms, habit: BlockLength, data_only: bool, with_address: bool
) -> None:
    """Nobody knows whether the length byte of 0x0B counts the address; a unit takes one of both."""
    quirks = Quirks(block_length=habit)
    requests = [WriteBlock(315, (3700,), count_address_bytes=counted) for counted in (False, True)]

    taken = [answer(bms, request, quirks) == Ack(CommandCode.WRITE_BLOCK) for request in requests]

    assert taken == [data_only, with_address]


def test_the_order_of_the_cells_is_a_habit(charged: SimulatedBms) -> None:
    """One public driver reads 0x1C from the top."""
    request = SimpleRequest(CommandCode.CELLS)
    cells = _words(charged, 2, 14)

    assert answer(charged, request, Quirks(cell_order=CellOrder.HIGHEST_FIRST)) == CellValues(cells[::-1])
    assert len(set(cells)) > 1


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        (EventOrder.NEWEST_FIRST, [0x65, 0x64, 0x63]),
        (EventOrder.OLDEST_FIRST, [0x63, 0x64, 0x65]),
        (EventOrder.SLOT, [0x64, 0x65, 0x63]),
    ],
)
def test_number_and_order_of_the_newest_events_are_habits(order: EventOrder, ids: list[int]) -> None:
    """The ring has turned: slots 0 and 1 hold the newest, the last slot the oldest of the three."""
    ring = [(10, 0x64), (11, 0x65), *[(0, 0)] * 45, (8, 0x62), (9, 0x63)]
    device = _Ring(100, ring)

    found = answer(device, SimpleRequest(CommandCode.EVENTS_NEWEST), Quirks(newest_count=3, newest_order=order))

    assert isinstance(found, EventsReply)
    assert [entry.event_id for entry in found.entries] == ids
    assert found.now_s == 100


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        (EventOrder.NEWEST_FIRST, [0x65, 0x64, 0x63]),
        (EventOrder.OLDEST_FIRST, [0x63, 0x64, 0x65]),
        (EventOrder.SLOT, [0x64, 0x65, 0x63]),
    ],
)
def test_the_order_of_all_events_is_a_habit(order: EventOrder, ids: list[int]) -> None:
    """0x12 sorts as told, whatever the number for 0x11 is."""
    device = _Ring(100, [(10, 0x64), (11, 0x65), *[(0, 0)] * 46, (9, 0x63)])

    found = answer(device, SimpleRequest(CommandCode.EVENTS_ALL), Quirks(newest_count=0, all_order=order))

    assert isinstance(found, EventsReply)
    assert [entry.event_id for entry in found.entries] == ids


@pytest.mark.parametrize(("habit", "ids"), [(PacketId.LEFT, [0x83, 0x82]), (PacketId.TOTAL, [0x83, 0x83])])
def test_the_meaning_of_the_packet_id_is_a_habit(
    clock: FakeClock, charged: SimulatedBms, habit: PacketId, ids: list[int]
) -> None:
    """Both count the same for two packets, as seen on hardware; for three they differ."""
    responder = Responder(charged, clock, quirks=Quirks(packet_id=habit))

    (block,) = responder.feed(ReadBlock(0, 70).encode())
    (listed,) = responder.feed(ReadList(tuple(range(31))).encode())

    assert [packet[2] for packet in block.packets] == [*ids, 140 - 126]
    assert [packet[2] for packet in listed.packets] == [0x82, 124 - 63]


@pytest.mark.parametrize("count", [-1, 50])
def test_a_reply_has_room_for_49_events(count: int) -> None:
    """The ring has no more."""
    with pytest.raises(ValueError, match=f"0 to 49 events, got {count}"):
        Quirks(newest_count=count)


def test_nothing_is_answered_during_a_restart(bms: SimulatedBms, exchange: Exchange, pass_time: PassTime) -> None:
    """Then it answers again, without a wake-up."""
    exchange(bms, ActionRequest(Action.RESET))
    status = SimpleRequest(CommandCode.STATUS)

    seen = []
    for seconds in (0.1, 1.3, 0.2):
        pass_time(seconds)
        seen.append(exchange(bms, status))

    assert seen == [None, None, ShortValue(CommandCode.STATUS, 0x97)]


class _Broken:
    """A device that refuses what every real one has."""

    silent = False
    switches = SwitchStates(load=True, charger=False)

    def refresh(self) -> None: ...

    def crash(self) -> None: ...

    def hear(self) -> bool:
        return True

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        return None

    def write(self, pairs: object) -> bool:
        return False

    def act(self, action: Action) -> bool:
        return False

    def settings_table(self, table: SettingsTable, count: int) -> tuple[int, ...]:
        return (0,) * count


class _Ring(_Broken):
    """A device with nothing but a lifetime counter and events."""

    def __init__(self, now_s: int, ring: list[tuple[int, int]]) -> None:
        self._words = [0] * 600
        self._words[32] = now_s
        self._words[200:298] = [word for time_s, event_id in ring for word in (time_s, event_id << 8)]

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        return tuple(self._words[address : address + count])


def test_a_device_may_refuse_an_action() -> None:
    """NACK for 0x02 as for the rest."""
    assert answer(_Broken(), ActionRequest(Action.RESET)) == Nack(CommandCode.ACTION, 0)


def test_a_device_without_the_documented_map_is_a_mistake_of_the_simulator() -> None:
    """It is told, not sent as data."""
    with pytest.raises(LookupError, match="refuses registers 36 to 37"):
        answer(_Broken(), SimpleRequest(CommandCode.PACK_VOLTAGE))
