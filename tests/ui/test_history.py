"""The page of the history, in real Chromium before a running bridge that has recorded a day."""

import csv
import io
import math
import re
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState, Limits
from tinybms_bridge.battery.snapshot import Cells, PackValues, Ratings, Snapshot, Temperatures
from tinybms_bridge.services.history import HistorySettings
from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.fields import COUNTERS
from tinybms_bridge.services.history.steps import Row, StepBuilder

RATINGS = Ratings(16, 3.6, 2.8, 3.75, 2.5, 100.0, 100.0, None, 60.0, 0.0, 280.0)
MINUTES = 26 * 60
GAP = range(12 * 60, 13 * 60)
"""Minutes before now that were not recorded."""


ACCENT = {"light": "11,98,196", "dark": "109,179,255"}
"""The colour of a line, as the tokens have it."""
HAS_COLOUR = """(canvas, colour) => new Promise(found => {
  const look = () => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] === 255 && data.slice(at, at + 3).join() === colour) return found();
    }
    requestAnimationFrame(look);
  };
  look();
})"""
"""Resolves when something on a canvas has a colour."""


def minute(start_s: int) -> Row:
    """Return what was recorded in a minute of a sunny day."""
    wave = math.sin(start_s / 7000)
    pack = PackValues(52.8 + wave, 40.0 * wave, 50.0 + 30.0 * wave)
    builder = StepBuilder()
    builder.note_freshness(Freshness.FRESH)
    for number in range(4):
        cells = Cells(tuple(3.3 + 0.002 * cell for cell in range(16)))
        builder.add_sample(Snapshot(number, 2.0 * number, pack, cells, Temperatures(25.0, 21.0, 20.0), RATINGS))
    builder.add_second(Limits(56.0, 90.0, 120.0, 44.0, ChargeState.BULK, Freshness.FRESH), [12.0])
    return Row(start_s, builder.finish([1 for _ in COUNTERS]))


def fill(state: Path) -> None:
    """Write a day with a gap."""
    now_s = int(time.time()) // 60 * 60
    rows = [minute(now_s - 60 * ago) for ago in range(MINUTES, 1, -1) if ago not in GAP]
    state.mkdir()
    with closing(Database(state, HistorySettings())) as file:
        file.write(rows)


@pytest.fixture(scope="module")
def bridge(make_bridge: Callable[..., Any]) -> Any:
    """A running bridge with the history of a day."""
    made = make_bridge()
    fill(made.home / "state")
    made.start()
    return made


def drawn(page: Page, name: str = "power") -> Locator:
    """Return a chart once it is drawn."""
    chart = page.get_by_test_id(f"chart-{name}")
    chart.scroll_into_view_if_needed()
    expect(chart).to_have_attribute("data-drawn", re.compile(r"\d"))
    return chart


def settled(page: Page) -> None:
    """Wait until everything in view is there."""
    expect(page.get_by_test_id("charts")).to_have_attribute("aria-busy", "false")


def asked(page: Page, before: str) -> tuple[float, float]:
    """Return the time that the address asks for, once it is another one than before and drawn."""
    page.wait_for_url(lambda url: url != before and "from=" in url)
    query = parse_qs(urlsplit(page.url).query)
    begin, end = (datetime.fromisoformat(query[each][0]).timestamp() for each in ("from", "to"))
    expect(page.get_by_test_id("chart-power")).to_have_attribute("data-drawn", f"{begin:.0f}-{end:.0f}")
    return begin, end


def test_the_chart_the_table_and_the_file_say_the_same(bridge: Any, page: Page) -> None:
    """Of a day: lines are on the canvas, and each number of the table is the one of the CSV; in light and in dark."""
    page.goto(f"{bridge.url}/history?charts=power,voltage")
    chart = drawn(page)
    settled(page)

    chart.locator("canvas").evaluate(HAS_COLOUR, ACCENT["light"])
    page.emulate_media(color_scheme="dark")
    chart.locator("canvas").evaluate(HAS_COLOUR, ACCENT["dark"])
    assert "on average" in chart.locator("figcaption").inner_text()

    chart.get_by_text("Show as a table").click()
    expect(chart.locator("tbody tr")).to_have_count(40)  # a table is drawn when it is opened
    cells = [row.locator("td").all_inner_texts() for row in chart.locator("tbody tr").all()]
    address = page.get_by_test_id("csv").get_attribute("href")
    lines = list(csv.DictReader(io.StringIO(page.request.get(f"{bridge.url}{address}").text())))
    known = [line for line in lines if line["power_w.mean"]]
    stored = [[float(line[f"power_w.{each}"]) for each in ("mean", "min", "max")] for line in known]
    told = [[float(each.replace(",", "")) for each in row] for row in cells]
    missing = [row for row in told if not any(row == pytest.approx(line, rel=0.0, abs=0.51) for line in stored)]
    assert len(missing) <= 3, "but for what came since, every row is in the file, rounded to whole watts"
    hours = {line["time"][:13] for line in known}
    assert 23 <= len(hours) <= 26


def test_keys_and_mouse_choose_another_time(bridge: Any, page: Page) -> None:
    """The cursor tells a step; + and − zoom, Page up goes back, a drag looks closer; the address keeps it."""
    page.goto(f"{bridge.url}/history?span=24h")
    chart = drawn(page)
    settled(page)
    cursor = chart.get_by_role("slider")
    cursor.focus()
    page.keyboard.press("Home")
    expect(cursor).to_have_attribute("aria-valuetext", re.compile(r"Power [-−]?[\d,]+\sW"))
    first = cursor.get_attribute("aria-valuetext") or ""
    page.keyboard.press("ArrowRight")
    expect(cursor).not_to_have_attribute("aria-valuetext", first)
    other = page.get_by_test_id("chart-soc").get_by_test_id("values")
    expect(other).not_to_contain_text("latest")

    address = page.url
    page.keyboard.press("+")
    begin, end = asked(page, address)
    assert end - begin == pytest.approx(12 * 3600, abs=2.0)
    address = page.url
    page.keyboard.press("-")
    begin, end = asked(page, address)
    assert end - begin == pytest.approx(24 * 3600, abs=4.0)
    address = page.url
    page.keyboard.press("PageUp")
    assert asked(page, address)[0] < begin
    page.keyboard.press("Escape")
    expect(chart.get_by_test_id("values")).to_contain_text("latest")

    page.get_by_test_id("span-6h").click()
    expect(page.get_by_test_id("span-6h")).to_have_attribute("aria-pressed", "true")
    settled(page)
    address = page.url
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50, steps=4)
    page.mouse.up()
    begin, end = asked(page, address)
    assert end - begin == pytest.approx(6 * 3600 / 4, rel=0.05)
    address = page.url
    page.reload()
    drawn(page)
    assert page.url == address
    assert asked(page, "") == (begin, end)


def test_ten_years_are_there_before_all_their_days(bridge: Any, page: Page) -> None:
    """Months are drawn and the newest days stand in the table while the answer with every day is still on its way."""
    page.goto(f"{bridge.url}/history")
    settled(page)
    page.locator(".later").first.scroll_into_view_if_needed()
    records = page.get_by_test_id("records")
    expect(records).to_have_attribute("data-count", re.compile("[2-9]"))
    settled(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        if float(query["to"][0]) - float(query["from"][0]) > 366 * 86_400:
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/history/days*", hold)
    page.get_by_test_id("span-10y").evaluate("button => button.click()")  # without scrolling to it
    expect(records).to_contain_text(re.compile(r"In \d+ months?: "))
    expect(records).to_have_attribute("data-count", re.compile("[2-9]"))
    expect(records.locator("tbody tr").first).to_contain_text("(cell 16)")
    expect(page.get_by_test_id("charts")).to_have_attribute("aria-busy", "true")
    for route in held:
        route.continue_()
    settled(page)
    expect(records).to_contain_text(re.compile(r"In \d+ months?: "))
    expect(records.locator("tbody tr").first).to_contain_text("(cell 16)")


def test_records_and_counters_of_the_same_time(bridge: Any, page: Page) -> None:
    """Below the charts: energy and record of each day, by month too, and what was counted."""
    page.goto(f"{bridge.url}/history?charts=power")
    drawn(page)
    page.get_by_test_id("counters").or_(page.get_by_text("Loading …").last).first.scroll_into_view_if_needed()
    page.keyboard.press("End")
    counters = page.get_by_test_id("counters")
    expect(counters.get_by_role("row").filter(has_text="Requests to the BMS")).to_contain_text(re.compile(r"\d{2,}"))

    records = page.get_by_test_id("records")
    expect(records).to_have_attribute("data-count", re.compile("[2-9]"))
    expect(records.locator("tbody tr").first).to_contain_text("(cell 16)")
    records.get_by_role("button", name="By month").click()
    page.wait_for_url(re.compile("by=month"))
    expect(records).to_have_attribute("data-count", re.compile("[12]"))


def test_it_is_clean_in_french_on_a_dark_phone(
    bridge: Any, browser: Browser, violations: Callable[[Page], list[str]]
) -> None:
    """No sentence is left in English, nothing is wider than the phone, and axe finds nothing."""
    context = browser.new_context(
        locale="fr-FR", color_scheme="dark", viewport={"width": 360, "height": 740}, timezone_id="UTC"
    )
    page = context.new_page()
    page.goto(f"{bridge.url}/history")
    drawn(page)
    settled(page)
    page.keyboard.press("End")
    expect(page.get_by_test_id("counters")).to_be_visible()

    expect(page.get_by_role("heading", name="Historique")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []
    context.close()


def test_plain_words_while_there_is_nothing_to_show(bridge: Any, page: Page) -> None:
    """Nothing recorded yet, switched off, and a database that cannot be read."""

    def nothing(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        levels = [{**level, "rows": 0, "oldest": None, "newest": None} for level in found["levels"]]
        route.fulfill(response=answer, json={**found, "enabled": False, "levels": levels})

    page.route("**/api/history/fields", nothing)
    page.goto(f"{bridge.url}/history")
    expect(page.get_by_test_id("history-empty")).to_contain_text("Nothing is recorded yet")
    expect(page.get_by_test_id("history-off")).to_contain_text("advanced.history_enabled")

    problem = {"error": "unavailable", "message": "history in /state: database is locked"}
    page.route(re.compile(r"/api/history\?"), lambda route: route.fulfill(status=503, json=problem))
    page.get_by_test_id("span-1h").click()
    expect(page.get_by_test_id("history-problem")).to_contain_text("database is locked")
    page.unroute(re.compile(r"/api/history\?"))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_test_id("history-problem")).to_have_count(0)
