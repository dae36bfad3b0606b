"""The pages of the live view as lines of text: what matters most comes first and is the last to go.

A page is made of blocks in the order of the screen. Each has a rank; where there are too few lines for all, those of
the higher ranks give way. Nothing is cut at the right: what is too long goes on below.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.battery.headline import time_left
from tinybms_bridge.battery.limits import Limits, Quantity, sentence_of
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.cli.live_packs import Scene, ShownLine, pack_lines
from tinybms_bridge.cli.live_rows import LABEL, NARROW, OLD, row, text_lines, wrapped
from tinybms_bridge.cli.live_words import (
    alarm_words,
    can_of,
    clean,
    describe,
    duration,
    gx_words,
    in_words,
    uart_of,
)
from tinybms_bridge.link.events import PartState
from tinybms_bridge.link.state import CoreState, EnergyToday, PartStatus, ServiceCondition
from tinybms_bridge.words import say

__all__ = ["PAGES", "Scene", "ShownLine", "page_lines", "pages_of"]

PAGES = ("overview", "packs", "cells", "counters", "log")
"""``packs`` only where there are several."""

_BAR, _LEAST_BAR = 20, 6
_SOC_APART = 0.5
"""Percent from which on the count of the BMS is shown beside the bridge's."""
_CELL = 10
_LOG_LINES, _ENOUGH_LOG = 60, 6
_VITAL, _BESIDE, _SPACE = 2, 20, 50
"""Ranks: up to the first, blocks are whole before others begin; from the second on, what is only shown where there is
room; empty lines."""


def pages_of(core: CoreState) -> tuple[str, ...]:
    """Return the pages that there are."""
    return PAGES if len(core.battery.packs) > 1 else tuple(page for page in PAGES if page != "packs")


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together."""

    lines: list[Text]
    rank: int
    """Who gets lines first."""
    least: int = 1
    """Fewer lines than these are not worth showing; 0: shown only where all others have what they need."""
    newest: bool = False
    """Whether the last lines matter most, and as many of them are shown as there is room."""


def page_lines(scene: Scene, page: str, width: int, height: int) -> list[Text]:
    """Return the lines of a page, ``height`` at most, none wider than ``width``."""
    make = {
        "overview": _overview,
        "packs": _packs_page,
        "cells": _cells_page,
        "counters": _counters_page,
        "log": _log_page,
        "help": _help,
    }
    lines = _fit(make[page](scene, max(width, 2)), height)
    for line in lines:
        if line.cell_len > width:
            line.truncate(width)
    return lines


def _fit(blocks: Sequence[_Block], height: int) -> list[Text]:
    """Choose what is shown; the blocks of less than ``_BESIDE`` get all their lines before any other gets one."""
    shown = [0] * len(blocks)
    left = height
    steps = sorted(step for place, block in enumerate(blocks) for step in _steps(place, block))
    for _, number, wanted, whole in steps:
        more = min(wanted, len(blocks[number].lines)) - shown[number]
        if whole and more > left:
            continue
        if shown[number] or whole or blocks[number].least == 0:
            more = max(min(more, left), 0)
            shown[number] += more
            left -= more
    found: list[Text] = []
    for block, count in zip(blocks, shown, strict=True):
        found += _last(block.lines, count) if block.newest else _first(block.lines, count)
    return found


def _steps(number: int, block: _Block) -> Iterator[tuple[float, int, int, bool]]:
    """Return when a block gets how many lines: order, number of the block, lines, whether fewer are of no use."""
    if not block.least:
        yield _SPACE, number, len(block.lines), False
        return
    yield block.rank, number, block.least, True
    if block.newest:
        yield _BESIDE - 0.1, number, _ENOUGH_LOG, False
        yield _SPACE + 1, number, len(block.lines), False
    elif block.rank < _BESIDE:
        after = _VITAL if block.rank <= _VITAL else _BESIDE - 1
        yield after + 0.1 + block.rank / 100, number, len(block.lines), False


def _first(lines: list[Text], count: int) -> list[Text]:
    """Return the first lines, the last of which says when more would follow."""
    if not 0 < count < len(lines):
        return lines[:count]
    last = lines[count - 1].copy()
    last.truncate(max(last.cell_len - 2, 0))
    return [*lines[: count - 1], last.append(" …")]


def _last(lines: list[Text], count: int) -> list[Text]:
    """Return the last lines, without the end of an entry whose beginning there is no room for."""
    found = lines[len(lines) - count :]
    return next((found[start:] for start, line in enumerate(found) if not line.plain.startswith(" ")), found)


def _space() -> _Block:
    return _Block([Text()], _SPACE, least=0)


# The overview.


def _overview(scene: Scene, width: int) -> list[_Block]:
    sentence = describe(scene.core, scene.view, scene.flow)
    snapshot = scene.shown
    blocks = [_Block(wrapped(sentence.text, width, sentence.style), 0), _space()]
    blocks += _limit_blocks(scene, width)
    blocks += _alarm_blocks(scene, width)
    blocks.append(_Block(row("GX", gx_words(scene.core), width), 4))
    if snapshot is not None:
        blocks += [_space(), _Block([_soc_line(scene, snapshot, width)], 3)]
        blocks.append(_Block(_battery_lines(scene, snapshot, width), 6))
    if scene.several:
        lines = pack_lines(scene, width, worst_first=True)
        blocks += [_space(), _Block(lines, 6, least=min(3, len(lines)))]
    blocks += _web_blocks(scene, width)
    blocks += _service_blocks(scene, width)
    if scene.extra is not None:
        blocks += [_space(), _Block(text_lines(scene.extra, width), 9, least=2)]
    blocks += [_space(), _Block(_log_lines(scene, width), 7, least=2, newest=True)]
    if snapshot is not None and not scene.several:
        grid = [Text(), *_cell_grid(scene, snapshot, width)]
        blocks.append(_Block(grid, _BESIDE, least=len(grid)))
    counters = [Text(), *_counter_lines(scene, width)]
    blocks.append(_Block(counters, _BESIDE + 1, least=len(counters)))
    return blocks


def _limit_blocks(scene: Scene, width: int) -> list[_Block]:
    limits = scene.view.limits
    if limits is None:
        return [_Block(row("Limits", "none are sent", width, OLD, OLD), 1)]
    values = (
        (Quantity.CVL, f"{limits.cvl_v:.1f} V"),
        (Quantity.CCL, f"{limits.ccl_a:.1f} A"),
        (Quantity.DCL, f"{limits.dcl_a:.1f} A"),
    )
    return [_Block(_limit_lines(limits, quantity, value, width), 1) for quantity, value in values]


def _limit_lines(limits: Limits, quantity: Quantity, value: str, width: int) -> list[Text]:
    reason = limits.binding(quantity)
    why = "" if reason is None else clean(sentence_of(reason))
    return row(quantity.name, why, width, "bold cyan", value=f"{value:>8}  ")


def _alarm_blocks(scene: Scene, width: int) -> list[_Block]:
    alarms = alarm_words(scene.core, AlarmLevel.ALARM)
    warnings = alarm_words(scene.core, AlarmLevel.WARNING)
    blocks = []
    if alarms:
        blocks.append(_Block(row("ALARM", alarms, width, "bold red", "bold red"), 2))
    if warnings:
        blocks.append(_Block(row("Warning", warnings, width, "bold yellow", "yellow"), 2))
    return blocks or [_Block(row("Alarms", "none", width), 2)]


def _soc_line(scene: Scene, snapshot: Snapshot, width: int) -> Text:
    """Return SOC as figure and bar, time left and energy of the day; the bar gives way first, then the energy."""
    pack = snapshot.pack
    doubt = "" if pack.soc_known else "?"
    apart = pack.bms_soc_percent is not None and abs(pack.bms_soc_percent - pack.soc_percent) >= _SOC_APART
    bms = f" (BMS {pack.bms_soc_percent:.1f} %)" if apart else ""
    head = f"{'SOC':{LABEL}}" if width >= NARROW else "SOC "
    figure = f"{pack.soc_percent:>6.1f} %{doubt}{bms}"
    left = time_left(scene.view, scene.flow)
    tails = [f"  {'time left -' if left is None else left.text}", f"  today {_energy_words(scene.core.services.today)}"]
    room = width - len(head) - cell_len(figure)
    while tails and sum(map(cell_len, tails)) > room:
        tails.pop()
    bar = min(room - sum(map(cell_len, tails)) - 2, _BAR)
    line = Text(head, style=scene.style("cyan")).append(figure, style=scene.style("bold white"))
    if bar >= _LEAST_BAR:
        full = round(min(max(pack.soc_percent, 0.0), 100.0) / 100.0 * bar)
        line.append("  ").append("█" * full, style=scene.style("green")).append("░" * (bar - full), style=OLD)
    for tail in tails:
        line.append(tail, style=scene.style())
    line.truncate(width)
    return line


def _battery_lines(scene: Scene, snapshot: Snapshot, width: int) -> list[Text]:
    pack, cells, limits = snapshot.pack, snapshot.cells, scene.view.limits
    warmth = ", ".join(f"{celsius:.1f}" for celsius in snapshot.temperatures.pack_c)
    health = "not reported" if pack.soh_percent is None else f"{pack.soh_percent:.0f} %"
    state = "" if limits is None else f"  {limits.state}"
    battery = (
        f"{pack.voltage_v:.2f} V  {pack.current_a:+.1f} A  {pack.power_w:+.0f} W  {warmth or 'no sensor'} °C"
        f"  SOH {health}{state}"
    )
    bled = sum(cells.balancing)
    lowest, highest = (_cell_words(scene, snapshot, number) for number in (cells.min_number, cells.max_number))
    summary = (
        f"{cells.count} cells, {cells.min_v:.3f} V ({lowest}) to {cells.max_v:.3f} V"
        f" ({highest}), Δ {cells.delta_mv:.0f} mV{f', {bled} balancing' if bled else ''}"
    )
    label, style = scene.style("cyan"), scene.style()
    return [*row("Battery", battery, width, label, style), *row("Cells", summary, width, label, style)]


def _cell_words(scene: Scene, snapshot: Snapshot, number: int) -> str:
    """Return which cell it is, of several packs with its pack."""
    battery = scene.core.battery
    place = battery.place_of(number) if snapshot is battery.latest else None
    return f"{place.pack} no. {place.cell}" if place is not None and place.pack else f"no. {number}"


def _energy_words(today: EnergyToday | None) -> str:
    return "-" if today is None else f"{today.charged_kwh:.2f} kWh in, {today.discharged_kwh:.2f} out"


def _web_blocks(scene: Scene, width: int) -> list[_Block]:
    state = scene.core.services
    if not state.web_address:
        return []
    working = (each for each in state.services if each.condition is ServiceCondition.WORKING)
    addresses = [state.web_address, *(each.where for each in working if each.name == "mdns")]
    where = " or ".join(addresses)
    if not state.setup_token:
        return [_Block(row("Web", where, width), 8)]
    lines = row("Web", f"{where}  setup token until it is used:", width, "bold magenta")
    token = row("", state.setup_token, width, value_style="bold")
    user = row("", f"or {state.users_command} add NAME --role admin", width)
    return [_Block([*lines, *token], 5, least=len(lines) + len(token)), _Block(user, 10)]


def _service_blocks(scene: Scene, width: int) -> list[_Block]:
    """Return a line for each service that is wanted and does not work."""
    blocks = []
    for each in scene.core.services.services:
        if each.condition is ServiceCondition.TROUBLE:
            why = "" if each.message is None else f": {clean(each.message.text)}"
            text = f"{say(f'service_name.{each.name}', {}, text=each.name)} does not work{why}"
            blocks.append(_Block(row("Service", text, width, "bold yellow", "yellow"), 8))
    return blocks


def _log_lines(scene: Scene, width: int) -> list[Text]:
    found: list[Text] = []
    for entry in scene.log[-_LOG_LINES:]:
        found += row(entry.time, entry.text, width, OLD, entry.style, label_width=len(entry.time) + 1)
    return found


# Packs.


def _packs_page(scene: Scene, width: int) -> list[_Block]:
    lines = pack_lines(scene, width)
    blocks = [_Block(lines, 0)]
    if scene.pack:
        pack = scene.core.battery.pack(scene.pack)
        told = say(f"pack_condition.{pack.condition}.explanation", {})
        blocks += [_space(), _Block(row(f"Pack {scene.pack}", told, width, "bold cyan", label_width=LABEL + 8), 1)]
        limits = scene.packs.get(scene.pack, View()).limits
        if limits is not None:
            born = (
                (Quantity.CVL, f"{limits.cvl_v:.1f} V"),
                (Quantity.CCL, f"{limits.ccl_a:.1f} A"),
                (Quantity.DCL, f"{limits.dcl_a:.1f} A"),
            )
            blocks += [_Block(_limit_lines(limits, quantity, value, width), 2) for quantity, value in born]
    return blocks


# Cells.


def _cell_grid(scene: Scene, snapshot: Snapshot, width: int) -> list[Text]:
    """Return the voltages in rows of ten columns each; a star marks a cell that is bled."""
    in_row = max(1, width // _CELL)
    balancing = snapshot.cells.balancing or (False,) * snapshot.cells.count
    lines: list[Text] = []
    for number, (voltage_v, bled) in enumerate(zip(snapshot.cells.voltages_v, balancing, strict=True), start=1):
        if (number - 1) % in_row == 0:
            lines.append(Text())
        lines[-1].append(f"{number:>2} {voltage_v:.3f}{'*' if bled else ' '} ", style=_cell_style(scene, number))
    for line in lines:
        line.rstrip()
    return lines


def _cell_style(scene: Scene, number: int) -> str:
    if scene.old or scene.shown is None:
        return OLD
    cells = scene.shown.cells
    return "green" if number == cells.max_number else "yellow" if number == cells.min_number else ""


def _of_chosen(scene: Scene) -> Scene:
    """Return the scene of one pack, of several: the chosen one, or the first."""
    if not scene.several:
        return scene
    name = scene.pack or next(iter(scene.core.battery.packs))
    return Scene(scene.core, scene.packs.get(name, View()), scene.flow, scene.log, scene.extra, name, scene.packs)


def _cells_page(scene: Scene, width: int) -> list[_Block]:
    scene = _of_chosen(scene)
    snapshot = scene.shown
    if snapshot is None:
        return [_Block([Text("No cell has been read yet.", style="yellow")], 0)]
    cells = snapshot.cells
    balancing, wanted = (each or (False,) * cells.count for each in (cells.balancing, cells.wanted))
    span_v = max(cells.max_v - cells.min_v, 0.001)
    bar = max(0, min(40, width - 42))
    lines = []
    for number, voltage_v in enumerate(cells.voltages_v, start=1):
        marks = [
            word
            for word, applies in (
                ("highest", number == cells.max_number),
                ("lowest", number == cells.min_number),
                ("balancing", balancing[number - 1]),
                ("to be balanced", wanted[number - 1] and not balancing[number - 1]),
            )
            if applies
        ]
        full = round((voltage_v - cells.min_v) / span_v * bar)
        text = f"{number:>3}  {voltage_v:.4f} V  {'█' * full}{' ' * (bar - full)}  {', '.join(marks)}"
        line = Text(text.rstrip(), style=_cell_style(scene, number))
        line.truncate(width)
        lines.append(line)
    head = row("Pack", scene.pack, width, "bold cyan", "bold") if scene.several else []
    blocks = [_Block([*head, *_battery_lines(scene, snapshot, width)], 0), _space(), _Block(lines, 1)]
    if scene.old and scene.view.last is not None:
        blocks.insert(0, _Block([Text(f"These values are {duration(scene.view.last.age_s)} old.", "bold yellow")], 0))
    return blocks


# Counters, log and help.


def _counters_page(scene: Scene, width: int) -> list[_Block]:
    return [_Block(_counter_lines(scene, width), 0), _space(), _Block(_part_lines(scene, width), 1)]


def _counter_lines(scene: Scene, width: int) -> list[Text]:
    core = scene.core
    link, can, energy = uart_of(core, scene.pack), can_of(core), core.battery.energy
    polls = (
        f"{link.success} polls good, {link.errors} failed, {link.retries} repeated; {link.latency_last_ms:.1f} ms, "
        f"mean {link.latency_avg_ms:.1f}; every {link.poll_interval_ms:.0f} ms; "
        f"{link.rejected_samples} readings rejected"
    )
    rows = (
        (f"BMS {scene.pack}".rstrip(), polls),
        ("CAN", f"{can.tx_count} frames sent, {can.tx_errors} errors; {can.rx_count} received; {can.outages} outages"),
        ("Energy", f"{energy.charged_wh / 1000:.3f} kWh in, {energy.discharged_wh / 1000:.3f} kWh out, in all"),
    )
    return [line for label, text in rows for line in row(label, text, width)]


def _part_lines(scene: Scene, width: int) -> list[Text]:
    core = scene.core
    chosen = [scene.pack] if scene.pack else list(core.battery.packs)
    units = []
    for name in chosen or [""]:
        identity = core.battery.pack(name).identity
        unit = "not known yet" if identity is None else clean(str(identity))
        units += row("Unit", f"{name}: {unit}" if scene.several else unit, width)
    parts = ", ".join(_part(part) for part in (*core.parts, *core.services.parts))
    return [*units, *row("Parts", parts, width)]


def _part(part: PartStatus) -> str:
    why = f": {clean(part.error)}" if part.state == PartState.FAILED and part.error else ""
    return f"{part.name} {in_words(part.state)}{why}"


def _log_page(scene: Scene, width: int) -> list[_Block]:
    if not scene.log:
        return [_Block([Text("Nothing has been logged yet.", style=OLD)], 0)]
    return [*_alarm_blocks(scene, width), _space(), _Block(_log_lines(scene, width), 3, newest=True)]


_HELP = (
    ("Keys", "q ends the program, Tab is the next page, Shift-Tab the last one, ? this"),
    ("", "p, P: next and last pack, where there are several"),
    ("", ""),
    ("CVL", "charge voltage limit: the chargers go no higher"),
    ("CCL, DCL", "charge and discharge current limit; beside each is what binds it now"),
    ("SOC, SOH", "state of charge, state of health; (BMS ...) where it counts otherwise"),
    ("BMS", "battery management system: the TinyBMS that is read"),
    ("GX", "Victron's control unit (Cerbo GX, Venus OS), which obeys the limits"),
    ("CAN", "the bus between this program and the GX"),
    ("Δ  *", "highest less lowest cell; a cell that is bled, to balance it"),
    ("full in", "while the current has been steady for a minute; else -"),
    ("today", "energy since midnight, from the history, up to a minute behind"),
    ("", ""),
    ("BULK", "charging with all that is allowed"),
    ("", "TRANSITION, FLOAT_APPROACH: nearly full, gently; FLOAT: full and held"),
    ("", "IMBALANCE_HOLD: the cells are too far apart; SUSTAIN: nearly empty"),
    ("grey", "old values, of which nobody knows whether they still hold"),
    ("", "HOLD: no new data, charging is stopped; SILENT: nothing is sent"),
)


def _help(_scene: Scene, width: int) -> list[_Block]:
    lines: list[Text] = []
    for label, text in _HELP:
        lines += row(label, text, width, "bold cyan", label_width=10) if text else [Text()]
    return [_Block(lines, 0)]
