from collections.abc import Callable
from dataclasses import replace

from tinybms_bridge.battery.limits import LimitSettings
from tinybms_bridge.battery.limits.context import Context, fixed, make_context
from tinybms_bridge.battery.limits.memo import by_last, by_settings
from tinybms_bridge.battery.snapshot import Ratings


def test_each_pair_of_settings_is_worked_out_once(make_ratings: Callable[..., Ratings]) -> None:
    """The same objects give the same result without work; any other object, equal or not, its own."""
    asked: list[float] = []

    @by_settings
    def cells(ratings: Ratings, settings: LimitSettings) -> int:
        asked.append(settings.current_fraction)
        return ratings.series_cells

    fifteen, sixteen, settings = make_ratings(series_cells=15), make_ratings(series_cells=16), LimitSettings()
    seen = [cells(ratings, settings) for ratings in (fifteen, sixteen, fifteen, sixteen)]

    assert (seen, len(asked)) == ([15, 16, 15, 16], 2)
    assert cells(sixteen, replace(settings, current_fraction=0.5)) == 16
    assert asked[-1] == 0.5


def test_settings_that_come_and_go_are_not_mixed_up(make_ratings: Callable[..., Ratings]) -> None:
    """Settings that are replaced all the time may reuse the address of old ones, and must not inherit their result."""

    @by_settings
    def share(_ratings: Ratings, settings: LimitSettings) -> float:
        return settings.current_fraction

    ratings = make_ratings()
    for number in range(200):
        assert share(ratings, LimitSettings(current_fraction=number / 200.0)) == number / 200.0


def test_the_last_result_is_remembered_by_its_objects() -> None:
    """Asked again for the very same objects nothing is worked out; equal ones are others."""
    asked = []

    @by_last
    def joined(first: list[int], second: list[int]) -> list[int]:
        asked.append((first, second))
        return first + second

    first, second = [1], [2]
    assert joined(first, second) is joined(first, second)
    assert len(asked) == 1
    assert joined([1], second) == [1, 2]
    assert joined(first, [3]) == [1, 3]
    assert len(asked) == 3


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
