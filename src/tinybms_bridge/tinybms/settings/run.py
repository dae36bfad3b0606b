"""One pass over a plan: the steps in order, stopped by the first failure, and a last look at everything."""

from collections.abc import Callable

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.fields import Setting, Words
from tinybms_bridge.tinybms.settings.link import Link
from tinybms_bridge.tinybms.settings.order import Step
from tinybms_bridge.tinybms.settings.plan import Change, Plan
from tinybms_bridge.tinybms.settings.results import Outcome, Report, Result
from tinybms_bridge.tinybms.settings.table import differing, read_words
from tinybms_bridge.tinybms.settings.values import shown_value
from tinybms_bridge.tinybms.settings.writer import StepWriter, WriteOptions

__all__ = ["OnInterrupt", "OnResult", "PlanRun"]

OnResult = Callable[[Result], None]
"""Called with each result as soon as it is known; the report may know better in the end."""

OnInterrupt = Callable[[Report], None]
"""Called with what became of a plan up to an interruption."""

_FAILED_BEFORE = "something before it failed"


class PlanRun:
    """One pass over the steps of a plan."""

    def __init__(self, link: Link, clock: Clock, options: WriteOptions, plan: Plan, on_result: OnResult) -> None:
        self._link = link
        self._writer = StepWriter(link, clock, options)
        self._plan = plan
        self._on_result = on_result
        self._changes = {change.setting: change for change in plan.changes}
        self._results: dict[Setting, Result] = {}
        self._parked: dict[Setting, RegisterValue] = {}
        self._under_way: Step | None = None

    async def run(self) -> Report:
        """Carry out the steps up to the first that fails, look at all settings, and return what became of each."""
        for change in self._plan.unchanged:
            self._note(Result(change, Outcome.UNCHANGED, change.new))
        for step in self._plan.steps:
            self._under_way = step
            if not await self._carry_out(step):
                break
        self._under_way = None
        for change in self._open_changes():
            self._note(self._left_over(change, _FAILED_BEFORE))
        return await self._look_at_all()

    def interrupted(self) -> Report:
        """Return what became of each setting up to now; nothing more is read or written."""
        step = self._under_way
        for change in self._open_changes():
            if step is not None and change.setting in step.settings:
                detail = f"interrupted at register {step.address}: nobody can say whether it was written"
                self._results[change.setting] = Result(change, Outcome.NO_ANSWER, detail=detail)
            else:
                self._results[change.setting] = self._left_over(change, "it was interrupted before")
        return self._report(unverified="it was interrupted")

    def _open_changes(self) -> list[Change]:
        return [change for change in self._plan.changes if change.setting not in self._results]

    def _left_over(self, change: Change, why: str) -> Result:
        if change.setting in self._parked:
            held = self._parked[change.setting]
            return Result(change, Outcome.NOT_TRIED, held, f"left at {held}, because {why}")
        return Result(change, Outcome.NOT_TRIED, detail=why)

    async def _carry_out(self, step: Step) -> bool:
        """Carry out one step and return whether to go on."""
        if step.temporary:
            return await self._free_pin(step)
        results = await self._writer.write(step, [self._changes[setting] for setting in step.settings])
        for result in results:
            self._note(result)
        return all(result.outcome.good for result in results)

    async def _free_pin(self, step: Step) -> bool:
        (setting,) = step.settings
        register = setting.register
        (result,) = await self._writer.write(
            step, [Change(setting, register.decode(step.before), register.decode(step.after))]
        )
        if not result.outcome.good:
            detail = f"to free its pin for a moment: {result.detail}"
            self._note(Result(self._changes[setting], result.outcome, result.found, detail))
        self._parked[setting] = result.change.new
        return result.outcome.good

    def _note(self, result: Result) -> None:
        self._results[result.change.setting] = result
        self._on_result(result)

    async def _look_at_all(self) -> Report:
        """Read all settings once more: the BMS may have changed what was written, or what nobody asked for."""
        if not any(result.outcome is not Outcome.UNCHANGED for result in self._results.values()):
            return self._report()
        try:
            words = await read_words(self._link)
        except BridgeError as error:
            return self._report(unverified=str(error))
        for setting, result in self._results.items():
            if result.outcome.good and setting.value(words) != result.change.new:
                found = setting.value(words)
                detail = f"the BMS changed it to {shown_value(found, setting.unit)} afterwards"
                self._note(Result(result.change, Outcome.DIFFERS, found, detail))
        return self._report(self._side_effects(words))

    def _side_effects(self, words: Words) -> tuple[Change, ...]:
        before = self._plan.readout.words
        return tuple(
            Change(setting, setting.value(before), setting.value(words))
            for setting in differing(before, words)
            if setting not in self._results and self._plan.readout.available(setting)
        )

    def _report(self, side_effects: tuple[Change, ...] = (), unverified: str = "") -> Report:
        ordered = sorted(
            self._results.values(), key=lambda r: (r.change.setting.address, r.change.setting.register.offset)
        )
        return Report(tuple(ordered), side_effects, unverified)
