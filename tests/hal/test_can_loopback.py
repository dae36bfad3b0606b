"""The bus between the processes of this machine, on real sockets of the loopback interface."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import can
import pytest

from tinybms_bridge.hal.can_loopback import LoopbackBus

WAIT_S = 30.0
Open = Callable[..., LoopbackBus]

RECEIVER = """
import sys
from tinybms_bridge.hal.can_loopback import LoopbackBus
bus = LoopbackBus(port=int(sys.argv[1]))
print("ready", flush=True)
message = bus.recv(30.0)
print(f"{message.arbitration_id:03X}#{message.data.hex()}", flush=True)
bus.send(can_message := type(message)(arbitration_id=0x305, data=bytes(8), is_extended_id=False))
bus.shutdown()
"""


@pytest.fixture
def port() -> Iterator[int]:
    """Give a UDP port that nobody else gets meanwhile, so that buses of tests at the same time do not meet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        held.connect(held.getsockname())  # it hears itself alone
        yield held.getsockname()[1]


@pytest.fixture
def open_bus(port: int) -> Iterator[Open]:
    """Return a function that opens a bus on the test's port; all are closed at the end."""
    buses: list[LoopbackBus] = []

    def opener(*, receive_own_messages: bool = False) -> LoopbackBus:
        buses.append(LoopbackBus(port=port, receive_own_messages=receive_own_messages))
        return buses[-1]

    yield opener
    for bus in buses:
        bus.shutdown()


def message(identifier: int = 0x351, data: bytes = b"\x01\x02") -> can.Message:
    """Return a classic data frame."""
    return can.Message(arbitration_id=identifier, data=data, is_extended_id=False)


def test_frame_reaches_every_other_bus(open_bus: Open) -> None:
    """Two listeners both hear a frame, with id and data."""
    sender, first, second = open_bus(), open_bus(), open_bus()
    sender.send(message())
    for receiver in (first, second):
        received = receiver.recv(WAIT_S)
        assert received is not None
        assert (received.arbitration_id, bytes(received.data), received.is_extended_id) == (0x351, b"\x01\x02", False)


def test_sender_does_not_hear_itself(open_bus: Open) -> None:
    """The multicast copy of an own frame is dropped, a foreign one is not."""
    sender, other = open_bus(), open_bus()
    sender.send(message(0x351))
    other.send(message(0x305))
    received = sender.recv(WAIT_S)
    assert received is not None
    assert received.arbitration_id == 0x305
    assert sender.recv(0.05) is None


def test_sender_hears_itself_on_request(open_bus: Open) -> None:
    """For a test without a second program."""
    bus = open_bus(receive_own_messages=True)
    bus.send(message())
    received = bus.recv(WAIT_S)
    assert received is not None
    assert received.arbitration_id == 0x351


def test_frames_come_in_order(open_bus: Open) -> None:
    """A burst arrives complete and in the order it was sent."""
    sender, receiver = open_bus(), open_bus()
    for number in range(50):
        sender.send(message(number, bytes((number,))))
    received = [receiver.recv(WAIT_S) for _ in range(50)]
    assert [m.arbitration_id for m in received if m] == list(range(50))


def test_two_processes_hear_each_other(open_bus: Open, port: int) -> None:
    """Another program on this machine can watch the bridge, and answer it."""
    bus = open_bus()
    with subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(port)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        bus.send(message(0x351, b"\x43\x02"))
        assert process.stdout.readline() == "351#4302\n"
        answer = bus.recv(WAIT_S)
    assert answer is not None
    assert answer.arbitration_id == 0x305


def test_nothing_to_receive(open_bus: Open) -> None:
    """A silent bus gives None after the timeout, also without waiting."""
    bus = open_bus()
    assert bus.recv(0.01) is None
    assert bus.recv(0.0) is None


@pytest.mark.parametrize("datagram", [b"", b"\xff", b"garbage", bytes(4096), b"\x81\xa4data\xc4\x09123456789"])
def test_datagram_that_is_no_frame_is_ignored(open_bus: Open, port: int, datagram: bytes) -> None:
    """Whatever a program sends to the group, the bus stays up and the next frame is received."""
    sender, receiver = open_bus(), open_bus()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        stranger.sendto(datagram, ("239.74.163.2", port))
    sender.send(message())
    received = receiver.recv(WAIT_S)
    assert received is not None
    assert received.arbitration_id == 0x351


def test_datagram_sent_straight_to_the_port_is_not_heard(open_bus: Open, port: int) -> None:
    """Only the group is listened to: nobody reaches the bus by the address of the machine."""
    sender, receiver = open_bus(), open_bus()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.connect(("127.0.0.1", port))
        stranger.settimeout(WAIT_S)
        stranger.send(b"anything")
        with pytest.raises(ConnectionRefusedError):
            stranger.recv(10)
    sender.send(message())
    assert receiver.recv(WAIT_S) is not None


def test_frames_do_not_leave_the_machine(open_bus: Open) -> None:
    """The sending socket uses the loopback interface and lets no datagram pass a router."""
    sender = open_bus()._sender
    assert sender.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 0
    assert sender.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == socket.inet_aton("127.0.0.1")
    assert sender.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("channel", ["192.0.2.1", "ff15::1", "can0", ""])
def test_channel_that_is_no_group_is_refused(channel: str) -> None:
    """A wrong channel is an error and not a bus that hears nobody."""
    with pytest.raises(ValueError, match=r"multicast address|IPv4 or IPv6"):
        LoopbackBus(channel)


def test_closed_bus_reports_it(open_bus: Open) -> None:
    """Using a closed bus raises an error of python-can; closing again does nothing."""
    bus = open_bus()
    bus.shutdown()
    bus.shutdown()
    with pytest.raises(can.CanOperationError) as sending:
        bus.send(message())
    with pytest.raises(can.CanOperationError) as receiving:
        bus.recv(0.01)
    assert (sending.value.error_code, receiving.value.error_code) == (errno.EBADF, errno.EBADF)


def test_failed_opening_leaves_no_socket(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """When the second socket cannot be made, the first one is closed."""
    made: list[socket.socket] = []

    class Recorded(socket.socket):
        def __init__(self, *args: int) -> None:
            super().__init__(*args)
            made.append(self)
            if len(made) == 2:
                self.close()

    monkeypatch.setattr(socket, "socket", Recorded)
    with pytest.raises(OSError, match="Bad file descriptor"):
        LoopbackBus(port=port)
    assert [s.fileno() for s in made] == [-1, -1]


def test_port_that_another_program_keeps_for_itself(port: int) -> None:
    """A program that does not share the port makes opening fail, with the system's own error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as selfish:
        selfish.bind(("239.74.163.2", port))
        with pytest.raises(OSError, match="Address already in use"):
            LoopbackBus(port=port)
