import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    Action,
    ActionRequest,
    CellValues,
    CommandCode,
    ReadBlock,
    ReadModbus,
    ReadSettingValues,
    RegisterPairs,
    RegistersReply,
    Reply,
    Request,
    SettingsTable,
    SimpleRequest,
    WriteDone,
    WriteModbus,
)
from tinybms_bridge.tinybms.frames.patterns import CountedReply, FixedReply, PacketReply, expected_replies
from tinybms_bridge.tinybms.frames.wire import SIMPLE_COMMANDS, pack_words, seal, unpack_words


def _fixed() -> FixedReply:
    return FixedReply(bytes.fromhex("AA 10 01 3B 00 02"), 8, lambda _body: WriteDone(315, 2))


def _counted() -> CountedReply:
    return CountedReply(CommandCode.CELLS, range(2, 33, 2), lambda body: CellValues(unpack_words(body)))


def _packets(words: int) -> PacketReply:
    return PacketReply(
        CommandCode.READ_BLOCK, 2 * words, lambda body: RegistersReply(CommandCode.READ_BLOCK, unpack_words(body))
    )


def _listed(*addresses: int) -> PacketReply:
    def build(body: bytes) -> RegisterPairs:
        words = unpack_words(body)
        return RegisterPairs(tuple(zip(words[::2], words[1::2], strict=True)))

    return PacketReply(CommandCode.READ_LIST, 4 * len(addresses), build, pack_words(addresses))


@pytest.mark.parametrize("head", ["", "AA", "AA 10", "AA 10 01 3B 00 02", "AA 10 01 3B 00 02 FF FF"])
def test_fixed_reply_fits_any_beginning(head: str) -> None:
    """As long as the bytes so far agree with the prefix, the whole length is told."""
    assert _fixed().frame_length(bytes.fromhex(head)) == 8


@pytest.mark.parametrize("head", ["55", "AA 03", "AA 10 01 3C", "AA 10 01 3B 00 03 FF FF"])
def test_fixed_reply_refuses_at_the_first_wrong_byte(head: str) -> None:
    """An echo of another address or count is not waited for."""
    assert _fixed().frame_length(bytes.fromhex(head)) == 0


def test_fixed_reply_is_one_frame() -> None:
    """Nothing follows the frame, and nothing longer is ever kept."""
    assert (_fixed().bytes_after_frame(), _fixed().longest()) == (0, 8)


@pytest.mark.parametrize(("head", "length"), [("", 7), ("AA", 7), ("AA 1C", 7), ("AA 1C 1C", 33), ("AA 1C 20", 37)])
def test_counted_reply_length(head: str, length: int) -> None:
    """Before the length byte the least length is told, afterwards the exact one."""
    assert _counted().frame_length(bytes.fromhex(head)) == length


@pytest.mark.parametrize("head", ["AA 1D", "AA 1C 00", "AA 1C 03", "AA 1C 22", "AA 1C FF"])
def test_counted_reply_refuses_impossible_lengths(head: str) -> None:
    """Odd lengths and more than sixteen cells are not cell voltages."""
    assert _counted().frame_length(bytes.fromhex(head)) == 0


def test_counted_reply_is_one_frame() -> None:
    """Nothing follows the frame; the longest one has sixteen cells."""
    assert (_counted().bytes_after_frame(), _counted().longest()) == (0, 37)


@pytest.mark.parametrize(
    ("words", "head", "length"),
    [
        (31, "AA 07", 67),
        (31, "AA 07 3E", 67),
        (31, "AA 07 7E", 67),
        (32, "AA 07", 68),
        (32, "AA 07 82", 68),
        (32, "AA 07 81", 68),
        (32, "AA 07 FF", 68),
    ],
)
def test_packet_length(words: int, head: str, length: int) -> None:
    """A packet before the last is full whatever its id; bit 6 of the last one is reserved and ignored."""
    assert _packets(words).frame_length(bytes.fromhex(head)) == length


@pytest.mark.parametrize(
    ("words", "head"),
    [
        (31, "AA 07 3D"),
        (31, "AA 07 3F"),
        (31, "AA 07 BE"),
        (31, "AA 09"),
        (32, "AA 07 40"),
        (32, "AA 07 3F"),
    ],
)
def test_packet_of_another_reply(words: int, head: str) -> None:
    """A packet whose length byte cannot belong to the request is refused."""
    assert _packets(words).frame_length(bytes.fromhex(head)) == 0


@pytest.mark.parametrize(("words", "after"), [(1, 0), (31, 0), (32, 6), (57, 56), (63, 68), (100, 152)])
def test_bytes_after_the_first_packet(words: int, after: int) -> None:
    """The later packets are counted with their framing."""
    assert _packets(words).bytes_after_frame() == after


def test_packets_are_joined() -> None:
    """The first packet gives nothing yet, the second completes the reply."""
    pattern = _packets(32)
    payload = bytes(range(64))

    assert pattern.accept(seal(b"\xaa\x07\x82" + payload[:63])) is None
    assert pattern.frame_length(b"\xaa\x07\x01") == 6
    assert pattern.accept(seal(b"\xaa\x07\x01" + payload[63:])) == RegistersReply(
        CommandCode.READ_BLOCK, unpack_words(payload)
    )


def test_list_reply_must_repeat_the_addresses() -> None:
    """A reply for other registers is refused at the first address byte that differs."""
    pattern = _listed(0x0124, 0x0125)

    assert pattern.frame_length(bytes.fromhex("AA 09 08 24 01 FF FF 25 01 FF FF")) == 13
    assert pattern.frame_length(bytes.fromhex("AA 09 08 24")) == 13
    assert pattern.frame_length(bytes.fromhex("AA 09 08 23")) == 0
    assert pattern.frame_length(bytes.fromhex("AA 09 08 24 01 FF FF 25 02")) == 0


def test_list_reply_addresses_across_packets() -> None:
    """An address that straddles two packets is checked in both."""
    addresses = tuple(range(0x0200, 0x0212))
    pattern = _listed(*addresses)
    payload = pack_words([word for address in addresses for word in (address, 7)])

    assert pattern.frame_length(b"\xaa\x09\x82" + payload[:63] + b"\x00\x00" + b"\xaa\x09\x09") == 68
    pattern.accept(seal(b"\xaa\x09\x82" + payload[:63]))
    assert pattern.frame_length(b"\xaa\x09\x09" + payload[63:]) == 14
    assert pattern.frame_length(b"\xaa\x09\x09" + payload[63:64] + b"\xff") == 0
    assert pattern.longest() == 77


RELAXED = settings(deadline=None)


@RELAXED
@given(data=st.data())
def test_answer_accepts_what_the_reply_encodes(
    exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject
) -> None:
    """For every exchange the expected shape takes the packets of the reply and gives the reply back."""
    request, reply = data.draw(exchanges)
    _, answer = expected_replies(request)
    *partial, last = reply.encode()

    for frame in partial:
        assert answer.frame_length(frame) == len(frame)
        assert answer.accept(frame) is None
    assert answer.frame_length(last) == len(last)
    assert answer.accept(last) == reply


@RELAXED
@given(data=st.data())
def test_refusal_is_always_possible(requests: SearchStrategy[Request], data: st.DataObject) -> None:
    """Every request may be refused with six bytes that name its command, and no other."""
    request = data.draw(requests)
    nack, _ = expected_replies(request)

    assert nack.frame_length(bytes((0xAA, 0x00, request.command, 0x01))) == 6
    assert nack.frame_length(bytes((0xAA, 0x00, request.command ^ 0x40))) == 0


@RELAXED
@given(data=st.data())
def test_longest_covers_the_reply(exchanges: SearchStrategy[tuple[Request, Reply]], data: st.DataObject) -> None:
    """The promise about kept bytes holds for the payload of any reply with the framing of one packet."""
    request, reply = data.draw(exchanges)
    _, answer = expected_replies(request)
    frames = reply.encode()

    assert answer.longest() >= sum(len(frame) for frame in frames) - 5 * (len(frames) - 1)


@pytest.mark.parametrize("command", sorted(SIMPLE_COMMANDS))
def test_every_simple_command_has_an_answer(command: CommandCode) -> None:
    """No command without parameters lacks a shape, and each shape begins with its own command."""
    _, answer = expected_replies(SimpleRequest(command))

    assert answer.frame_length(bytes((0xAA, command))) > 0
    assert answer.frame_length(bytes((0xAA, command ^ 0x40))) == 0


@pytest.mark.parametrize(
    ("request_", "length"),
    [
        (ActionRequest(Action.RESET), 5),
        (ReadModbus(0, 56), 117),
        (ReadModbus(0, 127), 259),
        (ReadBlock(0, 56), 68),
        (WriteModbus(300, (1, 2)), 8),
        (ReadSettingValues(SettingsTable.CURRENT), 205),
        (SimpleRequest(CommandCode.PACK_VOLTAGE), 8),
        (SimpleRequest(CommandCode.STATUS), 6),
        (SimpleRequest(CommandCode.SOC), 8),
        (SimpleRequest(CommandCode.TEMPERATURES), 11),
        (SimpleRequest(CommandCode.VERSION), 10),
        (SimpleRequest(CommandCode.VERSION_EXTENDED), 12),
        (SimpleRequest(CommandCode.TRIP), 16),
        (SimpleRequest(CommandCode.CELLS), 5),
        (SimpleRequest(CommandCode.EVENTS_ALL), 9),
    ],
)
def test_lengths_of_the_vendor_table(request_: Request, length: int) -> None:
    """Whole frames have the lengths that the vendor lists; where a length byte decides, the least one."""
    assert expected_replies(request_)[1].frame_length(b"") == length


def test_every_request_gets_fresh_state() -> None:
    """Packets joined for one request are not found by the next one."""
    request = ReadBlock(0, 57)
    _, first = expected_replies(request)
    first.accept(bytes(68))
    _, second = expected_replies(request)

    assert first.bytes_after_frame() == 0
    assert second.bytes_after_frame() == 56
