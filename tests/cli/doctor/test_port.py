import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tinybms_bridge.cli.device import connected
from tinybms_bridge.cli.doctor import port as doctor_port
from tinybms_bridge.cli.doctor.port import choose_port, open_problem
from tinybms_bridge.doctor.bms import ask, silence_problem
from tinybms_bridge.doctor.findings import Verdict
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_lab.bms import DumpDevice, real_dump
from tinybms_lab.testing.virtual_time import LoopClock

Serve = Callable[..., str]
Found = Callable[..., None]

DEFAULT = "/dev/ttyUSB0"


@pytest.fixture
def bms(serve: Serve) -> str:
    """A port with a BMS."""
    return serve(DumpDevice(real_dump(), SystemClock()))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Found:
    """Return a function that decides which ports this machine has."""

    def set_ports(*ports: str) -> None:
        monkeypatch.setattr(doctor_port, "find_ports", lambda: list(ports))

    return set_ports


async def test_a_named_port_is_taken_as_it_is(found: Found) -> None:
    """The user knows; whether it opens is another question."""
    found("/dev/ttyUSB5")
    assert await choose_port("/dev/ttyUSB1", DEFAULT, 115200) == ("/dev/ttyUSB1", [])


@pytest.mark.parametrize("named", [None, "auto"])
async def test_the_only_port_is_taken(found: Found, named: str | None) -> None:
    """Built-in ports of the board are no adapters."""
    found(DEFAULT, "/dev/ttyS0")
    port, (finding,) = await choose_port(named, DEFAULT, 115200)
    assert port == DEFAULT
    assert finding.verdict is Verdict.OK


@pytest.mark.parametrize("ports", [(), ("/dev/ttyS0", "/dev/ttyS1")])
async def test_no_port_is_a_problem_with_a_way_out(found: Found, ports: tuple[str, ...]) -> None:
    """Most users have forgotten to plug it in."""
    found(*ports)
    port, (finding,) = await choose_port(None, DEFAULT, 115200)
    assert port is None
    assert finding.verdict is Verdict.PROBLEM
    assert "Plug in" in finding.advice


async def test_a_port_that_the_bridge_would_not_open_is_a_warning(found: Found) -> None:
    """The doctor finds the BMS, but `run` without a configuration would fail."""
    found("/dev/ttyACM3")
    port, (finding,) = await choose_port(None, DEFAULT, 115200)
    assert port == "/dev/ttyACM3"
    assert finding.verdict is Verdict.WARNING
    assert finding.advice == 'Set hardware.uart.device to "/dev/ttyACM3".'


async def test_auto_in_the_configuration_finds_any_port(found: Found) -> None:
    """Then the bridge searches as well."""
    found("/dev/ttyACM3")
    _, (finding,) = await choose_port("auto", DEFAULT, 115200)
    assert finding.verdict is Verdict.OK


async def test_another_name_of_the_default_is_the_default(found: Found, tmp_path: Path) -> None:
    """Stable names are links."""
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")
    found(str(tmp_path / "by-id"))
    _, (finding,) = await choose_port(None, str(tmp_path / "ttyUSB0"), 115200)
    assert finding.verdict is Verdict.OK


async def test_of_several_ports_the_one_that_answers_is_taken(found: Found, bms: str) -> None:
    """An adapter that is missing, or has nobody behind it, is passed over."""
    found("/dev/ttyNOTHERE", bms)
    port, findings = await choose_port("auto", DEFAULT, 115200)
    assert port == bms
    assert f"a TinyBMS answers on {bms}, one of 2 ports" in findings[0].text


async def test_several_silent_ports_are_a_problem_that_lists_them(found: Found) -> None:
    """The user has to choose."""
    found("/dev/ttyNOTHERE0", "/dev/ttyNOTHERE1")
    port, (finding,) = await choose_port(None, DEFAULT, 115200)
    assert port is None
    assert finding.verdict is Verdict.PROBLEM
    assert "/dev/ttyNOTHERE0, /dev/ttyNOTHERE1" in finding.text


class Sleeping(DumpDevice):
    """A BMS that takes the first frame as a wake-up only."""

    heard = 0

    def hear(self) -> bool:
        self.heard += 1
        return self.heard > 1


@pytest.fixture
def sleeping() -> Sleeping:
    """A BMS that sleeps."""
    return Sleeping(real_dump(), SystemClock())


async def test_a_sleeping_bms_is_woken_by_asking(serve: Serve, sleeping: Sleeping) -> None:
    """It answers the second frame only (protocol Rev D, section 1)."""
    async with connected(serve(sleeping)) as client:
        await ask(client)
    assert sleeping.heard >= 2


def busy() -> LinkError:
    """Return the error of a port that is in use."""
    error = LinkError("serial port X is in use by another program", hint="close the other program")
    error.__cause__ = OSError(errno.EBUSY, "busy")
    return error


@pytest.mark.parametrize(
    ("holders", "verdict", "words"),
    [
        ([Process(7, ("tinybms-bridge", "run"))], Verdict.WARNING, "running bridge (process 7)"),
        ([Process(8, ("minicom",))], Verdict.PROBLEM, "minicom (process 8)"),
        ([], Verdict.PROBLEM, "another program"),
    ],
)
def test_a_port_in_use_by_the_bridge_is_as_it_should_be(
    monkeypatch: pytest.MonkeyPatch, holders: list[Process], verdict: Verdict, words: str
) -> None:
    """Only another program is a problem."""
    monkeypatch.setattr(doctor_port, "processes_holding", lambda _: holders)
    finding = open_problem("/dev/ttyUSB0", busy())
    assert finding.verdict is verdict
    assert words in finding.text
    assert finding.advice


def test_other_reasons_keep_their_words() -> None:
    """The error of the port already knows what to do."""
    finding = open_problem("/dev/ttyUSB0", LinkError("no permission to open X", hint="add the user to the group"))
    assert finding.verdict is Verdict.PROBLEM
    assert (finding.text, finding.advice) == ("no permission to open X", "Add the user to the group.")


class Line:
    """A line that says the same thing whatever it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def open(self, on_data: OnData, on_lost: OnLost) -> SerialPort:
        self._on_data = on_data
        return self

    def write(self, data: bytes) -> None:
        if self._answer:
            self._on_data(self._answer)

    def expect(self, count: int) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "nothing is received"),
        (b"\x00\x80\xff" * 5, "no valid frame"),
        (b"\xaa\x18\x97\x00\x00\x00", "no valid frame"),
    ],
)
@pytest.mark.virtual_time
async def test_silence_and_noise_have_different_causes(answer: bytes, words: str) -> None:
    """Wiring or baud rate: the user has to know where to look."""
    client = TinyBmsClient(Line(answer).open, LoopClock())
    await client.connect()
    with pytest.raises(LinkError) as caught:
        await ask(client)
    finding = silence_problem(client, 9600, caught.value)
    assert finding.verdict is Verdict.PROBLEM
    assert words in finding.text
    await client.close()


async def test_an_adapter_that_vanished_is_told_apart() -> None:
    """No wiring of the BMS helps there."""
    client = TinyBmsClient(Line(b"").open, SystemClock())
    finding = silence_problem(client, 115200, LinkError("the serial device vanished"))
    assert "vanished" in finding.text
    assert "USB plug" in finding.advice
