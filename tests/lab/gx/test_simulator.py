"""The simulated GX: what it sends, and that it obeys the limits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.hal.can import CanFrame
from tinybms_bridge.victron.can.codec import FrameSettings, burst_ids, encode_together
from tinybms_bridge.victron.can.gx import IDENTIFICATION, GxPresence, GxState
from tinybms_bridge.victron.can.transmitter import Transmitter
from tinybms_lab.gx.devices import INVERTER_EFFICIENCY
from tinybms_lab.gx.dvcc import SystemPlan
from tinybms_lab.gx.simulator import GxMode, GxPlan, GxSimulator
from tinybms_lab.testing.can_memory import MemoryCanBus
from tinybms_lab.testing.fake_clock import FakeClock

Advance = Callable[[float], Awaitable[None]]


class Battery:
    """A battery of constant rest voltage with a resistance."""

    def __init__(self, rest_v: float = 52.8, resistance_ohm: float = 0.02) -> None:
        self.rest_v = rest_v
        self.resistance_ohm = resistance_ohm
        self.current_a = 0.0
        self.voltages: list[float] = []

    @property
    def voltage_v(self) -> float:
        """See ``BatteryTerminals``."""
        return self.rest_v + self.current_a * self.resistance_ohm

    def set_current_a(self, current_a: float) -> None:
        """See ``BatteryTerminals``."""
        self.current_a = current_a
        self.voltages.append(self.voltage_v)


class House:
    """A bus with a sending battery on one side and the GX on the other."""

    def __init__(
        self, state: BatteryState | None, solar_w: float, load_w: float, system: SystemPlan | None = None
    ) -> None:
        self.clock = FakeClock()
        self.bus = MemoryCanBus()
        self.state = state
        self.solar_w, self.load_w = solar_w, load_w
        self.battery = Battery()
        self.port = self.bus.open()
        self.transmitter = Transmitter(self.port, self.clock, self)
        plan = GxPlan(lambda _: self.solar_w, lambda _: self.load_w, system or SystemPlan(island=False))
        self.gx = GxSimulator(self.bus.open(), self.clock, self.battery, plan)

    def may_send(self) -> bool:
        """See ``FrameSource``."""
        return self.state is not None

    def burst_ids(self) -> tuple[int, ...]:
        """See ``FrameSource``."""
        return burst_ids(self.state, FrameSettings()) if self.state else ()

    def make_frames(self, identifier: int, waiting: Collection[int]) -> tuple[CanFrame, ...] | None:
        """See ``FrameSource``: what the battery tells now."""
        return encode_together(identifier, waiting, self.state, FrameSettings()) if self.state else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Advance]:
        """Run both sides; gives the function that lets time pass."""
        tasks = [asyncio.create_task(part.run()) for part in (self.transmitter, self.gx)]
        try:
            yield self.clock.advance
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def house(make_state: Any) -> House:
    """Return a house with 3 kW of sun and 500 W of loads."""
    return House(make_state(cvl_v=56.0, ccl_a=100.0, dcl_a=100.0), solar_w=3000.0, load_w=500.0)


async def test_gx_announces_itself_each_second(house: House) -> None:
    """0x305 and 0x307 go out once a second, with the payloads of the protocol."""
    async with house.running() as advance:
        await advance(9.9)
    sent = [frame for frame in house.bus.frames if frame.arbitration_id in (0x305, 0x307)]
    assert sent == [CanFrame(0x305, bytes(8)), CanFrame(0x307, IDENTIFICATION)] * 10


async def test_bridge_sees_the_simulated_gx(house: House) -> None:
    """The presence detector takes it for a GX."""
    presence = GxPresence(house.clock)

    def on_frame(frame: CanFrame) -> None:
        presence.on_frame(frame)

    house.port.subscribe(on_frame)
    async with house.running() as advance:
        await advance(2.0)
    assert (presence.state, presence.identified) == (GxState.PRESENT, True)


async def test_battery_is_shown_as_it_tells(house: House, make_state: Any) -> None:
    """The display has name, measurements, limits and alarms from the frames."""
    house.state = make_state(
        cvl_v=56.0, ccl_a=80.0, dcl_a=90.0, alarms=Alarms({AlarmName.CELL_IMBALANCE: AlarmLevel.WARNING})
    )
    async with house.running() as advance:
        await advance(2.0)
        view = house.gx.view()
    assert view.battery_name == "TinyBMS s516"
    assert (view.cvl_v, view.ccl_a, view.dcl_a) == (56.0, 80.0, 90.0)
    assert (view.battery_voltage_v, view.battery_current_a) == (53.12, -12.3)
    assert (view.soc_percent, view.temperature_c) == (81.53, 21.6)
    assert view.alarms == ("warning_cell_imbalance",)


async def test_no_current_without_a_battery(house: House) -> None:
    """Before the first frames nothing flows."""
    house.state = None
    async with house.running() as advance:
        await advance(5.0)
        view = house.gx.view()
    assert (view.mode, view.current_a, view.battery_name, view.cvl_v) == (GxMode.WAITING, 0.0, "", None)
    assert set(house.battery.voltages) == {52.8}


async def test_battery_is_not_recognised_without_0x35a(house: House) -> None:
    """A GX detects a battery by 0x35A; limits alone do not do."""
    house.state = None
    async with house.running() as advance:
        for _ in range(5):
            house.port.send(CanFrame(0x351, bytes.fromhex("4302E8039E07D001")))
            await advance(1.0)
        assert house.gx.view().mode is GxMode.WAITING
        house.port.send(CanFrame(0x35A, bytes(8)))
        await advance(0.5)
        assert house.gx.view().mode is not GxMode.WAITING
        assert house.battery.current_a != 0.0


async def test_surplus_of_sun_charges(house: House) -> None:
    """What the loads leave goes into the battery, and the powers add up."""
    async with house.running() as advance:
        await advance(20.0)
        view = house.gx.view()
        battery_w = view.current_a * house.battery.voltage_v
    assert view.mode is GxMode.CHARGING
    assert battery_w == pytest.approx(3000.0 - 500.0 / INVERTER_EFFICIENCY, rel=0.02)
    assert view.solar_w == pytest.approx(3000.0, rel=0.02)
    assert view.grid_w == 0.0


async def test_loads_discharge_at_night(house: House) -> None:
    """Without sun the battery serves the loads."""
    house.solar_w, house.load_w = 0.0, 2000.0
    async with house.running() as advance:
        await advance(5.0)
        view = house.gx.view()
        battery_w = view.current_a * house.battery.voltage_v
    assert view.mode is GxMode.DISCHARGING
    assert battery_w == pytest.approx(-2000.0 / INVERTER_EFFICIENCY, rel=0.02)
    assert view.grid_w == pytest.approx(0.0, abs=40.0)


@pytest.mark.parametrize("ccl_a", [0.0, 5.0, 20.0])
async def test_charge_current_limit_is_obeyed(house: House, make_state: Any, ccl_a: float) -> None:
    """CCL bounds the current, and the sun is used no further."""
    house.state = make_state(ccl_a=ccl_a)
    async with house.running() as advance:
        await advance(10.0)
        view = house.gx.view()
        battery_w = ccl_a * house.battery.voltage_v
    assert view.current_a == pytest.approx(ccl_a, abs=0.1)
    assert view.solar_w == pytest.approx(500.0 / INVERTER_EFFICIENCY + battery_w, rel=0.01)


@pytest.mark.parametrize("dcl_a", [0.0, 5.0, 20.0])
async def test_discharge_current_limit_is_obeyed(house: House, make_state: Any, dcl_a: float) -> None:
    """DCL bounds the current, and the grid serves the rest."""
    house.state = make_state(dcl_a=dcl_a)
    house.solar_w, house.load_w = 0.0, 3000.0
    async with house.running() as advance:
        await advance(5.0)
        view = house.gx.view()
        battery_w = dcl_a * house.battery.voltage_v
    assert view.current_a == pytest.approx(-dcl_a)
    assert view.grid_w == pytest.approx(3000.0 - battery_w * INVERTER_EFFICIENCY, rel=0.001)
    assert view.served_w == 3000.0


async def test_current_tapers_at_the_voltage_limit(house: House, make_state: Any) -> None:
    """At CVL the voltage is held, but for the drop in the cables, and the current falls below what the sun offers."""
    house.state = make_state(cvl_v=53.3, ccl_a=100.0)
    async with house.running() as advance:
        await advance(60.0)
        view = house.gx.view()
        voltage_v = house.battery.voltage_v
    assert view.mode is GxMode.VOLTAGE_LIMITED
    assert voltage_v == pytest.approx(53.3 - (view.current_a + 10.0) * 0.0005 - view.current_a * 0.0005, abs=0.01)
    assert view.current_a == pytest.approx(24.0, abs=1.0)
    assert view.solar_w < view.solar_available_w


async def test_voltage_limit_below_the_battery_stops_the_charge(house: House, make_state: Any) -> None:
    """A CVL under the battery's voltage ends charging within a burst, a loop and the lag; then the loads come first."""
    async with house.running() as advance:
        await advance(10.0)
        assert house.gx.view().current_a > 40.0
        house.state = make_state(cvl_v=52.0)
        await advance(5.0)
        assert house.gx.view().current_a <= 0.0
        await advance(10.0)
        assert house.gx.view().current_a == pytest.approx(-500.0 / INVERTER_EFFICIENCY / 52.6, abs=0.2)


async def test_silent_battery_is_lost_after_three_seconds(house: House) -> None:
    """Without 0x351 neither charge nor discharge goes on, and the solar charger stops."""
    async with house.running() as advance:
        await advance(5.5)
        house.state = None
        await advance(2.0)
        assert house.gx.view().mode is GxMode.CHARGING
        await advance(2.0)
        view = house.gx.view()
    assert (view.mode, view.current_a, view.solar_w, view.grid_w) == (GxMode.BMS_LOST, 0.0, 0.0, 500.0)


async def test_lost_battery_comes_back(house: House, make_state: Any) -> None:
    """With the first burst after an outage the system works again."""
    async with house.running() as advance:
        await advance(2.0)
        house.bus.down = True
        await advance(10.0)
        assert house.gx.view().mode is GxMode.BMS_LOST
        house.bus.down = False
        await advance(3.0)
        assert house.gx.view().mode is GxMode.CHARGING
        assert house.gx.view().battery_name == "TinyBMS s516"


@pytest.mark.parametrize("data", ["", "44", "4302E803"])
async def test_cut_off_limits_do_not_count(house: House, data: str) -> None:
    """A 0x351 without all three limits neither feeds the timeout nor changes a limit."""
    async with house.running() as advance:
        await advance(2.0)
        before = house.gx.view().ccl_a
        house.state = None
        for _ in range(8):
            house.port.send(CanFrame(0x351, bytes.fromhex(data)))
            await advance(0.5)
        assert house.gx.view().mode is GxMode.BMS_LOST
    assert house.gx.view().ccl_a == before


async def test_short_name_is_shown(house: House) -> None:
    """A battery with 0x35E alone is called by it, one without any name in general terms."""
    house.state = None
    async with house.running() as advance:
        house.port.send(CanFrame(0x35A, bytes(8)))
        await advance(0.5)
        assert house.gx.view().battery_name == "CAN-bus BMS battery"
        house.port.send(CanFrame(0x35E, b"Pack 1\0\0"))
        await advance(0.5)
        assert house.gx.view().battery_name == "Pack 1"


async def test_end_of_the_simulation_opens_the_circuit(house: House) -> None:
    """After the end no current flows on."""
    async with house.running() as advance:
        await advance(5.0)
        assert house.battery.current_a > 0.0
    assert house.battery.current_a == 0.0


@pytest.fixture
def selling(make_state: Any) -> House:
    """Return a house with 3 kW of sun that sells what it does not need, and a battery at its CVL."""
    return House(make_state(cvl_v=52.8, ccl_a=0.0, dcl_a=100.0), 3000.0, 500.0, SystemPlan(feed_in=True, island=False))


async def test_surplus_is_sold(selling: House) -> None:
    """The battery stays at CVL and the rest goes to the grid, less what the inverter keeps."""
    async with selling.running() as advance:
        await advance(60.0)
        view = selling.gx.view()
    assert view.mode is GxMode.FEEDING_IN
    assert view.current_a == pytest.approx(0.0, abs=1.0)
    assert view.sold_w == pytest.approx(3000.0 * INVERTER_EFFICIENCY - 500.0, rel=0.03)
    assert view.solar_w == pytest.approx(3000.0, rel=0.01)
    assert view.grid_w == pytest.approx(0.0, abs=1e-6)


async def test_feed_in_obeys_no_charge_current_limit(selling: House, make_state: Any) -> None:
    """With CCL 0 and a CVL above the battery the chargers charge on: CVL alone protects."""
    selling.state = make_state(cvl_v=54.0, ccl_a=0.0)
    async with selling.running() as advance:
        await advance(20.0)
        assert selling.gx.view().current_a > 30.0


async def test_feed_in_without_buyers_ends_four_tenths_above(selling: House, make_state: Any) -> None:
    """What nobody buys lifts the battery to the chargers' own target."""
    plan = SystemPlan(feed_in=True, island=False, export_max_w=0.0)
    house = House(make_state(cvl_v=53.0), 9000.0, 0.0, plan)
    async with house.running() as advance:
        await advance(60.0)
        voltage_v, view = house.battery.voltage_v, house.gx.view()
    assert voltage_v == pytest.approx(53.4, abs=0.05)
    assert view.mode is GxMode.VOLTAGE_LIMITED


@pytest.mark.parametrize(("dcl_a", "mode", "served_w"), [(1.0, GxMode.DISCHARGING, 2000.0), (0.0, GxMode.DARK, 0.0)])
async def test_an_island_hears_no_limit_but_zero(make_state: Any, dcl_a: float, mode: GxMode, served_w: float) -> None:
    """DCL 0 switches the inverter off, and nothing else serves the loads."""
    house = House(make_state(dcl_a=dcl_a), 0.0, 2000.0, SystemPlan(island=True))
    async with house.running() as advance:
        await advance(5.0)
        view = house.gx.view()
    assert view.mode is mode
    assert view.served_w == pytest.approx(served_w, rel=1e-6)
    assert view.grid_w == 0.0


@settings(max_examples=40, deadline=None)
@given(
    solar_w=st.floats(0, 20_000),
    load_w=st.floats(0, 20_000),
    ccl_a=st.floats(0, 300),
    dcl_a=st.floats(0, 300),
    cvl_v=st.floats(40, 60),
)
async def test_limits_hold_for_any_sun_and_load(
    make_state: Any, solar_w: float, load_w: float, ccl_a: float, dcl_a: float, cvl_v: float
) -> None:
    """No sun and no load make the system exceed DCL, nor CCL and CVL by more than a moment's swing."""
    house = House(make_state(cvl_v=cvl_v, ccl_a=ccl_a, dcl_a=dcl_a), solar_w, load_w)
    async with house.running() as advance:
        for _ in range(20):
            await advance(1.0)
            view = house.gx.view()
            drawn_a = load_w / INVERTER_EFFICIENCY / house.battery.voltage_v
            # Between two loops the loads' current changes with the voltage; CCL counts on what they drew before.
            assert -dcl_a - 0.051 <= view.current_a <= ccl_a + 0.051 + 0.1 * drawn_a
            assert 0.0 <= view.solar_w <= solar_w + 1e-6
            assert view.grid_w >= 0.0
    assert max(house.battery.voltages) <= max(52.8, cvl_v + 0.05) + 0.5
