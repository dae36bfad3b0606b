"""One write at a time: read, write, wait, read back, and say what became of each setting.

The line is kept from the poll only from the write to the first reading back, about half a second; between two
registers the poll gets its turn, so that its data never becomes stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from tinybms_bridge.errors import BridgeError, DeviceRefused, LinkError
from tinybms_bridge.hal.clock import Clock
from tinybms_bridge.tinybms.frames import Request, WriteModbus
from tinybms_bridge.tinybms.registers import RegisterValue
from tinybms_bridge.tinybms.settings.fields import Words
from tinybms_bridge.tinybms.settings.plan import SettingChange, Step
from tinybms_bridge.tinybms.settings.table import Link, read_registers
from tinybms_bridge.words import Message, message

__all__ = [
    "Acknowledgement",
    "Outcome",
    "Report",
    "Result",
    "Sent",
    "StepWriter",
    "WriteOptions",
    "described",
    "detail_document",
    "not_read_back",
    "send_once",
]


class Outcome(StrEnum):
    """What became of one setting, as far as reading back can tell."""

    WRITTEN = "written"
    """Written and read back."""
    UNCHANGED = "unchanged"
    """It held the value already and was not written: the BMS's memory wears."""
    REFUSED = "refused"
    """The BMS answered NACK."""
    DIFFERS = "differs"
    """Written, but another value is read back."""
    NO_ANSWER = "no answer"
    """Nobody can say whether it was written."""
    NOT_TRIED = "not tried"
    """Not written, because something failed or changed before; ``found`` and ``detail`` tell of a freed pin."""

    @property
    def good(self) -> bool:
        """Whether the setting holds the wanted value."""
        return self in {Outcome.WRITTEN, Outcome.UNCHANGED}


def described(outcome: Outcome, detail: Message | None) -> Message:
    """Return what became of a setting or an action, in one line."""
    return message("writing.outcome", outcome=outcome, detail=detail)


def detail_document(detail: Message | None) -> dict[str, object]:
    """Return what happened for JSON: as ``detail``, and as code and parameters; empty where all is plain."""
    if detail is None:
        return {"detail": "", "code": "", "parameters": {}}
    return {"detail": detail.text, "code": detail.code, "parameters": dict(detail.parameters)}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one setting."""

    change: SettingChange
    outcome: Outcome
    found: RegisterValue = None
    """The value read back, or None when nothing was read."""
    detail: Message | None = None
    """What happened, when it is not plain."""

    @property
    def name(self) -> str:
        """Name of the setting."""
        return self.change.name

    @property
    def description(self) -> Message:
        """What became of it, in one line."""
        return described(self.outcome, self.detail)

    def as_dict(self) -> dict[str, object]:
        """Return the result as JSON-ready values."""
        return {
            "name": self.name,
            "register": self.change.setting.address,
            "unit": self.change.setting.unit,
            "old": self.change.old,
            "new": self.change.new,
            "outcome": self.outcome.value,
            "found": self.found,
            **detail_document(self.detail),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a plan."""

    results: tuple[Result, ...]
    """One for each setting asked for, in order of registers."""
    side_effects: tuple[SettingChange, ...] = ()
    """Settings nobody asked to change and that the BMS changed meanwhile."""
    unverified: Message | None = None
    """Why the last look at all settings failed, or None."""

    @property
    def good(self) -> bool:
        """Whether every setting holds the wanted value."""
        return all(result.outcome.good for result in self.results)


_LOOKS_AT_OLD = 2
"""How often to look again at a register that still holds its old value: a write may take up to a second."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Times of writing. The vendor documents none of them; 0.5 to 1 s is what works in the field."""

    settle_s: float = 0.5
    """From a write to its reading back."""
    patience_s: float = 3.0
    """How long to go on reading back a register that does not answer."""
    restart_s: float = 20.0
    """How long a BMS that restarts by itself may stay away."""
    restart_begins_s: float = 2.0
    """From the write to the first reading back where the BMS restarts."""


class Acknowledgement(Enum):
    """How the BMS answered a write."""

    DONE = "done"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending a write, and later of reading it back."""

    answer: Acknowledgement
    detail: Message | None = None
    """Why there is no acknowledgement."""
    found: Words | None = None
    """The words read back, or None."""


async def send_once(link: Link, request: Request) -> Sent:
    """Send a request that must not be repeated; never raises for the line or the BMS."""
    try:
        await link.request(request, attempts=1)
    except DeviceRefused as error:
        return Sent(Acknowledgement.REFUSED, error.description)
    except LinkError as error:
        return Sent(Acknowledgement.SILENT, error.description)
    return Sent(Acknowledgement.DONE)


class StepWriter:
    """Carries out the steps of a plan on one BMS."""

    def __init__(self, link: Link, clock: Clock, options: WriteOptions) -> None:
        self._link = link
        self._clock = clock
        self._options = options

    async def write(self, step: Step, changes: Sequence[SettingChange]) -> list[Result]:
        """Carry out one step and return what became of each of its changes; never raises for the line or the BMS."""
        try:
            present = await read_registers(self._link, step.address, len(step.after))
        except BridgeError as error:
            unread = message("writing.not_read", error=error.description)
            return [Result(each, Outcome.NOT_TRIED, detail=unread) for each in changes]
        if step.done(present):
            return [Result(each, Outcome.UNCHANGED, each.new) for each in changes]
        if not step.undone(present):
            moved = message("writing.changed_meanwhile")
            return [Result(each, Outcome.NOT_TRIED, each.setting.register.decode(present), moved) for each in changes]
        sent = await self._write_and_look(step, present)
        return [_result(each, sent) for each in changes]

    async def _write_and_look(self, step: Step, present: Words) -> Sent:
        async with self._link.exclusive():
            sent = await send_once(self._link, WriteModbus(step.address, step.merged(present)))
            await self._clock.sleep(self._options.settle_s)
            found = None if step.restarts else await self._look(step)
        if sent.answer is not Acknowledgement.REFUSED:
            found = await self._look_again(step, found)
        return replace(sent, found=found)

    async def _look_again(self, step: Step, found: Words | None) -> Words | None:
        """Read until the register answers, and a few times more while it holds the old value."""
        options, clock = self._options, self._clock
        if step.restarts:
            await clock.sleep(options.restart_begins_s)
        end_s = clock.monotonic() + (options.restart_s if step.restarts else options.patience_s)
        looked = 0
        while clock.monotonic() < end_s:
            if found is not None:
                if looked >= _LOOKS_AT_OLD or not step.undone(found):
                    break
                looked += 1
            await clock.sleep(options.settle_s)
            found = await self._look(step)
        return found

    async def _look(self, step: Step) -> Words | None:
        try:
            return await read_registers(self._link, step.address, len(step.after), attempts=1)
        except BridgeError:
            return None


def _result(change: SettingChange, sent: Sent) -> Result:
    found = None if sent.found is None else change.setting.register.decode(sent.found)
    if sent.answer is Acknowledgement.REFUSED:
        return Result(change, Outcome.REFUSED, found, sent.detail)
    if found is None:
        return Result(change, Outcome.NO_ANSWER, None, not_read_back(sent))
    if found == change.new:
        return Result(change, Outcome.WRITTEN, found)
    if sent.answer is Acknowledgement.SILENT and found == change.old:
        still = message("writing.still_holds", detail=sent.detail, value=found, unit=change.setting.unit)
        return Result(change, Outcome.NO_ANSWER, found, still)
    return Result(change, Outcome.DIFFERS, found, message("writing.holds", value=found, unit=change.setting.unit))


def not_read_back(sent: Sent) -> Message:
    """Return that nobody can say what a write has done."""
    return message("writing.not_read_back", detail=sent.detail, acknowledged=sent.detail is None)
