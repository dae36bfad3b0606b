"""What is published of several packs: the battery as one, and each pack with its part in it."""

from typing import Any

import orjson
import pytest

from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.services.mqtt.documents import (
    Sealer,
    alarms_document,
    battery_document,
    pack_document,
    values_of,
)
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_lab.testing.fake_clock import FakeClock
from tinybms_lab.testing.packs import four_packs, one_pack, sixteen_packs


def moment(clock: FakeClock, battery: BatteryState, *, heard: bool = True) -> Moment:
    """Return the battery now."""
    return Moment.of(battery, clock, Hearing(connected=heard, since_s=60.0))


def test_the_battery_is_all_packs_together(clock: FakeClock, core: Any) -> None:
    """Sum of the currents, every cell of the members, and which pack has the extremes."""
    told = battery_document(core, moment(clock, four_packs()), (123.4, 98.7))
    assert (told["current"], told["packs"], len(told["cells_mv"])) == (40.0, 4, 12)  # type: ignore[arg-type]
    assert told["members"] == ("a", "b", "d")
    assert told["highest_cell"] == {"pack": "b", "cell": 3, "cell_mv": 3620}
    assert told["balancing_bits"] is None
    assert (told["charged_kwh"], told["ccl_limit_a"]) == (123.4, 158.3)


def test_each_pack_has_its_part(clock: FakeClock) -> None:
    """Condition, shares in percent, what is blocked, what it bears, energy and alarms of its own."""
    now = moment(clock, four_packs())
    a, b, c = (pack_document(name, now) for name in "abc")
    assert (a["condition"], a["charge_share_percent"], a["ccl_limit_a"]) == ("in_use", 60.0, 95.0)
    assert (b["charge_blocked"], b["discharge_blocked"], b["alarms"]) == (True, False, {"high_voltage": 2})
    assert (c["condition"], c["charge_share_percent"], c["charge_blocked"], c["ccl_limit_a"]) == (
        "silent",
        None,
        None,
        None,
    )
    assert [pack_document(name, now)["charged_kwh"] for name in "abcd"] == [1.0, 2.0, 3.0, 4.0]


def test_while_the_core_is_away_nothing_is_known_of_a_pack(clock: FakeClock) -> None:
    """Neither its condition nor whether it has an alarm."""
    told = pack_document("b", moment(clock, four_packs(), heard=False))
    assert (told["condition"], told["alarms"], told["charged_kwh"]) == (None, {}, None)


def test_the_only_pack_is_told_as_before(clock: FakeClock, core: Any) -> None:
    """No new name comes to who has one pack."""
    now = moment(clock, one_pack())
    several = moment(clock, four_packs())
    assert pack_document("a", several).keys() - pack_document("main", now).keys() == {
        *("condition", "charge_share_percent", "discharge_share_percent", "charge_blocked", "discharge_blocked"),
        *("ccl_limit_a", "dcl_limit_a", "charged_kwh", "discharged_kwh", "alarms"),
    }
    of_several = battery_document(core, several, (None, None)).keys()
    assert of_several - battery_document(core, now, (None, None)).keys() == {"members", "lowest_cell", "highest_cell"}


def test_alarms_name_the_pack(clock: FakeClock) -> None:
    """In the chosen language."""
    told = alarms_document(moment(clock, four_packs()), "fr")
    texts = [each["text"] for each in told["active"]]  # type: ignore[attr-defined]
    assert texts[0] == "Tension haute : alarme (pack b : cellule 3 à 3,620 V, seuil 3,600 V)"


@pytest.mark.parametrize("battery", [four_packs(), sixteen_packs(), one_pack()], ids=["four", "sixteen", "one"])
def test_everything_can_be_sent(clock: FakeClock, core: Any, battery: BatteryState) -> None:
    """As JSON and value by value, however many packs there are."""
    now = moment(clock, battery)
    for document in (battery_document(core, now, (1.0, 2.0)), *(pack_document(name, now) for name in battery.packs)):
        assert orjson.loads(Sealer("boot").seal(document, now.at))["boot"] == "boot"
        assert "voltage" in dict(values_of(document))
