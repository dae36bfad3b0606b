"""What ``make test`` installs for the tests: once, and without leaving a service of the machine behind."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "system-packages.sh"
APT = """
echo "apt-get $*" >> "$HOME/called"
[ "$1" = install ] && touch "$UNITS/prometheus.service" "$UNITS/prometheus-node-exporter.service"
exit "${APT_EXIT:-0}"
"""


class Machine:
    """A machine whose commands only note that they were called."""

    def __init__(self, home: Path) -> None:
        self.home, self.units, self.bin = home, home / "units", home / "bin"
        self.units.mkdir()
        self.bin.mkdir()
        self.put("apt-get", APT)
        self.put("systemctl", 'echo "systemctl $*" >> "$HOME/called"')
        self.put("id", "echo 0")

    def put(self, name: str, text: str) -> None:
        """Make a command."""
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def run(self, *pairs: str, **environment: str) -> tuple[list[str], str]:
        """Return what was called, and what was said."""
        env = {"PATH": f"{self.bin}:{os.defpath}", "HOME": str(self.home), "UNITS": str(self.units), **environment}
        done = subprocess.run(["sh", str(SCRIPT), *pairs], env=env, capture_output=True, text=True, check=True)
        called = self.home / "called"
        return called.read_text().splitlines() if called.exists() else [], done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which nothing of it is installed."""
    return Machine(tmp_path)


PAIRS = ("no-such-promtool:prometheus", "no-such-prometheus:prometheus", "no-such-poll:mbpoll", "sh:dash")


def test_what_is_missing_is_installed_once(machine: Machine) -> None:
    """Two commands of one package are one package; what is there is left alone."""
    called, said = machine.run(*PAIRS)
    assert [each for each in called if each.startswith("apt-get install")] == [
        "apt-get install -y -qq prometheus mbpoll"
    ]
    assert "Installing for the tests: prometheus mbpoll" in said


def test_a_service_that_came_with_it_is_stopped(machine: Machine) -> None:
    """Now and at the next start of the machine: nobody asked for a Prometheus server at port 9090."""
    called, _ = machine.run(*PAIRS)
    assert [each for each in called if each.startswith("systemctl")] == [
        "systemctl disable prometheus.service",
        "systemctl stop prometheus.service",
        "systemctl disable prometheus-node-exporter.service",
        "systemctl stop prometheus-node-exporter.service",
    ]


def test_a_service_that_was_there_is_left_alone(machine: Machine) -> None:
    """Somebody watches this machine with it."""
    (machine.units / "prometheus-node-exporter.service").touch()
    called, _ = machine.run(*PAIRS)
    assert [each for each in called if "node-exporter" in each] == []
    assert "systemctl stop prometheus.service" in called


def test_what_is_there_costs_nothing(machine: Machine) -> None:
    """Neither network nor rights."""
    assert machine.run("sh:dash") == ([], "")


def test_where_it_cannot_be_installed_the_command_is_told(machine: Machine) -> None:
    """Without network, without root: those tests are skipped, and none fails."""
    called, said = machine.run(*PAIRS, APT_EXIT="1")
    assert "Some tests are skipped. To run them too: sudo apt install prometheus mbpoll" in said
    assert [each for each in called if each.startswith("systemctl")] == []
