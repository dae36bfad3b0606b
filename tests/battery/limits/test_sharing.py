"""What packs in parallel may be given together: no pack gets more than it bears, whatever its share."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits.sharing import (
    NO_SHARE,
    PackLimit,
    Share,
    least_total_a,
    next_means,
    next_shares,
    share_limit,
)

names = st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1, max_size=16, unique=True)
amperes = st.floats(0.0, 500.0)
ALIKE = {"a": 100.0, "b": 100.0}


@st.composite
def pack_limits(draw: st.DrawFn, *, least: int = 1) -> list[PackLimit]:
    """Packs with any limits; their measured shares make up the whole, or are not measured yet."""
    chosen = draw(names.filter(lambda found: len(found) >= least))
    parts = draw(st.lists(st.floats(0.01, 1.0), min_size=len(chosen), max_size=len(chosen)))
    measured, whole = draw(st.booleans()), sum(parts)
    return [
        PackLimit(
            name,
            draw(st.floats(1.0, 500.0)),
            draw(amperes),
            share=part / whole if measured else None,
            seen=draw(st.booleans()),
            gives=draw(st.booleans()),
        )
        for name, part in zip(chosen, parts, strict=True)
    ]


@given(pack_limits(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_packs_means_nothing(packs: list[PackLimit], silent_takes: bool, chance: object) -> None:
    """Neither for the limit nor for who is named for it."""
    shuffled = packs.copy()
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    first, second = (share_limit(each, silent_takes=silent_takes) for each in (packs, shuffled))

    assert first.pack == second.pack
    assert first.limit_a == pytest.approx(second.limit_a)


@given(pack_limits(), st.booleans())
def test_no_pack_gets_more_than_it_bears(packs: list[PackLimit], silent_takes: bool) -> None:
    """At its measured share of the limit, and at that of its capacity."""
    seen = [pack for pack in packs if pack.seen and pack.gives]
    limit_a = share_limit(packs, silent_takes=silent_takes).limit_a
    assume(math.isfinite(limit_a))
    whole_ah = sum(pack.capacity_ah for pack in packs if pack.gives and (pack.seen or silent_takes))
    for pack in seen:
        assert limit_a * (pack.share or 0.0) <= pack.limit_a + 1e-6
        assert limit_a * pack.capacity_ah / whole_ah <= pack.limit_a + 1e-6


@given(pack_limits(), st.booleans())
def test_a_pack_that_gives_nothing_raises_no_limit(packs: list[PackLimit], silent_takes: bool) -> None:
    """The limit with it is that without it."""
    without = [pack for pack in packs if pack.gives]

    assert share_limit(packs, silent_takes=silent_takes) == share_limit(without, silent_takes=silent_takes)


@given(pack_limits(least=2), st.data())
def test_silence_raises_no_limit(packs: list[PackLimit], data: st.DataObject) -> None:
    """A pack that is seen no longer: its last limit binds, and the others carry what it gave."""
    packs = [replace(pack, seen=True) for pack in packs]
    name = data.draw(st.sampled_from([pack.name for pack in packs]))
    rest = 1.0 - sum(pack.share or 0.0 for pack in packs if pack.name == name)
    assume(rest > 0.01)
    after = [
        replace(pack, seen=False, share=None)
        if pack.name == name
        else replace(pack, share=None if pack.share is None else min(1.0, pack.share / rest))
        for pack in packs
    ]
    for silent_takes in (True, False):
        before_a = share_limit(packs, silent_takes=True).limit_a
        after_a = share_limit(after, silent_takes=silent_takes).limit_a
        assert after_a <= before_a + 1e-6 or any(not pack.gives for pack in packs)


@given(pack_limits(), st.booleans())
def test_never_more_than_the_plain_sum(packs: list[PackLimit], silent_takes: bool) -> None:
    """Shares that make up the whole leave at most what all bear together."""
    limit_a = share_limit(packs, silent_takes=silent_takes).limit_a
    giving = [pack for pack in packs if pack.gives]
    if not any(pack.seen for pack in giving):
        assert limit_a == 0.0
    else:
        assert limit_a <= sum(pack.limit_a for pack in giving) + 1e-6


def test_equal_packs_bear_the_sum_and_one_in_sixteen_at_zero_does_not_end_it() -> None:
    """One empty pack leaves the sums; where all are, nothing is left."""
    packs = [PackLimit(f"p{n:02}", 100.0, 50.0, share=1 / 16) for n in range(16)]
    assert share_limit(packs, silent_takes=False).limit_a == pytest.approx(800.0)
    empty = [replace(packs[0], limit_a=0.0, gives=False), *packs[1:]]
    assert share_limit(empty, silent_takes=False).limit_a == pytest.approx(750.0)
    assert share_limit([replace(pack, gives=False) for pack in packs], silent_takes=False).limit_a == 0.0


def test_one_that_bears_no_charge_and_is_connected_ends_it_for_all() -> None:
    """CCL 0 of a pack that charges with the others stays 0."""
    packs = [PackLimit("a", 100.0, 0.0), PackLimit("b", 100.0, 90.0)]

    assert share_limit(packs, silent_takes=True).limit_a == 0.0
    assert share_limit(packs, silent_takes=True).pack == "a"


def test_half_the_resistance_is_twice_the_share() -> None:
    """The pack that takes more than its capacity's share binds, and is named with its share."""
    packs = [PackLimit("a", 100.0, 90.0, share=0.5), *(PackLimit(n, 100.0, 90.0, share=0.25) for n in "bc")]

    found = share_limit(packs, silent_takes=True)

    assert (found.pack, found.share, found.own_a) == ("a", 0.5, 90.0)
    assert found.limit_a == pytest.approx(180.0)


def test_shares_are_measured_from_what_matters_only() -> None:
    """A small current is that which makes packs equal; one that is allowed to be small counts all the same."""
    assert least_total_a(400.0, 3.2, None) == pytest.approx(60.0)
    assert least_total_a(400.0, 3.2, 40.0) == pytest.approx(10.0)
    assert least_total_a(400.0, 3.2, 1.0) == pytest.approx(6.4)
    assert next_shares({}, {"a": 20.0, "b": -10.0}, ALIKE, 60.0, 1.0) == {"a": NO_SHARE, "b": NO_SHARE}
    found = next_shares({}, {"a": 90.0, "b": -10.0}, ALIKE, 60.0, 1.0)
    assert found["a"].charge == pytest.approx(1.125)
    assert found["b"] == Share(0.0)


def test_a_share_grows_within_seconds_and_is_forgotten_slowly() -> None:
    """A pack that gets too much is relieved within three seconds; packs that take turns are not forgotten at once."""
    shares = next_shares({}, {"a": 50.0, "b": 50.0}, ALIKE, 10.0, 0.1)
    for _ in range(30):
        shares = next_shares(shares, {"a": 80.0, "b": 20.0}, ALIKE, 10.0, 0.1)
    assert (shares["a"].charge or 0.0) > 0.77
    for _ in range(100):
        shares = next_shares(shares, {"a": 20.0, "b": 80.0}, ALIKE, 10.0, 0.1)
    assert (shares["a"].charge or 0.0) > 0.7
    for _ in range(6000):
        shares = next_shares(shares, {"a": 20.0, "b": 80.0}, ALIKE, 10.0, 0.1)
    assert shares["a"].charge == pytest.approx(0.2, abs=0.01)


def test_a_load_that_comes_is_no_share_of_the_pack_that_is_read_first() -> None:
    """Sixteen packs are read one after the other within a second, and a load of 400 A comes in the middle of it."""
    names = [f"p{n:02}" for n in range(16)]
    currents_a, shares, means_a = dict.fromkeys(names, 0.0), dict[str, Share](), dict[str, float]()
    capacities_ah = dict.fromkeys(names, 100.0)
    for step in range(160):
        if step >= 40:
            currents_a[names[step % 16]] = -25.0
        means_a = next_means(means_a, currents_a, 1.0, 1 / 16)
        shares = next_shares(shares, means_a, capacities_ah, 100.0, 1 / 16)
    assert max(share.discharge or 0.0 for share in shares.values()) < 1.5 / 16


def test_charge_and_discharge_have_shares_of_their_own() -> None:
    """A pack that is fuller gives more and takes less."""
    shares = next_shares({}, {"a": 30.0, "b": 70.0}, ALIKE, 10.0, 1.0)
    shares = next_shares(shares, {"a": -70.0, "b": -30.0}, ALIKE, 10.0, 1.0)

    assert shares["a"] == Share(0.3, 0.7)
    assert shares["b"] == Share(0.7, 0.3)


def test_a_pack_that_comes_anew_takes_its_part_of_what_the_others_had() -> None:
    """Three packs at a third each are four at a quarter each as soon as the fourth is back."""
    three = {name: Share(1 / 3, 1 / 3) for name in "abc"}

    found = next_shares(three, dict.fromkeys("abcd", 1.0), dict.fromkeys("abcd", 100.0), 60.0, 0.1)

    assert found["a"].charge == pytest.approx(0.25)
    assert found["d"] == NO_SHARE
    assert next_shares({}, {"a": 1.0}, {"a": 0.0}, 60.0, 0.1) == {"a": NO_SHARE}


def test_without_any_capacity_packs_count_alike() -> None:
    """A capacity that is not known divides by nothing."""
    packs = [PackLimit("a", 0.0, 50.0), PackLimit("b", 0.0, 50.0)]

    assert share_limit(packs, silent_takes=True).limit_a == pytest.approx(100.0)
