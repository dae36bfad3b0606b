#!/usr/bin/env python3
"""Makes the board for Grafana, docs/grafana/tinybms-bridge.json.

    scripts/grafana_board.py [docs/grafana/tinybms-bridge.json]

A board is some thousand lines of JSON of which most says how a panel looks; what belongs to this program, the questions
and their order, is here. Each query names the bridge by ``$bridge``, so that one Prometheus server may have several.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BOARD = ROOT / "docs" / "grafana" / "tinybms-bridge.json"

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
BRIDGE = 'instance="$bridge"'
PACKS = f'{BRIDGE}, pack=~"$pack"'
WIDTH = 24
"""Columns of a board."""

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "text"

FRESHNESS = {"STARTING": (11, BLUE), "FRESH": (12, GREEN), "HOLD": (13, ORANGE), "SILENT": (14, RED)}
CHARGE_STATES = {
    "BULK": (1, BLUE),
    "TRANSITION": (2, "light-blue"),
    "FLOAT_APPROACH": (3, "super-light-green"),
    "FLOAT": (4, GREEN),
    "IMBALANCE_HOLD": (5, ORANGE),
    "SUSTAIN": (6, PURPLE),
}
CONDITIONS = {"off": (1, GREY), "starting": (2, BLUE), "working": (3, GREEN), "trouble": (4, RED)}
CONTROLLER = {
    "error_active": (1, GREEN),
    "error_warning": (2, YELLOW),
    "error_passive": (3, ORANGE),
    "bus_off": (4, RED),
    "stopped": (5, RED),
    "sleeping": (6, GREY),
}
PACK_CONDITIONS = {
    "in_use": (1, GREEN),
    "starting": (2, BLUE),
    "joining": (3, ORANGE),
    "silent": (4, RED),
    "odd": (5, RED),
    "out_of_service": (6, GREY),
}
Codes = Mapping[str, tuple[int, str]]
"""The number by which a panel tells a state, and its colour."""


@dataclass(frozen=True)
class Query:
    """One question of a panel."""

    text: str
    legend: str = ""
    now: bool = False
    """Whether the present value is enough."""
    rows: bool = False
    """Whether each series is a row of a table."""


@dataclass(frozen=True)
class Panel:
    """One panel; ``width`` of 24 and ``height`` in rows of 30 pixels."""

    title: str
    kind: str
    queries: Sequence[Query]
    unit: str
    width: int
    height: int
    description: str = ""
    defaults: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    overrides: Sequence[Json] = ()
    more: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A heading with its panels, from left to right and from top to bottom."""

    title: str
    panels: Sequence[Panel]
    closed: bool = False
    """Whether one has to open it to see the panels."""


def one(name: str, labels: str = BRIDGE) -> str:
    """Return the selector of a family."""
    return f"tinybms_{name}{{{labels}}}"


def rate(name: str, labels: str = BRIDGE) -> str:
    """Return how much a counter grows in a second."""
    return f"rate({one(name, labels)}[$__rate_interval])"


def coded(name: str, label: str, codes: Codes, labels: str = BRIDGE, by: str = "") -> str:
    """Return one number for the member of a family that is 1, so that a state is one line of a panel."""
    parts = (
        f"{number} * sum{by}({one(name, f'{labels}, {label}={json.dumps(each)}')})"
        for each, (number, _) in codes.items()
    )
    return " + ".join(parts)


def mapped(*codes: Codes) -> list[Json]:
    """Return what shows the numbers of ``coded`` as words."""
    options = {
        str(number): {"text": text, "color": color, "index": index}
        for index, (text, (number, color)) in enumerate(each for group in codes for each in group.items())
    }
    return [{"type": "value", "options": options}]


def yes_no(yes: str, no: str, yes_color: str = GREEN, no_color: str = RED) -> list[Json]:
    """Return what shows 1 and 0 as words."""
    return mapped({yes: (1, yes_color), no: (0, no_color)})


def steps(*at: tuple[float | None, str]) -> Json:
    """Return thresholds: from each value on its colour; the first one has None."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in at]}


def colored(name: str, color: str, **custom: object) -> Json:
    """Return an override: the colour, and more, of the series with a legend."""
    properties: list[Json] = [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]
    properties += [{"id": f"custom.{key}", "value": value} for key, value in custom.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def dashed(name: str, color: str) -> Json:
    """Return an override for a limit: a broken line without area, in steps."""
    line = {"fill": "dash", "dash": [8, 6]}
    return colored(name, color, lineStyle=line, fillOpacity=0, lineInterpolation="stepAfter")


def chart(title: str, unit: str, *queries: Query, width: int = 12, height: int = 8, **more: Any) -> Panel:  # noqa: ANN401
    """Return a chart over time."""
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 8,
        "showPoints": "never",
        "spanNulls": False,  # what is not known is a gap
        "lineInterpolation": "linear",
        "axisSoftMin": more.pop("soft_min", None),
        "axisSoftMax": more.pop("soft_max", None),
        **more.pop("custom", {}),
    }
    defaults = {
        "custom": {name: value for name, value in custom.items() if value is not None},
        **more.pop("defaults", {}),
    }
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel(title, "timeseries", queries, unit, width, height, defaults=defaults, options=options, **more)


_LAST: Json = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}


def figure(title: str, unit: str, query: str, *, width: int = 4, height: int = 4, **more: Any) -> Panel:  # noqa: ANN401
    """Return one large number, the present one."""
    options = {
        **_LAST,
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "textMode": "auto",
        "orientation": "auto",
        **more.pop("options", {}),
    }
    return Panel(title, "stat", [Query(query, now=True)], unit, width, height, options=options, **more)


def bars(title: str, unit: str, query: Query, *, width: int = 12, height: int = 8, **more: Any) -> Panel:  # noqa: ANN401
    """Return one bar for each series, of its present value."""
    options = {
        **_LAST,
        "displayMode": "gradient",
        "orientation": "horizontal",
        "showUnfilled": True,
        "valueMode": "color",
    }
    return Panel(title, "bargauge", [query], unit, width, height, options=options, **more)


def timeline(title: str, mappings: list[Json], *queries: Query, width: int = 24, height: int = 6, **more: Any) -> Panel:  # noqa: ANN401
    """Return states over time, a line for each series."""
    defaults = {
        "custom": {"lineWidth": 0, "fillOpacity": 75},
        "mappings": mappings,
        "color": {"mode": "thresholds"},
        "thresholds": steps((None, GREEN)),
    }
    options = {
        "showValue": "auto",
        "mergeValues": True,
        "alignValue": "left",
        "rowHeight": 0.85,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel(title, "state-timeline", queries, "none", width, height, defaults=defaults, options=options, **more)


def table(title: str, query: str, columns: Mapping[str, str], **more: Any) -> Panel:  # noqa: ANN401
    """Return rows of labels; ``columns`` has the labels that are shown, with their headings."""
    hidden = ["Time", "__name__", "instance", "job", *more.pop("hidden", ())]
    arrange = {
        "excludeByName": dict.fromkeys(hidden, True),
        "renameByName": dict(columns),
        "indexByName": {name: index for index, name in enumerate(columns)},
    }
    transformations = [{"id": "organize", "options": arrange}]
    options = {"showHeader": True, "cellHeight": "sm"}
    return Panel(
        title,
        "table",
        [Query(query, now=True, rows=True)],
        "none",
        more.pop("width", 12),
        more.pop("height", 6),
        options=options,
        defaults={"custom": {"align": "auto", "cellOptions": {"type": "auto"}}},
        more={"transformations": transformations},
        **more,
    )


PERCENT: Json = {"min": 0, "max": 1, "decimals": 1}

ALARMS, WARNINGS = (one("alarm", f'{BRIDGE}, level="{level}"') for level in ("alarm", "warning"))

OVERVIEW = Row(
    "Overview",
    [
        Panel(
            "State of charge",
            "gauge",
            [Query(one("battery_soc_ratio"), now=True)],
            "percentunit",
            4,
            8,
            defaults={**PERCENT, "thresholds": steps((None, RED), (0.1, ORANGE), (0.2, GREEN))},
            options={**_LAST, "showThresholdLabels": False, "showThresholdMarkers": True, "orientation": "auto"},
        ),
        figure("Voltage", "volt", one("battery_voltage_volts"), defaults={"decimals": 2}),
        figure(
            "Current",
            "amp",
            one("battery_current_amperes"),
            description="Positive into the battery.",
            defaults={"decimals": 1, "thresholds": steps((None, ORANGE), (0, GREEN))},
        ),
        figure(
            "Power",
            "watt",
            one("battery_power_watts"),
            description="Positive into the battery.",
            defaults={"decimals": 0, "thresholds": steps((None, ORANGE), (0, GREEN))},
        ),
        figure(
            "Data",
            "none",
            coded("battery_freshness", "state", FRESHNESS),
            description="FRESH: values are live. HOLD: charging is stopped. SILENT: nothing is sent to the GX.",
            defaults={"mappings": mapped(FRESHNESS)},
        ),
        figure(
            "Charge state",
            "none",
            coded("charge_state", "state", CHARGE_STATES),
            defaults={"mappings": mapped(CHARGE_STATES)},
        ),
        figure(
            "Alarms",
            "none",
            f"sum({ALARMS})",
            description="In force now.",
            defaults={"thresholds": steps((None, GREEN), (1, RED))},
        ),
        figure(
            "Warnings",
            "none",
            f"sum({WARNINGS})",
            description="In force now.",
            defaults={"thresholds": steps((None, GREEN), (1, ORANGE))},
        ),
        figure(
            "GX",
            "none",
            f"max({one('gx_present')})",
            defaults={"mappings": yes_no("heard", "not heard")},
        ),
        figure(
            "Until empty", "s", one("battery_time_left_seconds"), description="As the BMS estimates it; none at rest."
        ),
        figure(
            "State of health",
            "percentunit",
            one("battery_soh_ratio"),
            description="None where the firmware of the BMS has none.",
            defaults={**PERCENT, "thresholds": steps((None, RED), (0.6, ORANGE), (0.8, GREEN))},
        ),
        chart(
            "Power",
            "watt",
            Query(one("battery_power_watts"), "Power"),
            description="Above 0 the battery is charged.",
            custom={"fillOpacity": 25, "gradientMode": "scheme", "axisCenteredZero": True},
            defaults={"color": {"mode": "thresholds"}, "thresholds": steps((None, ORANGE), (0, GREEN))},
        ),
        chart(
            "State of charge over time",
            "percentunit",
            Query(one("battery_soc_ratio"), "State of charge"),
            defaults=PERCENT,
            custom={"fillOpacity": 20},
        ),
        chart(
            "Current within its limits",
            "amp",
            Query(one("battery_current_amperes"), "Current"),
            Query(one("limit_ccl_amperes"), "CCL"),
            Query(f"-{one('limit_dcl_amperes')}", "-DCL"),
            description="What flows, and what charger and loads may do: CCL above 0, DCL below.",
            overrides=[colored("Current", BLUE), dashed("CCL", GREEN), dashed("-DCL", ORANGE)],
        ),
        chart(
            "Voltage below its limit",
            "volt",
            Query(one("battery_voltage_volts"), "Voltage"),
            Query(one("limit_cvl_volts"), "CVL"),
            defaults={"decimals": 2},
            overrides=[colored("Voltage", BLUE), dashed("CVL", RED)],
        ),
        timeline(
            "Data and charge state over time",
            mapped(FRESHNESS, CHARGE_STATES),
            Query(coded("battery_freshness", "state", FRESHNESS), "Data"),
            Query(coded("charge_state", "state", CHARGE_STATES), "Charge state"),
            width=12,
        ),
        timeline(
            "What binds each limit",
            [{"type": "value", "options": {"1": {"text": "binds", "color": BLUE, "index": 0}}}],
            Query(f"max by (limit, code) ({one('limit_reason_info')})", "{{limit}}: {{code}}"),
            width=12,
            description="Codes as in the API; the page of the bridge has them in words.",
        ),
        timeline(
            "Alarms and notices",
            mapped({"warning": (1, ORANGE), "alarm": (2, RED)}),
            Query(
                f"max by (name) (2 * ({ALARMS} == 1) or ({WARNINGS} == 1))",
                "{{name}}",
            ),
            description="Each name that was in force in this time.",
        ),
    ],
)

SORTED_CELL = 'label_replace({query}, "cell", "0$1", "cell", "(.)")'
"""Puts cell 2 before cell 10."""
CELLS = SORTED_CELL.format(query=one("cell_voltage_volts", PACKS))

CELL_ROW = Row(
    "Cells",
    [
        chart(
            "Lowest and highest cell",
            "volt",
            Query(one("pack_cell_voltage_max_volts", PACKS), "{{pack}} highest"),
            Query(one("pack_cell_voltage_min_volts", PACKS), "{{pack}} lowest"),
            defaults={"decimals": 3},
            custom={"fillOpacity": 0},
        ),
        chart(
            "Difference of the cells",
            "volt",
            Query(one("pack_cell_voltage_spread_volts", PACKS), "{{pack}}"),
            description="It grows near full and near empty; what counts is that at rest.",
            soft_min=0,
            soft_max=0.03,
            custom={"thresholdsStyle": {"mode": "dashed"}},
            defaults={"decimals": 3, "thresholds": steps((None, GREEN), (0.05, ORANGE), (0.1, RED))},
        ),
        bars(
            "Each cell now",
            "volt",
            Query(CELLS, "{{pack}} {{cell}}", now=True),
            height=12,
            defaults={
                "decimals": 3,
                "color": {"mode": "continuous-BlYlRd"},
                "thresholds": steps((None, BLUE)),
            },
        ),
        chart("Each cell over time", "volt", Query(CELLS, "{{pack}} {{cell}}"), height=12, custom={"fillOpacity": 0}),
        Panel(
            "Each cell against the mean of its pack",
            "status-history",
            [
                Query(
                    f"{CELLS} - on (pack) group_left () avg by (pack) ({one('cell_voltage_volts', PACKS)})",
                    "{{pack}} {{cell}}",
                )
            ],
            "volt",
            24,
            12,
            description="A cell that is always red or always blue is stronger or weaker than the others.",
            defaults={
                "min": -0.03,
                "max": 0.03,
                "decimals": 3,
                "custom": {"lineWidth": 0, "fillOpacity": 85},
                "color": {"mode": "continuous-BlYlRd"},
            },
            options={
                "showValue": "never",
                "rowHeight": 0.9,
                "colWidth": 1,
                "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
                "tooltip": {"mode": "single", "sort": "none"},
            },
            more={"maxDataPoints": 200},
        ),
        timeline(
            "Balancing",
            mapped({"bled": (1, ORANGE)}),
            Query(f"{SORTED_CELL.format(query=one('cell_balancing', PACKS))} == 1", "{{pack}} {{cell}}"),
            width=12,
            height=10,
            description="Cells that were bled in this time.",
        ),
        bars(
            "Share of the time that each cell was bled",
            "percentunit",
            Query(
                SORTED_CELL.format(query=f"avg_over_time({one('cell_balancing', PACKS)}[$__range])"),
                "{{pack}} {{cell}}",
                now=True,
            ),
            height=10,
            defaults={**PERCENT, "thresholds": steps((None, GREEN), (0.3, ORANGE), (0.6, RED))},
        ),
    ],
)

TEMPERATURES = Row(
    "Temperatures",
    [
        chart(
            "Temperatures",
            "celsius",
            Query(one("pack_temperature_celsius", PACKS), "{{pack}} {{sensor}}"),
            width=16,
            custom={"fillOpacity": 0},
        ),
        figure(
            "Coldest",
            "celsius",
            f"min({one('pack_temperature_celsius', PACKS)})",
            height=8,
            description="Near and below 0 °C charging is limited.",
            defaults={"decimals": 1, "thresholds": steps((None, RED), (0, ORANGE), (5, GREEN))},
        ),
        figure(
            "Hottest",
            "celsius",
            f"max({one('pack_temperature_celsius', PACKS)})",
            height=8,
            defaults={"decimals": 1, "thresholds": steps((None, GREEN), (45, ORANGE), (55, RED))},
        ),
    ],
)

KWH = "/ 3.6e6"
CHARGED, DISCHARGED = one("battery_charged_joules_total"), one("battery_discharged_joules_total")

ENERGY = Row(
    "Energy",
    [
        chart(
            "Energy per day",
            "kwatth",
            Query(f"increase({CHARGED}[1d] offset -1d) {KWH}", "Charged"),
            Query(f"-increase({DISCHARGED}[1d] offset -1d) {KWH}", "Discharged"),
            width=16,
            description="Of the last 31 days, by days of UTC; the page History of the bridge has them by local days.",
            custom={"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "barAlignment": 1},
            overrides=[colored("Charged", GREEN), colored("Discharged", ORANGE)],
            more={"interval": "1d", "timeFrom": "31d"},
        ),
        figure(
            "Charged in the time shown",
            "kwatth",
            f"increase({CHARGED}[$__range]) {KWH}",
            defaults={"decimals": 2},
        ),
        figure(
            "Discharged in the time shown",
            "kwatth",
            f"increase({DISCHARGED}[$__range]) {KWH}",
            defaults={"decimals": 2},
        ),
        figure("Charged in all", "kwatth", f"{CHARGED} {KWH}", defaults={"decimals": 0}),
        figure(
            "Out of what went in",
            "percentunit",
            f"{DISCHARGED} / ({CHARGED} > 0)",
            description="Discharged by charged, since the counters began.",
            defaults=PERCENT,
        ),
    ],
)

LINKS = Row(
    "Line to the BMS, CAN and GX",
    [
        timeline(
            "Up and down",
            yes_no("up", "down"),
            Query(f"max by (pack) ({one('line_up', PACKS)})", "BMS {{pack}}"),
            Query(f"max by (output) ({one('can_up')})", "CAN {{output}}"),
            Query(f"max by (output) ({one('gx_present')})", "GX on {{output}}"),
            width=12,
        ),
        timeline(
            "Controller of the CAN interface",
            mapped(CONTROLLER),
            Query(coded("can_controller_state", "state", CONTROLLER, by=" by (output) "), "{{output}}"),
            width=12,
            description="Only SocketCAN tells it.",
        ),
        chart(
            "Age of the samples",
            "s",
            Query(one("pack_sample_age_seconds", PACKS), "{{pack}}"),
            description="From 3 s on charging is stopped.",
            soft_min=0,
            soft_max=3,
        ),
        chart(
            "Time of an answer of the BMS",
            "s",
            Query(one("line_latency_seconds", PACKS), "{{pack}}"),
            soft_min=0,
        ),
        chart("Answers a second", "reqps", Query(rate("line_replies_total", PACKS), "{{pack}}"), width=8, soft_min=0),
        chart(
            "Requests that failed",
            "percentunit",
            Query(f"{rate('line_errors_total', PACKS)} / ({rate('line_polls_total', PACKS)} > 0)", "{{pack}}"),
            width=8,
            soft_min=0,
            soft_max=0.05,
        ),
        chart(
            "What was wrong on the line",
            "cps",
            Query(rate("line_timeouts_total", PACKS), "{{pack}} no answer"),
            Query(rate("line_crc_errors_total", PACKS), "{{pack}} checksum"),
            Query(rate("line_rejected_samples_total", PACKS), "{{pack}} not believed"),
            Query(rate("line_outliers_total", PACKS), "{{pack}} outliers"),
            width=8,
            soft_min=0,
        ),
        chart(
            "Frames a second",
            "cps",
            Query(rate("can_frames_sent_total"), "{{output}} sent"),
            Query(rate("can_frames_received_total"), "{{output}} received"),
            width=8,
            soft_min=0,
        ),
        chart(
            "Errors on the bus",
            "cps",
            Query(rate("can_send_errors_total"), "{{output}} not sent"),
            Query(rate("can_receive_errors_total"), "{{output}} while receiving"),
            Query(rate("can_controller_bus_errors_total"), "{{output}} bus errors"),
            width=8,
            soft_min=0,
        ),
        chart(
            "Level of errors of the controller",
            "none",
            Query(one("can_controller_error_level"), "{{output}} {{direction}}"),
            width=8,
            soft_min=0,
            description="Error-passive from 128.",
            custom={"thresholdsStyle": {"mode": "dashed"}},
            defaults={"thresholds": steps((None, GREEN), (128, RED))},
        ),
        table(
            "Faults of the CAN interface",
            f"{one('can_fault')} == 1",
            {"output": "Output", "fault": "Fault"},
            hidden=["Value"],
            description="As the page Diagnostics tells them, with the command that mends each.",
        ),
        bars(
            "What each BMS has had to protect",
            "none",
            Query(one("bms_protections_total", PACKS), "{{pack}} {{kind}}", now=True),
            height=6,
            description="Counted by the BMS since its statistics were cleared.",
            defaults={"thresholds": steps((None, BLUE)), "min": 0},
        ),
    ],
    closed=True,
)

PROGRAM = Row(
    "Program",
    [
        figure("Core", "none", one("core_up"), defaults={"mappings": yes_no("heard", "not heard")}, width=3),
        figure("Runs since", "s", one("core_uptime_seconds"), width=3, description="The core."),
        figure(
            "Scrape",
            "s",
            f"scrape_duration_seconds{{{BRIDGE}}}",
            width=3,
            description="Time that a scrape of Prometheus takes.",
            defaults={"decimals": 3},
        ),
        figure("History", "bytes", one("history_size_bytes"), width=3, description="Size of its files."),
        table(
            "Versions",
            one("build_info"),
            {"process": "Process", "version": "Version"},
            width=6,
            height=4,
            hidden=["Value"],
        ),
        table(
            "Packs",
            one("pack_info"),
            {"pack": "Pack", "firmware": "Firmware", "hardware": "Hardware", "serial_number": "Serial number"},
            width=6,
            height=4,
            hidden=["Value"],
        ),
        chart(
            "Memory",
            "bytes",
            Query(one("process_resident_memory_bytes"), "{{process}}"),
            width=8,
            soft_min=0,
        ),
        chart(
            "Processor time",
            "percentunit",
            Query(rate("process_cpu_seconds_total"), "{{process}}"),
            width=8,
            soft_min=0,
            description="Of one core of the machine.",
        ),
        chart(
            "Restarts of parts",
            "none",
            Query(f"increase({one('part_restarts_total')}[$__rate_interval]) > 0", "{{part}}"),
            width=8,
            soft_min=0,
            custom={"drawStyle": "bars", "fillOpacity": 80},
        ),
        timeline(
            "Parts that did not run",
            mapped({"does not run": (0, RED)}),
            Query(f"max by (part) ({one('part_running')}) == 0", "{{part}}"),
            width=12,
        ),
        timeline(
            "Services",
            mapped(CONDITIONS),
            Query(coded("service_condition", "condition", CONDITIONS, by=" by (service) "), "{{service}}"),
            width=12,
        ),
        chart(
            "What the services do",
            "cps",
            Query(rate("service_events_total"), "{{service}} {{event}}"),
            width=6,
            soft_min=0,
        ),
        chart(
            "What the services keep",
            "bytes",
            Query(one("service_kept_bytes"), "{{service}} {{what}}"),
            width=6,
            soft_min=0,
            description="Until whom they serve is there again.",
        ),
        chart(
            "Batches of the history",
            "none",
            Query(f"increase({one('history_batches_written_total')}[$__rate_interval])", "written"),
            Query(f"increase({one('history_batches_lost_total')}[$__rate_interval])", "lost"),
            width=6,
            soft_min=0,
            overrides=[colored("written", GREEN), colored("lost", RED)],
        ),
        chart(
            "Watchdog",
            "cps",
            Query(rate("watchdog_feeds_total"), "fed"),
            width=6,
            soft_min=0,
            description="Times a second that it was fed.",
        ),
    ],
    closed=True,
)

PACK_ROW = Row(
    "Packs of a battery of several",
    [
        timeline(
            "Part in the battery",
            mapped(PACK_CONDITIONS),
            Query(coded("pack_condition", "condition", PACK_CONDITIONS, PACKS, by=" by (pack) "), "{{pack}}"),
            width=12,
        ),
        timeline(
            "Takes or gives nothing",
            yes_no("nothing", "yes", RED, GREEN),
            Query(f"max by (pack) ({one('pack_charge_blocked', PACKS)})", "{{pack}} in"),
            Query(f"max by (pack) ({one('pack_discharge_blocked', PACKS)})", "{{pack}} out"),
            width=12,
        ),
        chart(
            "Share of the current",
            "percentunit",
            Query(one("pack_charge_share_ratio", PACKS), "{{pack}} in"),
            Query(one("pack_discharge_share_ratio", PACKS), "{{pack}} out"),
            soft_min=0,
            description="As measured; never below the share of the capacity.",
        ),
        chart(
            "What each pack bears",
            "amp",
            Query(one("pack_ccl_amperes", PACKS), "{{pack}} in"),
            Query(one("pack_dcl_amperes", PACKS), "{{pack}} out"),
            soft_min=0,
        ),
        chart(
            "Energy by pack, a day",
            "kwatth",
            Query(f"increase({one('pack_charged_joules_total', PACKS)}[1d]) {KWH}", "{{pack}} in"),
            Query(f"increase({one('pack_discharged_joules_total', PACKS)}[1d]) {KWH}", "{{pack}} out"),
            width=24,
            soft_min=0,
            more={"interval": "1d", "timeFrom": "31d"},
        ),
    ],
    closed=True,
)

ROWS = (OVERVIEW, PACK_ROW, CELL_ROW, TEMPERATURES, ENERGY, LINKS, PROGRAM)


def placed(panels: Sequence[Panel], top: int) -> Iterator[tuple[Panel, Json]]:
    """Yield each panel with its place: in the first line with room for it, small ones below each other."""
    heights = [top] * WIDTH
    for panel in panels:
        y, x = min((max(heights[left : left + panel.width]), left) for left in range(WIDTH - panel.width + 1))
        heights[x : x + panel.width] = [y + panel.height] * panel.width
        yield panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}


def panel_json(panel: Panel, number: int, place: Json) -> Json:
    """Return a panel as Grafana has it."""
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": DATASOURCE,
            "expr": query.text,
            "legendFormat": query.legend or "__auto",
            "instant": query.now,
            "range": not query.now,
            "format": "table" if query.rows else "time_series",
            "editorMode": "code",
        }
        for index, query in enumerate(panel.queries)
    ]
    defaults = {"unit": panel.unit, "thresholds": steps((None, GREEN)), "mappings": [], **panel.defaults}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        **({"description": panel.description} if panel.description else {}),
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": panel.options,
        "targets": targets,
        **panel.more,
    }


def panels_json() -> list[Json]:
    """Return all rows with their panels; those of a closed row are within it."""
    found: list[Json] = []
    number, top = 1, 0
    for row in ROWS:
        heading = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": row.closed,
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
            "panels": [],
        }
        panels = []
        for panel, place in placed(row.panels, top + 1):
            number += 1
            panels.append(panel_json(panel, number, place))
        number += 1
        found.append(heading)
        if row.closed:
            heading["panels"] = panels
            top += 1
        else:
            found += panels
            top = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels)
    return found


def variable(name: str, label: str, query: str, **more: object) -> Json:
    """Return a variable whose choices Prometheus knows."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,  # when the time that is shown changes
        "sort": 1,
        **more,
    }


def board() -> Json:
    """Return the board."""
    return {
        "uid": "tinybms-bridge",
        "title": "TinyBMS battery",
        "description": "A battery with a TinyBMS on a Victron system, as tinybms-bridge sees it.",
        "tags": ["battery", "victron", "tinybms"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one cursor for all charts
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "annotations": {
            "list": [
                {
                    "name": "Core started",
                    "datasource": DATASOURCE,
                    "enable": True,
                    "iconColor": PURPLE,
                    "expr": f"resets({one('core_uptime_seconds')}[$__rate_interval]) > 0",
                    "titleFormat": "Core started",
                }
            ]
        },
        "links": [],
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                },
                variable("bridge", "Bridge", "label_values(tinybms_core_up, instance)"),
                variable(
                    "pack",
                    "Pack",
                    f"label_values(tinybms_line_up{{{BRIDGE}}}, pack)",
                    multi=True,
                    includeAll=True,
                    allValue=".*",
                    current={"selected": True, "text": ["All"], "value": ["$__all"]},
                ),
            ]
        },
        "panels": panels_json(),
    }


def text() -> str:
    """Return the file."""
    return json.dumps(board(), indent=2, ensure_ascii=False) + "\n"


def main(path: Path) -> None:
    """Write the file."""
    path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else BOARD)
