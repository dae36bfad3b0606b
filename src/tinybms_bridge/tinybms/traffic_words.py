"""Traffic on the line to a BMS in words: what was asked, and what the answer says."""

from collections.abc import Iterable
from typing import Literal

from tinybms_bridge.tinybms.frames import (
    Ack,
    BadRequest,
    CrcMismatch,
    Event,
    FloatValue,
    Framer,
    Garbage,
    LongValue,
    Nack,
    ReadBlock,
    ReadModbus,
    RegistersReply,
    Request,
    RequestFramer,
    ShortValue,
    WriteBlock,
    WriteList,
    WriteModbus,
)
from tinybms_bridge.tinybms.live import LIVE_ADDRESS, LIVE_COUNT, decode_live
from tinybms_bridge.words import Message, message

__all__ = ["explain_traffic"]


def explain_traffic(pieces: Iterable[tuple[Literal["tx", "rx", "note"], bytes]]) -> list[Message | None]:
    """Return what each piece of traffic means, in their order; None for one that says nothing by itself.

    An answer that came in several pieces is told at the last of them.
    """
    found: list[Message | None] = []
    asked: Request | None = None
    framer = Framer()
    for direction, data in pieces:
        told: Message | None = None
        if direction == "tx":
            requests = [each for each in RequestFramer().feed(data) if not isinstance(each, BadRequest)]
            asked, framer = (requests[-1] if requests else None), Framer()
            if asked is not None:
                framer.expect(asked)
                told = _request(asked)
        elif direction == "rx":
            events = framer.feed(data)
            told = _reply(asked, events[-1]) if events else None
        found.append(told)
    return found


def _request(asked: Request) -> Message:
    match asked:
        case ReadModbus() | ReadBlock():
            return message("uart.read", first=asked.address, last=asked.address + asked.count - 1)
        case WriteModbus() | WriteBlock():
            return message("uart.write", first=asked.address, last=asked.address + len(asked.values) - 1)
        case WriteList():
            return message("uart.write_list", addresses=[str(address) for address, _ in asked.pairs])
    return message("uart.command", name=_named(asked))


def _named(asked: Request) -> str:
    return f"{asked.command.name.lower().replace('_', ' ')} (0x{asked.command:02X})"


def _reply(asked: Request | None, event: Event) -> Message:
    match event:
        case Garbage():
            return message("uart.garbage", count=len(event.data))
        case CrcMismatch():
            return message("uart.crc")
        case Nack():
            return message("uart.refused", code=event.code)
        case Ack():
            return message("uart.done")
        case FloatValue() | ShortValue() | LongValue():
            return message("uart.value", value=f"{event.value:g}")
        case RegistersReply():
            is_live = isinstance(asked, ReadModbus) and (asked.address, asked.count) == (LIVE_ADDRESS, LIVE_COUNT)
            return _live(event.values) if is_live else message("uart.registers", count=len(event.values))
    return message("uart.answer")


def _live(words: tuple[int, ...]) -> Message:
    snapshot = decode_live(words, sequence=0, taken_at_s=0.0)
    pack, cells = snapshot.pack, snapshot.cells
    return message(
        "uart.live",
        voltage_v=pack.voltage_v,
        current_a=pack.current_a,
        soc_percent=pack.soc_percent,
        low_v=cells.min_v if cells.voltages_v else None,
        high_v=cells.max_v if cells.voltages_v else None,
    )
