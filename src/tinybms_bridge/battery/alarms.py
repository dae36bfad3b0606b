"""Alarms of a pack, and of the battery: names as the Victron protocol groups them, and their levels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import MappingProxyType

from tinybms_bridge.words import Message, message

__all__ = ["AlarmCause", "AlarmLevel", "AlarmName", "Alarms"]


class AlarmName(StrEnum):
    """One kind of alarm (Victron CAN-bus BMS protocol, frame 0x35A)."""

    GENERAL = "general"
    HIGH_VOLTAGE = "high_voltage"
    LOW_VOLTAGE = "low_voltage"
    HIGH_TEMPERATURE = "high_temperature"
    LOW_TEMPERATURE = "low_temperature"
    HIGH_TEMPERATURE_CHARGE = "high_temperature_charge"
    LOW_TEMPERATURE_CHARGE = "low_temperature_charge"
    HIGH_DISCHARGE_CURRENT = "high_discharge_current"
    HIGH_CHARGE_CURRENT = "high_charge_current"
    CONTACTOR = "contactor"
    SHORT_CIRCUIT = "short_circuit"
    BMS_INTERNAL = "bms_internal"
    CELL_IMBALANCE = "cell_imbalance"


class AlarmLevel(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    ALARM = 2


@dataclass(frozen=True, slots=True)
class AlarmCause:
    """What an alarm rested on when its level changed last."""

    message: Message
    """Without the pack, for example ``cell 3 at 3.662 V, threshold 3.650 V``."""
    value: float | None = None
    """What was measured; None where the BMS or the bridge itself tells the cause."""
    threshold: float | None = None
    unit: str = ""
    pack: str = ""
    """Name of the pack, of several; empty for a cause of the battery."""

    @property
    def told(self) -> Message:
        """The cause as it is told to people: of several packs with the name of the pack."""
        return message("cause.of_pack", pack=self.pack, cause=self.message) if self.pack else self.message

    @property
    def text(self) -> str:
        """The cause in English."""
        return self.told.text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Alarms:
    """The level of each alarm that is watched; a name that is missing is not supported."""

    levels: Mapping[AlarmName, AlarmLevel] = field(default_factory=lambda: MappingProxyType({}))
    causes: Mapping[AlarmName, AlarmCause] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    """Of the alarms that are active, and of those that cleared with the latest change; some have none."""

    def active(self) -> dict[AlarmName, AlarmLevel]:
        """Return the alarms that are not OK."""
        return {name: level for name, level in self.levels.items() if level is not AlarmLevel.OK}
