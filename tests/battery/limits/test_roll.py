"""Who of several packs is there: conditions of the packs, and freshness of the battery."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.battery.limits.test_pack_step import Pack

from tinybms_bridge.battery.freshness import Freshness, FreshnessMemory
from tinybms_bridge.battery.limits.pack_step import PackMemory
from tinybms_bridge.battery.limits.roll import Roll, call_roll
from tinybms_bridge.battery.state import PackCondition


@pytest.fixture(scope="module")
def packs() -> Mapping[str, PackMemory]:
    """One pack that is fresh, one that has just begun, one that is silent."""
    silent = Pack()
    silent.run(5.0)
    return {"fresh": Pack().run(5.0), "new": Pack().run(0.5), "silent": silent.run(10.0, silent=True)}


def called(known: Mapping[str, PackMemory], *enabled: str, state: Freshness = Freshness.FRESH, **more: Any) -> Roll:
    """Return the roll at 100 s."""
    wanted: dict[str, Any] = {
        "missing_since_s": {},
        "back_s": {},
        "before": FreshnessMemory(state, since_s=90.0),
        "first_s": 90.0,
        "doubled": (),
        "hold_s": 30.0,
        "stop_when_missing": False,
    }
    return call_roll(known, enabled=enabled, now_s=100.0, **{**wanted, **more})


def test_each_pack_has_its_part(packs: Mapping[str, PackMemory]) -> None:
    """Fresh, silent, never heard of, just put in service, and heard twice."""
    enabled = ("fresh", "silent", "unheard", "new", "twin")
    roll = called(packs, *enabled, missing_since_s={"unheard": 90.0}, doubled=("twin",))

    assert roll.conditions == {
        "fresh": PackCondition.IN_USE,
        "silent": PackCondition.SILENT,
        "unheard": PackCondition.SILENT,
        "new": PackCondition.STARTING,
        "twin": PackCondition.ODD,
    }
    assert set(roll.seen) == {"fresh"}
    assert set(roll.missing) == {"silent", "unheard", "new"}
    assert set(roll.held) == {"silent"}


def test_the_state_of_charge_of_a_silent_pack_counts_for_a_while(packs: Mapping[str, PackMemory]) -> None:
    """As long as a hold lasts."""
    for since_s, counts in ((80.0, True), (60.0, False)):
        roll = called(packs, "fresh", "silent", missing_since_s={"silent": since_s})
        assert ("silent" in roll.held) is counts


def test_a_battery_begins_with_all_its_packs_or_after_a_while(packs: Mapping[str, PackMemory]) -> None:
    """Who has not come by then counts as silent."""
    beginning = {"state": Freshness.STARTING}
    assert called(packs, "fresh", **beginning).freshness.state is Freshness.FRESH
    waiting = called(packs, "fresh", "new", first_s=98.0, **beginning)
    assert waiting.freshness.state is Freshness.STARTING
    assert waiting.conditions["new"] is PackCondition.STARTING
    assert called(packs, "fresh", "new", first_s=94.0, **beginning).freshness.state is Freshness.FRESH
    assert called(packs, "new", **beginning).freshness.state is Freshness.STARTING


def test_the_battery_lives_as_long_as_one_pack_is_seen(packs: Mapping[str, PackMemory]) -> None:
    """Unless the owner wants it to stop with the first that is missing."""
    assert called(packs, "fresh", "silent").freshness.state is Freshness.FRESH
    assert called(packs, "fresh", "silent", stop_when_missing=True).freshness.state is Freshness.HOLD
    assert called(packs, "silent").freshness.state is Freshness.HOLD
    assert called(packs, "silent", hold_s=0.0).freshness.state is Freshness.SILENT
    held = FreshnessMemory(Freshness.HOLD, since_s=60.0)
    assert called(packs, "silent", before=held).freshness.state is Freshness.SILENT
    assert called(packs, "fresh", before=held).freshness.state is Freshness.FRESH
