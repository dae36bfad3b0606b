"""``/api/can``: the last frames, the layout of each, and recordings."""

from collections.abc import Callable
from typing import Any

import httpx

from tinybms_bridge.link.state import MonitoredFrame
from tinybms_bridge.services.web.routes.monitor import can_log
from tinybms_bridge.victron.can.candump import Recorded, parse_line


async def test_frames_in_words(
    visitor: httpx.AsyncClient, core: Any, make_frame: Callable[..., MonitoredFrame]
) -> None:
    """A known frame has its name and values, a strange one its bytes, a short one what it holds."""
    strange, short = make_frame(2, 0x123, "0102"), make_frame(3, 0x351, "2402")
    core.seen_frames.extend([make_frame(1), strange, short])
    known, unknown, cut = (await visitor.get("/api/can/frames")).json()["frames"]
    assert 54.8 in known["values"].values()
    assert (known["id"], known["direction"]) == ("0x351", "tx")
    assert (unknown["name"], unknown["values"], unknown["data"]) == (None, {}, "0102")
    assert len(cut["values"]) < len(known["values"])


async def test_following(visitor: httpx.AsyncClient, core: Any, make_frame: Callable[..., MonitoredFrame]) -> None:
    """``last`` of one answer is ``after`` of the next; the newest come first into a short answer."""
    core.seen_frames.extend(make_frame(number) for number in range(1, 6))
    short = (await visitor.get("/api/can/frames?limit=2")).json()
    assert [frame["number"] for frame in short["frames"]] == [4, 5]
    empty = (await visitor.get(f"/api/can/frames?after={short['last']}")).json()
    assert empty == {"frames": [], "last": 5}


async def test_layout_of_the_frames(visitor: httpx.AsyncClient) -> None:
    """Every frame of the table is described with its fields."""
    formats = {each["id"]: each for each in (await visitor.get("/api/can/mapping")).json()}
    limits = formats["0x351"]
    assert limits["need"] == "minimum"
    assert [field["first_bit"] for field in limits["fields"]] == [0, 16, 32, 48]
    assert limits["fields"][0]["scale"] == 0.1
    assert formats["0x305"]["need"] == "received"


async def test_a_recording_is_decoded(visitor: httpx.AsyncClient) -> None:
    """Frames with names and values, and lines that are none with their reason; nobody needs a login for it."""
    text = "(1700000000.25) can0 351#2402F401F401C001\n\n# a comment\n(1700000001.0) can0 123#0102\nnonsense\n"
    answer = await visitor.post("/api/can/decode", json={"text": text})

    assert answer.status_code == 200
    found = answer.json()
    limits, strange = found["frames"]
    assert (limits["line"], limits["time_s"], limits["id"]) == (1, 1_700_000_000.25, "0x351")
    assert 54.8 in limits["values"].values()
    assert (strange["line"], strange["name"], strange["values"]) == (4, None, {})
    (remark,) = found["remarks"]
    assert remark["line"] == 5
    assert "nonsense" in remark["text"]


async def test_a_recording_that_is_too_long_is_refused(visitor: httpx.AsyncClient) -> None:
    """The page sends one in pieces; what is sent at once stays small."""
    answer = await visitor.post("/api/can/decode", json={"text": "(1.0) can0 305#00\n" * 5000})

    assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")


async def test_bytes_of_any_kind_are_told_as_lines_that_cannot_be_read(visitor: httpx.AsyncClient) -> None:
    """Somebody chose a picture."""
    answer = await visitor.post("/api/can/decode", json={"text": bytes(range(256)).decode("latin-1")})

    assert answer.status_code == 200
    assert answer.json()["frames"] == []
    assert answer.json()["remarks"]


def test_frames_as_a_log_of_candump(make_frame: Callable[..., MonitoredFrame]) -> None:
    """What is written is read again as it was."""
    frames = [make_frame(1), make_frame(2, 0x305, "")]
    lines = can_log(frames).splitlines()

    assert lines[0] == "(1767225600.000000) can0 351#2402F401F401C001"
    read = [parse_line(line) for line in lines]
    assert all(isinstance(each, Recorded) for each in read)
    assert [(each.frame.arbitration_id, each.frame.data) for each in read if isinstance(each, Recorded)] == [
        (each.arbitration_id, each.data) for each in frames
    ]
