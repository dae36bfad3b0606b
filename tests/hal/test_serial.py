import asyncio
import errno
import glob
import grp
import os
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import serialx

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import serial as module
from tinybms_bridge.hal.serial import SerialPort, explain_open_error, find_ports, open_serial

BAUDRATE = 115_200
WAIT_S = 30.0


class Pty:
    """A pseudo-terminal: the test plays the device at its master side."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self.master)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.present = True

    def vanish(self) -> None:
        """Close both ends, as when a USB adapter is pulled."""
        if self.present:
            self.present = False
            os.close(self.master)
            os.close(self._slave)


class Receiver:
    """Keeps what the port reports."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost: list[Exception | None] = []
        self.event = asyncio.Event()

    def on_data(self, data: bytes) -> None:
        """Take received bytes."""
        self.data += data
        self.event.set()

    def on_lost(self, error: Exception | None) -> None:
        """Take the loss of the device."""
        self.lost.append(error)
        self.event.set()

    async def wait_for(self, done: Callable[[], bool]) -> None:
        """Wait for a condition that something received makes true."""
        async with asyncio.timeout(WAIT_S):
            while not done():
                self.event.clear()
                await self.event.wait()


@pytest.fixture(name="pty")
def _pty() -> Iterator[Pty]:
    pty = Pty()
    yield pty
    pty.vanish()


@pytest.fixture(name="receiver")
async def _receiver() -> Receiver:
    return Receiver()


async def open_pty(pty: Pty, receiver: Receiver) -> SerialPort:
    """Open the pseudo-terminal as the program opens a serial port."""
    return await open_serial(pty.path, BAUDRATE, receiver.on_data, receiver.on_lost)


async def refusal(device: str, baudrate: int = BAUDRATE) -> LinkError:
    """Return the error that opening a device raises."""
    receiver = Receiver()
    with pytest.raises(LinkError) as caught:
        await open_serial(device, baudrate, receiver.on_data, receiver.on_lost)
    assert receiver.lost == []
    return caught.value


async def read_from(descriptor: int, count: int) -> bytes:
    """Read bytes at the device's side without blocking."""
    data = b""
    async with asyncio.timeout(WAIT_S):
        while len(data) < count:
            try:
                data += os.read(descriptor, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.005)
    return data


async def test_bytes_go_both_ways(pty: Pty, receiver: Receiver) -> None:
    """Every byte value passes unchanged in both directions: no echo, no line editing, no flow control."""
    port = await open_pty(pty, receiver)
    every = bytes(range(256))
    port.write(every)
    assert await read_from(pty.master, 256) == every

    os.write(pty.master, every)
    await receiver.wait_for(lambda: len(receiver.data) >= 256)
    await port.close()

    assert bytes(receiver.data) == every
    assert receiver.lost == []


async def test_writing_does_not_wait_for_the_device(pty: Pty, receiver: Receiver) -> None:
    """More bytes than the line takes at once are queued and arrive in order."""
    port = await open_pty(pty, receiver)
    many = bytes(range(256)) * 256
    for start in range(0, len(many), 4096):
        port.write(many[start : start + 4096])

    assert await read_from(pty.master, len(many)) == many
    await port.close()


async def test_vanished_device_is_told_once(pty: Pty, receiver: Receiver) -> None:
    """Pulling the adapter is reported at once and only once, also when the port is closed afterwards."""
    port = await open_pty(pty, receiver)
    pty.vanish()
    await receiver.wait_for(lambda: bool(receiver.lost))
    await port.close()
    await port.close()

    assert len(receiver.lost) == 1
    assert isinstance(receiver.lost[0], OSError)


async def test_writing_to_a_vanished_device_is_harmless(pty: Pty, receiver: Receiver) -> None:
    """A request sent while the loss is being noticed does not raise: an OSError here would end the process."""
    port = await open_pty(pty, receiver)
    pty.vanish()
    for _ in range(20):
        port.write(b"\xaa")
        await asyncio.sleep(0)
    await receiver.wait_for(lambda: bool(receiver.lost))
    port.write(b"\xaa")

    assert len(receiver.lost) == 1
    await port.close()


async def test_writing_after_the_loss_is_harmless(pty: Pty, receiver: Receiver) -> None:
    """A request to a device that is known to be gone does not raise either."""
    port = await open_pty(pty, receiver)
    pty.vanish()
    await receiver.wait_for(lambda: bool(receiver.lost))
    port.write(b"\xaa")
    await port.close()

    assert len(receiver.lost) == 1


async def test_nothing_is_handed_on_while_closing(receiver: Receiver) -> None:
    """Bytes and losses that the transport still reports during a close reach nobody."""
    protocol = module._Protocol(receiver.on_data, receiver.on_lost)
    protocol.data_received(b"before")
    protocol.closing = True
    protocol.data_received(b"after")
    protocol.connection_lost(None)

    assert bytes(receiver.data) == b"before"
    assert receiver.lost == []


async def test_close_is_not_a_loss(pty: Pty, receiver: Receiver) -> None:
    """Closing tells nobody, may be repeated, and hands on nothing that arrives afterwards."""
    port = await open_pty(pty, receiver)
    await port.close()
    await port.close()
    os.write(pty.master, b"late")
    await asyncio.sleep(0.02)

    assert receiver.lost == []
    assert receiver.data == b""


async def test_port_can_be_opened_again(pty: Pty, receiver: Receiver) -> None:
    """After closing, the same device opens again and works."""
    await (await open_pty(pty, receiver)).close()
    port = await open_pty(pty, receiver)
    os.write(pty.master, b"again")
    await receiver.wait_for(lambda: receiver.data == b"again")
    await port.close()

    assert receiver.lost == []


async def test_second_opener_is_refused(pty: Pty, receiver: Receiver) -> None:
    """Two programs on one line would spoil each other's frames: the second is told who is in the way."""
    port = await open_pty(pty, receiver)
    error = await refusal(pty.path)
    os.write(pty.master, b"still mine")
    await receiver.wait_for(lambda: receiver.data == b"still mine")
    await port.close()

    assert str(error) == f"serial port {pty.path} is in use by another program (close the other program)"


async def test_missing_device_lists_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong path is answered with the ports that exist."""
    monkeypatch.setattr(module, "find_ports", lambda: ["/dev/ttyUSB3", "/dev/ttyACM0"])
    error = await refusal(str(tmp_path / "ttyUSB0"))

    assert error.reason == f"serial port {tmp_path}/ttyUSB0 does not exist"
    assert error.hint == "ports found: /dev/ttyUSB3, /dev/ttyACM0"


async def test_missing_device_on_a_machine_without_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no port exists at all, the adapter is the first suspect."""
    monkeypatch.setattr(module, "find_ports", list[str])

    assert "is the adapter plugged in?" in (await refusal(str(tmp_path / "ttyUSB0"))).hint


async def test_what_is_not_a_port_is_refused(tmp_path: Path) -> None:
    """A directory, a regular file and another device are told apart from a port."""
    file = tmp_path / "file"
    file.touch()

    for path in (tmp_path, file, Path("/dev/null")):
        assert (await refusal(str(path))).reason == f"{path} is not a serial port"


async def test_unknown_scheme_is_refused() -> None:
    """A device name that looks like an address of an unknown kind is the user's error, not a crash."""
    assert "cannot open nonsense://port" in str(await refusal("nonsense://port"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EINVAL, "Invalid argument"), "does not accept 12345 baud"),
        (ValueError("Invalid baud rate"), "does not accept 12345 baud: Invalid baud rate (the TinyBMS uses 115200)"),
        (serialx.UnsupportedSetting("Unsupported baudrate 12345"), "Unsupported baudrate 12345"),
    ],
)
async def test_refused_baud_rate_is_named(
    pty: Pty, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    """A speed that the adapter cannot do leads to a LinkError that names it."""

    async def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(serialx, "create_serial_connection", refuse)

    assert text in str(await refusal(pty.path, 12_345))


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_missing_permission_names_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> None:
    """The hint is a command that can be copied, with the group that owns this very device."""
    device = tmp_path / "ttyUSB0"
    device.touch()
    monkeypatch.setattr(grp, "getgrgid", lambda _gid: SimpleNamespace(gr_name="uucp"))
    error = explain_open_error(str(device), BAUDRATE, PermissionError(code, "Permission denied"))

    assert error.reason == f"no permission to open {device}"
    assert error.hint == "add the user to the group uucp: sudo usermod -aG uucp $USER, then log in again"


def test_missing_permission_without_a_known_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A device that vanished meanwhile, or a group without a name, falls back to the usual group."""

    def nameless(_gid: int) -> None:
        raise KeyError

    monkeypatch.setattr(grp, "getgrgid", nameless)
    denied = PermissionError(errno.EACCES, "Permission denied")

    for device in (tmp_path, tmp_path / "gone"):
        assert "group dialout" in explain_open_error(str(device), BAUDRATE, denied).hint


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENXIO, "No such device or address"), "serial port /dev/ttyS0 does not exist"),
        (OSError(errno.ENODEV, "No such device"), "serial port /dev/ttyS0 does not exist"),
        (OSError(errno.EBUSY, "Device or resource busy"), "serial port /dev/ttyS0 is in use by another program"),
        (OSError(errno.EAGAIN, "Try again"), "serial port /dev/ttyS0 is in use by another program"),
        (OSError(errno.ENOTTY, "Inappropriate ioctl"), "/dev/ttyS0 is not a serial port"),
        (OSError(errno.EIO, "Input/output error"), "cannot open /dev/ttyS0: Input/output error"),
        (OSError(errno.EPROTO, "Protocol error"), "cannot open /dev/ttyS0: Protocol error"),
        (OSError("no number"), "cannot open /dev/ttyS0: no number"),
        (RuntimeError("odd"), "cannot open /dev/ttyS0: odd"),
    ],
)
def test_each_error_has_its_words(error: Exception, text: str) -> None:
    """Each error number of the system leads to what a user can understand; without one the text is shown."""
    explained = explain_open_error("/dev/ttyS0", BAUDRATE, error)

    assert explained.reason.startswith(text)
    assert explained.hint


async def test_auto_takes_the_only_port(pty: Pty, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one adapter nothing has to be configured; ports of the mainboard do not count."""
    monkeypatch.setattr(module, "find_ports", lambda: [pty.path, "/dev/ttyS0"])
    port = await open_serial("auto", BAUDRATE, receiver.on_data, receiver.on_lost)
    os.write(pty.master, b"found")
    await receiver.wait_for(lambda: receiver.data == b"found")
    await port.close()

    assert receiver.lost == []


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], "no serial port found (plug in the USB adapter, or set hardware.uart.device)"),
        (["/dev/ttyS0"], "no serial port found (plug in the USB adapter, or set hardware.uart.device)"),
        (
            ["/dev/ttyUSB0", "/dev/ttyACM0"],
            "2 serial ports found: /dev/ttyUSB0, /dev/ttyACM0 (choose one with hardware.uart.device)",
        ),
    ],
)
async def test_auto_does_not_guess(monkeypatch: pytest.MonkeyPatch, ports: list[str], text: str) -> None:
    """With no port or with several the user is told what to do; a wrong device is never opened by chance."""
    monkeypatch.setattr(module, "find_ports", lambda: ports)

    assert str(await refusal("auto")) == text


def test_ports_are_found_once_by_their_stable_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A device with a stable name is listed by it and only by it; the others follow in order."""
    by_id, devices = tmp_path / "by-id", tmp_path / "dev"
    by_id.mkdir()
    devices.mkdir()
    for name in ("ttyUSB0", "ttyUSB1", "ttyACM0"):
        (devices / name).touch()
    (by_id / "usb-FTDI").symlink_to(devices / "ttyUSB1")
    patterns = (f"{by_id}/*", f"{devices}/ttyUSB*", f"{devices}/ttyACM*")
    monkeypatch.setattr(module, "_PATTERNS", patterns)

    assert find_ports() == [f"{by_id}/usb-FTDI", f"{devices}/ttyUSB0", f"{devices}/ttyACM0"]


def test_machine_without_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """No port is an empty list."""
    monkeypatch.setattr(glob, "glob", lambda _pattern: [])

    assert find_ports() == []
