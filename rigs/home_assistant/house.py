"""A real Home Assistant and a broker beside it, as processes, and what can be asked there over its WebSocket API."""

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, cast

from websockets.sync.client import ClientConnection, connect

from tinybms_lab.testing.running_bridge import free_port, until

__all__ = ["Broker", "House", "Json", "ask"]

HASS = Path(__file__).resolve().parents[2] / ".venv-home-assistant" / "bin" / "hass"

Json = Any
"""Whatever a JSON document holds."""

_PARTS = ("api", "websocket_api", "config", "recorder", "history", "energy", "system_log")
"""Not `default_config`: Bluetooth, cameras and the cloud have nothing to do here."""
_OWNER = {"name": "Anna", "username": "anna", "password": "correct horse battery", "language": "en"}


class Broker:
    """Mosquitto with a password, on a port of its own, which remembers what is retained."""

    NAME, PASSWORD = "house", "wire and copper"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        names = folder / "names"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(names), self.NAME, self.PASSWORD], check=True)  # noqa: S603, S607 -- programs of this machine
        lines = (
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {names}",
            "log_type none",
            "user root",
            "persistence true",
            "autosave_on_changes true",
            "autosave_interval 1",
            f"persistence_location {folder}/",
        )
        self._file.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve."""
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([program, "-c", str(self._file)], stderr=subprocess.DEVNULL)  # noqa: S603 -- programs of this machine

    def end(self) -> None:
        """End in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """End as a power cut does: with what is on the disk, and no last will."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class House:
    """Home Assistant with its owner and its MQTT integration."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._url = ""
        self._token = ""
        self._socket: ClientConnection | None = None
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and make the owner."""
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        text = "\n".join(f"{each}:" for each in _PARTS)
        http = f"http:\n  server_host: 127.0.0.1\n  server_port: {port}\n"
        (self._folder / "configuration.yaml").write_text(f"homeassistant:\n{http}{text}\nlogger:\n  default: warning\n")
        with (self._folder / "out.txt").open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 -- programs of this machine
                [str(HASS), "-c", str(self._folder), "--skip-pip"], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        until(self._answers, "Home Assistant answers")
        client = {"client_id": f"{self._url}/"}
        code = ask("POST", f"{self._url}/api/onboarding/users", {**_OWNER, **client})["auth_code"]
        form = f"grant_type=authorization_code&code={code}&client_id={self._url}/".encode()
        with urllib.request.urlopen(f"{self._url}/auth/token", form) as answer:  # noqa: S310 -- programs of this machine
            self._token = json.load(answer)["access_token"]
        for step in ("analytics", "integration"):
            self.rest("POST", f"/api/onboarding/{step}", {**client, "redirect_uri": f"{self._url}/"})
        self._socket = connect(f"{self._url.replace('http', 'ws')}/api/websocket", max_size=None)
        self._socket.recv()
        self._socket.send(json.dumps({"type": "auth", "access_token": self._token}))
        told = json.loads(self._socket.recv())
        if told["type"] != "auth_ok":
            raise RuntimeError(told)

    def use_broker(self, broker: Broker) -> None:
        """Add the MQTT integration, as a person does by its form."""
        flows = "/api/config/config_entries/flow"
        flow = self.rest("POST", flows, {"handler": "mqtt", "show_advanced_options": False})
        form = {"broker": "127.0.0.1", "port": broker.port, "username": broker.NAME, "password": broker.PASSWORD}
        done = self.rest("POST", f"{flows}/{flow['flow_id']}", form)
        if done["type"] != "create_entry":
            raise RuntimeError(done)

    def reload(self) -> None:
        """Have the MQTT integration loaded again."""
        (entry,) = self.tell("config_entries/get", domain="mqtt")
        self.rest("POST", f"/api/config/config_entries/entry/{entry['entry_id']}/reload")

    def rest(self, method: str, path: str, body: Json = None) -> Json:
        """Return the answer of its REST API."""
        return ask(method, f"{self._url}{path}", body, self._token)

    def tell(self, kind: str, **given: Json) -> Json:
        """Return the result of a command of its WebSocket API. Raises RuntimeError when it is refused."""
        socket = cast("ClientConnection", self._socket)
        number = next(self._numbers)
        socket.send(json.dumps({"id": number, "type": kind, **given}))
        while True:
            told = json.loads(socket.recv(timeout=30.0))
            if told.get("id") == number:
                if not told["success"]:
                    raise RuntimeError(told["error"])
                return told["result"]

    def devices(self) -> dict[str, dict[str, Any]]:
        """Return the devices of the MQTT integration by their id there."""
        found: dict[str, dict[str, Any]] = {}
        for each in self.tell("config/device_registry/list"):
            found |= {told: each for integration, told in each["identifiers"] if integration == "mqtt"}
        return found

    def entities(self) -> dict[str, dict[str, Any]]:
        """Return the entities of the MQTT integration by their unique id."""
        found = self.tell("config/entity_registry/list")
        return {each["unique_id"]: each for each in found if each["platform"] == "mqtt"}

    def states(self) -> dict[str, dict[str, Any]]:
        """Return all states by entity id."""
        return {each["entity_id"]: each for each in self.tell("get_states")}

    def serve(self, service: str, entity: str, **data: Json) -> None:
        """Do what a press or a choice on the page does."""
        domain, _, name = service.partition(".")
        target = {"entity_id": entity}
        self.tell("call_service", domain=domain, service=name, service_data=data, target=target)

    def complaints(self) -> list[str]:
        """Return what its log holds of warnings and errors that are of MQTT, or of our templates."""
        told = []
        for each in self.tell("system_log/list"):
            text = f"{each['level']} {each['name']}: {' '.join(each['message'])}"
            if any(word in text.lower() for word in ("mqtt", "tinybms", "template")):
                told.append(text)
        return told

    def end(self) -> None:
        """End in order."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            sys.exit((self._folder / "out.txt").read_text()[-3000:])
        with suppress(OSError, ValueError):
            return bool(ask("GET", f"{self._url}/api/onboarding"))
        return False


def ask(method: str, url: str, body: Json = None, token: str = "") -> Json:
    """Return the JSON of an answer. Raises RuntimeError with what a refusal says."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 -- on this machine
    try:
        with urllib.request.urlopen(request, timeout=30.0) as answer:  # noqa: S310 -- programs of this machine
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {url}: {error.code} {error.read().decode()[:500]}") from error
