"""A machine of QEMU with SocketCAN: ``python -m tests.hil.machine [--timeout S] -- COMMAND ...`` from the root.

The command runs in the working directory, as root of the machine, on the files of this computer; whatever it writes is
gone with the machine, except in ``/run/hil`` (``--control FOLDER``). Its output and exit code become those of this
program.

The machine has what the scenarios in ``guest/`` plug and unplug: two PCI cards of Kvaser (SJA1000) on one CAN bus,
``vcan``, ``slcan``, a USB port for an FTDI adapter, and a watchdog (Intel 6300ESB) that would restart it. In
``/run/ports`` are ``monitor``, QEMU's own (QMP), and ``cable``, the far end of the adapter's line.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.hil.kernel import Kernel, NotPossibleError, kernel

__all__ = ["NOT_FINISHED", "NOT_POSSIBLE", "main"]

NOT_POSSIBLE = 77
"""Exit code: this computer cannot run the machine."""
NOT_FINISHED = 125
"""Exit code: the machine stopped before the command had ended, or was stopped for taking too long."""

_PASSED_ON = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTHONDONTWRITEBYTECODE")

_START = """
export HOME=/tmp LANG=C.UTF-8 TINYBMS_BRIDGE_HIL=machine
mkdir -p /run/ports /lib/modules
for port in /sys/class/virtio-ports/*; do ln -s /dev/${{port##*/}} /run/ports/$(cat $port/name); done
ln -sfn {modules} /lib/modules/{version}
ip link set lo up
cd {directory}
({command}) </dev/null >/run/ports/output 2>&1
echo $? > /run/hil/exit_code
sync
{busybox} poweroff -f
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command in the machine and return its exit code, or one of those above."""
    parser = argparse.ArgumentParser(prog="python -m tests.hil.machine", description=__doc__)
    parser.add_argument("--timeout", type=float, default=900.0, metavar="S", help="seconds for all of it")
    parser.add_argument("--control", type=Path, metavar="FOLDER", help="stands at /run/hil in the machine")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    try:
        found = kernel()
    except (NotPossibleError, subprocess.TimeoutExpired, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return NOT_POSSIBLE
    with tempfile.TemporaryDirectory(prefix="tinybms-hil-") as folder:
        control = given.control or Path(folder) / "control"
        control.mkdir(exist_ok=True)
        return _run(found, Path(folder), control.resolve(), given.command, given.timeout)


def _run(found: Kernel, folder: Path, control: Path, command: list[str], timeout_s: float) -> int:
    (control / "start").write_text(_start(found, command))
    exit_code = control / "exit_code"
    exit_code.unlink(missing_ok=True)
    console = folder / "console"
    begun_s = time.monotonic()
    output = os.dup(sys.stdout.fileno())
    try:
        ended = subprocess.run(
            ["qemu-system-x86_64", "-add-fd", f"fd={output},set=1", *_options(found, folder, control, console)],
            check=False,
            stdin=subprocess.DEVNULL,
            pass_fds=[output],
            timeout=timeout_s,
        )
        how = f"QEMU ended with {ended.returncode}"
    except subprocess.TimeoutExpired:
        how = f"stopped after {timeout_s:.0f} s"
    finally:
        os.close(output)
    if exit_code.exists():
        return int(exit_code.read_text())
    said = console.read_text(errors="replace")[-3000:] if console.exists() else ""
    sys.stderr.write(f"the machine did not finish ({how}, {time.monotonic() - begun_s:.0f} s):\n{said}\n")
    return NOT_FINISHED


def _start(found: Kernel, command: list[str]) -> str:
    """Return what the machine does after it has started."""
    environment = [f"export {name}={shlex.quote(os.environ[name])}\n" for name in _PASSED_ON if name in os.environ]
    return "".join(environment) + _START.format(
        modules=shlex.quote(str(found.modules)),
        version=found.version,
        directory=shlex.quote(str(Path.cwd())),
        command=shlex.join(command),
        busybox="/bin/busybox",
    )


def _options(found: Kernel, folder: Path, control: Path, console: Path) -> list[str]:
    """Return the arguments of QEMU: no acceleration, since the computers of continuous integration have none."""
    shares = []
    for name, path, more in (("host", "/", ",readonly=on,multidevs=remap"), ("control", str(control), "")):
        shares += ["-fsdev", f"local,id={name},path={path},security_model=none{more}"]
        shares += ["-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}"]
    crossed = []  # what QEMU serves at a socket has its other end in the machine
    for name in ("monitor", "cable"):
        socket = folder / name
        crossed += ["-chardev", f"socket,id={name},path={socket},server=on,wait=off"]
        crossed += ["-chardev", f"socket,id={name}-port,path={socket}"]
        crossed += ["-device", f"virtserialport,chardev={name}-port,name={name}"]
    return [
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024", "-smp", "1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{console}"),
        *("-kernel", str(found.image), "-initrd", str(found.initrd)),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests=1 no_timer_check"),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci", *shares),
        *(
            "-chardev",
            "file,id=output,path=/dev/fdset/1,append=on",
            "-device",
            "virtserialport,chardev=output,name=output",
        ),
        *crossed,
        *("-mon", "chardev=monitor,mode=control", "-device", "qemu-xhci,id=usb"),
        *("-device", "i6300esb"),
        *("-object", "can-bus,id=bus", "-device", "kvaser_pci,canbus=bus", "-device", "kvaser_pci,canbus=bus"),
    ]


if __name__ == "__main__":
    sys.exit(main())
