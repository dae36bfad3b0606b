"""``tinybms-bridge events``: the event log of the BMS in plain words, and what is open now."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tinybms_bridge.cli.common import fail, json_option, language_option, run_until_signal
from tinybms_bridge.cli.device import pack_option
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.words import Language, say

if TYPE_CHECKING:
    from tinybms_bridge.battery.bms_events import BmsEvent, DatedEvent
    from tinybms_bridge.link.event_list import EventRecord

__all__ = ["events_command"]

_STYLES = {"fault": "bold red", "warning": "yellow", "unknown": "yellow"}


@click.command("events")
@click.option("--newest", type=click.IntRange(min=1), default=20, show_default=True, help="How many to show.")
@click.option("--all", "show_all", is_flag=True, help="Show everything that is kept.")
@click.option("--device", default="auto", show_default=True, metavar="PORT", help="Serial port of the BMS.")
@pack_option
@click.option("--recorded", is_flag=True, help="Show the list that the bridge keeps; does not need the port.")
@click.option("-c", "--config", "config_path", metavar="FILE", help="With --recorded: configuration of the bridge.")
@language_option
@json_option
def events_command(
    newest: int,
    show_all: bool,
    device: str,
    pack: str,
    recorded: bool,
    config_path: str | None,
    language: Language,
    as_json: bool,
) -> None:
    """Show what happened: the event log of the BMS, oldest first.

    The BMS keeps 49 events and has no list of active alarms; what is open now follows from its events.

    \b
    Examples:
      tinybms-bridge events --device /dev/ttyUSB0      the last 20 events of the BMS, and what is open
      tinybms-bridge events --all --json               all of them, for another program
      tinybms-bridge events --recorded                 what a running bridge has written down, its own events too
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not re-wrapped
    from tinybms_bridge.cli.device import with_doctor

    count = None if show_all else newest
    try:
        if recorded:
            _show_recorded(config_path, count, language, as_json, pack)
            return
        found = run_until_signal(lambda: _read(device, pack))
    except BridgeError as error:
        fail(with_doctor(error, device))
    if found is None:
        fail("interrupted before everything was read")
    _show_log(found, count, language, as_json)


@dataclass(frozen=True, slots=True)
class _Log:
    """What was read."""

    now_s: int
    events: "tuple[DatedEvent, ...]"
    still_open: "tuple[BmsEvent, ...]"


async def _read(device: str, pack: str) -> _Log:
    from tinybms_bridge.battery.bms_events import open_events
    from tinybms_bridge.battery.snapshot import BmsStatus
    from tinybms_bridge.cli.device import connected
    from tinybms_bridge.hal.clock import SystemClock
    from tinybms_bridge.tinybms.eventlog import merge, read_events
    from tinybms_bridge.tinybms.frames import CommandCode, ShortValue, SimpleRequest

    async with connected(device, pack=pack) as client:
        reply = await client.request(SimpleRequest(CommandCode.STATUS))
        assert isinstance(reply, ShortValue)
        reading = await read_events(client)
    status = BmsStatus.from_raw(reply.value)
    faulted = None if status is BmsStatus.UNKNOWN else status is BmsStatus.FAULT
    _, dated = merge((), reading, SystemClock().wall())
    return _Log(reading.now_s, dated, open_events(reading.events, faulted=faulted))


def _show_log(found: _Log, count: int | None, language: Language, as_json: bool) -> None:
    shown = found.events if count is None else found.events[-count:]
    if as_json:
        document = {
            "lifetime_s": found.now_s,
            "events": [_document(dated.event, dated.at) for dated in shown],
            "open": [_document(event, None) | {"advice": event.kind.advice} for event in found.still_open],
        }
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return
    rows = [
        _Row(
            dated.at,
            dated.event.severity,
            f"0x{dated.event.event_id:02X}",
            dated.event.kind.message.say(language),
        )
        for dated in shown
    ]
    _table(rows, "number", language)
    _summary(len(shown), len(found.events), language)
    for event in found.still_open:
        told = event.kind.message
        click.echo(say("events.open", {"event": told.document(), "advice": told.advice(language)}, language).rstrip())
    if not found.still_open:
        click.echo(say("events.none_open", {}, language))


def _document(event: "BmsEvent", at: datetime | None) -> dict[str, Any]:
    return {
        "at": None if at is None else at.isoformat(),
        "lifetime_s": event.lifetime_s,
        "id": event.event_id,
        "severity": event.severity,
        "key": event.kind.key,
        "text": event.kind.text,
    }


def _show_recorded(config_path: str | None, count: int | None, language: Language, as_json: bool, pack: str) -> None:
    from tinybms_bridge.core.event_store import line_of

    records = [each for each in _recorded(config_path) if pack in ("", each.pack)]
    shown = records if count is None else records[-count:]
    if as_json:
        click.echo(json.dumps([json.loads(line_of(record)) for record in shown], indent=1, ensure_ascii=False))
        return
    rows = [
        _Row(each.at, each.severity, say(f"source.{each.source}", {}, language), _told(each, language))
        for each in shown
    ]
    _table(rows, "source", language)
    _summary(len(shown), len(records), language)


def _told(record: "EventRecord", language: Language) -> str:
    return say("events.entry", {"text": record.say(language), "by": record.by}, language)


def _recorded(config_path: str | None) -> "Sequence[EventRecord]":
    from tinybms_bridge.cli.configuration import read_configuration
    from tinybms_bridge.config.paths import state_directory
    from tinybms_bridge.core.event_store import EVENTS_FILE, EventStore
    from tinybms_bridge.hal.storage import MOST_STATE_BYTES, FileStorage

    config = read_configuration(config_path).configuration
    file = state_directory(config.advanced.state_directory) / EVENTS_FILE
    store = EventStore(FileStorage(file, most_bytes=MOST_STATE_BYTES))
    store.look()
    return store.records()


@dataclass(frozen=True, slots=True)
class _Row:
    """One event as it is shown."""

    at: datetime | None
    severity: str
    third: str
    """Number of the BMS's event, or who noticed it."""
    text: str


def _moment(at: datetime | None, language: Language) -> str:
    return say("events.no_time", {}, language) if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _summary(shown: int, total: int, language: Language) -> None:
    if shown < total:
        click.echo(say("events.some", {"shown": shown, "total": total}, language))
    elif not total:
        click.echo(say("events.none", {}, language))


def _table(rows: Sequence[_Row], third: str, language: Language) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("time", "severity", third, "what"):
        table.add_column(say(f"column.{name}", {}, language), overflow="fold")
    for row in rows:
        severity = say(f"severity.{row.severity}", {}, language)
        style = _STYLES.get(row.severity)
        table.add_row(_moment(row.at, language), severity, row.third, row.text, style=style)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
