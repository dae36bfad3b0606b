"""What a pack alone bears."""

import pytest
from tests.lab.bench.packs.conftest import PLAIN

from tinybms_bridge.battery.limits import LimitSettings
from tinybms_lab.bench.packs.own_limits import OwnLimits

OWN = OwnLimits(PLAIN.ratings(), LimitSettings())
WARM = (25.0, 26.0)


@pytest.mark.parametrize(
    ("highest_v", "temperatures_c", "most_a"),
    [
        (3.35, WARM, 100.0),  # register 318
        (3.45, WARM, 25.0),  # the curve by cell voltage
        (3.58, WARM, 0.0),
        (3.35, (5.0, 25.0), 12.0),  # 0.12C, although other cells are warm
        (3.35, (-1.0, 25.0), 0.0),
        (3.35, (25.0, 61.0), 0.0),  # register 319
    ],
)
def test_charge_is_bound_by_rating_cell_and_warmth(
    highest_v: float, temperatures_c: tuple[float, float], most_a: float
) -> None:
    """The rating, less what the charge control takes for a single pack."""
    assert OWN.charge_a(highest_v, temperatures_c) == pytest.approx(most_a, abs=0.1)


def test_a_balancing_day_goes_higher() -> None:
    """Cells that are held at a higher voltage bear a current there."""
    assert OWN.charge_a(3.50, WARM) < OWN.charge_a(3.50, WARM, balancing=True)


def test_under_feed_in_the_voltage_takes_nothing_of_the_current() -> None:
    """Chargers obey no CCL then; rating and warmth bind all the same."""
    own = OwnLimits(PLAIN.ratings(), LimitSettings(), feed_in=True)

    assert own.charge_a(3.45, WARM) == 100.0
    assert own.charge_a(3.45, (-1.0, 25.0)) == 0.0


def test_discharge_is_bound_by_rating_and_warmth() -> None:
    """Register 317, and nothing where the BMS cuts for heat."""
    assert OWN.discharge_a(WARM) == 150.0
    assert OWN.discharge_a((25.0, 60.5)) == 0.0
