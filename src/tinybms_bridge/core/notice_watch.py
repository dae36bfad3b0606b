"""Keeps the bridge's own notices up to date and says on the bus when they change."""

from tinybms_bridge.battery.limits import Limits
from tinybms_bridge.battery.notices import Communication, NoticeMemory, Notices, NoticeSettings, evaluate_notices
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import NoticesChanged

__all__ = ["NoticeWatch"]


class NoticeWatch:
    """Looks at the state of the bridge from time to time."""

    def __init__(self, bus: Bus, settings: NoticeSettings) -> None:
        self.settings = settings
        """May be replaced at any time."""
        self._bus = bus
        self._memory = NoticeMemory()

    @property
    def notices(self) -> Notices:
        """The notices in force."""
        return self._memory.notices

    def look(
        self,
        snapshot: Snapshot | None,
        limits: Limits | None,
        communication: Communication,
        now_s: float,
        *,
        configuration_ok: bool = True,
    ) -> None:
        """Judge anew, and publish what changed."""
        before = self.notices
        self._memory = evaluate_notices(
            self._memory,
            snapshot,
            limits,
            communication,
            self.settings,
            now_s,
            configuration_ok=configuration_ok,
        )
        active = {name: level for name, level in self.notices.levels.items() if before.levels.get(name) != level}
        if any(level or name in before.levels for name, level in active.items()):
            self._bus.publish(NoticesChanged(before, self.notices), "bridge")
