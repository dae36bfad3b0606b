#!/usr/bin/env python3
"""Build the Debian package: ``dist/tinybms-bridge_VERSION_ARCH.deb``, for the Python that runs this.

In it are the wheel of this tree, a wheel of each library that it needs as ``requirements/runtime.txt`` names it, the
units, and the maintainer scripts of ``packaging/debian/``, which make an environment of them without network. The same
tree gives the same package, byte for byte.

    scripts/deb.py [--out FOLDER]
    scripts/deb.py --wheel FILE --version VERSION    another wheel of the program, under a version of its own
"""

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from email.utils import formatdate
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NAME = "tinybms-bridge"
HOME = f"usr/lib/{NAME}"
SCRIPTS = ("postinst", "prerm", "postrm")
MAINTAINER = "tinybms-bridge contributors <tinybms-bridge@users.noreply.github.com>"
UNITS = f"{HOME}/units"
"""Units go along with the environment that they start; the folder of systemd has links to those of the one in use."""
UNIT_FOLDERS = {
    ".service": UNITS,
    ".target": "usr/lib/systemd/system",
    ".rules": "usr/lib/udev/rules.d",
    ".conf": "usr/lib/sysusers.d",
}
"""Where a package puts each of the files that ``install-service`` makes."""

COMPILED = 2.8
"""Size of an installed library in those of its files: byte code beside the source, blocks that are not full, and a
tenth to spare."""
PIP_KIB = 16 * 1024
"""What an environment has before anything is installed in it."""


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def debian_version(version: str) -> str:
    """Return a version of Python as one of Debian, so that a candidate is older than what it is a candidate for."""
    return re.sub(r"\.?(dev|a|b|rc)(\d+)", r"~\1\2", version)


def pinned(lock: str) -> dict[str, str]:
    """Return each entry of a lock, with its hashes, by the name of its library."""
    entries = re.findall(r"^[a-z0-9].*(?:\n +--hash=.*)*", lock, flags=re.MULTILINE)
    return {canonicalize_name(re.split(r"[=\[ ]", entry, maxsplit=1)[0]): entry for entry in entries}


def metadata_of(wheel: Path) -> Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def needed(metadata: Message, extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Yield what a distribution needs on this machine."""
    for line in metadata.get_all("Requires-Dist") or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def download(entries: Iterable[str], folder: Path) -> None:
    """Fetch the wheels of entries of the lock. Exits with a line that says what is missing."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(entries) + "\n")
        wanted.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", wanted.name]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"error: not every library has a wheel for {platform()}, or the network is missing; see above")


def collect(wheel: Path, lock: dict[str, str], folder: Path) -> None:
    """Fill a folder with a wheel and those of everything that it needs, at the versions of the lock."""
    shutil.copyfile(wheel, folder / wheel.name)
    found: set[tuple[str, frozenset[str]]] = set()
    open_ends = list(needed(metadata_of(wheel)))
    while open_ends:
        wanted = {(canonicalize_name(each.name), frozenset(each.extras)) for each in open_ends} - found
        found |= wanted
        have = {canonicalize_name(path.name.split("-")[0]): path for path in folder.glob("*.whl")}
        missing = {name for name, _ in wanted} - have.keys()
        if unlocked := missing - lock.keys():
            sys.exit(f"error: requirements/runtime.txt has no {', '.join(sorted(unlocked))}; run `make lock`")
        if missing:
            say(f"  {', '.join(sorted(missing))}")
            download((lock[name] for name in sorted(missing)), folder)
            have = {canonicalize_name(path.name.split("-")[0]): path for path in folder.glob("*.whl")}
        open_ends = [
            each for name, extras in sorted(wanted, key=str) for each in needed(metadata_of(have[name]), extras)
        ]


def requirements_of(folder: Path) -> str:
    """Return what pip is to install from a folder of wheels: each with its version and hash."""
    lines = []
    for path in sorted(folder.glob("*.whl")):
        metadata = metadata_of(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{metadata['Name']}=={metadata['Version']} --hash=sha256:{digest}\n")
    return "".join(lines)


def room_kib(folder: Path) -> int:
    """Return about how much an environment of these wheels takes, in KiB."""
    bytes_ = 0
    for path in folder.glob("*.whl"):
        with zipfile.ZipFile(path) as archive:
            bytes_ += sum(info.file_size for info in archive.infolist())
    return round(bytes_ * COMPILED / 1024) + PIP_KIB


def platform() -> str:
    """Return what the package is for, in words."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor} on {architecture()}"


def architecture() -> str:
    """Return Debian's name of this architecture."""
    command = ["dpkg", "--print-architecture"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def control(version: str, installed_kib: int) -> str:
    """Return the control file. An environment is bound to the Python that it was made with."""
    major, minor = sys.version_info[:2]
    fields = {
        "Package": NAME,
        "Version": version,
        "Architecture": architecture(),
        "Maintainer": MAINTAINER,
        "Installed-Size": str(installed_kib),
        "Depends": f"python3 (>= {major}.{minor}), python3 (<< {major}.{minor + 1}), python3-venv, systemd (>= 247), "
        "init-system-helpers (>= 1.52)",
        "Recommends": "udev, libusb-1.0-0",
        "Section": "utils",
        "Priority": "optional",
        "Description": "makes a battery with an Enepaq TinyBMS a battery of a Victron GX\n"
        " Reads one or more TinyBMS over a serial line, and tells a Victron GX over CAN\n"
        " what may flow into and out of the battery. Web pages, history and log run in\n"
        " a process of their own. Installs without network.",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


@dataclass(frozen=True)
class Moment:
    """The time that stands for the tree, in place of the time of the build."""

    epoch: int

    def stamp(self, folder: Path) -> None:
        """Give each file of a folder this time and the rights that a package has."""
        for path in [folder, *folder.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (self.epoch, self.epoch), follow_symlinks=False)


def moment() -> Moment:
    """Return ``SOURCE_DATE_EPOCH``, else the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not given:
        command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        given = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return Moment(int(given or time.time()))


def build_wheel(folder: Path, when: Moment) -> Path:
    """Build the wheel of this tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when.epoch)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    return wheel


def write_units(root: Path) -> None:
    """Have the program write its units, the rule of udev and the user, each where a package has it."""
    with tempfile.TemporaryDirectory() as made:
        code = "import sys; from tinybms_bridge.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "install-service", "--files-to", made, "--program", f"/usr/bin/{NAME}"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        for path in sorted(Path(made).rglob("*")):
            if path.is_file():
                target = root / UNIT_FOLDERS[path.suffix] / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    systemd = root / UNIT_FOLDERS[".target"]
    for path in sorted((root / UNITS).iterdir()):
        (systemd / path.name).symlink_to(f"../../{NAME}/current/units/{path.name}")


def write_documents(root: Path, version: str, when: Moment) -> None:
    """Add what each package of Debian has: a license, and a list of changes that leads to ours."""
    folder = root / "usr/share/doc" / NAME
    folder.mkdir(parents=True)
    text = (ROOT / "LICENSE").read_text(encoding="utf-8").replace("\n\n", "\n.\n").rstrip()
    indented = "".join(f" {line}\n" for line in text.splitlines())
    (folder / "copyright").write_text(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: {NAME}\nComment: The license of each library is in its wheel in /{HOME}/wheels.\n\n"
        f"Files: *\nCopyright: tinybms-bridge contributors\nLicense: MIT\n{indented}",
        encoding="utf-8",
    )
    dated = formatdate(when.epoch, localtime=False, usegmt=False).replace("-0000", "+0000")
    entry = f"{NAME} ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- {MAINTAINER}  {dated}\n"
    for name, content in {
        "changelog.gz": entry.encode(),
        "CHANGELOG.md.gz": (ROOT / "CHANGELOG.md").read_bytes(),
    }.items():
        (folder / name).write_bytes(gzip.compress(content, 9, mtime=0))
    overrides = root / "usr/share/lintian/overrides" / NAME
    overrides.parent.mkdir(parents=True)
    overrides.write_text(
        "# The units change at the same moment as the environment that they start.\n"
        f"{NAME}: service-file-is-not-a-file *\n",
        encoding="utf-8",
    )


def write_package(root: Path, wheel: Path, version: str, when: Moment) -> None:
    """Lay out the files of the package below ``root``."""
    home, wheels = root / HOME, root / HOME / "wheels"
    wheels.mkdir(parents=True)
    say("Fetching the libraries")
    collect(wheel, pinned((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")), wheels)
    (wheels / "requirements.txt").write_text(requirements_of(wheels), encoding="utf-8")
    (home / "version").write_text(f"{version}\n", encoding="utf-8")
    (home / "needed-kib").write_text(f"{room_kib(wheels)}\n", encoding="utf-8")
    (root / "usr/bin").mkdir()
    (root / "usr/bin" / NAME).symlink_to(f"../lib/{NAME}/current/bin/{NAME}")
    write_units(root)
    write_documents(root, version, when)
    installed_kib = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    debian = root / "DEBIAN"
    debian.mkdir()
    (debian / "control").write_text(control(version, installed_kib), encoding="utf-8")
    for name in SCRIPTS:
        shutil.copyfile(ROOT / "packaging" / "debian" / name, debian / name)
        (debian / name).chmod(0o755)
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(root)}\n"
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and debian not in path.parents
    ]
    (debian / "md5sums").write_text("".join(sums), encoding="utf-8")
    when.stamp(root)


def build(out: Path, *, wheel: Path | None = None, version: str = "") -> Path:
    """Build the package into a folder and return its path. Exits with a line where something is missing."""
    if shutil.which("dpkg-deb") is None:
        sys.exit("error: dpkg-deb is missing; a Debian package is built on Debian or one of its kin")
    when = moment()
    with tempfile.TemporaryDirectory() as scratch:
        if wheel is None:
            say("Building the wheel")
            wheel = build_wheel(Path(scratch) / "wheel", when)
        version = version or debian_version(metadata_of(wheel)["Version"])
        root = Path(scratch) / "root"
        write_package(root, wheel, version, when)
        out.mkdir(parents=True, exist_ok=True)
        package = out / f"{NAME}_{version}_{architecture()}.deb"
        say(f"Packing for {platform()}")
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(package)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when.epoch)}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        needed_mib = int((root / HOME / "needed-kib").read_text()) / 1024
    say(f"{package}: {package.stat().st_size / 1e6:.1f} MB; needs about {needed_mib:.0f} MiB more once installed")
    return package


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the package; otherwise dist/")
    parser.add_argument("--wheel", type=Path, help="a wheel of the program in place of this tree's")
    parser.add_argument("--version", default="", help="version of the package in place of the wheel's")
    options = parser.parse_args()
    try:
        build(options.out.absolute(), wheel=options.wheel, version=options.version)
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(map(str, error.cmd[:4]))} ... failed")


if __name__ == "__main__":
    main()
