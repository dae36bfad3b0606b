"""The overview: one object for first view and frame, in every state, in both languages, short, and without names."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.inhibits import Direction
from tinybms_bridge.battery.limits import Chemistry, LimitCode, Quantity, Reason
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.snapshot import Identity, Ratings
from tinybms_bridge.battery.state import BatteryState, PackState
from tinybms_bridge.battery.view import Last, View
from tinybms_bridge.link.state import (
    CanState,
    PackDetails,
    PartStatus,
    ServiceCondition,
    ServiceState,
    UartState,
)
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_bridge.services.web.live import Broadcaster, BroadcasterSettings, Client, ThrottleSettings, Topic
from tinybms_bridge.services.web.live.alarms import AlarmTracker
from tinybms_bridge.services.web.live.client import ClientCommand
from tinybms_bridge.services.web.live.overview import Overview, OverviewAnswer
from tinybms_bridge.words import Message, message
from tinybms_lab.testing.fake_clock import FakeClock

RATINGS = Ratings(16, 3.65, 2.8, 3.8, 2.5, 100.0, 150.0, None, 60.0, 0.0, 280.0)
MEASURED = ("voltage", "current", "soc_percent", "soh_percent", "power_w", "min_cell_mv", "time_left_s")
LONGEST = BroadcasterSettings(throttle=ThrottleSettings(burst_max=100, max_payload_bytes=1024))


@pytest.fixture
def tracker(core: Any) -> Iterator[AlarmTracker]:
    """Who has seen which alarm."""
    tracker = AlarmTracker(core.bus)
    yield tracker
    tracker.close()


@pytest.fixture
def overview(core: Any, moment: Moment, tracker: AlarmTracker) -> Overview:
    """The overview of a battery with ratings and a chemistry."""
    assert moment.view.measured is not None
    assert moment.view.limits is not None
    measured = replace(moment.view.measured, ratings=RATINGS)
    limits = replace(moment.view.limits, chemistry=Chemistry.LFP)
    view = replace(moment.view, measured=measured, limits=limits)
    core.now = replace(moment, view=view, packs={"main": replace(moment.packs["main"], measured=measured)})
    return Overview(core, tracker)


def shown(overview: Overview, language: Any = "en") -> Any:
    """Return what goes out."""
    return json.loads(overview.text(language)[0])


def age(core: Any, freshness: Freshness, *, sends: bool) -> None:
    """Let the last data be 34 s old."""
    view = core.now.view
    limits = replace(view.limits, ccl_a=0.0, freshness=freshness) if sends else None
    last = Last(view.measured, 34.0, view.limits)
    old = View(freshness, None, limits, 34.0, last)
    core.now = replace(core.now, view=old, packs={"main": replace(old, limits=None)})


def test_fresh(overview: Overview) -> None:
    """Values, limits beside what flows, packs with their cells and bounds, all from one moment."""
    found = shown(overview)

    assert found["headline"]["text"] == "Discharging with 12.5 A (679 W)"
    assert found["headline"]["code"] == "headline.discharging"
    assert (found["level"], found["freshness"], found["remark"], found["last"]) == ("warning", "FRESH", "", None)
    assert (found["voltage"], found["power_w"], found["soh_percent"]) == (54.32, -679.0, 98.5)
    assert found["energy_today"] == {"charged_wh": 4200.0, "discharged_wh": 1300.5, "fresh_s": 3600}
    assert found["limits"]["dcl"] == {
        "value": 50.0,
        "actual": 12.5,
        "unit": "A",
        "text": "the cutoff of the BMS at 150 A",
        "reasons": [
            {
                "code": "bms_current_cutoff",
                "cause": "the cutoff of the BMS at 150 A",
                "text": "the BMS cuts off at 150 A",
                "limit": 50.0,
                "binding": True,
            }
        ],
    }
    assert (found["limits"]["ccl"]["actual"], found["limits"]["cvl"]["actual"]) == (0.0, 54.321)
    assert [each["binding"] for each in found["limits"]["cvl"]["reasons"]] == [False, True]
    assert found["charge"]["state"] == "FLOAT"
    assert found["charge"]["states"][0] == "BULK"
    assert found["lowest_cell"] == {"pack": "main", "cell": 1, "cell_mv": 3415}
    pack = found["packs"]["main"]
    assert (len(pack["cells_mv"]), pack["lowest_cell"], pack["highest_cell"], pack["worst"]) == (16, 1, 16, None)
    assert pack["axis"]["over_voltage_cell_v"] == 3.8
    assert pack["axis"]["chemistry"] == "lfp"
    assert pack["uart"] == {"up": True, "reason": "", "message": None}
    output = {"kind": "can", "up": True, "gx_state": "present", "error": "", "message": None}
    assert found["outputs"] == {"can": output}
    (failed,) = found["failed_parts"]
    assert (failed["name"], failed["error"], failed["message"]["text"]) == ("mqtt", "no route", "no route")


@dataclass
class Service:
    """A service that stands as the test says."""

    name: str
    condition: ServiceCondition

    def state(self) -> ServiceState:
        """See ``WatchedService``."""
        return ServiceState(self.name, self.condition)

    async def test(self) -> Message:
        """See ``WatchedService``."""
        raise NotImplementedError


def test_a_service_in_trouble_is_told_to_every_page(overview: Overview, core: Any) -> None:
    """By name and in words; what works, starts or is off is not."""
    trouble, *others = reversed(ServiceCondition)
    core.watched = {str(each): Service(str(each), each) for each in others} | {"mqtt": Service("mqtt", trouble)}

    assert trouble is ServiceCondition.TROUBLE
    assert shown(overview)["troubled_services"] == [{"name": "mqtt", "title": "MQTT"}]


def test_a_pack_whose_cell_binds_is_the_worst(overview: Overview, core: Any) -> None:
    """The reader finds which pack it is, and what about it."""
    cell = Reason(Quantity.CCL, LimitCode.CELL_VOLTAGE, 5.0, 3.52, 0.1, cell=7)
    limits = replace(core.now.view.limits, reasons=(*core.now.view.limits.reasons, cell))
    core.now = replace(core.now, view=replace(core.now.view, limits=limits))

    worst = shown(overview)["packs"]["main"]["worst"]
    assert worst == {"limit": "ccl", "code": "cell_voltage", "text": "cell 7 at 3.52 V"}


def test_hold_keeps_the_limits_and_nothing_measured(overview: Overview, core: Any) -> None:
    """Design: limits as sent, measured values null, the last ones beside them."""
    age(core, Freshness.HOLD, sends=True)
    found = shown(overview)

    assert {found[name] for name in MEASURED} == {None}
    assert (found["limits"]["ccl"]["value"], found["limits"]["ccl"]["actual"]) == (0.0, None)
    assert found["limits"]["dcl"]["value"] == 50.0
    assert (found["last"]["voltage"], found["packs"]["main"]["last"]["cells_mv"][0]) == (54.32, 3415)
    assert found["cells_mv"] == found["packs"]["main"]["cells_mv"] == []
    assert found["headline"]["text"].startswith("Charging is stopped because no good data has come")
    assert (found["level"], found["lowest_cell"], found["until_empty_s"]) == ("warning", None, None)
    assert found["packs"]["main"]["axis"] is not None


def test_silent_has_no_limits(overview: Overview, core: Any) -> None:
    """Nothing that is not in force is shown as in force."""
    age(core, Freshness.SILENT, sends=False)
    found = shown(overview)

    assert [found["limits"][name]["value"] for name in ("cvl", "ccl", "dcl")] == [None] * 3
    assert [found["limits"][name]["reasons"] for name in ("cvl", "ccl", "dcl")] == [[]] * 3
    assert (found["charge"]["state"], found["charge"]["discharge_voltage_v"]) == (None, None)
    assert (found["last"]["voltage"], found["level"]) == (54.32, "alarm")
    assert found["headline"]["text"] == "Nothing is sent; the GX has lost the BMS"


def test_a_core_that_is_away(overview: Overview, core: Any) -> None:
    """Nobody knows: said first, and no colour claims to know."""
    age(core, Freshness.SILENT, sends=False)
    core.heard = Hearing(connected=False, since_s=90.0)
    found = shown(overview)

    assert found["core"] == {"connected": False, "since_s": 90.0}
    assert found["headline"]["text"].startswith("The core has not answered for 90 s")
    assert found["level"] == "unknown"


def test_before_the_first_sample(overview: Overview, core: Any) -> None:
    """Null everywhere, and what is waited for."""
    core.now = Moment.of(BatteryState(), core.clock)
    core.uart_figures = UartState(reason="no serial port found")
    core.history.energy_of_today = None
    found = shown(overview)

    assert {found[name] for name in MEASURED} == {None}
    assert (found["energy_today"], found["level"], found["packs"]["main"]["axis"]) == (None, "unknown", None)
    assert found["headline"]["text"] == "Starting: no serial port found; nothing is sent yet"


async def test_french(overview: Overview, core: Any, clock: FakeClock) -> None:
    """Every sentence; codes and numbers are the same."""
    found, english = shown(overview, "fr"), shown(overview)

    assert found["headline"]["text"] == "Décharge à 12,5 A (679 W)"
    assert found["limits"]["dcl"]["text"] == "la coupure du BMS à 150 A"
    assert found["limits"]["dcl"]["reasons"][0]["text"] == "le BMS coupe à 150 A"
    assert found["alarms"][0]["text"] != english["alarms"][0]["text"]
    assert found["headline"]["parameters"] == english["headline"]["parameters"]
    age(core, Freshness.SILENT, sends=False)
    await clock.advance(1.0)
    assert shown(overview, "fr")["remark"] == "rien n'est envoyé ; le GX a perdu le BMS"


def test_why_line_output_and_part_are_down_is_told_in_the_language(overview: Overview, core: Any) -> None:
    """No English within a French page; the old texts stay English, and words without a code stay as they are."""
    gone = message("link_error", reason=message("serial.missing", port="/dev/ttyUSB0"), hint=message("serial.no_ports"))
    lost = message("can.lost", reason=message("system.enodev"), advice=message("usb.gone"))
    core.uart_figures = UartState(reason=gone.text, message=gone)
    core.can_figures = CanState(error=lost.text, message=lost)
    core.parts = lambda: [PartStatus("mqtt", "failed", "no route"), PartStatus("web", "failed", message=gone)]
    found, english = shown(overview, "fr"), shown(overview)
    line, output = found["packs"]["main"]["uart"], found["outputs"]["can"]

    assert (line["reason"], line["message"]["code"]) == (gone.text, "link_error")
    assert line["message"]["text"] == (
        "le port série /dev/ttyUSB0 n'existe pas (aucun port série trouvé ; l'adaptateur est-il branché ?)"
    )
    assert output["error"] == lost.text
    assert output["message"]["text"].startswith("perdu : aucun périphérique de ce type (l'adaptateur est parti")
    assert [each["message"]["text"] for each in found["failed_parts"]] == ["no route", line["message"]["text"]]
    assert english["packs"]["main"]["uart"]["message"]["text"] == gone.text
    core.now = Moment.of(BatteryState(), core.clock)
    told = str(overview.document("fr")["headline"])
    assert "Démarrage : le port série /dev/ttyUSB0 n'existe pas" in told


def test_nothing_is_told_of_a_line_that_is_up(overview: Overview) -> None:
    """A message is there only while there is something to tell."""
    found = shown(overview, "fr")

    assert (found["packs"]["main"]["uart"]["message"], found["outputs"]["can"]["message"]) == (None, None)


async def test_no_name_of_a_user(overview: Overview, core: Any, tracker: AlarmTracker) -> None:
    """One message goes to everybody, logged in or not."""
    await core.inhibit(Direction.CHARGE, 60.0, "winter", "skipper")
    tracker.active(core.now, core.clock.wall())
    tracker.acknowledge("high_voltage", "skipper")
    text, _ = overview.text()
    found = json.loads(text)

    assert "skipper" not in text
    assert (found["alarms"][0]["acknowledged_by"], found["unacknowledged"]) == ("somebody", 0)
    assert found["inhibits"][0]["direction"] == "charge"
    assert (found["inhibits"][0]["reason"], found["inhibits"][0]["by"]) == ("winter", "somebody")


async def test_time_left_follows_from_a_steady_minute(overview: Overview, core: Any) -> None:
    """Never from one reading: the first looks tell none."""
    measured = core.now.view.measured
    for second in range(0, 62, 2):
        each = replace(measured, sequence=second + 1, taken_at_s=float(second))
        core.now = replace(core.now, view=replace(core.now.view, measured=each))
        overview.look()
        if second == 10:
            assert overview.document()["until_empty_s"] is None
    found = overview.document()

    assert found["until_full_s"] is None
    assert found["until_empty_s"] == pytest.approx(0.87345 * 280.0 / 12.5 * 3600.0)
    assert "; empty in about 20 h" in str(found["headline"])


def sixteen(core: Any, *, silent: str = "") -> None:
    """Let there be sixteen packs of sixteen cells, each alarm and notice, and one that does not answer."""
    live = core.now.packs["main"]
    gone = View(Freshness.SILENT, age_s=70.0, last=Last(live.measured, 70.0))
    names = [f"pack {number:02}" for number in range(1, 17)]
    states = {name: PackState(live.measured, Identity(serial_number=f"{name[-2:]:0>24}")) for name in names}
    details: Mapping[str, PackDetails] = {
        name: PackDetails(UartState(reason="no answer within 300 ms") if name == silent else UartState(up=True))
        for name in names
    }
    battery = replace(core.now.battery, packs=states)
    core.now = replace(core.now, battery=battery, packs={name: gone if name == silent else live for name in names})
    core.packs = lambda: details


def alarmed(core: Any) -> None:
    """Let every alarm be there."""
    battery = replace(
        core.now.battery,
        alarms=Alarms(dict.fromkeys(AlarmName, AlarmLevel.ALARM)),
        notices=Notices(dict.fromkeys(NoticeName, AlarmLevel.WARNING)),
    )
    core.now = replace(core.now, battery=battery)


def test_sixteen_packs_with_one_silent(overview: Overview, core: Any) -> None:
    """The silent one has null and its last values; the extremes are of those that answer."""
    sixteen(core, silent="pack 01")
    found = shown(overview)

    gone = found["packs"]["pack 01"]
    assert (gone["voltage"], gone["cells_mv"], gone["uart"]["reason"]) == (None, [], "no answer within 300 ms")
    assert gone["last"]["cells_mv"][0] == 3415
    assert found["packs"]["pack 02"]["voltage"] == 54.32
    assert found["packs"]["pack 16"]["serial_number"].endswith("16")
    assert found["lowest_cell"]["pack"] == "pack 02"


def test_it_is_short(overview: Overview, core: Any) -> None:
    """What goes out each second over a bad link: 6 KB with one pack, 25 KB with sixteen."""
    assert len(overview.text()[0].encode()) <= 6_000
    sixteen(core, silent="pack 05")
    assert len(overview.text("fr")[0].encode()) <= 25_000


@pytest.mark.parametrize("situation", ["fresh", "alarms", "hold", "silent", "nothing", "sixteen"])
async def test_the_object_is_what_its_schema_says(overview: Overview, core: Any, situation: str) -> None:
    """It is made without the classes, so they are held against it: same names, same values."""
    await core.inhibit(Direction.DISCHARGE, None, "", "boss")
    changes: dict[str, Callable[[], object]] = {
        "fresh": lambda: None,
        "alarms": lambda: alarmed(core),
        "hold": lambda: age(core, Freshness.HOLD, sends=True),
        "silent": lambda: age(core, Freshness.SILENT, sends=False),
        "nothing": lambda: setattr(core, "now", Moment.of(BatteryState(), core.clock)),
        "sixteen": lambda: sixteen(core, silent="pack 03"),
    }
    changes[situation]()
    document = overview.document() | {
        "core": core.hearing(),
        "energy_today": core.history.today(),
        "inhibits": [replace(each, by="somebody") for each in core.inhibits()],
    }

    assert json.loads(OverviewAnswer.model_validate(document).model_dump_json()) == shown(overview)


# The route and the topic.


async def test_the_route_answers_the_same(visitor: httpx.AsyncClient, core: Any) -> None:
    """In the language that is asked for; another one is refused."""
    answer = await visitor.get("/api/overview", params={"lang": "fr"})

    assert answer.status_code == 200
    assert answer.json()["headline"]["text"] == "Décharge à 12,5 A (679 W)"
    assert (await visitor.get("/api/overview")).json()["headline"]["text"].startswith("Discharging")
    assert (await visitor.get("/api/overview", params={"lang": "de"})).status_code == 422


async def taken(client: Client) -> Any:
    """Take the message that waits."""
    async with asyncio.timeout(10.0):
        text = await client.next()
    assert text is not None
    return json.loads(text)


def follower(broadcaster: Broadcaster, language: Any = None, interval_ms: int | None = None) -> Client:
    """Return a client that follows the overview."""
    client = broadcaster.join()
    assert client is not None
    topics = frozenset({Topic.OVERVIEW})
    broadcaster.obey(client, ClientCommand(topics, interval_ms=interval_ms, language=language))
    return client


async def test_once_for_all_clients_of_a_language(overview: Overview, core: Any, clock: FakeClock) -> None:
    """Two languages are two encodings; the longest flat message that is allowed does not suppress it."""
    broadcaster = Broadcaster(core, lambda: LONGEST, overview)
    clients = [follower(broadcaster, language) for language in (None, "en", "fr", "fr")]
    await clock.advance(0.0)
    texts = [await taken(client) for client in clients]
    before = broadcaster.totals().encoded
    await clock.advance(1.0)
    later = [await client.next() for client in clients]

    assert [each["topic"] for each in texts] == ["overview"] * 4
    assert [each["headline"]["text"][:2] for each in texts] == ["Di", "Di", "Dé", "Dé"]
    assert (later[0] is later[1], later[2] is later[3], later[0] == later[2]) == (True, True, False)
    assert broadcaster.totals().encoded == before + 2
    for client in clients:
        broadcaster.leave(client)


async def test_not_more_than_once_a_second(overview: Overview, core: Any, clock: FakeClock) -> None:
    """A client that is faster gets each one once; one that changes its language gets it at once."""
    broadcaster = Broadcaster(core, lambda: LONGEST, overview)
    client = follower(broadcaster, interval_ms=100)
    await clock.advance(0.1)
    first = await taken(client)
    moments = core.moments_taken
    for _ in range(5):
        await clock.advance(0.1)
    waits = client.waits_with(Topic.OVERVIEW)
    broadcaster.obey(client, ClientCommand(language="fr"))
    await clock.advance(0.1)
    french = await taken(client)

    assert (waits, core.moments_taken) == (False, moments + 1)
    assert first["headline"]["text"] != french["headline"]["text"]
    broadcaster.leave(client)


async def test_nobody_follows_and_nothing_is_made(overview: Overview, core: Any, clock: FakeClock) -> None:
    """Clients of other topics cost no overview."""
    broadcaster = Broadcaster(core, lambda: LONGEST, overview)
    client = broadcaster.join()
    assert client is not None
    await clock.advance(3.0)

    assert overview.text()[1] == 1, "the first one"
    broadcaster.leave(client)


def test_times_are_of_the_moment(overview: Overview, core: Any) -> None:
    """``at`` is when the values were taken from the state, in UTC."""
    assert datetime.fromisoformat(shown(overview)["at"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert core.moments_taken == 1
