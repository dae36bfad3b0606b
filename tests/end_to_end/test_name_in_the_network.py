"""The whole program on a network of its own: another machine finds the pages by name, while they are announced."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinybms_lab.testing.lan import Lan, LanMachine, why_no_lan

pytestmark = pytest.mark.skipif(bool(why_no_lan()), reason=why_no_lan())

PATIENCE_S = 120.0

RUN = """
import json, sys
from pathlib import Path
from tinybms_lab.testing.running_bridge import RunningBridge

bridge = RunningBridge.prepare(Path(sys.argv[1]), {"web_server": {"listen_address": ""}, "wifi": {"hostname": "boat"}})
try:
    bridge.start()
    print(json.dumps({"port": bridge.port, "config": str(bridge.config)}), flush=True)
    sys.stdin.read()
    bridge.stop()
finally:
    bridge.end()
"""
"""Ends with its input."""

FIND = """
import json, sys, time, urllib.request
from zeroconf import IPVersion, Zeroconf

own = Zeroconf(interfaces=[sys.argv[1]], ip_version=IPVersion.V4Only)
found = own.get_service_info(sys.argv[2], sys.argv[3], timeout=2000)
told = None
if found is not None:
    address = f"http://{found.parsed_addresses(IPVersion.V4Only)[0]}:{found.port}"
    services = json.load(urllib.request.urlopen(f"{address}/api/services", timeout=30))["services"]
    told = {
        "host": found.server,
        "properties": {key.decode(): value.decode() for key, value in found.properties.items()},
        "address": address,
        "service": next(each for each in services if each["name"] == "mdns"),
    }
print(json.dumps(told))
own.close()
"""
"""Asks as a machine that has heard nothing before."""


@pytest.fixture
def lan() -> Iterator[Lan]:
    """A switch."""
    with Lan() as lan:
        yield lan


def found_by(machine: LanMachine, address: str, *, there: bool) -> Any:
    """Return what another machine finds of the bridge; waits until it is there, or gone."""
    kind = "_tinybms-bridge._tcp.local."
    end_s = time.monotonic() + PATIENCE_S
    while True:
        found = json.loads(
            machine.call(sys.executable, "-c", FIND, address, kind, f"TinyBMS bridge (TinyBMS s516).{kind}")
        )
        if (found is not None) is there:
            return found
        assert time.monotonic() < end_s, found


def test_another_machine_finds_the_pages_by_name(lan: Lan, tmp_path: Path) -> None:
    """The name of the file, the port in use, the state as the API tells it; switched off in the file it is gone."""
    machine, other = lan.machine("10.9.0.1/24"), lan.machine("10.9.0.2/24")
    bridge = machine.begin(sys.executable, "-c", RUN, str(tmp_path), stderr=subprocess.DEVNULL)
    assert bridge.stdin is not None
    assert bridge.stdout is not None
    told = json.loads(bridge.stdout.readline())
    port = told["port"]
    found = found_by(other, "10.9.0.2", there=True)
    assert (found["host"], found["address"]) == ("boat.local.", f"http://10.9.0.1:{port}")
    assert set(found["properties"]) == {"path", "version"}
    assert found["service"]["condition"] == "working"
    assert found["service"]["where"] == f"http://boat.local:{port}/"
    config = Path(told["config"])
    config.write_text(json.dumps({**json.loads(config.read_text()), "mdns": {"enabled": False}}))
    found_by(other, "10.9.0.2", there=False)
    bridge.stdin.close()
    assert bridge.wait(PATIENCE_S) == 0
