"""What the doctor makes of what it read from the BMS: values in, findings in plain words out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.advice import Advice, Weight
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, open_events
from tinybms_bridge.battery.limits import BalancingMemory, Chemistry, Evidence, RemarkCode, SocMemory, remarks_on
from tinybms_bridge.battery.plausibility import PlausibilityMemory, PlausibilitySettings, judge
from tinybms_bridge.battery.snapshot import BmsStatus, Identity, Ratings, Snapshot
from tinybms_bridge.config.battery import check_with_ratings, chemistry_remark
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.doctor.findings import Finding, Verdict, ok, problem, warning
from tinybms_bridge.errors import ConfigError, said, said_of
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.ratings import ratings_problems
from tinybms_bridge.words import Message, message

__all__ = [
    "Polls",
    "judge_advice",
    "judge_balancing",
    "judge_configuration",
    "judge_count",
    "judge_events",
    "judge_evidence",
    "judge_history",
    "judge_identity",
    "judge_polling",
    "judge_samples",
    "judge_settings",
    "judge_state",
]

_LATE_BALANCING_V = 0.10
"""Register 303 this near register 300 lies above the target of days that are no balancing days."""
_SENSE_WIRE_DROP_V = (0.5, 0.8)
"""The lowest cell reads 0.6 to 0.7 V low when its lower sense wire is missing (tinybms-protocol.md, 5.8)."""


@dataclass(frozen=True, slots=True)
class Polls:
    """How a number of reads went."""

    latencies_ms: tuple[float, ...]
    retries: int = 0
    timeouts: int = 0
    crc_errors: int = 0


def judge_configuration(notices: Iterable[Notice], error: ConfigError | None = None) -> list[Finding]:
    """Tell every mistake of a configuration, or else what its author should know."""
    if error is not None:
        advice = message("doctor.correct_configuration")
        found = [said_of(error.source, each.description) for each in error.problems]
        return [problem("configuration", told, advice) for told in found]
    remarks = [warning("configuration", notice.description) for notice in notices]
    return remarks or [ok("configuration", message("doctor.usable"))]


def judge_identity(identity: Identity) -> Finding:
    """Say who the BMS is."""
    if not identity.firmware_internal:
        return warning("identity", message("doctor.no_identity"))
    told = message(
        "doctor.identity",
        hardware=identity.hardware_version,
        firmware=identity.firmware,
        serial=identity.serial_number,
        old=not identity.reports_soh,
    )
    return ok("identity", told)


def judge_settings(ratings: Ratings, broadcast: int, config: Configuration) -> list[Finding]:
    """Judge the BMS's own settings, the text it sends by itself (register 342), and whether the configuration fits."""
    unsound = ratings_problems(ratings)
    if unsound:
        return [problem("settings", told, message("doctor.correct_settings")) for told in unsound]
    findings = [ok("settings", _describe(ratings))]
    findings += [
        problem("configuration", misfit.description, message("doctor.change_either"))
        for misfit in check_with_ratings(config, ratings)
    ]
    remark = chemistry_remark(config, ratings.fully_charged_cell_v, Chemistry.LTO)
    if remark is not None:
        findings.append(warning("configuration", remark.description, message("doctor.set_chemistry")))
    if broadcast:
        findings.append(warning("settings", message("doctor.broadcast")))
    return findings


def judge_advice(advice: Sequence[Advice], device: str = "") -> list[Finding]:
    """Show what an expert would change in the BMS's settings, each with its command, and what the owner should know."""
    if not advice:
        return [ok("advice", message("doctor.well_set"))]
    place = f" --device {device}" if device else ""
    return [
        Finding(
            "advice",
            Verdict.WARNING if each.weight in (Weight.ADVISED, Weight.URGENT) else Verdict.OK,
            message("doctor.choice", advice=each.message) if each.weight is Weight.CHOICE else each.message,
            said(f"{each.command}{place}") if each.command else None,
        )
        for each in advice
    ]


def judge_balancing(balancing: BalancingMemory, ratings: Ratings) -> list[Finding]:
    """Tell how far the cells are apart and how long balancing will take, as the bridge saw it last."""
    if balancing.spread_ah is None:
        return []
    told = balancing.summary(ratings.capacity_ah)
    early_v, full_v = ratings.early_balancing_cell_v, ratings.fully_charged_cell_v
    if balancing.work_ah > 0.0 and early_v is not None and early_v > full_v - _LATE_BALANCING_V:
        return [warning("balancing", told, message("doctor.late_balancing", early_v=early_v))]
    return [ok("balancing", told)]


def judge_count(soc: SocMemory, ratings: Ratings) -> list[Finding]:
    """Tell the bridge's count of the state of charge beside the BMS's, as it was saved, and what it has learned."""
    if soc.percent is None:
        return []
    remarks = soc.anchors.remarks(ratings)
    told = message("doctor.count", percent=soc.percent, bms_percent=soc.bms_percent, remarks=remarks)
    return [ok("count", told)]


def judge_evidence(evidence: Evidence, ratings: Ratings) -> list[Finding]:
    """Tell what days and weeks of use have shown of the battery, as it was saved; a capacity is advised elsewhere."""
    return [
        ok("battery", each.message)
        if each.code is RemarkCode.RESISTANCE_NOT_LEARNED
        else warning("battery", each.message)
        for each in remarks_on(evidence, ratings)
        if each.code is not RemarkCode.CAPACITY_WRONG
    ]


def judge_polling(polls: Polls, slow_ms: float) -> Finding:
    """Judge how reading at the pace of the bridge went; ``slow_ms`` is the configured patience."""
    mean_ms = sum(polls.latencies_ms) / len(polls.latencies_ms)
    count, most_ms = len(polls.latencies_ms), max(polls.latencies_ms)
    if polls.retries:
        told = message(
            "doctor.polls_repeated",
            count=count,
            mean_ms=mean_ms,
            most_ms=most_ms,
            repeated=polls.retries,
            unanswered=polls.timeouts,
            corrupted=polls.crc_errors,
        )
        return warning("polling", told)
    slow = mean_ms > slow_ms
    code = "doctor.polls_slow" if slow else "doctor.polls"
    told = message(code, count=count, mean_ms=mean_ms, most_ms=most_ms)
    return warning("polling", told) if slow else ok("polling", told)


def judge_samples(snapshots: Sequence[Snapshot], detected_cells: int, series_cells: int) -> Finding:
    """Judge samples as the bridge does, and look for the usual mistakes of wiring."""
    memory, settings = PlausibilityMemory(), PlausibilitySettings()
    for snapshot in snapshots:
        verdict, memory = judge(memory, snapshot, settings)
        if not verdict.accepted:
            told = message("doctor.implausible", fields=verdict.messages, cells=series_cells)
            return problem("plausibility", told)
        if verdict.ignored:
            return warning("plausibility", message("doctor.ignored", fields=verdict.messages))
    if detected_cells != series_cells:
        return warning("plausibility", message("doctor.cells_differ", detected=detected_cells, set=series_cells))
    first_v, *others_v = snapshots[-1].cells.voltages_v
    drop_v = min(others_v) - first_v
    if _SENSE_WIRE_DROP_V[0] <= drop_v <= _SENSE_WIRE_DROP_V[1]:
        return warning("plausibility", message("doctor.sense_wire", voltage_v=first_v, drop_v=drop_v))
    return ok("plausibility", message("doctor.plausible"))


def judge_state(snapshot: Snapshot) -> Finding:
    """Say what the battery does now; an unknown status stays unknown."""
    pack, cells = snapshot.pack, snapshot.cells
    told = message(
        "doctor.state",
        status=pack.status.name.lower(),
        raw=f"0x{pack.status_raw:02X}" if pack.status is BmsStatus.UNKNOWN else None,
        voltage_v=pack.voltage_v,
        current_a=pack.current_a,
        soc_percent=pack.soc_percent,
        low_v=cells.min_v,
        high_v=cells.max_v,
    )
    if pack.status is BmsStatus.FAULT:
        return problem("state", told, message("doctor.see_events"))
    if pack.status is BmsStatus.UNKNOWN:
        return warning("state", told, message("doctor.unknown_status"))
    return ok("state", told)


def judge_events(events: Sequence[BmsEvent], status: BmsStatus) -> list[Finding]:
    """Say which faults and warnings are open."""
    faulted = None if status is BmsStatus.UNKNOWN else status is BmsStatus.FAULT
    still_open = open_events(events, faulted=faulted)
    if not still_open and faulted:
        return [problem("events", message("doctor.hidden_fault"))]
    if not still_open:
        return [ok("events", message("doctor.none_open", count=len(events)))]
    return [_open(event) for event in still_open]


def _open(event: BmsEvent) -> Finding:
    told, advice = message("doctor.open_event", event=event.kind.message), event.kind.message.advice_message
    return (problem if event.severity is Severity.FAULT else warning)("events", told, advice)


def judge_history(statistics: DeviceStatistics) -> Finding:
    """Say what the statistics tell about the health of the BMS."""
    protections = (
        statistics.under_voltage_count
        + statistics.over_voltage_count
        + statistics.discharge_over_current_count
        + statistics.charge_over_current_count
        + statistics.over_heat_count
    )
    full = statistics.full_charge_count
    if statistics.reset_cause.is_watchdog:
        return warning("history", message("doctor.history_hung", protections=protections, full=full))
    return ok("history", message("doctor.history", protections=protections, full=full))


def _describe(ratings: Ratings) -> Message:
    return message(
        "doctor.settings",
        cells=ratings.series_cells,
        capacity_ah=ratings.capacity_ah,
        low_v=ratings.under_voltage_cell_v,
        high_v=ratings.over_voltage_cell_v,
        charge_a=ratings.charge_over_current_a,
        discharge_a=ratings.discharge_over_current_a,
    )
