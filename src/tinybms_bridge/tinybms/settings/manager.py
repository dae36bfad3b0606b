"""The settings of one BMS: the face of this package for the command line and the services."""

import asyncio
from collections.abc import Callable, Mapping

from tinybms_bridge.hal.blocking import RunBlocking, in_thread
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.settings.actions import ActionName, ActionResult, perform_request
from tinybms_bridge.tinybms.settings.errors import ConfirmationError, StaleSettingsError
from tinybms_bridge.tinybms.settings.fields import all_settings
from tinybms_bridge.tinybms.settings.link import Link
from tinybms_bridge.tinybms.settings.plan import Plan, make_plan
from tinybms_bridge.tinybms.settings.results import Report, Result
from tinybms_bridge.tinybms.settings.run import OnInterrupt, OnResult, PlanRun
from tinybms_bridge.tinybms.settings.table import Readout, differing, read_settings, read_words
from tinybms_bridge.tinybms.settings.writer import WriteOptions

__all__ = ["BmsSettings"]


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
            raise ConfirmationError([action.info.consequence])
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
