"""What is told of one pack of several names it, in both languages; of the only one nothing is added."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tinybms_bridge.battery.alarms import AlarmCause, AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.bms_event_kinds import Severity
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.headline import cause
from tinybms_bridge.battery.limits import LimitCode, Quantity, Reason, explain, parameters_of, sentence_of
from tinybms_bridge.battery.state import PackCondition
from tinybms_bridge.core.event_store import line_of, news_of, record_of
from tinybms_bridge.link.event_list import EventRecord, EventSource
from tinybms_bridge.link.events import AlarmsChanged, FreshnessChanged, LinkChanged
from tinybms_bridge.words import message, say
from tinybms_lab.testing.packs import four_packs

CELL = Reason(Quantity.CCL, LimitCode.CELL_VOLTAGE, 3.0, 3.62, 0.25, cell=3)


def record(code: str, text: str, pack: str = "b", **parameters: object) -> EventRecord:
    """Return an entry of the event list."""
    at = datetime(2026, 7, 1, tzinfo=UTC)
    return EventRecord(
        1,
        at,
        EventSource.BRIDGE,
        Severity.INFO,
        code,
        text,
        parameters=message(code, **parameters).parameters,
        pack=pack,
    )


def test_the_reason_of_a_pack_names_it() -> None:
    """Cell 3 of which pack is what somebody with a screwdriver has to know."""
    told = replace(CELL, pack="a")
    assert explain(told) == "CCL 3.0 A: pack a: cell 3 is at 3.620 V, 25 % is left"
    assert sentence_of(told, "fr") == "pack a : la cellule 3 est à 3,620 V, il reste 25 %"
    assert cause(told).say() == "pack a: cell 3 at 3.62 V"
    assert cause(told).say("fr") == "pack a : la cellule 3 à 3,62 V"
    assert parameters_of(told)["pack"] == "a"


def test_the_reason_of_the_only_pack_says_nothing_new() -> None:
    """Text and parameters are those of before."""
    assert explain(CELL) == "CCL 3.0 A: cell 3 is at 3.620 V, 25 % is left"
    assert cause(CELL).code == "limited_by.cell_voltage"
    assert "pack" not in parameters_of(CELL)


@pytest.mark.parametrize(
    ("reason", "english", "short"),
    [
        (
            Reason(Quantity.CCL, LimitCode.PACK_SHARE, 158.3, 0.6, 95.0, pack="a"),
            "CCL 158.3 A: pack a: 60 % of the current is its own, and it bears 95.0 A",
            "pack a: its 60 % of the current",
        ),
        (
            Reason(Quantity.CVL, LimitCode.PACK_SILENT, 14.1, 120.0, pack="c"),
            "CVL 14.1 V: pack c: its BMS does not answer for 120 s, and nobody sees its cells",
            "pack c: a BMS that does not answer",
        ),
        (
            Reason(Quantity.CCL, LimitCode.PACK_SILENT, 0.0, pack="c"),
            "CCL 0.0 A: pack c: its BMS does not answer, and nobody sees its cells",
            "pack c: a BMS that does not answer",
        ),
        (
            Reason(Quantity.CCL, LimitCode.PACK_SILENT, 0.0, 2.5, detail="cold", pack="c"),
            "CCL 0.0 A: pack c: its BMS does not answer, and at 2.5 °C its cells may be too cold to be charged",
            "pack c: a BMS that does not answer",
        ),
        (
            Reason(Quantity.DCL, LimitCode.PACK_JOINING, 50.0, 0.44, 0.3, pack="d"),
            "DCL 50.0 A: pack d: it is 0.44 V apart from the others, and takes or gives nearly all of the current",
            "pack d: a voltage 0.44 V apart from the others",
        ),
        (
            Reason(Quantity.DCL, LimitCode.PACK_BLOCKED, 0.0),
            "DCL 0.0 A: no pack gives or takes current in this direction",
            "the packs, none of which gives or takes current",
        ),
    ],
)
def test_reasons_that_several_packs_bring(reason: Reason, english: str, short: str) -> None:
    """Each says which pack, and with which numbers."""
    assert (explain(reason), cause(reason).text) == (english, short)
    assert "?" not in explain(reason, "fr")


def test_the_cause_of_an_alarm_names_the_pack() -> None:
    """In every text; the code of the cause stays that of the cause."""
    found = four_packs().alarms.causes
    assert found[AlarmName.HIGH_VOLTAGE].text == "pack b: cell 3 at 3.620 V, threshold 3.600 V"
    assert found[AlarmName.BMS_INTERNAL].text == "pack c: no good data for 120 s, and it is still in parallel"
    assert found[AlarmName.BMS_INTERNAL].told.say("fr").startswith("pack c : aucune donnée valable depuis 120 s")
    plain = AlarmCause(message("cause.no_data"))
    assert plain.told is plain.message


def test_an_alarm_in_the_event_list_has_its_pack() -> None:
    """By name for who asks for the events of one pack, and once in its text."""
    (news,) = news_of(
        AlarmsChanged(
            Alarms(),
            Alarms(
                {AlarmName.HIGH_VOLTAGE: AlarmLevel.ALARM},
                {AlarmName.HIGH_VOLTAGE: AlarmCause(message("cause.no_data"), pack="b")},
            ),
        )
    )
    assert news.pack == "b"
    found = replace(record(news.code, news.text), parameters=news.message.parameters)
    assert found.say() == "High voltage: alarm (pack b: no good data from the BMS)"


def test_what_happens_to_one_pack_is_told_of_it() -> None:
    """The line of which pack is down; that its data is old stops nothing by itself, so it is no entry."""
    (news,) = news_of(LinkChanged(up=False, reason="unplugged", pack="b"))
    assert (news.code, news.pack) == ("link.down", "b")
    assert list(news_of(FreshnessChanged(Freshness.FRESH, Freshness.HOLD, pack="b"))) == []
    found = record("link.up", "The BMS answers")
    assert (found.say(), found.say("fr")) == ("Pack b: The BMS answers", "Pack b : Le BMS répond")
    assert record("link.up", "The BMS answers", pack="").say() == "The BMS answers"


def test_an_event_about_packs_names_it_once() -> None:
    """Its own sentence does."""
    assert record("pack.joined", "", pack="b").say("fr") == say("pack.joined", {}, "fr")
    told = message("pack.joined", pack="b")
    found = replace(record("pack.joined", told.text), parameters=told.parameters)
    assert (found.say(), found.say("fr")) == (
        "Pack b has come near the others",
        "Le pack b s'est approché des autres",
    )


def test_the_pack_of_an_entry_survives_a_restart() -> None:
    """It is in its line; a line of before has none."""
    found = record("link.up", "The BMS answers")
    assert record_of(line_of(found)) == found
    assert '"pack"' not in line_of(replace(found, pack=""))


@pytest.mark.parametrize("condition", PackCondition)
def test_every_condition_is_explained(condition: PackCondition) -> None:
    """Whoever sees one for the first time reads what it means."""
    for language in ("en", "fr"):
        assert say(f"pack_condition.{condition}.explanation", {}, language).endswith(".")
