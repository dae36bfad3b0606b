"""The section Connections of the settings, in real Chromium before a running bridge and a real MQTT broker."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tinybms_lab.testing.running_bridge import free_port, until

PATH = "/settings/connections"
AT = "2026-01-02T03:04:05Z"
WHY = {"code": "mqtt.lost", "parameters": {}, "text": "mqtt://boat.example:1883: the broker has closed the connection"}
LogIn = Callable[..., None]
WaitFor = Callable[[Callable[[], object], str], None]


def service(name: str, title: str, condition: str, **more: Any) -> dict[str, Any]:
    """Return one service as the API answers it."""
    nothing: dict[str, Any] = {
        "since": None,
        "where": "",
        "message": None,
        "last_error": None,
        "last_error_at": None,
        "counters": {},
    }
    return {"name": name, "title": title, "condition": condition, "testable": True, **nothing, **more}


EVERY_STATE = [
    service(
        "mqtt", "MQTT", "trouble", since=AT, where="mqtt://boat.example:1883", message=WHY, last_error=WHY,
        last_error_at=AT, counters={"published": 86400, "dropped": 3, "kept_bytes": 2_600_000},
    ),
    service("notifications", "Notifications", "off"),
    service(
        "mdns", "the name in the network", "working", since=AT, where="http://tinybms-bridge.local:8080/",
        last_error=WHY, last_error_at=AT, counters={"conflicts": 1},
    ),
    service("metrics", "metrics", "starting", since=AT, where="/metrics"),
    service("a_later_one", "Telepathy of a later version", "working", where="x" * 200, counters={"thoughts": 7}),
]  # fmt: skip
"""Each condition, and one that these pages have no words for."""


class Broker:
    """Mosquitto on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        self._file.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        program = shutil.which("mosquitto") or "mosquitto"
        self._process = subprocess.Popen([program, "-c", str(self._file)], stderr=subprocess.DEVNULL)
        until(self._listens, "the broker listens")

    def end(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30.0)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that listens."""
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    made = Broker(tmp_path)
    made.start()
    yield made
    made.end()


@pytest.fixture
def as_before(bridge: Any, page: Page, log_in: LogIn) -> Iterator[Page]:
    """A page of an administrator; what was set of MQTT goes back to its defaults."""
    log_in(page)
    yield page
    page.goto("about:blank")
    token = page.request.get(f"{bridge.url}/api/session").json()["csrf_token"]
    page.request.post(f"{bridge.url}/api/settings", data={"mqtt": None}, headers={"X-CSRF-Token": token})


def card(page: Page, name: str) -> Locator:
    """Return the card of a service."""
    return page.get_by_test_id(f"service-{name}")


def condition(page: Page, name: str) -> Locator:
    """Return how it stands."""
    return card(page, name).get_by_test_id("condition")


def answering(page: Page, services: list[dict[str, Any]]) -> list[str]:
    """Let the bridge answer these services; return the list of what was asked."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(json={"services": services})

    page.route(re.compile(r"/api/services(\?|$)"), answer)
    return asked


def speak(page: Page, language: str) -> None:
    """Have the browser say that its owner reads a language."""
    page.context.add_init_script(f"Object.defineProperty(navigator, 'language', {{get: () => '{language}'}})")


def test_from_off_to_trouble_and_back(as_before: Page, bridge: Any, broker: Broker) -> None:
    """With a real broker: what it would give, set on the linked form, works, tried; then it is lost, and comes back."""
    page = as_before
    page.goto(f"{bridge.url}/settings")
    page.get_by_role("link", name="Connections").click()
    expect(condition(page, "mqtt")).to_contain_text("off")
    expect(card(page, "mqtt").get_by_test_id("gives")).to_contain_text("Home Assistant")
    expect(card(page, "mqtt").get_by_role("button")).to_have_count(0)

    card(page, "mqtt").get_by_role("link", name="Switch it on").click()
    expect(page).to_have_url(f"{bridge.url}/settings#mqtt")
    expect(page.locator('[data-group="mqtt"] > summary')).to_be_focused()
    page.locator('[id="all-mqtt.uri"]').fill(f"mqtt://127.0.0.1:{broker.port}")
    page.locator('[id="all-mqtt.reconnect_interval_ms"]').fill("500")
    page.locator('[id="all-mqtt.enabled"]').check()
    page.get_by_role("button", name="Review and save").click()
    page.get_by_test_id("review").get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("review")).to_have_count(0)

    page.get_by_role("link", name="Connections").click()
    expect(condition(page, "mqtt")).to_contain_text("works")
    expect(card(page, "mqtt")).to_contain_text(f"mqtt://127.0.0.1:{broker.port}")
    expect(card(page, "mqtt")).to_contain_text("Published")
    page.get_by_role("button", name="Try it: MQTT").click()
    tried = card(page, "mqtt").get_by_test_id("tried")
    expect(tried).to_contain_text("It works: ")
    expect(tried).to_contain_text("took a message and gave it back")
    expect(tried.locator(".well")).to_be_visible()

    broker.end()
    expect(condition(page, "mqtt")).to_contain_text("does not work")
    expect(card(page, "mqtt").get_by_test_id("why")).to_contain_text(f"mqtt://127.0.0.1:{broker.port}: the broker")
    menu = page.get_by_role("navigation", name="Pages")
    expect(menu.get_by_role("link", name="Settings (does not work: MQTT)")).to_be_visible()
    expect(page.get_by_test_id("alarms")).not_to_contain_text("MQTT")
    page.get_by_role("button", name="Try it: MQTT").click()
    expect(tried).to_contain_text("It failed: no broker took a message")
    expect(tried.locator(".alarm")).to_be_visible()
    page.goto(bridge.url)
    expect(menu.get_by_role("link", name="Settings (does not work: MQTT)")).to_be_visible()

    broker.start()
    expect(menu.get_by_role("link", name="Settings", exact=True)).to_be_visible()
    page.goto(f"{bridge.url}{PATH}")
    expect(condition(page, "mqtt")).to_contain_text("works")
    expect(card(page, "mqtt").get_by_test_id("last-error")).to_contain_text(f"127.0.0.1:{broker.port}: the broker")


@pytest.mark.parametrize(("language", "width", "look"), [("en-GB", 1280, "light"), ("fr-FR", 360, "dark")])
def test_each_state_for_everybody(
    page: Page, bridge: Any, violations: Callable[[Page], list[str]], language: str, width: int, look: str
) -> None:
    """In both languages, on a wide screen and a phone, light and dark: nothing for axe to mend, nothing too wide."""
    answering(page, EVERY_STATE)
    speak(page, language)
    page.set_viewport_size({"width": width, "height": 800})
    page.context.add_init_script(f"localStorage.setItem('tinybms-look', '{look}')")
    page.emulate_media(color_scheme="dark" if look == "dark" else "light")
    page.goto(f"{bridge.url}{PATH}")
    words = {
        "en-GB": ("does not work", "off", "works", "starting", "Dropped", "2.6\u00a0MB", "Last error"),
        "fr-FR": ("ne fonctionne pas", "à l’arrêt", "fonctionne", "démarre", "Abandonnés", "2,6\u00a0Mo", "Dernière"),
    }[language]
    trouble, off, works, starting, dropped, kept, last = words

    for name, state in (("mqtt", trouble), ("notifications", off), ("mdns", works), ("metrics", starting)):
        expect(condition(page, name)).to_contain_text(state)
    expect(card(page, "mqtt")).to_contain_text(dropped)
    expect(card(page, "mqtt")).to_contain_text(kept)
    expect(card(page, "mqtt").get_by_test_id("last-error")).to_have_count(0)
    expect(card(page, "mdns").get_by_test_id("last-error")).to_contain_text(last)
    address = card(page, "mdns").get_by_role("link", name="http://tinybms-bridge.local:8080/")
    expect(address).to_have_attribute("href", "http://tinybms-bridge.local:8080/")
    expect(card(page, "a_later_one")).to_contain_text("thoughts")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if language == "fr-FR":
        page.unroute_all()
        expect(condition(page, "mqtt")).to_contain_text(off)
        assert not re.search(r"\b(the|with|Switched|Settings)\b", page.locator("main").inner_text())


def test_the_language_changes_at_once(page: Page, bridge: Any) -> None:
    """The sentences come from the bridge, in the language that was chosen on the page."""
    asked = answering(page, EVERY_STATE)
    page.goto(f"{bridge.url}{PATH}")
    expect(condition(page, "mqtt")).to_contain_text("does not work")
    assert asked[-1].endswith("lang=en")
    page.get_by_role("link", name="Configuration").click()
    page.get_by_label("Français").check()
    page.get_by_role("link", name="Connexions").click()
    expect(condition(page, "mqtt")).to_contain_text("ne fonctionne pas")
    assert asked[-1].endswith("lang=fr")


def test_a_viewer_sees_and_does_not_try(page: Page, bridge: Any, log_in: LogIn, viewer: tuple[str, str]) -> None:
    """A trial asks for an administrator; who has no such login goes on to look, and nothing was tried."""
    tried: list[str] = []
    log_in(page, viewer)
    answering(page, EVERY_STATE)
    page.on("request", lambda request: tried.append(request.url) if request.method == "POST" else None)
    page.goto(f"{bridge.url}{PATH}")
    page.get_by_role("button", name="Try it: MQTT").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()

    expect(condition(page, "mqtt")).to_contain_text("does not work")
    expect(card(page, "mqtt").get_by_test_id("tried")).to_be_empty()
    assert tried == []


def test_a_trial_takes_its_time(page: Page, bridge: Any, log_in: LogIn, wait_for: WaitFor) -> None:
    """While it runs the page says so and the button rests; that the bridge is lost meanwhile is said as well."""
    held: list[Route] = []
    log_in(page)
    answering(page, EVERY_STATE)
    page.route("**/api/services/mdns/test*", lambda route: held.append(route))
    page.goto(f"{bridge.url}{PATH}")
    button = page.get_by_role("button", name="Try it: The name in the network")
    button.click()
    tried = card(page, "mdns").get_by_test_id("tried")
    expect(tried).to_contain_text("Trying")
    expect(button).to_be_disabled()
    expect(page.get_by_role("button", name="Try it: MQTT")).to_be_enabled()

    wait_for(lambda: held, "it is tried")
    held[0].abort()
    expect(tried).to_contain_text("It failed: ")
    expect(tried).to_contain_text("cannot be reached")
    expect(button).to_be_enabled()


def test_it_asks_once_at_a_time_and_only_while_it_is_open(page: Page, bridge: Any, wait_for: WaitFor) -> None:
    """No storm of requests: one every two seconds at most, none beside one that is slow, none once the page is left."""
    asked: list[float] = []
    held: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) == 3:
            held.append(route)
        else:
            route.fulfill(json={"services": EVERY_STATE})

    page.route(re.compile(r"/api/services(\?|$)"), answer)
    page.goto(f"{bridge.url}{PATH}")
    wait_for(lambda: held, "it asks for the third time")
    assert min(later - sooner for sooner, later in pairwise(asked)) >= 1.8
    page.wait_for_timeout(4500)
    assert len(asked) == 3, "it did not wait for the slow answer"

    page.get_by_role("link", name="Overview").click()
    expect(card(page, "mqtt")).to_have_count(0)
    held[0].fulfill(json={"services": EVERY_STATE})
    page.wait_for_timeout(4500)
    assert len(asked) == 3, "it goes on to ask although the page was left"


def test_what_is_written_by_the_line(as_before: Page, bridge: Any) -> None:
    """Lists and PEM keep their lines; the key is never shown again, and saving something else keeps it."""
    page = as_before
    page.goto(f"{bridge.url}/settings#mqtt")
    key, certificate = (page.locator(f'[id="all-mqtt.client_{name}"]') for name in ("key", "certificate"))
    lists = page.locator('[id="all-mqtt.further_uris"]')
    pem = "-----BEGIN {0}-----\nMIIBhush\nhush==\n-----END {0}-----\n"
    certificate.fill(pem.format("CERTIFICATE"))
    key.fill("no key")
    lists.fill("mqtt://node-2\nhttp://node-3")
    page.get_by_role("button", name="Review and save").click()
    expect(page.locator('[id="all-mqtt.client_key-error"]')).to_contain_text("private key in PEM")
    expect(page.locator('[id="all-mqtt.further_uris-error"]')).to_contain_text("at most 10 addresses")

    key.fill(pem.format("PRIVATE KEY"))
    lists.fill(" mqtt://node-2\n\nmqtts://node-3:8884 ")
    page.get_by_role("button", name="Review and save").click()
    review = page.get_by_test_id("review")
    expect(review).to_contain_text("mqtt://node-2, mqtts://node-3:8884")
    expect(review).to_contain_text("a text of 4 lines")
    expect(review).not_to_contain_text("hush")
    review.get_by_role("button", name="Save").click()
    expect(review).to_have_count(0)

    saved = json.loads(bridge.config.read_text())["mqtt"]
    assert saved["client_key"] == pem.format("PRIVATE KEY")
    assert saved["client_certificate"] == pem.format("CERTIFICATE")
    assert saved["further_uris"] == ["mqtt://node-2", "mqtts://node-3:8884"]
    with urllib.request.urlopen(f"{bridge.url}/api/settings", timeout=30.0) as answer:
        assert json.load(answer)["mqtt"]["client_key"] == "********"
    expect(key).to_have_value("")
    expect(page.locator('[data-key="mqtt.client_key"]')).to_contain_text("Type a new one to replace it")
    assert "hush" not in page.evaluate("JSON.stringify(sessionStorage)")

    page.locator('[id="all-mqtt.home_assistant.discovery_prefix"]').fill("ha")
    page.get_by_role("button", name="Review and save").click()
    expect(review.locator("li")).to_have_count(1)
    review.get_by_role("button", name="Save").click()
    expect(review).to_have_count(0)
    saved = json.loads(bridge.config.read_text())["mqtt"]
    assert (saved["client_key"], saved["home_assistant"]) == (pem.format("PRIVATE KEY"), {"discovery_prefix": "ha"})
