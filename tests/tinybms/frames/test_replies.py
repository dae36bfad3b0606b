from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    Ack,
    CellValues,
    CommandCode,
    EventEntry,
    EventsReply,
    ExtendedVersion,
    FloatValue,
    LongValue,
    Nack,
    RegisterPairs,
    RegistersReply,
    Reply,
    Request,
    SettingsTable,
    SettingsValues,
    ShortValue,
    TemperatureValues,
    Trip,
    Version,
    WriteDone,
)
from tinybms_bridge.tinybms.frames.wire import has_valid_crc, seal

RELAXED = settings(deadline=None)


def _sealed(text: str) -> tuple[bytes, ...]:
    return (seal(bytes.fromhex(text)),)


@pytest.mark.parametrize(
    ("reply", "frame"),
    [
        (Ack(CommandCode.ACTION), "AA 01 02"),
        (Nack(CommandCode.WRITE_MODBUS, 0), "AA 00 10 00"),
        (Nack(0x08, 1), "AA 00 08 01"),
        (RegistersReply(CommandCode.READ_MODBUS, (0x9740, 0x972C)), "AA 03 04 97 40 97 2C"),
        (RegistersReply(CommandCode.READ_BLOCK, (0x9740, 0x972C)), "AA 07 04 40 97 2C 97"),
        (RegisterPairs(((306, 320),)), "AA 09 04 32 01 40 01"),
        (WriteDone(315, 2), "AA 10 01 3B 00 02"),
        (FloatValue(CommandCode.PACK_VOLTAGE, 55.78), "AA 14 B8 1E 5F 42"),
        (FloatValue(CommandCode.PACK_CURRENT, -3.013), "AA 15 FE D4 40 C0"),
        (ShortValue(CommandCode.MAX_CELL, 3990), "AA 16 96 0F"),
        (ShortValue(CommandCode.MIN_CELL, 3980), "AA 17 8C 0F"),
        (ShortValue(CommandCode.STATUS, 0x97), "AA 18 97 00"),
        (LongValue(CommandCode.LIFETIME, 16683981), "AA 19 CD 93 FE 00"),
        (LongValue(CommandCode.SOC, 83554824), "AA 1A 08 F2 FA 04"),
        (TemperatureValues(278, 276, -32768), "AA 1B 06 16 01 14 01 00 80"),
        (CellValues((39800, 39810)), "AA 1C 04 78 9B 82 9B"),
        (SettingsValues(SettingsTable.MINIMUM, (1200, 1000)), "AA 1D 04 B0 04 E8 03"),
        (Version(2, 1, 1, 242), "AA 1E 05 02 01 01 F2 00"),
        (ExtendedVersion(2, 1, 1, 242, 24, 4), "AA 1F 07 02 01 01 F2 00 18 04"),
        (Trip(0.0, 12, 3600), "AA 20 00 00 00 00 0C 00 00 00 10 0E 00 00"),
        (
            EventsReply(True, 16683981, (EventEntry(4646, 0x65), EventEntry(12144171, 0x64))),
            "AA 11 0C CD 93 FE 00 26 12 00 65 2B 4E B9 64",
        ),
        (EventsReply(False, 5, ()), "AA 12 04 05 00 00 00"),
    ],
)
def test_bytes(reply: Reply, frame: str) -> None:
    """Each kind of reply has the layout of the vendor's table."""
    assert reply.encode() == _sealed(frame)


@RELAXED
@given(data=st.data())
def test_frames_of_every_reply(exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject) -> None:
    """Every frame starts with 0xAA and ends with its CRC; only 0x07 and 0x09 need more than one."""
    _, reply = data.draw(exchanges)
    frames = reply.encode()

    assert all(frame[0] == 0xAA and has_valid_crc(frame) for frame in frames)
    assert len(frames) == 1 or reply.command in {CommandCode.READ_BLOCK, CommandCode.READ_LIST}


@pytest.mark.parametrize(
    ("reply", "length"),
    [
        (RegistersReply(CommandCode.READ_MODBUS, (0,) * 57), 119),
        (RegistersReply(CommandCode.READ_MODBUS, (0,) * 127), 259),
        (SettingsValues(SettingsTable.CURRENT, (0,) * 100), 205),
        (EventsReply(False, 0, (EventEntry(0, 0),) * 49), 205),
    ],
)
def test_plain_length_byte_never_splits(reply: Reply, length: int) -> None:
    """0x03, 0x1D and 0x12 use the whole length byte: one frame up to 127 registers or 49 events."""
    assert [len(frame) for frame in reply.encode()] == [length]


def test_block_of_57_registers_splits() -> None:
    """The same 57 registers by 0x07 need two packets of 124 bytes together."""
    assert [len(frame) for frame in RegistersReply(CommandCode.READ_BLOCK, (0,) * 57).encode()] == [68, 56]


def test_sixteen_pairs_split() -> None:
    """Sixteen registers by 0x09 have one byte more than a packet holds."""
    assert [len(frame) for frame in RegisterPairs(((0, 0),) * 16).encode()] == [68, 6]


def test_packet_ids_can_give_the_total() -> None:
    """A simulator may choose the other meaning of the packet id, for both commands."""
    registers = RegistersReply(CommandCode.READ_BLOCK, (0,) * 100).encode(count_down=False)
    pairs = RegisterPairs(((0, 0),) * 31).encode(count_down=False)

    assert [frame[2] for frame in registers] == [0x84, 0x84, 0x84, 11]
    assert [frame[2] for frame in pairs] == [0x82, 61]


@pytest.mark.parametrize(
    "build",
    [
        lambda: Nack(0x03, 256),
        lambda: RegistersReply(CommandCode.READ_MODBUS, (0x10000,)),
        lambda: RegistersReply(CommandCode.READ_BLOCK, (-1,)),
        lambda: RegistersReply(CommandCode.READ_MODBUS, (0,) * 128),
        lambda: RegisterPairs(((0, 0x10000),)),
        lambda: WriteDone(0x10000, 1),
        lambda: EventsReply(True, -1, ()),
        lambda: EventsReply(True, 0, (EventEntry(1 << 24, 1),)),
        lambda: EventsReply(True, 0, (EventEntry(-1, 1),)),
        lambda: EventsReply(True, 0, (EventEntry(0, 256),)),
        lambda: FloatValue(CommandCode.PACK_VOLTAGE, 1e39),
        lambda: ShortValue(CommandCode.STATUS, 0x10000),
        lambda: LongValue(CommandCode.SOC, 1 << 32),
        lambda: TemperatureValues(0, 0x8000, 0),
        lambda: CellValues((70000,)),
        lambda: SettingsValues(SettingsTable.CURRENT, (0,) * 128),
        lambda: Version(256, 0, 0, 0),
        lambda: ExtendedVersion(0, 0, 0, 0, 256, 0),
        lambda: Trip(0.0, -1, 0),
        lambda: Trip(1e39, 0, 0),
    ],
)
def test_value_that_does_not_fit(build: Callable[[], Reply]) -> None:
    """A field out of its range is a ValueError at encoding, never a wrong frame."""
    with pytest.raises(ValueError, match=r"outside|fit|too large|can carry"):
        build().encode()


def test_payload_too_long_names_both_numbers() -> None:
    """The length byte of a plain reply ends at 255."""
    with pytest.raises(ValueError, match="256 payload bytes, 0x03 can carry 255"):
        RegistersReply(CommandCode.READ_MODBUS, (0,) * 128).encode()


@pytest.mark.parametrize(("newest_only", "command"), [(True, 0x11), (False, 0x12)])
def test_command_of_events(newest_only: bool, command: int) -> None:
    """The two event commands share one reply and are told apart by it."""
    assert EventsReply(newest_only, 0, ()).command == command
