#!/usr/bin/env python3
"""Shows that no test is red by chance: the suite under load, each file of tests alone, and with pauses.

    scripts/repeat_tests.py loaded [--times 5] [-- ARGUMENTS OF PYTEST]
    scripts/repeat_tests.py alone [--jobs 2] [-- ARGUMENTS OF PYTEST]
    scripts/repeat_tests.py paused [--times 3] [--seed 1] [--only tests/hal] [-- ARGUMENTS OF PYTEST]

``loaded`` runs ``make test`` a number of times beside one process for each core that does nothing but burn it.
``alone`` runs every file of tests in a process of its own, since a test may pass only because of one before it.
``paused`` runs tests while threads and programs stand still for moments (``scripts/pauses.py``).
All end with a line for each run that was red, and status 1 if there was one. Only what was started here is ended.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.pauses import Stopper  # noqa: E402 -- a script's own folder is all that it sees

_VENV = ROOT / ".venv" / "bin" / "python"
_PYTHON = str(_VENV) if _VENV.exists() else sys.executable
TESTS = ROOT / "tests"

_BURN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))\n"
"""Ends by itself when whoever started it is gone."""

_SHOWN_LINES = 40
"""Of the output of a red run."""


def main() -> int:
    """Run what is asked for; return the exit status."""
    arguments = _parse()
    begun_s = time.monotonic()
    ways = {"loaded": _loaded, "alone": _alone, "paused": _paused}
    red = ways[arguments.what](arguments)
    print(f"{time.monotonic() - begun_s:.0f} s; " + (f"red: {', '.join(red)}" if red else "nothing was red"))
    return 1 if red else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    loaded = parts.add_parser("loaded", help="the suite, several times, on a machine that is busy")
    loaded.add_argument("--times", type=int, default=5)
    alone = parts.add_parser("alone", help="each file of tests in a process of its own")
    alone.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at the same time")
    alone.add_argument("--only", type=Path, default=TESTS, help="a folder or file of tests")
    paused = parts.add_parser("paused", help="tests while threads and programs stand still for moments")
    paused.add_argument("--times", type=int, default=3)
    paused.add_argument("--seed", type=int, default=1, help="of the pauses in the first run")
    paused.add_argument("--jobs", default="auto", help="processes of pytest at the same time")
    paused.add_argument("--only", type=Path, nargs="+", default=[TESTS], help="folders or files of tests")
    for part in (loaded, alone, paused):
        part.add_argument("pytest", nargs="*", help="arguments for pytest")
    return parser.parse_args()


def _loaded(arguments: argparse.Namespace) -> list[str]:
    """Run the suite beside burning processes; return the numbers of the red runs."""
    pytest = arguments.pytest
    command = ["make", "test", *([f"ARGS={' '.join(pytest)}"] if pytest else [])]
    with _burning(os.cpu_count() or 1):
        numbers = range(1, arguments.times + 1)
        return [f"run {number}" for number in numbers if not _is_green_run(number, *_run(command))]


def _paused(arguments: argparse.Namespace) -> list[str]:
    """Run tests with pauses; return the numbers of the red runs."""
    options = ["-p", "scripts.pauses", "-p", "no:cacheprovider", "-q", "-n", arguments.jobs, *arguments.pytest]
    command = [_PYTHON, "-m", "pytest", *options, *map(str, arguments.only)]
    red = []
    for number in range(1, arguments.times + 1):
        seed = arguments.seed + number - 1
        stopper = Stopper(os.getpid(), seed)
        stopper.start()
        try:
            result = _run(command, PAUSES_SEED=str(seed))
        finally:
            stopper.end()
        if not _is_green_run(number, *result):
            red.append(f"run {number}, --seed {seed}")
    return red


def _is_green_run(number: int, code: int, output: str, took_s: float) -> bool:
    """Tell how a run ended; return whether it was green."""
    lines = output.rstrip().splitlines()
    print(f"run {number}: {'green' if code == 0 else 'RED'} after {took_s:.0f} s; {_verdict(lines)}", flush=True)
    if code:
        print("\n".join(lines[-_SHOWN_LINES:]), flush=True)
    return code == 0


def _alone(arguments: argparse.Namespace) -> list[str]:
    """Run each file; return those that were red."""
    only = arguments.only.resolve()
    files = [only] if only.is_file() else sorted(only.rglob("test_*.py"))
    names = [str(file.relative_to(ROOT)) for file in files]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        green = list(pool.map(lambda name: _is_green(name, arguments.pytest), names))
    print(f"{len(names)} files, {sum(green)} green")
    return [name for name, is_green in zip(names, green, strict=True) if not is_green]


def _is_green(name: str, pytest: Sequence[str]) -> bool:
    code, output, took_s = _run([_PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", *pytest, name])
    if code:
        shown = "\n".join(output.rstrip().splitlines()[-_SHOWN_LINES:])
        print(f"RED {name} after {took_s:.0f} s\n{shown}", flush=True)
    return code == 0


def _run(command: Sequence[str], **variables: str) -> tuple[int, str, float]:
    """Run a command to its end; return status, output and seconds."""
    begun_s = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:  # a pipe would fill up or stay open with a child
        code = subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ).returncode
        output.seek(0)
        return code, output.read(), time.monotonic() - begun_s


def _verdict(lines: Sequence[str]) -> str:
    """Return the last line in which pytest counts the tests."""
    return next(
        (line.strip("= ") for line in reversed(lines) if " passed" in line or " failed" in line), "no tests ran"
    )


@contextmanager
def _burning(count: int) -> Iterator[None]:
    """Keep that many cores busy until the block ends."""
    burners = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(count)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


if __name__ == "__main__":
    sys.exit(main())
