"""Traffic on the line in words."""

from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    CommandCode,
    FloatValue,
    Nack,
    ReadModbus,
    RegistersReply,
    SimpleRequest,
    WriteModbus,
)
from tinybms_bridge.tinybms.traffic_words import explain_traffic
from tinybms_lab.bms import real_dump

ASKED = ReadModbus(0, 56).encode()


def live_frame() -> bytes:
    """Return the answer of the captured unit to the read of its live values."""
    registers = real_dump().registers
    words = tuple(registers.get(address, 0) for address in range(56))
    return b"".join(RegistersReply(CommandCode.READ_MODBUS, words).encode())


def said(*pieces: tuple[str, bytes]) -> list[str]:
    """Return the meaning of each piece in English; nothing for None."""
    return ["" if each is None else each.text for each in explain_traffic(pieces)]  # type: ignore[arg-type]


def test_live_values_are_told() -> None:
    """Voltage, current, state of charge and cells of the answer to the read that comes ten times a second."""
    asked, answer = said(("tx", ASKED), ("rx", live_frame()))
    assert asked == "read registers 0 to 55"
    assert answer.startswith("live values: 55.78 V")
    assert "cells" in answer


def test_an_answer_in_pieces_is_told_once() -> None:
    """Serial adapters deliver one frame in several pieces."""
    frame = live_frame()
    pieces = said(("tx", ASKED), ("rx", frame[:10]), ("rx", frame[10:60]), ("rx", frame[60:]))
    assert pieces[1:3] == ["", ""]
    assert pieces[3].startswith("live values")


def test_commands_writes_and_refusals() -> None:
    """What else goes over the line, each with its answer."""
    other = RegistersReply(CommandCode.READ_MODBUS, (3600, 2800)).encode()[0]
    voltage = FloatValue(CommandCode.PACK_VOLTAGE, 53.5).encode()[0]
    lines = said(
        ("tx", SimpleRequest(CommandCode.PACK_VOLTAGE).encode()),
        ("rx", voltage),
        ("tx", ActionRequest(Action.CLEAR_EVENTS).encode()),
        ("rx", Ack(CommandCode.ACTION).encode()[0]),
        ("tx", WriteModbus(300, (3600,)).encode()),
        ("rx", Nack(CommandCode.WRITE_MODBUS, 0).encode()[0]),
        ("tx", ReadModbus(300, 2).encode()),
        ("rx", other),
    )
    assert lines == [
        "command pack voltage (0x14)",
        "answer: 53.5",
        "command action (0x02)",
        "done",
        "write registers 300 to 300",
        "refused (code 0)",
        "read registers 300 to 301",
        "2 registers",
    ]


def test_what_says_nothing_has_no_meaning() -> None:
    """Remarks, noise without a question, and a request that nobody knows."""
    spoilt = bytearray(live_frame())
    spoilt[-1] ^= 0xFF
    lines = said(("note", b""), ("rx", b"hello"), ("tx", b"\x01\x02"), ("tx", ASKED), ("rx", bytes(spoilt)))
    assert lines[0] == lines[2] == ""
    assert lines[1] == "5 bytes that are no answer"
    assert lines[4] in ("wrong checksum", "125 bytes that are no answer", f"{len(spoilt)} bytes that are no answer")
