"""The history survives a process that is killed while it writes."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tinybms_bridge.services.history.database import Database
from tinybms_bridge.services.history.levels import LEVELS, HistorySettings
from tinybms_bridge.services.history.reader import HistoryReader
from tinybms_bridge.services.history.steps import Row, StepBuilder

KILLS = 5

WRITER = """
import os, sys
from pathlib import Path
from tinybms_bridge.services.history import database
from tinybms_bridge.services.history.levels import HistorySettings
from tinybms_bridge.services.history.steps import Row, StepBuilder

database._LOG_BYTES = 20_000
kept = database.Database(Path(sys.argv[1]), HistorySettings())
values = StepBuilder().finish()
number = int(sys.argv[2])
kept.write([])
while True:
    os.write(1, f"{number}\\n".encode())
    kept.write([Row(60 * number + 10 * step, values) for step in range(6)])
    kept._connection.execute("PRAGMA wal_autocheckpoint = 20")
    number += 1
"""
"""Writes one minute after the other; tells each before it writes it."""


def run(folder: Path, first: int, batches: int) -> int:
    """Let a child write, kill it in the middle of a later batch, and return the last batch that it told."""
    arguments = [sys.executable, "-c", WRITER, str(folder), str(first)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(batches)]
        os.kill(child.pid, signal.SIGKILL)
        told += child.stdout.read().splitlines()
        child.wait(30)
    return int(told[-1])


def test_kill_costs_at_most_the_batch_being_written(tmp_path: Path) -> None:
    """After each kill -9 the file is whole, and every batch but perhaps the last is in every level."""
    first = 1
    for _ in range(KILLS):
        last = run(tmp_path, first, random.randint(1, 40))
        with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (rows, newest) = connection.execute("SELECT count(*), max(start_s) FROM steps").fetchone()
            (minutes,) = connection.execute("SELECT count(*) FROM minutes").fetchone()
        written = rows // 6
        assert (rows % 6, minutes) == (0, written)
        assert written in (last - 1, last)
        assert newest == 60 * written + 50 if written else newest is None
        first = written + 1
    assert first > 1, "the children must have written"
    with closing(Database(tmp_path, HistorySettings())) as database:
        database.write([Row(60 * first, StepBuilder().finish())])
    _, (level,) = HistoryReader(tmp_path / "history.db").stored({LEVELS[0]: 2})
    assert level.rows == 6 * (first - 1) + 1
