"""The first page in real Chromium: what the battery does, old data, stops by hand, languages, many packs."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tinybms_lab.testing.running_bridge import until

Violations = Callable[[Page], list[str]]


def overview(bridge: Any, page: Page, language: str = "en") -> dict[str, Any]:
    """Return what the bridge says now."""
    found: dict[str, Any] = page.request.get(f"{bridge.url}/api/overview?lang={language}").json()
    return found


def says_the_same(bridge: Any, page: Page, language: str = "en") -> bool:
    """Tell whether the page has the sentence that the bridge says now: it may be another one a moment later."""
    shown = page.get_by_test_id("headline").text_content() or ""
    return bool(shown.split() == overview(bridge, page, language)["headline"]["text"].split())


def shown_instead(page: Page, state: dict[str, Any]) -> None:
    """Let the page get a recorded state: at its beginning and with each message."""

    def answer(socket: WebSocketRoute) -> None:
        socket.on_message(lambda _: socket.send(json.dumps({"topic": "overview", **state})))

    page.route_web_socket("**/ws", answer)


def sixteen_packs(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state with sixteen packs of sixteen cells, one of which is silent."""
    (pack,) = state["packs"].values()
    packs = {f"p{number:02}": copy.deepcopy(pack) for number in range(1, 17)}
    silent = packs["p07"]
    silent["last"] = {
        "at": state["at"],
        **{key: silent[key] for key in ("cells_mv", "voltage", "current", "soc_percent")},
    }
    silent.update(freshness="SILENT", cells_mv=[], voltage=None, current=None, soc_percent=None, temperature=None)
    gone = {"code": "said", "parameters": {"text": "the port is gone"}, "text": "the port is gone"}
    silent["uart"] = {"up": False, "reason": "the port is gone", "message": gone}
    return {**state, "packs": packs}


def test_the_battery_at_a_glance(bridge: Any, page: Page, violations: Violations) -> None:
    """The sentence, numbers with their units, limits with reasons, cells; as the API says; nothing in the console."""
    errors: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(bridge.url)

    until(lambda: says_the_same(bridge, page), "page and bridge say the same")
    expect(page.get_by_role("region", name="Charge current", exact=True)).to_contain_text("allowed")
    pack = page.get_by_test_id("pack-main")
    expect(pack).to_contain_text("16 cells from 3.")
    pack.get_by_text("Show as a table").click()
    expect(pack.get_by_role("row")).to_have_count(17)
    assert violations(page) == []
    assert errors == []


def test_a_cell_is_named_to_the_millivolt(bridge: Any, page: Page) -> None:
    """A tap on a bar, and again to close it."""
    page.goto(bridge.url)
    bars = page.get_by_test_id("pack-main").get_by_role("img")
    box = bars.bounding_box()
    assert box is not None
    bars.click(position={"x": box["width"] * (6.5 / 16), "y": box["height"] / 2})

    expect(page.get_by_test_id("pack-main")).to_contain_text("Cell 7: 3.")


def test_a_direction_is_stopped_and_released(bridge: Any, page: Page, admin: tuple[str, str]) -> None:
    """Who is not logged in is asked to; the limit is 0 a moment later, and back after the release."""
    page.goto(bridge.url)
    page.get_by_role("button", name="Stop charging").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill(admin[0])
    dialog.get_by_label("Password").fill(admin[1])
    dialog.get_by_role("button", name="Log in").click()
    page.get_by_label("Why (seen by everybody)").fill("cables")
    page.get_by_role("dialog").get_by_role("button", name="Stop charging").click()

    expect(page.get_by_text("Charging is stopped by hand")).to_be_visible()
    until(lambda: overview(bridge, page)["limits"]["ccl"]["value"] == 0.0, "the limit is 0")
    expect(page.get_by_role("region", name="Charge current", exact=True)).to_contain_text("0.0")
    page.get_by_role("button", name="Let it charge again").click()
    expect(page.get_by_role("button", name="Stop charging")).to_be_visible()
    until(lambda: not overview(bridge, page)["inhibits"], "it is released")


@pytest.mark.parametrize("width", [360, 1920])
def test_in_french_and_dark(bridge: Any, browser: Browser, violations: Violations, width: int) -> None:
    """The sentence of the server too; no page is wider than its window."""
    context = browser.new_context(locale="fr-FR", color_scheme="dark", viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(bridge.url)

    expect(page.get_by_role("link", name="Aperçu")).to_be_visible()
    until(lambda: says_the_same(bridge, page, "fr"), "page and bridge say the same")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    context.close()


def test_sixteen_packs_with_one_silent(bridge: Any, page: Page, violations: Violations) -> None:
    """Each is there with its cells; the silent one says so, and its last values are marked as old."""
    shown_instead(page, sixteen_packs(overview(bridge, page)))
    page.goto(bridge.url)

    expect(page.get_by_test_id("pack-p16")).to_contain_text("16 cells from 3.")
    expect(page.get_by_test_id("pack-p07")).to_contain_text("The BMS does not answer: the port is gone")
    expect(page.get_by_test_id("icon-bms")).to_have_accessible_name("BMS: does not answer")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []


def test_old_data_is_never_shown_as_present(bridge: Any, page: Page, violations: Violations) -> None:
    """HOLD: the last values stand there with their time; SILENT: no limit is shown."""
    state = overview(bridge, page)
    kept = ("voltage", "current", "soc_percent", "temperature", "soh_percent", "cells_mv", "power_w")
    last = {"at": state["at"], **{key: state[key] for key in kept}}
    old = {**state, **dict.fromkeys(kept), "cells_mv": [], "freshness": "SILENT", "last": last, "level": "alarm"}
    none: dict[str, Any] = {"value": None, "actual": None, "text": "", "reasons": []}
    old["limits"] = {name: {**each, **none} for name, each in state["limits"].items()}
    old["headline"] = {**state["headline"], "text": "Nothing is sent"}
    shown_instead(page, old)
    page.goto(bridge.url)

    expect(page.get_by_test_id("headline")).to_have_text("Nothing is sent")
    expect(page.get_by_text("Nobody knows whether they still hold")).to_be_visible()
    expect(page.get_by_role("region", name="Charge voltage", exact=True)).to_contain_text("nothing is sent")
    assert violations(page) == []


NOTICE_WHEN_LOST = """() => {
  window.wasLost = false;
  const look = () => { window.wasLost ||= document.querySelector('[data-testid="lost"]') !== null; };
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}"""
"""The services are back after a moment, which whoever looks now and then may miss."""


def test_a_page_that_lost_the_bridge_greys_and_goes_on_by_itself(
    bridge: Any, page: Page, wait_for: Callable[[Callable[[], object], str], None]
) -> None:
    """The services killed, then the whole program ended and started again: nothing has to be loaded anew."""
    page.goto(bridge.url)
    expect(page.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")
    page.evaluate("window.here = true")
    page.evaluate(NOTICE_WHEN_LOST)
    killed = bridge.services_pid
    bridge.kill_services()
    wait_for(lambda: page.evaluate("window.wasLost"), "the page has noticed")
    expect(page.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")
    assert bridge.services_pid != killed

    bridge.stop()
    expect(page.get_by_test_id("lost")).to_be_visible()
    expect(page.get_by_test_id("headline")).to_be_visible()
    bridge.start()
    expect(page.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")
    expect(page.get_by_test_id("lost")).to_have_count(0)
    assert page.evaluate("window.here")


def test_without_a_script_the_battery_can_be_read(bridge: Any, browser: Browser) -> None:
    """What the server has written stands there, and the page loads itself anew."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(bridge.url)

    expect(page.get_by_role("heading", name="Limits that are sent")).to_be_visible()
    expect(page.get_by_text("Charge current (CCL)")).to_be_visible()
    context.close()


def test_without_a_script_a_french_browser_reads_french(bridge: Any, browser: Browser) -> None:
    """As with one: by what the browser asks for."""
    context = browser.new_context(java_script_enabled=False, locale="fr-FR")
    page = context.new_page()
    page.goto(bridge.url)

    expect(page.get_by_role("heading", name="Limites envoyées")).to_be_visible()
    expect(page.get_by_text("Courant de charge (CCL)")).to_be_visible()
    context.close()
