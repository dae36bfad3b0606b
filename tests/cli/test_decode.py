"""The decode command, from files, from standard input and from a live bus."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import can
import pytest
from click.testing import CliRunner

from tinybms_bridge.cli.decode import decode_command
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.can import CanPort, CanSettings
from tinybms_bridge.hal.can_loopback import LoopbackBus

RECORDING = """\
# a battery and a GX
(1.000000) can0 351#4302E8039E07D001
(1.050000) can0 7E8#00
(1.100000) can0 355#3C00640084170000
what is this
(1.200000) can0 305#0000000000000000
"""
COMMAND = [sys.executable, "-m", "tinybms_bridge", "decode"]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return a recording with three frames, an unknown one and a line of nonsense."""
    path = tmp_path / "recording.log"
    path.write_text(RECORDING, "utf-8")
    return path


def test_recording_is_decoded(recording: Path) -> None:
    """Each known frame becomes a line."""
    result = CliRunner().invoke(decode_command, [str(recording)])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line.split()[1:3] for line in lines] == [
        ["0x351", "limits"],
        ["0x355", "state_of_charge"],
        ["0x305", "gx_keep_alive"],
    ]
    assert "charge_voltage_limit 57.9 V" in lines[0]


def test_what_cannot_be_decoded_is_reported_with_its_line(recording: Path) -> None:
    """Unknown ids and nonsense go to standard error, with file and line, and do not end the command."""
    result = CliRunner().invoke(decode_command, [str(recording)])
    assert result.stderr.splitlines() == [
        f"{recording}:3: no frame 0x7E8 in the Victron CAN-bus BMS protocol",
        f"{recording}:5: not a line of candump: 'what is this'",
    ]


def test_standard_input_is_read_without_files() -> None:
    """The command works in a pipe."""
    result = CliRunner().invoke(decode_command, input="351#4302E8039E07D001\n379#1801\n")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2


def test_several_files_are_read_one_after_the_other(recording: Path) -> None:
    """Recordings can be given together."""
    result = CliRunner().invoke(decode_command, [str(recording), str(recording)])
    assert len(result.stdout.splitlines()) == 6


def test_json_is_one_object_per_line(recording: Path) -> None:
    """Other programs get a record for each frame."""
    result = CliRunner().invoke(decode_command, ["--json", str(recording)])
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["id"] for record in records] == ["0x351", "0x355", "0x305"]
    assert records[1]["values"] == {"soc": 60, "soh": 100, "soc_high_resolution": 60.2}
    assert records[1]["time"] == 1.1


@pytest.mark.parametrize("text", ["", "nonsense\n", "7E8#00\n", "351#01\n"])
def test_nothing_decoded_is_a_failure(text: str) -> None:
    """A script notices that the input was no recording of this protocol, and a person reads why."""
    result = CliRunner().invoke(decode_command, input=text)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == "error: not a single frame could be decoded"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("351#01", "0x351 limits has 1 byte, expected 6 to 8"),
        ("355#5400", "0x355 state_of_charge has 2 bytes, expected 4 to 6"),
        ("35A#AA", "0x35A alarms has 1 byte, expected 8"),
        ("378#01", "0x378 energy has 1 byte, expected 8"),
        ("35E#", "0x35E manufacturer_name has 0 bytes, expected 1 to 8"),
    ],
)
def test_a_cut_frame_is_reported_and_not_shown(line: str, complaint: str) -> None:
    """Half a frame is a fault of the sender or the line: its remaining fields must not pass for the whole."""
    result = CliRunner().invoke(decode_command, input=f"{line}\n351#4302E8039E07\n305#\n35E#5041\n")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["0x351", "0x305", "0x35E"]
    assert result.stderr == f"<stdin>:1: {complaint}\n"


def test_options_of_a_bus_want_live() -> None:
    """A forgotten --live is told, instead of waiting for a recording on standard input."""
    result = CliRunner().invoke(decode_command, ["--interface", "socketcan"])
    assert result.exit_code == 2
    assert "--live" in result.stderr


def test_live_on_the_bus_of_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With -c the adapter is opened with every option of the bridge's own, and all frames are let through."""
    path = tmp_path / "bridge.json"
    can_part = {"interface": "slcan", "channel": "/dev/ttyACM7", "bitrate": 250000, "options": {"tty_baudrate": 9600}}
    path.write_text(json.dumps({"hardware": {"can": can_part}}), "utf-8")
    asked: list[CanSettings] = []

    async def refuse(settings: CanSettings) -> CanPort:
        asked.append(settings)
        raise LinkError("no such adapter")

    monkeypatch.setattr("tinybms_bridge.hal.can.open_can", refuse)
    result = CliRunner().invoke(decode_command, ["--live", "-c", str(path)])
    assert (result.exit_code, result.stderr) == (1, "error: no such adapter\n")
    assert asked == [CanSettings("slcan", "/dev/ttyACM7", 250_000, {"tty_baudrate": 9600}, ())]


def test_live_on_a_wrong_configuration_is_told(tmp_path: Path) -> None:
    """A configuration that does not exist ends the command with its name."""
    result = CliRunner().invoke(decode_command, ["--live", "-c", str(tmp_path / "none.json")])
    assert result.exit_code == 2
    assert "none.json" in result.stderr


def test_one_good_file_is_enough(recording: Path, tmp_path: Path) -> None:
    """The code is 1 only when nothing at all could be decoded."""
    empty = tmp_path / "empty.log"
    empty.write_text("", "utf-8")
    assert CliRunner().invoke(decode_command, [str(empty), str(recording)]).exit_code == 0


def test_bytes_that_are_no_text_are_a_line_like_others(tmp_path: Path) -> None:
    """A damaged recording is read as far as it goes."""
    path = tmp_path / "damaged.log"
    path.write_bytes(b"\xff\xfe\x00\n351#4302E8039E07D001\n")
    result = CliRunner().invoke(decode_command, [str(path)])
    assert result.exit_code == 0
    assert ":1: not a line of candump" in result.stderr


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    """The name that does not exist is in the message."""
    result = CliRunner().invoke(decode_command, [str(tmp_path / "no.log")])
    assert result.exit_code == 2
    assert "no.log" in result.stderr


def test_files_and_live_exclude_each_other(recording: Path) -> None:
    """Nothing is silently ignored."""
    result = CliRunner().invoke(decode_command, ["--live", str(recording)])
    assert result.exit_code == 2
    assert "leave the files out" in result.stderr


def test_help_teaches_with_examples() -> None:
    """The help shows the usual ways to call the command."""
    result = CliRunner().invoke(decode_command, ["--help"])
    assert "candump -L can0 | tinybms-bridge decode" in result.stdout
    assert "tinybms-bridge decode --live" in result.stdout


def test_adapter_that_cannot_be_opened_is_one_line() -> None:
    """A wrong interface ends with the reason and no traceback."""
    result = subprocess.run(
        [*COMMAND, "--live", "--interface", "soketcan"], capture_output=True, text=True, check=False, timeout=30
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: unknown CAN interface 'soketcan'")
    assert len(result.stderr.splitlines()) == 1


def test_lines_come_out_as_they_come_in() -> None:
    """In a pipe behind candump, each frame is shown at once."""
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("379#1801\n")
        process.stdin.flush()
        assert process.stdout.readline() == "0x379  installed_capacity    capacity 280 Ah\n"
        process.stdin.close()
        assert process.wait(60) == 0


def test_reader_that_has_seen_enough_ends_the_command_quietly() -> None:
    """``decode | head`` leaves no traceback."""
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("379#1801\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write("379#1801\n" * 100)
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_live_bus_is_watched_until_ctrl_c(can_group: str) -> None:
    """Frames of another process on this machine are shown; an unknown id is reported once; Ctrl-C is no failure."""
    with subprocess.Popen(
        [*COMMAND, "--live", "--json", "--channel", can_group],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == f"watching udp_multicast:{can_group}; Ctrl-C ends\n"
        bus = LoopbackBus(can_group)
        try:
            for identifier, data in ((0x7E8, "00"), (0x7E8, "00"), (0x351, "4302E8039E07D001"), (0x379, "1801")):
                bus.send(can.Message(arbitration_id=identifier, data=bytes.fromhex(data), is_extended_id=False))
            records = [json.loads(process.stdout.readline()) for _ in range(2)]
        finally:
            bus.shutdown()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(60) == 0
    assert [record["name"] for record in records] == ["limits", "installed_capacity"]
    assert all(record["time"] > 1e9 for record in records)
    assert rest == "no frame 0x7E8 in the Victron CAN-bus BMS protocol; further ones are not shown\n"


def test_command_is_cheap_to_import() -> None:
    """Neither the frame table nor python-can is loaded to show the help."""
    code = (
        "import sys, tinybms_bridge.cli.decode\n"
        "sys.exit(any(name in sys.modules for name in ('can', 'cantools', 'tinybms_bridge.victron.can.codec')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
