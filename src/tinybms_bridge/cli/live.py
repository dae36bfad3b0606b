"""The live one-screen view of a terminal: what the BMS says, what is decided and why, what is sent."""

import logging
from collections import deque
from collections.abc import Callable

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import Limits, Quantity, explain
from tinybms_bridge.battery.snapshot import PackState, Snapshot
from tinybms_bridge.battery.view import View
from tinybms_bridge.bridge import Bridge
from tinybms_bridge.hal.clock import Clock

__all__ = ["LastLines", "LiveView"]

_FRESHNESS_STYLE = {
    Freshness.STARTING: "yellow",
    Freshness.FRESH: "green",
    Freshness.HOLD: "bold yellow",
    Freshness.SILENT: "bold red",
}


_OLD = "bright_black"
"""Grey: values of which nobody knows whether they still hold."""


class LastLines(logging.Handler):
    """Keeps the last log lines for the view."""

    def __init__(self, count: int = 6) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=count)

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler.emit``."""
        self._lines.append(self.format(record))

    def lines(self) -> list[str]:
        """Return the kept lines, oldest first."""
        return list(self._lines)


class LiveView:
    """Draws one bridge again and again."""

    def __init__(
        self, bridge: Bridge, clock: Clock, lines: LastLines, title: str, extra: Callable[[], RenderableType] | None
    ) -> None:
        self._bridge = bridge
        self._clock = clock
        self._lines = lines
        self._title = title
        self._extra = extra

    async def run(self) -> None:
        """Draw twice a second until cancelled; the last picture stays on the screen."""
        with Live(self.render(), console=Console(), auto_refresh=False, redirect_stdout=False) as live:
            while True:
                await self._clock.sleep(0.5)
                live.update(self.render(), refresh=True)

    def render(self) -> RenderableType:
        """Return the whole screen."""
        view = self._bridge.view()
        parts: list[RenderableType] = [_status_line(self._bridge), *_remark(view)]
        snapshot = view.last.snapshot if view.last else view.measured
        if snapshot is not None:
            old = view.last is not None
            columns = [_pack_table(snapshot, old=old), _link_table(self._bridge)]
            parts.append(Columns(columns, padding=(0, 3)))
            parts.append(_cells(snapshot, old=old))
        if view.limits is not None:
            parts.append(_limits_table(view.limits))
        elif view.last is not None:
            parts.append(Text("No limits are sent", style=_OLD))
        if self._extra is not None:
            parts.append(self._extra())
        parts += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines.lines()]
        return Panel(Group(*parts), title=self._title, subtitle="Ctrl-C ends")


def _status_line(bridge: Bridge) -> Text:
    freshness = bridge.pipeline.freshness
    text = Text.assemble(
        ("BMS ", "bold"),
        ("answers", "green") if bridge.poller.link.up else (bridge.poller.link.reason, "red"),
        ("   data ", "bold"),
        (str(freshness), _FRESHNESS_STYLE[freshness]),
        ("   CAN ", "bold"),
        (bridge.can_error, "red") if bridge.can_error else ("open", "green"),
        ("   GX ", "bold"),
        bridge.gx.state.name.lower().replace("_", " "),
        ("   up ", "bold"),
        f"{bridge.uptime_s:.0f} s",
    )
    active = bridge.pipeline.alarms.active()
    if active:
        words = ", ".join(f"{name.replace('_', ' ')} ({level.name.lower()})" for name, level in active.items())
        text.append(f"\nAlarms: {words}", style="bold red")
    return text


def _remark(view: View) -> list[RenderableType]:
    """Say why charging is stopped or nothing is sent, and how old the greyed values are."""
    if view.last is None:
        return []
    first, rest = view.remark[:1].upper(), view.remark[1:]
    return [Text(f"{first}{rest}. The values below are {view.last.age_s:.0f} s old.", _FRESHNESS_STYLE[view.freshness])]


def _grid(rows: list[tuple[str, str]], *, old: bool = False) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style=_OLD if old else "cyan"), Text(value, style=_OLD if old else ""))
    return table


def _pack_table(snapshot: Snapshot, *, old: bool) -> Table:
    pack, cells, temperatures = snapshot.pack, snapshot.cells, snapshot.temperatures
    shown = [f"{celsius:.1f}" for celsius in temperatures.pack_c]
    return _grid(
        [
            ("Voltage", f"{pack.voltage_v:.2f} V"),
            ("Current", f"{pack.current_a:+.1f} A   {pack.power_w:+.0f} W"),
            ("SOC", _soc(pack)),
            ("SOH", "not reported" if pack.soh_percent is None else f"{pack.soh_percent:.1f} %"),
            ("Status", pack.status.name.lower().replace("_", " ")),
            ("Temperature", f"{', '.join(shown) or 'no sensor'} °C"),
            ("Cells", f"{cells.count}: {cells.min_v:.3f} to {cells.max_v:.3f} V, Δ {cells.delta_mv:.0f} mV"),
        ],
        old=old,
    )


def _soc(pack: PackState) -> str:
    bms = "" if pack.bms_soc_percent is None else f"   BMS {pack.bms_soc_percent:.2f} %"
    return f"{pack.soc_percent:.2f} %{bms}"


def _link_table(bridge: Bridge) -> Table:
    link, can, energy = bridge.client.statistics, bridge.can_statistics, bridge.pipeline.energy
    return _grid(
        [
            ("Polls", f"{link.success} good, {link.errors} failed, {link.retries} repeated"),
            ("Latency", f"{link.latency.last_ms:.1f} ms, mean {link.latency.average_ms:.1f}"),
            ("Interval", f"{bridge.poller.interval.interval_ms:.0f} ms"),
            ("Rejected", f"{bridge.pipeline.rejected} samples"),
            ("CAN sent", f"{can.tx_count}, {can.tx_errors} errors"),
            ("CAN received", f"{can.rx_count}"),
            ("Energy", f"{energy.charged_wh / 1000:.3f} kWh in, {energy.discharged_wh / 1000:.3f} kWh out"),
        ]
    )


def _cells(snapshot: Snapshot, *, old: bool) -> RenderableType:
    cells = snapshot.cells
    balancing = cells.balancing or (False,) * cells.count
    items = []
    for number, (voltage_v, bleeding) in enumerate(zip(cells.voltages_v, balancing, strict=True), start=1):
        style = "green" if number == cells.max_number else "yellow" if number == cells.min_number else ""
        style = _OLD if old else style
        items.append(Text(f"{number:>2} {voltage_v:.3f}{'*' if bleeding else ' '}", style=style))
    return Columns(items, padding=(0, 1))


def _limits_table(limits: Limits) -> Table:
    table = Table(box=None, padding=(0, 2), show_header=False)
    values = (
        (Quantity.CVL, f"{limits.cvl_v:.1f} V"),
        (Quantity.CCL, f"{limits.ccl_a:.1f} A"),
        (Quantity.DCL, f"{limits.dcl_a:.1f} A"),
    )
    for quantity, value in values:
        reason = limits.binding(quantity)
        why = "" if reason is None else explain(reason).partition(": ")[2]
        table.add_row(Text(quantity.name, style="bold cyan"), Text(value, style="bold"), Text(why, style="dim"))
    table.add_row(Text("State", style="bold cyan"), Text(str(limits.state), style="bold"), Text(""))
    return table
