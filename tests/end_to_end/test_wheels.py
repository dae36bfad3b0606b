"""What is installed is the wheel, not this tree: both wheels are built, and the program runs from them without it."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Any

import httpx
import pytest

import tinybms_bridge
from tinybms_lab.testing.running_bridge import free_port

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
WAIT_S = 60.0


def build(folder: Path, kind: str, target: Path) -> Path:
    """Build a distribution as the front ends do, without network, and return its file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    before = set(target.iterdir()) if target.is_dir() else set()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=WAIT_S)
    (made,) = set(target.iterdir()) - before
    return made


def files_in(wheel: Path) -> set[str]:
    """Return what a wheel installs, without its own notes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def metadata_of(wheel: Path) -> Any:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def files_of(package: str) -> set[str]:
    """Return the files of an import package of this tree."""
    found = (path for path in (SOURCE / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(SOURCE)) for path in found}


@dataclass(frozen=True)
class Wheels:
    """The distributions of this tree."""

    product: Path
    laboratory: Path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """Build both."""
    folder = tmp_path_factory.mktemp("wheels")
    return Wheels(build(ROOT, "wheel", folder), build(ROOT / "lab", "wheel", folder))


class Environment:
    """A virtual environment with the libraries of this one, in which this tree is not to be found."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self._bin = folder / "venv" / "bin"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True, timeout=WAIT_S
        )
        (packages,) = (folder / "venv").glob("lib/python*/site-packages")
        places = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
        (packages / "libraries.pth").write_text("\n".join(places), encoding="utf-8")  # no .pth file of these counts
        self.packages = packages

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its programs: nothing leads to this tree."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TINYBMS_BRIDGE"))}
        return {**kept, "HOME": str(self.home), "COLUMNS": "120"}

    def install(self, wheel: Path) -> None:
        """Install a wheel as a user does, but without network."""
        pip = [sys.executable, "-m", "pip", "--python", str(self._bin / "python"), "--disable-pip-version-check"]
        command = [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
        subprocess.run(command, check=True, capture_output=True, timeout=WAIT_S)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of the installed program."""
        return [str(self._bin / "tinybms-bridge"), *arguments]

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run the installed program to its end."""
        return subprocess.run(
            self.command(*arguments),
            input=given,
            env=self.variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    def place_of(self, package: str) -> str:
        """Return where its Python finds a package; empty for nowhere."""
        code = f"import importlib.util as u; s = u.find_spec({package!r}); print(s.origin if s else '')"
        python = [str(self._bin / "python"), "-c", code]
        done = subprocess.run(
            python, env=self.variables, cwd=self.home, capture_output=True, text=True, timeout=WAIT_S, check=True
        )
        return done.stdout.strip()


@pytest.fixture(scope="module")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Return a function that makes an environment with some wheels."""

    def make(*installed: Path) -> Environment:
        environment = Environment(tmp_path_factory.mktemp("environment"))
        for wheel in installed:
            environment.install(wheel)
        return environment

    return make


@pytest.fixture(scope="module")
def product(wheels: Wheels, make_environment: Callable[..., Environment]) -> Environment:
    """The product alone."""
    return make_environment(wheels.product)


def test_the_wheels_hold_their_packages_whole_and_nothing_else(wheels: Wheels) -> None:
    """Tables, style sheet and typing marker are there; the product has no laboratory, and neither has tests."""
    assert files_in(wheels.product) == files_of("tinybms_bridge")
    assert files_in(wheels.laboratory) == files_of("tinybms_lab") | {"tinybms_lab/LICENSE"}
    needed = {"tinybms_bridge/py.typed", "tinybms_bridge/tinybms/registers.csv"}
    assert needed <= files_in(wheels.product)


def test_both_have_one_version(wheels: Wheels) -> None:
    """The extra asks for the laboratory of this version, and that for the product of this version."""
    product, laboratory = metadata_of(wheels.product), metadata_of(wheels.laboratory)
    version = tinybms_bridge.__version__
    assert (product["Version"], laboratory["Version"]) == (version, version)
    assert f"tinybms-bridge-lab=={version}; extra == 'lab'" in product.get_all("Requires-Dist")
    assert laboratory.get_all("Requires-Dist") == [f"tinybms-bridge=={version}"]


def test_the_source_distribution_makes_the_same_wheel(wheels: Wheels, tmp_path: Path) -> None:
    """What is handed on as source builds what was tested here."""
    archive = build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.name != "sdist")

    again = build(unpacked, "wheel", tmp_path / "again")

    assert files_in(again) == files_in(wheels.product)
    assert metadata_of(again)["Requires-Python"] == metadata_of(wheels.product)["Requires-Python"]
    assert not (unpacked / "src" / "tinybms_lab").exists()


def test_the_classifiers_name_the_versions_that_it_runs_on() -> None:
    """The oldest of them is the one that pip accepts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    minors = sorted(
        int(each.rpartition(".")[2])
        for each in project["classifiers"]
        if "Programming Language :: Python :: 3." in each
    )
    assert project["requires-python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))


def test_the_program_is_the_installed_one(product: Environment) -> None:
    """With this tree out of reach; the laboratory is not there."""
    assert product.place_of("tinybms_bridge").startswith(str(product.packages))
    assert product.place_of("tinybms_lab") == ""
    version = product.run("--version")
    assert (version.returncode, version.stdout.split()[-1]) == (0, tinybms_bridge.__version__)


def test_check_and_decode_work_from_the_wheel(product: Environment, tmp_path: Path) -> None:
    """The models, the table of the frames and that of the registers are all in it."""
    config = tmp_path / "config.json"
    config.write_text("{}", encoding="utf-8")
    check = product.run("check", "--show", str(config))
    assert check.returncode == 0, check.stderr
    assert '"keepalive_timeout_ms"' in check.stdout
    decoded = product.run("decode", given="can0 351 [8] 30 02 E8 03 B0 04 E0 01\n")
    assert (decoded.returncode, decoded.stderr) == (0, "")
    assert "56.0" in decoded.stdout
    assert product.run("registers").returncode == 0


@pytest.mark.parametrize("arguments", [("demo", "--plain"), ("simulate",), ("bench", "charge", "--list")])
def test_without_the_laboratory_its_commands_say_what_to_install(product: Environment, arguments: Any) -> None:
    """One line that names the distribution, and the exit status of what cannot be carried out."""
    done = product.run(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "tinybms-bridge-lab" in line
    assert "make run" in line


async def test_the_bridge_runs_from_the_wheel(product: Environment, start: Any, tmp_path: Path, can_group: str) -> None:
    """Against a unit simulated by this tree: fresh data, both processes with pages, and an end in order."""
    link = tmp_path / "bms"
    simulator = await start("simulate", "--link", str(link), "--quiet")
    await simulator.line()
    port = await asyncio.to_thread(free_port)
    config = tmp_path / "config.json"
    web = {"port": port, "listen_address": "127.0.0.1"}
    config.write_text(json.dumps({"web_server": web}), encoding="utf-8")
    can = ("--can-interface", "udp_multicast", "--can-channel", can_group)
    program = await asyncio.create_subprocess_exec(
        *product.command("run", "-c", str(config), "--device", str(link), *can, "--plain"),
        env=product.variables,
        cwd=product.home,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stderr is not None
    try:
        async with asyncio.timeout(WAIT_S):
            while b"data is fresh" not in (line := await program.stderr.readline()):
                assert line, "the program has ended"
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S) as client:
                while not await is_ready(client):
                    await asyncio.sleep(0.1)
                page = await client.get("/")
                files = re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js)[^"]*)"', page.text)
                assert page.status_code == 200
                assert len(files) >= 4, "scripts and styles of the built pages, and the style for who runs no script"
                for name in files:
                    assert (await client.get(name)).status_code == 200
                assert (await client.get("/api/can/mapping")).status_code == 200
            program.send_signal(signal.SIGTERM)
            _, rest = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    assert program.returncode == 0, rest.decode()
    assert b"Traceback" not in rest


async def is_ready(client: httpx.AsyncClient) -> bool:
    """Return whether the web server answers and shows limits that are sent."""
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def test_with_the_laboratory_its_commands_work(wheels: Wheels, make_environment: Callable[..., Environment]) -> None:
    """Both wheels side by side are what `pip install tinybms-bridge[lab]` gives."""
    both = make_environment(wheels.product, wheels.laboratory)
    scenarios = both.run("simulate", "--list-scenarios")
    assert (scenarios.returncode, scenarios.stderr) == (0, "")
    assert "cold-morning" in scenarios.stdout
    assert both.run("bench", "charge", "--list").returncode == 0
