"""Every command of both READMEs, the guides, and the first start in docs/web-security.md, run as it is written.

The lines of the fenced blocks run in one bash, in their order, beside a running demo and a simulated BMS. Blocks with a
language of their own (``json``, ``text`` and so on) are no commands. A command that cannot run here stands in
``NOT_HERE`` with the reason; one that is in no list fails.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tinybms_lab.testing.running_bridge import ANSWER_MS, free_port

ROOT = Path(__file__).parents[2]
WAIT_S = 120.0
"""Longer than anything takes on a machine that is busy with something else."""

NOT_HERE = {
    r"git clone ": "the network",
    r"cd ": "the folder is that of the test",
    r"make( |$)": "installs the program and starts what this test has running",
    r"(sudo )?(apt|apt-get) ": "changes the machine",
    r"(sudo )?(ip|systemctl|usermod|journalctl) ": "hardware, or a service of the machine",
    r"sudo ": "the rights of root",
    r"(python3? -m venv|pip3? |pipx |uv |\S+/pip )": "installs from the network",
    r"(candump|cansend|ssh|scp) ": "a CAN adapter or another machine",
    r"ls -l /dev/": "a USB adapter",
    r"vcgencmd ": "a Raspberry Pi",
    r"tinybms-bridge status --watch": "a terminal, which test_live_view.py has",
}
"""What is not run, by its beginning."""

LASTING = {
    r"(\S+/)?tinybms-bridge decode --live": r"CVL|CCL|[0-9A-F]{3}",
    r"(\S+/)?tinybms-bridge run": r"BMS answers",
    r"(\S+/)?tinybms-bridge simulate": r"\S",
    r"(\S+/)?tinybms-bridge demo": r"decode --live",
    r"websocat ": r"voltage",
}
"""What runs until Ctrl-C, and what it has to say before."""

RUNNABLE = re.compile(
    r"[A-Z_]+=|(\S+/)?tinybms-bridge |curl |jq |websocat |echo |cat |printf |grep |\S+/python -m rigs\.field_test "
)
"""What is run to its end, and has to succeed."""

NOTHING_FOUND = re.compile(r"\| grep ")
"""May end with 1: there may be no such line."""

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Command:
    """One command of a document."""

    text: str
    line: int


def commands_of(text: str, languages: tuple[str, ...]) -> list[Command]:
    """Return the commands in the fenced blocks of these languages, without prompts and comments."""
    found: list[Command] = []
    language: str | None = None
    begun = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            language = None if language is not None else line.strip().removeprefix("```").strip()
            continue
        if language is None or language not in languages:
            continue
        words = begun + line.strip().removeprefix("$ ")
        if words.endswith("\\"):
            begun = words[:-1]
        elif words and not words.startswith("#"):
            found.append(Command(words, number))
            begun = ""
    return found


def reason_not_to_run(command: str) -> str:
    """Return why a command cannot run here, or nothing."""
    return next((reason for start, reason in NOT_HERE.items() if re.match(start, command)), "")


@dataclass
class Place:
    """A folder with a running demo and a simulated BMS, and what the documents call them."""

    folder: Path
    port: int
    group: str
    bms: Path
    state_directory: str = ""
    socket: str = ""
    """Where the demo listens for commands; empty where they are to find no bridge."""
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def here(self, command: str) -> str:
        """Return a command with the port, devices and directory of this test, and what a person types at a prompt."""
        for pattern, replacement in (
            (r"(localhost|127\.0\.0\.1):8080", f"localhost:{self.port}"),
            (r"/dev/tty(USB|ACM|AMA|S)\d+|/tmp/bms", str(self.bms)),
            (
                r"tinybms-bridge users (--state-directory \S+ )?",
                f"tinybms-bridge users --state-directory {self.state_directory} ",
            ),
            (r"decode --live", f"decode --live --channel {self.group}"),
            (
                r"(tinybms-bridge users .*\s(?:add|password) (?:(?!--password|#).)*?)(\s*#.*)?$",
                rf"\1 --password-stdin <<< '{PASSWORD}'",
            ),
            (r"settings (set|restore) ", r"settings \1 --yes "),
            (r"--minutes \d+", "--minutes 0.05 --warm-up 2"),
            (r"--every 60", "--every 1"),
        ):
            command = re.sub(pattern, replacement, command)
        return command

    def environment(self) -> dict[str, str]:
        """Return an environment in which the programs are those of this test."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        usual = {
            "HOME": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "PATH": path,
            "TMPDIR": str(self.folder),
        }
        config = {"TINYBMS_BRIDGE_CONFIG": str(self.folder / "bridge.json"), "COLUMNS": "120"}
        if self.socket:
            config["TINYBMS_BRIDGE_SOCKET"] = self.socket
        kept = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "STATE_DIRECTORY")}
        return {**kept, **usual, **config}

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def until(self, process: subprocess.Popen[str], wanted: str) -> str:
        """Return what a process has said once it has said what is wanted."""
        limit = threading.Timer(WAIT_S, self.end, (process, signal.SIGKILL))
        limit.start()
        said = ""
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if re.search(wanted, said):
                limit.cancel()
                return said
        limit.cancel()
        pytest.fail(f"it never said {wanted!r}: {said}")

    @staticmethod
    def end(process: subprocess.Popen[str], number: int = signal.SIGINT) -> None:
        """Send a signal to a process group that was started here."""
        if process.poll() is None:
            os.killpg(process.pid, number)

    def run_for_a_while(self, command: str, wanted: str) -> tuple[int, str]:
        """Run a command until it has said what is wanted, then press Ctrl-C; return its exit code and what it said."""
        process = self.start(command)
        said = self.until(process, wanted)
        self.end(process)
        rest, _ = process.communicate(timeout=WAIT_S)
        return process.returncode, said + rest


class Shell:
    """One bash that runs one command after the other."""

    def __init__(self, place: Place) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=place.folder,
            env=place.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        place.started.append(self._process)

    def run(self, command: str) -> tuple[int, str]:
        """Return the exit code of a command and what it said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f'{{ {command}\n}} </dev/null\necho "@@ended $?"\n')
        self._process.stdin.flush()
        limit = threading.Timer(WAIT_S, Place.end, (self._process, signal.SIGKILL))
        limit.start()
        said = ""
        for line in self._process.stdout:
            if "@@ended " in line:
                limit.cancel()
                before, _, status = line.partition("@@ended ")
                return int(status), said + before
            said += line
        pytest.fail(f"{command} ended the shell, or took more than {WAIT_S:g} s: {said}")


SHIMS = {
    "jq": """
import json, sys
words = [word for word in sys.argv[1:] if word not in ("-r", ".")]
value = json.load(open(words[1]) if len(words) > 1 else sys.stdin)
for key in (words[0] if words else "").split("."):
    value = value[key] if key else value
print(value if "-r" in sys.argv and isinstance(value, str) else json.dumps(value))
""",
    "websocat": """
import sys
from websockets.sync.client import connect
try:
    with connect(sys.argv[1]) as peer:
        for message in peer:
            print(message, flush=True)
except KeyboardInterrupt:
    pass
""",
}
"""What stands in for a program that this machine may not have."""


@pytest.fixture
def place(tmp_path: Path, can_group: str) -> Iterator[Place]:
    """A demo that serves, a simulated BMS, a configuration, and the program where the documents expect it."""
    place = Place(tmp_path, free_port(), can_group, tmp_path / "bms")
    program = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tinybms_bridge "$@"\n'
    for folder in (tmp_path / "bin", tmp_path / ".venv" / "bin"):
        folder.mkdir(parents=True)
        _write_program(folder / "tinybms-bridge", program)
    rigs = f'#!/bin/sh\ncd {shlex.quote(str(ROOT))} && exec {shlex.quote(sys.executable)} "$@"\n'
    _write_program(tmp_path / ".venv" / "bin" / "python", rigs)
    for name, text in SHIMS.items():
        if shutil.which(name) is None:
            _write_program(tmp_path / "bin" / name, f"#!{sys.executable}\n{text}")
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\nmax-time = 60\n")
    hardware = {
        "uart": {"device": str(place.bms), "timeout_ms": ANSWER_MS},
        "can": {"interface": "udp_multicast", "channel": can_group},
    }
    document = {
        "hardware": hardware,
        "tinybms": {"uart_retry_count": 1},  # with more than one attempt it would say that this is too long
        "web_server": {"port": free_port(), "listen_address": "127.0.0.1"},
    }
    (tmp_path / "bridge.json").write_text(json.dumps(document))
    simulator = place.start(f"tinybms-bridge simulate --link {place.bms}")
    demo = place.start(f"tinybms-bridge demo --plain --web-port {place.port} --can-channel {can_group}")
    try:
        said = place.until(
            demo, r"(?s)web server listens.*--state-directory \S+ add|--state-directory \S+ add.*listens"
        )
        place.state_directory = re.findall(r"--state-directory (\S+) add", said)[0]
        _drain(demo)
        place.until(simulator, r"\S")
        _drain(simulator)
        yield place
    finally:
        for process in place.started:
            place.end(process)
        deadline_s = time.monotonic() + 30.0
        for process in place.started:
            try:
                process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                place.end(process, signal.SIGKILL)
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _drain(process: subprocess.Popen[str]) -> None:
    """Let a process write on, whatever becomes of it."""
    assert process.stdout is not None
    threading.Thread(target=lambda stream: [None for _ in stream], args=(process.stdout,), daemon=True).start()


def run_all(place: Place, commands: list[Command]) -> dict[int, str]:
    """Run what can run here, and return what each said by its line; the first that fails ends the test."""
    shell, said = Shell(place), dict[int, str]()
    if not any(re.match(r"TOKEN=", command.text) for command in commands):  # the reader has got one before
        shell.run(place.here("tinybms-bridge users add tester --role admin > made.txt"))
        shell.run(place.here("TOKEN=$(tinybms-bridge users token tester 2> token.txt)"))
    for command in commands:
        if reason_not_to_run(command.text):
            continue
        text = place.here(command.text)
        wanted = next((words for start, words in LASTING.items() if re.match(start, command.text)), "")
        if wanted:
            status, output = place.run_for_a_while(text, wanted)
        else:
            assert RUNNABLE.match(command.text), f"line {command.line} is in no list of this test: {command.text}"
            status, output = shell.run(text)
        good = (0, 1) if NOTHING_FOUND.search(text) else (0, 130) if wanted else (0,)
        assert status in good, f"line {command.line}: {text}\nended with {status} and said:\n{output}"
        assert "Traceback" not in output, f"line {command.line}: {text}\n{output}"
        said[command.line] = output
    return said


@pytest.fixture
def blockbuster() -> None:
    """Nothing here runs on an event loop."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("name", ["README.md", "README.fr.md"])
def test_every_command_of_a_readme_works(place: Place, name: str) -> None:
    """A newcomer types them one after the other; `curl` has to get what it asks for."""
    commands = commands_of((ROOT / name).read_text(), ("", "sh", "bash", "shell", "console"))

    said = run_all(place, commands)

    assert len(said) >= 20


GUIDES = ("install-raspberry-pi", "wiring", "gx", "troubleshooting", "field-test", "packs")
"""Their French pages have the same commands, which tests/test_docs.py sees to."""


@pytest.mark.timeout(1200)  # five pages on a busy machine
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_command_of_the_guides_works_or_is_for_real_hardware(place: Place) -> None:
    """Beside a bridge that runs, as with the reader; what needs a machine of its own is in ``NOT_HERE``."""
    place.socket = str(Path(place.state_directory) / "core.sock")
    for name in GUIDES:
        commands = commands_of((ROOT / "docs" / f"{name}.md").read_text(), ("sh",))

        said = run_all(place, commands)

        for_hardware = [command for command in commands if reason_not_to_run(command.text)]
        assert said, name
        assert len(said) + len(for_hardware) == len(commands), name


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_command_of_the_page_of_metrics_works(place: Place) -> None:
    """From a token that is made to the metrics that it opens; Prometheus itself is that of the tests of the service."""
    commands = commands_of((ROOT / "docs" / "metrics.md").read_text(), ("sh",))

    said = run_all(place, commands)

    plain, _, settings, chosen = said.values()
    assert "tinybms_build_info" in plain
    assert "Configuration updated" in settings
    assert not chosen or "tinybms_battery_soc_ratio" in chosen
    assert sum(bool(reason_not_to_run(command.text)) for command in commands) == 4


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_first_start_of_the_documentation_leads_to_a_change(place: Place) -> None:
    """From no user at all to a changed setting, by the command line and then by the web: each line of the document."""
    commands = commands_of((ROOT / "docs" / "web-security.md").read_text(), ("bash",))
    by_line = [command for command in commands if "anna" in command.text or "50" in command.text]
    by_web = [command for command in commands if command not in by_line]

    said = run_all(place, by_line)
    assert [words for words in said.values() if "Configuration updated" in words]
    # As on another machine: without users, and with the token that the bridge makes then.
    (Path(place.state_directory) / "users.json").unlink()
    deadline_s = time.monotonic() + WAIT_S
    while 'setup_required":true' not in Shell(place).run(f"curl http://localhost:{place.port}/api/session")[1]:
        assert time.monotonic() < deadline_s
    said = run_all(place, by_web)

    texts = list(said.values())
    assert [words for words in texts if '"role":"admin"' in words and '"user":"ben"' in words]
    assert [words for words in texts if "Configuration updated" in words]
    assert [words for words in texts if "Logs cleared" in words or '"success":true' in words][-1]
    settings = Shell(place).run(f"curl http://localhost:{place.port}/api/settings")[1]
    assert '"max_charge_current_a":40.0' in settings.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```\n$ make run\n# not this\n\ncurl x \\\n  -d y  # why\n```\n", ["make run", "curl x -d y  # why"]),
        ("```json\n{}\n```\n```bash\na\n```\nb\n```text\nc\n```", ["a"]),
    ],
)
def test_commands_are_found(text: str, found: list[str]) -> None:
    """With continuation lines, without prompts, comments and output."""
    assert [command.text for command in commands_of(text, ("", "bash"))] == found


def test_a_folder_whose_name_ends_like_a_command_is_none(tmp_path: Path) -> None:
    """The folder of the demonstration has letters by chance: `…cadd token` asks for no password."""
    place = Place(tmp_path, 80, "", tmp_path / "bms", state_directory="/tmp/demo-eahtcadd")

    assert "<<<" not in place.here("TOKEN=$(tinybms-bridge users token anna --label script)")
    assert place.here("tinybms-bridge users add anna").endswith(f"add anna --password-stdin <<< '{PASSWORD}'")


def test_a_new_kind_of_command_has_to_be_put_in_a_list(tmp_path: Path) -> None:
    """Otherwise it would be shown to newcomers and never run."""
    assert not RUNNABLE.match("rm -rf /")
    assert not reason_not_to_run("rm -rf /")
    assert reason_not_to_run("git clone x && cd y")
    assert all(reason for reason in NOT_HERE.values())


@pytest.mark.parametrize(
    ("written", "run"),
    [
        (
            "tinybms-bridge users add anna --role admin",
            "--state-directory /s add anna --role admin --password-stdin <<< 'correct horse battery'",
        ),
        ("tinybms-bridge users add anna --password-file x", "--state-directory /s add anna --password-file x"),
        ("TOKEN=$(tinybms-bridge users token anna)", "--state-directory /s token anna)"),
        ("curl http://localhost:8080/", "curl http://localhost:1234/"),
        (".venv/bin/tinybms-bridge run --device /dev/ttyUSB0", "run --device /bms"),
    ],
)
def test_what_is_written_becomes_what_can_run_here(written: str, run: str) -> None:
    """Port, devices, directory, and what a person types at a prompt; nothing else."""
    assert Place(Path("/"), 1234, "239.75.0.1", Path("/bms"), "/s").here(written).endswith(run)
