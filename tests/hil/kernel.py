"""A Debian kernel with SocketCAN for the machine of ``machine.py``: a package that is unpacked and never installed.

It is fetched once, by apt, into ``$XDG_CACHE_HOME/tinybms-bridge-hil``; whoever comes meanwhile waits for it, and later
nothing is fetched.
"""

import fcntl
import hashlib
import lzma
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Kernel", "NotPossibleError", "kernel"]

_META_PACKAGE = "linux-image-amd64"
_COMMANDS = ("qemu-system-x86_64", "modprobe", "depmod", "cpio", "dpkg-deb", "apt-get", "ip")
_BUSYBOX = Path("/bin/busybox")
_ENOUGH_S = 900

_FOR_BOOT = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_rng")
_FOR_TESTS = ("can-raw", "vcan", "slcan", "kvaser_pci", "xhci_pci", "ftdi_sio", "i6300esb")

_INIT = """#!/bin/busybox sh
# First program of the machine: the file system of the host, read-only, under one in memory that takes what is written.
B=/bin/busybox
stop() { $B echo "machine: $1"; $B poweroff -f; }
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
exec >/dev/console 2>&1
for module in $($B cat /modules/order); do $B insmod /modules/$module || $B echo "machine: no $module"; done
SHARE=trans=virtio,version=9p2000.L
$B mount -t 9p -o ro,$SHARE,msize=1048576,cache=loose host /host || stop "no file system of the host"
$B mount -t tmpfs -o mode=755 tmpfs /written; $B mkdir /written/upper /written/work
$B mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work overlay /root || stop "no overlay"
cd /root
$B mount -t proc proc proc; $B mount -t sysfs sys sys; $B mount --move /dev dev
$B mkdir -p dev/pts dev/shm; $B mount -t devpts -o ptmxmode=666 devpts dev/pts; $B mount -t tmpfs tmpfs dev/shm
$B mount -t tmpfs tmpfs run; $B mkdir -p run/hil
$B mount -t 9p -o $SHARE,msize=131072,cache=none control run/hil || stop "no control folder"
$B echo "machine: starting"
exec $B chroot . /bin/sh /run/hil/start
"""


class NotPossibleError(Exception):
    """This computer cannot run the machine; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What QEMU starts."""

    image: Path
    initrd: Path
    modules: Path
    """Folder to stand at ``/lib/modules/VERSION``."""
    version: str


def kernel() -> Kernel:
    """Return the kernel, fetched and unpacked when it is not there yet. Raises NotPossibleError."""
    _look_for_programs()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinybms-bridge-hil"
    cache.mkdir(parents=True, exist_ok=True)
    parts = repr((_FOR_BOOT, _FOR_TESTS, _INIT))  # with others it is another folder
    made = cache / hashlib.sha256(parts.encode()).hexdigest()[:12]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as folder:
                _make(Path(folder))
                (Path(folder) / "made").rename(made)
    version = (made / "version").read_text()
    return Kernel(made / "image", made / "initrd", made / "lib" / "modules" / version, version)


def _look_for_programs() -> None:
    if platform.machine() != "x86_64":
        raise NotPossibleError(f"the machine needs a processor of x86_64, and this is {platform.machine()}")
    missing = [command for command in _COMMANDS if shutil.which(command, path=_path()) is None]
    if not _BUSYBOX.exists() or b"/ld-linux" in _BUSYBOX.read_bytes()[:4096]:
        missing.append("busybox-static")
    if missing:
        raise NotPossibleError(f"the machine needs {', '.join(missing)}")


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _run(*command: str | Path, cwd: Path, given: bytes | None = None) -> bytes:
    """Return what a program prints."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        input=given,
        capture_output=True,
        check=False,
        timeout=_ENOUGH_S,
        env={**os.environ, "PATH": _path()},
    )
    if ended.returncode != 0:
        raise NotPossibleError(f"{command[0]} failed: {ended.stderr.decode(errors='replace').strip()[-500:]}")
    return ended.stdout


def _make(folder: Path) -> None:
    """Fill ``made`` in a folder."""
    unpacked, made = folder / "unpacked", folder / "made"
    unpacked.mkdir()
    made.mkdir()
    _run("dpkg-deb", "-x", _downloaded(folder), unpacked, cwd=folder)
    (modules,) = (unpacked / "lib" / "modules").iterdir()
    version = modules.name
    _run("depmod", "-b", unpacked, version, cwd=folder)
    for file in _with_dependencies(unpacked, version, (*_FOR_BOOT, *_FOR_TESTS)):
        kept = made / file.relative_to(unpacked)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept)
    for list_of_built_in in modules.glob("modules.builtin*"):
        shutil.copy(list_of_built_in, made / "lib" / "modules" / version)
    shutil.copy(modules / "modules.order", made / "lib" / "modules" / version)
    _run("depmod", "-b", made, version, cwd=folder)
    _write_initrd(folder / "initrd", made / "initrd", _with_dependencies(made, version, _FOR_BOOT))
    (made / "image").write_bytes(_uncompressed((unpacked / "boot" / f"vmlinuz-{version}").read_bytes()))
    (made / "version").write_text(version)


def _downloaded(folder: Path) -> Path:
    """Return the package of the newest kernel that apt knows; its lists are renewed when they are too old."""
    try:
        return _fetched(folder)
    except NotPossibleError:
        _run("apt-get", "update", "-qq", cwd=folder)
        return _fetched(folder)


def _fetched(folder: Path) -> Path:
    told = _run("apt-cache", "depends", _META_PACKAGE, cwd=folder).decode().split()
    if "Depends:" not in told:
        raise NotPossibleError(f"apt knows no package {_META_PACKAGE}")
    package = told[told.index("Depends:") + 1]
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", package, cwd=folder)
    return next(folder.glob("*.deb"))


def _with_dependencies(root: Path, version: str, names: tuple[str, ...]) -> list[Path]:
    """Return the files of modules in the order in which they are loaded."""
    found: dict[Path, None] = {}
    for name in names:
        told = _run("modprobe", "-d", root, "-S", version, "--show-depends", name, cwd=root).decode()
        found |= {Path(line.split()[1]): None for line in told.splitlines() if line.startswith("insmod ")}
    return list(found)


def _write_initrd(folder: Path, archive: Path, modules: list[Path]) -> None:
    for name in ("bin", "modules", "proc", "sys", "dev", "host", "root", "written"):
        (folder / name).mkdir(parents=True)
    shutil.copy(_BUSYBOX, folder / "bin" / "busybox")
    for file in modules:
        shutil.copyfile(file, folder / "modules" / file.name)
    (folder / "modules" / "order").write_text("\n".join(file.name for file in modules))
    (folder / "init").write_text(_INIT)
    (folder / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    archive.write_bytes(_run("cpio", "-o", "-H", "newc", "--quiet", cwd=folder, given=names.encode()))


def _uncompressed(image: bytes) -> bytes:
    """Return the ELF file in an image, which QEMU starts at once; the image where there is none that xz has packed."""
    at = image.find(b"\xfd7zXZ\0")
    while at >= 0:
        try:
            unpacked = lzma.LZMADecompressor().decompress(image[at:])
        except lzma.LZMAError:
            unpacked = b""
        if unpacked.startswith(b"\x7fELF"):
            return unpacked
        at = image.find(b"\xfd7zXZ\0", at + 1)
    return image
