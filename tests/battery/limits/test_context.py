from collections.abc import Callable
from dataclasses import replace

from tinybms_bridge.battery.limits.context import Context, fixed, make_context


def test_what_settings_decide_is_worked_out_once_for_all_samples(context: Callable[..., Context]) -> None:
    """Contexts of other samples with the same settings share it; other settings have their own."""
    asked: list[float] = []

    @fixed
    def fraction(of: Context) -> float:
        asked.append(of.snapshot.cells.max_v)
        return of.settings.current_fraction

    first = context()
    again = make_context(first.snapshot, first.ratings, first.settings)
    other = make_context(first.snapshot, first.ratings, replace(first.settings, current_fraction=0.5))

    assert [fraction(each) for each in (first, again, first, other)] == [0.9, 0.9, 0.9, 0.5]
    assert len(asked) == 2
