import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.tinybms.device_statistics import (
    STATISTICS_ADDRESS,
    STATISTICS_COUNT,
    DeviceStatistics,
    ResetCause,
    WakeCause,
    decode_statistics,
    read_identity,
    read_statistics,
)
from tinybms_bridge.tinybms.frames import CommandCode, Nack, ReadModbus, Reply, Request, from_u32
from tinybms_bridge.tinybms.registers import catalogue
from tinybms_lab.bms import AnsweringDevice, Dump, DumpDevice, real_dump
from tinybms_lab.bms.responder import answer
from tinybms_lab.testing.fake_clock import FakeClock

WORD = st.integers(0, 0xFFFF)


class DeviceLink:
    """A link to a simulated device that refuses what it is told to refuse."""

    def __init__(self, device: AnsweringDevice, *refused: CommandCode) -> None:
        self.asked: list[tuple[Request, int | None]] = []
        self.broken = False
        self._device = device
        self._refused = refused

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        self.asked.append((request, attempts))
        if self.broken:
            raise LinkError("the BMS did not answer")
        reply = Nack(request.command, 0) if request.command in self._refused else answer(self._device, request)
        if isinstance(reply, Nack):
            raise DeviceRefused(reply.command, reply.code)
        return reply


@pytest.fixture
def unit() -> DumpDevice:
    """A unit with firmware 254 and a serial number."""
    version = {500: 0x0102, 501: 0x0303, 502: 254, 503: 0x0518, 504: 0x4953, 509: 0x0100}
    return DumpDevice(Dump({}, {**version, 114: 0x0005}), FakeClock())


@pytest.fixture
def real() -> DumpDevice:
    """The capture of a real unit."""
    return DumpDevice(real_dump(), FakeClock())


def words(**changes: int) -> list[int]:
    """Return registers 100 to 117, each with its own value, some changed by address (``r113=...``)."""
    found = [100 + offset for offset in range(STATISTICS_COUNT)]
    for name, value in changes.items():
        found[int(name[1:]) - STATISTICS_ADDRESS] = value
    return found


def test_every_register_goes_to_its_place() -> None:
    """Distinct values: two that change places would be noticed."""
    low, high = from_u32(123_456)
    cleared_low, cleared_high = from_u32(16_000_000)
    assert decode_statistics(
        words(r100=low, r101=high, r113=0x1908, r114=0x0304, r116=cleared_low, r117=cleared_high)
    ) == DeviceStatistics(
        total_distance_km=1234.56,
        max_discharge_current_a=10.2,
        max_charge_current_a=10.3,
        max_cell_difference_mv=10.4,
        under_voltage_count=105,
        over_voltage_count=106,
        discharge_over_current_count=107,
        charge_over_current_count=108,
        over_heat_count=109,
        charging_count=111,
        full_charge_count=112,
        min_temperature_c=8,
        max_temperature_c=25,
        reset_cause=ResetCause.SOFTWARE,
        wake_cause=WakeCause.UART,
        cleared_at_s=16_000_000,
    )


@given(st.lists(WORD, min_size=STATISTICS_COUNT, max_size=STATISTICS_COUNT))
def test_the_values_are_those_of_the_catalogue(raw: list[int]) -> None:
    """registers.csv is the one table of the map; this decoder must not disagree with it."""
    found = decode_statistics(raw)

    def listed(key: str) -> float:
        register = catalogue().by_key(key)
        first = register.address - STATISTICS_ADDRESS
        value = register.decode(tuple(raw[first : first + register.words]))
        assert isinstance(value, int | float)
        return value

    assert found.total_distance_km == pytest.approx(listed("total_distance"))
    assert found.max_discharge_current_a == pytest.approx(listed("max_discharge_current"))
    assert found.max_charge_current_a == pytest.approx(listed("max_charge_current"))
    assert found.max_cell_difference_mv == pytest.approx(1000.0 * listed("max_cell_voltage_difference"))
    assert found.min_temperature_c == listed("min_pack_temperature")
    assert found.max_temperature_c == listed("max_pack_temperature")
    assert found.cleared_at_s == listed("statistics_cleared_at")
    for key in ("under_voltage", "over_voltage", "discharge_over_current", "charge_over_current", "over_heat"):
        assert getattr(found, f"{key}_count") == listed(f"{key}_count")
    assert (found.charging_count, found.full_charge_count) == (listed("charging_count"), listed("full_charge_count"))


def test_temperatures_are_signed_bytes() -> None:
    """Register 113 holds two; the lowest may be below zero."""
    found = decode_statistics(words(r113=0x05F6))
    assert (found.min_temperature_c, found.max_temperature_c) == (-10, 5)


@pytest.mark.parametrize(
    ("raw", "cause"), [(0, ResetCause.UNKNOWN), (7, ResetCause.OPTION_BYTES), (8, ResetCause.UNKNOWN)]
)
def test_an_undocumented_reset_cause_is_unknown(raw: int, cause: ResetCause) -> None:
    """Never a guess."""
    assert decode_statistics(words(r114=raw)).reset_cause is cause


@pytest.mark.parametrize(
    ("raw", "cause"),
    [(0, WakeCause.CHARGER_CONNECTED), (3, WakeCause.UART), (4, WakeCause.UNKNOWN), (255, WakeCause.UNKNOWN)],
)
def test_an_undocumented_wake_cause_is_unknown(raw: int, cause: WakeCause) -> None:
    """Never a guess."""
    assert decode_statistics(words(r114=raw << 8)).wake_cause is cause


def test_a_watchdog_reset_is_told_apart() -> None:
    """It means that the program of the BMS had hung."""
    hung = {cause for cause in ResetCause if cause.is_watchdog}
    assert hung == {ResetCause.WINDOW_WATCHDOG, ResetCause.INDEPENDENT_WATCHDOG}


@pytest.mark.parametrize("count", [0, 17, 19])
def test_another_number_of_registers_is_an_error(count: int) -> None:
    """A wrong read must not become wrong statistics."""
    with pytest.raises(ValueError, match=f"{count} registers of statistics, expected 18"):
        decode_statistics([0] * count)


async def test_statistics_are_one_read(unit: DumpDevice) -> None:
    """One exchange, with the attempts that the caller grants."""
    link = DeviceLink(unit)
    found = await read_statistics(link, attempts=1)
    assert link.asked == [(ReadModbus(100, 18), 1)]
    assert found.reset_cause is ResetCause.POWER_ON
    assert found.cleared_at_s == 0


async def test_the_captured_unit_has_its_temperatures(real: DumpDevice) -> None:
    """0x1908 and 0x0300 were seen on a unit."""
    found = await read_statistics(DeviceLink(real))
    assert (found.min_temperature_c, found.max_temperature_c) == (8, 25)
    assert found.wake_cause is WakeCause.UART


async def test_statistics_that_are_refused_are_a_refusal(unit: DumpDevice) -> None:
    """There is no other way to them."""
    with pytest.raises(DeviceRefused):
        await read_statistics(DeviceLink(unit, CommandCode.READ_MODBUS))


async def test_the_identity_comes_from_the_registers(unit: DumpDevice) -> None:
    """They alone hold the serial number."""
    link = DeviceLink(unit)
    found = await read_identity(link, attempts=1)
    assert (found.hardware_version, found.firmware_internal) == ("2.1", 254)
    assert found.serial_number == "534900000000000000000001"
    assert link.asked == [(ReadModbus(500, 10), 1)]


async def test_a_unit_that_refuses_the_registers_is_asked_for_its_version(unit: DumpDevice) -> None:
    """0x1F tells all but profile and serial number."""
    link = DeviceLink(unit, CommandCode.READ_MODBUS)
    assert await read_identity(link) == Identity(
        hardware_version="2.1", firmware_public=3, firmware_internal=254, bootloader_version=24
    )


async def test_the_short_version_is_the_next_way(unit: DumpDevice) -> None:
    """0x1E has no bootloader."""
    link = DeviceLink(unit, CommandCode.READ_MODBUS, CommandCode.VERSION_EXTENDED)
    assert await read_identity(link) == Identity(hardware_version="2.1", firmware_public=3, firmware_internal=254)
    assert len(link.asked) == 3


async def test_a_unit_that_tells_nothing_has_an_empty_identity(unit: DumpDevice) -> None:
    """It can still be used: nothing depends on its name."""
    link = DeviceLink(unit, CommandCode.READ_MODBUS, CommandCode.VERSION_EXTENDED, CommandCode.VERSION)
    assert await read_identity(link) == Identity()


async def test_a_dead_link_is_no_empty_identity(unit: DumpDevice) -> None:
    """Otherwise a moment of noise would look like a unit without a name."""
    link = DeviceLink(unit)
    link.broken = True
    with pytest.raises(LinkError):
        await read_identity(link)
    assert len(link.asked) == 1
