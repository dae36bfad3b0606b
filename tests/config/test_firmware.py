import json
from typing import Any

import pytest

from tinybms_bridge.config.firmware import import_firmware, translate
from tinybms_bridge.config.loader import parse
from tinybms_bridge.errors import ConfigError


@pytest.mark.parametrize(
    ("section", "alias", "value", "expected"),
    [
        ("wifi", "ssid", "Home", {"sta_ssid": "Home"}),
        ("wifi", "password", "12345678", {"sta_password": "12345678"}),
        ("wifi", "hostname", "bms", {"sta_hostname": "bms"}),
        ("wifi", "ap_fallback", True, {"ap_fallback": {"enabled": True}}),
        ("wifi", "ap_ssid", "AP", {"ap_fallback": {"ssid": "AP"}}),
        ("wifi", "ap_password", "12345678", {"ap_fallback": {"password": "12345678"}}),
        ("wifi", "ap_channel", 3, {"ap_fallback": {"channel": 3}}),
        ("hardware", "uart_rx_pin", 16, {"uart": {"rx_pin": 16}}),
        ("hardware", "uart_tx_pin", 17, {"uart": {"tx_pin": 17}}),
        ("hardware", "uart_baudrate", 115_200, {"uart": {"baudrate": 115_200}}),
        ("hardware", "uart_timeout_ms", 200, {"uart": {"timeout_ms": 200}}),
        ("hardware", "can_tx_pin", 4, {"can": {"tx_pin": 4}}),
        ("hardware", "can_rx_pin", 5, {"can": {"rx_pin": 5}}),
        ("hardware", "can_bitrate", 250_000, {"can": {"bitrate": 250_000}}),
        ("hardware", "can_mode", "normal", {"can": {"mode": "normal"}}),
        ("hardware", "can_termination", True, {"can": {"termination": True}}),
        ("cvl", "bulk_transition_soc", 80, {"bulk_soc_threshold": 80}),
        ("cvl", "transition_float_soc", 90, {"transition_soc_threshold": 90}),
        ("cvl", "float_approach_offset", 40, {"float_approach_offset_mv": 40}),
        ("cvl", "float_offset", 120, {"float_offset_mv": 120}),
        ("cvl", "imbalance_trigger_mv", 80, {"imbalance_hold_threshold_mv": 80}),
        ("cvl", "imbalance_release_mv", 30, {"imbalance_release_threshold_mv": 30}),
        ("cvl", "minimum_ccl_in_float_a", 5, {"maximum_ccl_in_float_a": 5}),
        ("cvl", "cell_min_float_voltage_v", 3.2, {"floor_cell_voltage_v": 3.2}),
        ("victron", "manufacturer", "ENEPAQ", {"manufacturer_name": "ENEPAQ"}),
        ("victron", "pgn_interval_ms", 900, {"pgn_update_interval_ms": 900}),
        ("victron", "cvl_interval_ms", 9000, {"cvl_update_interval_ms": 9000}),
        ("victron", "overvoltage_v", 58.4, {"thresholds": {"overvoltage_v": 58.4}}),
        ("victron", "undervoltage_v", 44, {"thresholds": {"undervoltage_v": 44}}),
        ("victron", "overtemp_c", 55, {"thresholds": {"overtemp_c": 55}}),
        ("victron", "low_temp_charge_c", 0, {"thresholds": {"low_temp_charge_c": 0}}),
        ("victron", "imbalance_warn_mv", 100, {"thresholds": {"imbalance_warn_mv": 100}}),
        ("victron", "imbalance_alarm_mv", 200, {"thresholds": {"imbalance_alarm_mv": 200}}),
        ("victron", "soc_low_percent", 10, {"thresholds": {"soc_low_percent": 10}}),
        ("victron", "soc_high_percent", 99, {"thresholds": {"soc_high_percent": 99}}),
        ("victron", "derate_current_a", 1, {"thresholds": {"derate_current_a": 1}}),
        ("web_server", "web_port", 8080, {"port": 8080}),
        ("web_server", "ws_update_interval", 500, {"websocket_update_interval_ms": 500}),
        ("web_server", "ws_max_clients", 2, {"max_ws_clients": 2}),
        ("web_server", "cors_enabled", True, {"enable_cors": True}),
        ("web_server", "auth_enabled", True, {"enable_auth": True}),
        ("logging", "level", "DEBUG", {"log_level": "DEBUG"}),
        ("logging", "serial", False, {"output_serial": False}),
        ("logging", "web", False, {"output_web": False}),
        ("logging", "sd", True, {"output_sd": True}),
        ("logging", "syslog", False, {"output_syslog": False}),
        ("advanced", "watchdog_config", {"timeout_s": 20}, {"watchdog_timeout_s": 20}),
    ],
)
def test_each_alias_finds_its_place(section: str, alias: str, value: object, expected: dict[str, Any]) -> None:
    """Every other name of the firmware means the documented key."""
    document, _ = import_firmware({section: {alias: value}})

    assert document == {section: expected}


def test_translated_keys_are_keys(samples: dict[str, bytes]) -> None:
    """What comes out is accepted by the strict models; names that nobody knows stay as they are."""
    document, _ = import_firmware(json.loads(samples["firmware-rest"]))

    configuration, notices = parse(json.dumps(document), "a.json")

    assert configuration.cvl.float_offset_mv == 100.0
    assert not any("is read as" in notice.message.text for notice in notices)


@pytest.mark.parametrize("name", ["cvl_algorithm", "cvl"])
def test_the_names_of_the_charge_section(name: str) -> None:
    """The file calls it cvl_algorithm, the README and the REST interface cvl."""
    assert import_firmware({name: {"enabled": False}})[0] == {"cvl": {"enabled": False}}


@pytest.mark.parametrize("name", ["system", "webserver", "web_server"])
def test_the_names_of_the_web_section(name: str) -> None:
    """The page calls it system, the README once webserver."""
    assert import_firmware({name: {"port": 8080}})[0] == {"web_server": {"port": 8080}}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("station", "sta"), ("STA", "sta"), ("Station", "sta"), ("AP", "ap"), ("both", "both"), ("mesh", "mesh"), (5, 5)],
)
def test_wifi_roles(written: object, meant: object) -> None:
    """The firmware's words and any case; unknown words are left for the models to refuse."""
    assert import_firmware({"wifi": {"mode": written}})[0] == {"wifi": {"mode": meant}}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("warn", "WARNING"), ("Info", "INFO"), ("debug", "DEBUG"), ("ERROR", "ERROR"), ("loud", "loud"), (None, None)],
)
def test_log_levels(written: object, meant: object) -> None:
    """Any case and the short WARN; the firmware took anything else for INFO, we refuse it."""
    assert import_firmware({"logging": {"log_level": written}})[0] == {"logging": {"log_level": meant}}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (-0.05, 50.0),
        (-0.1, 100.0),
        (-0.35, 350.0),
        (-0.5, 500.0),
        (-1, 1000),
        (0, 0),
        (50, 50),
        (0.05, 0.05),
        (-50, -50),
    ],
)
@pytest.mark.parametrize("key", ["float_offset", "float_offset_mv", "float_approach_offset"])
def test_offsets_in_negative_volts(key: str, written: float, meant: float) -> None:
    """The page gives volts below the target: -0.05 is 50 mV; anything else is left as it is."""
    document, notices = import_firmware({"cvl": {key: written}})

    (value,) = document["cvl"].values()
    assert value == meant
    assert any("is read as" in notice.message.text for notice in notices) or key == "float_offset_mv"


@pytest.mark.parametrize("written", [9600, 19_200, 38_400, 57_600])
def test_line_speeds_of_the_firmware(written: int) -> None:
    """The firmware's page offers speeds at which no TinyBMS answers: they mean the only one that it has."""
    document, notices = import_firmware({"hardware": {"uart": {"baudrate": written}}})

    assert document == {"hardware": {"uart": {"baudrate": 115_200}}}
    assert [str(notice) for notice in notices] == [
        f"hardware.uart.baudrate: {written} is read as 115200: the vendor of the TinyBMS fixes its line at that speed"
    ]


@pytest.mark.parametrize("written", [115_200, 250_000, -1, 0, 19_200.0, 19_200.5, "19200", True, None, [19_200], {}])
def test_other_line_speeds_are_left_for_the_models(written: object) -> None:
    """What is no whole number of the firmware's list is neither guessed at nor hidden."""
    document = {"hardware": {"uart": {"baudrate": written}}}

    assert import_firmware(document) == (document, [])


def test_a_changed_value_is_told() -> None:
    """The user sees how an odd value was understood."""
    _, notices = import_firmware({"cvl_algorithm": {"float_offset_mv": -0.1}})

    assert [str(notice) for notice in notices] == ["cvl_algorithm.float_offset_mv: -0.1 is read as 100"]


def test_the_misdirected_offset_is_dropped() -> None:
    """The firmware's page overwrote the float current with it: it must not reach ours."""
    document, notices = import_firmware({"cvl": {"imbalance_offset": -0.15, "minimum_ccl_in_float_a": 5}})

    assert document == {"cvl": {"maximum_ccl_in_float_a": 5}}
    assert [notice.path for notice in notices] == ["cvl.imbalance_offset", "cvl.minimum_ccl_in_float_a"]


def test_states_of_the_firmware_are_dropped() -> None:
    """GET /api/config/system mixes states into the settings."""
    document, notices = import_firmware({"wifi": {"connected": True, "ip": "1.2.3.4", "rssi": -60, "mode_active": "x"}})

    assert document == {"wifi": {}}
    assert len(notices) == 4


def test_equal_values_under_both_names_are_silent() -> None:
    """The firmware saves both names of the Wi-Fi keys."""
    document, notices = import_firmware({"wifi": {"ssid": "Home", "sta_ssid": "Home"}})

    assert document == {"wifi": {"sta_ssid": "Home"}}
    assert notices == []


def test_the_full_name_wins() -> None:
    """As in the firmware, the long Wi-Fi name counts, whatever the order."""
    for keys in ({"ssid": "Old", "sta_ssid": "New"}, {"sta_ssid": "New", "ssid": "Old"}):
        document, notices = import_firmware({"wifi": keys})
        assert document == {"wifi": {"sta_ssid": "New"}}
        assert [str(notice) for notice in notices] == ['wifi.ssid: is given again as "wifi.sta_ssid", which counts']


@pytest.mark.parametrize(
    ("keys", "floor_v", "told"),
    [
        ({"cell_min_float_voltage_v": 3.2, "floor_cell_voltage_v": None}, 3.2, 1),
        ({"cell_min_float_voltage_v": None, "floor_cell_voltage_v": 3.2}, 3.2, 0),
        ({"cell_min_float_voltage_v": None, "floor_cell_voltage_v": None}, None, 0),
        ({"cell_min_float_voltage_v": None}, None, 1),
    ],
)
def test_null_under_one_name_leaves_the_value_of_the_other(keys: dict[str, Any], floor_v: object, told: int) -> None:
    """A backup of the version before names every key: those that nobody had set say nothing."""
    document, notices = import_firmware({"cvl": keys})

    assert document == {"cvl": {"floor_cell_voltage_v": floor_v}}
    assert len(notices) == told


def test_an_old_floor_above_the_resting_voltage_is_left_out() -> None:
    """The version before took such a file, and left one of the two out; a start must not fail for it now."""
    configuration, notices = parse('{"cvl": {"cell_min_float_voltage_v": 3.3, "resting_cell_voltage_v": 3.2}}', "a")

    assert (configuration.cvl.floor_cell_voltage_v, configuration.cvl.resting_cell_voltage_v) == (None, 3.2)
    assert [str(notice) for notice in notices] == [
        "cvl.cell_min_float_voltage_v: is above resting_cell_voltage_v; it is not used"
    ]
    configuration, _ = parse('{"cvl": {"cell_min_float_voltage_v": 3.2, "resting_cell_voltage_v": 3.2}}', "a")
    assert configuration.cvl.floor_cell_voltage_v == 3.2


def test_flat_access_point_keys_win() -> None:
    """As in the firmware, they replace the nested ones."""
    document, notices = import_firmware({"wifi": {"ap_ssid": "Flat", "ap_fallback": {"ssid": "Nested"}}})

    assert document == {"wifi": {"ap_fallback": {"ssid": "Flat"}}}
    assert [str(notice) for notice in notices] == ['wifi.ap_ssid: replaces "wifi.ap_fallback.ssid"']


def test_flat_keys_beside_a_plain_switch() -> None:
    """ap_fallback as true or false goes together with the flat keys."""
    document, _ = import_firmware({"wifi": {"ap_password": "12345678", "ap_fallback": False}})

    assert document == {"wifi": {"ap_fallback": {"enabled": False, "password": "12345678"}}}


def test_a_broken_parent_is_left_for_the_models() -> None:
    """Translation never hides a mistake."""
    document, _ = import_firmware({"hardware": {"uart": 5, "uart_baudrate": 9600}})

    assert document == {"hardware": {"uart": 5}}


@pytest.mark.parametrize(
    "envelope",
    [
        {"config": {"mqtt": {"port": 1884}}, "success": True},
        {"config": {"mqtt": {"port": 1884}}},
        {"settings": {"mqtt": {"port": 1884}}},
    ],
)
def test_envelopes_of_the_rest_interface(envelope: dict[str, Any]) -> None:
    """GET answers and POST bodies can be used as they are."""
    assert import_firmware(envelope)[0] == {"mqtt": {"port": 1884}}


@pytest.mark.parametrize("document", [{"config": 5}, {"config": {}, "mqtt": {}}, {"success": True}])
def test_other_documents_are_no_envelopes(document: dict[str, Any]) -> None:
    """Only exactly the firmware's shapes are opened; the rest is left for the models to refuse."""
    assert import_firmware(document)[0] == document


def test_two_names_of_one_section_raise() -> None:
    """Merging them would be a guess."""
    with pytest.raises(ConfigError) as caught:
        import_firmware({"cvl": {}, "cvl_algorithm": {}})

    assert [problem.path for problem in caught.value.problems] == ["cvl_algorithm"]


def test_our_own_names_pass_unchanged(samples: dict[str, bytes]) -> None:
    """Translating twice is translating once."""
    for text in samples.values():
        once = translate(json.loads(text)).document
        twice = translate(once)
        assert twice.document == once
        assert twice.notices == []
        assert twice.origins == {}


def test_the_result_shares_nothing_with_the_source() -> None:
    """Changing the result must not change the caller's document."""
    source: dict[str, Any] = {"hardware": {"can": {"options": {"a": 1}}}, "odd": [1]}

    document, _ = import_firmware(source)
    document["hardware"]["can"]["options"]["a"] = 2
    document["odd"].append(2)

    assert source == {"hardware": {"can": {"options": {"a": 1}}}, "odd": [1]}


def test_origins_lead_back_to_the_file() -> None:
    """Messages can name the key that the user wrote."""
    translation = translate({"system": {"web_port": 80}, "wifi": {"ap_channel": 3}})

    assert translation.origins == {
        "web_server": "system",
        "web_server.port": "system.web_port",
        "wifi.ap_fallback.channel": "wifi.ap_channel",
    }


def test_packs_pass_beside_the_names_of_the_firmware() -> None:
    """A map of names has no names of the firmware in it: whatever a pack is called, it stays what it is."""
    packs = {"uart": {"uart": {"device": "/dev/a"}}, "ssid": {"uart": {"device": "/dev/b"}, "enabled": False}}
    document = {"config": {"packs": packs, "hardware": {"uart_timeout_ms": 200}}, "success": True}

    translated, notices = import_firmware(document)

    assert translated == {"packs": packs, "hardware": {"uart": {"timeout_ms": 200}}}
    assert [notice.path for notice in notices] == ["config.hardware.uart_timeout_ms"]
