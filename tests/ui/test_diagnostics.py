"""The page of diagnostics, in real Chromium before a running bridge."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tinybms_bridge.victron.can.candump import Recorded, parse_line

SECTIONS = ("", "/log", "/events", "/can", "/recording", "/uart", "/lines", "/system")
READY = {
    "": '[data-testid="verdict"]',
    "/log": '[data-testid="log"] tbody tr',
    "/events": '[data-testid="events"] li',
    "/can": '[data-testid="can-rows"] tbody tr',
    "/recording": "#recording",
    "/uart": '[data-testid="uart"] code',
    "/lines": '[data-testid="line-can"]',
    "/system": '[data-testid="parts"] tbody tr',
}


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_is_there_and_clean(
    section: str, bridge: Any, page: Page, violations: Callable[[Page], list[str]]
) -> None:
    """By its address, on a phone as well, and nothing that axe would mend."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{bridge.url}/diagnostics{section}")
    expect(page.locator(READY[section]).first).to_be_visible()

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_what_is_wrong_is_said_in_the_chosen_language(bridge: Any, browser: Any) -> None:
    """The doctor's findings come in French to who reads French."""
    context = browser.new_context(locale="fr-FR")
    page = context.new_page()
    page.goto(f"{bridge.url}/diagnostics")
    expect(page.get_by_test_id("verdict")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("le BMS répond").first).to_be_visible()
    context.close()


def test_the_log_is_filtered_and_the_address_keeps_it(bridge: Any, page: Page) -> None:
    """By words; a page that is loaded again shows the same."""
    page.goto(f"{bridge.url}/diagnostics/log")
    rows = page.get_by_test_id("log").locator("tbody tr")
    expect(rows.first).to_be_visible()
    page.get_by_label("Text").fill("BMS answers")
    page.get_by_label("Text").press("Enter")
    expect(rows).to_have_count(1)
    page.get_by_label("Text").blur()
    expect(page).to_have_url(re.compile("text=BMS"))
    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_label("Text").fill("no line says this")
    expect(rows).to_have_count(0)


def test_frames_are_seen_paused_and_saved_for_can_utils(bridge: Any, page: Page, tmp_path: Path) -> None:
    """One row for each identifier that counts on; the saved file is a log of candump, which the page reads again."""
    page.goto(f"{bridge.url}/diagnostics/can")
    limits = page.get_by_test_id("can-rows").locator("tr", has_text="0x351")
    expect(limits).to_contain_text("charge voltage limit")
    count = limits.locator("td.number").first
    before = count.inner_text()
    expect(count).not_to_have_text(before)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as candump log").click()
    file = tmp_path / saved.value.suggested_filename
    saved.value.save_as(file)
    lines = file.read_text().splitlines()
    assert len(lines) > 10
    assert all(isinstance(parse_line(line), Recorded) for line in lines)

    page.get_by_role("link", name="CAN recording").click()
    file.write_text(f"{file.read_text()}nonsense\n")
    page.locator("#recording").set_input_files(file)
    expect(page.get_by_test_id("recording-state")).to_contain_text("1 line is none")
    expect(page.get_by_test_id("can-rows")).to_contain_text("charge voltage limit")


def test_a_part_is_started_again_by_an_administrator(bridge: Any, page: Page, log_in: Callable[..., None]) -> None:
    """After a question; the number of its restarts tells that it was."""
    log_in(page)
    page.goto(f"{bridge.url}/diagnostics/system")
    row = page.get_by_test_id("parts").locator("tr", has=page.get_by_text("history", exact=True))
    expect(row.locator("td.number").first).to_have_text("0")
    row.get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart", exact=True).click()
    expect(row.locator("td.number").first).to_have_text("1")


def test_the_support_bundle_is_saved(bridge: Any, page: Page, log_in: Callable[..., None], tmp_path: Path) -> None:
    """By an administrator, as one file without the names of users."""
    log_in(page)
    page.goto(f"{bridge.url}/diagnostics/lines")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Support bundle").click()
    file = tmp_path / "bundle.zip"
    saved.value.save_as(file)
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        names = archive.namelist()
        text = "".join(archive.read(name).decode() for name in names)
    assert {"doctor.json", "log.txt", "can.log", "bms-settings.json"} <= set(names)
    assert not re.search(r"\banna\b", text)


def test_the_controller_of_the_interface_is_shown(bridge: Any, page: Page) -> None:
    """As the kernel tells it of a CAN card, and the self-test of loopback; neither is there on this bridge's bus."""
    told = page.request.get(f"{bridge.url}/api/diagnostics").json()
    counters = {"bus_errors": 12, "error_passives": 2, "bus_offs": 1, "arbitration_lost": 0, "restarts": 1}
    told["can"] |= {
        "device": {
            "name": "can0",
            "up": True,
            "state": "error_passive",
            "bitrate_bps": 500_000,
            "restart_ms": 0,
            "tx_queue_frames": 10,
            "tx_error_count": 128,
            "rx_error_count": 3,
            "counters": counters | {"rx_dropped": 0},
        },
        "loopback": {"verdict": "failed", "sent": 19, "returned": 4},
    }
    page.route(re.compile(r"/api/diagnostics(\?|$)"), lambda route: route.fulfill(json=told))
    page.goto(f"{bridge.url}/diagnostics/lines")
    shown = page.get_by_test_id("line-can")

    expect(shown.get_by_role("heading", name="Controller of can0")).to_be_visible()
    for name, value, level in (
        ("State", "error-passive", "warning"),
        ("Bit rate", "500 kbit/s", ""),
        ("Restart after bus-off", "never by itself", "warning"),
        ("Error counters, sending / receiving", "128 / 3", ""),
        ("Times bus-off", "1", "warning"),
        ("Loopback self-test", "failed: 4 of 19 came back", "alarm"),
    ):
        figure = shown.locator("dl > div", has=page.get_by_text(name, exact=True)).locator("dd")
        expect(figure).to_have_text(value)
        expect(figure).to_have_class(re.compile(rf"(^|\s){level}"))


@pytest.mark.parametrize(("locale", "attempts"), [("en-GB", "Attempts"), ("fr-FR", "Essais")])
def test_what_each_part_of_the_path_does_is_shown(locale: str, attempts: str, bridge: Any, browser: Any) -> None:
    """Of this very bridge: each part tries, whatever comes of it, and none hangs."""
    context = browser.new_context(locale=locale)
    page = context.new_page()
    page.goto(f"{bridge.url}/diagnostics/system")
    rows = page.get_by_test_id("progress")
    expect(rows.get_by_role("columnheader", name=attempts)).to_be_visible()
    for part in ("uart", "can"):
        tried = rows.locator("tr", has=page.locator("code", has_text=part)).locator("td.number").first
        expect(tried).to_have_text(re.compile("[1-9]"))
    expect(rows.locator(".alarm")).to_have_count(0)
    context.close()
