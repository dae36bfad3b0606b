"""Strategies and helpers shared by the tests of the codec."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    CellValues,
    CommandCode,
    Event,
    EventEntry,
    EventsReply,
    ExtendedVersion,
    FloatValue,
    Garbage,
    LongValue,
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
)
from tinybms_bridge.tinybms.frames.wire import SIMPLE_COMMANDS

Item = TypeVar("Item")
Exchange = tuple[Request, Reply]
FloatCommand = Literal[CommandCode.PACK_VOLTAGE, CommandCode.PACK_CURRENT]
ShortCommand = Literal[CommandCode.MAX_CELL, CommandCode.MIN_CELL, CommandCode.STATUS]
LongCommand = Literal[CommandCode.LIFETIME, CommandCode.SOC]

BYTE = st.integers(0, 0xFF)
WORD = st.integers(0, 0xFFFF)
LONG = st.integers(0, 0xFFFFFFFF)
SHORT = st.integers(-0x8000, 0x7FFF)
SINGLE = st.floats(width=32, allow_nan=False)
FLOAT_COMMAND: SearchStrategy[FloatCommand] = st.sampled_from([CommandCode.PACK_VOLTAGE, CommandCode.PACK_CURRENT])
SHORT_COMMAND: SearchStrategy[ShortCommand] = st.sampled_from(
    [CommandCode.MAX_CELL, CommandCode.MIN_CELL, CommandCode.STATUS]
)
LONG_COMMAND: SearchStrategy[LongCommand] = st.sampled_from([CommandCode.LIFETIME, CommandCode.SOC])


def _tuples(items: SearchStrategy[Item], smallest: int, largest: int) -> SearchStrategy[tuple[Item, ...]]:
    """Draw the length first, so that long ones are as likely as short ones."""
    sizes = st.integers(smallest, largest)
    return sizes.flatmap(lambda size: st.lists(items, min_size=size, max_size=size).map(tuple))


def _words(count: int) -> SearchStrategy[tuple[int, ...]]:
    return _tuples(WORD, count, count)


def _address_for(count: int) -> SearchStrategy[int]:
    return st.integers(0, 0x10000 - count)


@st.composite
def _modbus_reads(draw: st.DrawFn) -> Exchange:
    count = draw(st.integers(1, 127))
    request = ReadModbus(draw(_address_for(count)), count)
    return request, RegistersReply(CommandCode.READ_MODBUS, draw(_words(count)))


@st.composite
def _block_reads(draw: st.DrawFn) -> Exchange:
    count = draw(st.integers(1, 255))
    request = ReadBlock(draw(_address_for(count)), count)
    return request, RegistersReply(CommandCode.READ_BLOCK, draw(_words(count)))


@st.composite
def _list_reads(draw: st.DrawFn) -> Exchange:
    pairs = draw(_tuples(st.tuples(WORD, WORD), 1, 31))
    return ReadList(tuple(address for address, _ in pairs)), RegisterPairs(pairs)


@st.composite
def _block_writes(draw: st.DrawFn) -> Exchange:
    counted = draw(st.booleans())
    count = draw(st.integers(1, 30 if counted else 31))
    return WriteBlock(draw(_address_for(count)), draw(_words(count)), counted), Ack(CommandCode.WRITE_BLOCK)


@st.composite
def _modbus_writes(draw: st.DrawFn) -> Exchange:
    count = draw(st.integers(1, 100))
    address = draw(_address_for(count))
    return WriteModbus(address, draw(_words(count))), WriteDone(address, count)


@st.composite
def _settings_reads(draw: st.DrawFn) -> Exchange:
    table, count = draw(st.sampled_from(SettingsTable)), draw(st.integers(1, 100))
    return ReadSettingValues(table, count), SettingsValues(table, draw(_words(count)))


def _list_writes() -> SearchStrategy[Exchange]:
    return _tuples(st.tuples(WORD, WORD), 1, 15).map(lambda pairs: (WriteList(pairs), Ack(CommandCode.WRITE_LIST)))


def _actions() -> SearchStrategy[Exchange]:
    return st.sampled_from(Action).map(lambda action: (ActionRequest(action), Ack(CommandCode.ACTION)))


def _simple_replies() -> SearchStrategy[Reply]:
    entries = _tuples(st.builds(EventEntry, st.integers(0, 0xFFFFFF), BYTE), 0, 49)
    return st.one_of(
        st.builds(EventsReply, st.booleans(), LONG, entries),
        st.builds(FloatValue, FLOAT_COMMAND, SINGLE),
        st.builds(ShortValue, SHORT_COMMAND, WORD),
        st.builds(LongValue, LONG_COMMAND, LONG),
        st.builds(TemperatureValues, SHORT, SHORT, SHORT),
        st.builds(CellValues, _tuples(WORD, 0, 16)),
        st.builds(Version, BYTE, BYTE, BYTE, WORD),
        st.builds(ExtendedVersion, BYTE, BYTE, BYTE, WORD, BYTE, BYTE),
        st.builds(Trip, SINGLE, LONG, LONG),
    )


def _simple_reads() -> SearchStrategy[Exchange]:
    return _simple_replies().map(lambda reply: (SimpleRequest(CommandCode(reply.command)), reply))


EXCHANGES: SearchStrategy[Exchange] = st.one_of(
    _modbus_reads(),
    _block_reads(),
    _list_reads(),
    _block_writes(),
    _list_writes(),
    _modbus_writes(),
    _settings_reads(),
    _actions(),
    _simple_reads(),
)


@pytest.fixture(scope="session")
def exchanges() -> SearchStrategy[Exchange]:
    """Every kind of request with a reply that answers it."""
    return EXCHANGES


@pytest.fixture(scope="session")
def requests() -> SearchStrategy[Request]:
    """Every kind of request."""
    return st.one_of(
        EXCHANGES.map(lambda exchange: exchange[0]),
        st.sampled_from(sorted(SIMPLE_COMMANDS)).map(SimpleRequest),
    )


@pytest.fixture(scope="session")
def cut() -> Callable[[bytes, list[int]], list[bytes]]:
    """A function that cuts bytes at positions, taken modulo the length."""

    def cut_at(data: bytes, positions: list[int]) -> list[bytes]:
        edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
        return [data[start:end] for start, end in pairwise(edges)]

    return cut_at


@pytest.fixture(scope="session")
def merged() -> Callable[[list[Event]], list[Event]]:
    """A function that joins neighbouring garbage, whose borders depend on how the stream was cut."""

    def merge(events: list[Event]) -> list[Event]:
        result: list[Event] = []
        for event in events:
            if isinstance(event, Garbage) and result and isinstance(result[-1], Garbage):
                result[-1] = Garbage(result[-1].data + event.data)
            else:
                result.append(event)
        return result

    return merge
