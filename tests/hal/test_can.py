"""The interface: frames, settings, opening."""

import asyncio
import subprocess
import sys
import threading

import can
import pytest

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal import can_adapter, can_open
from tinybms_bridge.hal.can import CanFrame, CanSettings, CanStatistics, open_can

WAIT_S = 30.0


@pytest.mark.parametrize(
    ("frame", "text"),
    [(CanFrame(0x351, b"\x43\x02"), "351#4302"), (CanFrame(0x5, b""), "005#"), (CanFrame(0x35A, b"\xaa"), "35A#AA")],
)
def test_frame_is_shown_as_candump_writes_it(frame: CanFrame, text: str) -> None:
    """Frames in logs can be pasted into cansend and into the decode command."""
    assert str(frame) == text


def test_frames_are_values() -> None:
    """Equal frames are equal, may be keys, and cannot change."""
    assert len({CanFrame(1, b"a"), CanFrame(1, b"a"), CanFrame(1, b"b")}) == 2
    with pytest.raises(AttributeError):
        CanFrame(1, b"a").data = b"b"  # type: ignore[misc]  # that it fails is the test


@pytest.mark.parametrize(
    ("settings", "text"),
    [(CanSettings(), "udp_multicast"), (CanSettings("socketcan", "can0"), "socketcan:can0")],
)
def test_settings_are_named_by_interface_and_channel(settings: CanSettings, text: str) -> None:
    """Messages say which adapter they are about."""
    assert str(settings) == text


def test_default_needs_no_hardware() -> None:
    """Without a line of configuration the bus is the one inside of this machine."""
    assert (CanSettings().interface, CanSettings().bitrate_bps, CanSettings().accept_ids) == (
        "udp_multicast",
        500_000,
        (),
    )


def test_statistics_begin_at_zero() -> None:
    """A new port has counted nothing and is up."""
    assert CanStatistics() == CanStatistics(0, 0, 0, 0, 0, 0, up=True)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("interface", ["virtual", "udp_multicast"])
async def test_opened_ports_carry_frames(interface: str, can_group: str) -> None:
    """Two ports on one bus hear each other and not themselves, and closing them ends their threads."""
    settings = CanSettings(interface, can_group)
    first, second = await open_can(settings), await open_can(settings)
    heard: dict[str, list[CanFrame]] = {"first": [], "second": []}
    first.subscribe(heard["first"].append)
    second.subscribe(heard["second"].append)
    frames = [CanFrame(0x351, bytes((number,))) for number in range(20)]
    try:
        assert all(first.send(frame) for frame in frames)
        async with asyncio.timeout(WAIT_S):
            while len(heard["second"]) < len(frames):
                await asyncio.sleep(0.005)
    finally:
        await first.close()
        await second.close()
    assert heard == {"first": [], "second": frames}
    assert (first.statistics.tx_count, second.statistics.rx_count) == (20, 20)
    assert (first.statistics.up, second.statistics.up) == (False, False)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("can-")] == []


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("accepted", [(0x305, 0x307), ()])
async def test_only_accepted_frames_arrive(accepted: tuple[int, ...]) -> None:
    """A port with a filter is not bothered with the rest of the bus."""
    sender = await open_can(CanSettings("virtual", "test_can_filter"))
    receiver = await open_can(CanSettings("virtual", "test_can_filter", accept_ids=accepted))
    heard: list[int] = []
    receiver.subscribe(lambda frame: heard.append(frame.arbitration_id))
    try:
        for identifier in (0x351, 0x305, 0x355, 0x307):
            sender.send(CanFrame(identifier, b""))
        async with asyncio.timeout(WAIT_S):
            while 0x307 not in heard:
                await asyncio.sleep(0.005)
    finally:
        await sender.close()
        await receiver.close()
    assert heard == list(accepted or (0x351, 0x305, 0x355, 0x307))


async def test_cancelled_opening_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that opens after nobody waits for it any more is closed again."""
    begun, may_open = threading.Event(), threading.Event()
    opened: list[can.BusABC] = []

    def slow(settings: CanSettings) -> can.BusABC:
        begun.set()
        assert may_open.wait(WAIT_S)
        opened.append(can_open.open_bus(settings))
        return opened[-1]

    monkeypatch.setattr(can_adapter, "open_bus", slow)
    opening = asyncio.create_task(open_can(CanSettings("virtual", "test_can_cancelled")))
    assert await asyncio.to_thread(begun.wait, WAIT_S)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    may_open.set()

    def gone() -> bool:
        try:
            opened[0].recv(0.0)
        except can.CanOperationError:
            return not any(thread.name.startswith("can-") for thread in threading.enumerate())
        except IndexError:  # nothing is open yet
            return False
        return False

    async with asyncio.timeout(WAIT_S):
        while not gone():
            await asyncio.sleep(0.005)
    with pytest.raises(can.CanOperationError, match="closed bus"):
        opened[0].recv(0.0)


async def test_adapter_that_cannot_be_opened_is_a_link_error() -> None:
    """The caller learns what failed and what to do about it."""
    with pytest.raises(LinkError) as caught:
        await open_can(CanSettings("no_such_interface"))
    assert "unknown CAN interface 'no_such_interface'" in str(caught.value)


def test_interface_alone_does_not_import_python_can() -> None:
    """Its memory is paid when an adapter other than SocketCAN is opened, not by every command."""
    modules = "tinybms_bridge.hal.can, tinybms_bridge.hal.socketcan, tinybms_lab.testing.can_memory"
    code = f"import sys, {modules}; sys.exit('can' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
