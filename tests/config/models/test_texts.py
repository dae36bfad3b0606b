from collections.abc import Callable

import can
import pytest

from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.models import Can

Complaints = Callable[[object], dict[str, str]]

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("name", ["", "Home", "Café ☕", "x" * 32, "a b"])
def test_network_names_are_accepted(name: str, complaints: Complaints) -> None:
    """IEEE 802.11 allows 32 bytes of any text."""
    assert complaints({"wifi": {"sta_ssid": name}}) == {}


@pytest.mark.parametrize("name", ["x" * 33, "é" * 17, "tab\there", "line\nbreak"])
def test_impossible_network_names_are_refused(name: str, complaints: Complaints) -> None:
    """A name that no network can have is a mistake; bytes count, not characters."""
    assert complaints({"wifi": {"sta_ssid": name}}) == {
        "wifi.sta_ssid": "must be at most 32 bytes of text without control characters"
    }


@pytest.mark.parametrize("key", ["", "12345678", "x" * 63, "0123456789abcdef" * 4, "with spaces !"])
def test_wpa_keys_are_accepted(key: str, complaints: Complaints) -> None:
    """Passphrases of 8 to 63 characters, 64 hexadecimal digits, and none for an open network."""
    assert complaints({"wifi": {"sta_password": key}}) == {}


@pytest.mark.parametrize("key", ["1234567", "x" * 64, "x" * 65, "pässword", "seven77"])
def test_impossible_wpa_keys_are_refused(key: str, complaints: Complaints) -> None:
    """A key that no access point accepts is said at once, not after a failed join."""
    assert complaints({"wifi": {"ap_fallback": {"password": key}}}) == {
        "wifi.ap_fallback.password": "must be 8 to 63 printable ASCII characters or 64 hexadecimal digits; "
        "empty for an open network"
    }


@pytest.mark.parametrize("name", ["a", "tinybms-bridge", "x" * 63, "Bridge2"])
def test_host_names_are_accepted(name: str, complaints: Complaints) -> None:
    """Labels of RFC 1123."""
    assert complaints({"wifi": {"sta_hostname": name}}) == {}


@pytest.mark.parametrize("name", ["", "-a", "a-", "a.b", "a_b", "x" * 64, "ä"])
def test_impossible_host_names_are_refused(name: str, complaints: Complaints) -> None:
    """Nobody would answer for such a name."""
    assert list(complaints({"wifi": {"sta_hostname": name}})) == ["wifi.sta_hostname"]


@pytest.mark.parametrize("address", ["192.168.1", "192.168.1.256", "fe80::1", "192.168.1.20/24", " 10.0.0.1", "x"])
def test_other_texts_are_no_addresses(address: str, complaints: Complaints) -> None:
    """Only dotted IPv4 addresses are understood."""
    assert complaints({"wifi": {"sta_static_ip": address}}) == {
        "wifi.sta_static_ip": "must be an IPv4 address such as 192.168.1.20, or empty"
    }


@pytest.mark.parametrize("uri", ["mqtt://broker", "mqtts://broker.lan:8883", "mqtt://127.0.0.1/", "mqtt://[::1]:1883"])
def test_broker_addresses_are_accepted(uri: str, complaints: Complaints) -> None:
    """Both schemes, with and without a port."""
    assert complaints({"mqtt": {"uri": uri}}) == {}


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "broker",
        "http://broker",
        "mqtt://",
        "mqtt://broker:0",
        "mqtt://broker:99999",
        "mqtt://broker:x",
        "mqtt://me:pw@broker",
        "mqtt://@broker",
        "mqtt://broker/topic",
        "mqtt://broker?x=1",
        "mqtt://[::1",
    ],
)
def test_other_texts_are_no_brokers(uri: str, complaints: Complaints) -> None:
    """User names belong into their own keys, where they are kept secret."""
    assert complaints({"mqtt": {"uri": uri}}) == {
        "mqtt.uri": "must be mqtt://HOST or mqtts://HOST, with :PORT if needed, without user name and password"
    }


@pytest.mark.parametrize("topic", ["victron/tinybms", "a", "Ökostrom/bms 1"])
def test_topics_are_accepted(topic: str, complaints: Complaints) -> None:
    """Any levels without wildcards."""
    assert complaints({"mqtt": {"root_topic": topic}}) == {}


@pytest.mark.parametrize("topic", ["", "/a", "a/", "a//b", "a/+", "#", "a\u0000b", "x" * 201])
def test_impossible_topics_are_refused(topic: str, complaints: Complaints) -> None:
    """A broker would refuse them or publish where nobody looks."""
    assert list(complaints({"mqtt": {"root_topic": topic}})) == ["mqtt.root_topic"]


def test_certificates_are_pem_text(complaints: Complaints) -> None:
    """A path or DER bytes in the place of the certificate would only fail at the connection."""
    assert complaints({"mqtt": {"server_certificate": PEM}}) == {}
    assert list(complaints({"mqtt": {"server_certificate": "/etc/ca.pem"}})) == ["mqtt.server_certificate"]


@pytest.mark.parametrize("name", ["ENEPAQ", "TinyBMS", "12345678", "A"])
def test_manufacturers_are_accepted(name: str, complaints: Complaints) -> None:
    """Frame 0x35E has eight ASCII characters."""
    assert complaints({"victron": {"manufacturer_name": name}}) == {}


@pytest.mark.parametrize(
    "name", ["", " ", "123456789", "Énergie", "PYLON", "pylontec", "BYD", "LG", "LGChem", "Byd Box"]
)
def test_quirky_manufacturers_are_refused(name: str, complaints: Complaints) -> None:
    """A GX applies its own rules to batteries of these makers, which would override the limits."""
    (message,) = complaints({"victron": {"manufacturer_name": name}}).values()
    assert "LG, PELIO or PYLON" in message


@pytest.mark.parametrize("key", ["battery_name", "family_name"])
@pytest.mark.parametrize("name", ["Pylon 1", "LG", "BYD", "Dyness", "pelio"])
def test_quirky_names_are_refused_everywhere(key: str, name: str, complaints: Complaints) -> None:
    """A GX looks for these makers in every name that the battery sends."""
    (message,) = complaints({"victron": {key: name}}).values()
    assert "LG, PELIO or PYLON" in message


@pytest.mark.parametrize(
    ("key", "longest"),
    [("battery_name", 16), ("family_name", 8)],
)
def test_names_fit_their_frames(key: str, longest: int, complaints: Complaints) -> None:
    """Two frames of eight characters hold the battery's name, one the family's."""
    assert complaints({"victron": {key: "x" * longest}}) == {}
    for wrong in ("", "x" * (longest + 1), " x", "x ", "ü"):
        assert list(complaints({"victron": {key: wrong}})) == [f"victron.{key}"], wrong


@pytest.mark.parametrize("server", ["", "logs", "logs.lan:514", "192.168.1.5"])
def test_syslog_servers_are_accepted(server: str, complaints: Complaints) -> None:
    """Host, or host and port."""
    assert complaints({"logging": {"syslog_server": server}}) == {}


@pytest.mark.parametrize("server", ["a b", "logs:", "logs:123456", "udp://logs"])
def test_other_texts_are_no_syslog_servers(server: str, complaints: Complaints) -> None:
    """A URL would be taken for a host name."""
    assert complaints({"logging": {"syslog_server": server}}) == {
        "logging.syslog_server": "must be HOST or HOST:PORT, or empty"
    }


@pytest.mark.parametrize("token", ["", "x" * 16, "x" * 256, '!~/+="\\{}0123456789'])
def test_tokens_of_a_prometheus_server_are_accepted(token: str, complaints: Complaints) -> None:
    """Whatever goes through a header in one piece and is too long to be guessed; or none."""
    assert complaints({"metrics": {"token": token}}) == {}


@pytest.mark.parametrize(
    "token", ["x" * 15, "x" * 257, "with spaces in it", "pässword-pässword", "line\nbreak-of-a-line"]
)
def test_other_texts_are_no_tokens(token: str, complaints: Complaints) -> None:
    """A short one would be guessed, and one with a space never match."""
    assert complaints({"metrics": {"token": token}}) == {
        "metrics.token": "must be 16 to 256 printable ASCII characters without spaces, or empty"
    }


@pytest.mark.parametrize("path", ["state", "~/state", "./x", "/a\u0000b"])
def test_the_state_directory_is_absolute(path: str, complaints: Complaints) -> None:
    """A relative path would depend on where the service was started."""
    assert complaints({"advanced": {"state_directory": path}}) == {
        "advanced.state_directory": "must be an absolute path, or empty"
    }


@pytest.mark.parametrize("device", ["/dev/ttyUSB0", "auto", "/dev/serial/by-id/usb-x"])
def test_serial_ports_are_accepted(device: str, complaints: Complaints) -> None:
    """Paths and the word auto."""
    assert complaints({"hardware": {"uart": {"device": device}}}) == {}


@pytest.mark.parametrize("device", ["", "/dev/tty\n", "x" * 201])
def test_impossible_serial_ports_are_refused(device: str, complaints: Complaints) -> None:
    """An empty path would open nothing."""
    assert list(complaints({"hardware": {"uart": {"device": device}}})) == ["hardware.uart.device"]


def test_can_interfaces_are_those_of_the_library() -> None:
    """Every choice offered exists in python-can."""
    offered = {str(choice) for choice in keys_of(Can)["interface"].choices}

    assert offered <= set(can.VALID_INTERFACES)
    assert {"socketcan", "slcan", "gs_usb", "pcan", "socketcand", "udp_multicast", "virtual"} <= offered


def test_can_options_are_plain_values(complaints: Complaints) -> None:
    """Options go to the library as they are: texts, numbers and switches only."""
    good = {"tty_baudrate": 115_200, "rtscts": True, "timeout": 0.5, "app": "x"}

    assert complaints({"hardware": {"can": {"options": good}}}) == {}
    refused: list[object] = [[1], {"a": [1]}, {"a": None}, {"a": {}}, "x"]
    for wrong in refused:
        assert complaints({"hardware": {"can": {"options": wrong}}}) == {
            "hardware.can.options": "must be an object of texts, numbers and switches"
        }


@pytest.mark.parametrize("rate", [250_000, 500_000, 1_000_000])
def test_can_bit_rates_are_accepted(rate: int, complaints: Complaints) -> None:
    """The rates that CAN adapters know."""
    assert complaints({"hardware": {"can": {"bitrate": rate}}}) == {}


@pytest.mark.parametrize("rate", [0, 500, 500_001, True, 500_000.0])
def test_other_can_bit_rates_are_refused(rate: object, complaints: Complaints) -> None:
    """500 instead of 500000 is a frequent slip."""
    (message,) = complaints({"hardware": {"can": {"bitrate": rate}}}).values()
    assert message.startswith("must be one of 25000, 50000")


@pytest.mark.parametrize("rate", [9600, 19_200, 38_400, 57_600, 115_200])
def test_line_speeds_of_the_firmware_are_accepted(rate: int, complaints: Complaints) -> None:
    """The README's 19200 is wrong for a real BMS but no reason to refuse its sample."""
    assert complaints({"hardware": {"uart": {"baudrate": rate}}}) == {}


@pytest.mark.parametrize("rate", [115_201, 250_000, -1, 0, 19_200.0, 19_200.5, 1e400, "19200", "", True, None, [], {}])
def test_other_line_speeds_are_refused(rate: object, complaints: Complaints) -> None:
    """A speed that no list offers is a slip, and only whole numbers are read as another one."""
    (found,) = complaints({"hardware": {"uart": {"baudrate": rate}}}).items()
    assert found == ("hardware.uart.baudrate", "must be 115200")


@pytest.mark.parametrize("length", [2, 8])
def test_lengths_of_the_capacity_frame_are_accepted(length: int, complaints: Complaints) -> None:
    """The one of the document, and the one that some readers take for granted."""
    assert complaints({"victron": {"installed_capacity_bytes": length}}) == {}


@pytest.mark.parametrize("length", [0, 1, 3, 6, 7, 9, 64, -2, 2.0, 8.5, "8", True, None, [8], {}])
def test_other_lengths_of_the_capacity_frame_are_refused(length: object, complaints: Complaints) -> None:
    """No classic frame is longer than 8 bytes, and one cut in between helps nobody."""
    assert complaints({"victron": {"installed_capacity_bytes": length}}) == {
        "victron.installed_capacity_bytes": "must be one of 2, 8"
    }
