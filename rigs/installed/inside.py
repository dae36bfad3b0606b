"""What the steps of the rig look at and do: units, frames, the state of the program, packages."""

import json
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from rigs.installed.hardware import FRAMES

OUT = Path("/rig/out")
NAME = "tinybms-bridge"
CORE, SERVICES, TARGET = f"{NAME}-core.service", f"{NAME}-services.service", f"{NAME}.target"
UNITS = (CORE, SERVICES)
HOME = Path("/usr/lib") / NAME
ENVIRONMENTS, CURRENT = HOME / "environments", HOME / "current"
CONFIG = Path("/etc") / NAME / "config.json"
STATE = Path("/var/lib") / NAME
LOGS = Path("/var/log") / NAME
LIMITS = "351"
WAIT_S = 180.0
"""Patience that only something broken reaches."""
BEGUN_S = time.monotonic()


class Failed(Exception):  # noqa: N818 -- what it says is the result
    """Something is not as it should be."""


def report(text: str) -> None:
    """Print a line with the time since the beginning of the phase."""
    print(f"{time.monotonic() - BEGUN_S:7.2f} s  {text}", flush=True)


def demand(holds: object, what: str) -> None:
    """Report what holds; fail when it does not."""
    if not holds:
        raise Failed(f"not so: {what}")
    report(what)


def run(*words: str | Path, good: bool = True) -> str:
    """Return what a program prints. Fails when it does, unless any end is good."""
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True)  # noqa: S603
    if good and done.returncode:
        raise Failed(f"{' '.join(map(str, words))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def until(what: str, condition: Callable[[], object], patience_s: float = WAIT_S) -> float:
    """Wait until something holds; return the seconds it took."""
    begun_s = time.monotonic()
    while not condition():
        if time.monotonic() - begun_s > patience_s:
            raise Failed(f"not within {patience_s:.0f} s: {what}\n" + journal())
        time.sleep(0.02)
    return time.monotonic() - begun_s


def journal() -> str:
    """Return the end of what both units wrote."""
    return run("journalctl", "--no-pager", "-n", "40", "-u", CORE, "-u", SERVICES, good=False)


def shown(unit: str, key: str) -> str:
    """Return a property of a unit."""
    return run("systemctl", "show", "--value", "-p", key, unit).strip()


def pid_of(unit: str) -> int:
    """Return the main process of a unit, 0 for none."""
    return int(shown(unit, "MainPID") or 0)


def is_active(*units: str) -> bool:
    """Tell whether units run."""
    return all(shown(unit, "ActiveState") == "active" for unit in units)


def runs_again(unit: str, killed: int) -> bool:
    """Tell whether a unit runs as another process than the one that was killed."""
    return pid_of(unit) not in (0, killed) and is_active(unit)


def frame_times(identifier: str = LIMITS) -> list[float]:
    """Return when each frame came (CLOCK_MONOTONIC)."""
    lines = FRAMES.read_text(encoding="ascii").splitlines()
    return [float(line.split()[0]) for line in lines if line.split()[1] == identifier]


def frames_since(at_s: float) -> list[float]:
    """Return when frames of the limits came, from a time on."""
    return [each for each in frame_times() if each > at_s]


def longest_pause_s(begun_s: float) -> float:
    """Return the longest time without a frame since ``begun_s``, up to now."""
    times = [begun_s, *frames_since(begun_s), time.monotonic()]
    return max(after - before for before, after in pairwise(times))


def frames_flow(patience_s: float = WAIT_S) -> float:
    """Wait for frames from now on; return the seconds until the first."""
    begun_s = time.monotonic()
    until("frames are sent", lambda: frames_since(begun_s), patience_s)
    return frames_since(begun_s)[0] - begun_s


def is_fresh() -> bool:
    """Tell whether the program says that fresh data is sent to the GX."""
    return subprocess.run([f"/usr/bin/{NAME}", "status", "--json"], check=False, capture_output=True).returncode == 0  # noqa: S603


def status() -> Any:  # noqa: ANN401 -- a JSON document
    """Return the state of the running bridge."""
    done = subprocess.run([f"/usr/bin/{NAME}", "status", "--json"], check=False, capture_output=True, text=True)  # noqa: S603
    return json.loads(done.stdout)


def charged_wh() -> float:
    """Return the counter of the energy charged."""
    return float(status()["battery"]["energy"]["charged_wh"])


def saved_wh() -> float:
    """Return the same counter as far as it is on the disk."""
    return float(status()["battery"]["saved_energy"]["charged_wh"])


def history_rows() -> int:
    """Return how many rows the history has in all, counted in a copy: the services keep the file to themselves."""
    with tempfile.TemporaryDirectory() as folder:
        for path in STATE.glob("history.db*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "history.db")) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return sum(int(database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in names)  # noqa: S608


def size_mib(folder: Path) -> float:
    """Return what a folder takes."""
    return int(run("du", "-sk", folder).split()[0]) / 1024


def units_settle() -> None:
    """Wait until both units run and fresh data is sent."""
    took_s = until("both units are active and fresh data is sent", lambda: is_active(*UNITS) and is_fresh())
    report(f"both units active, status says fresh (waited {took_s:.1f} s)")


def package_state() -> str:
    """Return what dpkg thinks of the package."""
    return run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", NAME, good=False).strip()


def install_package(package: str) -> None:
    """Install a package and say how long it took."""
    begun_s = time.monotonic()
    run("dpkg", "-i", package)
    report(f"dpkg -i took {time.monotonic() - begun_s:.1f} s: {package_state()}")


def environment_begins() -> Path | None:
    """Return the environment that is being made, once some of its libraries are there."""
    for each in ENVIRONMENTS.iterdir():
        packages = each / "lib/python3.11/site-packages"
        if each != CURRENT.resolve() and (packages / "pydantic").is_dir() and not (each / ".complete").exists():
            return each
    return None


def start_upgrade() -> "subprocess.Popen[bytes]":
    """Begin to install the new package, and return once it is in the middle of it."""
    words = ["dpkg", "-i", "/rig/new.deb"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    until("the new environment is half made", environment_begins)
    return process


def processes() -> list[str]:
    """Return the command lines of what still runs of the program; the simulator is not of it."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            line = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(HOME) in line:
            found.append(line)
    return found


def leftovers() -> list[str]:
    """Return each file with the name of the program that does not belong to the rig or to dpkg's own list."""
    words = ["find", "/etc", "/usr", "/var", "/run", "/opt", "/home", "/root", "-xdev", "-name", "*tinybms*"]
    found = run(*words, good=False).splitlines()
    return [
        each for each in found if "/rig" not in each and "/etc/systemd/system/tinybms-bridge-core.service.d" not in each
    ]
