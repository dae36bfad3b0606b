"""Commands from the broker: what is refused, how many are carried out, and what is answered."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.services.mqtt.orders import NAMES, Orders
from tinybms_lab.testing.fake_clock import FakeClock


@pytest.fixture
def counters() -> Counter[str]:
    """What was counted."""
    return Counter()


@pytest.fixture
def orders(core: Any, clock: FakeClock, counters: Counter[str]) -> Orders:
    """Commands for a bridge on a clock that stands."""
    core.clock = clock
    return Orders(core, in_place, counters)


async def ask(orders: Orders, name: str, document: object, *, retained: bool = False) -> Any:
    """Send a command and return the answer."""
    return await orders.take(name, json.dumps(document).encode(), retained=retained)


@pytest.mark.parametrize(
    ("name", "document", "code"),
    [
        ("inhibit", {}, "mqtt.no_direction"),
        ("inhibit", {"direction": "both"}, "mqtt.no_direction"),
        ("inhibit", {"direction": ["charge"]}, "mqtt.no_direction"),
        ("inhibit", {"direction": "charge", "duration_s": True}, "mqtt.wrong_duration"),
        ("inhibit", {"direction": "charge", "duration_s": 0}, "mqtt.wrong_duration"),
        ("inhibit", {"direction": "charge", "duration_s": 1e9}, "mqtt.wrong_duration"),
        ("inhibit", {"direction": "charge", "duration_s": "60"}, "mqtt.wrong_duration"),
        ("inhibit", {"direction": "charge", "reason": "a\nb"}, "mqtt.wrong_reason"),
        ("inhibit", {"direction": "charge", "reason": "x" * 201}, "mqtt.wrong_reason"),
        ("release", {"direction": "charge"}, "mqtt.not_inhibited"),
        ("profile", {"profile": 3}, "mqtt.missing"),
        ("profile", {}, "mqtt.missing"),
        ("log_level", [], "mqtt.no_object"),
        ("log_level", "DEBUG", "mqtt.no_object"),
    ],
)
async def test_what_is_wrong_is_answered_and_changes_nothing(
    orders: Orders, core: Any, name: str, document: object, code: str
) -> None:
    """The answer says what would be right."""
    answer = await ask(orders, name, document)
    assert answer["code"] == code
    assert answer["message"]
    assert core.stops == {}
    assert core.store.configuration.cvl.profile == "normal"


async def test_value_that_the_checker_refuses_is_answered_in_its_words(orders: Orders, core: Any) -> None:
    """The same check as that of the API."""
    answer = await ask(orders, "log_level", {"log_level": "LOUD"})
    assert answer["success"] is False
    assert "logging.log_level" in answer["message"]
    assert core.store.configuration.logging.log_level == "INFO"


async def test_full_disk_is_told(orders: Orders, core: Any) -> None:
    """An inhibit that is in force but not saved is no success."""
    core.disk_full = True
    answer = await ask(orders, "inhibit", {"direction": "charge"})
    assert answer["code"] == "mqtt.not_saved"


async def test_thousand_commands_a_second_are_bounded(
    orders: Orders, core: Any, clock: FakeClock, counters: Counter[str]
) -> None:
    """Ten at once and one a second are carried out, one refusal a second is answered, the rest is counted."""
    answers = [await ask(orders, "inhibit", {"direction": "charge"}) for _ in range(1000)]
    assert counters["commands"] == 10
    assert counters["commands_too_many"] == 990
    assert len([each for each in answers if each is not None]) == 11
    await clock.advance(5.0)
    for _ in range(1000):
        await ask(orders, "release", {"direction": "charge"})
    assert counters["commands"] + counters["commands_refused"] <= 16


async def test_retained_commands_and_removals_are_no_wish(orders: Orders, core: Any) -> None:
    """A broker gives what it has kept to whoever connects, at any time."""
    assert (await ask(orders, "inhibit", {"direction": "discharge"}, retained=True))["code"] == "mqtt.retained_command"
    assert await orders.take("inhibit", b"", retained=False) is None
    assert core.stops == {}


async def test_who_did_it_is_in_the_event_list(orders: Orders, core: Any) -> None:
    """As for what is done in the browser."""
    await ask(orders, "inhibit", {"direction": "discharge", "duration_s": 60, "reason": "work"})
    await ask(orders, "release", {"direction": "discharge"})
    assert [(each.code, each.by) for each in core.notes] == [
        ("inhibit.discharge", "mqtt"),
        ("inhibit.discharge.released", "mqtt"),
    ]
    assert Direction.DISCHARGE not in core.stops


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), payload=st.binary(max_size=3000))
async def test_no_payload_raises_or_stops_anything(orders: Orders, core: Any, name: str, payload: bytes) -> None:
    """Whatever arrives, there is an answer or nothing, and it is JSON."""
    answer = await orders.take(name, payload, retained=False)
    json.dumps(answer)
    assert core.stops == {}
