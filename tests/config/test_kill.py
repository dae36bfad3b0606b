"""The configuration survives a process that is killed while it saves."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.hal.storage import FileStorage

SAVES = 200
ENDLESS = 5000
"""More saves than a child gets to before it is killed."""
KILLS = 12

SAVER = """
import os, sys
from pathlib import Path
from tinybms_bridge.config.store import ConfigStore
from tinybms_bridge.hal.storage import FileStorage

store = ConfigStore(FileStorage(Path(sys.argv[1])))
store.load()
first = int(sys.argv[2])
for version in range(first, first + int(sys.argv[3])):
    os.write(1, f"{version}\\n".encode())
    topic = f"boat/{version}/" + "x" * (1 + version % 150)
    store.update({"victron": {"battery_model_id": version}, "mqtt": {"root_topic": topic}})
os.write(1, b"done\\n")
"""
"""Saves one version after the other; tells each before it saves it."""


def announced(output: bytes) -> list[str]:
    """Return the complete lines that the child told."""
    return output.decode().split("\n")[:-1]


def run(path: Path, first: int, kill_after: int | None) -> tuple[int, bool]:
    """Let a child save; kill it in a later save. Return the last version it told, and whether it ended."""
    saves = SAVES if kill_after is None else ENDLESS
    arguments = [sys.executable, "-c", SAVER, str(path), str(first), str(saves)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        head = b"".join(child.stdout.readline() for _ in range(kill_after or 0))
        if kill_after is not None:
            time.sleep(random.uniform(0.0, 0.005))  # any moment of a save
            os.kill(child.pid, signal.SIGKILL)
        told = announced(head + child.stdout.read())
        child.wait()
    numbers = [int(line) for line in told if line != "done"]
    return numbers[-1], "done" in told


def saved_version(path: Path) -> int:
    """Return the version that the file holds; the file and what the store makes of it must agree."""
    document = json.loads(path.read_bytes())
    version = int(document["victron"]["battery_model_id"])
    store = ConfigStore(FileStorage(path))
    config = store.load()
    assert store.error is None
    assert not store.fell_back
    assert config.victron.battery_model_id == version
    assert config.mqtt.root_topic == f"boat/{version}/" + "x" * (1 + version % 150)
    return version


def test_kill_during_saves_never_loses_or_damages_the_configuration(tmp_path: Path) -> None:
    """After each of many kill -9 the file is exactly the version being saved or the one before it, never another."""
    path = tmp_path / "config.json"
    last, ended = run(path, 1, None)
    assert (last, ended, saved_version(path)) == (SAVES, True, SAVES)
    in_the_middle = 0
    for _ in range(KILLS):
        before = saved_version(path)
        last, ended = run(path, before + 1, random.randint(1, SAVES // 5))
        assert saved_version(path) in (last - 1, last)
        in_the_middle += not ended
    assert in_the_middle > 0, "kills must come while the child saves"
    assert saved_version(path) < 65_536


def test_leftovers_of_a_kill_do_not_pile_up(tmp_path: Path) -> None:
    """Beside the file there is its predecessor and at most one temporary file of each kind, whatever was killed."""
    path = tmp_path / "config.json"
    first = 1
    for _ in range(3):
        last, _ = run(path, first, 3)
        first = last + 1
    names = {each.name for each in tmp_path.iterdir()}
    assert names <= {"config.json", "config.json.bak", ".config.json.tmp", ".config.json.bak"}
    ConfigStore(FileStorage(path)).update({"victron": {"battery_model_id": 60_000}})
    assert {each.name for each in tmp_path.iterdir()} == {"config.json", "config.json.bak"}
