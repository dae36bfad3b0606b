"""A fleet on this machine: ``python -m rigs.fleet [node] [consumer] [database] [disk] [none]``, or ``make rig-fleet``.

Three NATS nodes, VictoriaMetrics and the consumer are started as docs/fleet.md says; a thousand simulated bridges with
a credential and a connection each publish once a second for a minute, and in the middle something is killed: the node
that leads the stream, the consumer, or the database, which stays away for ten seconds, or which loses its disk at the
end and is filled again from the stream. One bridge in twenty loses its
connection once, and one more site sends what no bridge would. Everything that a node has acknowledged has to be in the
database afterwards, with its value. Prints what was seen; the exit status is 1 where something was lost.
"""

import argparse
import asyncio
import json
import logging
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from examples.fleet import stream
from rigs.fleet import credentials, hostile, product
from rigs.fleet.cluster import ROOT, Cluster, addresses, until
from rigs.fleet.processes import Program, Usage, folder_size
from rigs.fleet.verdict import Verdict, judged, percentile

FAULTS = ("node", "consumer", "database", "disk", "none")
AWAY_S = 10.0
LAST_S = 1.0
"""Before the end of a run CPU is read: a process of bridges ends when its last message is acknowledged."""
LOADS = 2
"""Processes with bridges."""
RECONNECT_S = 5.0
"""The default of `mqtt.reconnect_interval_ms`."""
PATIENCE_S = 180.0


@dataclass(slots=True)
class Run:
    """One run with one fault."""

    cluster: Cluster
    fault: str
    options: argparse.Namespace
    loads: list[Program] = field(default_factory=list)
    ledgers: list[Path] = field(default_factory=list)
    used: dict[str, Usage] = field(default_factory=dict)
    watched_s: float = 0.0
    """Time over which `used` was counted."""
    entry_bytes: float = 0.0
    notes: list[str] = field(default_factory=list)

    async def play(self) -> Verdict:
        """Do all of it; return what became of the messages."""
        sites = [f"site-{number:04d}" for number in range(self.options.bridges)]
        self.cluster.lay_out([*sites, hostile.SITE, *product.NAMES[: self.options.product]])
        await self.cluster.start()
        size = folder_size(self.cluster.folder)
        async with product.running(self.cluster, self.options.product):
            await self._live(sites)
        return await self._judged(size)

    async def _live(self, sites: Sequence[str]) -> None:
        """Let all bridges publish, break something in the middle, and wait until everything is acknowledged."""
        await self._connect(sites)
        before = self._usage()
        begun_s = time.monotonic()
        for load in self.loads:
            load.say("go")
        strange = asyncio.create_task(hostile.publish(self.cluster, self.options.seconds))
        await asyncio.sleep(self.options.seconds / 2.0)
        victim = await self._break()
        await asyncio.sleep(max(0.0, begun_s + self.options.seconds - LAST_S - time.monotonic()))
        after = self._usage()
        self.used = {name: after[name] - before[name] for name in after}
        self.watched_s = time.monotonic() - begun_s
        for load in self.loads:
            await asyncio.to_thread(load.wait, PATIENCE_S)
        self.notes += await strange
        await self._repair(victim)

    async def _judged(self, size: int) -> Verdict:
        """Wait for the consumer, and compare."""
        await self._drained()
        if self.fault == "disk":
            await self._refill()
        self.notes += await credentials.check(self.cluster)
        print(f"on disk: {(folder_size(self.cluster.folder) - size) / 1e6:.1f} MB more, in all", flush=True)
        stored = await self.cluster.stored()
        self.entry_bytes = await self.cluster.entry_bytes()
        ledgers = [json.loads(line) for path in self.ledgers for line in path.read_text().splitlines()]
        self._tell_connections(ledgers)
        boots = {ledger["boot"] for ledger in ledgers}
        written = self.cluster.written()
        self.notes += product.told(written, self.options.product)
        return judged(ledgers, {key: count for key, count in stored.items() if key[0] in boots}, written)

    async def _connect(self, sites: Sequence[str]) -> None:
        folder = self.cluster.folder
        for index in range(LOADS):
            spec, ledger, log = (folder / f"load{index}.{ending}" for ending in ("json", "ledger", "out"))
            spec.write_text(json.dumps(self._spec(sites, index)), encoding="utf-8")
            words = [sys.executable, "-m", "rigs.fleet.load", str(spec), str(ledger)]
            self.loads.append(Program(f"bridges {index + 1}", words, log, {"PYTHONPATH": str(ROOT)}))
            self.ledgers.append(ledger)
            self.loads[-1].start()
        begun_s = time.monotonic()
        for load in self.loads:
            await until(
                "all bridges are connected",
                lambda load=load: not load.runs or "connected" in load.log.read_text(),  # type: ignore[misc]
                PATIENCE_S,
            )
        if not all(load.runs for load in self.loads):
            sys.exit(f"error: {self.loads[0].log.read_text()}")
        print(f"{len(sites)} bridges connected after {time.monotonic() - begun_s:.1f} s", flush=True)

    def _spec(self, sites: Sequence[str], index: int) -> dict[str, Any]:
        chosen = []
        for number in range(index, len(sites), LOADS):
            user, password = self.cluster.passwords[sites[number]]
            brokers = addresses(self.cluster, number)
            chosen.append(
                {"name": sites[number], "number": number, "user": user, "password": password, "brokers": brokers}
            )
        return {
            "sites": chosen,
            "packs": self.options.packs,
            "seconds": self.options.seconds,
            "period_s": 1.0,
            "reconnect_s": RECONNECT_S,
            "cut": self.options.cut,
            "seed": self.options.seed + index,
            "patience_s": PATIENCE_S / 2.0,
            "authority": str(self.cluster.authority) if self.cluster.authority else "",
        }

    def _usage(self) -> dict[str, Usage]:
        programs = [*self.cluster.programs.values(), *self.loads]
        return {program.name: program.usage() for program in programs}

    async def _break(self) -> Program | None:
        if self.fault in ("none", "disk"):
            return None
        name = await self.cluster.leader() if self.fault == "node" else self.fault
        victim = self.cluster.programs[name]
        victim.kill()
        print(f"{victim.name} killed (SIGKILL) after {self.options.seconds / 2.0:.0f} s", flush=True)
        if self.fault == "consumer":
            victim.start()
        elif self.fault == "database":
            await asyncio.sleep(AWAY_S)
            victim.start()
            print(f"{victim.name} started again {AWAY_S:.0f} s later", flush=True)
        return victim

    async def _repair(self, victim: Program | None) -> None:
        """Start a node that was killed, without anything on its disk, and tell when it has everything."""
        if self.fault != "node" or victim is None:
            return
        node = next(node for node in self.cluster.nodes if victim is self.cluster.programs[node.name])
        shutil.rmtree(self.cluster.folder / node.name)
        begun_s = time.monotonic()
        victim.start()
        await until("the killed node is well again", lambda: self.cluster.node_is_well(node))
        connection = await self.cluster.connection("admin")
        try:
            while await stream.replicas(connection) != len(self.cluster.nodes):
                if time.monotonic() > begun_s + PATIENCE_S:
                    sys.exit(f"error: not within {PATIENCE_S:.0f} s: all nodes have everything")
                await asyncio.sleep(0.2)
        finally:
            await connection.close()
        print(
            f"{victim.name} started again at the end with an empty disk: has everything after "
            f"{time.monotonic() - begun_s:.1f} s",
            flush=True,
        )

    async def _drained(self) -> None:
        """Wait until the consumer has acknowledged everything."""
        await self._until_acknowledged()
        counts = self.cluster.consumer_counts()
        self.notes.append(_consumer_words(counts))
        self.notes.append(f"from the data to the database, without what was spooled: {_delay_words(counts)}")

    async def _until_acknowledged(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while await self.cluster.waiting() and time.monotonic() < end_s:  # noqa: ASYNC110  # another process
            await asyncio.sleep(1.0)

    async def _refill(self) -> None:
        """Take everything from the database, and have it filled again as docs/fleet.md says."""
        consumer, database = (self.cluster.programs[name] for name in ("consumer", "database"))
        await asyncio.to_thread(consumer.end)
        database.kill()
        shutil.rmtree(self.cluster.folder / "victoria")
        (self.cluster.folder / "window.db").unlink()
        await self.cluster.deliver_again()
        database.start()
        await until("the database is well", lambda: self.cluster.answers(f"{self.cluster.database}/health"))
        begun_s = time.monotonic()
        before = consumer.usage()
        consumer.start()
        await until("the consumer is well", lambda: self.cluster.answers(f"http://{self.cluster.metrics}/metrics"))
        while await self.cluster.waiting() > self.cluster.consumer_counts()["unsettled_messages"]:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        took_s = time.monotonic() - begun_s
        await self._until_acknowledged()
        count = self.cluster.consumer_counts()["messages_received_total"]
        used = consumer.usage() - before
        self.notes.append(
            f"the database lost its disk: {count:.0f} messages written again from the stream in {took_s:.1f} s, "
            f"{used.cpu_s:.1f} s of CPU of the consumer"
        )

    def _tell_connections(self, ledgers: Sequence[Mapping[str, Any]]) -> None:
        count = sum(ledger["connections"] for ledger in ledgers)
        acknowledged = sorted(
            entry["acknowledged_s"] for ledger in ledgers for entry in ledger["entries"] if entry["acknowledged_s"]
        )
        longest_s = max((b - a for a, b in pairwise(acknowledged)), default=0.0)
        self.notes.append(
            f"{count} connections of {len(ledgers)} bridges, {sum(ledger['refused'] for ledger in ledgers)} attempts "
            f"in vain; longest without any acknowledgement {longest_s:.1f} s"
        )


def _consumer_words(counts: Mapping[str, float]) -> str:
    dropped = {
        name.partition('reason="')[2].partition('"')[0]: int(value)
        for name, value in counts.items()
        if name.startswith("dropped_total{")
    }
    return (
        f"consumer since its start: {counts['messages_received_total']:.0f} received, "
        f"{counts['duplicates_total']:.0f} duplicates, {counts['messages_written_total']:.0f} written with "
        f"{counts['samples_written_total']:.0f} samples, {counts['messages_spooled_total']:.0f} spooled, "
        f"{counts['messages_given_back_total']:.0f} written again; dropped {dropped}"
    )


def _delay_words(counts: Mapping[str, float]) -> str:
    buckets = [
        (name.partition('le="')[2].partition('"')[0], value)
        for name, value in counts.items()
        if name.startswith("delay_seconds_bucket")
    ]
    total = counts["delay_seconds_count"]
    within = {share: next((le for le, value in buckets if value >= share * total), "?") for share in (0.5, 0.99, 1.0)}
    return ", ".join(f"{share:.0%} within {bound} s" for share, bound in within.items())


def tell(run: Run, verdict: Verdict) -> None:
    """Print what was measured."""
    options = run.options
    for note in run.notes:
        print(note)
    print(
        f"made {verdict.made}, sent {verdict.sent} ({verdict.sent_again} more than once), "
        f"acknowledged {verdict.acknowledged}; in the stream {verdict.stored} entries, "
        f"{verdict.duplicates} of them duplicates"
    )
    print(
        f"states of batteries {verdict.expected}; missing after de-duplication {len(verdict.missing_in_database)}, "
        f"wrong {len(verdict.wrong_in_database)}, missing in the stream {len(verdict.missing_in_stream)}"
    )
    waits = verdict.acknowledged_after_s
    print(
        "acknowledged after (ms): "
        + ", ".join(f"{share:.1%} {1000.0 * percentile(waits, share):.1f}" for share in (0.5, 0.9, 0.99, 0.999))
        + f", longest {1000.0 * max(waits, default=0.0):.0f}"
    )
    head = f"Process, {options.bridges} bridges, {run.watched_s:.0f} s"
    print(f"\n| {head} | CPU, % of a core | Peak RSS, MB |\n|---|---|---|")
    for name, usage in run.used.items():
        print(f"| {name} | {100.0 * usage.cpu_s / run.watched_s:.1f} | {usage.peak_mb:.0f} |")
    stores = {node.name: folder_size(run.cluster.folder / node.name) for node in run.cluster.nodes}
    victoria = folder_size(run.cluster.folder / "victoria")
    print(
        "disk (MB): "
        + ", ".join(f"node {name} {size / 1e6:.1f}" for name, size in stores.items())
        + f", VictoriaMetrics {victoria / 1e6:.1f}; an entry of the stream has {run.entry_bytes:.0f} bytes before "
        f"compression, and takes {max(stores.values()) / max(1, verdict.stored):.0f} of a node with all beside it"
    )


async def one(fault: str, options: argparse.Namespace) -> bool:
    """Play one fault; return whether nothing was lost."""
    print(f"\n== {options.bridges} bridges for {options.seconds:.0f} s: {fault}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="rig-fleet-", dir=options.folder))
    run = Run(Cluster(folder, options.tls, not options.plain), fault, options)
    try:
        verdict = await run.play()
        tell(run, verdict)
    finally:
        for program in (*run.loads, *reversed(run.cluster.programs.values())):
            program.end()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print("nothing lost" if verdict.good else f"LOST: {verdict.lost}, never acknowledged "
          f"{verdict.made - verdict.acknowledged}", flush=True)  # fmt: skip
    return verdict.good


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return 1 where something was lost."""
    parser = argparse.ArgumentParser(prog="python -m rigs.fleet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fault", nargs="*", help=f"what is killed: {', '.join(FAULTS)} (all but none)")
    parser.add_argument("--bridges", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--packs", type=int, default=0, help="packs whose state each bridge publishes as well (0)")
    parser.add_argument("--product", type=int, default=1, choices=range(4), help="whole bridges beside them (1)")
    parser.add_argument("--cut", type=float, default=0.05, help="share of bridges whose connection is cut once (0.05)")
    parser.add_argument("--tls", action="store_true", help="encrypt everything, with certificates made for the run")
    parser.add_argument("--plain", action="store_true", help="do not compress the stream")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work, in place of the folder for temporary files")
    parser.add_argument("--keep", action="store_true", help="keep the folder, to look into it")
    options = parser.parse_args(arguments)
    unknown = set(options.fault) - set(FAULTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # its word on the end of each encrypted connection
    print(f"{platform.platform()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}")
    good = [asyncio.run(one(fault, options)) for fault in options.fault or FAULTS[:4]]
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
