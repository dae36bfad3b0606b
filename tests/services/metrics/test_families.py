"""Every family: its name by the conventions of Prometheus, its values only while they are known, and its page."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.process_use import ProcessUse
from tinybms_bridge.services.metrics.families import FAMILIES, main, renewed
from tinybms_bridge.services.metrics.family import PREFIX, Family, MetricKind, Picture, Present

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
NOT_WHILE: dict[str, set[Present]] = {
    "hold": {Present.LIVE},
    "silent": {Present.LIVE, Present.SENT},
    "away": {Present.LIVE, Present.SENT, Present.HEARD},
    "starting": {Present.LIVE, Present.SENT, Present.KNOWN},
}
"""What is not known in a state."""


def picture_of(told: Any) -> Picture:
    """Return a picture as who reads it completes it."""
    taken = Picture.take(told)
    uses = {name: ProcessUse(50_000_000, 60_000_000, 5, 12.5) for name in ("core", "services")}
    return Picture(**{name: getattr(taken, name) for name in taken.__dataclass_fields__} | {"uses": uses})


def readings(family: Family, picture: Picture) -> list[Any]:
    """Return the values of a family that would be shown."""
    return [labels for labels, value in family.read(picture) if value is not None]


def test_names_follow_the_conventions() -> None:
    """One prefix, lower case, no name twice, no suffix that Prometheus keeps for itself."""
    names = [each.shown_name for each in FAMILIES]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(rf"{PREFIX}[a-z0-9]+(?:_[a-z0-9]+)*", name)] == []
    assert [each.name for each in FAMILIES if re.search(r"_(?:total|info|count|sum|bucket|created)$", each.name)] == []
    assert [
        each.shown_name
        for each in FAMILIES
        if each.kind is MetricKind.COUNTER and not each.shown_name.endswith("_total")
    ] == []


def test_a_unit_is_a_base_unit() -> None:
    """Volts and seconds, never millivolts, milliseconds, percent or Wh: a board need not know which one it is."""
    words = {word for each in FAMILIES for word in each.name.split("_")}
    assert not words & {"mv", "ma", "ms", "percent", "wh", "kwh", "ah", "hours", "minutes", "millivolts", "kilobytes"}
    assert {each.unit for each in FAMILIES} == {
        *("", "volts", "amperes", "watts", "ratio", "celsius", "seconds", "joules", "coulombs", "bytes")
    }


def test_every_help_is_one_sentence() -> None:
    """In one line, which ends; it is what people see in the completion of a query."""
    assert [each.name for each in FAMILIES if not re.fullmatch(r"[A-Z0-9][^\n|]{10,140}\.", each.help)] == []


PARTS = {
    *("tinybms_pack_condition", "tinybms_pack_charge_share_ratio", "tinybms_pack_discharge_share_ratio"),
    *("tinybms_pack_charge_blocked", "tinybms_pack_discharge_blocked", "tinybms_pack_ccl_amperes"),
    *("tinybms_pack_dcl_amperes", "tinybms_pack_charged_joules", "tinybms_pack_discharged_joules"),
}
"""What only a pack beside others has."""


def test_a_battery_that_is_well_tells_everything(make_told: Callable[..., Any]) -> None:
    """No family is a promise that nothing keeps: of one pack, or of several what only they have."""
    for state in ("fresh", "three packs"):
        told = make_told(state)
        picture = picture_of(told)
        picture = Picture(
            **{name: getattr(picture, name) for name in picture.__dataclass_fields__} | {"history": told.history.told}
        )
        missing = {each.name for each in FAMILIES if not readings(each, picture)}
        assert missing == (PARTS if state == "fresh" else set())


@pytest.mark.parametrize("state", NOT_WHILE)
def test_what_is_not_known_is_absent(make_told: Callable[..., Any], state: str) -> None:
    """Neither the last value nor 0: a board shows a gap, and an alert rule does not see a voltage of yesterday."""
    picture = picture_of(make_told(state))
    shown = {each.present for each in FAMILIES if readings(each, picture)}
    assert not shown & NOT_WHILE[state]
    assert Present.ALWAYS in shown


def test_a_history_that_does_not_record_is_absent(make_told: Callable[..., Any]) -> None:
    """Its size of before says nothing any more."""
    picture = picture_of(make_told("fresh"))
    assert [each.name for each in FAMILIES if each.present is Present.RECORDED and readings(each, picture)] == []


def test_no_series_is_given_twice(make_told: Callable[..., Any], state_names: Sequence[str]) -> None:
    """Prometheus would throw the whole scrape away; each series has a value for each of its labels."""
    for state in state_names:
        picture = picture_of(make_told(state))
        for family in FAMILIES:
            found = readings(family, picture)
            assert len(set(found)) == len(found), family.name
            assert all(len(labels) == len(family.labels) for labels in found), family.name
            assert all(isinstance(each, str) for labels in found for each in labels), family.name


def test_the_tables_of_the_page_are_up_to_date(tmp_path: Path) -> None:
    """Else: ``python -m tinybms_bridge.services.metrics.families docs/metrics.md``."""
    text = PAGE.read_text(encoding="utf-8")
    assert renewed(text) == text
    copy = tmp_path / "metrics.md"
    copy.write_text(text.replace("| gauge |", "| gouge |"), encoding="utf-8")
    main(copy)
    assert copy.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["", "no marks"])
def test_a_page_without_marks_is_refused(text: str) -> None:
    """It is never written over."""
    with pytest.raises(ValueError, match="marks"):
        renewed(text)
