"""What is done and demanded inside the Debian of the rig, one phase for each boot."""

import json
import os
import pwd
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from rigs.installed.hardware import ADAPTER, BMS
from rigs.installed.inside import (
    CONFIG,
    CORE,
    CURRENT,
    ENVIRONMENTS,
    HOME,
    LOGS,
    NAME,
    OUT,
    SERVICES,
    STATE,
    TARGET,
    UNITS,
    WAIT_S,
    Failed,
    charged_wh,
    demand,
    frames_flow,
    frames_since,
    history_rows,
    install_package,
    is_active,
    is_fresh,
    journal,
    leftovers,
    longest_pause_s,
    package_state,
    pid_of,
    processes,
    report,
    run,
    runs_again,
    saved_wh,
    shown,
    size_mib,
    start_upgrade,
    status,
    units_settle,
    until,
)

FIRST_FRAME_S = 3.0
SILENCE_S = 1.5
"""Longest time between two frames of the limits that are due each second."""

SETTINGS = {
    "hardware": {
        "uart": {"device": str(BMS)},
        "can": {"interface": "slcan", "channel": str(ADAPTER), "options": {"sleep_after_open": 0.0}},
    },
}


def connect() -> None:
    """Write a configuration as the pages do, as the user of the service; let the core open pseudo-terminals."""
    CONFIG.write_text(json.dumps(SETTINGS), encoding="utf-8")
    user = pwd.getpwnam(NAME)
    os.chown(CONFIG, user.pw_uid, user.pw_gid)
    CONFIG.chmod(0o600)


def install() -> None:
    """The version before: installed without network, configured, used, and upgraded until the power goes."""
    interfaces = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
    demand(interfaces == ["lo"], "there is no network, only lo")
    install_package("/rig/old.deb")
    until("both units are active without a configuration", lambda: is_active(*UNITS))
    report("both units are active with nothing connected and no configuration")
    for folder in (CONFIG.parent, STATE, LOGS):
        demand(folder.owner() == NAME and folder.stat().st_mode & 0o007 == 0, f"{folder} is of {NAME} alone")
    connect()
    units_settle()
    run(f"/usr/bin/{NAME}", "inhibit", "discharge", "--for", "5h", "--reason", "rig")
    until("counters are saved", lambda: saved_wh() > 1.0)
    until("a history is saved", lambda: (STATE / "history.db").exists() and history_rows() > 1)
    facts = {
        "config": CONFIG.read_text(encoding="utf-8"),
        "environment": str(CURRENT.resolve()),
        "core": pid_of(CORE),
    }
    begun_s = time.monotonic()
    start_upgrade()
    demand(pid_of(CORE) == facts["core"], "the upgrade is in the middle and the old core still runs")
    demand(str(CURRENT.resolve()) == facts["environment"], "the old environment is the one in use")
    pause_s = longest_pause_s(begun_s)
    demand(pause_s < SILENCE_S, f"no frame is missing meanwhile: longest pause {pause_s:.2f} s")
    facts |= {"saved_wh": saved_wh(), "history": history_rows()}
    (OUT / "facts").write_text(json.dumps(facts), encoding="utf-8")


def mend() -> None:
    """After the power cut."""
    facts = json.loads((OUT / "facts").read_text(encoding="utf-8"))
    demand(package_state().startswith(("half-configured", "unpacked")), f"dpkg says: {package_state()}")
    demand(str(CURRENT.resolve()) == facts["environment"], "the environment of the version before is in use")
    units_settle()
    report("the version before works")
    wh_before = charged_wh()
    saved = facts["saved_wh"]
    demand(wh_before >= saved > 0, f"it counts on: {saved:.1f} Wh were on the disk at the cut, {wh_before:.1f} Wh now")
    configure_again(facts)
    demand(charged_wh() >= wh_before, f"the counter is kept: {wh_before:.1f} Wh before, {charged_wh():.1f} Wh after")
    demand(history_rows() >= facts["history"], f"the history is kept: {facts['history']} rows, {history_rows()} now")
    demand(CONFIG.read_text(encoding="utf-8") == facts["config"], "the configuration is the same, byte for byte")
    demand([each["reason"] for each in status()["inhibits"]] == ["rig"], "the inhibit is still there")
    sizes()


def faults() -> None:
    """What can go wrong with the installed program: killed, hung, half installed, no room."""
    units_settle()
    first_frames()
    killed_cores()
    hanging_core()
    killed_services()
    security()
    killed_postinst()
    no_room_for_an_upgrade()
    full_state()


def configure_again(facts: dict[str, Any]) -> None:
    """Let dpkg go on where it stopped."""
    begun_s = time.monotonic()
    run("dpkg", "--configure", "-a")
    report(f"dpkg --configure -a took {time.monotonic() - begun_s:.1f} s: {package_state()}")
    demand(package_state().startswith("installed"), "the package is installed")
    demand(str(CURRENT.resolve()) != facts["environment"], f"{CURRENT.resolve().name} is in use")
    demand([CURRENT.resolve()] == list(ENVIRONMENTS.iterdir()), "no other environment is left")
    units_settle()
    pause_s = longest_pause_s(begun_s)
    demand(pause_s < 10, f"the switch to the new version cost the GX {pause_s:.2f} s without a frame")


def sizes() -> None:
    """Report what is installed."""
    report(f"installed: {size_mib(HOME):.0f} MiB, of which {size_mib(ENVIRONMENTS):.0f} MiB environment; {needed()}")


def needed() -> str:
    """Return what the package demanded."""
    return f"asked for {int((HOME / 'needed-kib').read_text()) / 1024:.0f} MiB"


def first_frames() -> None:
    """From the start of the unit to the first frame, the services starting at once; the best of five counts.

    A machine that does something else meanwhile takes longer, and says so by its load.
    """
    took = []
    for _ in range(5):
        run("systemctl", "stop", TARGET, *UNITS)
        run("systemctl", "start", TARGET)
        frames_flow()
        begun_s = int(shown(CORE, "InactiveExitTimestampMonotonic")) / 1e6
        took.append(frames_since(begun_s)[0] - begun_s)
        until("the services run", lambda: is_active(*UNITS))
    demand(min(took) <= FIRST_FRAME_S, f"unit started to first frame: {spread(took)}; load {os.getloadavg()[0]:.1f}")


def killed_cores() -> None:
    """Kill the core again and again."""
    pauses = []
    for _ in range(10):
        begun_s = time.monotonic()
        os.kill(pid_of(CORE), signal.SIGKILL)
        pauses.append(frames_flow())
    demand(max(pauses) < 5, f"kill -9 of the core, ten times in a row: frames again after {spread(pauses)}")
    begun_s = time.monotonic()
    killed = pid_of(CORE)
    os.kill(killed, signal.SIGKILL)
    until("another core", partial(runs_again, CORE, killed))
    report(
        f"another core ready {time.monotonic() - begun_s:.2f} s after it; {shown(CORE, 'NRestarts')} restarts in all"
    )
    units_settle()


def spread(values: list[float]) -> str:
    """Return least, middle and greatest of some seconds."""
    ordered = sorted(values)
    return f"{ordered[0]:.2f}, {ordered[len(ordered) // 2]:.2f}, {ordered[-1]:.2f} s (least, middle, most)"


def hanging_core() -> None:
    """A core that hangs is killed by the watchdog and started again."""
    stopped = pid_of(CORE)
    limit_s = int(run("systemctl", "show", "--value", "-p", "WatchdogUSec", CORE).strip().removesuffix("s"))
    os.kill(stopped, signal.SIGSTOP)
    begun_s = time.monotonic()
    took_s = until("the watchdog starts another core", partial(runs_again, CORE, stopped), limit_s + 120)
    frames_flow()
    frames_s = time.monotonic() - begun_s
    report(f"kill -STOP: another core after {took_s:.1f} s (watchdog {limit_s} s), frames after {frames_s:.1f} s")
    said = [line for line in journal().splitlines() if "atchdog" in line and "systemd[" in line]
    demand(said, f"the journal says: {said[-1].split(']: ')[-1] if said else ''}")
    reset = status()["watchdog"]["last_reset"]
    demand(reset["cause"] == "watchdog", f"the core says why it was started again: {reset['cause']}")
    units_settle()


def killed_services() -> None:
    """The services fail, and the frames go on."""
    begun_s = time.monotonic()
    for _ in range(5):
        killed = pid_of(SERVICES)
        os.kill(killed, signal.SIGKILL)
        until("other services", partial(runs_again, SERVICES, killed))
    run("systemctl", "stop", SERVICES)
    time.sleep(3)
    run("systemctl", "start", SERVICES)
    pause_s = longest_pause_s(begun_s)
    count = len(frames_since(begun_s))
    demand(
        pause_s < SILENCE_S,
        f"services killed five times and stopped once: {count} frames of the limits in "
        f"{time.monotonic() - begun_s:.0f} s, longest pause {pause_s:.2f} s",
    )


def security() -> None:
    """What systemd thinks of both units, without the line of this rig."""
    for unit in UNITS:
        line = run("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
        report(line.strip("→ ").strip())


def killed_postinst() -> None:
    """A package that is half installed because something killed its script."""
    old, core, begun_s = CURRENT.resolve(), pid_of(CORE), time.monotonic()
    upgrade = start_upgrade()
    os.killpg(upgrade.pid, signal.SIGKILL)
    upgrade.wait()
    demand(
        CURRENT.resolve() == old and pid_of(CORE) == core,
        f"dpkg and its script killed: {package_state()}; the old core runs",
    )
    run("dpkg", "--configure", "-a")
    demand(package_state().startswith("installed"), "dpkg --configure -a mends it")
    demand([CURRENT.resolve()] == list(ENVIRONMENTS.iterdir()), "nothing of the first try is left")
    units_settle()
    report(f"longest pause in the frames, that of the switch: {longest_pause_s(begun_s):.2f} s")


def no_room_for_an_upgrade() -> None:
    """A disk that is nearly full: one line, and the old version goes on."""
    small = Path("/run/small")
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=110m", "tmpfs", small)
    run("cp", "-a", f"{HOME}/.", small)
    run("mount", "--bind", small, HOME)
    core = pid_of(CORE)
    said = run("dpkg", "-i", "/rig/new.deb", good=False)
    lines = [line for line in said.splitlines() if line.startswith(f"{NAME}:")]
    demand(lines and "MiB are needed" in lines[0], f"no room: {lines[0]}")
    report(f"         {lines[1]}")
    demand(pid_of(CORE) == core and is_fresh(), f"{package_state()}; the old core runs")
    run("umount", "--lazy", HOME)
    run("umount", "--lazy", small)
    run("dpkg", "--configure", "-a")
    demand(package_state().startswith("installed"), "with room again dpkg --configure -a mends it")
    units_settle()


def full_state() -> None:
    """A full disk below the state: the frames go on, and the log says once what cannot be written."""
    run("systemctl", "stop", TARGET, *UNITS)
    run("mount", "-t", "tmpfs", "-o", f"size=64k,uid={pwd.getpwnam(NAME).pw_uid},mode=750", "tmpfs", STATE)
    with (STATE / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            report("the state directory is full")
    run("systemctl", "start", TARGET)
    until("fresh data is sent", is_fresh)
    begun_s = time.monotonic()
    time.sleep(25)
    pause_s = longest_pause_s(begun_s)
    demand(pause_s < SILENCE_S, f"frames go on: longest pause {pause_s:.2f} s")
    said = run("journalctl", "--no-pager", "-o", "cat", "-p", "warning", "--since", "-25s", "-u", CORE, good=False)
    lines = [line for line in said.splitlines() if "No space" in line]
    demand(1 <= len(lines) <= 6, f"{len(lines)} lines say so in 25 s, as: {lines[0] if lines else said}")
    run("systemctl", "stop", TARGET, *UNITS)
    run("umount", STATE)
    run("systemctl", "start", TARGET)
    units_settle()


def read_only() -> None:
    """A root that nothing can be written to: frames all the same."""
    try:
        (STATE / "probe").touch()
    except OSError as error:
        report(f"the state directory: {error.strerror}")
    else:
        raise Failed("the root can be written to")
    until("fresh data is sent", is_fresh)
    begun_s = time.monotonic()
    time.sleep(15)
    pause_s = longest_pause_s(begun_s)
    demand(
        pause_s < SILENCE_S, f"frames go on: longest pause {pause_s:.2f} s; services: {shown(SERVICES, 'ActiveState')}"
    )
    said = run("journalctl", "--no-pager", "-o", "cat", "-p", "warning", "-u", CORE, good=False).splitlines()
    for line in [line for line in said if "ead-only" in line][:4]:
        report(f"         {line}")


def remove() -> None:
    """Removal leaves nothing that runs, purge leaves nothing."""
    units_settle()
    run("dpkg", "-r", NAME)
    demand(not processes(), "removed: no process of the program is left")
    demand(not HOME.exists() and not Path(f"/usr/bin/{NAME}").is_symlink(), "its program is gone")
    demand(CONFIG.exists() and (STATE / "history.db").exists(), "configuration, counters and history are kept")
    install_package("/rig/new.deb")
    units_settle()
    report("installed again: it works with what was kept")
    run("dpkg", "-P", NAME)
    demand(not processes(), "purged: no process of the program is left")
    demand(not leftovers(), f"no file is left: {leftovers() or 'none'}")
    accounts = Path("/etc/passwd").read_text() + Path("/etc/group").read_text()
    demand(NAME not in accounts, "no user and no group is left")
    demand(package_state().startswith("dpkg-query: no packages"), "dpkg does not know it any more")
    run("systemctl", "daemon-reload")
    units = run("systemctl", "list-units", "--all", "--plain", "--no-legend", f"{NAME}*").splitlines()
    left = [unit for unit in units if "not-found inactive dead" not in unit]  # rig-hardware.service names one
    demand(not left, f"no unit is left in the memory of systemd: {left or 'none'}")


PHASES = {each.__name__: each for each in (install, mend, faults, read_only, remove)}


def main() -> None:
    """Do the phase that the host asks for."""
    phase = (OUT / "phase").read_text(encoding="utf-8")
    try:
        PHASES[phase]()
    except Exception as error:  # noqa: BLE001 -- whatever it is ends the rig
        traceback.print_exc(file=sys.stdout)
        (OUT / "result").write_text(str(error).partition("\n")[0], encoding="utf-8")
        return
    (OUT / "result").write_text("ok", encoding="utf-8")
    if phase == "install":
        (OUT / "cut").touch()
        time.sleep(WAIT_S)


if __name__ == "__main__":
    main()
