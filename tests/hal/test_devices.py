"""What the machine has: serial ports with the name of their adapter, and CAN interfaces as the kernel tells of them."""

import struct
from pathlib import Path

import pytest

from tinybms_bridge.hal import devices as module
from tinybms_bridge.hal.devices import CanDevice, FoundDevices, SerialDevice, can_devices, find_devices, parse_links


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute of netlink, padded."""
    return (struct.pack("=HH", 4 + len(value), kind) + value).ljust((4 + len(value) + 3) & ~3, b"\0")


def link(name: str, *, hardware: int = 280, flags: int = 1, controller: bytes = b"") -> bytes:
    """Return the message of one interface."""
    info = attribute(18 | 0x8000, attribute(1, b"can\0") + attribute(2 | 0x8000, controller)) if controller else b""
    body = struct.pack("=BxHiII", 0, hardware, 3, flags, 0) + attribute(3, name.encode() + b"\0") + info
    return (struct.pack("=IHHII", 16 + len(body), 16, 2, 1, 0) + body).ljust((16 + len(body) + 3) & ~3, b"\0")


DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)


def test_a_can_interface_tells_bit_rate_and_state() -> None:
    """What a person has to know of it: whether it is up, how fast, and how its controller is."""
    timing = struct.pack("=8I", 500_000, 875, 125, 6, 7, 2, 1, 1)
    controller = attribute(1, timing) + attribute(4, struct.pack("=I", 3))

    found, more = parse_links(link("lo", hardware=772) + link("can0", controller=controller) + link("vcan0", flags=0))

    assert found == [CanDevice("can0", True, "bus_off", 500_000), CanDevice("vcan0", False)]
    assert more


@pytest.mark.parametrize("end", [DONE, struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1), bytes(16)])
def test_the_last_answer_ends_the_reading(end: bytes) -> None:
    """Also an error of the kernel, and a message without a length: nobody waits for what never comes."""
    assert parse_links(link("can1") + end) == ([CanDevice("can1", True)], False)


def test_a_state_of_a_later_kernel_is_shown_as_its_number() -> None:
    """An unknown state is not taken for a known one, and an attribute without a length ends the list."""
    controller = attribute(4, struct.pack("=I", 9)) + struct.pack("=HH", 0, 1)
    assert parse_links(link("can0", controller=controller))[0] == [CanDevice("can0", True, "9")]


def test_this_machine_answers() -> None:
    """The kernel is asked for real; whatever it has, the question ends."""
    assert all(each.name for each in can_devices())


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
