import asyncio
from collections.abc import Callable, Sequence

import pytest

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import Anchors, BalancingMemory, Evidence, Memory, ResistanceMemory, SocMemory
from tinybms_bridge.battery.limits.evidence_memory import UNLEARNED_S
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.saved_units import SavedUnits, unit_key
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.doctor import bms as doctor_bms
from tinybms_bridge.doctor.bms import BmsExamination
from tinybms_bridge.doctor.findings import Finding, Verdict
from tinybms_bridge.hal.serial import OnData, OnLost, SerialPort
from tinybms_bridge.tinybms.client import TinyBmsClient
from tinybms_bridge.tinybms.settings import BmsSettings
from tinybms_lab.bms import Dump, DumpDevice, Responder, real_dump
from tinybms_lab.testing.virtual_time import LoopClock

Unit = Callable[..., "Odd"]

pytestmark = pytest.mark.virtual_time


class Odd(DumpDevice):
    """The captured unit, which refuses or swallows what it is told to."""

    refused: Sequence[int] = ()
    mute_after: int | None = None
    heard = 0

    def read(self, address: int, count: int) -> tuple[int, ...] | None:
        return None if address in self.refused else super().read(address, count)

    def hear(self) -> bool:
        self.heard += 1
        return self.mute_after is None or self.heard <= self.mute_after


@pytest.fixture
def unit() -> Unit:
    """Return a maker of units with some registers changed (``r50=...``)."""
    registers = real_dump().registers

    def make(**changes: int) -> Odd:
        changed = {int(name[1:]): value for name, value in changes.items()}
        return Odd(Dump({}, {**registers, **changed}), LoopClock())

    return make


class Wire:
    """A serial port whose other end is a unit."""

    def __init__(self, device: Odd) -> None:
        self._responder = Responder(device, LoopClock())
        self._on_data: OnData | None = None

    async def open(self, on_data: OnData, _on_lost: OnLost) -> SerialPort:
        self._on_data = on_data
        return self

    def write(self, data: bytes) -> None:
        for reply in self._responder.feed(data):
            asyncio.get_running_loop().call_soon(self._deliver, reply.data)

    def expect(self, count: int) -> None:
        pass

    async def close(self) -> None:
        self._on_data = None

    def _deliver(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)


async def examine(device: Odd, saved: SavedUnits | None = None) -> list[Finding]:
    """Return every finding on a unit; ``saved`` is what the bridge knows of it."""
    client = TinyBmsClient(Wire(device).open, LoopClock())
    await client.connect()
    read_settings = BmsSettings(client, LoopClock()).read
    examination = BmsExamination(client, read_settings, Configuration(), LoopClock(), saved=saved or SavedUnits())
    found = [finding async for finding in examination.findings()]
    await client.close()
    return found


def by_check(findings: list[Finding]) -> dict[str, tuple[Verdict, str]]:
    """Return the last finding of each check."""
    return {finding.check: (finding.verdict, finding.text) for finding in findings}


async def test_a_healthy_unit_passes_every_check(unit: Unit) -> None:
    """The captured unit: 14 cells at rest, firmware 2.3.242; its four events are history."""
    found = await examine(unit())
    checks = ("link", "identity", "settings", "advice", "polling", "plausibility", "state", "events", "history")
    assert list(dict.fromkeys(finding.check for finding in found)) == list(checks)
    assert {finding.verdict for finding in found} == {Verdict.OK}
    texts = {check: text for check, (_, text) in by_check(found).items()}
    assert "firmware 2.3.242" in texts["identity"]
    assert texts["settings"].startswith("14 cells of 66 Ah")
    assert texts["polling"].startswith("20 reads took")
    assert texts["state"].startswith("idle: 55.78 V")
    assert texts["events"] == "4 in the log, none open"


async def test_what_the_bridge_counted_is_told(unit: Unit) -> None:
    """Its state of charge beside that of the BMS, with what it has learned."""
    counted = SavedState(memory=Memory(soc=SocMemory(71.0, 12.5, anchors=Anchors(drift_a=-0.1))))
    identity = by_check(await examine(unit()))["identity"][1]
    key = unit_key(identity.rpartition("serial number ")[2].partition(";")[0])
    found = by_check(await examine(unit(), SavedUnits({key: counted}, current=key)))
    assert found["count"][0] is Verdict.OK
    assert found["count"][1].startswith("the bridge counted 71.0 %, the BMS 12.5 % when it last ran; the current is")


async def test_what_use_has_shown_of_the_battery_is_told(unit: Unit) -> None:
    """A wrong register 306 with its command, weak cells as a warning, and how a resistance is taught as advice."""
    shown = Evidence(flowing_s=UNLEARNED_S, capacity_ah=40.0, cells=(*(1.0,) * 13, 0.7))
    identity = by_check(await examine(unit()))["identity"][1]
    key = unit_key(identity.rpartition("serial number ")[2].partition(";")[0])
    found = await examine(unit(), SavedUnits({key: SavedState(memory=Memory(evidence=shown))}, current=key))
    told = [(each.verdict, each.text) for each in found if each.check == "battery"]
    (capacity,) = [each for each in found if each.check == "advice" and "register 306" in each.text]
    assert (capacity.verdict, capacity.advice) == (
        Verdict.WARNING,
        "tinybms-bridge settings set battery_capacity_ah=40",
    )
    assert [verdict for verdict, _ in told] == [Verdict.OK, Verdict.WARNING]
    assert told[0][1].startswith("the resistance of the cells is not learned: in 100 h")
    assert told[1][1].startswith("cell 14 holds about 30 % less")
    learned = SavedState.of(EnergyTotals(), Memory(evidence=shown, resistance=ResistanceMemory((1.0,) * 13 + (2.5,))))
    found = await examine(unit(), SavedUnits({key: learned}, current=key))
    texts = [each.text for each in found if each.check == "battery"]
    assert [text.partition(" the ")[0] for text in texts] == [
        "cell 14 holds about 30 % less than",
        "cell 14 has 2.5 times",
    ]


async def test_what_the_bridge_knows_of_the_balance_is_told(unit: Unit) -> None:
    """How far the cells were apart when it saw them near full last, by the serial number of the unit."""
    apart = SavedState(memory=Memory(balancing=BalancingMemory(spread_ah=3.3, work_ah=3.0)))
    identity = by_check(await examine(unit()))["identity"][1]
    key = unit_key(identity.rpartition("serial number ")[2].partition(";")[0])
    found = by_check(await examine(unit(), SavedUnits({key: apart}, current=key)))
    other = by_check(await examine(unit(), SavedUnits({"0123": apart}, current="0123")))
    assert found["balancing"] == (Verdict.OK, "cells are 3.3 Ah (5.0 %) apart")
    assert "balancing" not in other


async def test_a_fault_shows_in_state_and_events(unit: Unit) -> None:
    """Both name it, the events with the cause."""
    found = by_check(await examine(unit(r50=0x9B, r208=30000, r209=0x03B9)))
    assert found["state"][0] is Verdict.PROBLEM
    assert found["events"] == (
        Verdict.PROBLEM,
        "open: Cell over-voltage: a cell is above the cutoff, charging is off",
    )


async def test_an_open_sense_wire_is_implausible(unit: Unit) -> None:
    """A cell of 0 V."""
    verdict, text = by_check(await examine(unit(r5=0)))["plausibility"]
    assert verdict is Verdict.PROBLEM
    assert "cell 4" in text


async def test_settings_without_sense_stop_the_judgement_of_samples(unit: Unit) -> None:
    """With a wrong number of cells every sample would look wrong; the cause is named instead."""
    found = by_check(await examine(unit(r307=99)))
    assert found["settings"][0] is Verdict.PROBLEM
    assert "99 series cells" in found["settings"][1]
    assert "plausibility" not in found


async def test_a_refused_check_is_a_problem_and_the_others_go_on(unit: Unit) -> None:
    """Each check stands alone."""
    device = unit()
    device.refused = (300,)
    found = by_check(await examine(device))
    assert found["settings"][0] is Verdict.PROBLEM
    assert "refused command 0x03" in found["settings"][1]
    assert found["history"][0] is Verdict.OK


async def test_a_unit_that_cannot_be_polled_has_no_state(unit: Unit) -> None:
    """Nothing is made up where nothing was read."""
    device = unit()
    device.refused = (0,)
    found = by_check(await examine(device))
    assert found["polling"][0] is Verdict.PROBLEM
    assert "state" not in found
    assert found["events"][0] is Verdict.OK


async def test_a_link_that_breaks_is_told_for_each_check(unit: Unit) -> None:
    """A loose plug: the examination ends all the same."""
    device = unit()
    device.mute_after = 3
    found = await examine(device)
    assert found[0].verdict is Verdict.OK
    assert found[-1].verdict is Verdict.PROBLEM
    assert "did not answer" in found[-1].text


async def test_a_silent_line_is_the_only_finding(unit: Unit) -> None:
    """Without a link there is nothing else to say."""
    device = unit()
    device.mute_after = 0
    (finding,) = await examine(device)
    assert (finding.check, finding.verdict) == ("link", Verdict.PROBLEM)
    assert "nothing is received" in finding.text


async def test_a_unit_that_refuses_its_status_is_there(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is an answer."""
    from tinybms_bridge.errors import DeviceRefused

    async def refuse(_: object) -> None:
        raise DeviceRefused(0x18, 0)

    monkeypatch.setattr(doctor_bms, "ask", refuse)
    found = await examine(unit())
    assert (found[0].check, found[0].verdict) == ("link", Verdict.OK)
    assert "refused" in found[0].text
    assert found[1].check == "identity"
