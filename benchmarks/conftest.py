"""A believable sample for the benchmarks: a 16-cell LFP pack in charge, with unequal cells."""

import pytest

from tinybms_bridge.battery.snapshot import Ratings
from tinybms_bridge.tinybms.frames import CommandCode, ReadModbus, RegistersReply, from_float, from_u32


@pytest.fixture
def ratings() -> Ratings:
    """Settings of a 16-cell LFP unit."""
    return Ratings(
        series_cells=16,
        fully_charged_cell_v=3.65,
        fully_discharged_cell_v=2.9,
        over_voltage_cell_v=3.8,
        under_voltage_cell_v=2.8,
        charge_over_current_a=100.0,
        discharge_over_current_a=150.0,
        discharge_peak_current_a=200.0,
        over_heat_c=60.0,
        low_temperature_charge_c=1.0,
        capacity_ah=280.0,
    )


@pytest.fixture
def request_and_reply() -> tuple[ReadModbus, bytes]:
    """The fast read of registers 0 to 55 and its 117-byte reply."""
    words = [33000 + 10 * n for n in range(16)] + [0] * 40
    for address, pair in ((36, from_float(53.0)), (38, from_float(12.5)), (46, from_u32(76_500_000))):
        words[address : address + 2] = pair
    words[36:38] = from_float(sum(words[:16]) / 10000)
    words[40:44] = [3300, 3315, 0x8000, 0x8000]
    words[45], words[48], words[50], words[53] = 49000, 250, 0x91, 16
    (reply,) = RegistersReply(CommandCode.READ_MODBUS, tuple(words)).encode()
    return ReadModbus(0, 56), reply
