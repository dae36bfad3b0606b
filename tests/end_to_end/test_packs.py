"""The whole program on four simulated BMS in parallel: all are seen, one is pulled and put back while it runs."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinybms_lab.testing.running_bridge import RunningBridge, free_port, until

NAMES = "abcd"
LOAD = "3600:-120"
"""Of the battery: every pack discharges more than its BMS reads as none."""


class Packs:
    """Four simulated packs and the bridge on them."""

    def __init__(self, home: Path) -> None:
        self.ports = home / "packs"
        self.bridge = RunningBridge(home, free_port())
        words = ("--packs", "4", "--link", str(self.ports), "--profile", LOAD, "--quiet")
        self.bridge.begin("simulate", "simulate", *words)
        until(lambda: all((self.ports / name).exists() for name in NAMES), "four ports are there")
        self.bridge.document = {
            "packs": {name: {"uart": {"device": str(self.ports / name)}} for name in NAMES},
            "hardware": {"can": {"interface": "virtual"}},
            "web_server": {"port": self.bridge.port, "listen_address": "127.0.0.1"},
            "advanced": {"state_directory": str(home / "state")},
        }
        self.bridge.config.write_text(json.dumps(self.bridge.document))
        self._socket = str(home / "state" / "core.sock")

    @property
    def battery(self) -> dict[str, Any]:
        """What the core tells of the battery."""
        words = ("status", "--socket", self._socket, "--json")
        told = json.loads(self.bridge.call(*words, good=(0, 1)))  # 1: told all the same, but not fresh at the moment
        battery: dict[str, Any] = told["battery"]
        return battery

    def until(self, conditions: list[str], **above_a: float) -> dict[str, Any]:
        """Wait until each pack has its part, and return what the core tells then: a moment later it may be other.

        The data is fresh, and limits that are named are above a value.
        """
        told: dict[str, Any] = {}

        def as_wanted() -> bool:
            told.clear()
            told.update(self.battery)
            limits = told["decided"] or dict.fromkeys(above_a, 0.0)
            allowed = all(limits[name] > least_a for name, least_a in above_a.items())
            fresh = told["freshness"] == "FRESH"
            return fresh and allowed and [pack["condition"] for pack in told["packs"].values()] == conditions

        until(as_wanted, f"the packs are {', '.join(conditions)}")
        return told

    def say(self, words: str) -> None:
        """Give the simulator a word."""
        (self.ports / "control").write_text(f"{words}\n")

    def log(self, name: str) -> str:
        """Return what a process has told."""
        return (self.bridge.home / f"{name}.log").read_text()


@pytest.fixture
def packs(tmp_path: Path) -> Iterator[Packs]:
    """Four packs and a bridge that sends limits made from fresh data."""
    packs = Packs(tmp_path)
    try:
        packs.bridge.start()
        yield packs
    finally:
        packs.bridge.end()


def current_a(pack: dict[str, Any]) -> float:
    """Return what a pack last told of its current."""
    value: float = pack["latest"]["pack"]["current_a"]
    return value


def test_one_of_four_packs_is_pulled_and_comes_back(packs: Packs) -> None:
    """Seen, silent, seen again: the others carry its part, charging waits, and DCL is never 0."""
    whole = packs.until(["in_use"] * 4, dcl_a=450.0)  # more than three of them give, and no more on its way up
    units = {pack["identity"]["serial_number"] for pack in whole["packs"].values()}
    before_dcl_a = whole["decided"]["dcl_a"]

    assert len(units) == 4
    assert sum(current_a(pack) for pack in whole["packs"].values()) == pytest.approx(-120.0, abs=15.0)

    packs.say("pull b")
    three = packs.until(["in_use", "silent", "in_use", "in_use"])
    others_a = sum(current_a(pack) for name, pack in three["packs"].items() if name != "b")

    assert others_a == pytest.approx(-120.0, abs=15.0)
    assert 0.0 < three["decided"]["dcl_a"] <= before_dcl_a
    assert three["decided"]["ccl_a"] == 0.0

    packs.say("plug b")
    packs.until(["in_use"] * 4, ccl_a=0.0)

    assert "Traceback" not in packs.log("run") + packs.log("simulate")


def test_a_silent_pack_is_told_from_one_that_is_gone(packs: Packs) -> None:
    """Its data alone is unplugged: it still carries its part, which the other three do not have."""
    packs.until(["in_use"] * 4)
    packs.say("silence d")
    seen = packs.until(["in_use", "in_use", "in_use", "silent"])["packs"]

    assert sum(current_a(seen[name]) for name in "abc") == pytest.approx(-90.0, abs=15.0)


def test_the_simulator_ends_with_its_packs(packs: Packs) -> None:
    """SIGTERM unplugs all of them: the bridge sees no pack any more, and says so."""
    packs.until(["in_use"] * 4)
    simulator = packs.bridge.processes["simulate"]
    simulator.send_signal(signal.SIGTERM)

    assert simulator.wait(60.0) == 0
    until(lambda: all(f"pack {name}: BMS link down" in packs.log("run") for name in NAMES), "four links are down")
    assert "Traceback" not in packs.log("run") + packs.log("simulate")
