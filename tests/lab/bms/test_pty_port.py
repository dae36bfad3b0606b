import contextlib
import os
import select
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinybms_lab.bms.server import PtyPort, known_speeds

WAIT_S = 30.0


@pytest.fixture
def port() -> Iterator[PtyPort]:
    """An open port at the speed of a TinyBMS."""
    port = PtyPort(115200)
    yield port
    port.hang_up()
    port.unlink()


@pytest.fixture
def client(port: PtyPort) -> Iterator[int]:
    """A client that opened the device file and did nothing else."""
    descriptor = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def _read(descriptor: int, count: int) -> bytes:
    """Read that many bytes, in however many pieces the system gives them."""
    data = b""
    while len(data) < count:
        assert select.select([descriptor], [], [], WAIT_S)[0], f"only {len(data)} bytes came"
        data += os.read(descriptor, count)
    return data


def _set_speed(descriptor: int, speed: int) -> None:
    attributes = termios.tcgetattr(descriptor)
    attributes[4] = attributes[5] = speed
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def test_the_known_speeds_are_numbers_in_baud() -> None:
    """The two that the bridge speaks of are there."""
    speeds = known_speeds()

    assert speeds[115200] == termios.B115200
    assert speeds[19200] == termios.B19200
    assert 0 not in speeds


def test_bytes_pass_unchanged_both_ways(port: PtyPort, client: int) -> None:
    """No echo, no line ends made of others, no control characters, though the client configured nothing."""
    every = bytes(range(256))

    os.write(client, every)
    assert _read(port.master, 256) == every
    os.write(port.master, every)
    assert _read(client, 256) == every


def test_nothing_is_echoed(port: PtyPort, client: int) -> None:
    """What the device sends does not come back to it."""
    os.write(port.master, b"\xaa\x01")

    with pytest.raises(BlockingIOError):
        os.read(port.master, 16)
    assert _read(client, 2) == b"\xaa\x01"


def test_the_clients_speed_is_seen(port: PtyPort, client: int) -> None:
    """Right from the start, wrong after a change, right again."""
    seen = [port.speed_matches]
    for speed in (termios.B19200, termios.B115200):
        _set_speed(client, speed)
        seen.append(port.speed_matches)

    assert seen == [True, False, True]


def test_a_device_may_have_another_speed() -> None:
    """The client's end is set to it."""
    port = PtyPort(19200)
    try:
        descriptor = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        assert termios.tcgetattr(descriptor)[5] == termios.B19200
        os.close(descriptor)
    finally:
        port.hang_up()
        port.unlink()


def test_a_client_may_go_and_another_come(port: PtyPort) -> None:
    """The device does not see a hang-up in between."""
    for text in (b"first", b"second"):
        descriptor = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        os.write(descriptor, text)
        os.close(descriptor)

        assert _read(port.master, len(text)) == text


def test_hanging_up_shows_at_the_client(port: PtyPort, client: int) -> None:
    """End of file or an input/output error, at once."""
    port.hang_up()

    with contextlib.suppress(OSError):
        assert os.read(client, 16) == b""
    with pytest.raises(OSError, match="Input/output error"):
        os.write(client, b"anybody there")
    port.hang_up()


@pytest.mark.parametrize("baudrate", [0, 1, 115201])
def test_a_speed_that_the_system_does_not_know_is_refused(baudrate: int) -> None:
    """The message names it."""
    with pytest.raises(ValueError, match=f"{baudrate} baud is not a speed"):
        PtyPort(baudrate)


def test_the_link_leads_to_the_port_and_goes_with_it(tmp_path: Path) -> None:
    """A stable name for configurations."""
    link = tmp_path / "tinybms"
    port = PtyPort(115200, link)
    try:
        assert str(link.readlink()) == port.path
        assert [entry.name for entry in tmp_path.iterdir()] == ["tinybms"]
    finally:
        port.hang_up()
        port.unlink()
    port.unlink()
    port.unlink()

    assert not link.is_symlink()


def test_an_old_link_is_replaced(tmp_path: Path) -> None:
    """A simulator that was killed leaves its link behind."""
    link = tmp_path / "tinybms"
    link.symlink_to("/dev/pts/nothing")
    port = PtyPort(115200, link)
    port.hang_up()

    assert str(link.readlink()) == port.path


def test_a_link_that_another_took_over_is_left_alone(tmp_path: Path) -> None:
    """The last simulator started owns the name."""
    link = tmp_path / "tinybms"
    first = PtyPort(115200, link)
    second = PtyPort(115200, link)
    first.hang_up()
    first.unlink()
    kept = str(link.readlink())
    second.hang_up()
    second.unlink()

    assert kept == second.path
    assert not link.is_symlink()


def test_a_file_in_place_of_the_link_is_not_overwritten(tmp_path: Path) -> None:
    """A typing mistake costs nobody a file."""
    link = tmp_path / "notes.txt"
    link.write_text("mine", encoding="utf-8")

    with pytest.raises(FileExistsError, match="not a symbolic link"):
        PtyPort(115200, link)

    assert link.read_text(encoding="utf-8") == "mine"


def test_a_link_in_a_missing_directory_is_told(tmp_path: Path) -> None:
    """The port is not left open."""
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(FileNotFoundError):
        PtyPort(115200, tmp_path / "nowhere" / "tinybms")

    assert len(os.listdir("/proc/self/fd")) == before


def test_the_path_leads_nowhere_until_the_terminal_is_given_back(port: PtyPort) -> None:
    """Somebody who tries the path again and again must not get the next terminal of another program."""
    port.hang_up()
    others = [PtyPort(115200) for _ in range(20)]
    taken = [other.path for other in others]
    for other in others:
        other.hang_up()
        other.unlink()

    assert port.path not in taken
    assert not os.path.lexists(port.path)
