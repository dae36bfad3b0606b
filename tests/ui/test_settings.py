"""The page of the settings in real Chromium, before a running bridge: what a person does with it, each once."""

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, WebSocketRoute, expect

CHARGE = "victron.max_charge_current_a"
LogIn = Callable[..., None]


def field(page: Page, path: str, place: str = "first") -> Locator:
    """Return the editor of a key."""
    return page.locator(f'[id="{place}-{path}"]')


def type_in(page: Page, path: str, text: str, place: str = "first") -> None:
    """Type a value and leave the field."""
    field(page, path, place).fill(text)
    field(page, path, place).press("Tab")


def opened(page: Page, bridge: Any, path: str = "/settings") -> None:
    """Open the page and wait for its form."""
    page.goto(f"{bridge.url}{path}")
    expect(page.locator(".key").first).to_be_visible()


def in_force(bridge: Any) -> Any:
    """Return the configuration of the running bridge."""
    with urllib.request.urlopen(f"{bridge.url}/api/settings", timeout=30.0) as answer:
        return json.load(answer)


def reasons_of_ccl(page: Page, bridge: Any) -> list[tuple[str, Any]]:
    """Return what limits CCL now, with the limits."""
    reasons = page.request.get(f"{bridge.url}/api/limits").json()["ccl"]["reasons"]
    return [(each["code"], each.get("limit")) for each in reasons]


def save(page: Page) -> None:
    """Look at the difference and save it."""
    page.get_by_test_id("bar").get_by_role("button", name="Review and save").click()
    agree(page)


def agree(page: Page) -> None:
    """Save the difference that is shown, and wait until that is done."""
    page.get_by_test_id("review").get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("review")).to_have_count(0)


@pytest.fixture
def settings(page: Page, bridge: Any, log_in: LogIn) -> Page:
    """The page, for an administrator, with nothing changed that matters here."""
    log_in(page)
    token = page.request.get(f"{bridge.url}/api/session").json()["csrf_token"]
    back = {
        "victron": {"max_charge_current_a": None, "max_discharge_current_a": None},
        "cvl": {"soc_max_percent": None},
    }
    assert page.request.post(f"{bridge.url}/api/settings", data=back, headers={"X-CSRF-Token": token}).ok
    opened(page, bridge)
    return page


def test_a_setting_takes_effect(
    settings: Page, bridge: Any, wait_for: Callable[[Callable[[], object], str], None]
) -> None:
    """By keyboard: typed, judged at once, shown as a difference with its unit, saved, in force in the core."""
    type_in(settings, CHARGE, "900")
    expect(settings.get_by_text("must be a number from 0 to 750 A, or empty")).to_be_visible()
    settings.get_by_role("button", name="Review and save").press("Enter")
    expect(field(settings, CHARGE)).to_be_focused()

    field(settings, CHARGE).fill("42,5")
    settings.get_by_role("button", name="Review and save").press("Enter")
    expect(settings.get_by_test_id("review")).to_contain_text("automatic")
    expect(settings.get_by_test_id("review").locator("li strong", has_text="42.5")).to_have_text("42.5\u00a0A")
    assert in_force(bridge)["victron"]["max_charge_current_a"] is None
    settings.get_by_test_id("review").get_by_role("button", name="Save").press("Enter")
    expect(settings.get_by_test_id("bar")).to_have_count(0)

    wait_for(lambda: ("configured", 42.5) in reasons_of_ccl(settings, bridge), "the core obeys it")
    assert json.loads(bridge.config.read_text())["victron"]["max_charge_current_a"] == 42.5
    settings.get_by_role("button", name="Back to the default: Highest charge current").click()
    save(settings)
    assert "max_charge_current_a" not in json.loads(bridge.config.read_text())["victron"]


def test_what_contradicts_the_battery_is_told_at_its_field(settings: Page, bridge: Any) -> None:
    """In the words of the server, with the cursor there, and nothing is saved."""
    type_in(settings, CHARGE, "700")
    settings.get_by_role("button", name="Review and save").click()

    expect(settings.locator(f'[id="first-{CHARGE}-error"]')).to_contain_text("register 318")
    expect(field(settings, CHARGE)).to_be_focused()
    expect(field(settings, CHARGE)).to_have_attribute("aria-invalid", "true")
    assert in_force(bridge)["victron"]["max_charge_current_a"] is None


def test_two_tabs_do_not_overwrite_each_other(settings: Page, bridge: Any) -> None:
    """Who saves second is told what the first one saved, sees both values, and decides."""
    asked: list[str] = []

    def before_it_looks_again(route: Route) -> None:
        asked.append(route.request.method)
        if "POST" in asked:
            route.continue_()
        else:
            route.abort()

    settings.route(re.compile(r"/api/settings(\?|$)"), before_it_looks_again)
    other = settings.context.new_page()
    opened(other, bridge)
    type_in(settings, CHARGE, "40")
    type_in(other, CHARGE, "50")
    save(other)

    settings.get_by_role("button", name="Review and save").click()
    expect(settings.get_by_test_id("others")).to_contain_text("Highest charge current")
    expect(settings.locator(".key", has=field(settings, CHARGE))).to_contain_text("automatic → 50\u00a0A")
    assert in_force(bridge)["victron"]["max_charge_current_a"] == 50.0
    save(settings)
    assert in_force(bridge)["victron"]["max_charge_current_a"] == 40.0


def test_nothing_typed_is_lost_when_the_session_ends(
    settings: Page, bridge: Any, admin: tuple[str, str], wait_for: Callable[[Callable[[], object], str], None]
) -> None:
    """Not by a session that ends; leaving the page asks first."""
    type_in(settings, CHARGE, "33")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    settings.on("dialog", stay)
    settings.get_by_role("link", name="Overview").click()
    wait_for(lambda: asked, "it asks first")
    assert all("not saved" in each for each in asked)
    expect(field(settings, CHARGE)).to_have_value("33")

    settings.context.clear_cookies()
    settings.get_by_role("button", name="Review and save").click()
    settings.get_by_label("User name").fill(admin[0])
    settings.get_by_label("Password", exact=True).fill(admin[1])
    settings.get_by_role("dialog").get_by_role("button", name="Log in").click()
    expect(settings.get_by_test_id("review")).to_contain_text("33")
    agree(settings)
    assert in_force(bridge)["victron"]["max_charge_current_a"] == 33.0


def test_nothing_typed_is_lost_with_the_connection(settings: Page, bridge: Any) -> None:
    """It goes while somebody types: the cursor stays, typing goes on, and once it is back the whole is saved."""
    gone: list[bool] = []
    wires: list[WebSocketRoute] = []

    def wire(socket: WebSocketRoute) -> None:
        if gone:
            socket.close()
        else:
            socket.connect_to_server()
            wires.append(socket)

    settings.route_web_socket("**/ws", wire)
    settings.route("**/api/**", lambda route: route.abort() if gone else route.continue_())
    opened(settings, bridge)
    expect(settings.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")
    settings.evaluate("window.here = true")
    field(settings, CHARGE).press_sequentially("3")
    gone.append(True)
    wires[-1].close()
    expect(settings.get_by_test_id("lost")).to_be_visible()
    expect(field(settings, CHARGE)).to_be_focused()
    field(settings, CHARGE).press_sequentially("4.5")
    settings.get_by_role("button", name="Review and save").click()
    expect(settings.get_by_role("status").filter(has_text="cannot be reached")).to_be_visible()
    expect(field(settings, CHARGE)).to_have_value("34.5")

    gone.clear()
    expect(settings.get_by_test_id("lost")).to_have_count(0)
    expect(field(settings, CHARGE)).to_have_value("34.5")
    save(settings)
    assert in_force(bridge)["victron"]["max_charge_current_a"] == 34.5
    assert settings.evaluate("window.here")


def test_a_reload_keeps_the_draft(page: Page, bridge: Any, log_in: LogIn) -> None:
    """But no password is kept in the browser."""
    log_in(page)
    opened(page, bridge)
    page.locator('[data-group="mqtt"] summary').first.click()
    type_in(page, "mqtt.password", "hunter2hunter2", "all")
    type_in(page, CHARGE, "21")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()

    expect(field(page, CHARGE)).to_have_value("21")
    assert "hunter2" not in page.evaluate("JSON.stringify(sessionStorage)")
    expect(page.get_by_test_id("bar")).to_contain_text("1 change not saved")


def test_a_file_is_shown_as_a_difference_before_it_is_taken(settings: Page, bridge: Any, tmp_path: Path) -> None:
    """Exported without secrets, changed, imported."""
    with settings.expect_download() as waiting:
        settings.get_by_role("link", name="Download as a file").click()
    document = json.loads(Path(waiting.value.path()).read_text())
    document["victron"]["max_discharge_current_a"] = 77
    file = tmp_path / "backup.json"
    file.write_text(json.dumps(document))

    settings.get_by_test_id("import").set_input_files(file)
    expect(settings.get_by_test_id("review")).to_contain_text("Highest discharge current")
    expect(settings.get_by_test_id("review").locator("li")).to_have_count(1)
    agree(settings)
    assert in_force(bridge)["victron"]["max_discharge_current_a"] == 77.0
    assert in_force(bridge)["web_server"]["port"] == bridge.port


def test_a_viewer_reads(page: Page, bridge: Any, log_in: LogIn, viewer: tuple[str, str]) -> None:
    """Every value, and how to get the right to change it; nothing to type in."""
    log_in(page, viewer)
    opened(page, bridge, "/settings#cvl.curves.charge_by_temperature")

    expect(page.get_by_text("Changing them needs an administrator")).to_be_visible()
    expect(page.locator(".key input, .key select, .key textarea")).to_have_count(0)
    expect(page.locator('[data-key="cvl.curves.charge_by_temperature"] svg')).to_be_visible()


@pytest.mark.parametrize(("language", "width"), [("en-GB", 1280), ("fr-FR", 360)])
def test_everybody_can_use_it(
    page: Page, bridge: Any, log_in: LogIn, violations: Callable[[Page], list[str]], language: str, width: int
) -> None:
    """Search, form, curve and difference: axe finds nothing, nothing is wider than the screen, no English in French."""
    page.context.add_init_script(f"Object.defineProperty(navigator, 'language', {{get: () => '{language}'}})")
    page.set_viewport_size({"width": width, "height": 800})
    log_in(page)
    opened(page, bridge)
    type_in(page, CHARGE, "20")
    page.locator('[data-group="cvl.curves"] summary').first.click()
    page.locator('[data-group="cvl.curves"] input[type=radio]').nth(1).check()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_test_id("bar").locator("button.main").click()
    expect(page.get_by_test_id("review")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_test_id("search").fill("temperature")
    expect(page.locator(".key").first).to_be_visible()
    assert violations(page) == []
    if language == "fr-FR":
        assert not re.search(r"\b(the|must|which|charge current)\b", page.locator("main").inner_text())
