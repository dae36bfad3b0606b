"""The Debian package: what its control file says, that its scripts are scripts, and that a tree gives one package."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "packaging" / "debian").iterdir())
EPOCH = 1_800_000_000

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is missing: no Debian")


@pytest.fixture(scope="module")
def deb() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("deb", ROOT / "scripts" / "deb.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["deb"] = module
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, name: str, version: str, needs: tuple[str, ...] = ()) -> Path:
    """Make a wheel with nothing but its metadata."""
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(f"{path.name.split('-py3')[0]}.dist-info/METADATA", (2026, 1, 1, 0, 0, 0))
        archive.writestr(info, "Metadata-Version: 2.4\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("0.2.0", "0.2.0"), ("0.3.0.dev1", "0.3.0~dev1"), ("1.0rc2", "1.0~rc2"), ("1.0a1", "1.0~a1")],
)
def test_a_candidate_is_older_than_its_version(deb: ModuleType, given: str, wanted: str) -> None:
    """As dpkg compares: a tilde comes before the end."""
    assert deb.debian_version(given) == wanted


def test_the_lock_is_cut_into_entries_with_their_hashes(deb: ModuleType) -> None:
    """Comments, markers and extras do not matter to the name."""
    lock = (
        "# made by\n"
        "one-lib==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via two\n"
        "two[fast]==2 ; sys_platform == 'linux' \\\n    --hash=sha256:cc\n"
    )
    found = deb.pinned(lock)

    assert found.keys() == {"one-lib", "two"}
    assert found["one-lib"] == "one-lib==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb"
    assert found["two"].endswith("--hash=sha256:cc")


def test_the_real_lock_has_every_library_of_the_program(deb: ModuleType) -> None:
    """With hashes, so that nothing unknown gets into a package."""
    found = deb.pinned((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8"))

    assert {"serialx", "python-can", "pydantic", "fastapi", "orjson"} <= found.keys()
    assert all("--hash=sha256:" in entry for entry in found.values())


def test_needs_follow_markers_and_extras(deb: ModuleType) -> None:
    """What is for another system or an extra that nobody asked for does not come along."""
    metadata = Message()
    for need in ("always>=1", "other; sys_platform == 'win32'", "cable; extra == 'serial'", "docs; extra == 'docs'"):
        metadata["Requires-Dist"] = need

    assert [each.name for each in deb.needed(metadata)] == ["always"]
    assert [each.name for each in deb.needed(metadata, ("serial",))] == ["always", "cable"]


def test_everything_needed_is_fetched_and_nothing_else(
    deb: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through needs of needs; each once, at the version of the lock."""
    shelf, house = tmp_path / "shelf", tmp_path / "house"
    shelf.mkdir()
    house.mkdir()
    wheel(shelf, "one", "1", ("two[fast]",))
    wheel(shelf, "two", "2", ("three; extra == 'fast'", "four; extra == 'slow'", "one"))
    wheel(shelf, "three", "3")
    fetched: list[str] = []

    def fetch(entries: Any, folder: Path) -> None:
        for entry in entries:
            fetched.append(entry)
            (found,) = shelf.glob(f"{entry}-*.whl")
            shutil.copyfile(found, folder / found.name)

    monkeypatch.setattr(deb, "download", fetch)
    deb.collect(
        wheel(tmp_path, "program", "9", ("one",)), {name: name for name in ("one", "two", "three", "four")}, house
    )

    assert fetched == ["one", "two", "three"]
    assert len(list(house.glob("*.whl"))) == 4


def test_a_library_that_is_not_in_the_lock_is_named(deb: ModuleType, tmp_path: Path) -> None:
    """Instead of a package with whatever version is the newest."""
    house = tmp_path / "house"
    house.mkdir()

    with pytest.raises(SystemExit, match=r"has no one; run `make lock`"):
        deb.collect(wheel(tmp_path, "program", "9", ("one",)), {}, house)


def test_pip_is_told_each_wheel_with_its_hash(deb: ModuleType, tmp_path: Path) -> None:
    """So that a damaged file of the package is not installed."""
    made = wheel(tmp_path, "one-lib", "1.5")
    digest = hashlib.sha256(made.read_bytes()).hexdigest()

    assert deb.requirements_of(tmp_path) == f"one-lib==1.5 --hash=sha256:{digest}\n"


@needs_dpkg
def test_the_package_is_bound_to_the_python_it_is_made_for(deb: ModuleType) -> None:
    """An environment does not survive another minor version."""
    fields = Parser().parsestr(deb.control("1.2", 3))
    minor = sys.version_info.minor

    assert (fields["Package"], fields["Version"], fields["Installed-Size"]) == ("tinybms-bridge", "1.2", "3")
    assert f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1}), python3-venv" in fields["Depends"]


@each_script
def test_scripts_can_be_read_by_the_shell(script: Path) -> None:
    """Each line of them, and they stop at the first failure."""
    assert script.read_text(encoding="utf-8").splitlines()[0] == "#!/bin/sh"
    assert "\nset -eu\n" in script.read_text(encoding="utf-8")
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize("name", ["prerm", "postrm"])
@pytest.mark.parametrize("arguments", [(), ("upgrade", "9"), ("failed-upgrade", "9"), ("abort-install",)])
def test_an_upgrade_stops_and_removes_nothing(name: str, arguments: tuple[str, ...]) -> None:
    """What runs is left to the script that has the new environment ready."""
    command = ["/bin/sh", str(ROOT / "packaging" / "debian" / name), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, env={"PATH": "/nowhere"})

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture(scope="module")
def packages(deb: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same package, built twice; libraries do not matter here."""
    folder = tmp_path_factory.mktemp("packages")
    program = wheel(folder, "tinybms-bridge", "7.8.9")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
        first = deb.build(folder / "one", wheel=program)
        umask = os.umask(0o077)
        try:
            second = deb.build(folder / "two", wheel=program)
        finally:
            os.umask(umask)
    return first, second


@needs_dpkg
def test_the_same_tree_gives_the_same_package(packages: tuple[Path, Path]) -> None:
    """Byte for byte, whatever the rights of new files are here."""
    first, second = packages

    assert first.name.startswith("tinybms-bridge_7.8.9_")
    assert first.read_bytes() == second.read_bytes()


@needs_dpkg
def test_the_package_has_its_files_in_their_places(packages: tuple[Path, Path]) -> None:
    """All of root, none below /etc: a configuration is never of the package, so that no upgrade asks about it."""
    listed = subprocess.run(["dpkg-deb", "-c", str(packages[0])], check=True, capture_output=True, text=True).stdout
    rows = [line.split(maxsplit=5) for line in listed.splitlines()]
    names = {row[5].removeprefix("./").split(" -> ")[0]: row for row in rows}

    assert {row[1] for row in rows} == {"root/root"}
    assert not [name for name in names if name.startswith(("etc", "var"))]
    for name in (
        "usr/lib/systemd/system/tinybms-bridge.target",
        "usr/lib/sysusers.d/tinybms-bridge.conf",
        "usr/lib/tinybms-bridge/units/tinybms-bridge-core.service",
        "usr/lib/tinybms-bridge/wheels/requirements.txt",
        "usr/lib/tinybms-bridge/wheels/tinybms_bridge-7.8.9-py3-none-any.whl",
        "usr/share/doc/tinybms-bridge/copyright",
    ):
        assert names[name][0] == "-rw-r--r--"
    links = {row[5].removeprefix("./") for row in rows if row[0].startswith("l")}
    assert links == {
        "usr/bin/tinybms-bridge -> ../lib/tinybms-bridge/current/bin/tinybms-bridge",
        *(
            f"usr/lib/systemd/system/tinybms-bridge-{part}.service -> "
            f"../../tinybms-bridge/current/units/tinybms-bridge-{part}.service"
            for part in ("core", "services")
        ),
    }


@needs_dpkg
def test_its_units_start_the_program_of_the_package(packages: tuple[Path, Path], tmp_path: Path) -> None:
    """By the name that stays the same through upgrades."""
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(tmp_path)], check=True)
    for part in ("core", "services"):
        unit = tmp_path / f"usr/lib/tinybms-bridge/units/tinybms-bridge-{part}.service"
        assert f"ExecStart=/usr/bin/tinybms-bridge run-{part}" in unit.read_text(encoding="utf-8")
