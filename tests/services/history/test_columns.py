"""Two rows of the same time become one, in the file as in memory."""

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.services.history.columns import Numbers, StoredColumn, Table, Unite

TABLE = Table(
    "things",
    (StoredColumn("number"),),
    (
        StoredColumn("total"),
        StoredColumn("least", Unite.LEAST),
        StoredColumn("greatest", Unite.GREATEST),
        StoredColumn("latest", Unite.LATEST),
        StoredColumn("of_least", Unite.WITH_LEAST, "least", "TEXT"),
        StoredColumn("of_greatest", Unite.WITH_GREATEST, "greatest"),
        StoredColumn("same", Unite.SAME, kind="TEXT"),
    ),
)

NUMBER = st.none() | st.integers(-5, 5)
EXTREME = st.tuples(NUMBER, st.integers(0, 99))


@st.composite
def rows(draw: st.DrawFn) -> Numbers:
    """A row whose companions are known when their extremes are."""
    (least, of_least), (greatest, of_greatest) = draw(EXTREME), draw(EXTREME)
    return (
        draw(NUMBER),
        least,
        greatest,
        draw(NUMBER),
        None if least is None else f"pack {of_least}",
        None if greatest is None else of_greatest,
        draw(st.none() | st.sampled_from(["", "a", "b"])),
    )


@given(st.lists(rows(), min_size=1, max_size=6))
def test_file_and_memory_unite_alike(found: list[Numbers]) -> None:
    """What is united before it is written is what the file would have made of the pieces."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(TABLE.create)
        for row in found:
            connection.execute(TABLE.upsert, (1, *row))
        (stored,) = connection.execute(f"SELECT {', '.join(TABLE.names)} FROM things").fetchall()
    assert stored == TABLE.united(found)


@given(st.lists(rows(), min_size=1, max_size=6))
def test_companion_is_that_of_the_extreme(found: list[Numbers]) -> None:
    """The cell beside the lowest voltage is the one that had it."""
    (_, least, greatest, _, of_least, of_greatest, _) = TABLE.united(found)
    assert (least, of_least) in [(row[1], row[4]) for row in found]
    assert (greatest, of_greatest) in [(row[2], row[5]) for row in found]
    known = [row[1] for row in found if isinstance(row[1], int)]
    assert least == min(known, default=None)


def test_same_stays_while_it_is() -> None:
    """Unknown changes nothing; two that differ are none of them, whatever comes later."""
    nothing: Numbers = (None,) * 6

    def of(*values: str | None) -> object:
        return TABLE.united([(*nothing, value) for value in values])[6]

    assert (of(None, "a", None, "a"), of(None, None), of("a", "b"), of("a", "b", "a")) == ("a", None, "", "")
