"""The battery for who runs no script: what it does, how old that is, how to set up, and where to read on.

It stands in the first page until the script takes its place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName
from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.headline import Overall, headline, overall
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import Limits, Quantity, sentence_of
from tinybms_bridge.battery.notices import NoticeName
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.ports import Core, Hearing, Moment
from tinybms_bridge.services.web.pages.elements import Child, element, table
from tinybms_bridge.words import ENGLISH, Language, Message, message

__all__ = ["REFRESH_S", "Visit", "closed_page", "front_page", "own_address"]

REFRESH_S = 10
"""How often the page reloads itself: without a script an open one would show old values as present ones."""

_SEVERAL = 2
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_CLASS = {Overall.GOOD: "good", Overall.WARNING: "warn", Overall.ALARM: "bad", Overall.UNKNOWN: "bad"}
_GX = {
    "present": message("plain.gx_present"),
    "lost": message("plain.gx_lost"),
    "never_seen": message("plain.gx_never_seen"),
}
_LINKS = (
    ("/docs", message("plain.link_docs")),
    ("/api/status", message("plain.link_status")),
    ("/api/limits", message("plain.link_limits")),
    ("/api/packs", message("plain.link_packs")),
    ("/api/outputs", message("plain.link_outputs")),
    ("/api/history/days", message("plain.link_days")),
    ("/api/alarms", message("plain.link_alarms")),
    ("/api/events", message("plain.link_events")),
    ("/api/logs", message("plain.link_logs")),
    ("/api/diagnostics", message("plain.link_diagnostics")),
    ("/api/settings", message("plain.link_settings")),
    ("/api/openapi.json", message("plain.link_openapi")),
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
    language: Language = ENGLISH

    def say(self, told: Message) -> str:
        """Return a sentence in the language of the visit."""
        return told.say(self.language)


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
    level = overall(moment.battery, view, heard=hearing.connected)
    body: list[Child] = [
        element("h1", "tinybms-bridge"),
        element("p", f"{visit.say(told)}.", class_=f"headline {_CLASS[level]}"),
        element("p", _age(moment, visit), class_="quiet"),
        *_alarms(moment, visit),
        *_stops(core, visit),
    ]
    if snapshot is not None:
        if view.last is not None:
            age = _duration(view.last.age_s)
            words = message("plain.last_values", time=f"{view.last.at(moment.at):%H:%M:%S}", age=age)
            body += [_heading(message("plain.not_live"), visit), element("p", visit.say(words))]
        else:
            body.append(_heading(message("plain.battery"), visit))
        body.append(table(_values(moment.battery, snapshot, visit), class_="live" if view.last is None else "old"))
    body += _packs(moment, visit)
    body += [_heading(message("plain.limits"), visit), *_limits(view.limits, visit)]
    body += [_heading(message("plain.connections"), visit), table(_connections(uart, can, hearing, visit))]
    if visit.setup_required:
        body += _setup(visit)
    body += [_heading(message("plain.read_on"), visit), _links(visit), *_login(visit)]
    running = message("plain.version", version=core.version, duration=_duration(core.uptime_s))
    body.append(element("p", visit.say(running), class_="quiet"))
    return body


def closed_page(visit: Visit, reason: str) -> list[Child]:
    """Return what somebody who may not read sees: how to get access, and nothing of the battery."""
    setup = _setup(visit) if visit.setup_required else []
    return [
        element("h1", "tinybms-bridge"),
        element("p", visit.say(message("plain.closed")), class_="headline warn"),
        element("p", visit.say(message("plain.refused", reason=reason))),
        element("p", *_with_code(visit.say(message("plain.closed_why", key="web_server.enable_auth")))),
        element("pre", "tinybms-bridge users add NAME\ntinybms-bridge users token NAME"),
        element("p", visit.say(message("plain.by_token"))),
        element("pre", f'curl -H "Authorization: Bearer $TOKEN" {visit.address}/api/status'),
        element("p", visit.say(message("plain.by_password"))),
        element("pre", _login_line(visit)),
        *setup,
    ]


def _heading(words: Message, visit: Visit) -> Child:
    return element("h2", visit.say(words))


def _with_code(text: str) -> list[Child]:
    """Return a sentence in which what stands between backquotes is code."""
    return [element("code", part) if place % 2 else part for place, part in enumerate(text.split("`"))]


def _age(moment: Moment, visit: Visit) -> str:
    age_s = moment.view.age_s
    data = message("plain.no_data") if age_s is None else message("plain.age", age=_duration(age_s))
    shown = message("plain.shown", time=_time(moment.at), refresh_s=REFRESH_S)
    return f"{visit.say(data)} {visit.say(shown)}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _alarms(moment: Moment, visit: Visit) -> list[Child]:
    found: list[Child] = []
    if moment.active():
        found += [_heading(message("plain.alarms"), visit), _list(moment.active(), visit)]
    if not moment.hearing.connected and moment.last_active():
        found += [_heading(message("plain.last_alarms"), visit), _list(moment.last_active(), visit)]
    return found


def _list(levels: Mapping[AlarmName | NoticeName, AlarmLevel], visit: Visit) -> Child:
    items = []
    for name, level in levels.items():
        kind = "alarm" if level is AlarmLevel.ALARM else "warning"
        code = f"{'alarm' if isinstance(name, AlarmName) else 'notice'}.{name}"
        items.append(element("li", visit.say(message(code, level=kind)), class_=kind))
    return element("ul", *items)


def _stops(core: Core, visit: Visit) -> list[Child]:
    items = []
    for stop in core.inhibits():
        until = None if stop.expires_at is None else message("plain.until", time=_time(stop.expires_at))
        end = until or message("plain.until_released")
        charges = stop.direction is Direction.CHARGE
        told = message("plain.charge_stopped", end=end) if charges else message("plain.discharge_stopped", end=end)
        why = visit.say(message("plain.because", reason=stop.reason)) if stop.reason else ""
        items.append(element("li", f"{visit.say(told)}{why}", class_="warning"))
    return [element("ul", *items)] if items else []


def _values(battery: BatteryState, snapshot: Snapshot, visit: Visit) -> list[tuple[Child, ...]]:
    pack, cells, t = snapshot.pack, snapshot.cells, visit.say
    soc = message("plain.soc", soc_percent=pack.soc_percent, bms_percent=pack.bms_soc_percent)
    power = message("plain.current", current_a=pack.current_a, power_w=pack.power_w)
    spread = message(
        "plain.cells",
        count=cells.count,
        low_v=cells.min_v,
        low=_cell(battery, cells.min_number),
        high_v=cells.max_v,
        high=_cell(battery, cells.max_number),
        delta_mv=cells.delta_mv,
    )
    shown_c = ", ".join(f"{celsius:.1f}" for celsius in snapshot.temperatures.pack_c)
    return [
        (t(message("plain.soc_name")), t(soc if pack.soc_known else message("plain.not_known"))),
        (t(message("plain.voltage_name")), t(message("plain.voltage", voltage_v=pack.voltage_v))),
        (t(message("plain.current_name")), t(power)),
        (t(message("plain.cells_name")), t(spread)),
        (t(message("plain.temperature_name")), f"{shown_c} °C" if shown_c else t(message("plain.no_sensor"))),
        (t(message("plain.status_name")), t(message("plain.status", status=pack.status.name.lower()))),
    ]


def _limits(limits: Limits | None, visit: Visit) -> list[Child]:
    if limits is None:
        return [element("p", visit.say(message("plain.no_limits")))]
    values = (
        (Quantity.CVL, message("plain.cvl_name"), message("plain.volts", value=limits.cvl_v)),
        (Quantity.CCL, message("plain.ccl_name"), message("plain.amperes", value=limits.ccl_a)),
        (Quantity.DCL, message("plain.dcl_name"), message("plain.amperes", value=limits.dcl_a)),
    )
    rows: list[tuple[Child, ...]] = []
    for quantity, name, value in values:
        reason = limits.binding(quantity)
        why = "" if reason is None else sentence_of(reason, visit.language)
        rows.append((visit.say(name), visit.say(value), why))
    return [table([*rows, (visit.say(message("plain.state_name")), str(limits.state), "")])]


def _cell(battery: BatteryState, number: int) -> int | str:
    """Return the number of a cell; of several packs with the name of its own."""
    place = battery.place_of(number)
    return f"{place.pack} {place.cell}" if place.pack else place.cell


def _packs(moment: Moment, visit: Visit) -> list[Child]:
    """Return each pack in a line, where there is more than one."""
    if len(moment.packs) < _SEVERAL:
        return []
    parts = {name: moment.battery.pack(name).condition for name in moment.packs}
    rows: list[tuple[Child, ...]] = [
        (name, visit.say(message(f"pack_condition.{parts[name]}")), visit.say(_pack_line(view)))
        for name, view in moment.packs.items()
    ]
    return [_heading(message("plain.packs"), visit), table(rows)]


def _pack_line(view: View) -> Message:
    if view.measured is None:
        return message("plain.pack_old", age=None if view.age_s is None else _duration(view.age_s))
    pack, cells = view.measured.pack, view.measured.cells
    known = message("plain.percent", value=pack.soc_percent)
    soc = known if pack.soc_known else message("plain.charge_not_known")
    return message(
        "plain.pack",
        voltage_v=pack.voltage_v,
        current_a=pack.current_a,
        soc=soc,
        low_v=cells.min_v,
        high_v=cells.max_v,
    )


def _connections(uart: UartState, can: CanState, hearing: Hearing, visit: Visit) -> list[tuple[Child, ...]]:
    t = visit.say
    if not hearing.connected:
        return [(t(message("plain.core_name")), t(message("plain.core_lost", duration=_duration(hearing.since_s))))]
    bms = (
        message("plain.bms_up", device=uart.device)
        if uart.up
        else message("plain.bms_down", reason=uart.why() or message("plain.not_asked"))
    )
    bus = (
        message("plain.can_up", count=can.tx_count)
        if can.up
        else message("plain.can_down", reason=can.why() or message("plain.not_opened"))
    )
    gx = t(_GX[can.gx_state]) if can.gx_state in _GX else can.gx_state
    return [("BMS", t(bms)), ("CAN", t(bus)), (t(message("plain.gx_name")), gx)]


def _setup(visit: Visit) -> list[Child]:
    body = '{"token": "SETUP-TOKEN", "username": "NAME", "password": "PASSWORD"}'
    return [
        _heading(message("plain.setup"), visit),
        element("p", visit.say(message("plain.setup_here"))),
        element("pre", "tinybms-bridge users add NAME --role admin"),
        element("p", *_with_code(visit.say(message("plain.setup_token", command="tinybms-bridge users setup-token")))),
        element(
            "pre",
            f"curl -c cookies.txt -H 'Content-Type: application/json' -d '{body}' {visit.address}/api/setup",
        ),
    ]


def _login(visit: Visit) -> list[Child]:
    if visit.user:
        return [element("p", visit.say(message("plain.logged_in", user=visit.user)))]
    if visit.setup_required:
        return []
    command = "tinybms-bridge users token NAME"
    return [
        element("p", visit.say(message("plain.log_in"))),
        element("pre", _login_line(visit)),
        element("p", *_with_code(visit.say(message("plain.make_token", command=command)))),
    ]


def _login_line(visit: Visit) -> str:
    body = '{"username": "NAME", "password": "PASSWORD"}'
    return f"curl -c cookies.txt -H 'Content-Type: application/json' -d '{body}' {visit.address}/api/login"


def _links(visit: Visit) -> Child:
    items = (element("li", element("a", path, href=path), f" {visit.say(words)}") for path, words in _LINKS)
    return element("ul", *items)


def _duration(seconds: float) -> Message:
    if seconds < 10.0:
        return message("plain.seconds_decimal", value=seconds)
    if seconds < 120.0:
        return message("plain.seconds", value=seconds)
    if seconds < 7200.0:
        return message("plain.minutes", value=seconds / 60.0)
    if seconds < 172_800.0:
        return message("plain.hours", value=seconds / 3600.0)
    return message("plain.days", value=seconds / 86_400.0)
