"""The program as a person meets it: a running bridge on a simulated BMS, and real Chromium before it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tinybms_lab.testing.chromium import FLAGS, chromium_path
from tinybms_lab.testing.running_bridge import WAIT_S, RunningBridge

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright for this kind of machine")

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright  # noqa: E402 -- after the look

ADMIN = ("anna", "correct horse battery")
VIEWER = ("guy", "staple correct horse")
ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"

expect.set_options(timeout=WAIT_S * 1000 / 2)


@pytest.fixture(scope="module")
def make_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningBridge]]:
    """Return a function that makes a bridge on a simulated BMS, not yet running: ``make_bridge({"cvl": ...})``."""
    made: list[RunningBridge] = []

    def make(changes: dict[str, Any] | None = None, *simulator: str) -> RunningBridge:
        made.append(RunningBridge.prepare(tmp_path_factory.mktemp("home"), changes, *simulator))
        return made[-1]

    yield make
    for bridge in made:
        bridge.end()


@pytest.fixture(scope="module")
def bridge(make_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    """A running bridge with an administrator ``ADMIN`` and a viewer ``VIEWER``."""
    made = make_bridge()
    made.add_user(*ADMIN, "admin")
    made.add_user(*VIEWER, "viewer")
    made.start()
    return made


@pytest.fixture(autouse=True)
def running(request: pytest.FixtureRequest) -> None:
    """Begin each test with the bridge of its file running: one that failed before it may have left it stopped."""
    if "bridge" in request.fixturenames:
        bridge: RunningBridge = request.getfixturevalue("bridge")
        if "run" in bridge.processes:
            bridge.wait_ready()
        else:
            bridge.start()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one file: its loop must have ended before a test that has a loop of its own."""
    program = chromium_path()
    if program is None:
        pytest.skip("no Chromium (Debian: chromium)")
    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=program, args=FLAGS)
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
def page(context: BrowserContext, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page of that browser. ``wait_for_function`` works at its first look only: our policy forbids ``eval``."""
    monkeypatch.delattr(Page, "wait_for_function")
    return context.new_page()


@pytest.fixture
def wait_for(page: Page) -> Callable[[Callable[[], object], str], None]:
    """Return a function that waits until something is true while the page goes on: what it asks is heard only then."""

    def wait_for(condition: Callable[[], object], what: str) -> None:
        end_s = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end_s, f"not within {WAIT_S:.0f} s: {what}"
            page.wait_for_timeout(20)

    return wait_for


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
