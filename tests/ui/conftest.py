"""The program as a person meets it: a running bridge on a simulated BMS, and real Chromium before it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright for this kind of machine")

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright  # noqa: E402 -- after the look

WAIT_S = 120.0
"""Longer than anything takes on a machine that is busy with something else."""
ADMIN = ("anna", "correct horse battery")
VIEWER = ("guy", "staple correct horse")
ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

expect.set_options(timeout=WAIT_S * 1000 / 2)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until something is true; return it."""
    end_s = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < end_s, f"not within {WAIT_S:.0f} s: {what}"
        time.sleep(0.05)
    return found


@dataclass
class RunningBridge:
    """A simulated BMS and the whole program on it, in a home of their own."""

    home: Path
    port: int
    document: dict[str, Any] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.home / "config.json"

    def call(self, *words: str, text: str = "") -> str:
        """Run a command of the program to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "tinybms_bridge", *words],
            cwd=self.home,
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def begin(self, name: str, *words: str) -> None:
        """Start a command of the program; its words go to a file of its name."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "tinybms_bridge", *words],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start(self) -> None:
        """Start the program and wait until it sends limits made from fresh data."""
        self.begin("run", "run", "--plain", "-c", str(self.config))
        until(self._ready, "the bridge is ready")

    def stop(self) -> None:
        """End the program in order."""
        process = self.processes.pop("run")
        process.terminate()
        assert process.wait(WAIT_S) == 0

    def kill_services(self) -> None:
        """Kill the process of the web server; the core starts it again."""
        os.kill(self.services_pid, signal.SIGKILL)

    @property
    def services_pid(self) -> int:
        """The process of the web server."""
        core = self.processes["run"].pid
        children = Path(f"/proc/{core}/task/{core}/children").read_text().split()
        return next(int(each) for each in children if b"run-services" in Path(f"/proc/{each}/cmdline").read_bytes())

    def end(self) -> None:
        """End everything that was started."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def _environment(self) -> dict[str, str]:
        home = str(self.home)
        names = ("TINYBMS_BRIDGE_CONFIG", "TINYBMS_BRIDGE_SOCKET", "NOTIFY_SOCKET")
        kept = {name: value for name, value in os.environ.items() if name not in names}
        return {**kept, "HOME": home, "XDG_STATE_HOME": home, "TMPDIR": home, "TZ": "UTC"}

    def _ready(self) -> bool:
        assert self.processes["run"].poll() is None, (self.home / "run.log").read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def make_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningBridge]]:
    """Return a function that makes a bridge on a simulated BMS, not yet running: ``make_bridge({"cvl": ...})``."""
    made: list[RunningBridge] = []

    def make(changes: dict[str, Any] | None = None, *simulator: str) -> RunningBridge:
        home = tmp_path_factory.mktemp("home")
        bridge = RunningBridge(home, free_port())
        made.append(bridge)
        bms = home / "bms"
        bridge.begin("simulate", "simulate", "--link", str(bms), "--quiet", *(simulator or ("--profile", "idle")))
        until(bms.exists, "the simulated BMS is there")
        bridge.document = {
            "hardware": {"uart": {"device": str(bms)}, "can": {"interface": "virtual"}},
            "web_server": {"port": bridge.port, "listen_address": "127.0.0.1"},
            "advanced": {"state_directory": str(home / "state")},
            **(changes or {}),
        }
        bridge.config.write_text(json.dumps(bridge.document))
        return bridge

    yield make
    for bridge in made:
        bridge.end()


@pytest.fixture(scope="module")
def bridge(make_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    """A running bridge with an administrator ``ADMIN`` and a viewer ``VIEWER``."""
    made = make_bridge()
    for (name, password), role in ((ADMIN, "admin"), (VIEWER, "viewer")):
        words = ("users", "-c", str(made.config), "add", name, "--role", role, "--password-stdin")
        made.call(*words, text=f"{password}\n")
    made.start()
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one file: its loop must have ended before a test that has a loop of its own."""
    if not CHROMIUM:
        pytest.skip("no Chromium (Debian: chromium)")
    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a memory, in English; what a page logs as an error fails the test."""
    made = browser.new_context(locale="en-GB", timezone_id="UTC", viewport={"width": 1280, "height": 900})
    made.set_default_timeout(WAIT_S * 1000 / 2)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page of that browser."""
    return context.new_page()


@pytest.fixture
def admin() -> tuple[str, str]:
    """Name and password of the administrator."""
    return ADMIN


@pytest.fixture
def viewer() -> tuple[str, str]:
    """Name and password of who may only look."""
    return VIEWER


@pytest.fixture
def log_in(bridge: RunningBridge) -> Callable[..., None]:
    """Return a function that logs a page in through the API, as fast as that goes."""

    def log_in(page: Page, who: tuple[str, str] = ADMIN) -> None:
        body = {"username": who[0], "password": who[1]}
        answer = page.request.post(f"{bridge.url}/api/login", data=body)
        assert answer.ok, answer.text()

    return log_in


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe, from the packages that the pages are built with."""
    subprocess.run([sys.executable, str(ROOT / "scripts" / "ui.py"), "install"], check=True)
    return AXE.read_text()


@pytest.fixture
def violations(axe: str) -> Callable[[Page], list[str]]:
    """Return a function that asks axe what is wrong with a page for who sees, hears or points badly (WCAG 2.2 AA)."""

    def violations(page: Page) -> list[str]:
        page.evaluate(axe)
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
        nodes = [(each, node) for each in found["violations"] for node in each["nodes"]]
        return [f"{each['id']}: {each['help']}: {node['html'][:200]}" for each, node in nodes]

    return violations
