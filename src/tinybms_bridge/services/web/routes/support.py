"""``GET /api/support-bundle``: everything that somebody who helps has to see, in one file and without secrets."""

import io
import json
import platform
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata

from fastapi import APIRouter, Request
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from starlette.responses import Response

from tinybms_bridge.config.values import public_values
from tinybms_bridge.errors import BridgeError
from tinybms_bridge.services.ports import Core
from tinybms_bridge.services.web.accounts import AccountRegistry
from tinybms_bridge.services.web.answers import rounded
from tinybms_bridge.services.web.heavy import Heavy, Text
from tinybms_bridge.services.web.live.messages import limits_message
from tinybms_bridge.services.web.live.status import live_status
from tinybms_bridge.services.web.live.watch import Watch
from tinybms_bridge.services.web.redaction import Redaction, secrets_of, user_names_of
from tinybms_bridge.services.web.routes.alarms import alarms_answer
from tinybms_bridge.services.web.routes.device_registers import cache_of
from tinybms_bridge.services.web.routes.diagnostics import read_diagnostics, read_trace, traffic_answer
from tinybms_bridge.services.web.routes.doctor import doctor_answer
from tinybms_bridge.services.web.routes.events import events_page
from tinybms_bridge.services.web.routes.monitor import can_log
from tinybms_bridge.services.web.routes.shared import TextLanguage, TheCore, TheWatch, of_several
from tinybms_bridge.services.web.security import Admin, User
from tinybms_bridge.services.web.security.dependencies import TheGate
from tinybms_bridge.tinybms.settings import backup_of, backup_text
from tinybms_bridge.words import Language

__all__ = ["router"]

router = APIRouter(tags=["diagnostics"])

_MOST_EVENTS = 2000
_MOST_LINES = 10_000
_ZIP = "application/zip"

_README = """What a tinybms-bridge knew of itself and of its battery when this file was made.

Passwords, keys, tokens and the names of users were taken out. Look through it before you send it to somebody.

versions.json       program, Python, libraries, machine
doctor.json         what is wrong and what to do, as tinybms-bridge doctor finds it
configuration.json  the configuration in force
status.json, limits.json, alarms.json    the battery now
diagnostics.json    both processes, their parts, lines and counters
log.txt, events.json                     what happened
uart.json           the last traffic with the BMS; of several packs one for each, numbered in their order
can.log             the last CAN frames, as candump writes them (tinybms-bridge decode reads it)
bms-settings.json   the settings of the BMS, as tinybms-bridge settings restore reads them; also one for each
missing.json        what could not be had, and why
"""


@router.get(
    "/api/support-bundle",
    response_class=Response,
    responses={200: {"content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def support_bundle(
    request: Request,
    core: TheCore,
    watch: TheWatch,
    gate: TheGate,
    user: Admin,
    heavy: Heavy,
    lang: TextLanguage,
) -> Response:
    """Return a zip of configuration, log, events, diagnostics and traffic, without secrets and names of users."""
    redaction = _redaction(core, gate.accounts.registry)
    made = await _contents(request, core, watch, user, lang)
    name = f"tinybms-bridge-{core.clock.wall():%Y%m%d-%H%M%S}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return await heavy.answer(lambda: Text(_zipped(made(), redaction), _ZIP, headers))


def _redaction(core: Core, registry: AccountRegistry) -> Redaction:
    configuration = core.store.in_force
    secrets = [*secrets_of(configuration), *secrets_of(core.store.configuration)]
    names = [*user_names_of(configuration), *(account.name for account in registry.accounts)]
    return Redaction(
        [*secrets, registry.setup_token, registry.secret.hex()], [*names, *(token.label for token in registry.tokens)]
    )


async def _contents(
    request: Request, core: Core, watch: Watch, user: User, language: Language
) -> Callable[[], Iterator[tuple[str, object]]]:
    """Return what makes the files, by name, in a thread; their values are of this moment."""
    missing: dict[str, str] = {}
    moment, wall, frames, known = core.moment(), core.clock.wall(), core.frames(), core.events()
    configuration = core.store.in_force
    diagnostics = await read_diagnostics(core, watch, language)
    status, limits = rounded("", live_status(core, registers=True)), limits_message(moment)
    alarms = alarms_answer(watch.alarms, core, user, language)
    doctor = None
    try:
        doctor = await core.examine()
    except BridgeError as error:
        missing["doctor.json"] = error.description.say(language)
    readings, traces = {}, {}
    for number, name in enumerate(core.packs(), start=1):
        ending = f"-{number}.json" if of_several(core, name) else ".json"  # names are no names of files
        readings[f"bms-settings{ending}"] = reading = await cache_of(request.app, name).get(refresh=False)
        if reading.readout is None:
            missing[f"bms-settings{ending}"] = "" if reading.error is None else reading.error.say(language)
        traces[f"uart{ending}"] = await read_trace(core, name)

    def made() -> Iterator[tuple[str, object]]:
        yield "README.txt", _README
        yield "versions.json", _versions(core.version)
        yield "configuration.json", public_values(configuration)
        if doctor is not None:
            yield "doctor.json", doctor_answer(doctor, language)
        yield "status.json", status
        yield "limits.json", json.loads(limits)
        yield "alarms.json", alarms
        yield "diagnostics.json", diagnostics()
        yield "events.json", events_page(known, _MOST_EVENTS, language, named=False)
        yield "log.txt", "".join(f"{line}\n" for line in core.logs.read(_MOST_LINES, None, None, None, "").lines)
        for name, lines in traces.items():
            yield name, traffic_answer(lines, wall, language)
        yield "can.log", can_log(frames)
        for name, reading in readings.items():
            if reading.readout is not None:
                yield name, json.loads(backup_text(backup_of(reading.readout, reading.at or wall, force=True)))
        yield "missing.json", missing

    return made


def _zipped(files: Iterator[tuple[str, object]], redaction: Redaction) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            if isinstance(content, str):
                text = redaction.text(content)
            else:
                plain = content.model_dump(mode="json") if isinstance(content, BaseModel) else content
                document = redaction.value(to_jsonable_python(plain, inf_nan_mode="null"))
                text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
            archive.writestr(name, text)
    return packed.getvalue()


def _versions(program: str) -> dict[str, object]:
    """Return the versions of what runs. Reads files."""
    libraries = {}
    for name in ("fastapi", "pydantic", "uvicorn", "websockets", "python-can", "serialx", "mashumaro", "orjson"):
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            libraries[name] = ""
    return {
        "tinybms-bridge": program,
        "python": sys.version,
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "libraries": libraries,
    }
