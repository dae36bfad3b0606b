"""Checks of the doctor: how the CAN interface is set up, whether the adapter opens, and who is heard on the bus."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

from tinybms_bridge.doctor.bus import CAN_CHECK, Heard, judge_bus
from tinybms_bridge.doctor.findings import Finding, ok, problem, remedy_of
from tinybms_bridge.doctor.interface import is_unusable, judge_adapters, judge_interface
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanFrame, CanPort, CanSettings, open_can
from tinybms_bridge.hal.can_devices import can_devices
from tinybms_bridge.hal.can_usb import find_can_adapters
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.victron.can.gx import GxPresence, GxState
from tinybms_bridge.victron.can.neighbours import BMS_IDS
from tinybms_bridge.words import message

__all__ = ["examine_can", "examine_interface"]


def examine_interface(settings: CanSettings) -> list[Finding]:
    """Return how the interface of the kernel is set up, and which adapters are plugged in besides. Blocks."""
    from tinybms_bridge.app.restart import own_command

    found = judge_interface(settings, can_devices(), own_command())
    return found + judge_adapters(settings, find_can_adapters())


async def examine_can(
    settings: CanSettings,
    clock: Clock,
    listen_s: float,
    bridges: Sequence[Process],
    period_s: float = 1.0,
    opener: Callable[[CanSettings], Awaitable[CanPort]] = open_can,
    interface: Callable[[CanSettings], Sequence[Finding]] = examine_interface,
) -> AsyncIterator[Finding]:
    """Open the adapter, listen, and yield what was found; nothing is sent.

    Args:
        settings: The adapter, as configured.
        clock: Source of time.
        listen_s: How long to listen.
        bridges: Bridges that run on this machine; what they send is no surprise.
        period_s: Time between two bursts of such a bridge.
        opener: Opens an adapter. Raises LinkError.
        interface: Returns how the interface of the kernel is set up. Blocks.

    """
    of_interface = await asyncio.to_thread(interface, settings)
    for finding in of_interface:
        yield finding
    if is_unusable(of_interface):
        return
    try:
        port = await opener(replace(settings, accept_ids=()))
    except LinkError as error:
        yield problem(CAN_CHECK, error.what, remedy_of(error))
        return
    yield ok(CAN_CHECK, message("doctor.open", what=str(settings)))
    try:
        heard = await _listen(port, clock, listen_s, settings)
    finally:
        await port.close()
    for finding in judge_bus(heard, bridges, period_s):
        yield finding


async def _listen(port: CanPort, clock: Clock, listen_s: float, settings: CanSettings) -> Heard:
    tells_local = settings.interface == "socketcan"
    heard = Heard(listen_s, tells_local=tells_local, bitrate_bps=settings.bitrate_bps)
    gx = GxPresence(clock)

    def on_frame(frame: CanFrame) -> None:
        heard.ids[frame.arbitration_id] += 1
        if frame.arbitration_id in BMS_IDS:
            heard.senders.setdefault(frame.origin, Counter())[frame.arbitration_id] += 1
        gx.on_frame(frame)

    end = port.subscribe(on_frame)
    await clock.sleep(listen_s)
    end()
    heard.errors, heard.trouble = port.statistics.rx_errors, port.statistics.trouble
    if gx.state is GxState.PRESENT:
        heard.gx_frames, heard.is_victron = gx.frames, gx.identified
    return heard
