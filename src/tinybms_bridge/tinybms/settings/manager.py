"""The settings of one BMS: a plan carried out step by step; the face of this package for command line and services."""

import asyncio
from collections.abc import Callable, Mapping

from tinybms_bridge.errors import BridgeError
from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult, perform_request
from tinybms_bridge.tinybms.settings.errors import ConfirmationError, StaleSettingsError
from tinybms_bridge.tinybms.settings.fields import Setting, Words, all_settings
from tinybms_bridge.tinybms.settings.plan import Plan, SettingChange, Step, make_plan
from tinybms_bridge.tinybms.settings.rules import Caution
from tinybms_bridge.tinybms.settings.table import Link, Readout, differing, read_settings, read_words
from tinybms_bridge.tinybms.settings.writer import Outcome, Report, Result, StepWriter, WriteOptions
from tinybms_bridge.words import Message, message

__all__ = ["BmsSettings", "OnInterrupt", "OnResult", "PlanRun"]


OnResult = Callable[[Result], None]
"""Called with each result as soon as it is known; the report may know better in the end."""

OnInterrupt = Callable[[Report], None]
"""Called with what became of a plan up to an interruption."""


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
            self._note(self._left_over(change, message("writing.failed_before")))
        return await self._look_at_all()

    def interrupted(self) -> Report:
        """Return what became of each setting up to now; nothing more is read or written."""
        step = self._under_way
        for change in self._open_changes():
            if step is not None and change.setting in step.settings:
                detail = message("writing.interrupted_at", register=step.address)
                self._results[change.setting] = Result(change, Outcome.NO_ANSWER, detail=detail)
            else:
                self._results[change.setting] = self._left_over(change, message("writing.interrupted_before"))
        return self._report(unverified=message("writing.interrupted"))

    def _open_changes(self) -> list[SettingChange]:
        return [change for change in self._plan.changes if change.setting not in self._results]

    def _left_over(self, change: SettingChange, why: Message) -> Result:
        if change.setting in self._parked:
            held = self._parked[change.setting]
            return Result(change, Outcome.NOT_TRIED, held, message("writing.left_at", value=held, reason=why))
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
            step, [SettingChange(setting, register.decode(step.before), register.decode(step.after))]
        )
        if not result.outcome.good:
            detail = message("writing.freeing_pin", detail=result.detail)
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
            return self._report(unverified=error.description)
        for setting, result in self._results.items():
            if result.outcome.good and setting.value(words) != result.change.new:
                found = setting.value(words)
                detail = message("writing.changed_afterwards", value=found, unit=setting.unit)
                self._note(Result(result.change, Outcome.DIFFERS, found, detail))
        return self._report(self._side_effects(words))

    def _side_effects(self, words: Words) -> tuple[SettingChange, ...]:
        before = self._plan.readout.words
        return tuple(
            SettingChange(setting, setting.value(before), setting.value(words))
            for setting in differing(before, words)
            if setting not in self._results and self._plan.readout.available(setting)
        )

    def _report(self, side_effects: tuple[SettingChange, ...] = (), unverified: Message | None = None) -> Report:
        ordered = sorted(
            self._results.values(), key=lambda r: (r.change.setting.address, r.change.setting.register.offset)
        )
        return Report(tuple(ordered), side_effects, unverified)


class BmsSettings:
    """Reads, plans and writes the settings of one BMS; one job at a time, the poll goes on in between.

    Args:
        link: the client that talks to the BMS.
        clock: source of time.
        options: times of writing.
        run_blocking: runs what reads the catalogue's file.
        own_soc: tells the state of charge that the bridge counts, which is set where no value is given.
        on_soc: told of a state of charge that was set and read back.

    """

    def __init__(
        self,
        link: Link,
        clock: Clock,
        options: WriteOptions | None = None,
        run_blocking: RunBlocking = in_thread,
        own_soc: Callable[[], float | None] = lambda: None,
        on_soc: Callable[[float], None] = lambda _percent: None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._run_blocking = run_blocking
        self._own_soc = own_soc
        self._on_soc = on_soc
        self._options = options or WriteOptions()
        self._lock = asyncio.Lock()

    async def read(self) -> Readout:
        """Return all that the BMS says of its settings. Raises LinkError or DeviceRefused."""
        await self._run_blocking(all_settings)
        async with self._lock:
            return await read_settings(self._link, self._clock)

    async def plan(self, wanted: Mapping[str, object]) -> Plan:
        """Return the plan that gives the BMS the ``wanted`` values. Raises SettingsError, LinkError, DeviceRefused."""
        return make_plan(await self.read(), wanted)

    async def apply(
        self,
        plan: Plan,
        *,
        confirm: bool = False,
        on_result: OnResult | None = None,
        on_interrupt: OnInterrupt | None = None,
    ) -> Report:
        """Carry out a plan; after the first failure nothing more is written, and a second run does what is left.

        Args:
            plan: From ``plan`` or ``restore_plan``.
            confirm: Accepts the plan's ``consequences``.
            on_result: Told of each result.
            on_interrupt: Told what became of the plan so far when the task is cancelled.

        Raises:
            ConfirmationError: The plan has consequences and ``confirm`` is not set; nothing was written.
            StaleSettingsError: The BMS holds other settings than the plan was made for; nothing was written.
            LinkError: The settings could not be read at the start; nothing was written.
            DeviceRefused: Likewise.

        """
        if plan.consequences and not confirm:
            raise ConfirmationError(plan.consequences)
        async with self._lock:
            moved = differing(plan.readout.words, await read_words(self._link))
            if moved:
                raise StaleSettingsError([setting.name for setting in moved])
            run = PlanRun(self._link, self._clock, self._options, plan, on_result or _ignore)
            try:
                return await run.run()
            except asyncio.CancelledError:
                if on_interrupt is not None:
                    on_interrupt(run.interrupted())
                raise

    async def perform(self, action: ActionName, value: object = None, *, confirm: bool = False) -> ActionResult:
        """Carry out an action that is no setting.

        Args:
            action: What to do.
            value: Percent for a state of charge (None: what the bridge counts) or health, ``dual_port`` or
                ``single_port`` for the mode, else None.
            confirm: Accepts the consequence of the action.

        Raises:
            ConfirmationError: ``confirm`` is not set; nothing was sent.
            SettingsError: A value that the action cannot have; nothing was sent.
            LinkError: The BMS could not be asked what is needed before; nothing was sent.
            DeviceRefused: Likewise.

        """
        if not confirm:
            raise ConfirmationError([Caution("", action.info.consequence, needs_confirmation=True)])
        if action is ActionName.SET_OPERATION_MODE:
            return await self._set_mode(value)
        if action is ActionName.SET_STATE_OF_CHARGE:
            return await self._set_soc(value)
        async with self._lock:
            return await perform_request(self._link, self._clock, self._options, action, value)

    async def _set_soc(self, value: object) -> ActionResult:
        """Set the state of charge, and only when it is read back let the bridge go on from it: one act."""
        action = ActionName.SET_STATE_OF_CHARGE
        async with self._lock:
            percent = self._own_soc() if value is None else value
            result = await perform_request(self._link, self._clock, self._options, action, percent)
            if result.outcome.good and isinstance(percent, int | float):
                self._on_soc(float(percent))
            return result

    async def _set_mode(self, value: object) -> ActionResult:
        ActionName.SET_OPERATION_MODE.check_given(value)
        (result,) = (await self.apply(await self.plan({"operation_mode": value}), confirm=True)).results
        return ActionResult(ActionName.SET_OPERATION_MODE, result.outcome, result.detail)


def _ignore(_result: Result) -> None:
    return
