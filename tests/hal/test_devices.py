"""What the machine has: serial ports with the name of their adapter, and CAN interfaces."""

from pathlib import Path

import pytest

from tinybms_bridge.hal import devices as module
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.devices import FoundDevices, SerialDevice, find_devices


def test_a_usb_adapter_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sees three ports knows by the name which is the adapter; a built-in one has none."""
    usb = tmp_path / "devices" / "usb1" / "1-1"
    (usb / "1-1:1.0" / "ttyUSB0").mkdir(parents=True)
    for name, text in (("idVendor", "0403"), ("manufacturer", "FTDI"), ("product", "FT232R USB UART\n")):
        (usb / name).write_text(text)
    tty = tmp_path / "tty"
    (tty / "ttyUSB0").mkdir(parents=True)
    (tty / "ttyUSB0" / "device").symlink_to(usb / "1-1:1.0" / "ttyUSB0")
    (tty / "ttyAMA0" / "device").mkdir(parents=True)
    monkeypatch.setattr(module, "find_ports", lambda: ["/dev/ttyUSB0", "/dev/ttyAMA0", "/dev/ttyS9"])
    monkeypatch.setattr(module, "can_devices", lambda: (CanDevice("can0", False),))

    assert find_devices(tty) == FoundDevices(
        (
            SerialDevice("/dev/ttyUSB0", "FTDI FT232R USB UART"),
            SerialDevice("/dev/ttyAMA0"),
            SerialDevice("/dev/ttyS9"),
        ),
        (CanDevice("can0", False),),
    )
