"""The pages for people: what they show to whom, and that nothing old looks present."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.inhibits import Direction, Inhibit
from tinybms_bridge.battery.limits import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.services.web.accounts import Account, AccountRegistry, Role
from tinybms_bridge.services.web.app import create_app
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.pages.front_page import own_address
from tinybms_bridge.services.web.security.gate import COOKIE, Gate
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.packs import four_packs

Show = Callable[..., Any]


def with_alarms(moment: Moment, alarms: Alarms) -> Moment:
    """Return a moment with these alarms."""
    return replace(moment, battery=replace(moment.battery, alarms=alarms))


def text_of(page: str) -> str:
    """Return what a person reads who runs no script, without markup."""
    page = re.sub(r"<script.*?</script>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


async def seen(client: httpx.AsyncClient, path: str = "/") -> str:
    """Return what a person reads on a page."""
    answer = await client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return text_of(answer.text)


def stale(core: Any, freshness: Freshness, *, sends: bool) -> None:
    """Let the last data be 34 s old."""
    view = core.now.view
    limits = replace(view.limits, ccl_a=0.0) if sends else None
    last = Last(view.measured, 34.0, view.limits)
    core.now = replace(core.now, view=View(freshness, None, limits, 34.0, last))


async def test_the_first_page_says_what_the_battery_does(visitor: httpx.AsyncClient) -> None:
    """In words, with its age, the limits and why they are as they are, and where to read on."""
    shown = await seen(visitor)

    assert "Discharging with 12.5 A (679 W)." in shown
    assert "The last data is 0.1 s old. This page shows 2026-01-02 03:04:05 UTC" in shown
    assert "Voltage 54.32 V" in shown
    assert "16: 3.415 V (cell 1) to 3.435 V (cell 16), 20 mV apart" in shown
    assert "Charge current (CCL) 5.0 A" in shown
    assert "Discharge current (DCL) 50.0 A the BMS cuts off at 150 A" in shown
    assert "High voltage: warning" in shown
    assert "GX device heard on the CAN bus" in shown
    for path in ("/docs", "/api/status", "/api/logs", "/api/openapi.json"):
        assert f" {path} " in shown


async def test_of_several_packs_each_has_a_line_with_its_part(
    visitor: httpx.AsyncClient, core: Any, clock: FakeClock
) -> None:
    """Without scripts, too: who is silent, and in which pack the lowest and the highest cell are."""
    core.now = Moment.of(four_packs(), clock)

    shown = await seen(visitor)

    assert re.search(r"V \(cell [a-d] \d+\) to \d\.\d{3} V \(cell [a-d] \d+\)", shown)
    for words in ("in use", "silent"):
        assert re.search(rf"\b[a-d] {words} ", shown), words


@pytest.mark.parametrize(
    "headers",
    [{"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8"}, {"Accept-Language": "en", "Cookie": "tinybms_language=fr"}],
)
async def test_the_first_page_speaks_the_language_of_the_browser(
    visitor: httpx.AsyncClient, core: Any, headers: dict[str, str]
) -> None:
    """Or the one that was chosen in it: the sentence, numbers, reasons and headings; not a word is left in English."""
    since = datetime(2026, 1, 2, tzinfo=UTC)
    core.stops[Direction.CHARGE] = Inhibit(Direction.CHARGE, since, None, "", "skipper")
    page = (await visitor.get("/", headers=headers)).text
    shown = text_of(page)

    assert '<html lang="fr">' in page
    for words in (
        "La dernière donnée date de 0,1 s. Cette page montre 2026-01-02 03:04:05 UTC",
        "La charge est arrêtée à la main jusqu'à nouvel ordre",
        "Tension 54,32 V",
        "16 : 3,415 V (cellule 1) à 3,435 V (cellule 16), écart 20 mV",
        "Tension haute : avertissement",
        "Courant de décharge (DCL) 50,0 A",
        "Appareil GX entendu sur le bus CAN",
        "/api/logs journal",
    ):
        assert words in shown
    after_the_note_in_both = shown.partition("ouverture de cette page.")[2]
    assert not re.findall(r"\b(?:the|is|of|and|not|to|with|Limits|Battery|Charging)\b", after_the_note_in_both)


async def test_who_may_not_read_is_told_so_in_the_language_of_the_browser(core: Any) -> None:
    """The refusal and the way in."""
    client, gate = closed(core, WebOptions(open_reading=False))
    gate.accounts.registry = AccountRegistry((Account("boss", Role.ADMIN, "h"),))
    async with client:
        shown = text_of((await client.get("/", headers={"Accept-Language": "fr"})).text)

    assert "Ici, il faut se connecter pour lire." in shown
    assert "sauf si web_server.enable_auth le ferme à tous" in shown


@pytest.mark.parametrize(
    ("current_a", "words"),
    [(0.04, "Resting: no current flows."), (20.0, "Charging with 20.0 A (1086 W)")],
)
async def test_what_flows_is_told_in_words(visitor: httpx.AsyncClient, core: Any, current_a: float, words: str) -> None:
    """The sentence that every interface has."""
    measured = core.now.view.measured
    pack = replace(measured.pack, current_a=current_a)
    core.now = replace(core.now, view=replace(core.now.view, measured=replace(measured, pack=pack)))

    assert words in await seen(visitor)


async def test_an_unknown_state_of_charge_is_no_number(visitor: httpx.AsyncClient, core: Any) -> None:
    """An absurd count is not shown as a percentage."""
    measured = core.now.view.measured
    pack = replace(measured.pack, soc_known=False)
    core.now = replace(core.now, view=replace(core.now.view, measured=replace(measured, pack=pack)))
    shown = await seen(visitor)

    assert "State of charge not known" in shown
    assert "87" not in shown


@pytest.mark.parametrize(
    ("freshness", "sends", "words"),
    [
        (
            Freshness.HOLD,
            True,
            "because no good data has come from the BMS for 34 s; discharging goes on.",
        ),
        (Freshness.SILENT, False, "Nothing is sent; the GX has lost the BMS."),
    ],
)
async def test_old_values_are_never_shown_as_live(
    visitor: httpx.AsyncClient, core: Any, freshness: Freshness, sends: bool, words: str
) -> None:
    """They stand under a heading of their own, with the time they are of; nothing says that the battery charges."""
    stale(core, freshness, sends=sends)
    page = (await visitor.get("/")).text
    shown = text_of(page)

    assert words in shown
    assert "Discharging with" not in shown
    assert (
        "Not live Last values, of 03:03:31 UTC, 34 s before this page. Nobody knows whether they still hold." in shown
    )
    assert '<table class="old">' in page
    assert '<table class="live">' not in page
    assert ("Charge current (CCL) 0.0 A" in shown) is sends
    assert ("None: nothing is sent." in shown) is not sends


async def test_before_the_first_data_nothing_is_made_up(visitor: httpx.AsyncClient, core: Any) -> None:
    """A start without a BMS: what is missing, and why."""
    core.now = Moment.of(BatteryState(), core.clock)
    core.uart_figures = replace(core.uart_figures, up=False, reason="serial port /dev/ttyUSB0 does not exist")
    core.can_figures = replace(core.can_figures, up=False, error="no device can0", gx_state="never_seen")
    shown = await seen(visitor)

    assert "Starting: serial port /dev/ttyUSB0 does not exist; nothing is sent yet." in shown
    assert "No data has come from the BMS yet." in shown
    assert "CAN not open: no device can0" in shown
    assert "GX device never heard: it sends 0x305" in shown
    assert "Voltage" not in shown


async def test_what_was_stopped_by_hand_is_told_without_a_name(visitor: httpx.AsyncClient, core: Any) -> None:
    """Names are for who is logged in."""
    since = datetime(2026, 1, 2, tzinfo=UTC)
    core.stops[Direction.CHARGE] = Inhibit(
        Direction.CHARGE, since, since + timedelta(hours=5), "<b>work</b>", "skipper"
    )
    core.stops[Direction.DISCHARGE] = Inhibit(Direction.DISCHARGE, since, None, "", "skipper")
    page = (await visitor.get("/")).text

    assert "Charging is stopped by hand until 2026-01-02 05:00:00 UTC: <b>work</b>" in text_of(page).replace("  ", " ")
    assert "&lt;b&gt;work&lt;/b&gt;" in page
    assert "Discharging is stopped by hand until it is released" in text_of(page)
    assert "skipper" not in page


async def test_texts_of_the_line_are_escaped(visitor: httpx.AsyncClient, core: Any) -> None:
    """A device path, an error of the kernel, an alarm."""
    core.uart_figures = replace(core.uart_figures, up=False, reason="<script>alert(1)</script>")
    core.can_figures = replace(core.can_figures, up=False, error='"><img src=x>')
    core.now = with_alarms(core.now, Alarms({AlarmName.CONTACTOR: AlarmLevel.ALARM}))
    page = (await visitor.get("/")).text

    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<li class="alarm">Contactor: alarm</li>' in page


async def test_the_setup_is_explained_while_there_is_no_administrator(visitor: httpx.AsyncClient, app: FastAPI) -> None:
    """With the lines to type, which name this server as the browser does; never with the token itself."""
    await app.state.gate.accounts.offer_setup()
    token = app.state.gate.accounts.registry.setup_token
    answer = await visitor.get("/", headers={"host": "192.168.1.5:8080"})
    shown = text_of(answer.text)

    assert "tinybms-bridge users add NAME --role admin" in shown
    assert "tinybms-bridge users setup-token" in shown
    assert "http://192.168.1.5:8080/api/setup" in shown
    assert token not in answer.text
    app.state.gate.accounts.registry = AccountRegistry((Account("boss", Role.ADMIN, "h"),))
    later = await seen(visitor)
    assert "/api/setup" not in later
    assert "To change something, log in:" in later
    assert "boss" not in later


@pytest.mark.parametrize(
    ("scheme", "host", "shown"),
    [
        ("http", "192.168.1.5:8080", "http://192.168.1.5:8080"),
        ("https", "bridge.lan", "https://bridge.lan"),
        ("http", "[fd00::5]:8080", "http://[fd00::5]:8080"),
        ("http", "", "http://localhost:8080"),
        ("http", "$(reboot)", "http://localhost:8080"),
        ("http", "a;b", "http://localhost:8080"),
        ("http", "a b", "http://localhost:8080"),
        ("javascript", "x", "http://x"),
    ],
)
def test_a_command_line_holds_nothing_that_a_shell_could_run(scheme: str, host: str, shown: str) -> None:
    """The Host header is the client's."""
    assert own_address(scheme, host) == shown
    assert shlex.split(shown) == [shown]


def closed(core: Any, options: WebOptions, address: str = "192.168.1.7") -> tuple[httpx.AsyncClient, Gate]:
    """Return a client of an application with other options, and its gate."""
    app = create_app(core, options)
    transport = httpx.ASGITransport(app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://bridge.test"), app.state.gate


@pytest.mark.parametrize(
    ("options", "address"), [(WebOptions(open_reading=False), "192.168.1.7"), (WebOptions(), "203.0.113.9")]
)
async def test_who_may_not_read_learns_how_to_get_access(core: Any, options: WebOptions, address: str) -> None:
    """And nothing of the battery; the status is that of the API, so that a monitor is not deceived."""
    client, gate = closed(core, options, address)
    gate.accounts.registry = AccountRegistry((Account("boss", Role.ADMIN, "h"),))
    async with client:
        answer = await client.get("/")
    shown = text_of(answer.text)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert '<meta name="error" content="login_required">' in answer.text
    assert "tinybms-bridge users add NAME" in shown
    assert "http://bridge.test/api/login" in shown
    for secret in ("54.32", "87", "boss", "/dev/", "FLOAT", "12.5"):
        assert secret not in shown


async def test_a_login_opens_the_page_and_is_named(core: Any) -> None:
    """By the cookie of a session; a wrong token is told as in the API."""
    client, gate = closed(core, WebOptions(open_reading=False))
    gate.accounts.registry = AccountRegistry((Account("boss", Role.ADMIN, "h"), Account("guest", Role.VIEWER, "h")))
    key, _ = gate.sessions.begin(gate.accounts.registry.expect_account("guest"))
    async with client:
        page = await client.get("/", headers={"Cookie": f"{COOKIE}={key}"})
        wrong = await client.get("/", headers={"Authorization": "Bearer a.b.c"})

    assert page.status_code == 200
    assert "You are logged in as guest." in text_of(page.text)
    assert "boss" not in page.text
    assert wrong.status_code == 401
    assert 'content="invalid_token"' in wrong.text


@pytest.mark.parametrize("path", ["/", "/docs", "/page.css"])
async def test_a_page_needs_no_script_and_nothing_from_elsewhere(visitor: httpx.AsyncClient, path: str) -> None:
    """Under the policy of every answer: no script or style inside, no other host."""
    answer = await visitor.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(
        r"<script(?! src| type=.module.| type=.application/json.)|<style|\sstyle=|\son\w+=", answer.text
    )
    assert "javascript:" not in answer.text
    assert not re.findall(r'(?:src|href|action)="(?!/|#|data:,)', answer.text)
    assert "@import" not in answer.text
    assert "url(" not in answer.text


async def test_what_the_page_begins_with_is_never_markup(visitor: httpx.AsyncClient, core: Any) -> None:
    """The state of the moment stands in the page as JSON; a text in it that looks like the end of it ends nothing."""
    core.version = "1</script><img src=x>"
    page = (await visitor.get("/")).text
    found = re.search(r'<script type="application/json" id="boot">(.*?)</script>', page, re.DOTALL)

    assert found
    assert json.loads(found[1])["version"] == "1</script><img src=x>"
    assert json.loads(found[1])["session"]["open_reading"] is True
    assert "<img" not in page


@pytest.mark.parametrize("path", ["/history", "/settings/victron", "/bms/main/registers", "/diagnostics", "/access"])
async def test_each_page_can_be_opened_by_its_address(visitor: httpx.AsyncClient, path: str) -> None:
    """A bookmark or a reload shows what was open; what is no page is told as such."""
    assert (await visitor.get(path)).status_code == 200
    assert (await visitor.get("/elsewhere")).status_code == 404


async def test_the_files_of_the_pages_are_kept_for_ever_and_sent_compressed(visitor: httpx.AsyncClient) -> None:
    """Their names change with what is in them; who reads no gzip gets them as they are."""
    page = (await visitor.get("/")).text
    (name,) = re.findall(r'src="(/assets/index-[^"]+\.js)"', page)
    packed = await visitor.get(name, headers={"Accept-Encoding": "gzip"})
    plain = await visitor.get(name, headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert packed.headers["content-type"].startswith("text/javascript")
    assert (await visitor.get("/assets/index-0.js")).status_code == 404
    assert (await visitor.get("/assets/..%2findex.html")).status_code == 404
    assert (await visitor.get("/manifest.webmanifest")).json()["name"] == "tinybms-bridge"


async def test_a_page_that_is_open_stays_true(visitor: httpx.AsyncClient) -> None:
    """It is not kept, and loads itself anew."""
    answer = await visitor.get("/")

    assert answer.headers["cache-control"] == "no-store"
    assert '<meta http-equiv="refresh" content="10">' in answer.text
    assert (await visitor.head("/")).status_code == 200


async def test_the_api_page_shows_every_operation_with_a_line_to_type(visitor: httpx.AsyncClient, app: FastAPI) -> None:
    """Who may call it, its parameters, its body and what it answers."""
    page = (await visitor.get("/docs")).text
    shown = text_of(page)
    operations = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]

    assert len(operations) >= 44
    for method, path in operations:
        assert f"<code>{method} {path}</code>" in page
    assert "POST /api/users administrators Add a user; not with a token." in shown
    assert """curl -X POST -b cookies.txt -H "X-CSRF-Token: $CSRF" -H 'Content-Type: application/json' -d""" in shown
    assert 'curl -X DELETE -H "Authorization: Bearer $TOKEN" $BRIDGE/api/tokens/TOKEN_ID' in shown
    assert "GET /api/status who may read" in shown
    assert 'from query string (at most 64 characters), default "-24h"' in shown


async def test_every_link_of_the_api_page_leads_somewhere(visitor: httpx.AsyncClient) -> None:
    """Schemas are linked by name, and no two things have one name."""
    page = (await visitor.get("/docs")).text
    targets = re.findall(r' id="([^"]+)"', page)

    assert len(targets) == len(set(targets))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(targets)
    assert len(re.findall(r'href="#schema-', page)) > 40


async def test_pages_are_no_part_of_the_api(app: FastAPI) -> None:
    """A client made from the document has no use for them."""
    assert not {"/", "/docs", "/page.css"} & app.openapi()["paths"].keys()


async def test_a_core_that_is_not_heard_is_the_first_thing_said(visitor: httpx.AsyncClient, core: Any) -> None:
    """Also in the seconds in which its last data is still young."""
    core.heard = Hearing(connected=False, since_s=57.0)
    shown = await seen(visitor)
    assert "The core has not answered for 57 s: nobody knows whether anything is sent." in shown
    assert "no answer for 57 s; it speaks with BMS and GX" in shown
    assert "answers on" not in shown
    assert "Alarms Core unreachable: alarm Alarms when the core last answered High voltage: warning" in shown


async def test_packs_are_listed_where_there_are_several(visitor: httpx.AsyncClient, core: Any) -> None:
    """Each in a line; one pack is the battery and needs no list."""
    assert "Packs" not in await seen(visitor)
    live = core.now.packs["main"]
    core.now = replace(core.now, packs={"left": live, "right": View(Freshness.SILENT, age_s=60.0), "new": View()})
    shown = await seen(visitor)
    assert "54.32 V, -12.5 A, 87.3 %, cells 3.415 to 3.435 V" in shown
    assert "no live data for 60 s" in shown
