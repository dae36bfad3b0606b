"""The live messages: one flat object with the README's names, and one kind of object for each further topic.

``encode`` makes the text of one message from the bridge; CAN frames are told in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from pydantic_core import to_json

from tinybms_bridge.battery.limits import explain
from tinybms_bridge.battery.quick import replace
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.link.event_list import EventRecord
from tinybms_bridge.link.state import MonitoredFrame
from tinybms_bridge.services.flat import limit_numbers, live_registers, pack_measured, registers_now
from tinybms_bridge.services.ports import Core, Moment
from tinybms_bridge.services.web.answers import rounded, shown
from tinybms_bridge.services.web.live.overview import Overview
from tinybms_bridge.services.web.live.pack_facts import pack_part
from tinybms_bridge.services.web.live.status import live_status, outputs_now
from tinybms_bridge.victron.can.codec import UnknownFrame, decode_frame
from tinybms_bridge.words import ENGLISH, Language

__all__ = [
    "BATCHES",
    "Made",
    "Topic",
    "can_message",
    "decoded",
    "encode",
    "error_message",
    "events_message",
    "limits_message",
    "named_values",
    "newest",
    "outputs_message",
    "overview_message",
    "packs_message",
    "registers_message",
    "status_message",
]


def decoded(frame: MonitoredFrame) -> dict[str, object]:
    """Return a frame with its name and the values of its fields; a frame that nobody knows has no name."""
    name, values = named_values(CanFrame(frame.arbitration_id, frame.data))
    return {
        "number": frame.number,
        "at": frame.at.isoformat(timespec="milliseconds"),
        "direction": frame.direction,
        "id": f"0x{frame.arbitration_id:03X}",
        "data": frame.data.hex().upper(),
        "name": name,
        "values": values,
    }


def named_values(frame: CanFrame) -> tuple[str | None, Mapping[str, float | str]]:
    """Return the name of a frame and the values of its fields; None and nothing for one that nobody knows."""
    try:
        found = decode_frame(frame)
    except (UnknownFrame, ValueError):
        return None, {}
    return found.name, found.values


class Topic(StrEnum):
    """What a client may follow."""

    STATUS = "status"
    """The flat object, without a field ``topic``."""
    LIMITS = "limits"
    """The limits with every reason."""
    PACKS = "packs"
    """What each pack measures, by its name."""
    OUTPUTS = "outputs"
    """How each output is, by its name."""
    REGISTERS = "registers"
    """The values of the last sample by register of the BMS."""
    CAN = "can"
    """CAN frames with decoded names."""
    EVENTS = "events"
    """New entries of the event list."""
    OVERVIEW = "overview"
    """All that the first view shows, at most once a second."""


@dataclass(frozen=True, slots=True)
class Made:
    """A message that is ready to go out."""

    text: str
    """Empty when there is nothing new."""
    last: int = 0
    """Number of the last frame or entry in it, or of the overview."""


def status_message(core: Core, *, registers: bool = True) -> str:
    """Return the message of the ESP32 firmware: at most 1.6 KB with 16 cells and fresh data; ``registers`` add 2 KB."""
    return _text(rounded("", live_status(core, registers=registers)))


def limits_message(moment: Moment) -> str:
    """Return the reasons of the limits that are sent: codes, numbers and the English text."""
    limits = moment.view.limits
    reasons = [] if limits is None else [asdict(each) | {"text": explain(each)} for each in limits.reasons]
    return _text(rounded("", {"topic": Topic.LIMITS, **limit_numbers(limits), "reasons": reasons}))


def packs_message(moment: Moment) -> str:
    """Return each pack under the names of the flat message, with its part in the battery; 500 bytes for 16 cells."""
    packs = {name: {**pack_measured(view), **pack_part(name, moment)} for name, view in moment.packs.items()}
    return _text(rounded("", {"topic": Topic.PACKS, "packs": packs}))


def outputs_message(core: Core) -> str:
    """Return how each output is, as ``/api/status`` has it."""
    return _text({"topic": Topic.OUTPUTS, "outputs": outputs_now(core)})


def registers_message(moment: Moment) -> str:
    """Return the live sample as ``/api/status`` has it under ``registers``; of several packs that of each by name."""
    told: dict[str, object] = {"topic": Topic.REGISTERS, "registers": registers_now(moment)}
    if len(moment.packs) > 1:
        told["packs"] = {name: live_registers(view.measured) for name, view in moment.packs.items()}
    return _text(rounded("", told))


def can_message(frames: Sequence[MonitoredFrame], missed: int = 0) -> str:
    """Return frames with the names of their fields, and how many were left out before them."""
    return _text({"topic": Topic.CAN, "missed": missed, "frames": [decoded(frame) for frame in frames]})


def events_message(events: Sequence[EventRecord]) -> str:
    """Return entries of the event list, without names of users: one message goes to every client."""
    return _text({"topic": Topic.EVENTS, "events": [shown(replace(event, by=None)) for event in events]})


def overview_message(overview: Overview, language: Language) -> Made:
    """Return the object of ``/api/overview`` with the name of the topic: 3 KB with one pack, at most 25 KB with 16."""
    text, number = overview.text(language)
    return Made(f'{{"topic":"{Topic.OVERVIEW}",{text[1:]}', number)


def error_message(message: str) -> str:
    """Return what is said to a client whose message was not understood."""
    return _text({"topic": "error", "success": False, "message": message})


def _text(document: dict[str, object]) -> str:
    return to_json(document, inf_nan_mode="null").decode()


BATCHES = frozenset({Topic.CAN, Topic.EVENTS})
"""Topics whose messages carry what is new since the one before; of the others only the newest matters."""

_MOST_FRAMES = 100
_MOST_EVENTS = 50


def newest(core: Core, topic: Topic) -> int:
    """Return the number of the newest frame or entry that there is; 0 for none and for other topics."""
    if topic is Topic.CAN:
        return max((frame.number for frame in core.frames()), default=0)
    if topic is Topic.EVENTS:
        return max((event.number for event in core.events()), default=0)
    return 0


def encode(
    core: Core,
    topic: Topic,
    after: int,
    *,
    registers: bool = True,
    overview: Overview | None = None,
    language: Language = ENGLISH,
) -> Made:
    """Return the message of a topic with what is newer than number ``after``.

    ``registers`` is about the flat message, ``language`` about the overview.
    """
    match topic:
        case Topic.STATUS:
            return Made(status_message(core, registers=registers))
        case Topic.LIMITS:
            return Made(limits_message(core.moment()))
        case Topic.PACKS:
            return Made(packs_message(core.moment()))
        case Topic.OUTPUTS:
            return Made(outputs_message(core))
        case Topic.REGISTERS:
            return Made(registers_message(core.moment()))
        case Topic.CAN:
            return _frames(core.frames(after), after)
        case Topic.EVENTS:
            events = [event for event in core.events() if event.number > after][:_MOST_EVENTS]
            return Made(events_message(events), events[-1].number) if events else Made("")
        case Topic.OVERVIEW:
            return Made("") if overview is None else overview_message(overview, language)


def _frames(found: Sequence[MonitoredFrame], after: int) -> Made:
    """Return the newest of some frames, which are numbered without a gap, and how many came before them."""
    if not found:
        return Made("")
    shown = found[-_MOST_FRAMES:]
    missed = shown[0].number - (after or found[0].number - 1) - 1
    return Made(can_message(shown, missed), shown[-1].number)
