"""USB adapters for CAN, found by what sysfs says of them."""

from pathlib import Path

import pytest

from tinybms_bridge.hal import can_usb
from tinybms_bridge.hal.can_usb import CanAdapter, driver_of, find_can_adapters


def plug(usb: Path, place: str, usb_id: str, product: str, *inside: str) -> Path:
    """Make a USB device with its interfaces."""
    folder = usb / place
    for each in inside:
        (folder / each).mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    vendor, number = usb_id.split(":")
    for name, text in (("idVendor", vendor), ("idProduct", number), ("product", product)):
        (folder / name).write_text(f"{text}\n")
    return folder


def test_both_kinds_of_a_canable_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One program makes an interface of the kernel of it, the other a serial port; other devices are none."""
    monkeypatch.setattr(can_usb, "find_ports", lambda: ["/dev/ttyS9"])
    plug(tmp_path, "1-1", "1d50:606f", "canable gs_usb", "1-1:1.0/net/can0")
    plug(tmp_path, "1-2", "ad50:60c4", "CANable", "1-2:1.0/tty/ttyACM0")
    plug(tmp_path, "1-3", "0403:6001", "FT232R USB UART", "1-3:1.0/ttyUSB0/tty/ttyUSB0")
    plug(tmp_path, "1-4", "04d8:000a", "USBtin", "1-4:1.0/tty/ttyACM1")
    plug(tmp_path, "1-5", "0403:ffa8", "CANUSB", "1-5:1.0/ttyUSB1/tty/ttyUSB1")
    (tmp_path / "usb1").mkdir()

    assert find_can_adapters(tmp_path) == (
        CanAdapter("gs_usb", "canable gs_usb", "1d50:606f", interface="can0"),
        CanAdapter("slcan", "CANable", "ad50:60c4", port="/dev/ttyACM0"),
        CanAdapter("slcan", "USBtin", "04d8:000a", port="/dev/ttyACM1"),
        CanAdapter("slcan", "CANUSB", "0403:ffa8", port="/dev/ttyUSB1"),
    )


def test_an_adapter_without_its_driver_is_found_too(tmp_path: Path) -> None:
    """That is when somebody has to be told."""
    plug(tmp_path, "1-1", "1209:2323", "", "1-1:1.0")
    assert find_can_adapters(tmp_path) == (CanAdapter("gs_usb", "1209:2323", "1209:2323"),)


def test_a_machine_without_usb_has_none(tmp_path: Path) -> None:
    """And this one answers, whatever it has."""
    assert find_can_adapters(tmp_path / "none") == ()
    assert isinstance(find_can_adapters(), tuple)


def test_the_driver_of_an_interface_is_named(tmp_path: Path) -> None:
    """With the name of its USB adapter; a hat has none, and software has neither."""
    usb = plug(tmp_path / "usb", "1-1", "1d50:606f", "candleLight", "1-1:1.0")
    drivers, net = tmp_path / "drivers", tmp_path / "net"
    for name, device in (("can0", usb / "1-1:1.0"), ("can1", tmp_path / "spi0.0")):
        driver = drivers / {"can0": "gs_usb", "can1": "mcp251x"}[name]
        driver.mkdir(parents=True)
        device.mkdir(exist_ok=True)
        (device / "driver").symlink_to(driver)
        (net / name).mkdir(parents=True)
        (net / name / "device").symlink_to(device)
    (net / "vcan0").mkdir()

    assert [driver_of(name, net) for name in ("can0", "can1", "vcan0")] == ["candleLight (gs_usb)", "mcp251x", ""]
