"""What in the configuration does not fit the battery, and what an expert would change in the settings of its BMS."""

import logging
from collections.abc import Callable

from tinybms_bridge.battery.advice import Advice, Weight, advise
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.charging_words import defaults_changed, narrow_remark
from tinybms_bridge.battery.limits import Chemistry
from tinybms_bridge.battery.snapshot import Identity, Ratings
from tinybms_bridge.config.battery import check_with_ratings, chemistry_for, chemistry_remark, new_problems
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.core.settings import battery_settings
from tinybms_bridge.core.unit import Unit
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import Noted

__all__ = ["Advisor"]

log = logging.getLogger(__name__)


class Advisor:
    """Judges the configuration by the battery, once for each set of remarks.

    Args:
        config: The configuration in force.
        unit: What is known of the cells, and whether its owner has been told of new defaults.
        bus: Where remarks are published.
        identity: Returns who the BMS is.

    """

    def __init__(self, config: Configuration, unit: Unit, bus: Bus, identity: Callable[[], Identity | None]) -> None:
        self._config = config
        self._unit = unit
        self._bus = bus
        self._identity = identity
        self._checked: tuple[Ratings | None, Chemistry | None, float | None] = (None, None, None)
        self.advice: tuple[Advice, ...] = ()
        """What an expert would change in the settings of this BMS, and what its owner should know."""
        self.conflicts: tuple[ConfigProblem, ...] = ()
        """What in the configuration in force does not fit this battery."""

    def watch(self, unit: Unit) -> None:
        """Judge by another unit from now on: ports were swapped."""
        self._unit = unit

    def apply(self, config: Configuration, ratings: Ratings | None) -> None:
        """Put a configuration in force, and judge it where the settings of the BMS are known."""
        self._config = config
        if ratings is not None:
            self._check(ratings)

    def look(self, ratings: Ratings | None) -> None:
        """Judge again where something new is known of the battery."""
        known = ratings, self._unit.lowest_chemistry, self._unit.measured_capacity_ah
        if ratings is not None and known != self._checked:
            self._check(ratings)

    def refuse_conflicts(self, wanted: Configuration, ratings: Ratings | None) -> None:
        """Raise ConfigError for a configuration that brings what does not fit this battery, once that is known.

        May be called from any thread.
        """
        lowest = self._unit.lowest_chemistry
        if ratings is None or wanted.hardware.uart.device != self._config.hardware.uart.device:
            return
        before = check_with_ratings(self._config, ratings, lowest)
        problems = new_problems(before, check_with_ratings(wanted, ratings, lowest))
        if problems:
            raise ConfigError(problems, source="this battery")

    def _check(self, ratings: Ratings) -> None:
        """Say once what in the configuration does not fit this battery; the engine leaves it out."""
        config, lowest = self._config, self._unit.lowest_chemistry
        self._checked = ratings, lowest, self._unit.measured_capacity_ah
        unfit = check_with_ratings(config, ratings, lowest)
        remark = chemistry_remark(config, ratings.fully_charged_cell_v, lowest)
        narrow = narrow_remark(ratings, battery_settings(config).limits, lowest)
        remarks = [] if remark is None else [remark]
        remarks += [] if narrow is None else [ConfigProblem("cvl.charge_defaults", None, narrow)]
        conflicts = (*unfit, *remarks)
        if conflicts != self.conflicts:
            self.conflicts = conflicts
            of_pack = self._of_pack
            for problem in unfit:
                log.error("%sconfiguration does not fit this battery: %s", of_pack, problem)
            if unfit:
                log.warning("what does not fit is not used, and the charge target is a careful one until it is mended")
            for each in remarks:
                log.warning("%s%s", of_pack, each)
        self._tell_charging(ratings, lowest)
        self._advise(ratings, lowest)

    def _tell_charging(self, ratings: Ratings, lowest: Chemistry) -> None:
        """Tell once in the life of a unit that its charge values are no longer those of earlier versions."""
        if self._unit.charging_told:
            return
        self._unit.charging_told = True
        told = defaults_changed(ratings, battery_settings(self._config).limits, lowest)
        if told is not None:
            self._bus.publish(Noted(Severity.INFO, told, pack=self._unit.pack), "bridge")

    @property
    def _of_pack(self) -> str:
        """The beginning of a line of the log that is of one of several packs."""
        return f"pack {self._unit.pack}: " if self._unit.pack else ""

    def _advise(self, ratings: Ratings, lowest: Chemistry) -> None:
        """Say once which settings of the BMS would better be others."""
        identity = self._identity()
        before = {each.register for each in self.advice}
        self.advice = advise(
            ratings,
            chemistry_for(self._config, ratings, lowest),
            firmware=0 if identity is None else identity.firmware_internal,
            capacity_ah=self._unit.measured_capacity_ah,
        )
        if {each.register for each in self.advice} == before:
            return
        better = [each for each in self.advice if each.weight in (Weight.ADVISED, Weight.URGENT)]
        for each in better:
            if each.weight is Weight.URGENT:
                log.warning("%ssetting of the BMS: %s", self._of_pack, each)
        if better:
            registers = ", ".join(str(each.register) for each in better)
            could = "%ssettings of the BMS: registers %s could be better; the command doctor says how"
            log.info(could, self._of_pack, registers)
