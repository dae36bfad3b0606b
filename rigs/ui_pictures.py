"""Pictures of every page for the documents: ``python -m rigs.ui_pictures [FOLDER]`` (``make screenshots``).

A demonstration (simulated BMS, GX, sun and house; a day in four minutes) runs for some minutes, so that its history has
something to show; Chromium sees each page light, dark, and on a telephone. Nothing in the pictures is made up.
"""

import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tinybms_lab.testing.chromium import FLAGS, chromium_path
from tinybms_lab.testing.running_bridge import RunningBridge, free_port

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "ui"
PAGES = {
    "overview": "/",
    "history": "/history?span=1h",
    **{name: f"/{name}" for name in ("settings", "bms", "diagnostics", "access")},
    "connections": "/settings/connections",
}
ADMIN = ("anna", "correct horse battery")
WARM_S = 480.0
"""Two days of the demonstration."""
SETTLED_MS = 4000
"""Charts are drawn and the first live values are there."""


@dataclass(frozen=True)
class Look:
    """One way to look at a page."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


LOOKS = (Look("light", 1280, 860, "light"), Look("dark", 1280, 860, "dark"), Look("phone", 390, 844, "light"))


def take(browser: Browser, bridge: RunningBridge, folder: Path) -> None:
    """Take all pictures."""
    for look in LOOKS:
        size: ViewportSize = {"width": look.width, "height": look.height}
        with contextlib.closing(
            browser.new_context(locale="en-GB", viewport=size, color_scheme=look.scheme)
        ) as context:
            page = context.new_page()
            body = {"username": ADMIN[0], "password": ADMIN[1]}
            page.request.post(f"{bridge.url}/api/login", data=body)
            for name, path in PAGES.items():
                page.goto(f"{bridge.url}{path}")
                page.wait_for_timeout(SETTLED_MS)
                target = folder / f"{name}-{look.name}.png"
                page.screenshot(path=target)
                print(f"{target.name}: {target.stat().st_size // 1000} kB")


def main(folder: Path = FOLDER) -> None:
    """Write every picture."""
    chromium = chromium_path()
    if chromium is None:
        sys.exit("no Chromium: sudo apt install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        bridge = RunningBridge(Path(name), free_port())
        try:
            bridge.begin("run", "demo", "--plain", "--web-port", str(bridge.port))
            bridge.wait_ready()
            (state,) = bridge.home.glob("tinybms-bridge-demo-*")
            words = ("users", "--state-directory", str(state), "add", ADMIN[0], "--role", "admin", "--password-stdin")
            bridge.call(*words, text=f"{ADMIN[1]}\n")
            print(f"the demonstration runs for {WARM_S / 60:.0f} minutes before")
            time.sleep(WARM_S)
            with sync_playwright() as started:
                browser = started.chromium.launch(executable_path=chromium, args=FLAGS)
                take(browser, bridge, folder)
                browser.close()
        finally:
            bridge.end()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
