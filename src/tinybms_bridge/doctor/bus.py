"""What the doctor makes of what was heard on the CAN bus: counts in, findings in plain words out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tinybms_bridge.doctor.findings import Finding, ok, problem, warning
from tinybms_bridge.hal.can import LOCAL
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.victron.can.codec import LIMITS_ID
from tinybms_bridge.victron.can.neighbours import BMS_IDS
from tinybms_bridge.victron.can.outgoing import OPTIONAL_FRAMES
from tinybms_bridge.words import Message, message

__all__ = ["CAN_CHECK", "Heard", "judge_bus"]

CAN_CHECK = "CAN"
_ALL_BMS_IDS = frozenset((*BMS_IDS, *OPTIONAL_FRAMES))
_GX_KBIT_S = 500
_ODD_BURSTS = 2
"""Bursts beyond those of the period: the one on the edge, and one that a change of the settings began."""


@dataclass
class Heard:
    """What was heard on the bus in a while."""

    seconds: float
    gx_frames: int = 0
    is_victron: bool = False
    """Whether the GX has named itself (0x307)."""
    ids: Counter[int] = field(default_factory=Counter)
    """Frames by identifier."""
    errors: int = 0
    senders: dict[str, Counter[int]] = field(default_factory=dict)
    """Frames that only a BMS sends, by who sent them, as far as the adapter tells."""
    tells_local: bool = False
    """Whether the adapter marks frames of this machine."""
    bitrate_bps: int = 500_000
    """As configured."""
    trouble: Message | None = None
    """What the adapter itself tells at the end; None when it works."""


def judge_bus(heard: Heard, bridges: Sequence[Process], period_s: float = 1.0) -> list[Finding]:
    """Return what the bus tells: errors, the GX, and somebody else who speaks as a BMS."""
    findings = [problem(CAN_CHECK, heard.trouble)] if heard.trouble else []
    findings.append(_gx(heard))
    if heard.errors:
        rate = heard.bitrate_bps // 1000
        told = message("doctor.can_errors", count=heard.errors, seconds=heard.seconds, rate_kbit_s=rate)
        findings.append(problem(CAN_CHECK, told))
    foreign = _foreign(heard, bridges, period_s)
    if foreign:
        frames, pid = [f"0x{identifier:03X}" for identifier in foreign], bridges[0].pid if bridges else None
        findings.append(problem(CAN_CHECK, message("doctor.other_bms", frames=frames, pid=pid)))
    elif bridges and heard.ids[LIMITS_ID]:
        findings.append(ok(CAN_CHECK, message("doctor.own_frames", pid=bridges[0].pid)))
    return findings


def _foreign(heard: Heard, bridges: Sequence[Process], period_s: float) -> list[int]:
    """Return the identifiers that only a BMS sends and that the running bridge does not account for.

    One bridge is meant: a second one on this bus contradicts it as any other BMS does, and others have their own bus.
    """
    if not bridges:
        return [identifier for identifier in BMS_IDS if heard.ids[identifier]]
    if heard.tells_local and heard.senders:
        strangers = [ids for origin, ids in heard.senders.items() if not origin.endswith(LOCAL)]
    else:
        strangers = sorted(heard.senders.values(), key=Counter.total, reverse=True)[1:]
    if strangers:
        return [identifier for identifier in BMS_IDS if any(ids[identifier] for ids in strangers)]
    most = heard.seconds / period_s + _ODD_BURSTS  # 0x351 is left out: it may come more often
    return [identifier for identifier in BMS_IDS if identifier != LIMITS_ID and heard.ids[identifier] > most]


def _gx(heard: Heard) -> Finding:
    if heard.gx_frames:
        code = "doctor.gx" if heard.is_victron else "doctor.gx_unnamed"
        return ok("GX", message(code, count=heard.gx_frames, seconds=heard.seconds))
    strangers = sum(count for identifier, count in heard.ids.items() if identifier not in _ALL_BMS_IDS)
    if strangers:
        return warning("GX", message("doctor.strangers", count=strangers, seconds=heard.seconds), _gx_port(heard))
    told = message("doctor.no_gx", seconds=heard.seconds)
    return warning("GX", told, message("doctor.check_gx", port=_gx_port(heard)))


def _gx_port(heard: Heard) -> Message:
    """Return how to set the GX; its port has 250 kbit/s for VE.Can, and 500 kbit/s for a BMS."""
    rate = heard.bitrate_bps // 1000
    if rate == _GX_KBIT_S:
        return message("doctor.gx_port", rate_kbit_s=rate)
    return message("doctor.gx_rate", rate_kbit_s=rate, gx_kbit_s=_GX_KBIT_S)
