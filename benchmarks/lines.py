"""Many cheap TinyBMS, each on a pseudo-terminal of its own: what is measured is the side that asks them.

    python -m benchmarks.lines FOLDER 16

makes ``FOLDER/bms-0`` to ``bms-15`` in one process. Replies are made once and come at the pace of a real line: after
the time of the request and 1 ms, a piece each millisecond. Readings move with every reply, as those of a battery do.
``reset`` on standard input makes all lines vanish, as a hub does that resets, and the next one brings them back;
``count`` has the number of requests printed.
"""

import heapq
import os
import pty
import random
import select
import sys
import tty
from itertools import count
from pathlib import Path
from time import monotonic

from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.tinybms.frames import (
    CommandCode,
    FrameError,
    ReadModbus,
    RegistersReply,
    decode_request,
    from_float,
)
from tinybms_lab.bms import LFP, BmsOptions, SimulatedBms, SimulatedPack
from tinybms_lab.bms.responder import answer

BYTE_S = 10 / 115200
LATENCY_S = 0.001
PIECE_BYTES = 12
"""What a line brings in a millisecond."""
VARIANTS = 32
LIVE = ReadModbus(0, 56).encode()
CELLS, VOLTAGE, CURRENT = 16, 36, 38


class Answers:
    """The replies of one BMS by request, made once."""

    def __init__(self, seed: int) -> None:
        options = BmsOptions(serial=seed.to_bytes(12, "big"))
        self._device = SimulatedBms(SimulatedPack.build(LFP, CELLS), SystemClock(), options=options)
        self._known: dict[bytes, bytes] = {}
        noise = random.Random(seed)
        self._live = [self._live_reply(noise) for _ in range(VARIANTS)]
        self._next = count()

    def to(self, request: bytes) -> bytes:
        """Return what answers a request; nothing for what is none."""
        if request == LIVE:
            return self._live[next(self._next) % VARIANTS]
        if request not in self._known:
            self._known[request] = self._made(request)
        return self._known[request]

    def _made(self, request: bytes) -> bytes:
        try:
            return b"".join(answer(self._device, decode_request(request)).encode())
        except FrameError:
            return b""

    def _live_reply(self, noise: random.Random) -> bytes:
        words = list(self._device.read(0, 56) or ())
        words[:CELLS] = [word + noise.randint(-5, 5) for word in words[:CELLS]]
        words[VOLTAGE : VOLTAGE + 2] = from_float(sum(words[:CELLS]) / 10_000)
        words[CURRENT : CURRENT + 2] = from_float(12.5 + noise.uniform(-0.1, 0.1))
        (reply,) = RegistersReply(CommandCode.READ_MODBUS, tuple(words)).encode()
        return reply


class Lines:
    """All lines, in one loop."""

    def __init__(self, folder: Path, number: int) -> None:
        self._links = [folder / f"bms-{index}" for index in range(number)]
        self._answers = [Answers(1 + index) for index in range(number)]
        self._open: dict[int, tuple[int, int]] = {}  # descriptor: which line, and the clients' end
        self._due: list[tuple[float, int, int, bytes]] = []
        self._numbers = count()
        self._requests = 0

    def appear(self) -> None:
        """Open every line and put its link in place."""
        for index, link in enumerate(self._links):
            master, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._open[master] = index, slave
            link.symlink_to(os.ttyname(slave))

    def vanish(self) -> None:
        """Close every line at once."""
        for master, (_, slave) in self._open.items():
            os.close(master)
            os.close(slave)
        for link in self._links:
            link.unlink()
        self._open.clear()
        self._due.clear()

    def run(self) -> None:
        """Serve until standard input ends."""
        self.appear()
        print("ready", flush=True)
        while True:
            wait_s = max(0.0, self._due[0][0] - monotonic()) if self._due else None
            readable, _, _ = select.select([sys.stdin.fileno(), *self._open], [], [], wait_s)
            if sys.stdin.fileno() in readable:
                if not self._obey(sys.stdin.readline().strip()):
                    return
                continue
            for master in readable:
                self._hear(master)
            self._deliver()

    def _obey(self, command: str) -> bool:
        if command == "count":
            print(self._requests, flush=True)
        elif self._open:
            self.vanish()
        else:
            self.appear()
        return bool(command)

    def _hear(self, master: int) -> None:
        request = os.read(master, 4096)
        self._requests += 1
        reply = self._answers[self._open[master][0]].to(request)
        start_s = monotonic() + LATENCY_S + len(request) * BYTE_S
        for begin in range(0, len(reply), PIECE_BYTES):
            piece = reply[begin : begin + PIECE_BYTES]
            due_s = start_s + (begin + len(piece)) * BYTE_S
            heapq.heappush(self._due, (due_s, next(self._numbers), master, piece))

    def _deliver(self) -> None:
        now_s = monotonic()
        while self._due and self._due[0][0] <= now_s:
            _, _, master, piece = heapq.heappop(self._due)
            os.write(master, piece)


if __name__ == "__main__":
    Lines(Path(sys.argv[1]), int(sys.argv[2])).run()
