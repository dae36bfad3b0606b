"""``/api/can``: the last CAN frames with decoded names, and the table of the frames."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from tinybms_bridge.link.state import MonitoredFrame
from tinybms_bridge.services.web.answers import Answer, Shown
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.live.messages import decoded
from tinybms_bridge.services.web.routes.shared import LARGEST_NUMBER, TheCore
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.victron.can.field import FrameField
from tinybms_bridge.victron.can.frame_format import FrameFormat
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

__all__ = ["FormatAnswer", "FrameAnswer", "Frames", "decoded_frames", "router"]

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
