from pathlib import Path

import pytest

from tinybms_bridge.config.models import WebServer
from tinybms_bridge.services.web.options import WebOptions


def test_the_defaults_of_both_are_the_same() -> None:
    """A configuration without a word about the web server gives what the documents say."""
    assert WebOptions.from_config(WebServer(), Path("/state")) == WebOptions(certificate_directory=Path("/state"))


def test_every_key_is_taken_over() -> None:
    """``enable_auth`` closes reading."""
    web = WebServer(
        enabled=False,
        port=8443,
        listen_address="127.0.0.1",
        enable_cors=True,
        cors_origins=["http://friend.example"],
        enable_auth=True,
        reading_from_anywhere=True,
        tls_certificate="/c.pem",
        tls_key="/k.pem",
        tls_self_signed=True,
    )

    assert WebOptions.from_config(web, Path("/state")) == WebOptions(
        enabled=False,
        port=8443,
        listen_address="127.0.0.1",
        open_reading=False,
        reading_from_anywhere=True,
        origins=("http://friend.example",),
        certificate="/c.pem",
        key="/k.pem",
        self_signed=True,
        certificate_directory=Path("/state"),
    )


def test_the_port_needs_no_right_unless_a_configuration_asks_for_80() -> None:
    """The firmware's port stays where it is written down; a fresh installation listens without root."""
    assert WebOptions.from_config(WebServer(), Path()).port == 8080
    assert WebOptions.from_config(WebServer(port=80), Path()).port == 80


def test_sites_count_only_while_cors_is_on() -> None:
    """Switching it off closes it without losing the list."""
    web = WebServer(cors_origins=["http://friend.example"])

    assert WebOptions.from_config(web, Path()).origins == ()


@pytest.mark.parametrize(
    ("options", "encrypted"),
    [(WebOptions(), False), (WebOptions(self_signed=True), True), (WebOptions(certificate="c", key="k"), True)],
)
def test_encryption_is_known_before_the_server_runs(options: WebOptions, encrypted: bool) -> None:
    """The address that is shown has the right scheme."""
    assert options.encrypted is encrypted
