import os
from pathlib import Path

from tinybms_bridge.hal.process_use import ProcessUse, entries_of, process_use


def test_what_the_kernel_tells(tmp_path: Path) -> None:
    """Memory becomes bytes, a mere number stays one; the name in /proc/PID/stat may hold spaces and brackets."""
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "status").write_text("Name:\tpython\nVmHWM:\t  60000 kB\nVmRSS:\t   50000 kB\nThreads:\t9\n")
    (folder / "stat").write_text("7 (a) b (c) S 1 1 1 0 -1 0 0 0 0 0 300 100 0 0 20 0 4 0 0")
    assert process_use(7, tmp_path) == ProcessUse(51_200_000, 61_440_000, 9, 400 / os.sysconf("SC_CLK_TCK"))


def test_where_the_system_tells_nothing(tmp_path: Path) -> None:
    """Another system, or a process that has just ended: nothing is claimed."""
    assert process_use(4711, tmp_path) == ProcessUse()
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "stat").write_text("8 (cut")
    assert process_use(8, tmp_path) == ProcessUse()


def test_this_process() -> None:
    """It runs, so it takes something of each."""
    found = process_use()
    assert found.resident
    assert found.resident_max
    assert found.resident <= found.resident_max
    assert found.threads
    assert found.cpu_s


def test_lines_that_hold_no_number_are_left_out(tmp_path: Path) -> None:
    """Masks, lists and words of /proc/PID/status are none of them."""
    file = tmp_path / "status"
    file.write_text("Uid:\t0\t0\t0\t0\nSeccomp:\t0\nCpus_allowed:\tff\nbroken\nVmRSS:\t1 MB\n")
    assert entries_of(file) == {"Seccomp": 0}
