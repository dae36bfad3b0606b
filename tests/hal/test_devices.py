"""What the machine has: serial ports with the name of their adapter, and CAN interfaces."""

from pathlib import Path

import pytest

from tinybms_bridge.hal import devices as module
from tinybms_bridge.hal.can_devices import CanDevice
from tinybms_bridge.hal.devices import (
    FoundDevices,
    SerialDevice,
    find_devices,
    has_hardware,
    kernel_consoles,
    serial_devices,
)


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


class Machine:
    """The folders of the kernel and of udev, of a machine with some adapters."""

    def __init__(self, home: Path) -> None:
        self.tty, self.dev = home / "tty", home / "dev"
        self.by_path = self.dev / "serial" / "by-path"
        self.by_path.mkdir(parents=True)
        self._usb = home / "usb"

    def plug(self, name: str, socket: str, serial: str = "", interface: str = "00", port: str = "0") -> str:
        """Plug in an adapter, and return the path of its port."""
        adapter = self._usb / socket
        place = adapter / f"{socket}:1.{int(interface)}" / name
        place.mkdir(parents=True)
        for file, text in (("idVendor", "1a86"), ("idProduct", "7523"), ("product", "USB Serial"), ("serial", serial)):
            (adapter / file).write_text(f"{text}\n")
        (place.parent / "bInterfaceNumber").write_text(f"{interface}\n")
        (place / "port_number").write_text(f"{port}\n")
        (self.tty / name).mkdir(parents=True)
        (self.tty / name / "device").symlink_to(place)
        device = self.dev / name
        device.touch()
        (self.by_path / f"usb-{socket}-{interface}-{port}").symlink_to(device)
        return str(device)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without adapters."""
    return Machine(tmp_path)


def test_adapters_that_are_alike_are_named_by_their_socket(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four CH340 without a number have one name by their kind, which leads to the last of them: no name for a pack."""
    ports = [machine.plug(f"ttyUSB{number}", f"1-{number}") for number in range(3)]
    by_id = machine.dev / "usb-1a86_USB_Serial-if00-port0"
    by_id.symlink_to(ports[2])
    monkeypatch.setattr(module, "find_ports", lambda: [str(by_id), *ports[:2]])

    found = serial_devices(machine.tty, machine.by_path)

    assert sorted(each.path for each in found) == [str(machine.by_path / f"usb-1-{number}-00-0") for number in range(3)]
    assert {each.product for each in found} == {"USB Serial"}


def test_an_adapter_without_its_like_keeps_its_name(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a number of its own, on another interface, or as another port of one interface."""
    ports = [
        machine.plug("ttyUSB0", "1-1", "A1"),
        machine.plug("ttyUSB1", "1-2", "B2"),
        machine.plug("ttyUSB2", "1-3", "C3", interface="00"),
        machine.plug("ttyUSB3", "1-3", "C3", interface="01"),
        machine.plug("ttyUSB4", "1-3", "C3", interface="01", port="1"),
    ]
    monkeypatch.setattr(module, "find_ports", lambda: ports)

    assert [each.path for each in serial_devices(machine.tty, machine.by_path)] == ports


def test_adapters_that_are_alike_without_places_have_the_name_of_the_kernel(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without udev: better than one name for all."""
    ports = [machine.plug(f"ttyUSB{number}", f"1-{number}") for number in range(2)]
    monkeypatch.setattr(module, "find_ports", lambda: ports)

    assert [each.path for each in serial_devices(machine.tty, machine.dev / "none")] == ports


def test_ports_that_a_board_does_not_have_are_known(tmp_path: Path) -> None:
    """A PC has /dev/ttyS0 to /dev/ttyS3, whatever is built in; a USB adapter tells no such type."""
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")

    assert [has_hardware(f"/dev/{name}", tmp_path) for name in ("ttyS0", "ttyS1", "ttyUSB0")] == [True, False, True]


def test_the_consoles_of_the_kernel_are_known(tmp_path: Path) -> None:
    """Where its messages go is no place to ask for a BMS."""
    assert kernel_consoles(tmp_path) == frozenset()
    (tmp_path / "console").mkdir()
    (tmp_path / "console" / "active").write_text("tty0 ttyS0\n")
    assert kernel_consoles(tmp_path) == {"/dev/tty0", "/dev/ttyS0"}
