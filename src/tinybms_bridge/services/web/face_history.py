"""What the web room sees of the history; the service of that name fits it as it is."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol

__all__ = ["Cell", "DayEnergy", "HistoryField", "HistorySource", "HistoryState", "HistoryView", "Stored", "StoredLevel"]

Cell = float | int | str | None
"""One value; None where nothing is known."""


class HistoryField(Protocol):
    """Something that can be asked for."""

    @property
    def name(self) -> str:
        """For example ``voltage_v``."""
        ...

    @property
    def unit(self) -> str:
        """Empty for none."""
        ...

    @property
    def text(self) -> str:
        """What it is."""
        ...

    @property
    def series(self) -> Mapping[str, object]:
        """Names of the series, for example ``mean``."""
        ...


class HistoryView(Protocol):
    """The values of some series over a time; reading them blocks."""

    @property
    def step_s(self) -> int:
        """Length of a step."""
        ...

    @property
    def times(self) -> range:
        """Beginning of each step, seconds since 1970."""
        ...

    def columns(self) -> list[list[Cell]]:
        """Return a list for each series, with None where nothing is known."""
        ...

    def lines(self, size: int) -> Iterator[list[tuple[int, tuple[Cell, ...]]]]:
        """Yield the steps that are stored, in pieces that are read one by one."""
        ...


class DayEnergy(Protocol):
    """Energy of one local day."""

    @property
    def day(self) -> date:
        """The day in the time zone of the machine."""
        ...

    @property
    def charged_kwh(self) -> float:
        """Into the battery."""
        ...

    @property
    def discharged_kwh(self) -> float:
        """Out of the battery."""
        ...

    @property
    def recorded_h(self) -> float:
        """Hours with fresh data."""
        ...


class StoredLevel(Protocol):
    """What is stored in one resolution."""

    @property
    def step_s(self) -> int:
        """Its step."""
        ...

    @property
    def rows(self) -> int:
        """Steps that are stored."""
        ...

    @property
    def oldest_s(self) -> int | None:
        """Beginning of the oldest, seconds since 1970."""
        ...

    @property
    def newest_s(self) -> int | None:
        """Beginning of the newest."""
        ...


class Stored(Protocol):
    """How much is stored."""

    @property
    def bytes(self) -> int:
        """Size of the files."""
        ...

    @property
    def levels(self) -> Sequence[StoredLevel]:
        """Finest first; empty when there is no file yet."""
        ...


class HistoryState(Protocol):
    """How the history is."""

    @property
    def enabled(self) -> bool:
        """Whether it records."""
        ...

    @property
    def path(self) -> str:
        """The file."""
        ...

    @property
    def stored(self) -> Stored:
        """How much is stored."""
        ...

    @property
    def kept_days(self) -> Mapping[int, int]:
        """Days of recorded time that are kept, by the step in seconds."""
        ...

    @property
    def written_batches(self) -> int:
        """Since the start, as the counters that follow."""
        ...

    @property
    def lost_batches(self) -> int:
        """Minutes that could not be written."""
        ...

    @property
    def waiting_batches(self) -> int:
        """Minutes that are not written yet."""
        ...

    @property
    def waits_for_clock(self) -> bool:
        """Whether what is recorded waits for the clock of the machine to be set."""
        ...

    @property
    def lost_undated_steps(self) -> int:
        """Steps lost because that took too long."""
        ...

    @property
    def error(self) -> str:
        """Why nothing can be written or read; empty while all is well."""
        ...


class HistorySource(Protocol):
    """The history; all but ``fields`` is called in a thread and raises BridgeError when the file cannot be read."""

    @property
    def fields(self) -> Sequence[HistoryField]:
        """Everything that can be asked for."""
        ...

    def view(self, from_s: int, to_s: int, names: Sequence[str], *, points: int, step_s: int | None) -> HistoryView:
        """Return the series of these names, such as ``voltage_v.mean``, in at most ``points`` steps or in ``step_s``.

        Raises KeyError for a name that there is not.
        """
        ...

    def days(self, first: date, last: date) -> Sequence[DayEnergy]:
        """Return the days that have any data, oldest first."""
        ...

    def state(self) -> HistoryState:
        """Return how the history is; never raises."""
        ...
