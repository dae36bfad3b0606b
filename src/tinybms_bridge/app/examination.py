"""The doctor inside the running program: what it finds through the core, for the pages.

As ``tinybms-bridge doctor`` beside a running bridge: the core asks the BMS and tells what it hears on the CAN bus.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.config.models.hardware import Can
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.doctor.bms import BmsExamination, Device
from tinybms_bridge.doctor.bus import CAN_CHECK, Heard, judge_bus
from tinybms_bridge.doctor.findings import Finding, of_pack, ok, problem
from tinybms_bridge.doctor.interface import judge_faults, judge_loopback
from tinybms_bridge.doctor.machine import examine_machine
from tinybms_bridge.doctor.packs import judge_units
from tinybms_bridge.doctor.verdicts import judge_configuration
from tinybms_bridge.doctor.watchdog import judge_watchdog
from tinybms_bridge.hal.can import LOCAL
from tinybms_bridge.hal.can_faults import judge_device
from tinybms_bridge.hal.processes import Process
from tinybms_bridge.hal.storage import MOST_STATE_BYTES, SlotStorage
from tinybms_bridge.link.state import CanState, MonitoredFrame
from tinybms_bridge.services.ports import Core, Examination
from tinybms_bridge.victron.can.gx import IDENTIFICATION_ID
from tinybms_bridge.victron.can.neighbours import BMS_IDS
from tinybms_bridge.words import message

__all__ = ["RunningDoctor", "heard_of", "interface_of"]

_LISTEN_S = 3.0
"""As the command listens for a GX."""
_KEPT_S = 10.0
"""An examination reads the BMS for seconds; however many ask, the line is asked once in this time."""


class RunningDoctor:
    """Examines the running bridge, once at a time.

    Args:
        core: The core as the services see it.
        device: Returns the BMS of a pack, by its name, of several; of the only one without.

    """

    def __init__(self, core: Core, device: Callable[[str], Device]) -> None:
        self._core = core
        self._device = device
        self._running: asyncio.Task[Examination] | None = None
        self._latest: Examination | None = None
        self._latest_s = 0.0

    async def examine(self) -> Examination:
        """Return what is found now, what an examination under way finds, or what one found a moment ago."""
        if self._latest is not None and self._core.clock.monotonic() - self._latest_s < _KEPT_S:
            return self._latest
        if self._running is None:
            self._running = asyncio.ensure_future(self._examine())
        return await asyncio.shield(self._running)  # others may wait for it, too

    async def _examine(self) -> Examination:
        clock = self._core.clock
        try:
            findings = tuple([finding async for finding in self._findings()])
            self._latest, self._latest_s = Examination(clock.wall(), findings), clock.monotonic()
            return self._latest
        finally:
            self._running = None

    async def _findings(self) -> AsyncIterator[Finding]:
        """Yield every finding in the order in which a user would solve them."""
        core, store = self._core, self._core.store
        for finding in judge_configuration(store.notices, store.error):
            yield finding
        hearing, info = core.hearing(), core.info()
        if not hearing.connected:
            yield problem("core", message("doctor.core_unheard", seconds=hearing.since_s))
            return
        bridges = (Process(info.pid, ("tinybms-bridge", "run")),)
        begun_s, before, last = core.clock.monotonic(), core.can(), _last(core.frames())
        folder = Path(info.state_directory) if info.state_directory else None
        saved = SavedUnits() if folder is None else await asyncio.to_thread(_saved, folder)
        yield ok("serial port", message("doctor.through_bridge", port=core.uart().device))
        for finding in judge_watchdog(core.watchdog(), core.uptime_s):
            yield finding
        async for finding in self._of_packs(saved):
            yield finding
        if folder is not None:
            for finding in await asyncio.to_thread(examine_machine, store.in_force.web_server, folder, bridges, _bind):
                yield finding
        await core.clock.sleep(max(0.0, begun_s + _LISTEN_S - core.clock.monotonic()))
        can, of_can = core.can(), store.in_force.hardware.can
        for finding in interface_of(can, of_can):
            yield finding
        if not can.up:
            yield problem(CAN_CHECK, can.why() or message("can.closed"))
            return
        yield ok(CAN_CHECK, message("doctor.open", what=can.interface))
        heard = heard_of(core.frames(last), core.clock.monotonic() - begun_s, gx=can.keepalive_ok)
        heard.errors = max(0, can.rx_errors - before.rx_errors)
        heard.bitrate_bps = of_can.bitrate
        for finding in judge_bus(heard, bridges, store.in_force.victron.pgn_update_interval_ms / 1000.0):
            yield finding

    async def _of_packs(self, saved: SavedUnits) -> AsyncIterator[Finding]:
        """Yield what is found of each BMS, one after the other; of several with the name of its pack."""
        core, packs = self._core, self._core.moment().battery.packs
        names = [name for name, each in packs.items() if each.condition is not PackCondition.OUT_OF_SERVICE]
        units: dict[str, Identity] = {}
        for name in names if len(packs) > 1 else [""]:
            examination = BmsExamination(
                self._device(name), core.device(name).read, core.store.in_force, core.clock, saved=saved
            )
            async for finding in examination.findings():
                yield of_pack(finding, name)
            if name and examination.identity is not None:
                units[name] = examination.identity
        for finding in judge_units(units, pack_ports(core.store.in_force)):
            yield finding


def interface_of(state: CanState, config: Can) -> list[Finding]:
    """Return how the CAN interface is set up, as the core has confirmed it, and its self-test in loopback mode."""
    found = []
    if state.device is not None:
        judged = judge_device(state.device, config.bitrate)
        found += judge_faults(state.device, [each for each in judged if each.fault in state.faults])
    return found + (judge_loopback(state.loopback) if config.mode == "loopback" else [])


def heard_of(frames: Sequence[MonitoredFrame], seconds: float, *, gx: bool) -> Heard:
    """Return what was heard on the bus, by the frames that the core saw; ``gx``: whether it hears a GX."""
    received = [frame.arbitration_id for frame in frames if frame.direction == "rx"]
    heard = Heard(seconds, ids=Counter(frame.arbitration_id for frame in frames), tells_local=True)
    for frame in frames:
        if frame.arbitration_id in BMS_IDS:
            origin = LOCAL if frame.direction == "tx" else frame.direction
            heard.senders.setdefault(origin, Counter())[frame.arbitration_id] += 1
    if gx:
        heard.gx_frames = sum(identifier not in BMS_IDS for identifier in received)
        heard.is_victron = IDENTIFICATION_ID in received
    return heard


def _last(frames: Sequence[MonitoredFrame]) -> int:
    return frames[-1].number if frames else 0


def _saved(folder: Path) -> SavedUnits:
    from tinybms_bridge.core.persistence import STATE_FILE, peek_state  # only who is asked for it loads it

    return peek_state(SlotStorage(folder / STATE_FILE, most_bytes=MOST_STATE_BYTES))


def _bind(address: str, port: int) -> socket.socket:
    from tinybms_bridge.services.web.service import bind

    return bind(address, port)
