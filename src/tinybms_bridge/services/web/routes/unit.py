"""``GET /api/tinybms/info``: which BMS this is, what it allows, and what it has counted."""

from dataclasses import asdict
from enum import Enum

from fastapi import APIRouter
from pydantic import Field

from tinybms_bridge.services.web.answers import Answer
from tinybms_bridge.services.web.routes.deps import Face
from tinybms_bridge.services.web.security import Viewer
from tinybms_bridge.tinybms.device_statistics import DeviceStatistics

__all__ = ["Info", "router"]

router = APIRouter(tags=["BMS"])


class IdentityAnswer(Answer):
    """Who the BMS is."""

    hardware_version: str = Field(examples=["2.1"])
    firmware_public: int
    firmware_internal: int = Field(examples=[254])
    firmware: str = Field(examples=["2.3.254"])
    """As the vendor writes it; empty when the BMS does not tell it."""
    bootloader_version: int
    profile_version: int
    serial_number: str


class RatingsAnswer(Answer):
    """The BMS's own settings that bound every limit."""

    series_cells: int
    fully_charged_cell_v: float
    fully_discharged_cell_v: float
    over_voltage_cell_v: float
    under_voltage_cell_v: float
    charge_over_current_a: float
    discharge_over_current_a: float
    discharge_peak_current_a: float | None
    over_heat_c: float
    low_temperature_charge_c: float
    capacity_ah: float
    allowed_disbalance_mv: float
    charge_finished_current_a: float
    switches: str = Field(examples=["two_fets"])
    """``two_fets``, ``apart`` (an external switch), ``single`` (port) or ``unknown``."""
    early_balancing_cell_v: float | None
    charge_restart: bool | None
    """Whether the BMS charges again below ``charge_restart_percent``, and not only once the battery is empty."""
    charge_restart_percent: float | None
    least_current_a: float
    """A smaller current is read as 0 and not counted."""


class Info(Answer):
    """Which BMS this is; null for what has not been read yet."""

    identity: IdentityAnswer | None
    ratings: RatingsAnswer | None
    lifetime_s: int | None
    """Age of the BMS; null while data is old."""
    statistics: dict[str, float | int | str] | None
    """Extremes and counts since the BMS cleared them (registers 100 to 117); none is a limit."""


@router.get("/api/tinybms/info")
async def info(face: Face, _user: Viewer) -> Info:
    """Return identity, ratings and lifetime statistics of the BMS, as last read."""
    picture = face.picture()
    view = picture.view
    return Info(
        identity=IdentityAnswer.model_validate(picture.identity) if picture.identity else None,
        ratings=RatingsAnswer.model_validate(view.ratings) if view.ratings else None,
        lifetime_s=view.measured.pack.lifetime_s if view.measured else None,
        statistics=_statistics(face.device_statistics()),
    )


def _statistics(found: DeviceStatistics | None) -> dict[str, float | int | str] | None:
    if found is None:
        return None
    return {name: value.name if isinstance(value, Enum) else value for name, value in asdict(found).items()}
