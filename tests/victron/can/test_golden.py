"""Frames recorded by others: what they mean is stated by their source, not by this code."""

from typing import Any

from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.codec import FrameSettings, decode_frame
from tinybms_bridge.victron.can.frame_table import FRAME_FORMATS

Golden = dict[str, Any]


def test_recorded_frame_decodes_to_the_stated_values(golden: Golden) -> None:
    """Field positions, scales, signs and byte order are those of real batteries."""
    decoded = decode_frame(CanFrame(int(golden["id"], 16), bytes.fromhex(golden["data"])))
    assert decoded.values == golden["values"]


def test_stated_values_encode_to_the_recorded_bytes(golden: Golden) -> None:
    """Encoder and decoder are inverse; bytes after the last field are padding that receivers ignore."""
    data = bytes.fromhex(golden["data"])
    values = golden["values"]
    if "not_sendable" in golden:
        values = {name: value for name, value in values.items() if value}
    frame = FRAME_FORMATS[int(golden["id"], 16)].encode(values, len(data))
    used = len(data) - golden.get("ignored_tail", 0)
    assert frame.data[:used] == data[:used]
    assert len(frame.data) == len(data)


def test_capture_of_a_separate_manufacturer_can_be_imitated() -> None:
    """The names of the recorded battery, 0x35E apart from 0x370, are possible on request."""
    settings = FrameSettings(manufacturer_name="SHEnergy", battery_name="CAN-SMARTBMS-BAT", separate_manufacturer=True)
    assert (settings.manufacturer_text, *settings.battery_name_texts) == ("SHEnergy", "CAN-SMAR", "TBMS-BAT")
