import array
import asyncio
import errno
import fcntl
import glob
import grp
import os
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
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

    def waiting(self) -> int:
        """Return how many bytes wait to be read at the side of the program."""
        count = array.array("i", [0])
        fcntl.ioctl(self._slave, termios.FIONREAD, count)
        return count[0]

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
        self.pieces: list[int] = []
        """Length of each report."""
        self.lost: list[Exception | None] = []
        self.event = asyncio.Event()

    def on_data(self, data: bytes) -> None:
        """Take received bytes."""
        self.data += data
        self.pieces.append(len(data))
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


class Paced:
    """A port whose timers a test lets come, so that nothing depends on how fast the machine is."""

    def __init__(self, port: SerialPort, pty: Pty, receiver: Receiver) -> None:
        assert isinstance(port, module._Port)
        self.port = port
        self._pty = pty
        self._receiver = receiver
        self._timers: list[tuple[float, asyncio.TimerHandle]] = []
        port._call_later = self._call_later  # type: ignore[assignment]

    @property
    def pieces(self) -> list[int]:
        """Length of each piece that was reported."""
        return self._receiver.pieces

    @property
    def resting(self) -> bool:
        """Whether a look is to come."""
        return any(not timer.cancelled() for _, timer in self._timers)

    def ask(self, request_bytes: int, reply_bytes: int) -> None:
        """Send a request and wait for its reply."""
        self.port.write(bytes(request_bytes))
        self.port.expect(reply_bytes)

    def look(self) -> float:
        """Let the one timer come; return the milliseconds after which it would."""
        ((delay_s, timer),) = ((delay_s, timer) for delay_s, timer in self._timers if not timer.cancelled())
        self._timers.clear()
        timer._run()
        return round(delay_s * 1000.0, 3)

    async def comes(self, data: bytes) -> None:
        """Have the device send, and wait until all of it waits to be read."""
        os.write(self._pty.master, data)
        async with asyncio.timeout(WAIT_S):
            while self._pty.waiting() < len(data):
                await asyncio.sleep(0.001)

    async def comes_and_is_read(self, data: bytes) -> None:
        """Have the device send, and wait until it was reported."""
        wanted = len(self._receiver.data) + len(data)
        os.write(self._pty.master, data)
        await self._receiver.wait_for(lambda: len(self._receiver.data) >= wanted)

    def _call_later(self, delay_s: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        self._timers.append((delay_s, asyncio.TimerHandle(0.0, action, (), asyncio.get_running_loop())))
        return self._timers[-1][1]


@pytest.fixture(name="paced")
async def _paced(pty: Pty, receiver: Receiver) -> AsyncIterator[Paced]:
    paced = Paced(await open_pty(pty, receiver), pty, receiver)
    yield paced
    await paced.port.close()


async def test_expected_reply_is_reported_in_one_piece(pty: Pty, receiver: Receiver, paced: Paced) -> None:
    """The pieces of a reply are one report, when its last byte is due: request, 1 ms, reply, at the speed of the line.

    What follows is reported as it comes.
    """
    paced.ask(8, 117)
    await paced.comes(bytes(range(117)))
    assert paced.pieces == []

    assert paced.look() == 11.851
    assert paced.pieces == [117]
    await paced.comes_and_is_read(b"noise")
    assert bytes(receiver.data) == bytes(range(117)) + b"noise"


async def test_rest_of_a_late_reply_is_waited_for(paced: Paced) -> None:
    """A BMS that begins later costs one more look, at the time that the missing bytes take, and no byte."""
    paced.ask(8, 117)
    await paced.comes(bytes(50))
    paced.look()
    await paced.comes(bytes(67))
    assert paced.pieces == [50]

    assert paced.look() == round(67 * 10 / BAUDRATE * 1000.0, 3)
    assert paced.pieces == [50, 67]
    assert not paced.resting


@pytest.mark.parametrize("first", [0, 105])
async def test_what_comes_after_its_time_is_reported_at_once(paced: Paced, first: int) -> None:
    """Once nothing has come, or only a few bytes are missing, each piece is reported as it comes."""
    paced.ask(8, 117)
    await paced.comes(bytes(first))
    paced.look()
    assert not paced.resting
    for _ in range(2):
        await paced.comes_and_is_read(bytes(6))

    assert sum(paced.pieces) == first + 12


async def test_a_refusal_of_a_long_reply_is_seen_soon(paced: Paced) -> None:
    """What is short where a long reply was expected is reported long before any time-out."""
    paced.ask(8, 1000)
    await paced.comes(b"refused")

    assert paced.look() == 30.0
    assert paced.pieces == [7]
    paced.port.expect(0)
    assert not paced.resting


async def test_short_replies_are_reported_as_they_come(paced: Paced) -> None:
    """A timer keeps to whole milliseconds: for a reply that takes one it would only be late."""
    paced.ask(5, 6)
    assert not paced.resting
    await paced.comes_and_is_read(bytes(6))
    assert sum(paced.pieces) == 6


async def test_nothing_expected_any_more_is_read_at_once(receiver: Receiver, paced: Paced) -> None:
    """Noise that comes while nobody waits has to be seen before the next request."""
    paced.ask(8, 117)
    await paced.comes(b"noise")
    paced.port.expect(0)
    await receiver.wait_for(lambda: len(receiver.data) >= 5)

    assert bytes(receiver.data) == b"noise"


async def test_a_device_that_vanishes_meanwhile_is_told(pty: Pty, receiver: Receiver, paced: Paced) -> None:
    """The loss is noticed with the next look at the latest; nothing is watched or waited for afterwards."""
    paced.ask(8, 117)
    pty.vanish()
    paced.look()
    await receiver.wait_for(lambda: bool(receiver.lost))
    paced.port.expect(117)

    assert len(receiver.lost) == 1
    assert not paced.resting
    assert paced.port._reader is not None
    assert paced.port._reader.ended


async def test_closing_meanwhile_reads_nothing_more(paced: Paced) -> None:
    """A look that comes after the close must not read from a descriptor that may belong to another file by now."""
    paced.ask(8, 117)
    await paced.comes(b"late")
    await paced.port.close()
    paced.look()

    assert paced.pieces == []


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
