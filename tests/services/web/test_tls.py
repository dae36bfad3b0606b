import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from tinybms_bridge.errors import ConfigError
from tinybms_bridge.services.web import tls
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.services.web.tls import ensure_self_signed, tls_context

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not here")


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and its key."""
    return ensure_self_signed(tmp_path_factory.mktemp("tls"))


def problem(error: pytest.ExceptionInfo[ConfigError]) -> tuple[str, str]:
    """Return key and message of the one problem."""
    (found,) = error.value.problems
    return found.path, found.message.text


def test_without_any_key_there_is_no_tls() -> None:
    """Plain HTTP is the default."""
    assert tls_context(WebOptions()) is None


@needs_openssl
def test_certificate_files_give_a_context(pair: tuple[Path, Path]) -> None:
    """With the versions that are safe, and HTTP/1.1 alone."""
    context = tls_context(WebOptions(certificate=str(pair[0]), key=str(pair[1])))

    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (WebOptions(certificate="/x.pem"), "web_server.tls_key"),
        (WebOptions(key="/x.pem"), "web_server.tls_certificate"),
    ],
)
def test_half_a_pair_names_the_missing_key(options: WebOptions, key: str) -> None:
    """Instead of going on without encryption."""
    with pytest.raises(ConfigError) as error:
        tls_context(options)

    assert problem(error) == (key, "must be given, because the other one of certificate and key is given")


def test_a_missing_file_names_its_key(tmp_path: Path) -> None:
    """A wrong path is the usual mistake."""
    with pytest.raises(ConfigError) as error:
        tls_context(WebOptions(certificate=str(tmp_path / "x"), key=str(tmp_path / "y")))

    assert problem(error)[0] == "web_server.tls_certificate"
    assert "does not exist" in problem(error)[1]


@needs_openssl
def test_a_key_of_another_certificate_is_told(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """The two files must belong together."""
    _, other = ensure_self_signed(tmp_path)

    with pytest.raises(ConfigError) as error:
        tls_context(WebOptions(certificate=str(pair[0]), key=str(other)))

    assert "cannot be used together" in problem(error)[1]


@needs_openssl
def test_a_key_with_a_password_does_not_ask_on_the_terminal(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A service has no terminal: it would hang."""
    locked = tmp_path / "locked.pem"
    arguments = ["openssl", "ec", "-in", str(pair[1]), "-aes128", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(arguments, check=True, capture_output=True)

    with pytest.raises(ConfigError) as error:
        tls_context(WebOptions(certificate=str(pair[0]), key=str(locked)))

    assert "protected by a password" in problem(error)[1]


@needs_openssl
def test_our_own_certificate_names_this_machine(pair: tuple[Path, Path]) -> None:
    """So that a browser that trusts it once accepts it for the usual names."""
    arguments = ["openssl", "x509", "-in", str(pair[0]), "-noout", "-text"]
    shown = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout

    assert "DNS:localhost" in shown
    assert ".local" in shown
    assert "IP Address:127.0.0.1" in shown
    assert "prime256v1" in shown


@needs_openssl
def test_our_own_key_is_readable_for_its_owner_only(pair: tuple[Path, Path]) -> None:
    """And nothing else is left in the folder."""
    assert stat.S_IMODE(pair[1].stat().st_mode) == 0o600
    assert {path.name for path in pair[0].parent.iterdir()} == {"web-certificate.pem", "web-key.pem"}


@needs_openssl
def test_our_own_certificate_is_kept(tmp_path: Path) -> None:
    """A browser that trusts it must not be asked again after each start."""
    certificate, _ = ensure_self_signed(tmp_path)
    before = certificate.read_bytes()

    assert tls_context(WebOptions(self_signed=True, certificate_directory=tmp_path)) is not None
    assert certificate.read_bytes() == before


@needs_openssl
@pytest.mark.parametrize("damage", ["certificate", "key"])
def test_a_damaged_pair_is_made_anew(tmp_path: Path, damage: str) -> None:
    """A power cut between the two files does not leave the server without one."""
    certificate, key = ensure_self_signed(tmp_path)
    if damage == "certificate":
        certificate.write_text("damaged")
    else:
        key.unlink()

    assert tls_context(WebOptions(self_signed=True, certificate_directory=tmp_path)) is not None


@needs_openssl
def test_a_certificate_about_to_expire_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty days before."""
    monkeypatch.setattr(tls, "_LIFE_DAYS", 29)
    certificate, _ = ensure_self_signed(tmp_path)
    before = certificate.read_bytes()

    assert ensure_self_signed(tmp_path)[0].read_bytes() != before


def test_without_openssl_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is not part of this project."""
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(ConfigError) as error:
        ensure_self_signed(tmp_path)

    assert problem(error)[0] == "web_server.tls_self_signed"
    assert "install it" in problem(error)[1]


@pytest.mark.parametrize(("script", "words"), [("exit 3", "openssl failed: "), ("echo broken >&2; exit 1", "broken")])
def test_an_openssl_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    """With its own words."""
    program = tmp_path / "openssl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(program))

    with pytest.raises(ConfigError, match=words):
        ensure_self_signed(tmp_path / "new")


def test_an_openssl_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without entropy must not hold up the service for ever."""
    program = tmp_path / "openssl"
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(program))
    monkeypatch.setattr(tls, "_OPENSSL_TIMEOUT_S", 0.1)

    with pytest.raises(ConfigError, match="did not end within"):
        ensure_self_signed(tmp_path / "new")


@needs_openssl
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Nothing is kept in a place that was not chosen."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be kept"):
        ensure_self_signed(tmp_path / "file" / "tls")
