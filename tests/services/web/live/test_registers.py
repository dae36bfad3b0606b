"""The last sample by register."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import Cells
from tinybms_bridge.services.web.face import Picture
from tinybms_bridge.services.web.live.registers import live_registers
from tinybms_bridge.tinybms.registers import catalogue


def test_names_and_units_are_those_of_the_catalogue(picture: Picture) -> None:
    """Each value has the key and the unit that the register catalogue has at its address."""
    for each in live_registers(picture.view.measured):
        found = {register.key: register.unit for register in catalogue().at(each["address"])}
        assert each["name"] in found
        assert each["unit"] == found[each["name"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.floats(1.0, 4.5), min_size=4, max_size=16))
def test_cells_end_at_the_last_pin(picture: Picture, voltages_v: list[float]) -> None:
    """Whatever the number of cells, the last one is register 15 and none is lost."""
    assert picture.view.measured is not None
    cells = Cells(tuple(voltages_v), (True,) * len(voltages_v))
    found = {each["address"]: each["value"] for each in live_registers(replace(picture.view.measured, cells=cells))}
    addresses = sorted(address for address in found if address < 16)
    assert addresses == list(range(16 - len(voltages_v), 16))
    assert [found[address] for address in addresses] == voltages_v
    bits = found[52]
    assert isinstance(bits, int)
    assert bits.bit_count() == len(voltages_v)
    assert bits < 1 << 16


def test_nothing_before_the_first_sample() -> None:
    """Without a sample there are no registers."""
    assert live_registers(None) == []
