"""The state of the battery: the one aggregate that outputs send and services show.

The core makes it after each decision, and nobody changes it: frames, API, live view and history read the same object.
What may be shown of it at a moment is its ``view``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.notices import Notices
from tinybms_bridge.battery.quick import quick, replace
from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.battery.view import View, make_view

__all__ = ["MAIN_PACK", "BatteryState", "CellPlace", "PackCondition", "PackState"]

MAIN_PACK = "main"
"""Name of the pack while only one is configured."""


class PackCondition(StrEnum):
    """What part a pack has in the battery (design: packs)."""

    IN_USE = "in_use"
    STARTING = "starting"
    """Its BMS has not given enough good samples yet."""
    JOINING = "joining"
    """Its voltage is far from that of the others: it takes or gives nearly all of the current."""
    SILENT = "silent"
    """It gives no good samples any more: it is still in parallel, and nobody sees its cells."""
    ODD = "odd"
    """Another number of cells, another chemistry, or a unit that is heard twice; counts as silent."""
    OUT_OF_SERVICE = "out_of_service"
    """A person has taken it out: it is not read, and not part of anything."""


@quick
@dataclass(frozen=True, slots=True)
class PackState:
    """What is known of one pack.

    While it is the only one, what is decided of the battery is decided of it, and stands in ``BatteryState`` alone.
    """

    latest: Snapshot | None = None
    """The last accepted snapshot, without what cannot be true in it; None before the first."""
    identity: Identity | None = None
    """Who its BMS is; None before it has told."""
    condition: PackCondition = PackCondition.IN_USE
    freshness: Freshness | None = None
    """None: that of the battery."""
    limits: Limits | None = None
    """What this pack bears, of several; None while that is not known, and for the only one."""
    charge_blocked: bool = False
    """Whether nothing flows in: its BMS has cut charging, or it is out of service."""
    discharge_blocked: bool = False
    """Whether nothing is to flow out: its BMS has cut discharging, it is empty, or it is out of service."""
    charge_share: float | None = None
    """Its part of the charge current of the battery, 0..1, never below that of its capacity; None for the only one."""
    discharge_share: float | None = None
    alarms: Alarms = field(default_factory=Alarms)
    """Of this pack, of several."""
    energy: EnergyTotals = field(default_factory=EnergyTotals)
    """Its own counters, of several packs."""
    saved_energy: EnergyTotals = field(default_factory=EnergyTotals)
    frozen_since_s: float | None = None

    @property
    def is_online(self) -> bool:
        """Whether it answers with good data, as far as it can say itself: the only one is as fresh as the battery."""
        return self.condition in _ONLINE and (self.freshness is None or self.freshness is Freshness.FRESH)


_ONLINE = (PackCondition.IN_USE, PackCondition.JOINING)


@dataclass(frozen=True, slots=True)
class CellPlace:
    """Which cell of which pack."""

    pack: str
    """Empty while there is one pack."""
    cell: int
    """From 1."""


@quick
@dataclass(frozen=True, slots=True)
class BatteryState:
    """One consistent set: the packs, and what was decided from them."""

    made_s: float = 0.0
    """Monotonic time at which it was made."""
    packs: Mapping[str, PackState] = field(default_factory=dict)
    """By name; ``main`` while only one is configured."""
    freshness: Freshness = Freshness.STARTING
    decided: Limits | None = None
    """The limits in force, whether or not they may be sent; None: none can be decided."""
    fresh_limits: Limits | None = None
    """The last limits that were decided from fresh data; None while those in force are."""
    alarms: Alarms = field(default_factory=Alarms)
    notices: Notices = field(default_factory=Notices)
    energy: EnergyTotals = field(default_factory=EnergyTotals)
    """The present counters."""
    saved_energy: EnergyTotals = field(default_factory=EnergyTotals)
    """The counters as far as they are on the disk, twice: what a GX may be told, which adds up the differences."""
    live_for_s: float = 3.0
    """Greatest age of a snapshot that is shown as present."""
    frozen_since_s: float | None = None
    """Monotonic time of the last change of readings that stand still; None while they move."""
    combined: Snapshot | None = None
    """Several packs as one: the mean voltage, the sum of the currents, the state of charge by capacity, and every cell
    of ``members`` in their order; None before the first, and of the only pack."""
    members: tuple[str, ...] = ()
    """The packs of ``combined``, in the order of their cells; empty while there is one pack."""

    @property
    def latest(self) -> Snapshot | None:
        """The last accepted snapshot of the battery; None before the first."""
        return self.main.latest if len(self.packs) < 2 else self.combined

    def place_of(self, number: int) -> CellPlace:
        """Return where the cell with this number (from 1) of the battery's snapshot is."""
        if not self.members:
            return CellPlace("", number)
        series = max(1, self.snapshot.cells.count // len(self.members))
        index, cell = divmod(number - 1, series)
        return CellPlace(self.members[index], cell + 1)

    @property
    def main(self) -> PackState:
        """The only pack; one of which nothing is known before there is any."""
        return next(iter(self.packs.values()), _NOTHING)

    def pack(self, name: str) -> PackState:
        """Return what is known of a pack, which for the only one is also what was decided of the battery."""
        found = self.packs.get(name, _NOTHING)
        if len(self.packs) != 1 or found is _NOTHING:
            return found
        return replace(
            found,
            freshness=self.freshness,
            limits=self.decided,
            alarms=self.alarms,
            energy=self.energy,
            saved_energy=self.saved_energy,
            frozen_since_s=self.frozen_since_s,
        )

    @property
    def snapshot(self) -> Snapshot:
        """The last accepted snapshot. Raises ValueError before the first."""
        latest = self.latest
        if latest is None:
            raise ValueError("nothing is known of the battery yet")
        return latest

    @property
    def limits(self) -> Limits:
        """The limits in force. Raises ValueError while none can be decided."""
        if self.decided is None:
            raise ValueError("no limits can be decided")
        return self.decided

    @property
    def identity(self) -> Identity | None:
        """Who the BMS is."""
        return self.main.identity

    @property
    def may_send(self) -> bool:
        """Whether anything may be sent to a GX now."""
        return self.latest is not None and self.decided is not None and self.decided.may_send

    def view(self, now_s: float) -> View:
        """Return what may be shown at ``now_s``: what is measured and in force, or else the last of it.

        A state that nobody has made again for so long that its data is old is one of a core that stands: then nothing
        is sent.
        """
        last_limits = self.decided if self.freshness is Freshness.FRESH else self.fresh_limits
        return self._view(self.latest, self.freshness, self.frozen_since_s, now_s, self.decided, last_limits)

    def pack_views(self, now_s: float) -> Mapping[str, View]:
        """Return what may be shown of each pack at ``now_s``; of several with what each of them bears as its limits."""
        return {
            name: self._view(
                pack.latest,
                self.freshness if pack.freshness is None else pack.freshness,
                self.frozen_since_s if pack.freshness is None else pack.frozen_since_s,
                now_s,
                pack.limits,
            )
            for name, pack in self.packs.items()
        }

    def _view(
        self,
        latest: Snapshot | None,
        freshness: Freshness,
        frozen_since_s: float | None,
        now_s: float,
        limits: Limits | None = None,
        last_limits: Limits | None = None,
    ) -> View:
        stands = now_s - self.made_s > self.live_for_s
        return make_view(
            Freshness.SILENT if stands and freshness is not Freshness.STARTING else freshness,
            latest,
            None if stands else limits,
            last_limits=last_limits,
            now_s=now_s,
            live_for_s=self.live_for_s,
            frozen_since_s=frozen_since_s,
        )


_NOTHING = PackState()
