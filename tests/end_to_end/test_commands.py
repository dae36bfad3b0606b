"""The commands as a user types them: what they print, how they end, and what they say when something is wrong."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tty
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings, open_can

WAIT_S = 60.0


async def simulated(start: Any, tmp_path: Path, *arguments: str) -> str:
    """Start a simulator and return its port."""
    simulator = await start("simulate", "--link", str(tmp_path / "bms"), *arguments)
    port: str = await simulator.line()
    return port


async def test_demo_prints_live_values_and_ends_on_ctrl_c(start: Any, can_group: str) -> None:
    """`make run`: values within seconds, frames that another process sees, a clean end on Ctrl-C."""
    port = await open_can(CanSettings(channel=can_group))
    frames: list[CanFrame] = []
    port.subscribe(frames.append)
    demo = await start("demo", "--plain", "--can-channel", can_group)
    assert "decode --live" in await demo.line()
    async with asyncio.timeout(WAIT_S):
        while not {0x351, 0x356, 0x305, 0x307} <= {frame.arbitration_id for frame in frames}:
            await asyncio.sleep(0.1)
    err = ""
    while not all(words in err for words in ("data is fresh", "GX device present", "CVL")):
        err += await demo.error_line()
    demo.signal(signal.SIGINT)
    code, _, rest = await demo.ended()
    await port.close()
    assert code == 0
    assert "Traceback" not in err + rest


async def test_a_demo_of_four_packs_says_how_one_is_pulled(start: Any, can_group: str) -> None:
    """`make run ARGS="--packs 4"`: what it prints works, the GX sees one battery, and Ctrl-C ends all of it."""
    demo = await start("demo", "--plain", "--packs", "4", "--can-channel", can_group)
    assert "packs/: a, b, c, d" in await demo.line()
    hint = await demo.line()
    while not hint.startswith("Pull a pack: "):
        hint = await demo.line()
    control = Path(hint.split(" > ")[1].partition(";")[0])
    err = ""
    while not all(words in err for words in ("GX device present", "pack d: TinyBMS", "data is fresh")):
        err += await demo.error_line()

    await asyncio.to_thread(control.write_text, "pull b\n")
    assert await _said(demo, "pack b is pulled: poles and data")
    while "Pack b gives no good data any more" not in err:
        err += await demo.error_line()
    await asyncio.to_thread(control.write_text, "plug b\n")
    assert await _said(demo, "pack b is plugged in")
    while "Pack b gives good data again" not in err:
        err += await demo.error_line()
    demo.signal(signal.SIGINT)
    code, _, rest = await demo.ended()
    assert code == 0
    assert "Traceback" not in err + rest


async def _said(demo: Any, words: str) -> bool:
    """Wait until a demo has printed a line."""
    while await demo.line() != words:
        pass
    return True


async def test_decode_live_shows_a_running_demo(start: Any, can_group: str) -> None:
    """The one documented command that watches the frames from another terminal."""
    demo = await start("demo", "--plain", "--can-channel", can_group)
    await demo.line()
    decode = await start("decode", "--live", "--channel", can_group)
    line = await decode.line()
    while "351" not in line:  # it may begin to listen in the middle of a burst
        line = await decode.line()
    decode.signal(signal.SIGINT)
    code, _, err = await decode.ended()
    assert code == 0, err
    assert "V" in line


async def demo_places(demo: Any) -> tuple[str, str]:
    """Return the CAN channel, empty for the default, and the address of the web server that a demo has printed."""
    watch, web = await demo.line(), await demo.line()
    return watch.partition("--channel ")[2], web.split()[3]


async def bursts_on(port: CanPort, count: int) -> Counter[str]:
    """Return who sent limits on a bus, until ``count`` of them have come."""
    senders: Counter[str] = Counter()
    enough = asyncio.Event()

    def note(frame: CanFrame) -> None:
        if frame.arbitration_id == 0x351:
            senders[frame.origin] += 1
            if senders.total() >= count:
                enough.set()

    end = port.subscribe(note)
    async with asyncio.timeout(WAIT_S):
        await enough.wait()
    end()
    return senders


async def test_two_demos_do_not_steer_each_other(start: Any) -> None:
    """Two times `make run` on one machine: each says its own bus and page, and no frame crosses over."""
    demos = [await start("demo", "--plain") for _ in range(2)]
    places = [await demo_places(demo) for demo in demos]
    assert len({channel for channel, _ in places}) == 2
    assert len({address for _, address in places}) == 2
    ports = [await open_can(CanSettings(channel=channel)) for channel, _ in places]
    try:
        first, second = await asyncio.gather(*(bursts_on(port, 5) for port in ports))
    finally:
        for port in ports:
            await port.close()
    assert len(first) == len(second) == 1, "limits of one bridge on each bus"
    assert first.keys() != second.keys()
    for demo in demos:
        demo.signal(signal.SIGTERM)
        code, _, err = await demo.ended()
        assert code == 0
        assert "second" not in err.lower(), "nobody heard another BMS"


async def test_registers_shows_the_values_of_a_unit(start: Any, tmp_path: Path) -> None:
    """Live registers as JSON: the real unit's dump, typed and in units."""
    port = await simulated(start, tmp_path, "--dump", "real")
    command = await start("registers", "--live", "--device", port, "--json")
    code, out, err = await command.ended()
    assert code == 0, err
    values = {row["key"]: row["value"] for row in json.loads(out)}
    assert values["pack_voltage"] == pytest.approx(55.78, abs=0.005)
    assert values["state_of_charge"] == pytest.approx(83.554824)
    assert values["external_temperature_1"] is None
    assert values["online_status"] == "idle"


def expect_one_clear_line(err: str, *words: str) -> None:
    """Check that an error is one line without a traceback and names what matters."""
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    for word in words:
        assert word in lines[0]


async def test_an_unknown_port_is_one_clear_line(start: Any) -> None:
    """A typo in the path: said at once, exit code 1."""
    command = await start("registers", "--live", "--device", "/dev/ttyNOTHERE")
    code, _, err = await command.ended()
    assert code == 1
    expect_one_clear_line(err, "/dev/ttyNOTHERE does not exist")


async def test_a_file_that_is_no_port_is_one_clear_line(start: Any, tmp_path: Path) -> None:
    """A regular file in place of a port."""
    (tmp_path / "notes.txt").write_text("not a port")
    command = await start("registers", "--live", "--device", str(tmp_path / "notes.txt"))
    code, _, err = await command.ended()
    assert code == 1
    expect_one_clear_line(err, "is not a serial port")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without the right")
def test_a_forbidden_port_names_the_group() -> None:
    """Permission denied names the group that helps."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    Path(name).chmod(0o600)
    text = _open_as_nobody(name)
    os.close(master)
    os.close(slave)
    assert f"no permission to open {name}" in text
    assert "usermod -aG" in text


_OPEN_AS_NOBODY = """
import asyncio, os, sys
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.serial import open_serial

def error_of(name):
    try:
        asyncio.run(open_serial(name, 115200, lambda _data: None, lambda _error: None))
    except LinkError as error:
        return str(error)

error_of("/dev/none")  # imports what is needed while this process may still read it
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(error_of(sys.argv[1]))
"""


def _open_as_nobody(name: str) -> str:
    """Open a port in a process that has given up root; return the error."""
    command = [sys.executable, "-c", _OPEN_AS_NOBODY, name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_a_busy_port_is_one_clear_line(start: Any, tmp_path: Path, can_group: str) -> None:
    """Two programs on one UART garble each other: where the bridge cannot be asked, the second is told so."""
    port = await simulated(start, tmp_path)
    elsewhere = ("--socket", str(tmp_path / "elsewhere.sock"))
    first = await start("run", "--plain", "--device", port, "--can-channel", can_group, *elsewhere)
    while "answers" not in await first.error_line():
        pass
    command = await start("registers", "--live", "--device", port)
    code, _, err = await command.ended()
    assert code == 1
    expect_one_clear_line(err, port, "is used by the running bridge", "stop it first")


async def test_a_silent_bms_is_one_clear_line(start: Any) -> None:
    """A port with nobody at the other end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    command = await start("registers", "--live", "--device", os.ttyname(slave))
    code, _, err = await command.ended()
    os.close(master)
    os.close(slave)
    assert code == 1
    expect_one_clear_line(err, "did not answer within 300 ms")


async def test_run_says_once_what_is_missing_and_goes_on(start: Any, tmp_path: Path, can_group: str) -> None:
    """A boat that boots before its adapters are there: one line for each, no traceback, then it works."""
    link = tmp_path / "bms"
    bridge = await start("run", "--plain", "--device", str(link), "--can-channel", can_group)
    lines = [await bridge.error_line()]
    while "link down" not in lines[-1]:
        lines.append(await bridge.error_line())
    assert f"serial port {link} does not exist" in lines[-1]
    await asyncio.sleep(2.0)
    simulator = await start("simulate", "--link", str(link))
    await simulator.line()
    later = [await bridge.error_line()]
    while "BMS answers" not in later[-1]:
        later.append(await bridge.error_line())
    assert not [line for line in later if str(link) in line], "said once, although it was tried several times"
    bridge.signal(signal.SIGTERM)
    code, _, err = await bridge.ended()
    assert code == 0
    assert "Traceback" not in err


async def test_the_line_speed_of_the_readme_reaches_the_bms(start: Any, tmp_path: Path, can_group: str) -> None:
    """The seed's 19200 is read as the vendor's 115200: the log says so, and the BMS answers."""
    port = await simulated(start, tmp_path)
    config = tmp_path / "bridge.json"
    web = {"listen_address": "127.0.0.1"}
    config.write_text(json.dumps({"hardware": {"uart": {"device": port, "baudrate": 19200}}, "web_server": web}))
    bridge = await start("run", "--plain", "-c", str(config), "--can-channel", can_group)
    lines = [await bridge.error_line()]
    while "BMS answers" not in lines[-1]:
        lines.append(await bridge.error_line())
    assert [line for line in lines if "19200 is read as 115200" in line]
    assert not [line for line in lines if "link down" in line]
    bridge.signal(signal.SIGTERM)
    code, _, _ = await bridge.ended()
    assert code == 0


async def test_a_bad_configuration_ends_with_every_mistake(start: Any, tmp_path: Path) -> None:
    """Several mistakes, several lines, exit code 2, and nothing is started."""
    config = tmp_path / "bridge.json"
    config.write_text(
        json.dumps({"hardware": {"uart": {"baudrate": "fast"}}, "cvl": {"float_exit_soc": 200}, "cann": {}})
    )
    bridge = await start("run", "-c", str(config))
    code, out, err = await bridge.ended()
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    for path in ("hardware.uart.baudrate", "cvl.float_exit_soc", "cann"):
        assert path in err


async def test_a_missing_configuration_file_ends_with_one_line(start: Any, tmp_path: Path) -> None:
    """A file that was named must exist."""
    bridge = await start("run", "-c", str(tmp_path / "nowhere.json"))
    code, _, err = await bridge.ended()
    assert code == 2
    expect_one_clear_line(err, "nowhere.json", "does not exist")
