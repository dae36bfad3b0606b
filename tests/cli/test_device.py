import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tinybms_bridge.cli.device import connected, is_busy, with_doctor
from tinybms_bridge.errors import BridgeError, DeviceRefused, LinkError
from tinybms_bridge.hal import processes
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.tinybms.frames import CommandCode, ShortValue, SimpleRequest
from tinybms_lab.bms import DumpDevice, real_dump

Serve = Callable[..., str]


@pytest.fixture
def port(serve: Serve) -> str:
    """A port with a BMS."""
    return serve(DumpDevice(real_dump(), SystemClock()))


async def test_a_bms_can_be_asked_within_the_block(port: str) -> None:
    """The port is open inside and free again outside."""
    for _ in range(2):
        async with connected(port) as client:
            reply = await client.request(SimpleRequest(CommandCode.STATUS))
            assert isinstance(reply, ShortValue)
        assert not client.connected


async def test_the_port_is_freed_after_a_failure(port: str) -> None:
    """A command that fails must not keep the bridge from starting."""
    with pytest.raises(ZeroDivisionError):
        async with connected(port):
            raise ZeroDivisionError
    async with connected(port) as client:
        assert client.connected


async def test_a_missing_port_is_a_clear_error() -> None:
    """The message of the port, unchanged."""
    with pytest.raises(LinkError, match="/dev/ttyNOTHERE does not exist"):
        async with connected("/dev/ttyNOTHERE"):
            pass


@pytest.mark.parametrize(
    ("holders", "message"),
    [
        ([Process(5, ("cat",)), Process(7, ("tinybms-bridge", "run"))], "used by the running bridge (process 7)"),
        ([Process(5, ("minicom",))], "used by minicom (process 5)"),
        ([], "in use by another program"),
    ],
)
async def test_a_port_in_use_names_its_user(
    port: str, holders: list[Process], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of the time it is the bridge itself, and stopping it is what helps."""
    monkeypatch.setattr(processes, "processes_holding", lambda _: holders)
    async with connected(port):
        with pytest.raises(LinkError) as caught:
            async with connected(port):
                pass
    assert message in str(caught.value)
    assert is_busy(caught.value)


def test_a_real_holder_is_found(port: str) -> None:
    """Through the /proc of this machine."""
    with Path(port).open("rb") as file, subprocess.Popen(["sleep", "30"], stdin=file) as holder:
        try:
            found = processes.processes_holding(port)
        finally:
            holder.kill()
    assert holder.pid in [process.pid for process in found]


def test_only_a_port_in_use_is_busy() -> None:
    """However deep the cause lies."""
    assert not is_busy(LinkError("gone"))
    outer, inner = LinkError("outer"), LinkError("inner")
    outer.__cause__, inner.__cause__ = inner, OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    assert is_busy(outer)
    inner.__cause__ = OSError(errno.ENOENT, "no such file")
    assert not is_busy(outer)


@pytest.mark.parametrize(
    ("error", "device", "text"),
    [
        (LinkError("no answer"), "/dev/x", "no answer (tinybms-bridge doctor --device /dev/x looks for the cause)"),
        (LinkError("no answer"), "auto", "no answer (tinybms-bridge doctor looks for the cause)"),
        (LinkError("in use", hint="close it"), "/dev/x", "in use (close it)"),
        (DeviceRefused(3, 0), "/dev/x", "the BMS refused command 0x03: command error (code 0)"),
    ],
)
def test_a_silent_line_points_to_the_doctor(error: BridgeError, device: str, text: str) -> None:
    """Who sees "did not answer" needs the next step; what has a hint, or is a refusal, keeps its own words."""
    assert str(with_doctor(error, device)) == text
