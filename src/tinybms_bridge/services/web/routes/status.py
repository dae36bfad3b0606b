"""``GET /api/status``: the flat object that the README of the ESP32 firmware shows."""

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.link.bus import BusStatistics
from tinybms_bridge.link.state import CanState, UartState
from tinybms_bridge.services.flat import extremes_now, limit_numbers, registers_now
from tinybms_bridge.services.ports import Core, Moment
from tinybms_bridge.services.web.answers import Shown
from tinybms_bridge.services.web.live.status import (
    BatteryNow,
    CellNow,
    FlatStats,
    LiveRegister,
    OutputNow,
    PackNow,
    battery_now,
    flat_counters,
    outputs_now,
    pack_now,
)
from tinybms_bridge.services.web.routes.shared import TheCore
from tinybms_bridge.services.web.security import Viewer

__all__ = ["Stats", "Status", "router"]

router = APIRouter(tags=["status"])


class Stats(FlatStats):
    """Counters, by part and under the flat names."""

    uart: Shown[UartState]
    can: Shown[CanState]
    eventbus: Shown[BusStatistics]
    energy: Shown[EnergyTotals]


class Status(BatteryNow):
    """The whole state. Measurements are null before the first sample, and while data is old (HOLD, SILENT)."""

    members: list[str] = Field(examples=[[]])
    """Of several packs, those whose values these are, in the order of their cells; empty for one."""
    lowest_cell: CellNow | None
    highest_cell: CellNow | None
    packs: dict[str, PackNow]
    """Each pack in short, by name; ``/api/packs`` has all of it."""
    outputs: dict[str, OutputNow]
    """Each output in short, by name; ``/api/outputs`` has all of it."""
    stats: Stats
    registers: list[LiveRegister]


@router.get("/api/status")
async def status(core: TheCore, _user: Viewer) -> Status:
    """Return the whole state of battery and bridge."""
    moment = core.moment()
    registers = registers_now(moment)
    packs = {name: pack_now(name, moment) for name in moment.packs}
    now = {
        **battery_now(core, moment),
        "members": moment.battery.members,
        **extremes_now(moment),
        "packs": packs,
        "outputs": outputs_now(core),
        "stats": _stats(core, moment),
        "registers": registers,
    }
    return Status.model_validate(now)


def _stats(core: Core, moment: Moment) -> dict[str, object]:
    uart, can = core.uart(), core.can()
    return {
        "uart": uart,
        "can": can,
        "cvl": limit_numbers(moment.view.limits),
        "eventbus": core.bus.statistics(),
        "energy": moment.battery.energy,
        **flat_counters(uart, can),
    }
