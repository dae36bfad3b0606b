import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields

import pytest

from tinybms_bridge.battery.limits import LimitSettings
from tinybms_bridge.battery.quick import by_last, by_settings, maker, quick, replace
from tinybms_bridge.battery.snapshot import Ratings


@dataclass(frozen=True, slots=True)
class Plain:
    """As the standard library makes it."""

    first: int
    second: float = 2.5
    third: list[int] = field(default_factory=list)
    fourth: int = field(default=7, init=False)
    fifth: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Set what follows from the others."""
        object.__setattr__(self, "fourth", self.first * 2)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, quick to make."""

    first: int
    second: float = 2.5
    third: list[int] = field(default_factory=list)
    fourth: int = field(default=7, init=False)
    fifth: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Set what follows from the others."""
        object.__setattr__(self, "fourth", self.first * 2)


@pytest.mark.parametrize(
    "arguments", [((1,), {}), ((1, 3.5, [4]), {}), ((1,), {"third": [5]}), ((), {"first": 2, "fifth": 9})]
)
def test_what_is_made_is_the_same(arguments: tuple[tuple[int, ...], dict[str, int]]) -> None:
    """Arguments by place and by name, defaults, factories, and what follows after."""
    args, more = arguments
    plain = Plain(*args, **more)  # type: ignore[arg-type]

    for make in (Quick, maker(Quick)):
        made = make(*args, **more)  # type: ignore[arg-type]
        assert type(made) is Quick
        assert asdict(made) == asdict(plain)
        assert repr(made) == repr(plain).replace("Plain", "Quick")
        assert hash(replace(made, third=())) == hash(dataclasses.replace(plain, third=()))  # type: ignore[arg-type]


def test_it_is_frozen_when_it_is_made() -> None:
    """Nobody changes it afterwards."""
    for made in (Quick(1), maker(Quick)(1), replace(Quick(0), first=1)):
        with pytest.raises(FrozenInstanceError):
            made.first = 2  # type: ignore[misc]
        with pytest.raises(FrozenInstanceError):
            del made.first


def test_each_has_its_own_list() -> None:
    """A factory is called for each object."""
    assert Quick(1).third is not Quick(1).third


def test_copies_and_comparisons_work() -> None:
    """As of any dataclass: equal, replaced, copied, through a pickle."""
    made = Quick(1, 2.0, [3])
    assert made == Quick(1, 2.0, [3], fifth=4) != Quick(2, 2.0, [3])
    assert dataclasses.replace(made, first=5).fourth == 10
    assert copy.deepcopy(made) == made == pickle.loads(pickle.dumps(made))


def test_replacing_is_that_of_the_standard_library() -> None:
    """What is not given stays, what follows is found again, and fields that cannot be given are refused."""
    made = Quick(1, 2.0, [3], fifth=4)
    for changes in ({}, {"first": 5}, {"second": 0.0, "third": [], "fifth": 0}):
        new = replace(made, **changes)
        assert type(new) is Quick
        assert asdict(new) == asdict(dataclasses.replace(made, **changes))
        assert asdict(made) == {"first": 1, "second": 2.0, "third": [3], "fourth": 2, "fifth": 4}
    assert replace(made).third is made.third
    for wrong in ("fourth", "sixth"):
        with pytest.raises(TypeError):
            replace(made, **{wrong: 1})


def test_it_looks_the_same_from_outside() -> None:
    """Names, defaults and types of the arguments are those of the standard library."""
    plain, made = inspect.signature(Plain), inspect.signature(Quick)
    assert list(made.parameters) == list(plain.parameters)
    assert [each.annotation for each in made.parameters.values()] == [
        each.annotation for each in plain.parameters.values()
    ]
    assert [each.name for each in fields(Quick)] == [each.name for each in fields(Plain)]


def test_wrong_arguments_are_refused() -> None:
    """Too few, too many, and names that there are not."""
    for args, more in (((), {}), ((1, 2.0, [], 4, 5, 6), {}), ((1,), {"fourth": 4}), ((1,), {"sixth": 6})):
        for make in (Quick, maker(Quick)):
            with pytest.raises(TypeError):
                make(*args, **more)  # type: ignore[arg-type]


def test_other_classes_are_refused() -> None:
    """Without slots, or not frozen, or with fields of a parent, nothing of this would hold."""

    @dataclass(frozen=True)
    class Loose:
        first: int

    @dataclass(slots=True)
    class Open:
        first: int

    @dataclass(frozen=True, slots=True)
    class Child(Plain):
        sixth: int = 6

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        first: int

    for cls in (Loose, Open, Child, Named, int):
        with pytest.raises(TypeError):
            quick(cls)


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
    assert cells(sixteen, dataclasses.replace(settings, current_fraction=0.5)) == 16
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
