from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import BmsStatus, Snapshot
from tinybms_bridge.tinybms.frames import to_u32
from tinybms_bridge.tinybms.live import decode_live
from tinybms_bridge.tinybms.simulator.image import LIVE_WORDS, Sample, live_words

SAMPLE = Sample(
    cells_v=(3.30, 3.31, 3.3252, 3.34),
    configured_cells=4,
    current_a=-12.3456,
    soc_percent=83.554824,
    soh_percent=98.5,
    left_ah=50.0,
    lifetime_s=16_683_981,
    internal_c=9.7,
    external_c=(21.5, None),
    status=BmsStatus.DISCHARGING,
    balancing_wanted=(3, 2),
    balancing_now=(3,),
)


def _snapshot(sample: Sample) -> Snapshot:
    return decode_live(live_words(sample), sequence=1, taken_at_s=0.0, series_cells=sample.configured_cells)


def test_the_bridge_reads_back_what_was_sampled() -> None:
    """Encoder here and decoder there agree on every live value."""
    snapshot = _snapshot(SAMPLE)

    assert snapshot.cells.voltages_v == SAMPLE.cells_v
    assert snapshot.cells.balancing == (False, False, False, True)
    assert snapshot.pack.voltage_v == pytest.approx(13.2752, abs=1e-5)
    assert snapshot.pack.current_a == pytest.approx(-12.346)
    assert snapshot.pack.soc_percent == 83.554824
    assert snapshot.pack.soh_percent == 98.5
    assert snapshot.pack.lifetime_s == 16_683_981
    assert snapshot.pack.status is BmsStatus.DISCHARGING
    assert (snapshot.temperatures.internal_c, snapshot.temperatures.external_1_c) == (9.7, 21.5)
    assert snapshot.temperatures.external_2_c is None


@given(st.integers(min_value=4, max_value=16))
def test_cells_sit_on_the_upper_pins(count: int) -> None:
    """N below 16 leaves zeros in registers 0 to 15-N; cell n is register 15-N+n."""
    cells_v = tuple(3.0 + n / 100 for n in range(1, count + 1))
    words = live_words(replace(SAMPLE, cells_v=cells_v, configured_cells=count, balancing_wanted=(), balancing_now=()))

    assert words[: 16 - count] == [0] * (16 - count)
    assert words[16 - count : 16] == [round(v * 10000) for v in cells_v]
    assert words[53] == count


def test_balancing_bits_belong_to_registers() -> None:
    """Bit r is register r: with 4 cells the highest cell is bit 15."""
    words = live_words(SAMPLE)

    assert words[51] == 1 << 15 | 1 << 14
    assert words[52] == 1 << 15


def test_lowest_and_highest_cell_are_rounded_to_millivolts() -> None:
    """40 and 41 have a tenth of the cells' resolution."""
    words = live_words(replace(SAMPLE, cells_v=(3.3004, 3.30049, 3.30051, 3.3006)))

    assert words[40:42] == [3300, 3301]


def test_absent_sensors_read_the_sentinel() -> None:
    """-32768 in 42 and 43; a cold sensor is a negative number."""
    words = live_words(replace(SAMPLE, external_c=(None, -10.5)))

    assert words[42:44] == [0x8000, 0x10000 - 105]


def test_time_left_is_charge_over_current() -> None:
    """50 Ah at 12.3456 A last four hours."""
    words = live_words(SAMPLE)

    assert to_u32(words[34], words[35]) == round(50.0 / 12.3456 * 3600)


def test_time_left_is_huge_when_idle() -> None:
    """A real unit with 55.1 Ah left reported 41 777 412 s: its own draw of 4.75 mA."""
    left_ah = 66.0 * 0.83554824
    words = live_words(replace(SAMPLE, current_a=0.0, status=BmsStatus.IDLE, left_ah=left_ah))

    assert to_u32(words[34], words[35]) == pytest.approx(41_777_412, rel=0.001)


def test_more_configured_than_wired_cells_show_as_zero() -> None:
    """The lowest cell reads 0, as seen on a unit whose cells were not wired."""
    words = live_words(replace(SAMPLE, configured_cells=6))

    assert words[10:12] == [0, 0]
    assert words[40] == 0
    assert words[53] == 4


def test_fewer_configured_than_wired_cells_are_left_out() -> None:
    """The pack voltage is the sum of the configured cells: a wrong register 307 gives a wrong voltage."""
    sample = replace(SAMPLE, cells_v=(3.3,) * 8, configured_cells=4, balancing_now=(), balancing_wanted=())

    assert _snapshot(sample).pack.voltage_v == pytest.approx(13.2, abs=1e-5)
    assert live_words(sample)[8:12] == [0] * 4


@given(
    st.lists(st.floats(min_value=0.0, max_value=10.0), min_size=4, max_size=16),
    st.floats(min_value=-1000, max_value=1000),
    st.floats(min_value=0, max_value=100),
    st.floats(min_value=-5000, max_value=5000),
    st.integers(min_value=0, max_value=2**40),
)
def test_every_sample_fits_56_words(
    cells_v: list[float], current_a: float, soc_percent: float, celsius: float, lifetime_s: int
) -> None:
    """No state of the pack breaks the register map."""
    sample = replace(
        SAMPLE,
        cells_v=tuple(cells_v),
        configured_cells=len(cells_v),
        current_a=current_a,
        soc_percent=soc_percent,
        internal_c=celsius,
        external_c=(celsius, None),
        lifetime_s=lifetime_s,
        balancing_wanted=(0,),
        balancing_now=(0,),
    )
    words = live_words(sample)

    assert len(words) == LIVE_WORDS
    assert all(0 <= word <= 0xFFFF for word in words)
    assert max(words[:16]) <= 45000
    assert words[42] != 0x8000
