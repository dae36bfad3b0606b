"""A healthy battery to start from, and the frames that others recorded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.codec import FrameSettings, decode_frame, encode_frames
from tinybms_bridge.victron.can.field import FieldValue

MakeState = Callable[..., BatteryState]
Encode = Callable[..., dict[int, CanFrame]]
DecodeField = Callable[[CanFrame, str], FieldValue]


@pytest.fixture(scope="session")
def encode(make_state: MakeState) -> Encode:
    """Return a function that encodes a changed battery and gives the frames by id."""

    def encoded(settings: FrameSettings | None = None, **changes: Any) -> dict[int, CanFrame]:
        frames = encode_frames(make_state(**changes), settings or FrameSettings())
        return {frame.arbitration_id: frame for frame in frames}

    return encoded


@pytest.fixture(scope="session")
def field_of() -> DecodeField:
    """Return a function that reads one field of a frame."""
    return lambda frame, name: decode_frame(frame).values[name]


def golden_frames() -> list[dict[str, Any]]:
    """Return the recorded frames with the values that their source states."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("golden_frames.json").read_text("utf-8"))
    frames: list[dict[str, Any]] = loaded["frames"]
    return frames


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each recorded frame to the tests that ask for one."""
    if "golden" in metafunc.fixturenames:
        frames = golden_frames()
        metafunc.parametrize("golden", frames, ids=[f"{frame['id']} of the {frame['from']}" for frame in frames])
