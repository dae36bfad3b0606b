"""Checks of the doctor: the BMS of each pack, through the bridge that has it or at its port."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tinybms_bridge.battery.saved_units import SavedUnits
from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.cli.device import connected, linked_device, read_settings
from tinybms_bridge.cli.doctor.port import choose_port, open_problem
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.packs import PackPort, pack_ports
from tinybms_bridge.core.persistence import STATE_FILE, peek_state
from tinybms_bridge.doctor.bms import BmsExamination
from tinybms_bridge.doctor.findings import Finding, of_pack, ok, skipped
from tinybms_bridge.doctor.packs import judge_units
from tinybms_bridge.doctor.watchdog import judge_watchdog
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import MOST_STATE_BYTES, SlotStorage
from tinybms_bridge.words import message

__all__ = ["PackExamination"]


@dataclass
class PackExamination:
    """One look at the BMS of some packs.

    The findings on several are named by their pack; those on the only one, or on a port that was named, are as they
    are.
    """

    config: Configuration
    folder: Path
    """The state directory."""
    named: str | None = None
    """A serial port that the user chose in place of those of the packs."""
    only: str | None = None
    """The pack that the user asks about; one that there is."""
    _units: dict[str, Identity] = field(default_factory=dict)
    _saved: SavedUnits = field(default_factory=SavedUnits)
    _watchdog_told: bool = False

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield every finding, pack by pack."""
        storage = SlotStorage(self.folder / STATE_FILE, most_bytes=MOST_STATE_BYTES)
        self._saved = await asyncio.to_thread(peek_state, storage)
        ports = pack_ports(self.config)
        if len(ports) == 1 or (self.named is not None and self.only is None):
            (port, *_) = ports.values()
            async for finding in self._of_pack("", port, self.named):
                yield finding
            return
        for name, port in self._chosen(ports).items():
            if not port.enabled and self.named is None:
                yield of_pack(skipped("BMS", message("doctor.out_of_service")), name)
                continue
            async for finding in self._of_pack(name, port, self.named or port.device):
                yield of_pack(finding, name)
        for finding in judge_units(self._units, ports):
            yield finding

    def _chosen(self, ports: Mapping[str, PackPort]) -> Mapping[str, PackPort]:
        return ports if self.only is None else {self.only: ports[self.only]}

    async def _of_pack(self, name: str, port: PackPort, chosen: str | None) -> AsyncIterator[Finding]:
        async with linked_device(chosen or "auto") as running:
            if running is not None:
                state = running.link.mirror.state
                if not self._watchdog_told:
                    self._watchdog_told = True
                    for found in judge_watchdog(state.watchdog, SystemClock().monotonic() - state.core.started_s):
                        yield found
                yield ok("serial port", message("doctor.through_bridge", port=running.port))
                examination = BmsExamination(
                    running, partial(read_settings, running), self.config, SystemClock(), "", self._saved
                )
                async for finding in examination.findings():
                    yield finding
                self._met(name, examination)
                return
        path, findings = await choose_port(chosen, port.device, port.baudrate)
        for finding in findings:
            yield finding
        if path is None:
            yield skipped("BMS", message("doctor.port_unknown"))
            return
        try:
            async with connected(path, port.baudrate) as client:
                yield ok("serial port", message("doctor.open", what=path))
                examination = BmsExamination(
                    client, partial(read_settings, client), self.config, SystemClock(), path, self._saved
                )
                async for finding in examination.findings():
                    yield finding
                self._met(name, examination)
        except LinkError as error:
            yield await asyncio.to_thread(open_problem, path, error)
            yield skipped("BMS", message("doctor.port_not_open"))

    def _met(self, name: str, examination: BmsExamination) -> None:
        if name and examination.identity is not None:
            self._units[name] = examination.identity
