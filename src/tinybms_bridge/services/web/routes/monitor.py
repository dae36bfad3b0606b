"""``/api/can``: the last CAN frames with decoded names, and the table of the frames."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.link.state import MonitoredFrame
from tinybms_bridge.services.web.answers import Answer, Request, Shown, examples
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.live.messages import decoded, named_values
from tinybms_bridge.services.web.routes.shared import LARGEST_NUMBER, TheCore
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.services.web.security.dependencies import OwnPage
from tinybms_bridge.victron.can.candump import CaptureRemark, Recorded, log_line, parse_line
from tinybms_bridge.victron.can.field import FrameField
from tinybms_bridge.victron.can.frame_format import FrameFormat
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

__all__ = ["FormatAnswer", "FrameAnswer", "Frames", "Recording", "can_log", "decoded_frames", "router"]

router = APIRouter(tags=["diagnostics"])


class FrameAnswer(Answer):
    """One frame that was sent or received."""

    number: int
    at: datetime
    direction: Literal["tx", "rx"]
    id: str = Field(examples=["0x351"])
    data: str = Field(examples=["2402F401F40104"])
    name: str | None
    """Null for a frame that the protocol does not know."""
    values: dict[str, float | str]
    """Fields with decoded values."""


class Frames(Answer):
    """Frames, oldest first."""

    frames: list[FrameAnswer]
    last: int
    """Give this as ``after`` to follow."""


class FormatAnswer(Answer):
    """One frame of the protocol."""

    id: str = Field(examples=["0x351"])
    name: str
    length: int
    need: str
    """``minimum``, ``supported``, ``optional``, or ``received`` from the GX."""
    comment: str
    fields: list[Shown[FrameField]]


@router.get("/api/can/frames", response_model=Frames)
async def frames(
    core: TheCore,
    _user: Viewer,
    heavy: Heavy,
    after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="Only frames with a larger number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Return the last frames; the topic ``can`` of ``/ws`` streams them."""
    found = core.frames(after)[-limit:]
    last = found[-1].number if found else after
    return await heavy.answer(lambda: Frames(frames=decoded_frames(found), last=last))


@router.get("/api/can/mapping", response_model=list[FormatAnswer])
async def mapping(_user: Viewer, heavy: Heavy) -> Response:
    """Return the layout of every frame of the Victron CAN-bus BMS protocol that the bridge knows."""
    return await heavy.kept("mapping", lambda: Text([_format(each) for each in FRAME_FORMATS.values()]))


class RecordedAnswer(Answer):
    """One frame of a recording."""

    line: int
    """Number of the line, from 1."""
    time_s: float | None
    """Seconds since 1970, or since the start of the recording; null where the line has no time."""
    id: str = Field(examples=["0x351"])
    data: str = Field(examples=["2402F401F40104"])
    name: str | None
    """Null for a frame that the protocol does not know."""
    values: dict[str, float | str]


class RemarkAnswer(Answer):
    """A line that is no frame, and what it says or why it cannot be read."""

    line: int
    text: str


class Recording(Answer):
    """What a recording holds, in its order."""

    frames: list[RecordedAnswer]
    remarks: list[RemarkAnswer]


_PIECE = "(1767225600.000000) can0 351#2402F401F401C001\n(1767225600.100000) can0 305#00\n"


class RecordingText(Request, json_schema_extra=examples({"text": _PIECE})):
    """A piece of a recording."""

    text: str = Field(max_length=60_000)
    """Whole lines of candump; a longer recording is sent in pieces."""


@router.post("/api/can/decode", response_model=Recording, dependencies=[OwnPage])
async def decode(body: RecordingText, _user: Viewer, heavy: Heavy) -> Response:
    """Decode a piece of a recording of candump; nothing of it is kept."""
    return await heavy.answer(lambda: _recording(body.text))


def _recording(text: str) -> Recording:
    frames: list[RecordedAnswer] = []
    remarks: list[RemarkAnswer] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found = parse_line(line)
        except ValueError as error:
            remarks.append(RemarkAnswer(line=number, text=str(error)))
            continue
        if isinstance(found, CaptureRemark):
            remarks.append(RemarkAnswer(line=number, text=found.text))
        elif found is not None:
            frames.append(_recorded(number, found))
    return Recording(frames=frames, remarks=remarks)


def _recorded(line: int, found: Recorded) -> RecordedAnswer:
    name, values = named_values(found.frame)
    identifier, data = f"0x{found.frame.arbitration_id:03X}", found.frame.data.hex().upper()
    return RecordedAnswer(line=line, time_s=found.time_s, id=identifier, data=data, name=name, values=dict(values))


def can_log(found: Sequence[MonitoredFrame]) -> str:
    """Return frames as ``candump -l`` writes them."""
    lines = (log_line(CanFrame(each.arbitration_id, each.data), each.at.timestamp()) for each in found)
    return "".join(f"{line}\n" for line in lines)


def decoded_frames(found: Sequence[MonitoredFrame]) -> list[FrameAnswer]:
    """Return frames in words."""
    return [FrameAnswer.model_validate(decoded(frame)) for frame in found]


def _format(found: FrameFormat) -> FormatAnswer:
    return FormatAnswer(
        id=f"0x{found.arbitration_id:03X}",
        name=found.name,
        length=found.length,
        need=found.need.value,
        comment=found.comment,
        fields=list(found.fields.values()),
    )
