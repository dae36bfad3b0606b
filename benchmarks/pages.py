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
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.heavy import full_state
from benchmarks.history import DAY_S, YEARS_10, filled_step, whole_day
from benchmarks.parts import Row, cpu_s, print_table
from playwright.sync_api import Browser, Page, WebSocketRoute, sync_playwright

from tinybms_bridge.services.history import HistorySettings
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.steps import Row as HistoryRow
from tinybms_lab.testing.chromium import FLAGS, chromium_path
from tinybms_lab.testing.running_bridge import RunningBridge

ROUNDS, WATCHED_S, CLICKS = 5, 20.0, 7
WATCH = """
  window.seen = {};
  const look = () => {
    if (!seen.shown && document.querySelector('[data-testid=headline]')?.textContent) seen.shown = performance.now();
    if (!seen.live && document.querySelector('[data-testid=icon-web].good')) seen.live = performance.now();
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
"""
"""Notes when the first value and the first live one stand on the page; run by the browser before the page's own."""

Took = tuple[float, float]
"""Milliseconds that somebody waited, and of processor time of page and services."""
UNTIL = """([button, place, condition]) => new Promise((found) => {
  const begun = performance.now();
  const holds = new Function('data', `return ${condition}`);
  const look = () => {
    const data = document.querySelector(`[data-testid=${place}]`)?.dataset;
    if (data && holds(data)) requestAnimationFrame(() => setTimeout(() => found(performance.now() - begun)));
    else requestAnimationFrame(look);
  };
  document.querySelector(button).click();
  look();
})"""
"""Clicks, and returns the milliseconds until what a place says of itself holds and is painted."""


def days_of_ten_years(folder: Path) -> None:
    """Add the records of the days before those that a full history has, up to ten years."""
    settings, end_s = HistorySettings(), int(time.time()) // DAY_S * DAY_S
    step = filled_step(end_s - DAY_S // 2).step
    packs = {name: replace(each, day=whole_day(each.day)) for name, each in step.packs.items()}
    day = replace(step, day=whole_day(step.day), packs=packs)
    rows = [HistoryRow(end_s - DAY_S * ago + DAY_S // 2, day) for ago in range(YEARS_10, settings.days[2], -1)]
    with closing(Database(folder, settings)) as file:
        for first in range(0, len(rows), 100):
            file.write(rows[first : first + 100])


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


def history_ms(browser: Browser, bridge: RunningBridge, pid: int) -> tuple[list[Took], list[Took]]:
    """Return how long a year's chart and ten years of day records take, from the click until they are drawn."""
    year: list[Took] = []
    days: list[Took] = []

    def click(page: Page, span: str, place: str, condition: str) -> Took:
        quiet(page)
        before_s = browser_cpu_s(pid) + cpu_s(bridge.services_pid)
        wall_ms = page.evaluate(UNTIL, [f"[data-testid=span-{span}]", place, condition])
        return wall_ms, 1000.0 * (browser_cpu_s(pid) + cpu_s(bridge.services_pid) - before_s)

    with visit(browser) as page:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{bridge.url}/history")
        page.locator("[data-testid=chart-power][data-step]:not([data-step='0'])").wait_for()
        for _ in range(CLICKS):
            year.append(click(page, "1y", "chart-power", "data.step > 20000"))
            click(page, "24h", "chart-power", "data.step > 0 && data.step < 1000")
        page.locator(".later").first.scroll_into_view_if_needed()
        page.get_by_test_id("records").scroll_into_view_if_needed()
        for _ in range(CLICKS):
            days.append(click(page, "10y", "records", "data.count > 3600"))
            click(page, "30d", "records", "data.count < 40")
    return year, days


def quiet(page: Page) -> None:
    """Wait until the history page has all that it asks for, and a little longer."""
    page.locator("[data-testid=charts][aria-busy=false]").wait_for()
    page.wait_for_timeout(500)


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
        year, days = history_ms(browser, bridge, own)
        rows.append(("a year's chart, from the click until it is drawn", told_ms(year), "300 ms"))
        rows.append(("ten years of day records, from the click until they are drawn", told_ms(days), "100 ms"))
        rows.append(("services, one view", f"{view_ms(browser, bridge.url, bridge.services_pid):.1f} ms", ""))
        browser.close()
    return rows


def told_ms(found: list[Took]) -> str:
    """Return the medians of some times, and the least that anyone waited."""
    wall, cpu = (statistics.median(each) for each in zip(*found, strict=True))
    return f"{wall:.0f} ms (best {min(found)[0]:.0f}), of page and services {cpu:.0f} ms of a core"


def main() -> None:
    """Measure and print."""
    chromium = chromium_path()
    if chromium is None:
        sys.exit("no Chromium: sudo apt install chromium")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        full_state(home / "state")
        days_of_ten_years(home / "state")
        bridge = RunningBridge.prepare(home)
        try:
            bridge.add_user("anna", "correct horse battery", "admin")  # without one the first start is shown
            bridge.start()
            print_table(measure(bridge, chromium))
        finally:
            bridge.end()


if __name__ == "__main__":
    main()
