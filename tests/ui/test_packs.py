"""Several packs in real Chromium: their part in the battery, taking one out, finding and adding, choosing one."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

Violations = Callable[[Page], list[str]]
WaitFor = Callable[[Callable[[], object], str], None]


def shown_instead(page: Page, state: dict[str, Any]) -> None:
    """Let the page get a recorded state: at its beginning and with each message."""

    def answer(socket: WebSocketRoute) -> None:
        socket.on_message(lambda _: socket.send(json.dumps({"topic": "overview", **state})))

    page.route_web_socket("**/ws", answer)


def four_packs(bridge: Any, page: Page) -> dict[str, Any]:
    """Return the present state with four packs: one blocked, one silent, one out of service, one that takes most."""
    state: dict[str, Any] = page.request.get(f"{bridge.url}/api/overview").json()
    (pack,) = state["packs"].values()
    packs = {name: copy.deepcopy(pack) for name in ("a", "b", "c", "d")}
    line_down = {"code": "said", "parameters": {}, "text": "no answer"}
    born = {"cvl": {"value": 56.0, "code": None, "text": ""}, "dcl": {"value": 110.0, "code": None, "text": ""}}
    packs["a"] |= {
        "charge_share": 0.6,
        "discharge_share": 0.55,
        "charge_blocked": False,
        "discharge_blocked": False,
        "bears": born | {"ccl": {"value": 95.0, "code": None, "text": ""}},
    }
    packs["b"] |= {
        "charge_share": 0.0,
        "discharge_share": 0.45,
        "charge_blocked": True,
        "discharge_blocked": True,
        "bears": born | {"ccl": {"value": 0.0, "code": "cell_voltage", "text": "cell 3 at 3.62 V"}},
        "active_alarms": [{"name": "high_voltage", "level": "alarm", "text": "High voltage: alarm (cell 3 at 3.62 V)"}],
    }
    gone: dict[str, Any] = {
        "cells_mv": [],
        "voltage": None,
        "current": None,
        "soc_percent": None,
        "temperature": None,
        "bears": None,
    }
    last = {"at": state["at"], **{key: pack[key] for key in ("cells_mv", "voltage", "current", "soc_percent")}}
    packs["c"] |= gone | {
        "freshness": "SILENT",
        "last": last,
        "condition": "silent",
        "condition_text": "silent",
        "condition_explanation": "It gives no good data any more.",
        "condition_advice": "Check its cable.",
        "uart": {"up": False, "reason": "no answer", "message": line_down},
    }
    packs["d"] |= gone | {
        "freshness": "SILENT",
        "condition": "out_of_service",
        "condition_text": "out of service",
        "uart": {"up": False, "reason": "no answer", "message": line_down},
    }
    return {**state, "packs": packs, "current": 40.0}


CANDIDATES = [
    {
        "path": "/dev/serial/by-id/one",
        "product": "FT232R",
        "device": "/dev/ttyUSB0",
        "pack": "main",
        "held_by": "",
        "asked": False,
        "unit": {"identity": {"serial_number": "A" * 24}, "series_cells": 16, "capacity_ah": 280.0, "voltage_v": 53.1},
        "message": None,
    },
    {
        "path": "/dev/serial/by-id/two",
        "product": "FT232R",
        "device": "/dev/ttyUSB1",
        "pack": "",
        "held_by": "",
        "asked": True,
        "unit": {"identity": {"serial_number": "B" * 24}, "series_cells": 16, "capacity_ah": 280.0, "voltage_v": 53.0},
        "message": None,
    },
    {
        "path": "/dev/ttyS0",
        "product": "",
        "device": "/dev/ttyS0",
        "pack": "",
        "held_by": "gpsd",
        "asked": False,
        "unit": None,
        "message": {"code": "serial.held", "parameters": {}, "text": "/dev/ttyS0 is used by gpsd"},
    },
]


def caught(page: Page, answer: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return what the page asks to change in the configuration, which is not done."""
    asked: list[dict[str, Any]] = []

    def handle(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        asked.append(route.request.post_data_json or {})
        route.fulfill(json=dict(answer or {"success": True, "message": "saved"}))

    page.route("**/api/settings", handle)
    return asked


def test_four_packs_on_the_first_page(bridge: Any, page: Page, violations: Violations) -> None:
    """Condition, share, what each bears, alarms; what is silent says what to do, what is out shows no cells."""
    shown_instead(page, four_packs(bridge, page))
    page.goto(bridge.url)

    a, b, c, d = (page.get_by_test_id(f"pack-{name}") for name in "abcd")
    expect(a).to_contain_text("60 % of what flows in")
    expect(a).to_contain_text("bears 95.0 A")
    expect(b).to_contain_text("takes nothing: cell 3 at 3.62 V")
    expect(b).to_contain_text("High voltage: alarm (cell 3 at 3.62 V)")
    expect(c.get_by_test_id("condition")).to_have_text("silent")
    expect(c).to_contain_text("It gives no good data any more. Check its cable.")
    expect(c).to_contain_text("The BMS does not answer: no answer")
    expect(d.get_by_test_id("condition")).to_have_text("out of service")
    expect(d).not_to_contain_text("The BMS does not answer")
    expect(d.get_by_role("img")).to_have_count(0)
    expect(page.get_by_role("heading", name="Packs")).to_be_visible()
    assert violations(page) == []


def test_one_pack_has_no_part(bridge: Any, page: Page) -> None:
    """The page of a battery of one pack is as it was."""
    page.goto(bridge.url)
    pack = page.get_by_test_id("pack-main")
    expect(pack).to_contain_text("16 cells from 3.")
    expect(pack.get_by_test_id("condition")).to_have_count(0)
    expect(pack.get_by_role("button", name="Take")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 1920])
def test_four_packs_in_french_and_dark(bridge: Any, browser: Browser, violations: Violations, width: int) -> None:
    """No page is wider than its window, and everything can be read."""
    context = browser.new_context(locale="fr-FR", color_scheme="dark", viewport={"width": width, "height": 900})
    page = context.new_page()
    shown_instead(page, four_packs(bridge, page))
    page.goto(bridge.url)
    expect(page.get_by_test_id("pack-a")).to_contain_text("60 % de ce qui entre")
    expect(page.get_by_role("button", name="Remettre: Pack d")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    page.goto(f"{bridge.url}/settings/packs")
    expect(page.get_by_role("button", name="Chercher des packs")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    context.close()


def test_a_pack_is_taken_out_after_a_question_and_put_back_without(
    bridge: Any, page: Page, log_in: Callable[..., None], wait_for: WaitFor
) -> None:
    """One key of the configuration; the question says what has to be done first."""
    log_in(page)
    shown_instead(page, four_packs(bridge, page))
    asked = caught(page)
    page.goto(bridge.url)

    page.get_by_role("button", name="Take out of service: Pack c").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Disconnect it first")
    dialog.get_by_role("button", name="Take out of service", exact=True).click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Put back: Pack d").click()
    wait_for(lambda: len(asked) == 2, "both are asked for")
    assert asked == [{"packs": {"c": {"enabled": False}}}, {"packs": {"d": {"enabled": True}}}]


def test_packs_are_found_named_and_added(
    bridge: Any, page: Page, log_in: Callable[..., None], violations: Violations
) -> None:
    """What answers at each port; a name makes it a pack, and the one that was there keeps its own."""
    log_in(page)
    asked = caught(page)
    page.route("**/api/packs/candidates*", lambda route: route.fulfill(json={"candidates": CANDIDATES}))
    page.goto(f"{bridge.url}/settings/packs")
    page.get_by_role("button", name="Find packs").click()

    ports = page.get_by_test_id("port")
    expect(ports).to_have_count(3)
    expect(ports.nth(0)).to_contain_text("is pack main")
    expect(ports.nth(1)).to_contain_text("TinyBMS BBBBBBBB · 16 cells · 280 Ah · 53.00 V")
    expect(ports.nth(2)).to_contain_text("/dev/ttyS0 is used by gpsd")
    expect(page.get_by_label("Name of the pack")).to_have_count(1)
    assert violations(page) == []
    add = page.get_by_role("button", name="Add: /dev/serial/by-id/two")
    page.get_by_label("Name of the pack").fill("gar age")
    add.click()
    assert asked == [], "a name that cannot be one is not sent"
    page.get_by_label("Name of the pack").fill("garage")
    add.click()
    expect(page.get_by_text("Pack garage is part of the battery now.")).to_be_visible()
    assert asked == [
        {
            "packs": {
                "garage": {"uart": {"device": "/dev/serial/by-id/two"}},
                "main": {"uart": {"device": "/dev/serial/by-id/one"}},
            }
        }
    ]


def test_who_may_only_look_is_asked_to_log_in(bridge: Any, page: Page) -> None:
    """Asking at the ports is for an administrator."""
    page.goto(f"{bridge.url}/settings/packs")
    page.get_by_role("button", name="Find packs").click()
    expect(page.get_by_role("dialog").get_by_label("User name")).to_be_visible()


def test_traffic_and_settings_are_of_the_chosen_pack(bridge: Any, page: Page, wait_for: WaitFor) -> None:
    """The name stands in the address and in what is asked; another choice asks anew."""
    shown_instead(page, four_packs(bridge, page))
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url.removeprefix(bridge.url)))
    page.route("**/api/uart/traffic*", lambda route: route.fulfill(json={"lines": []}))
    page.goto(f"{bridge.url}/diagnostics/uart")
    choice = page.get_by_test_id("pack-choice")
    expect(choice.get_by_role("button", name="Pack a")).to_have_attribute("aria-pressed", "true")
    choice.get_by_role("button", name="Pack d").click()
    expect(choice.get_by_role("button", name="Pack d")).to_have_attribute("aria-pressed", "true")
    wait_for(lambda: any(each.startswith("/api/uart/traffic?pack=d") for each in seen), "the other line is asked for")
    assert any(each.startswith("/api/uart/traffic?pack=a") for each in seen)
