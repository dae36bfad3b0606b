"""``GET /api/can/frames``."""

from collections.abc import Callable
from typing import Any

import httpx

from tinybms_bridge.link.state import MonitoredFrame


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
