"""What is to be published now: states, alarms, events, registers and single values, each when its time has come."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.config.models.mqtt import Mqtt
from tinybms_bridge.services.mqtt import documents
from tinybms_bridge.services.mqtt.announced import Announced
from tinybms_bridge.services.mqtt.firmware import firmware_documents
from tinybms_bridge.services.ports import Core, Moment

__all__ = ["EVENTS", "Publication", "Publications"]

EVENTS = "events"
"""Topic of the event list, below the root."""

_REGISTERS_S = 10.0
"""Registers are for who looks closer; ten times the traffic would tell nobody more."""
_STATUS_S = 60.0
"""How often the bridge says again that it is there: so another one under the same root is noticed."""
_RESET_AFTER_S = 600.0
"""A counter of energy that stays lower for so long was reset; before, it counts as unknown."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One message on its way."""

    topic: str
    payload: bytes
    retain: bool = False
    kept: bool = False
    """Whether it is worth to be sent later."""


class Publications:
    """Makes the messages of one bridge, with the memory that this takes.

    Args:
        core: The bridge.
        config: What is wanted.

    """

    def __init__(self, core: Core, config: Mqtt) -> None:
        self.sealer = documents.Sealer()
        """Boot and number of each message."""
        self.announced = Announced()
        """What is remembered over starts; set before the first message."""
        self._core = core
        self._clock = core.clock
        self._config = config
        self._root = config.root_topic
        self._values: dict[str, str] = {}
        self._documents: list[tuple[str, dict[str, object]]] = []
        self._alarms: object = None
        self._registers_s = float("-inf")
        self._status_s = float("-inf")
        self._lower_since_s: float | None = None

    def begin_anew(self) -> None:
        """Begin with another broker, which knows nothing yet."""
        self._values.clear()
        self._alarms = None
        self._registers_s = float("-inf")
        self._status_s = self._clock.monotonic()

    def status(self, state: str) -> Publication:
        """Return the message that the bridge is there, ``online``, or not, ``offline``."""
        payload = self.sealer.seal({"state": state}, self._clock.wall())
        return Publication(f"{self._root}/status", payload, retain=True)

    def states(self) -> Iterator[Publication]:
        """Yield what is to be known of battery and packs, alarms that have changed, and new events."""
        core, moment = self._core, self._core.moment()
        self._documents = list(self._made(moment))
        for topic, document in self._documents:
            yield self._sealed(f"{topic}/state", document, moment, retain=True, kept=True)
        active = dict(moment.active())
        if active != self._alarms:
            self._alarms = active
            document = documents.alarms_document(moment, self._config.home_assistant.language)
            yield self._sealed("battery/alarms", document, moment, retain=True, kept=True)
        records = core.events()
        if records:
            yield from self._events(moment)

    def details(self) -> Iterator[Publication]:
        """Yield what only a broker that is there is told, of the states that ``states`` gave last."""
        moment, retain = self._core.moment(), self._config.retain_by_default
        if self._config.value_topics:
            for prefix, document in self._documents:
                for name, text in documents.values_of(document):
                    topic = f"{self._root}/{prefix}/{name}"
                    if self._values.get(topic) != text:
                        self._values[topic] = text
                        yield Publication(topic, text.encode(), retain)
        if self._config.firmware_topics:
            for suffix, document in firmware_documents(moment):
                yield self._sealed(suffix, document, moment, retain=retain)
        now_s = self._clock.monotonic()
        if now_s - self._status_s >= _STATUS_S:
            self._status_s = now_s
            yield self.status("online")
        if now_s - self._registers_s >= _REGISTERS_S:
            self._registers_s = now_s
            for name in self._core.packs():
                document = documents.registers_document(name, moment)
                yield self._sealed(f"packs/{name}/registers", document, moment, retain=True)

    def _made(self, moment: Moment) -> Iterator[tuple[str, dict[str, object]]]:
        yield "battery", documents.battery_document(self._core, moment, self._energy_kwh(moment))
        for name in self._core.packs():
            yield f"packs/{name}", documents.pack_document(name, moment)

    def _events(self, moment: Moment) -> Iterator[Publication]:
        """Yield each entry of the event list once; of those before the first start of all only the latest."""
        records, last = self._core.events(), self.announced.last_event
        if last == 0 or records[-1].number < last:  # the list is new
            last = records[-1].number - 1
        for record in (each for each in records if each.number > last):
            document = documents.event_document(record, self._config.home_assistant.language)
            yield self._sealed(EVENTS, document, moment, kept=True)
        self.announced = replace(self.announced, last_event=records[-1].number)

    def _energy_kwh(self, moment: Moment) -> tuple[float | None, float | None]:
        """Return what was charged and discharged of what is on the disk: it never falls but by a real reset."""
        totals = moment.battery.saved_energy
        if totals == EnergyTotals():
            return None, None
        charged_kwh, discharged_kwh = totals.charged_wh / 1000.0, totals.discharged_wh / 1000.0
        now_s, before = self._clock.monotonic(), self.announced
        if charged_kwh < before.charged_kwh or discharged_kwh < before.discharged_kwh:
            if self._lower_since_s is None:
                self._lower_since_s = now_s
            if now_s - self._lower_since_s < _RESET_AFTER_S:
                return None, None
        self._lower_since_s = None
        self.announced = replace(before, charged_kwh=charged_kwh, discharged_kwh=discharged_kwh)
        return charged_kwh, discharged_kwh

    def _sealed(
        self, below: str, document: Mapping[str, object], moment: Moment, *, retain: bool = False, kept: bool = False
    ) -> Publication:
        return Publication(f"{self._root}/{below}", self.sealer.seal(document, moment.at), retain, kept)
