"""The battery for who runs no script: what it does, how old that is, how to set up, and where to read on.

It stands in the first page until the script takes its place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.headline import Overall, headline, overall
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import Limits, Quantity, sentence_of
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.ports import Core, Hearing, Moment
from tinybms_bridge.services.web.pages.elements import Child, element, table

__all__ = ["REFRESH_S", "Visit", "closed_page", "front_page", "own_address"]

REFRESH_S = 10
"""How often the page reloads itself: without a script an open one would show old values as present ones."""

_SEVERAL = 2
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_CLASS = {Overall.GOOD: "good", Overall.WARNING: "warn", Overall.ALARM: "bad", Overall.UNKNOWN: "bad"}
_GX = {
    "present": "heard on the CAN bus",
    "lost": "not heard any more",
    "never_seen": "never heard: it sends 0x305 once a second while its port is set to CAN-bus BMS (500 kbit/s)",
}
_LINKS = (
    ("/docs", "every route of the API"),
    ("/api/status", "state"),
    ("/api/limits", "limits with their reasons"),
    ("/api/packs", "each pack"),
    ("/api/outputs", "each output"),
    ("/api/history/days", "energy by day"),
    ("/api/alarms", "alarms"),
    ("/api/events", "events"),
    ("/api/logs", "log"),
    ("/api/diagnostics", "diagnostics"),
    ("/api/settings", "settings"),
    ("/api/openapi.json", "OpenAPI document"),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks at a page."""

    address: str
    """The server as the browser calls it, for example ``http://192.168.1.5:8080``."""
    user: str = ""
    """Empty without a login."""
    setup_required: bool = False
    """Whether there is no administrator yet."""


def own_address(scheme: str, host: str) -> str:
    """Return the server's address for command lines; a ``Host`` that a shell could misread counts as localhost."""
    return f"{'https' if scheme == 'https' else 'http'}://{host if _HOST.fullmatch(host) else 'localhost:8080'}"


def front_page(core: Core, flow: Flow, visit: Visit) -> list[Child]:
    """Return what somebody who may read sees; ``flow``: the current of the last minute."""
    moment, uart, can = core.moment(), core.uart(), core.can()
    view = moment.view
    hearing = core.hearing()
    line = None if uart.up else uart.why()
    told = headline(view, flow, line=line, unheard_s=None if hearing.connected else hearing.since_s)
    snapshot = view.measured or (view.last.snapshot if view.last else None)
    body: list[Child] = [
        element("h1", "tinybms-bridge"),
        element(
            "p",
            f"{told.text}.",
            class_=f"headline {_CLASS[overall(moment.battery, view, heard=hearing.connected)]}",
        ),
        element("p", _age(moment), class_="quiet"),
        *_alarms(moment),
        *_stops(core),
    ]
    if snapshot is not None:
        old = view.last is not None
        if view.last is not None:
            when = f"{view.last.at(moment.at):%H:%M:%S} UTC, {_duration(view.last.age_s)} before this page"
            words = f"Last values, of {when}. Nobody knows whether they still hold."
            body += [element("h2", "Not live"), element("p", words)]
        else:
            body.append(element("h2", "Battery"))
        body.append(table(_values(snapshot), class_="old" if old else "live"))
    body += _packs(moment)
    body += [element("h2", "Limits that are sent"), *_limits(view.limits)]
    body += [element("h2", "Connections"), table(_connections(uart, can, hearing))]
    if visit.setup_required:
        body += _setup(visit)
    body += [element("h2", "Read on"), _links(), *_login(visit)]
    up = _duration(core.uptime_s)
    body.append(
        element("p", f"Version {core.version}, running for {up}. With a script there are more pages.", class_="quiet")
    )
    return body


def closed_page(visit: Visit, reason: str) -> list[Child]:
    """Return what somebody who may not read sees: how to get access, and nothing of the battery."""
    setup = _setup(visit) if visit.setup_required else []
    return [
        element("h1", "tinybms-bridge"),
        element("p", "Reading needs a login here.", class_="headline warn"),
        element("p", f"Refused: {reason}."),
        element(
            "p",
            "Reading without a login is open to machines nearby (this one, private networks, the same link), unless ",
            element("code", "web_server.enable_auth"),
            " closes it for all. Whoever runs the bridge can make a user for you:",
        ),
        element("pre", "tinybms-bridge users add NAME\ntinybms-bridge users token NAME"),
        element("p", "and then a program reads with the token:"),
        element("pre", f'curl -H "Authorization: Bearer $TOKEN" {visit.address}/api/status'),
        element("p", "or with name and password, which set a cookie:"),
        element("pre", _login_line(visit)),
        *setup,
    ]


def _age(moment: Moment) -> str:
    age_s = moment.view.age_s
    data = "No data has come from the BMS yet." if age_s is None else f"The last data is {_duration(age_s)} old."
    return f"{data} This page shows {moment.at:%Y-%m-%d %H:%M:%S} UTC and reloads itself every {REFRESH_S} s."


def _alarms(moment: Moment) -> list[Child]:
    found: list[Child] = []
    if moment.active():
        found += [element("h2", "Alarms"), _list(moment.active())]
    if not moment.hearing.connected and moment.last_active():
        found += [element("h2", "Alarms when the core last answered"), _list(moment.last_active())]
    return found


def _list(levels: Mapping[AlarmName | NoticeName, AlarmLevel]) -> Child:
    items = []
    for name, level in levels.items():
        kind = "alarm" if level is AlarmLevel.ALARM else "warning"
        items.append(element("li", f"{kind}: {name.value.replace('_', ' ')}", class_=kind))
    return element("ul", *items)


def _stops(core: Core) -> list[Child]:
    words = {Direction.CHARGE: "Charging", Direction.DISCHARGE: "Discharging"}
    items = []
    for stop in core.inhibits():
        end = "until it is released" if stop.expires_at is None else f"until {stop.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        why = f": {stop.reason}" if stop.reason else ""
        items.append(element("li", f"{words[stop.direction]} is stopped by hand {end}{why}", class_="warning"))
    return [element("ul", *items)] if items else []


def _values(snapshot: Snapshot) -> list[tuple[Child, ...]]:
    pack, cells, temperatures = snapshot.pack, snapshot.cells, snapshot.temperatures
    shown_c = ", ".join(f"{celsius:.1f}" for celsius in temperatures.pack_c)
    bms = "" if pack.bms_soc_percent is None else f" (the BMS counts {pack.bms_soc_percent:.1f} %)"
    soc = f"{pack.soc_percent:.1f} %{bms}" if pack.soc_known else "not known"
    spread = f"{cells.min_v:.3f} V (cell {cells.min_number}) to {cells.max_v:.3f} V (cell {cells.max_number})"
    return [
        ("State of charge", soc),
        ("Voltage", f"{pack.voltage_v:.2f} V"),
        ("Current", f"{pack.current_a:+.1f} A, {pack.power_w:+.0f} W (+ is charging)"),
        ("Cells", f"{cells.count}: {spread}, {cells.delta_mv:.0f} mV apart"),
        ("Temperature", f"{shown_c} °C" if shown_c else "no sensor"),
        ("BMS says", pack.status.name.lower().replace("_", " ")),
    ]


def _limits(limits: Limits | None) -> list[Child]:
    if limits is None:
        return [element("p", "None: nothing is sent.")]
    values = (
        (Quantity.CVL, "Charge voltage (CVL)", f"{limits.cvl_v:.1f} V"),
        (Quantity.CCL, "Charge current (CCL)", f"{limits.ccl_a:.1f} A"),
        (Quantity.DCL, "Discharge current (DCL)", f"{limits.dcl_a:.1f} A"),
    )
    rows: list[tuple[Child, ...]] = []
    for quantity, name, value in values:
        reason = limits.binding(quantity)
        rows.append((name, value, "" if reason is None else sentence_of(reason)))
    return [table([*rows, ("Charge state", str(limits.state), "")])]


def _packs(moment: Moment) -> list[Child]:
    """Return each pack in a line, where there is more than one."""
    if len(moment.packs) < _SEVERAL:
        return []
    return [element("h2", "Packs"), table([(name, _pack_line(view)) for name, view in moment.packs.items()])]


def _pack_line(view: View) -> str:
    if view.measured is None:
        return "no live data" if view.age_s is None else f"no live data for {_duration(view.age_s)}"
    pack, cells = view.measured.pack, view.measured.cells
    soc = f"{pack.soc_percent:.1f} %" if pack.soc_known else "charge not known"
    return f"{pack.voltage_v:.2f} V, {pack.current_a:.1f} A, {soc}, cells {cells.min_v:.3f} to {cells.max_v:.3f} V"


def _connections(uart: UartState, can: CanState, hearing: Hearing) -> list[tuple[Child, ...]]:
    if not hearing.connected:
        return [("Core", f"no answer for {_duration(hearing.since_s)}; it speaks with BMS and GX")]
    bms = f"answers on {uart.device}" if uart.up else f"does not answer: {uart.reason or 'not asked yet'}"
    bus = f"open, {can.tx_count} frames sent" if can.up else f"not open: {can.error or 'not opened yet'}"
    return [("BMS", bms), ("CAN", bus), ("GX device", _GX.get(can.gx_state, can.gx_state))]


def _setup(visit: Visit) -> list[Child]:
    body = '{"token": "SETUP-TOKEN", "username": "NAME", "password": "PASSWORD"}'
    return [
        element("h2", "Make the first administrator"),
        element("p", "Nobody can change anything yet. On the machine of the bridge, as the user under which it runs:"),
        element("pre", "tinybms-bridge users add NAME --role admin"),
        element(
            "p",
            "Or from here, with the one-time setup token, which the bridge shows when it starts; ",
            element("code", "tinybms-bridge users setup-token"),
            " prints it again. Then:",
        ),
        element(
            "pre",
            f"curl -c cookies.txt -H 'Content-Type: application/json' -d '{body}' {visit.address}/api/setup",
        ),
    ]


def _login(visit: Visit) -> list[Child]:
    if visit.user:
        return [element("p", f"You are logged in as {visit.user}.")]
    if visit.setup_required:
        return []
    return [
        element("p", "To change something, log in:"),
        element("pre", _login_line(visit)),
        element("p", "or make a token for scripts: ", element("code", "tinybms-bridge users token NAME"), "."),
    ]


def _login_line(visit: Visit) -> str:
    body = '{"username": "NAME", "password": "PASSWORD"}'
    return f"curl -c cookies.txt -H 'Content-Type: application/json' -d '{body}' {visit.address}/api/login"


def _links() -> Child:
    return element("ul", *(element("li", element("a", path, href=path), f" {words}") for path, words in _LINKS))


def _duration(seconds: float) -> str:
    if seconds < 10.0:
        return f"{seconds:.1f} s"
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    if seconds < 7200.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.0f} h" if seconds < 172_800.0 else f"{seconds / 86_400.0:.0f} days"
