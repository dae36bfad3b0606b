"""The first start in real Chromium: from a bridge without an administrator to a checklist that is green."""

import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

PASSWORD = "correct horse battery"


@pytest.fixture
def new_bridge(make_bridge: Callable[..., Any]) -> Any:
    """A running bridge that nobody has set up."""
    made = make_bridge()
    made.start()
    return made


def token_of(bridge: Any) -> str:
    """Return the setup token, as whoever runs the bridge finds it."""
    printed: str = bridge.call("users", "-c", str(bridge.config), "setup-token")
    found = re.search(r"[0-9a-f]{6}(-[0-9a-f]{6}){3}", printed)
    assert found, printed
    return found[0]


def test_first_start(new_bridge: Any, page: Page, violations: Callable[[Page], list[str]]) -> None:
    """Each step leads to the next, can be left and resumed, and what is done turns green by what the bridge sees."""
    page.goto(new_bridge.url)
    page.get_by_label("Français").check()
    expect(page.get_by_role("heading", name="Première mise en service")).to_be_visible()
    page.get_by_label("English").check()
    page.get_by_role("button", name="Next").click()

    make = page.get_by_role("button", name="Make the administrator")
    page.get_by_label("Setup token").fill("000000-000000-000000-000000")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password", exact=True).fill("short")
    expect(page.get_by_text("5 more characters are needed")).to_be_visible()
    expect(make).to_be_disabled()
    assert violations(page) == []

    page.get_by_role("button", name="Later: show me the battery").click()
    expect(page.get_by_test_id("headline")).to_be_visible()
    page.get_by_test_id("checklist").get_by_role("link", name="There is no administrator yet").click()

    page.get_by_label("Setup token").fill("000000-000000-000000-000000")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    make.click()
    expect(page.get_by_role("alert").filter(has_text="setup token is wrong")).to_be_visible()
    page.get_by_label("Setup token").fill(token_of(new_bridge))
    make.click()

    expect(page.get_by_test_id("item-bms")).to_have_attribute("data-standing", "done")
    page.get_by_role("button", name="Show what this machine has").click()
    expect(page.get_by_label(str(new_bridge.home / "bms"))).to_be_checked()
    page.get_by_role("button", name="Next").click()

    expect(page.get_by_test_id("item-can")).to_have_attribute("data-standing", "done")
    page.get_by_role("button", name="Show what this machine has").click()
    expect(page.get_by_text("adapter of another kind now: virtual")).to_be_visible()
    page.get_by_role("button", name="Next").click()

    expect(page.get_by_test_id("item-gx")).to_have_attribute("data-standing", "open")
    expect(page.get_by_text("CAN-bus BMS (500 kbit/s)").first).to_be_visible()
    page.get_by_role("button", name="Next").click()

    name = page.get_by_label("Name of the battery")
    expect(name).to_have_value("TinyBMS s516")
    name.fill("Shed")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The battery is called Shed.")).to_be_visible()
    with urllib.request.urlopen(f"{new_bridge.url}/api/settings", timeout=60.0) as answer:
        assert json.load(answer)["victron"]["battery_name"] == "Shed"
    page.get_by_role("button", name="To the battery").click()

    backup = page.get_by_test_id("checklist").get_by_role("listitem").filter(has_text="backup of the settings")
    expect(backup).to_contain_text("No backup")
    assert page.request.get(f"{new_bridge.url}/api/tinybms/backup").ok
    page.reload()
    expect(backup).to_contain_text("There is a backup")
    assert violations(page) == []


def test_a_checklist_that_is_green_goes(bridge: Any, page: Page, log_in: Callable[..., None]) -> None:
    """Folded away it stays folded, and it goes by itself when nothing is open; the words are those of the server."""
    items = [
        {"name": "bms", "standing": "open", "code": "x", "parameters": {}, "text": "Look", "advice": "", "page": "/"}
    ]
    told = {"done": False, "items": items}
    page.route("**/api/setup/checklist*", lambda route: route.fulfill(json=told))
    log_in(page)
    page.goto(bridge.url)
    expect(page.get_by_role("link", name="Look")).to_be_visible()
    page.get_by_text("Still to do").click()
    expect(page.get_by_role("link", name="Look")).to_be_hidden()
    page.reload()
    expect(page.get_by_text("Still to do")).to_be_visible()
    expect(page.get_by_role("link", name="Look")).to_be_hidden()

    told.update(done=True, items=[{**items[0], "standing": "done"}])
    page.reload()
    expect(page.get_by_test_id("headline")).to_be_visible()
    expect(page.get_by_text("Still to do")).to_have_count(0)
