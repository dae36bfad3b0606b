"""Credentials of sites: what a site may do, what is kept of a password, what a change leaves behind."""

import json
import re
from pathlib import Path

import pytest
from examples.fleet.sites import Sites, accounts, load, main

from examples.fleet import sites as module


@pytest.fixture(autouse=True)
def fixture_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash without bcrypt, which only the environment of the fleet has."""
    monkeypatch.setattr(module, "hashed", lambda password: f"hash of {len(password)}")


def command(folder: Path, *words: str) -> int:
    """Carry a command out in a folder."""
    return main(["--folder", str(folder), *words])


def users_of(folder: Path) -> list[str]:
    """Return the users of the accounts that were written."""
    return re.findall(r'user: "([^"]+)"', (folder / "accounts.conf").read_text())


def test_a_site_may_use_its_own_topics_alone() -> None:
    """By its name in the user, before the number of the credential; no wildcard, no subject of JetStream."""
    sites = Sites()
    sites.add("hill-farm")
    (line,) = [line for line in accounts(sites).splitlines() if "hill-farm" in line]

    assert line.strip() == (
        '{ user: "hill-farm.1", password: "hash of 32", permissions: '
        '{ publish: { allow: ["fleet.hill-farm.>"] }, subscribe: { allow: ["fleet.hill-farm.>"] } }'
        " }"
    )


def test_the_consumer_may_take_and_acknowledge_and_nothing_else() -> None:
    """It writes no message and removes no stream."""
    sites = Sites()
    sites.user("fleet")
    (line,) = [line for line in accounts(sites).splitlines() if "FLEET" not in line and '"fleet"' in line]
    allowed = re.findall(r'"([$_][^"]*)"', line)

    assert allowed == [
        "$JS.API.CONSUMER.MSG.NEXT.$MQTT_msgs.fleet",
        "$JS.API.STREAM.INFO.$MQTT_msgs",
        "$JS.ACK.$MQTT_msgs.fleet.>",
        "_INBOX_fleet.>",
    ]


def test_a_credential_is_shown_once_and_kept_as_a_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For nobody else to read; each has another password."""
    assert command(tmp_path, "add", "hill-farm", "mill") == 0
    shown = dict(line.split() for line in capsys.readouterr().out.splitlines())

    assert shown.keys() == {"hill-farm.1", "mill.1"}
    assert len(set(shown.values())) == 2
    for name in ("sites.json", "accounts.conf"):
        text = (tmp_path / name).read_text()
        assert not any(password in text for password in shown.values())
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_credential_is_exchanged_without_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second is good beside the first; then the older one goes, and numbers are not used again."""
    for words in (("add", "mill"), ("add", "mill")):
        assert command(tmp_path, *words) == 0
    assert users_of(tmp_path) == ["mill.1", "mill.2"]
    assert command(tmp_path, "add", "mill") == 1
    assert "withdraw 1 first" in capsys.readouterr().err

    assert command(tmp_path, "withdraw", "mill") == 0
    assert users_of(tmp_path) == ["mill.2"]
    assert command(tmp_path, "add", "mill") == 0
    assert users_of(tmp_path) == ["mill.2", "mill.3"]
    assert command(tmp_path, "withdraw", "mill", "--number", "3") == 0
    assert users_of(tmp_path) == ["mill.2"]


def test_a_site_without_a_credential_is_missed_until_it_is_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Withdrawing locks it out; the alarm for a silent site goes on until it leaves the register."""
    command(tmp_path, "add", "mill", "hill")
    command(tmp_path, "withdraw", "mill")
    assert set(load(tmp_path / "sites.json").sites) == {"mill", "hill"}
    capsys.readouterr()
    command(tmp_path, "list")
    assert capsys.readouterr().out == "hill 1\nmill -\n"

    command(tmp_path, "remove", "mill")

    assert set(load(tmp_path / "sites.json").sites) == {"hill"}
    assert users_of(tmp_path) == ["hill.1"]


@pytest.mark.parametrize(
    "name", ["", "Hill", "hill farm", "hill.farm", "hill_farm", "-hill", "hill-", "a" * 33, "fleet"]
)
def test_a_name_that_would_not_do_in_a_topic_is_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written then."""
    assert command(tmp_path, "add", "--", name) == 1
    assert "is no name of a site" in capsys.readouterr().err
    assert not (tmp_path / "sites.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("withdraw", "mill"), "there is no site 'mill'"),
        (("remove", "mill"), "there is no site 'mill'"),
        (("withdraw", "hill", "--number", "7"), "hill has no credential 7"),
    ],
)
def test_what_is_not_there_is_told(
    tmp_path: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake of typing changes nothing."""
    command(tmp_path, "add", "hill")
    before = (tmp_path / "accounts.conf").read_bytes()

    assert command(tmp_path, *words) == 1
    assert said in capsys.readouterr().err
    assert (tmp_path / "accounts.conf").read_bytes() == before


def test_users_that_are_no_sites_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second init leaves them; one of them gets a new password on wish. The monitor is of the system's account."""
    command(tmp_path, "init")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["admin", "fleet", "monitor"]
    command(tmp_path, "init")
    assert "nothing to do" in capsys.readouterr().out
    command(tmp_path, "user", "fleet")
    assert capsys.readouterr().out.startswith("fleet ")
    text = (tmp_path / "accounts.conf").read_text()
    assert text.index('"admin"') < text.index("SYS {") < text.index('"monitor"')


@pytest.mark.parametrize(
    "damage", ["", "[]", "{}", '{"sites": [], "users": {}}', '{"sites": {"a": {"x": ""}}, "users": {}}']
)
def test_a_damaged_register_is_told_and_left_alone(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever repairs it finds what was there."""
    (tmp_path / "sites.json").write_text(damage)

    assert command(tmp_path, "add", "mill") == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert (tmp_path / "sites.json").read_text() == damage


def test_the_register_has_no_more_than_it_needs(tmp_path: Path) -> None:
    """Names, numbers, hashes."""
    command(tmp_path, "add", "mill")

    assert json.loads((tmp_path / "sites.json").read_text()) == {"users": {}, "sites": {"mill": {"1": "hash of 32"}}}
