import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tinybms_bridge.tinybms.frames import (
    Action,
    ActionRequest,
    Command,
    ReadBlock,
    ReadModbus,
    ReadSettings,
    Reply,
    Request,
    SettingsTable,
    SimpleRequest,
    WriteModbus,
)
from tinybms_bridge.tinybms.frames.commands import SIMPLE_COMMANDS
from tinybms_bridge.tinybms.frames.expectations import expected_replies

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
def test_every_simple_command_has_an_answer(command: Command) -> None:
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
        (ReadSettings(SettingsTable.CURRENT), 205),
        (SimpleRequest(Command.PACK_VOLTAGE), 8),
        (SimpleRequest(Command.STATUS), 6),
        (SimpleRequest(Command.SOC), 8),
        (SimpleRequest(Command.TEMPERATURES), 11),
        (SimpleRequest(Command.VERSION), 10),
        (SimpleRequest(Command.VERSION_EXTENDED), 12),
        (SimpleRequest(Command.TRIP), 16),
        (SimpleRequest(Command.CELLS), 5),
        (SimpleRequest(Command.EVENTS_ALL), 9),
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
