"""The keys of a scenario file outside its steps: what each may hold."""

from collections.abc import Mapping
from enum import Enum

from tinybms_lab.bms.chemistry import CHEMISTRIES
from tinybms_lab.bms.records import EventId
from tinybms_lab.bms.scenario_checks import (
    Check,
    boolean,
    duration_s,
    list_of,
    number,
    one_of,
    text,
    whole,
)
from tinybms_lab.bms.settings import OutOfRange
from tinybms_lab.bms.variants import (
    FIRMWARES,
    HIGH_POWER,
    LOW_POWER,
    BlockLength,
    CellOrder,
    EventOrder,
    OffMap,
    PacketId,
)

__all__ = ["BMS_FIELDS", "LINE_FIELDS", "PACK_FIELDS", "TABLES", "TOP_FIELDS"]


def _names(kinds: type[Enum]) -> Check:
    return one_of({kind.value: kind for kind in kinds})


TOP_FIELDS: Mapping[str, Check] = {
    "title": text,
    "duration": duration_s,
    "ends_with": list_of(one_of({event.name.lower(): event for event in EventId})),
}
TABLES = ("pack", "bms", "line", "settings")

PACK_FIELDS: Mapping[str, Check] = {
    "chemistry": one_of(CHEMISTRIES),
    "cells": whole(4, 16),
    "capacity_ah": number(0.1, 655),
    "soc": number(0, 100, scale=0.01),
    "ambient_c": number(-60, 120),
    "capacity_spread": number(0, 50, scale=0.01),
    "soc_spread": number(0, 50, scale=0.01),
    "resistance_spread": number(0, 90, scale=0.01),
}
"""Fields of ``PackPlan``; fractions are given in percent."""

BMS_FIELDS: Mapping[str, Check] = {
    "firmware": one_of(FIRMWARES),
    "board": one_of({"low": LOW_POWER, "high": HIGH_POWER}),
    "external_sensors": whole(0, 2),
    "external_current_sensor": boolean,
    "asleep_allowed": boolean,
    "lifetime_s": whole(0, 0xFFFFFFFF),
    "first_event_slot": whole(0, 48),
    "off_map": _names(OffMap),
    "warning_is_fault": boolean,
    "out_of_range": _names(OutOfRange),
    "keeps_partial_writes": boolean,
    "write_busy_s": number(0, 60),
    "adapter_on_5v": boolean,
}
"""Fields of ``BmsOptions``."""

LINE_FIELDS: Mapping[str, Check] = {
    "block_length": _names(BlockLength),
    "cell_order": _names(CellOrder),
    "newest_count": whole(0, 49),
    "newest_order": _names(EventOrder),
    "all_order": _names(EventOrder),
    "packet_id": _names(PacketId),
    "chunk": whole(1, 4096),
}
"""Fields of ``Habits``, and ``chunk``, a property of the line."""
