"""The package as a user has it: ``python -m rigs.installed``, as root, with debootstrap and systemd-nspawn.

A Debian without network, with systemd as PID 1, gets the package of the commit before there was one, then that of this
tree, with a power cut in the middle; then what can go wrong is tried, up to removal and purge. What is connected is
simulated inside (``hardware.py``); what is done and demanded is in ``steps.py``. Prints what was seen with its times;
ends with an error at the first thing that is not as it should be.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinybms-bridge-rigs"
RELEASE = "bookworm"
PACKAGES = "systemd,systemd-sysv,dbus,udev,python3,python3-venv"
FIRST_FILE = "packaging/debian/postinst"
"""The commit that added it is the first with a package."""
LOOK_S = 0.1

UNITS = {
    "rig-hardware.service": """\
[Unit]
Before=tinybms-bridge-core.service
[Service]
Type=notify
ExecStart=/rig/venv/bin/python -m rigs.installed.hardware
Environment=PYTHONPATH=/rig/tree
[Install]
WantedBy=multi-user.target
""",
    "rig.service": """\
[Unit]
After=rig-hardware.service
[Service]
Type=exec
ExecStart=/rig/venv/bin/python -m rigs.installed.steps
Environment=PYTHONPATH=/rig/tree PYTHONUNBUFFERED=1
StandardOutput=append:/rig/out/report
StandardError=append:/rig/out/report
ExecStopPost=systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
""",
    "tinybms-bridge-core.service.d/rig.conf": """\
# What is simulated is on pseudo-terminals, which no real port is.
[Service]
DeviceAllow=char-pts rw
""",
}


def say(text: str) -> None:
    """Print a heading."""
    print(f"\n== {text}", flush=True)


def command(*words: str | Path, **options: object) -> None:
    """Run a program to its end; a failure ends the rig. What it prints is shown only then."""
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True, **options)  # type: ignore[call-overload]  # noqa: S603
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")


def check_machine() -> None:
    """Exit with a line that says what is missing here."""
    if os.geteuid() != 0:
        sys.exit("error: this rig starts a Debian of its own, which needs root")
    missing = [name for name in ("debootstrap", "systemd-nspawn", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        sys.exit(f"error: {', '.join(missing)} missing: apt install debootstrap systemd-container dpkg")


def base_root() -> Path:
    """Return a Debian to copy, made the first time."""
    base = CACHE / RELEASE
    if not (base / "usr/bin/python3").exists() or not (base / "usr/sbin/init").exists():
        say(f"Fetching a Debian {RELEASE} into {base}, once: two minutes")
        partial = CACHE / f"{RELEASE}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        command("debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, partial)
        partial.rename(base)
    return base


def first_commit() -> str:
    """Return the last commit without a package."""
    words = ["git", "-C", str(ROOT), "log", "--diff-filter=A", "--format=%H", "--", FIRST_FILE]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    return f"{found[-1]}^" if found else "HEAD"


def wheel_of(commit: str, folder: Path) -> Path:
    """Build the wheel of a commit."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    archive = folder / "tree.tar"
    command("git", "-C", ROOT, "archive", "--output", archive, commit)
    command("tar", "-xf", archive, "-C", tree)
    command(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=tree)
    (wheel,) = folder.glob("*.whl")
    return wheel


def deb(folder: Path, *words: str | Path) -> Path:
    """Build a package."""
    command(sys.executable, ROOT / "scripts" / "deb.py", "--out", folder, *words)
    (package,) = folder.glob("*.deb")
    return package


def quiet_services(package: Path, folder: Path) -> None:
    """Have the unit of the services not wait for a word from them: the version before says none."""
    command("dpkg-deb", "-R", package, folder)
    unit = folder / "usr/lib/tinybms-bridge/units/tinybms-bridge-services.service"
    lines = unit.read_text(encoding="utf-8").replace("Type=notify", "Type=exec").splitlines(keepends=True)
    unit.write_text("".join(line for line in lines if not line.startswith("WatchdogSec")), encoding="utf-8")
    command("dpkg-deb", "--root-owner-group", "--build", folder, package)


def prepare(root: Path, scratch: Path, given: Path | None, landed: str) -> None:
    """Fill a copy of the base: both packages, what is simulated, and the units of the rig."""
    rig = root / "rig"
    (rig / "out").mkdir(parents=True)
    say("Building the package of this tree, and one of the version before")
    new = given or deb(scratch / "new")
    wheel = wheel_of(landed, scratch / "landed")
    version = new.name.split("_")[1]
    old = deb(scratch / "old", "--wheel", wheel, "--version", f"{version}~before")
    quiet_services(old, scratch / "repacked")
    shutil.copyfile(new, rig / "new.deb")
    shutil.copyfile(old, rig / "old.deb")
    print(f"{old.name}: {old.stat().st_size / 1e6:.1f} MB, of commit {landed[:12]}")
    print(f"{new.name}: {new.stat().st_size / 1e6:.1f} MB")

    command("dpkg-deb", "-x", new, scratch / "unpacked")
    wheels = rig / "wheels"
    shutil.copytree(scratch / "unpacked/usr/lib/tinybms-bridge/wheels", wheels)
    command(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=ROOT / "lab")
    shutil.copytree(ROOT / "rigs", rig / "tree/rigs")
    command("chroot", root, "/usr/bin/python3", "-m", "venv", "/rig/venv")
    names = [f"/rig/wheels/{path.name}" for path in sorted(wheels.glob("*.whl"))]
    command("chroot", root, "/rig/venv/bin/python", "-m", "pip", "install", "--no-index", "--no-deps", *names)
    for name, text in UNITS.items():
        path = root / "etc/systemd/system" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if "[Install]" in text:
            wanted = root / "etc/systemd/system/multi-user.target.wants" / name
            wanted.symlink_to(f"/etc/systemd/system/{name}")


def lines_of(path: Path, seen: int) -> tuple[list[str], int]:
    """Return the whole lines of a file from an offset on, and where the next begins."""
    if not path.exists():
        return [], seen
    with path.open("rb") as file:
        file.seek(seen)
        data = file.read()
    end = data.rfind(b"\n") + 1
    return data[:end].decode(errors="replace").splitlines(), seen + end


def switch_off(process: subprocess.Popen[bytes]) -> None:
    """Kill the first process of a Debian, and all of it with that; without its starter it would go on."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with suppress(FileNotFoundError):
        for child in children.read_text(encoding="ascii").split():
            os.kill(int(child), signal.SIGKILL)
    process.wait()


def boot(root: Path, out: Path, phase: str, words: Sequence[str] = (), *, patience_s: float) -> None:
    """Boot once and show what is reported; a phase ends by switching off, or asks for a power cut."""
    for name in ("report", "result", "cut"):
        (out / name).unlink(missing_ok=True)
    (out / "phase").write_text(phase, encoding="utf-8")
    machine = ["systemd-nspawn", "--quiet", "--directory", str(root), "--boot", "--private-network", "--register=no"]
    machine += ["--keep-unit", f"--machine=tinybms-rig-{os.getpid()}", f"--bind={out}:/rig/out", *words]
    seen = 0
    end_s = time.monotonic() + patience_s
    with (out / "console").open("ab") as console:
        process = subprocess.Popen(machine, stdin=subprocess.DEVNULL, stdout=console, stderr=console)  # noqa: S603
        try:
            while process.poll() is None:
                if time.monotonic() > end_s:
                    sys.exit(f"error: {phase} took longer than {patience_s:.0f} s")
                lines, seen = lines_of(out / "report", seen)
                print("\n".join(lines), end="\n" if lines else "", flush=True)
                if (out / "cut").exists():
                    print("          the power goes", flush=True)
                    break
                time.sleep(LOOK_S)
        finally:
            switch_off(process)
    lines, _ = lines_of(out / "report", seen)
    print("\n".join(lines), end="\n" if lines else "", flush=True)
    if not (out / "result").exists():
        console_end = (out / "console").read_text(errors="replace").splitlines()[-20:]
        sys.exit(f"error: {phase} ended without a result\n" + "\n".join(console_end))
    result = (out / "result").read_text(encoding="utf-8")
    if result != "ok":
        sys.exit(f"error: {phase}: {result}")


@contextmanager
def workplace(keep: bool) -> Iterator[Path]:
    """Make a folder beside the base, so that a copy is cheap; remove it unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="installed-", dir=CACHE))
    try:
        yield folder
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m rigs.installed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--package", type=Path, help="a package in place of that of this tree")
    parser.add_argument("--before", default="", help="commit to upgrade from; otherwise the last without a package")
    parser.add_argument("--keep", action="store_true", help="keep the Debian, to look into it")
    options = parser.parse_args()
    check_machine()
    base = base_root()
    begun_s = time.monotonic()
    with workplace(options.keep) as scratch:
        root, out = scratch / "root", scratch / "out"
        out.mkdir()
        command("cp", "-a", "--reflink=auto", base, root)
        prepare(root, scratch, options.package, options.before or first_commit())
        say("The version before: installed, configured, and upgraded until the power goes")
        boot(root, out, "install", patience_s=1800)
        say("After the power cut: the version before works, and the upgrade is mended")
        boot(root, out, "mend", patience_s=1800)
        say("Killed, hung, half installed, without room")
        boot(root, out, "faults", patience_s=3600)
        say("A root that nothing can be written to")
        boot(root, out, "read_only", ["--read-only"], patience_s=900)
        say("Removed, installed again, purged")
        boot(root, out, "remove", patience_s=1800)
    print(f"\nEverything as it should be, after {time.monotonic() - begun_s:.0f} s")


if __name__ == "__main__":
    main()
