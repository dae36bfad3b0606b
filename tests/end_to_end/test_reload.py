"""The program as a process: configuration changes, a closed standard error, a disk without room."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tinybms_lab.testing.running_bridge import free_port

WAIT_S = 60.0
HERE_ALONE = {"listen_address": "127.0.0.1"}
"""A web server of which no network is told."""


async def begin(start: Any, tmp_path: Path, document: dict[str, Any]) -> Any:
    """Start the bridge on a port that does not exist, with its configuration in a file."""
    path = tmp_path / "config.json"
    hardware = {"uart": {"device": "/dev/none"}, "can": {"interface": "virtual"}}
    await asyncio.to_thread(path.write_text, json.dumps({"hardware": hardware, "web_server": HERE_ALONE, **document}))
    return await start("run", "-c", str(path), "--plain")


async def until(process: Any, *words: str) -> str:
    """Wait until each of these is in some line of standard error, in whatever order, and return the last such line."""
    missing = set(words)
    async with asyncio.timeout(WAIT_S):
        while True:
            line: str = await process.error_line()
            found = {each for each in missing if each in line}
            missing -= found
            if found and not missing:
                return line


async def test_hangup_reads_the_file_at_once(start: Any, tmp_path: Path) -> None:
    """`kill -HUP` and an edit alone both put the file in force; a bad file stops nobody; SIGTERM ends it cleanly.

    The history has what happened until then.
    """
    web = {"port": await asyncio.to_thread(free_port), **HERE_ALONE}
    process = await begin(start, tmp_path, {"web_server": web})
    await until(process, "BMS link down", "web server listens")  # the services are at work
    path = tmp_path / "config.json"
    await asyncio.to_thread(
        path.write_text, json.dumps({"hardware": {"uart": {"device": "/dev/other"}}, "web_server": web})
    )
    process.signal(signal.SIGHUP)
    assert "(file): hardware.uart.device" in await until(process, "configuration changed")
    await until(process, "/dev/other does not exist")
    await asyncio.to_thread(path.write_text, json.dumps({"hardware": {"uart": {"baudrate": 1}}, "web_server": web}))
    assert "hardware.uart.baudrate = 1" in await until(process, "configuration not used")
    await asyncio.to_thread(path.write_text, json.dumps({"logging": {"log_level": "DEBUG"}, "web_server": web}))
    await until(process, "can be used again")
    process.signal(signal.SIGTERM)
    code, _, err = await process.ended()
    assert code == 0
    assert "Traceback" not in err
    state = Path(".local", "state", "tinybms-bridge", "history.db")
    assert await asyncio.to_thread(recorded_steps, tmp_path / state) > 0


def recorded_steps(path: Path) -> int:
    """Return how many steps a history has."""
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM steps").fetchone()
    return int(count)


@pytest.fixture
def closed(tmp_path: Path) -> Callable[[dict[str, Any]], Awaitable[asyncio.subprocess.Process]]:
    """Return a function that starts the bridge without standard error and standard output."""

    async def begin_closed(document: dict[str, Any]) -> asyncio.subprocess.Process:
        path = tmp_path / "config.json"
        hardware = {"uart": {"device": "/dev/none"}, "can": {"interface": "virtual"}}
        document = {"hardware": hardware, "web_server": HERE_ALONE, **document}
        await asyncio.to_thread(path.write_text, json.dumps(document))
        command = f'exec "{sys.executable}" -m tinybms_bridge run -c "{path}" 2>&- >&-'
        environment = {**os.environ, "HOME": str(tmp_path)}
        environment.pop("STATE_DIRECTORY", None)
        return await asyncio.create_subprocess_exec("sh", "-c", command, env=environment, cwd=tmp_path)

    return begin_closed


async def test_closed_standard_error_stops_nobody(closed: Any, tmp_path: Path) -> None:
    """Started with `2>&- >&-`: the bridge runs, and the file in the state directory has the lines."""
    process = await closed({})
    file = tmp_path / ".local" / "state" / "tinybms-bridge" / "bridge.log"
    try:
        async with asyncio.timeout(WAIT_S):
            while "BMS link down" not in (await asyncio.to_thread(file.read_text) if file.exists() else ""):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), WAIT_S) == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_state_directory_without_room_stops_nobody(start: Any, tmp_path: Path) -> None:
    """No file can be made in it: the lines still come on standard error, and the program goes on."""
    process = await begin(start, tmp_path, {"advanced": {"state_directory": "/dev/full/state"}})
    await until(process, "BMS link down")
    await asyncio.sleep(2.0)
    process.signal(signal.SIGTERM)
    code, _, err = await process.ended()
    assert code == 0, err
    assert "Traceback" not in err
