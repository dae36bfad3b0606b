"""Checks of the doctor: whether the CAN adapter opens, and who is heard on the bus."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from tinybms_bridge.cli.findings import Finding, as_sentence, ok, problem, warning
from tinybms_bridge.cli.processes import Process
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings, open_can
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.victron.gx import GxPresence, GxState
from tinybms_bridge.victron.outgoing import OPTIONAL_FRAMES

__all__ = ["Heard", "examine_can", "judge_bus"]

_CHECK = "CAN"
_LIMITS_ID = 0x351
_BMS_IDS = frozenset((_LIMITS_ID, 0x355, 0x356, 0x35A, *OPTIONAL_FRAMES))
_GX_PORT = "Set the port of the GX to CAN-bus BMS (500 kbit/s)."


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


async def examine_can(
    settings: CanSettings,
    clock: Clock,
    listen_s: float,
    bridges: Sequence[Process],
    opener: Callable[[CanSettings], Awaitable[CanPort]] = open_can,
) -> AsyncIterator[Finding]:
    """Open the adapter, listen, and yield what was found; nothing is sent.

    Args:
        settings: The adapter, as configured.
        clock: Source of time.
        listen_s: How long to listen.
        bridges: Bridges that run on this machine; what they send is no surprise.
        opener: Opens an adapter. Raises LinkError.

    """
    try:
        port = await opener(replace(settings, accept_ids=()))
    except LinkError as error:
        yield problem(_CHECK, error.reason, as_sentence(error.hint))
        return
    yield ok(_CHECK, f"{settings} is open")
    try:
        heard = await _listen(port, clock, listen_s)
    finally:
        await port.close()
    for finding in judge_bus(heard, bridges):
        yield finding


async def _listen(port: CanPort, clock: Clock, listen_s: float) -> Heard:
    heard, gx = Heard(listen_s), GxPresence(clock)

    def on_frame(frame: CanFrame) -> None:
        heard.ids[frame.arbitration_id] += 1
        gx.on_frame(frame)

    end = port.subscribe(on_frame)
    await clock.sleep(listen_s)
    end()
    heard.errors = port.statistics.rx_errors
    if gx.state is GxState.PRESENT:
        heard.gx_frames, heard.is_victron = gx.frames, gx.identified
    return heard


def judge_bus(heard: Heard, bridges: Sequence[Process]) -> list[Finding]:
    """Return what the bus tells: errors, the GX, and somebody else who speaks as a BMS."""
    findings = [_gx(heard)]
    if heard.errors:
        text = f"{heard.errors} error frames in {heard.seconds:g} s"
        advice = "Check the bit rate (500 kbit/s), the terminators at both ends (60 Ω together), and CAN-H and CAN-L."
        findings.append(problem(_CHECK, text, advice))
    if heard.ids[_LIMITS_ID] and bridges:
        findings.append(ok(_CHECK, f"the frames of the running bridge are on the bus (process {bridges[0].pid})"))
    elif heard.ids[_LIMITS_ID]:
        text = "another BMS sends charge limits (0x351) on this bus"
        findings.append(problem(_CHECK, text, "Two BMSs contradict each other: give each its own bus."))
    return findings


def _gx(heard: Heard) -> Finding:
    if heard.gx_frames:
        who = "a Victron GX" if heard.is_victron else "a GX (which did not name itself)"
        return ok("GX", f"{who} is there: {heard.gx_frames} frames in {heard.seconds:g} s")
    strangers = sum(count for identifier, count in heard.ids.items() if identifier not in _BMS_IDS)
    if strangers:
        return warning("GX", f"{strangers} frames of other devices in {heard.seconds:g} s, but none of a GX", _GX_PORT)
    return warning(
        "GX",
        f"no GX was heard in {heard.seconds:g} s",
        f"Check the cable to the BMS-Can or VE.Can port and the terminators. {_GX_PORT}",
    )
