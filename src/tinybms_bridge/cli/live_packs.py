"""What the live view draws from, and the lines about the packs of a battery that has several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from tinybms_bridge.battery.flow import Flow
from tinybms_bridge.battery.headline import cause
from tinybms_bridge.battery.limits import Quantity
from tinybms_bridge.battery.quick import replace
from tinybms_bridge.battery.snapshot import Snapshot
from tinybms_bridge.battery.state import PackCondition, PackState
from tinybms_bridge.battery.view import View
from tinybms_bridge.cli.live_rows import OLD, row
from tinybms_bridge.cli.live_words import clean, duration, in_words
from tinybms_bridge.link.state import CoreState
from tinybms_bridge.words import say

__all__ = ["Scene", "ShownLine", "pack_lines"]


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line of the log."""

    time: str
    text: str
    style: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a page is drawn from."""

    core: CoreState
    view: View
    flow: Flow
    """Energy since midnight in words."""
    log: Sequence[ShownLine]
    """Oldest first."""
    extra: Text | None = None
    pack: str = ""
    """Name of the pack that was chosen, of several; empty for the battery."""
    packs: Mapping[str, View] = field(default_factory=dict)
    """What may be shown of each pack."""

    @property
    def shown(self) -> Snapshot | None:
        """The present measurements, or the last ones."""
        return shown_of(self.view)

    @property
    def several(self) -> bool:
        """Whether the battery has several packs."""
        return len(self.core.battery.packs) > 1

    @property
    def old(self) -> bool:
        """Whether what is shown may no longer hold."""
        return self.view.last is not None

    def style(self, usual: str = "") -> str:
        """Return the style of a measured value."""
        return OLD if self.old else usual


def shown_of(view: View) -> Snapshot | None:
    return view.last.snapshot if view.last else view.measured


_LESS = {
    PackCondition.ODD: 0,
    PackCondition.SILENT: 1,
    PackCondition.JOINING: 2,
    PackCondition.STARTING: 3,
    PackCondition.IN_USE: 4,
    PackCondition.OUT_OF_SERVICE: 5,
}
"""Which conditions come first where there is no room for all packs."""
_CONDITION_STYLES = {
    PackCondition.SILENT: "bold red",
    PackCondition.ODD: "bold red",
    PackCondition.JOINING: "yellow",
    PackCondition.STARTING: "yellow",
    PackCondition.OUT_OF_SERVICE: OLD,
}


def pack_lines(scene: Scene, width: int, *, worst_first: bool = False) -> list[Text]:
    """Return a line for each pack: condition, measurements, share of the current, and what is the matter."""
    battery = scene.core.battery
    names = list(battery.packs)
    if worst_first:
        names.sort(key=lambda name: (_LESS[battery.packs[name].condition], not _is_blocked(battery.packs[name])))
    column = max(map(cell_len, names))
    conditions = {name: say(f"pack_condition.{battery.packs[name].condition}", {}) for name in names}
    wide = max(map(cell_len, conditions.values()))
    lines: list[Text] = []
    for name in names:
        pack, view = battery.packs[name], scene.packs.get(name, View())
        style = _CONDITION_STYLES.get(pack.condition, "" if view.last is None else OLD)
        text = f"{conditions[name]:{wide}}{_pack_words(scene, name, pack, view)}".rstrip()
        lines += row(f"{name:{column}} ", text, width, "cyan", style, label_width=column + 1)
    return lines


def _pack_words(scene: Scene, name: str, pack: PackState, view: View) -> str:
    snapshot = shown_of(view)
    if pack.condition is PackCondition.OUT_OF_SERVICE or snapshot is None:
        line = scene.core.packs.get(name)
        known = line is None or line.uart.up or pack.condition is PackCondition.OUT_OF_SERVICE
        return "" if known or line is None else f": {clean(line.uart.reason)}"
    values, cells = snapshot.pack, snapshot.cells
    old = "" if view.last is None else f" {duration(view.last.age_s)} ago:"
    share = pack.charge_share if values.current_a >= 0.0 else pack.discharge_share
    words = (
        f"{old} {values.voltage_v:.2f} V {values.current_a:+.1f} A {values.soc_percent:.0f} %"
        f" cells {cells.min_v:.3f} to {cells.max_v:.3f} V"
    )
    if view.last is None:
        words += "" if share is None else f", {share * 100.0:.0f} % of the current"
        words += _blocked_words(pack)
    alarms = [in_words(alarm) for alarm in pack.alarms.active()]
    return words + (f"; {', '.join(alarms)}" if alarms else "")


def _is_blocked(pack: PackState) -> bool:
    return pack.charge_blocked or pack.discharge_blocked


def _blocked_words(pack: PackState) -> str:
    """Return which way nothing flows, and why."""
    found = []
    for blocked, quantity, words in (
        (pack.charge_blocked, Quantity.CCL, "takes nothing"),
        (pack.discharge_blocked, Quantity.DCL, "gives nothing"),
    ):
        reason = None if pack.limits is None else pack.limits.binding(quantity)
        why = "" if reason is None else f" ({clean(cause(replace(reason, pack='')).text)})"
        found += [f", {words}{why}"] if blocked else []
    return "".join(found)
