"""Several simulated BMS as one battery."""

import asyncio
from collections.abc import Callable

import pytest

from tinybms_lab.bms.bank import CABLE_OHM, BankUnit, BatteryBank, pack_names, unequal_units
from tinybms_lab.bms.device import BmsOptions, SimulatedBms
from tinybms_lab.bms.environment import CurrentProfile, Segment, parse_profile
from tinybms_lab.testing.fake_clock import FakeClock

_LOOK_S = 0.25
_OFFERED_A = 5.0
"""A switch that closes between two looks lets in what was offered."""


def currents_a(bank: BatteryBank) -> dict[str, float]:
    """Return what flows through each pack now."""
    return {name: unit.bms._settled().pack.current_a for name, unit in bank.units.items()}


@pytest.fixture
def bank(clock: FakeClock) -> BatteryBank:
    """Four unequal packs of 100 Ah, as the demonstration has them."""
    return BatteryBank(unequal_units(clock, 4))


@pytest.fixture
def drive(bank: BatteryBank, pass_time: Callable[[float], None]) -> Callable[[float, float], None]:
    """Let a current flow through the battery for some seconds, with a look at the network four times a second."""

    def run(total_a: float, seconds: float) -> None:
        for _ in range(round(seconds / _LOOK_S)):
            bank.set_current_a(total_a)
            pass_time(_LOOK_S)

    return run


def test_a_charge_begins_although_every_charger_switch_is_open(
    bank: BatteryBank, drive: Callable[[float, float], None]
) -> None:
    """A TinyBMS closes its charger switch when it has found a charger: each pack has to be offered some current."""
    assert not any(unit.bms.switches.charger for unit in bank.units.values())

    drive(80.0, 60.0)

    assert all(unit.bms.switches.charger for unit in bank.units.values())
    assert sum(currents_a(bank).values()) == pytest.approx(80.0, abs=1e-6)
    assert currents_a(bank)["c"] < currents_a(bank)["b"]  # fuller, smaller and worn


def test_a_load_is_shared(bank: BatteryBank, drive: Callable[[float, float], None]) -> None:
    """By all, the fullest of good cells most of it."""
    drive(-120.0, 30.0)
    shares_a = currents_a(bank)

    assert sum(shares_a.values()) == pytest.approx(-120.0, abs=1e-6)
    assert all(share_a < 0.0 for share_a in shares_a.values())


def test_a_pulled_pack_carries_nothing_and_the_others_all(
    bank: BatteryBank, drive: Callable[[float, float], None]
) -> None:
    """At once, not with the next look; put back it carries its part again."""
    drive(-120.0, 30.0)
    bank.pull("b")
    drive(-120.0, 1.0)

    assert currents_a(bank)["b"] == 0.0
    assert sum(currents_a(bank).values()) == pytest.approx(-120.0, abs=1e-6)

    bank.plug("b")
    drive(-120.0, 1.0)

    assert currents_a(bank)["b"] < -5.0


def test_without_a_pack_there_is_no_voltage(bank: BatteryBank) -> None:
    """A GX then stops everything."""
    for name in bank.units:
        bank.pull(name)

    assert bank.voltage_v == 0.0


def test_a_pack_that_joins_empty_takes_what_no_charger_gives(
    clock: FakeClock, pass_time: Callable[[float], None]
) -> None:
    """The current between the packs flows while the battery as a whole rests."""
    units = {
        name: BankUnit(SimulatedBms.build(clock, soc=soc), 100.0) for name, soc in (("full", 0.8), ("empty", 0.12))
    }
    bank = BatteryBank(units)
    for _ in range(40):
        bank.set_current_a(0.0)
        pass_time(_LOOK_S)
    shares_a = currents_a(bank)

    assert shares_a["empty"] > 30.0
    assert shares_a["full"] == pytest.approx(-shares_a["empty"])


def test_a_pack_gives_nothing_that_no_other_takes(clock: FakeClock, pass_time: Callable[[float], None]) -> None:
    """What a BMS is offered behind its open switch is no current, and the others do not give it."""
    units = {
        name: BankUnit(SimulatedBms.build(clock, soc=soc), 100.0) for name, soc in (("full", 0.8), ("empty", 0.02))
    }
    bank = BatteryBank(units)
    most_a = []
    for _ in range(80):
        bank.set_current_a(0.0)
        pass_time(_LOOK_S)
        shares_a = currents_a(bank)
        assert sum(shares_a.values()) == pytest.approx(0.0, abs=_OFFERED_A)
        most_a.append(-shares_a["full"] if not shares_a["empty"] else 0.0)

    assert any(event.name == "CHARGE_OVER_CURRENT" for _, event in units["empty"].bms.history)
    assert max(most_a) <= _OFFERED_A


def test_every_unit_has_a_serial_number_of_its_own(clock: FakeClock) -> None:
    """The first one that of a simulated BMS alone; names follow the alphabet."""
    units = unequal_units(clock, 16)
    serials = [unit.bms.options.serial for unit in units.values()]

    assert len(set(serials)) == 16
    assert serials[0] == BmsOptions().serial
    assert tuple(units) == pack_names(16)
    assert {unit.cable_ohm for unit in units.values()} == {CABLE_OHM}


@pytest.mark.parametrize("count", [0, 17])
def test_a_battery_has_one_to_sixteen_packs(clock: FakeClock, count: int) -> None:
    """As many as a bridge takes."""
    with pytest.raises(ValueError, match="1 to 16 packs"):
        unequal_units(clock, count)


async def test_a_profile_is_that_of_the_battery(clock: FakeClock) -> None:
    """Amperes and watts of all packs together."""
    units = {name: BankUnit(SimulatedBms.build(clock, soc=0.6), 100.0) for name in pack_names(2)}
    bank = BatteryBank(units)
    driving = asyncio.create_task(bank.drive(CurrentProfile([Segment(60.0, -3200.0, is_power=True)]), clock))
    await clock.advance(5.0)
    driving.cancel()

    assert bank.voltage_v * sum(currents_a(bank).values()) == pytest.approx(-3200.0, rel=0.01)
    assert parse_profile("cycle").at(0.0)[0].value < 0.0


async def test_fast_packs_do_not_swing(clock: FakeClock) -> None:
    """Near full, six hundred times as fast as real, currents between packs fade and do not grow."""
    options = BmsOptions(speed=600.0)
    units = unequal_units(clock, 4, soc=0.95, options=options)
    bank = BatteryBank(units, ahead_s=_LOOK_S * 600.0)
    for _ in range(60):
        bank.set_current_a(0.0)
        await clock.advance(_LOOK_S)

    assert max(abs(share_a) for share_a in currents_a(bank).values()) < 3.0
