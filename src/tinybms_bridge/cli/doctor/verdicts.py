"""What the doctor makes of what it read from the BMS: values in, findings in plain words out."""

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_bridge.battery.advice import Advice, Weight
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.bms_events import BmsEvent, open_events
from tinybms_bridge.battery.limits import BalancingMemory, Chemistry, Evidence, RemarkCode, SocMemory, remarks_on
from tinybms_bridge.battery.plausibility import PlausibilityMemory, PlausibilitySettings, judge
from tinybms_bridge.battery.snapshot import REV_D_FIRMWARE, BmsStatus, Identity, Ratings, Snapshot, firmware_text
from tinybms_bridge.cli.doctor.findings import Finding, Verdict, ok, problem, warning
from tinybms_bridge.config.battery import check_with_ratings, chemistry_remark
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics
from tinybms_bridge.tinybms.ratings import ratings_problems

__all__ = [
    "Polls",
    "judge_advice",
    "judge_balancing",
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


def judge_identity(identity: Identity) -> Finding:
    """Say who the BMS is."""
    if not identity.firmware_internal:
        return warning("identity", "the BMS does not tell its version", "Make sure that it is a TinyBMS s516.")
    text = str(identity)
    if not identity.reports_soh:
        text += f"; no state of health, which came with firmware {firmware_text(REV_D_FIRMWARE)}"
    return ok("identity", text)


def judge_settings(ratings: Ratings, broadcast: int, config: Configuration) -> list[Finding]:
    """Judge the BMS's own settings, the text it sends by itself (register 342), and whether the configuration fits."""
    unsound = ratings_problems(ratings)
    if unsound:
        advice = "Correct the settings of the BMS; until then the bridge sends nothing."
        return [problem("settings", text, advice) for text in unsound]
    findings = [ok("settings", _describe(ratings))]
    findings += [
        problem("configuration", str(misfit), "Change the configuration, or the setting of the BMS.")
        for misfit in check_with_ratings(config, ratings)
    ]
    remark = chemistry_remark(config, ratings.fully_charged_cell_v, Chemistry.LTO)
    if remark:
        findings.append(warning("configuration", remark, "Set cvl.chemistry, or register 300 of the BMS."))
    if broadcast:
        text = "the BMS prints text between its answers (register 342)"
        findings.append(warning("settings", text, "The bridge skips it, but it costs time: set register 342 to 0."))
    return findings


def judge_advice(advice: Sequence[Advice], device: str = "") -> list[Finding]:
    """Show what an expert would change in the BMS's settings, each with its command, and what the owner should know."""
    if not advice:
        return [ok("advice", "the settings of the BMS are as an expert would choose them")]
    place = f" --device {device}" if device else ""
    return [
        Finding(
            "advice",
            Verdict.WARNING if each.weight in (Weight.ADVISED, Weight.URGENT) else Verdict.OK,
            f"your choice: {each}" if each.weight is Weight.CHOICE else str(each),
            f"{each.command}{place}" if each.command else "",
        )
        for each in advice
    ]


def judge_balancing(balancing: BalancingMemory, ratings: Ratings) -> list[Finding]:
    """Tell how far the cells are apart and how long balancing will take, as the bridge saw it last."""
    if balancing.spread_ah is None:
        return []
    text = balancing.summary(ratings.capacity_ah).text
    early_v, full_v = ratings.early_balancing_cell_v, ratings.fully_charged_cell_v
    if balancing.work_ah > 0.0 and early_v is not None and early_v > full_v - _LATE_BALANCING_V:
        advice = f"Register 303 ({early_v:.2f} V) is so near full charge that the BMS bleeds on balancing days only."
        return [warning("balancing", text, advice)]
    return [ok("balancing", text)]


def judge_count(soc: SocMemory, ratings: Ratings) -> list[Finding]:
    """Tell the bridge's count of the state of charge beside the BMS's, as it was saved, and what it has learned."""
    if soc.percent is None:
        return []
    bms = "" if soc.bms_percent is None else f", the BMS {soc.bms_percent:.1f} %"
    words = "".join(f"; {remark}" for remark in soc.anchors.remarks(ratings))
    text = f"the bridge counted {soc.percent:.1f} %{bms} when it last ran{words}"
    return [ok("count", text)]


def judge_evidence(evidence: Evidence, ratings: Ratings) -> list[Finding]:
    """Tell what days and weeks of use have shown of the battery, as it was saved; a capacity is advised elsewhere."""
    return [
        ok("battery", each.message.text)
        if each.code is RemarkCode.RESISTANCE_NOT_LEARNED
        else warning("battery", each.message.text)
        for each in remarks_on(evidence, ratings)
        if each.code is not RemarkCode.CAPACITY_WRONG
    ]


def judge_polling(polls: Polls, slow_ms: float) -> Finding:
    """Judge how reading at the pace of the bridge went; ``slow_ms`` is the configured patience."""
    mean_ms = sum(polls.latencies_ms) / len(polls.latencies_ms)
    text = f"{len(polls.latencies_ms)} reads took {mean_ms:.0f} ms each, {max(polls.latencies_ms):.0f} ms at most"
    if polls.retries:
        text += f"; {polls.retries} repeated ({polls.timeouts} without an answer, {polls.crc_errors} corrupted)"
        advice = "Shorten the cable, keep it away from the inverter, use an isolated adapter and a common ground."
        return warning("polling", text, advice)
    if mean_ms > slow_ms:
        return warning("polling", f"{text}: slow", "Is the machine busy, or the adapter behind a hub or a network?")
    return ok("polling", text)


def judge_samples(snapshots: Sequence[Snapshot], detected_cells: int, series_cells: int) -> Finding:
    """Judge samples as the bridge does, and look for the usual mistakes of wiring."""
    memory, settings = PlausibilityMemory(), PlausibilitySettings()
    for snapshot in snapshots:
        verdict, memory = judge(memory, snapshot, settings)
        if not verdict.accepted:
            advice = f"The bridge does not use such data. Check sense wires and register 307 ({series_cells} cells)."
            return problem("plausibility", str(verdict), advice)
        if verdict.ignored:
            return warning("plausibility", str(verdict), "The bridge goes on without it. Check sensors and counter.")
    if detected_cells != series_cells:
        text = f"the BMS detects {detected_cells} cells and is set to {series_cells} (register 307)"
        return warning("plausibility", text, "Check the sense wires and the setting.")
    first_v, *others_v = snapshots[-1].cells.voltages_v
    drop_v = min(others_v) - first_v
    if _SENSE_WIRE_DROP_V[0] <= drop_v <= _SENSE_WIRE_DROP_V[1]:
        text = f"cell 1 reads {first_v:.3f} V, {drop_v:.2f} V below all others"
        return warning("plausibility", text, "The lowest sense wire is probably not connected.")
    return ok("plausibility", "every sample is believable")


def judge_state(snapshot: Snapshot) -> Finding:
    """Say what the battery does now; an unknown status stays unknown."""
    pack, cells = snapshot.pack, snapshot.cells
    text = (
        f"{_status_words(snapshot)}: {pack.voltage_v:.2f} V {pack.current_a:+.1f} A, SOC {pack.soc_percent:.1f} %, "
        f"cells {cells.min_v:.3f} to {cells.max_v:.3f} V"
    )
    if pack.status is BmsStatus.FAULT:
        return problem("state", text, "The open events say why.")
    if pack.status is BmsStatus.UNKNOWN:
        return warning("state", text, "The vendor does not document this status; please report it.")
    return ok("state", text)


def judge_events(events: Sequence[BmsEvent], status: BmsStatus) -> list[Finding]:
    """Say which faults and warnings are open."""
    faulted = None if status is BmsStatus.UNKNOWN else status is BmsStatus.FAULT
    still_open = open_events(events, faulted=faulted)
    if not still_open and faulted:
        text = "a fault is active, but the event log does not tell which"
        return [problem("events", text, "The log was probably cleared since: look at cell voltages and temperatures.")]
    if not still_open:
        return [ok("events", f"{len(events)} in the log, none open")]
    return [
        (problem if event.severity is Severity.FAULT else warning)(
            "events", f"open: {event.kind.text}", event.kind.advice
        )
        for event in still_open
    ]


def judge_history(statistics: DeviceStatistics) -> Finding:
    """Say what the statistics tell about the health of the BMS."""
    protections = (
        statistics.under_voltage_count
        + statistics.over_voltage_count
        + statistics.discharge_over_current_count
        + statistics.charge_over_current_count
        + statistics.over_heat_count
    )
    text = f"{protections} protections and {statistics.full_charge_count} full charges so far"
    if statistics.reset_cause.is_watchdog:
        return warning("history", f"{text}; the program of the BMS hung and was restarted", "Update its firmware.")
    return ok("history", text)


def _describe(ratings: Ratings) -> str:
    return (
        f"{ratings.series_cells} cells of {ratings.capacity_ah:g} Ah, {ratings.under_voltage_cell_v:.2f} to "
        f"{ratings.over_voltage_cell_v:.2f} V, charge up to {ratings.charge_over_current_a:.0f} A, "
        f"discharge up to {ratings.discharge_over_current_a:.0f} A"
    )


def _status_words(snapshot: Snapshot) -> str:
    status = snapshot.pack.status
    if status is BmsStatus.UNKNOWN:
        return f"unknown status 0x{snapshot.pack.status_raw:02X}"
    return status.name.lower().replace("_", " ")
