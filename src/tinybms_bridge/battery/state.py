"""The state of the battery: the one aggregate that outputs send and services show.

The core makes it after each decision, and nobody changes it: frames, API, live view and history read the same object.
What may be shown of it at a moment is its ``view``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinybms_bridge.battery.alarms import Alarms
from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits.model import Limits
from tinybms_bridge.battery.notices import Notices
from tinybms_bridge.battery.quick import quick
from tinybms_bridge.battery.snapshot import Identity, Snapshot
from tinybms_bridge.battery.view import View, make_view

__all__ = ["MAIN_PACK", "BatteryState", "PackState"]

MAIN_PACK = "main"
"""Name of the pack while only one is configured."""


@quick
@dataclass(frozen=True, slots=True)
class PackState:
    """What is known of one pack."""

    latest: Snapshot | None = None
    """The last accepted snapshot, without what cannot be true in it; None before the first."""
    identity: Identity | None = None
    """Who its BMS is; None before it has told."""


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

    @property
    def main(self) -> PackState:
        """The only pack; one of which nothing is known before there is any."""
        return next(iter(self.packs.values()), _NOTHING)

    @property
    def snapshot(self) -> Snapshot:
        """The last accepted snapshot. Raises ValueError before the first."""
        latest = self.main.latest
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
        return self.main.latest is not None and self.decided is not None and self.decided.may_send

    def view(self, now_s: float) -> View:
        """Return what may be shown at ``now_s``: what is measured and in force, or else the last of it.

        A state that nobody has made again for so long that its data is old is one of a core that stands: then nothing
        is sent.
        """
        last_limits = self.decided if self.freshness is Freshness.FRESH else self.fresh_limits
        return self._view(self.main, now_s, self.decided, last_limits)

    def pack_views(self, now_s: float) -> Mapping[str, View]:
        """Return what may be shown of each pack at ``now_s``, without limits: those are of the battery."""
        return {name: self._view(pack, now_s) for name, pack in self.packs.items()}

    def _view(
        self, pack: PackState, now_s: float, limits: Limits | None = None, last_limits: Limits | None = None
    ) -> View:
        stands = now_s - self.made_s > self.live_for_s
        return make_view(
            Freshness.SILENT if stands and self.freshness is not Freshness.STARTING else self.freshness,
            pack.latest,
            None if stands else limits,
            last_limits=last_limits,
            now_s=now_s,
            live_for_s=self.live_for_s,
            frozen_since_s=self.frozen_since_s,
        )


_NOTHING = PackState()
