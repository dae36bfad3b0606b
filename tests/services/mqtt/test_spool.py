"""What waits for a broker: bounded, in order, over restarts, and with a disk that fails."""

import errno
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.services.mqtt.spool import KeptMessage, Spool


def kept(number: int, size: int = 0) -> KeptMessage:
    """Return a message."""
    return KeptMessage("r/replay/battery/state", b'{"seq":%d,"x":"%s"}' % (number, b"x" * size))


async def taken(spool: Spool) -> list[KeptMessage]:
    """Return all that a broker would get."""
    found: list[KeptMessage] = []
    while (batch := await spool.take()) is not None:
        found += batch.messages
        await spool.done(batch)
    return found


async def test_messages_come_back_in_their_order_also_after_a_restart(tmp_path: Path) -> None:
    """Nothing is lost of what is on the disk, and nothing comes twice once a broker has it."""
    first = Spool(tmp_path / "spool", 1_000_000, in_place)
    await first.open()
    for number in range(5):
        first.add(kept(number))
        await first.flush()
    again = Spool(tmp_path / "spool", 1_000_000, in_place)
    await again.open()
    assert again.kept_bytes > 0
    again.add(kept(5))
    assert await taken(again) == [kept(number) for number in range(6)]
    assert again.kept_bytes == 0
    third = Spool(tmp_path / "spool", 1_000_000, in_place)
    await third.open()
    assert await taken(third) == []


async def test_what_was_not_confirmed_comes_again(tmp_path: Path) -> None:
    """A broker that dies in the middle gets the rest, or all of it, from the next connection."""
    spool = Spool(tmp_path / "spool", 1_000_000, in_place)
    for number in range(3):
        spool.add(kept(number))
    await spool.flush()
    spool.add(kept(3))
    batch = await spool.take()
    assert batch is not None
    spool.give_back(batch, sent=1)
    assert await taken(spool) == [kept(number) for number in range(4)]
    spool = Spool(None, 1_000_000, in_place)
    for number in range(3):
        spool.add(kept(number))
    batch = await spool.take()
    assert batch is not None
    spool.add(kept(3))
    spool.give_back(batch, sent=1)
    assert await taken(spool) == [kept(1), kept(2), kept(3)]


async def test_newest_are_kept_and_the_others_counted(tmp_path: Path) -> None:
    """A broker that is away for weeks costs no more of the disk than was allowed."""
    spool = Spool(tmp_path / "spool", 400_000, in_place)
    for number in range(2000):
        spool.add(kept(number, 500))
        if number % 10 == 9:
            await spool.flush()
    size = sum(each.stat().st_size for each in (tmp_path / "spool").iterdir())
    assert size == spool.kept_bytes <= 400_000
    found = await taken(spool)
    assert found == [kept(number, 500) for number in range(2000 - len(found), 2000)]
    assert len(found) > 600
    assert spool.dropped == 2000 - len(found)


async def test_nothing_is_kept_where_nothing_is_wanted(tmp_path: Path) -> None:
    """Size 0: no folder, and what is lost is counted."""
    spool = Spool(tmp_path / "spool", 0, in_place)
    spool.add(kept(1))
    await spool.flush()
    assert await taken(spool) == []
    assert spool.dropped == 1
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
async def test_disk_that_fails_leaves_the_newest_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, nothing else is held up, and the disk is used again once it can be."""
    spool = Spool(tmp_path / "spool", 10_000_000, in_place)
    opened = Path.open

    def fail(path: Path, *words: Any, **options: Any) -> Any:
        if path.suffix == ".messages":
            raise OSError(number, "no")
        return opened(path, *words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        for each in range(3000):
            spool.add(kept(each, 500))
            if each % 100 == 0:
                await spool.flush()
    assert "cannot be kept on the disk" in str(spool.error)
    assert 900_000 < spool.kept_bytes <= 1_000_000
    assert sum("cannot be kept on the disk" in each.message for each in caplog.records) == 1
    await spool.flush()
    assert spool.error is None
    found = await taken(spool)
    assert found[-1] == kept(2999, 500)
    assert spool.dropped == 3000 - len(found)


@given(cut=st.integers(0, 200), garbage=st.binary(max_size=60))
async def test_files_that_a_crash_or_a_card_has_spoilt(
    tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes
) -> None:
    """Whole lines of before the damage are sent, nothing raises, and what comes later is sound."""
    folder = tmp_path_factory.mktemp("spool")
    first = Spool(folder, 1_000_000, in_place)
    for number in range(4):
        first.add(kept(number))
    await first.flush()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: max(0, len(whole) - cut)] + garbage)
    again = Spool(folder, 1_000_000, in_place)
    await again.open()
    again.add(kept(9))
    await again.flush()
    found = await taken(again)
    lines = (len(whole) - cut) // (len(whole) // 4) if cut < len(whole) else 0
    assert found[:lines] == [kept(number) for number in range(lines)]
    assert found[-1] == kept(9)
