"""The answers of ``/api/history``."""

from datetime import date, datetime

from pydantic import Field

from tinybms_bridge.services.web.answers import Answer

__all__ = ["DayAnswer", "Days", "Fields", "HistoryAnswer", "HistoryField", "HistoryStats", "LevelAnswer"]

Value = float | str | None


class HistoryAnswer(Answer):
    """Values in columns; every list has one entry for each step."""

    from_: datetime = Field(serialization_alias="from", description="Beginning of the first step")
    to: datetime = Field(description="End of the last step")
    step_s: int = Field(examples=[300])
    times: list[int] = Field(description="Beginning of each step, seconds since 1970", examples=[[1767225600]])
    fields: dict[str, dict[str, list[Value]]] = Field(
        description="Each field with its series; null where nothing is known",
        examples=[
            {"voltage_v": {"mean": [53.127], "min": [53.09], "max": [53.162]}, "charge_state": {"last": ["BULK"]}}
        ],
    )


class HistoryField(Answer):
    """Something that can be asked for."""

    name: str = Field(examples=["voltage_v"])
    unit: str = Field(examples=["V"], description="Empty for none")
    text: str = Field(examples=["Voltage of the pack"])
    series: list[str] = Field(examples=[["mean", "min", "max"]])


class LevelAnswer(Answer):
    """One resolution; null where nothing is stored."""

    step_s: int = Field(examples=[10])
    kept_days: int = Field(examples=[2], description="Days of recorded time that are kept")
    rows: int
    oldest: datetime | None
    newest: datetime | None


class Fields(Answer):
    """What can be asked for, and how far back."""

    enabled: bool
    """Whether the history records."""
    fields: list[HistoryField]
    levels: list[LevelAnswer]


class DayAnswer(Answer):
    """One day in the time zone of the machine."""

    day: date
    charged_kwh: float = Field(examples=[7.412])
    discharged_kwh: float = Field(examples=[6.98])
    recorded_h: float = Field(examples=[24.0], description="Hours with fresh data: a day with fewer is not complete")


class Days(Answer):
    """Energy of each day that has data, oldest first."""

    days: list[DayAnswer]


class HistoryStats(Answer):
    """The history; counters since the start."""

    enabled: bool
    path: str
    bytes: int
    """Size of its files."""
    levels: list[LevelAnswer]
    written_batches: int
    """Batches of a minute, as the two that follow."""
    waiting_batches: int
    lost_batches: int
    waits_for_clock: bool
    """Whether what is recorded waits in memory for the clock of the machine to be set."""
    lost_undated_steps: int
    error: str
    """Why nothing can be written or read; empty while all is well."""
