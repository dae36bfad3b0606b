"""What the browser pages cost: ``python -m benchmarks.pages``; needs Debian's Chromium.

Bytes of the first view and of everything; time to the first live value on loopback with a processor four times as slow,
and with 2 s of latency; processor time of the browser while the overview of 16 packs changes each second; processor
time of the server for one view; a chart of a year and ten years of day records from the click until they are drawn.
"""

import contextlib
import copy
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.heavy import full_state
from benchmarks.parts import Row, cpu_s, print_table
from playwright.sync_api import Browser, Page, WebSocketRoute, sync_playwright

from tinybms_lab.testing.chromium import FLAGS, chromium_path
from tinybms_lab.testing.running_bridge import RunningBridge

ROUNDS, WATCHED_S = 5, 20.0
WATCH = """
  window.seen = {};
  const look = () => {
    if (!seen.shown && document.querySelector('[data-testid=headline]')?.textContent) seen.shown = performance.now();
    if (!seen.live && document.querySelector('[data-testid=icon-web].good')) seen.live = performance.now();
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
"""
"""Notes when the first value and the first live one stand on the page; run by the browser before the page's own."""


@contextlib.contextmanager
def visit(browser: Browser, *, slow: int = 1, latency_ms: float = 0.0) -> Iterator[Page]:
    """Give a page of a browser that knows nothing yet."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slow})
    if latency_ms:
        session.send("Network.enable")
        conditions = {"offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
        session.send("Network.emulateNetworkConditions", conditions)
    try:
        yield page
    finally:
        context.close()


def first_values_ms(browser: Browser, url: str, **options: Any) -> tuple[float, float]:  # noqa: ANN401 -- of visit
    """Return when the first value and the first live one were shown, from the navigation on."""
    with visit(browser, **options) as page:
        page.add_init_script(WATCH)
        page.goto(url, wait_until="commit", timeout=60_000)
        while "live" not in (seen := page.evaluate("window.seen ?? {}")):
            page.wait_for_timeout(50)
    shown, live = seen["shown"], seen["live"]
    return shown, live


def transferred(browser: Browser, url: str) -> dict[str, int]:
    """Return the bytes of each answer of the first view, as they went over the line."""
    found: dict[str, int] = {}
    with visit(browser) as page:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        names: dict[str, str] = {}
        session.on(
            "Network.responseReceived", lambda event: names.update({event["requestId"]: event["response"]["url"]})
        )
        session.on(
            "Network.loadingFinished",
            lambda event: found.update({names.get(event["requestId"], "?"): round(event["encodedDataLength"])}),
        )
        page.goto(url, wait_until="networkidle")
    return found


def browser_cpu_s(pid: int) -> float:
    """Return the processor time of the processes of Chromium below one: what drives them does not count."""
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    own_s = sum(cpu_s(each) for each in children if b"chromium" in Path(f"/proc/{each}/cmdline").read_bytes()[:80])
    return own_s + sum(browser_cpu_s(each) for each in children)


def watching_percent(browser: Browser, url: str, pid: int, packs: int) -> float:
    """Return the share of a core that the browser takes for the overview, which changes each second."""
    with visit(browser) as page:
        state = page.request.get(f"{url}/api/overview").json()
        (pack,) = state["packs"].values()
        state["packs"] = {f"p{number:02}": copy.deepcopy(pack) for number in range(packs)}

        def answer(socket: WebSocketRoute) -> None:
            sockets.append(socket)

        sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/ws", answer)
        page.goto(url)
        used_s, begun_s = 0.0, 0.0
        for second in range(int(WATCHED_S) + 3):
            if second == 3:
                used_s, begun_s = browser_cpu_s(pid), time.monotonic()
            for each in state["packs"].values():
                each["cells_mv"] = [cell + (second + place) % 3 - 1 for place, cell in enumerate(pack["cells_mv"])]
            sockets[-1].send(json.dumps({"topic": "overview", **state}))
            page.wait_for_timeout(1000)
        return 100.0 * (browser_cpu_s(pid) - used_s) / (time.monotonic() - begun_s)


def view_ms(browser: Browser, url: str, pid: int) -> float:
    """Return the processor time of the services for one view with all its files and ten seconds of live data less."""
    before_s = cpu_s(pid)
    for _ in range(20):
        with visit(browser) as page:
            page.goto(url, wait_until="networkidle")
    return 1000.0 * (cpu_s(pid) - before_s) / 20


def measure(bridge: RunningBridge, chromium: str) -> list[Row]:
    """Return the figures."""
    rows: list[Row] = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=FLAGS)
        own = os.getpid()
        found = transferred(browser, bridge.url)
        rows.append(("first view, bytes on the line", f"{sum(found.values())}", "60 KB of files"))
        plain = [first_values_ms(browser, bridge.url, slow=4) for _ in range(ROUNDS)]
        rows.append(
            ("first value, processor 4 times as slow", f"{statistics.median(a for a, _ in plain):.0f} ms", "1500 ms")
        )
        rows.append(("first message of the live data", f"{statistics.median(b for _, b in plain):.0f} ms", ""))
        far = first_values_ms(browser, bridge.url, latency_ms=2000.0)
        rows.append(("first value, 2 s of latency", f"{far[0] / 1000:.1f} s", "3 round trips"))
        for packs in (1, 16):
            share = watching_percent(browser, bridge.url, own, packs)
            rows.append((f"browser, overview of {packs} packs at 1 Hz", f"{share:.1f} % of a core", "5 %"))
        rows.append(("services, one view", f"{view_ms(browser, bridge.url, bridge.services_pid):.1f} ms", ""))
        browser.close()
    return rows


def main() -> None:
    """Measure and print."""
    chromium = chromium_path()
    if chromium is None:
        sys.exit("no Chromium: sudo apt install chromium")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        full_state(home / "state")
        bridge = RunningBridge.prepare(home)
        try:
            bridge.add_user("anna", "correct horse battery", "admin")  # without one the first start is shown
            bridge.start()
            print_table(measure(bridge, chromium))
        finally:
            bridge.end()


if __name__ == "__main__":
    main()
