"""What is connected to the installed bridge: a simulated TinyBMS, and a CAN adapter (slcan) with a GX behind it.

Both are pseudo-terminals with fixed names. Each frame that the adapter is given becomes a line of ``FRAMES``: the time
(CLOCK_MONOTONIC, seconds), the identifier, the data.
"""

import os
import pty
import select
import shutil
import socket
import subprocess
import sys
import time
import tty
from contextlib import suppress
from pathlib import Path

BMS = Path("/dev/tinybms-rig")
ADAPTER = Path("/dev/can-rig")
FRAMES = Path("/run/rig/frames")
GX_PRESENT = b"t30580000000000000000\r"
GX_INTERVAL_S = 1.0


def open_adapter() -> tuple[int, int]:
    """Make the terminal of the adapter; return its end here and the one that keeps it from hanging up."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    publish(ADAPTER, os.ttyname(theirs))
    return ours, theirs


def publish(name: Path, terminal: str) -> None:
    """Give a terminal its name, and to the group of serial ports."""
    if not name.exists():
        name.unlink(missing_ok=True)
        name.symlink_to(terminal)
    shutil.chown(name, group="dialout")
    name.chmod(0o660)


def frame_of(command: bytes) -> str:
    """Return identifier and data of an slcan command that sends a frame, else nothing."""
    if command[:1] != b"t" or len(command) < 5:
        return ""
    return f"{command[1:4].decode()} {command[5:].decode()}"


def simulate_bms() -> subprocess.Popen[bytes]:
    """Start the simulated BMS and wait for its port."""
    words = [sys.executable, "-m", "tinybms_bridge", "simulate", "--quiet", "--link", str(BMS)]
    words += ["--profile", "36000:+30", "--soc", "40", "--capacity-ah", "300"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)  # noqa: S603 -- the rig's own words
    assert process.stdout is not None
    process.stdout.readline()
    publish(BMS, os.readlink(BMS))
    return process


def tell_ready() -> None:
    """Tell the service manager that both are there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])


def record(ours: int) -> None:
    """Write down what is sent, and say once a second that a GX is there; for ever."""
    rest = b""
    next_s = 0.0
    with FRAMES.open("w", buffering=1, encoding="ascii") as out:
        while True:
            if select.select([ours], [], [], 0.05)[0]:
                *commands, rest = (rest + os.read(ours, 65536)).split(b"\r")
                now_s = time.monotonic()
                for command in commands:
                    if frame := frame_of(command):
                        out.write(f"{now_s:.4f} {frame}\n")
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + GX_INTERVAL_S
                with suppress(BlockingIOError):  # nobody reads
                    os.write(ours, GX_PRESENT)


def main() -> None:
    """Run until killed."""
    FRAMES.parent.mkdir(exist_ok=True)
    ours, _theirs = open_adapter()
    simulate_bms()
    tell_ready()
    record(ours)


if __name__ == "__main__":
    main()
