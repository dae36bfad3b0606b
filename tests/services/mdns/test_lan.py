"""Bridges on real interfaces, seen by python-zeroconf and Avahi in processes of their own; nothing leaves this machine.

The machines are network namespaces (``tinybms_lab.testing.lan``).
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tinybms_lab.testing.lan import Lan, LanMachine, why_no_lan

HERE = Path(__file__).parent
PATIENCE_S = 90.0
"""Longer than anything takes on a machine that is busy with something else."""

on_a_lan = pytest.mark.skipif(bool(why_no_lan()), reason=why_no_lan())
beside_avahi = pytest.mark.skipif(shutil.which("avahi-daemon") is None, reason="there is no avahi-daemon")


class Program:
    """A program that answers in lines of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._drain, daemon=True).start()

    def ask(self, line: str) -> Any:
        """Send a line and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> Any:
        """Return the next line. Raises queue.Empty when none comes."""
        line = self._lines.get(timeout=PATIENCE_S)
        assert line, "the program has ended"
        return json.loads(line)

    def end(self) -> None:
        """Let it end in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0

    def _drain(self) -> None:
        assert self.process.stdout is not None
        with suppress(ValueError):  # closed with the machine
            for line in self.process.stdout:
                self._lines.put(line)
        self._lines.put("")


class Bridge(Program):
    """What announces a bridge."""

    def works_as(self, where: str) -> None:
        """Wait until it says that it works under this address."""
        self.until(lambda state: (state["condition"], state["where"]) == ("working", where))

    def until(self, condition: Callable[[Any], bool]) -> None:
        """Wait for a state."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition(self.read()):
            assert time.monotonic() < end_s, "it did not come to that"

    def test(self) -> Any:
        """Have it look itself up."""
        answer = self.ask("test")
        while "success" not in answer:
            answer = self.read()
        return answer


class Seeker(Program):
    """What looks bridges up."""

    def until(self, hosts: str, condition: Callable[[Any], bool]) -> Any:
        """Look until something is found, and return all that is."""
        end_s, found = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < end_s:
            found = self.ask(hosts)
            if condition(found):
                return found
        raise AssertionError(f"still found: {found}")


def agent(instance: str = "TinyBMS bridge (House)", host: str = "tinybms-bridge", port: int = 8080) -> list[str]:
    """Return the command that announces a bridge."""
    return [sys.executable, str(HERE / "agent.py"), host, instance, str(port)]


def bridge_on(machine: LanMachine, **names: Any) -> Bridge:
    """Start to announce a bridge."""
    return Bridge(machine.begin(*agent(**names), stderr=subprocess.DEVNULL))


def seeker_on(lan: Lan, address: str) -> Seeker:
    """Start what looks bridges up, on a machine of its own."""
    return Seeker(lan.machine(f"{address}/24").begin(sys.executable, str(HERE / "seeker.py"), address))


@pytest.fixture
def lan() -> Iterator[Lan]:
    """A switch."""
    with Lan() as lan:
        yield lan


def test_a_second_process_sees_it_on_the_loopback_interface() -> None:
    """Host, both services with port and address, its own view of itself; and nothing of it after its end."""
    name = f"bridge-{os.getpid()}"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [*agent(instance=name, host=name, port=8123), "lo"]
    seek = [sys.executable, str(HERE / "seeker.py"), "127.0.0.1"]
    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL, **pipes) as one,
        subprocess.Popen(seek, **pipes) as other,
    ):
        bridge, seeker = Bridge(one), Seeker(other)
        bridge.works_as(f"http://{name}.local:8123/")
        found = seeker.until(name, lambda found: found["hosts"][name] and len(ours(found, name)) == 2)
        assert found["hosts"] == {name: ["127.0.0.1"]}
        assert ours(found, name) == {
            f"{name}.{kind}._tcp.local.": [f"{name}.local.", 8123, ["127.0.0.1"]]
            for kind in ("_http", "_tinybms-bridge")
        }
        assert bridge.test() == {
            "success": True,
            "text": f"{name}.local is seen in the network: 127.0.0.1, port 8123",
        }
        bridge.end()
        seeker.until(name, lambda found: not found["hosts"][name] and not ours(found, name))
        seeker.end()


def ours(found: Any, name: str) -> Any:
    """Return the services of one name: other tests may announce some at the same time."""
    return {each: told for each, told in found["services"].items() if each.startswith(name)}


@on_a_lan
def test_two_bridges_with_one_name_are_both_found(lan: Lan) -> None:
    """The second one under a number, which it shows; when the first one ends, its name is free."""
    first = bridge_on(lan.machine("10.9.0.1/24"))
    first.works_as("http://tinybms-bridge.local:8080/")
    second = bridge_on(lan.machine("10.9.0.2/24"), port=8081)
    second.works_as("http://tinybms-bridge-2.local:8081/")
    seeker = seeker_on(lan, "10.9.0.3")
    both = {"tinybms-bridge": ["10.9.0.1"], "tinybms-bridge-2": ["10.9.0.2"]}
    seeker.until("tinybms-bridge tinybms-bridge-2", lambda found: found["hosts"] == both)
    found = seeker.until("tinybms-bridge", lambda found: len(found["services"]) == 4)
    assert found["services"]["TinyBMS bridge (House) (2)._http._tcp.local."] == [
        "tinybms-bridge-2.local.",
        8081,
        ["10.9.0.2"],
    ]
    first.end()
    only = {"tinybms-bridge": [], "tinybms-bridge-2": ["10.9.0.2"]}
    seeker.until("tinybms-bridge tinybms-bridge-2", lambda found: found["hosts"] == only)


@on_a_lan
def test_interfaces_come_and_go(lan: Lan) -> None:
    """No network at the start, a cable that is pulled, an interface that is gone and comes back otherwise."""
    seeker = seeker_on(lan, "10.9.0.3")
    machine = lan.machine()
    machine.configure("link", "delete", "eth0")
    bridge = bridge_on(machine)
    bridge.until(lambda state: state["condition"] == "trouble")
    port = lan.plug(machine, "eth0", "10.9.0.1/24")
    bridge.works_as("http://tinybms-bridge.local:8080/")
    seeker.until("tinybms-bridge", lambda found: found["hosts"] == {"tinybms-bridge": ["10.9.0.1"]})
    lan.cable(port, plugged=False)
    bridge.until(lambda state: state["condition"] == "trouble")
    lan.cable(port, plugged=True)
    bridge.until(lambda state: state["condition"] == "working")
    seeker.until("tinybms-bridge", lambda found: found["hosts"] == {"tinybms-bridge": ["10.9.0.1"]})
    machine.configure("link", "delete", "eth0")
    bridge.until(lambda state: state["condition"] == "trouble")
    lan.plug(machine, "usb0", "10.9.0.7/24")
    bridge.until(lambda state: state["condition"] == "working")
    seeker.until("tinybms-bridge", lambda found: found["hosts"] == {"tinybms-bridge": ["10.9.0.7"]})


@on_a_lan
def test_each_network_is_told_its_own_address(lan: Lan) -> None:
    """A bridge between two networks, of which neither reaches the addresses of the other."""
    with Lan() as other:
        machine = lan.machine("10.9.0.1/24")
        other.plug(machine, "eth1", "10.8.0.1/24")
        bridge = bridge_on(machine)
        bridge.works_as("http://tinybms-bridge.local:8080/")
        for network, own in ((lan, "10.9.0"), (other, "10.8.0")):
            seeker = seeker_on(network, f"{own}.3")
            only = {"tinybms-bridge": [f"{own}.1"]}
            seeker.until("tinybms-bridge", partial(told_exactly, only))
        assert bridge.test()["success"]


def told_exactly(hosts: dict[str, list[str]], found: Any) -> bool:
    """Tell whether these hosts were found, and no other address of them."""
    return bool(found["hosts"] == hosts)


class Avahi:
    """A real Avahi on a machine of the network, with a runtime directory of its own."""

    def __init__(self, machine: LanMachine, folder: Path, host: str) -> None:
        self.log = folder / f"avahi-{id(self)}.log"
        config = folder / f"avahi-{id(self)}.conf"
        config.write_text(f"[server]\nhost-name={host}\nenable-dbus=no\n[wide-area]\nenable-wide-area=no\n")
        words = f"mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec avahi-daemon -f {config}"
        options = "--no-drop-root --no-chroot --no-rlimits --no-proc-title"
        with self.log.open("w") as log:
            self.process = machine.begin("unshare", "--mount", "sh", "-c", f"{words} {options}", stderr=log)

    def ready(self) -> str:
        """Wait until it has its name, and return that."""
        end_s = time.monotonic() + PATIENCE_S
        while "Server startup complete. Host name is " not in (text := self.log.read_text()):
            assert self.process.poll() is None, text
            assert time.monotonic() < end_s, text
            time.sleep(0.05)
        return text.rpartition("Host name is ")[2].partition(".local")[0]

    def end(self) -> None:
        """Let it end in order."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@on_a_lan
@beside_avahi
def test_beside_an_avahi_of_the_same_name_on_one_machine(lan: Lan, tmp_path: Path) -> None:
    """The machine is called tinybms-bridge: both live with that, whoever starts first, and the name outlives Avahi."""
    machine = lan.machine("10.9.0.1/24")
    seeker = seeker_on(lan, "10.9.0.3")
    avahi = Avahi(machine, tmp_path, "tinybms-bridge")
    assert avahi.ready() == "tinybms-bridge"
    bridge = bridge_on(machine)
    bridge.works_as("http://tinybms-bridge.local:8080/")
    whole = {"tinybms-bridge": ["10.9.0.1"], "tinybms-bridge-2": []}
    seeker.until("tinybms-bridge tinybms-bridge-2", lambda found: found["hosts"] == whole and found["services"])
    avahi.end()
    seeker.until("tinybms-bridge tinybms-bridge-2", lambda found: found["hosts"] == whole and found["services"])
    later = Avahi(machine, tmp_path, "tinybms-bridge")
    assert later.ready() == "tinybms-bridge"
    seeker.until("tinybms-bridge tinybms-bridge-2", lambda found: found["hosts"] == whole and found["services"])
    assert "conflict" not in avahi.log.read_text() + later.log.read_text()
    bridge.end()
    seeker.until("tinybms-bridge", lambda found: found["hosts"]["tinybms-bridge"] and not found["services"])


@on_a_lan
@beside_avahi
def test_an_avahi_on_another_machine_and_a_bridge_respect_each_other(lan: Lan, tmp_path: Path) -> None:
    """Who was there first keeps the name, the bridge against Avahi and Avahi against a bridge."""
    first = bridge_on(lan.machine("10.9.0.1/24"))
    first.works_as("http://tinybms-bridge.local:8080/")
    avahi = Avahi(lan.machine("10.9.0.2/24"), tmp_path, "tinybms-bridge")
    assert avahi.ready() == "tinybms-bridge-2"
    second = bridge_on(lan.machine("10.9.0.3/24"))
    second.works_as("http://tinybms-bridge-3.local:8080/")
    seeker = seeker_on(lan, "10.9.0.4")
    hosts = {"tinybms-bridge": ["10.9.0.1"], "tinybms-bridge-2": ["10.9.0.2"], "tinybms-bridge-3": ["10.9.0.3"]}
    seeker.until(" ".join(hosts), lambda found: found["hosts"] == hosts)
