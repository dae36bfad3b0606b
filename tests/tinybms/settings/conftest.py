"""A BMS at the level of requests, with every way in which a write can go wrong, and time that passes at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tinybms_bridge.battery.snapshot import Identity
from tinybms_bridge.errors import DeviceRefused, LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.tinybms.frames import (
    Ack,
    Action,
    ActionRequest,
    CommandCode,
    ReadModbus,
    ReadSettingValues,
    RegistersReply,
    Reply,
    Request,
    SettingsTable,
    SettingsValues,
    WriteDone,
    WriteModbus,
    from_float,
    from_u32,
)
from tinybms_bridge.tinybms.live import decode_live
from tinybms_bridge.tinybms.settings import BmsSettings, Readout, WriteOptions, all_settings
from tinybms_bridge.tinybms.settings.table import OwnTables
from tinybms_lab.testing.fake_clock import FakeClock

TIMEOUT_S = 0.3
ATTEMPTS = 3
PINS = {
    331: (1, 2, 3, 4, 5, 5, 6, 6),
    333: (None, 1, 2, 3, 4, 5, 5, 6, 6),
    334: (1, 2, 3, 4, 5, 6),
    335: (None, 1, 2, 3, 4, 5, 6),
    336: (3, 4),
    337: (None, None, 1, 2, 3, 4, 5, 5, 6, *[None] * 6, 6),
    341: (1, 2, 3, 4, 5, 5, 6, 6),
}
"""Pin (1 aido1, 2 aido2, 3 dido1, 4 dido2, 5 aiho1, 6 aiho2) by raw value from 1 on, from the vendor's map."""

DELIVERED = {
    300: 3600, 301: 2800, 302: 0, 303: 3400, 304: 2000, 305: 180, 306: 10000, 307: 16, 308: 15, 309: 0, 310: 20, 311: 5,
    312: 1, 313: 0, 314: 2, 315: 3750, 316: 2500, 317: 150, 318: 100, 319: 60, 320: 1, 321: 80, 322: 1000, 323: 0xFFFF,
    324: 0, 325: 0, 326: 0, 327: 0, 328: 0xFFFF, 329: 0, 330: 1, 331: 0, 332: 5, 333: 1, 334: 0, 335: 1, 336: 0, 337: 0,
    338: 0, 339: 0, 340: 0, 341: 0, 342: 0, 343: 0,
}  # fmt: skip
"""A rested 16-cell LFP pack on a high-power board."""

NEW_IN_REV_D = (305, 310, 311, 321, 322, 323)


class InstantClock(FakeClock):
    """Sleeping takes no time but moves the clock."""

    async def sleep(self, delay_s: float) -> None:
        self._now_s += max(0.0, delay_s)
        await asyncio.sleep(0)


def rules_broken(words: dict[int, int], firmware: int) -> list[str]:
    """Return the rules of the vendor's manual that registers break, written independently of the code under test."""
    broken = []
    for lower, upper in ((316, 301), (301, 300), (300, 315)):
        if words[lower] + 10 > words[upper]:
            broken.append(f"{lower}/{upper}")
    if firmware >= 251 and words[305] <= words[317]:
        broken.append("305/317")
    used = []
    for address, pins in PINS.items():
        raw = words[address] & 0xFF
        if 0 < raw <= len(pins) and pins[raw - 1]:
            used.append(pins[raw - 1])
    if len(used) != len(set(used)):
        broken.append("pins")
    if words[343] & 0xFF == 2 and words[342] & 0xFF in {1, 2, 3}:
        broken.append("broadcast")
    return broken


class FakeBms:
    """Implements ``Link``. ``faults`` maps the number of a write, from 1, to what goes wrong with it.

    ``nack``, ``crc`` (NACK with code 1), ``lost`` (not carried out, no answer), ``unheard`` (carried out, no answer),
    ``ignored`` (acknowledged, not carried out), ``clamped`` (acknowledged, another value), ``slow`` (acknowledged,
    carried out 0.8 s later), ``deaf`` (carried out, then silent for 2 s), ``dies`` and ``dies_after`` (silent for good,
    before or after carrying it out).
    """

    def __init__(self, clock: FakeClock, firmware: int = 254) -> None:
        self.clock = clock
        self.firmware = firmware
        self.words = dict(DELIVERED)
        self.live: dict[int, int] = {}
        self.tables: dict[SettingsTable, dict[int, int]] | None = None
        self.faults: dict[int, str] = {}
        self.clamp_to = 0
        self.enforces = True
        self.alive = True
        self.restart_s = 0.0
        self.requests: list[Request] = []
        self.writes: list[WriteModbus] = []
        self.states: list[dict[int, int]] = [dict(self.words)]
        self.sections_s: list[float] = []
        self.unguarded = 0
        self.on_write: Callable[[WriteModbus], None] | None = None
        self._held = False
        self._silent_until_s = 0.0
        self._late: list[tuple[float, WriteModbus]] = []
        self._measure(cell_mv=3300, current_a=0.0)

    def measure(self, *, cell_mv: int = 3300, current_a: float = 0.0, celsius: float = 25.0) -> None:
        """Set what the battery measures."""
        self._measure(cell_mv, current_a, celsius)

    def with_tables(self) -> None:
        """Answer command 0x1D with the vendor's ranges, and with the delivered values as defaults."""
        low, high = dict.fromkeys(DELIVERED, 0), dict.fromkeys(DELIVERED, 0)
        for each in all_settings().values():
            for table, raw in zip((low, high), each.register.raw_range, strict=True):
                for index, word in enumerate(from_u32(raw & 0xFFFFFFFF)[: each.register.words]):
                    shifted = (word << each.register.offset) & each.register.mask
                    table[each.address + index] |= shifted
        self.tables = {
            SettingsTable.MINIMUM: low,
            SettingsTable.MAXIMUM: high,
            SettingsTable.DEFAULT: dict(DELIVERED),
        }

    def old_firmware(self) -> None:
        """Become a unit of firmware 2.3.242, whose map lacks what protocol Rev D added."""
        self.firmware = 242
        for address in NEW_IN_REV_D:
            self.words[address] = 0
        self.states = [dict(self.words)]

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Keep the line."""
        assert not self._held
        self._held, started_s = True, self.clock.monotonic()
        try:
            yield
        finally:
            self._held = False
            self.sections_s.append(self.clock.monotonic() - started_s)

    async def request(self, request: Request, *, attempts: int | None = None) -> Reply:
        """Answer one request."""
        await asyncio.sleep(0)
        self.requests.append(request)
        self._carry_out_late_writes()
        if isinstance(request, WriteModbus):
            return await self._write(request)
        if isinstance(request, ActionRequest):
            return await self._act(request)
        for _ in range(attempts or ATTEMPTS):
            if self._answers():
                return self._read(request)
            await self.clock.sleep(TIMEOUT_S)
        raise LinkError("the BMS did not answer within 300 ms")

    def _answers(self) -> bool:
        return self.alive and self.clock.monotonic() >= self._silent_until_s

    def _read(self, request: Request) -> Reply:
        if isinstance(request, ReadSettingValues):
            if self.tables is None:
                raise DeviceRefused(CommandCode.SETTINGS, 0)
            table = self.words if request.table is SettingsTable.CURRENT else self.tables[request.table]
            return SettingsValues(request.table, tuple(table[300 + i] for i in range(request.count)))
        assert isinstance(request, ReadModbus)
        registers = {**self.live, **self.words, **self._version()}
        span = range(request.address, request.address + request.count)
        return RegistersReply(CommandCode.READ_MODBUS, tuple(registers[address] for address in span))

    def _version(self) -> dict[int, int]:
        serial = {504 + i: 0x4D00 + i for i in range(6)}
        return {500: 0x0102, 501: 0x0301, 502: self.firmware, 503: 0x0418, **serial}

    async def _write(self, request: WriteModbus) -> Reply:
        self.unguarded += not self._held
        self.writes.append(request)
        fault = self.faults.get(len(self.writes), "")
        if fault == "dies":
            self.alive = False
        if not self._answers() or fault == "lost":
            return await self._no_answer()
        if fault in {"nack", "crc"}:
            raise DeviceRefused(CommandCode.WRITE_MODBUS, int(fault == "crc"))
        if fault == "slow":
            self._late.append((self.clock.monotonic() + 0.8, request))
        elif fault == "clamped":
            self._take(WriteModbus(request.address, (self.clamp_to,)))
        elif fault != "ignored":
            self._take(request)
        if fault == "dies_after":
            self.alive = False
        if fault == "deaf":
            self._silent_until_s = self.clock.monotonic() + 2.0
        if fault in {"unheard", "dies_after", "deaf"}:
            return await self._no_answer()
        return WriteDone(request.address, len(request.values))

    def _take(self, request: WriteModbus) -> None:
        wanted = dict(self.words)
        for index, value in enumerate(request.values):
            address = request.address + index
            reserved = self.firmware < 251 and address in NEW_IN_REV_D
            wanted[address] = 0 if reserved else value
        if 328 in range(request.address, request.address + len(request.values)):
            self.live[46], self.live[47] = from_u32(wanted[328] * 2000)
            wanted[328] = 0xFFFF
        if self.enforces and not set(rules_broken(wanted, self.firmware)) <= set(
            rules_broken(self.words, self.firmware)
        ):
            raise DeviceRefused(CommandCode.WRITE_MODBUS, 0)
        if request.address == 340 and self.restart_s and wanted[340] != self.words[340]:
            self._silent_until_s = self.clock.monotonic() + self.restart_s
        self.words = wanted
        self.states.append(dict(wanted))
        if self.on_write is not None:
            self.on_write(request)

    def _carry_out_late_writes(self) -> None:
        due = [item for item in self._late if item[0] <= self.clock.monotonic()]
        for item in due:
            self._late.remove(item)
            self._take(item[1])

    async def _act(self, request: ActionRequest) -> Reply:
        self.unguarded += not self._held
        fault = self.faults.get(1, "")
        if fault == "nack":
            raise DeviceRefused(CommandCode.ACTION, 0)
        if request.action is Action.RESET:
            self._silent_until_s = self.clock.monotonic() + self.restart_s
        if fault in {"lost", "dies"}:
            self.alive = fault == "lost"
            return await self._no_answer()
        return Ack(CommandCode.ACTION)

    async def _no_answer(self) -> Reply:
        await self.clock.sleep(TIMEOUT_S)
        raise LinkError("the BMS did not answer within 300 ms")

    def _measure(self, cell_mv: int, current_a: float, celsius: float = 25.0) -> None:
        words = [cell_mv * 10] * 16 + [0] * 16 + [*from_u32(1000), 0, 0]
        words += [*from_float(cell_mv * 16 / 1000), *from_float(current_a), cell_mv, cell_mv]
        words += [round(celsius * 10) & 0xFFFF]
        words += [0x8000, 0, 50000, *from_u32(60_000_000), 250, 0, 0x93 if current_a < 0 else 0x91, 0, 0, 16, 0, 0]
        self.live = dict(enumerate(words))


@pytest.fixture
def clock() -> FakeClock:
    """Time that passes as soon as somebody waits for it."""
    return InstantClock()


@pytest.fixture
def fake(clock: FakeClock) -> FakeBms:
    """A unit of firmware 254 that enforces the rules and does not answer command 0x1D."""
    return FakeBms(clock)


@pytest.fixture
def bms(fake: FakeBms, clock: FakeClock) -> BmsSettings:
    """The settings of the fake unit."""
    return BmsSettings(fake, clock, run_blocking=in_place)


@pytest.fixture(scope="session")
def make_fake() -> Callable[[], tuple[FakeBms, BmsSettings]]:
    """Return a maker of fresh units, for property tests."""

    def make() -> tuple[FakeBms, BmsSettings]:
        clock = InstantClock()
        fake = FakeBms(clock)
        return fake, BmsSettings(fake, clock, WriteOptions(patience_s=1.0), in_place)

    return make


@pytest.fixture(scope="session")
def broken() -> Callable[[dict[int, int], int], list[str]]:
    """Return the independent judge of the rules."""
    return rules_broken


@pytest.fixture(scope="session")
def readout() -> Callable[..., Readout]:
    """Return a maker of readouts: delivered settings, changed by ``address=raw`` and the like."""

    def make(
        changes: dict[int, int] | None = None,
        *,
        firmware: int = 254,
        own: tuple[dict[int, int], dict[int, int]] | None = None,
        live: dict[str, float] | None = None,
        high_power: bool | None = True,
    ) -> Readout:
        fake = FakeBms(InstantClock(), firmware)
        if firmware < 251:
            fake.old_firmware()
        words = {**fake.words, **(changes or {})}
        fake.with_tables()
        assert fake.tables is not None
        low, high = fake.tables[SettingsTable.MINIMUM], fake.tables[SettingsTable.MAXIMUM]
        tables = None
        if own is not None:
            tables = OwnTables(
                tuple({**low, **own[0]}.values()), tuple({**high, **own[1]}.values()), tuple(DELIVERED.values())
            )
        if live is not None:
            fake.measure(**live)  # type: ignore[arg-type]
        snapshot = decode_live(tuple(fake.live.values()), sequence=1, taken_at_s=0.0, series_cells=16)
        identity = Identity("2.1", 1, firmware, 24, 4, "00" * 12)
        base = Readout(tuple(words.values()), identity, high_power, tables)
        return base if live is None else replace(base, live=snapshot)

    return make
