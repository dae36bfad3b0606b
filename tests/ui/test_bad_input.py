"""What goes wrong around a page that is open: another version, sleep, an old browser, packs that come and go, TLS."""

import copy
import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page, WebSocketRoute, expect


def played(page: Page, state: dict[str, Any]) -> list[WebSocketRoute]:
    """Let the page get a recorded state each time it asks; return its connections, the newest last."""
    sockets: list[WebSocketRoute] = []

    def answer(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.on_message(lambda _: socket.send(json.dumps({"topic": "overview", **state})))

    page.route_web_socket("**/ws", answer)
    return sockets


def state_of(bridge: Any, page: Page) -> dict[str, Any]:
    """Return what the bridge says now."""
    found: dict[str, Any] = page.request.get(f"{bridge.url}/api/overview").json()
    return found


def test_a_program_that_was_updated_is_told(bridge: Any, page: Page) -> None:
    """The page of before goes on and offers the new one; it does not load itself anew under somebody's hands."""
    played(page, {**state_of(bridge, page), "version": "9.9.9"})
    page.goto(bridge.url)

    expect(page.get_by_text("updated to version 9.9.9")).to_be_visible()
    expect(page.get_by_role("button", name="Load the new page")).to_be_visible()
    expect(page.get_by_test_id("headline")).to_be_visible()


def test_a_telephone_that_slept_for_a_day_goes_on(
    bridge: Any, page: Page, wait_for: Callable[[Callable[[], object], str], None]
) -> None:
    """Its connection may look alive and be dead: it is made anew at once."""
    page.clock.install()
    sockets = played(page, state_of(bridge, page))
    page.goto(bridge.url)
    expect(page.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")
    before = len(sockets)
    page.clock.fast_forward("24:00:00")
    page.clock.run_for(5000)

    wait_for(lambda: len(sockets) > before, "it connects anew")
    expect(page.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")


def test_an_old_browser_gets_words_and_not_a_blank_page(bridge: Any, page: Page) -> None:
    """One that cannot read the script shows what the server has written, and says that it is too old."""
    page.route("**/assets/*.js", lambda route: route.fulfill(body="a ?.?. b", content_type="text/javascript"))
    page.goto(bridge.url)

    expect(page.get_by_text("This browser is too old")).to_be_visible()
    expect(page.get_by_role("heading", name="Limits that are sent")).to_be_visible()


def test_a_pack_appears_and_vanishes_while_the_page_is_open(bridge: Any, page: Page) -> None:
    """The others stay as they are."""
    state = state_of(bridge, page)
    sockets = played(page, state)
    page.goto(bridge.url)
    expect(page.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")
    two = {**state, "packs": {**state["packs"], "garage": copy.deepcopy(state["packs"]["main"])}}
    sockets[-1].send(json.dumps({"topic": "overview", **two}))
    expect(page.get_by_test_id("pack-garage")).to_contain_text("16 cells from 3.")
    expect(page.get_by_test_id("pack-main")).to_be_visible()
    sockets[-1].send(json.dumps({"topic": "overview", **state}))

    expect(page.get_by_test_id("pack-garage")).to_have_count(0)
    expect(page.get_by_test_id("pack-main")).to_contain_text("16 cells from 3.")


def test_over_tls(make_bridge: Callable[..., Any], browser: Browser) -> None:
    """With the bridge's own certificate, which a person accepts once: pages, live data and login as over HTTP."""
    bridge = make_bridge({"web_server": {"tls_self_signed": True}})
    bridge.add_user("anna", "correct horse battery", "admin")
    bridge.start()
    context = browser.new_context(locale="en-GB", ignore_https_errors=True)
    page = context.new_page()
    page.goto(bridge.url)
    answer = page.request.post(
        f"{bridge.url}/api/login", data={"username": "anna", "password": "correct horse battery"}
    )

    expect(page.get_by_test_id("icon-web")).to_have_accessible_name("This page: connected")
    expect(page.get_by_test_id("headline")).to_be_visible()
    assert answer.ok
    assert [cookie["secure"] for cookie in context.cookies() if cookie["name"] == "tinybms_session"] == [True]
    context.close()
