import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot
from tinybms_bridge.tinybms.frames import Action, SettingsTable, to_u32
from tinybms_bridge.tinybms.live import decode_identity, decode_live, decode_ratings
from tinybms_lab.bms import (
    FIRMWARES,
    HIGH_POWER,
    LFP,
    LI_ION,
    LOW_POWER,
    AnsweringDevice,
    BmsOptions,
    EventId,
    OffMap,
    OutOfRange,
    SimulatedBms,
    SimulatedPack,
    Terminals,
    parse_profile,
)
from tinybms_lab.bms.records import SimulatedResetCause, SimulatedWakeCause, entries_in
from tinybms_lab.testing.fake_clock import FakeClock

PassTime = Callable[[float], None]


def _words(device: SimulatedBms, address: int, count: int) -> tuple[int, ...]:
    words = device.read(address, count)
    assert words is not None
    return words


def _snapshot(device: SimulatedBms) -> Snapshot:
    ratings = decode_ratings(_words(device, 300, 44))
    return decode_live(_words(device, 0, 56), sequence=1, taken_at_s=0.0, ratings=ratings)


def _lifetime(device: SimulatedBms) -> int:
    return to_u32(*_words(device, 32, 2))


def test_it_is_a_device_and_a_battery(bms: SimulatedBms) -> None:
    """The protocol side and a simulated GX each find what they need."""
    device: AnsweringDevice = bms
    terminals: Terminals = bms

    assert device.read(53, 1) == (16,)
    assert terminals.voltage_v == pytest.approx(16 * 3.308, abs=0.05)


def test_a_bridge_sees_a_healthy_pack_at_once(bms: SimulatedBms) -> None:
    """The first read is complete."""
    snapshot = _snapshot(bms)

    assert snapshot.cells.count == 16
    assert 3.25 < snapshot.cells.min_v <= snapshot.cells.max_v < 3.35
    assert snapshot.pack.soc_percent == pytest.approx(60.0, abs=0.1)
    assert snapshot.pack.soh_percent == 100.0
    assert snapshot.pack.status is BmsStatus.IDLE
    assert snapshot.pack.voltage_v == pytest.approx(sum(snapshot.cells.voltages_v), abs=0.001)
    assert snapshot.temperatures.external_1_c == pytest.approx(25.0)


@pytest.mark.parametrize("cells", [4, 14, 16])
def test_the_number_of_cells_is_that_of_the_pack(clock: FakeClock, cells: int) -> None:
    """Registers 53 and 307 and the pins agree."""
    device = SimulatedBms.build(clock, cells=cells)

    assert _snapshot(device).cells.count == cells
    assert _words(device, 53, 1) == _words(device, 307, 1) == (cells,)
    assert _words(device, 0, 16 - cells) == (0,) * (16 - cells)


def test_data_is_renewed_ten_times_a_second(clock: FakeClock, pass_time: PassTime) -> None:
    """Between two refreshes every read gives the same snapshot."""
    device = SimulatedBms.build(clock, profile=parse_profile("charge"))
    pass_time(1.0)
    changes = 0
    before = _words(device, 0, 56)
    for _ in range(1000):
        pass_time(0.01)
        after = _words(device, 0, 56)
        changes += after != before
        before = after

    assert 95 <= changes <= 101


def test_reading_in_parts_gives_one_snapshot(clock: FakeClock, pass_time: PassTime) -> None:
    """Two reads within one refresh fit together."""
    device = SimulatedBms.build(clock, profile=parse_profile("10:-50"))
    pass_time(1.31)
    cells = _words(device, 0, 16)
    pass_time(0.05)
    low, high = _words(device, 40, 2)

    assert low == pytest.approx(min(cells) / 10, abs=0.5)
    assert high == pytest.approx(max(cells) / 10, abs=0.5)


def test_charging_moves_the_pack(clock: FakeClock, pass_time: PassTime) -> None:
    """Current, status, charge and voltage follow the profile."""
    device = SimulatedBms.build(clock, chemistry=LI_ION, profile=parse_profile("charge"))
    before = _snapshot(device)
    for _ in range(600):
        pass_time(1.0)
        device.refresh()
    after = _snapshot(device)

    assert after.pack.current_a == 30.0
    assert after.pack.status is BmsStatus.CHARGING
    assert after.pack.soc_percent - before.pack.soc_percent == pytest.approx(5.0, abs=0.02)
    assert after.pack.voltage_v > before.pack.voltage_v


def test_time_left_is_told_while_discharging(clock: FakeClock, pass_time: PassTime) -> None:
    """60 Ah at 30 A are two hours."""
    device = SimulatedBms.build(clock, profile=parse_profile("discharge"))
    pass_time(1.0)

    assert _snapshot(device).pack.time_left_s == pytest.approx(7200, rel=0.01)


def test_speed_makes_the_pack_faster_and_nothing_else(clock: FakeClock, pass_time: PassTime) -> None:
    """An hour of charging in a minute; the lifetime counter stays real."""
    device = SimulatedBms.build(clock, soc=0.2, profile=parse_profile("charge"), options=BmsOptions(speed=60.0))
    start_s = _lifetime(device)
    for _ in range(600):
        pass_time(0.1)
        device.refresh()

    assert _snapshot(device).pack.soc_percent == pytest.approx(50.0, abs=0.2)
    assert _snapshot(device).pack.current_a == 30.0
    assert _lifetime(device) - start_s in {59, 60}


def test_a_simulated_gx_drives_the_current(bms: SimulatedBms, pass_time: PassTime) -> None:
    """From the moment it is set, with the voltage answering."""
    rest_v = bms.voltage_v
    bms.set_current_a(-50.0)
    pass_time(1.0)
    assert bms.voltage_v < rest_v

    bms.set_current_a(40.0)
    pass_time(1.0)
    assert bms.voltage_v > rest_v
    assert _snapshot(bms).pack.current_a == 40.0
    assert _snapshot(bms).pack.status is BmsStatus.CHARGING


def test_a_current_counts_for_the_time_it_flowed(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Setting a current settles what flowed before, also between two refreshes."""
    for current_a, seconds in ((60.0, 0.53), (-60.0, 0.53), (36.0, 100.0), (0.0, 0.04)):
        bms.set_current_a(current_a)
        pass_time(seconds)

    assert bms.voltage_v > 0
    pass_time(1.0)
    assert _snapshot(bms).pack.soc_percent - 60.0 == pytest.approx(1.0, abs=0.01)


def test_settings_are_written_and_read(bms: SimulatedBms) -> None:
    """A write shows at once, in registers and in the table of 0x1D."""
    assert bms.write([(300, 3550)])
    assert _words(bms, 300, 1) == (3550,)
    assert bms.settings_table(SettingsTable.CURRENT, 1) == (3550,)
    assert bms.settings_table(SettingsTable.DEFAULT, 1) == (3600,)
    assert not bms.write([(0, 1)])
    assert len(bms.settings_table(SettingsTable.MINIMUM, 44)) == 44


def test_capacity_setting_scales_the_count(bms: SimulatedBms, pass_time: PassTime) -> None:
    """A wrong register 306 gives a wrong state of charge, as on a real unit."""
    bms.write([(306, 5000)])
    bms.set_current_a(36.0)
    pass_time(100.0)
    bms.set_current_a(0.0)
    pass_time(0.2)

    assert _snapshot(bms).pack.soc_percent - 60.0 == pytest.approx(2.0, abs=0.02)


def test_writing_328_and_323_sets_the_live_values(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Raw is percent times 500; the registers themselves read 0xFFFF."""
    assert bms.write([(328, 40000), (323, 45000)])
    pass_time(0.1)

    assert _snapshot(bms).pack.soc_percent == pytest.approx(80.0)
    assert _snapshot(bms).pack.soh_percent == pytest.approx(90.0)
    assert (_words(bms, 323, 1), _words(bms, 328, 1)) == ((0xFFFF,), (0xFFFF,))


def test_a_value_that_is_clamped_is_taken_over_clamped(clock: FakeClock, pass_time: PassTime) -> None:
    """130 % become 100 %."""
    device = SimulatedBms.build(clock, options=BmsOptions(out_of_range=OutOfRange.CLAMP))
    assert device.write([(328, 65000)])
    pass_time(0.1)

    assert _snapshot(device).pack.soc_percent == 100.0


def test_firmware_242_has_the_old_map(clock: FakeClock) -> None:
    """No state of health, no peak cut-off; the version says 242."""
    device = SimulatedBms.build(clock, options=BmsOptions(firmware=FIRMWARES[242]))

    assert [_words(device, a, 1)[0] for a in (45, 305, 310, 311, 321, 322, 323)] == [0] * 7
    assert decode_identity(_words(device, 500, 10)).firmware_internal == 242
    assert decode_ratings(_words(device, 300, 44)).discharge_peak_current_a is None
    assert _snapshot(device).pack.soh_percent is None
    assert device.write([(323, 25000)])


def test_the_boards_differ_in_what_they_see(clock: FakeClock, pass_time: PassTime) -> None:
    """0.5 A is a load to a low-power board and nothing to a high-power one."""
    seen = []
    for board in (LOW_POWER, HIGH_POWER):
        device = SimulatedBms.build(clock, profile=parse_profile("10:-0.5"), options=BmsOptions(board=board))
        pass_time(1.0)
        seen.append((_snapshot(device).pack.current_a, _snapshot(device).pack.status))

    assert seen == [(-0.5, BmsStatus.DISCHARGING), (0.0, BmsStatus.IDLE)]


@pytest.mark.parametrize(("sensors", "absent"), [(0, 2), (1, 1), (2, 0)])
def test_absent_sensors_read_the_sentinel(clock: FakeClock, sensors: int, absent: int) -> None:
    """-32768 for each sensor that is not connected."""
    device = SimulatedBms.build(clock, options=BmsOptions(external_sensors=sensors))

    assert _words(device, 42, 2).count(0x8000) == absent


def test_idle_it_sleeps_and_swallows_one_frame(bms: SimulatedBms, pass_time: PassTime) -> None:
    """The wake-up shows as UART in register 114."""
    pass_time(10.1)
    assert bms.asleep

    assert [bms.hear(), bms.hear()] == [False, True]
    pass_time(0.1)
    assert _words(bms, 114, 1)[0] >> 8 == SimulatedWakeCause.UART
    assert not bms.asleep


@pytest.mark.parametrize(("profile", "asleep"), [("10:-20", False), ("10:+20", False), ("10:-0.5", True)])
def test_current_keeps_it_awake_when_it_is_seen(
    clock: FakeClock, pass_time: PassTime, profile: str, asleep: bool
) -> None:
    """A load below the threshold lets the unit sleep."""
    device = SimulatedBms.build(clock, profile=parse_profile(profile))
    for _ in range(40):
        pass_time(1.0)
        device.refresh()

    assert device.asleep is asleep


def test_sleep_begins_ten_seconds_after_the_last_current(clock: FakeClock, pass_time: PassTime) -> None:
    """Also when nobody looked in between."""
    device = SimulatedBms.build(clock, profile=parse_profile("20:-20,1000:0"))

    seen = []
    for seconds in (29.0, 2.0):
        pass_time(seconds)
        seen.append(device.asleep)

    assert seen == [False, True]


def test_it_stays_awake_where_sleep_is_not_allowed(clock: FakeClock, pass_time: PassTime) -> None:
    """For tests of other things."""
    device = SimulatedBms.build(clock, options=BmsOptions(asleep_allowed=False))
    pass_time(100.0)

    assert device.hear()


def test_the_lifetime_counts_asleep(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Events of a night are told by the morning's counter."""
    before_s = _lifetime(bms)
    pass_time(3600.0)

    assert _lifetime(bms) - before_s == 3600
    assert bms.lifetime_s == _lifetime(bms)


def test_it_logs_its_start(bms: SimulatedBms) -> None:
    """One event, 0x61, stamped with the lifetime counter."""
    (event,) = entries_in(_words(bms, 200, 98))

    assert (event.event_id, event.time_s) == (0x61, 2_592_000)


def test_clearing_events_and_statistics(clock: FakeClock, pass_time: PassTime) -> None:
    """0x02 with options 1 and 2."""
    device = SimulatedBms.build(clock, profile=parse_profile("discharge"))
    pass_time(5.0)
    assert _words(device, 102, 1) == (300,)

    assert device.act(Action.CLEAR_EVENTS)
    assert device.act(Action.CLEAR_STATISTICS)

    assert entries_in(_words(device, 200, 98)) == []
    assert _words(device, 102, 2) == (0, 0)
    assert to_u32(*_words(device, 116, 2)) == 2_592_005


def test_a_restart_is_silent_and_cuts_the_current(clock: FakeClock, pass_time: PassTime) -> None:
    """1.5 s without answer, switches open, then a start event; charge and settings survive."""
    device = SimulatedBms.build(clock, profile=parse_profile("discharge"))
    device.write([(300, 3550)])
    pass_time(10.0)
    before = _snapshot(device)

    assert device.act(Action.RESET)
    heard = []
    for _ in range(14):
        pass_time(0.1)
        heard.append(device.hear())
    during = _snapshot(device)
    pass_time(0.2)
    after = _snapshot(device)

    assert not any(heard)
    assert device.hear()
    assert during.pack.current_a == 0.0
    assert after.pack.soc_percent == pytest.approx(before.pack.soc_percent, abs=0.01)
    assert _words(device, 300, 1) == (3550,)
    assert [e.event_id for e in entries_in(_words(device, 200, 98))] == [0x61, 0x61]
    assert _words(device, 114, 1)[0] & 0xFF == SimulatedResetCause.SOFTWARE_RESET


def test_a_change_of_mode_restarts(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Register 340: silence, then 0x61 and 0x67; writing the same value again does nothing."""
    assert bms.write([(340, 1)])
    pass_time(1.0)
    assert bms.silent
    assert not bms.hear()
    pass_time(1.0)
    assert bms.write([(340, 1)])
    pass_time(5.0)

    assert [event for _, event in bms.history] == [EventId.BMS_STARTED, EventId.BMS_STARTED, EventId.SINGLE_PORT]
    assert bms.hear()


def test_a_crash_is_a_restart_by_the_watchdog(bms: SimulatedBms, pass_time: PassTime) -> None:
    """The low byte of register 114 tells."""
    bms.crash()
    pass_time(2.0)

    assert _words(bms, 114, 1)[0] & 0xFF == SimulatedResetCause.INDEPENDENT_WATCHDOG
    assert bms.event_count == 2


def test_after_a_write_it_may_be_busy(clock: FakeClock, pass_time: PassTime) -> None:
    """Real units did not answer for half a second; a refused write does not take that time."""
    device = SimulatedBms.build(clock, options=BmsOptions(write_busy_s=0.5))
    device.write([(300, 9000)])
    heard = [device.hear()]
    device.write([(300, 3550)])
    for seconds in (0.0, 0.4, 0.2):
        pass_time(seconds)
        heard.append(device.hear())

    assert heard == [True, False, False, True]


def test_an_adapter_on_the_5_v_output_cannot_wake_it(clock: FakeClock, pass_time: PassTime) -> None:
    """Bluetooth and CAN adapters: nothing they send arrives in sleep; a load wakes the unit."""
    device = SimulatedBms.build(clock, options=BmsOptions(adapter_on_5v=True))
    pass_time(11.0)
    heard = [device.hear(), device.hear()]
    device.set_current_a(-20.0)
    pass_time(1.0)
    heard.append(device.hear())

    assert heard == [False, False, True]
    assert _words(device, 114, 1)[0] >> 8 == SimulatedWakeCause.DISCHARGING_DETECTED


def test_limits_at_present_follow_the_hardware(bms: SimulatedBms, pass_time: PassTime) -> None:
    """An external current sensor raises the largest cutoff, from the restart that finds it."""
    seen = [bms.settings_table(SettingsTable.MAXIMUM, 18)[17]]
    bms.write([(305, 300)])
    bms.plug_current_sensor()
    pass_time(1.0)
    seen.append(bms.settings_table(SettingsTable.MAXIMUM, 18)[17])
    bms.act(Action.RESET)
    pass_time(2.0)
    seen.append(bms.settings_table(SettingsTable.MAXIMUM, 18)[17])

    assert seen == [150, 150, 299]
    assert _words(bms, 501, 1) == (0x0503,)


def test_statistics_move_with_what_happens(bms: SimulatedBms, pass_time: PassTime) -> None:
    """Registers 105 to 113."""
    bms.set_current_a(-151.0)
    pass_time(1.0)
    bms.set_current_a(101.0)
    pass_time(2.0)
    bms.set_current_a(0.0)
    bms.break_wire(8)
    pass_time(1.0)
    for sensor in (1, 2):
        bms.unplug_sensor(sensor)
    bms.set_ambient_c(100.0)
    pass_time(3600.0)

    counts = _words(bms, 102, 12)
    assert counts[0:2] == (1510, 1010)
    assert counts[2] == 45000
    assert counts[3:8] == (1, 1, 1, 1, 1)
    assert counts[9] == 1
    assert counts[11] & 0xFF == 25
    assert counts[11] >> 8 > 90


def test_the_ring_may_stand_anywhere(clock: FakeClock, pass_time: PassTime) -> None:
    """The next event after the last slot goes to the first."""
    device = SimulatedBms.build(clock, options=BmsOptions(first_event_slot=48))
    device.act(Action.RESET)
    pass_time(2.0)
    words = _words(device, 200, 98)

    assert (words[97] >> 8, words[1] >> 8, words[3] >> 8) == (0x61, 0x61, 0)


def test_stamps_wrap_after_24_bits(clock: FakeClock, pass_time: PassTime) -> None:
    """194 days on the counter."""
    device = SimulatedBms.build(clock, options=BmsOptions(lifetime_s=2**24 - 1))
    device.act(Action.RESET)
    pass_time(2.0)
    stamps = [event.time_s for event in entries_in(_words(device, 200, 98))]

    assert stamps == [2**24 - 1, 0]
    assert _lifetime(device) == 2**24 + 1


def test_the_log_reaches_beyond_the_ring(clock: FakeClock, pass_time: PassTime) -> None:
    """60 restarts: 49 in the registers, all in the history."""
    device = SimulatedBms.build(clock)
    for _ in range(60):
        device.act(Action.RESET)
        pass_time(2.0)
        device.refresh()

    assert len(entries_in(_words(device, 200, 98))) == 49
    assert len(device.history) == device.event_count == 61


def test_actions_can_be_put_off(clock: FakeClock, pass_time: PassTime) -> None:
    """In pack time, at the speed of the simulation."""
    device = SimulatedBms.build(clock, options=BmsOptions(speed=60.0))
    device.at(120.0, lambda: device.set_current_a(-20.0))
    seen = []
    for seconds in (1.9, 0.2):
        pass_time(seconds)
        seen.append(_snapshot(device).pack.current_a)

    assert seen == [0.0, -20.0]
    assert device.pack_time_s == pytest.approx(126.0)


def test_settings_can_differ_from_those_of_delivery(clock: FakeClock) -> None:
    """They are the defaults of this unit, too."""
    pack = SimulatedPack.build(LFP, 4)
    device = SimulatedBms(pack, clock, settings={332: 12, 300: 3500})

    assert _words(device, 332, 1) == (12,)
    assert device.settings_table(SettingsTable.DEFAULT, 1) == (3500,)


def test_no_event_is_stamped_ahead_of_the_counter(bms: SimulatedBms, pass_time: PassTime) -> None:
    """A client that subtracts the two never gets a negative age."""
    bms.act(Action.RESET)
    for _ in range(40):
        pass_time(0.05)
        events = entries_in(_words(bms, 200, 98))
        assert all(event.time_s <= _lifetime(bms) for event in events)
    assert len(events) == 2


@pytest.mark.parametrize(("off_map", "refused"), [(OffMap.NACK, True), (OffMap.GARBAGE, False)])
def test_reads_off_the_map_follow_the_option(clock: FakeClock, off_map: OffMap, refused: bool) -> None:
    """Both were seen on real units."""
    device = SimulatedBms.build(clock, options=BmsOptions(off_map=off_map))

    assert (device.read(0x2C01, 45) is None) is refused


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"speed": 0.0}, "speed must be above 0"),
        ({"write_busy_s": -1.0}, "must be 0 s or more"),
        ({"write_busy_s": float("inf")}, "must be 0 s or more"),
        ({"speed": float("inf")}, "speed must be above 0"),
        ({"external_sensors": 3}, "0 to 2 external sensors, got 3"),
        ({"serial": b"short"}, "12 bytes, got 5"),
    ],
)
def test_impossible_options_are_refused(option: dict[str, object], message: str) -> None:
    """A mistake is told where it is made."""
    with pytest.raises(ValueError, match=message):
        BmsOptions(**option)  # type: ignore[arg-type]


def test_a_day_of_random_driving_keeps_every_register_a_word(clock: FakeClock, pass_time: PassTime) -> None:
    """Whatever a simulated GX does, the answers stay encodable and the counter rises."""
    device = SimulatedBms.build(clock, chemistry=LFP, capacity_ah=20.0)
    chance = random.Random(7)
    lifetimes = []
    for _ in range(150):
        device.set_current_a(chance.uniform(-200.0, 200.0))
        pass_time(chance.uniform(0.01, 1200.0))
        words = _words(device, 0, 127)
        assert all(0 <= word <= 0xFFFF for word in words)
        lifetimes.append(_lifetime(device))

    assert all(later >= earlier for earlier, later in pairwise(lifetimes))
    assert _snapshot(device).cells.max_v <= 4.5
