"""The configuration in words: its JSON Schema and ``docs/configuration.md``, both made from the models.

``python -m tinybms_bridge.config.describe > docs/configuration.md`` renews the document.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import ENTRY, Entries, Key, keys_of
from tinybms_bridge.config.models.base import Section
from tinybms_bridge.config.validation import CHECKER
from tinybms_bridge.config.values import values_of
from tinybms_bridge.words import ENGLISH, Language
from tinybms_bridge.words.french_keys import KEYS, SECTIONS

__all__ = ["json_schema", "markdown"]

_INTRODUCTION = """\
# Configuration

<!-- Made by `python -m tinybms_bridge.config.describe`; change the models, not this file. -->

One JSON file holds every setting.
All keys may be left out: the defaults alone are a working configuration, because limits and thresholds that depend on
the battery come from the BMS itself (`null` in the tables below).

```json
{
  "hardware": {
    "uart": { "device": "/dev/ttyUSB0" },
    "can": { "interface": "socketcan", "channel": "can0" }
  },
  "victron": { "max_charge_current_a": 50, "max_discharge_current_a": 80 }
}
```

The file is the first of these: `$TINYBMS_BRIDGE_CONFIG`, `./tinybms-bridge.json` if present,
`/etc/tinybms-bridge/config.json` if present, `~/.config/tinybms-bridge/config.json`.

- `tinybms-bridge check` ([the command line](command-line.md)) names every mistake of a file at once; `check --show`
  prints every value (`null` = by the BMS or the chemistry) and `check --schema` a JSON Schema for editors.
- Numbers are numbers and switches are `true` or `false`: texts such as `"80"` are refused. Unknown keys are refused
  with the nearest known name.
- A bad file never stops a running bridge: the last good configuration stays in force and the error is shown.
- Changes take effect without a restart. Saving writes a new file beside the old one and renames it; the old one is
  kept as `NAME.bak`. Only keys that differ from their default, or that were in the file before, are written.
- Passwords are stored in clear in the file (mode 0600); they are never shown, logged or part of an error. A file that
  holds some and that everybody may read gives a warning. The `********` of a backup is no password and gives a notice.
- `wifi` has no service in this version yet: its keys are checked and kept, and a notice says that they have no effect.
- Defaults: physical values of the vendor and of Victron come first, then the README of the TinyBMS-Victron firmware,
  then the firmware itself.

Ready-made files:

- [Raspberry Pi with a CAN board](examples/raspberry-pi-socketcan.json), also right for a USB adapter that the kernel's
  `gs_usb` driver shows as `can0`;
- [USB adapter with gs_usb](examples/usb-gs-usb.json) without the kernel's driver;
- [USB adapter with slcan](examples/usb-slcan.json);
- [14 Li-ion cells](examples/li-ion-14s.json), voltages chosen by hand instead of those of the BMS;
- [four packs](examples/four-packs.json) as one battery.
"""

_CONCLUSION = """\
## Checks across keys

Beyond its own range a value must fit the others; a refusal names both numbers.

- `cvl`: bulk ≤ transition ≤ float threshold, `float_exit_soc` below `float_soc_threshold`,
  `float_approach_offset_mv` ≤ `float_offset_mv`, release below hold, the end of SUSTAIN above its start (or both 0)
  and below the end of bulk.
- SOC bounds: `soc_min_percent` plus the hysteresis below `soc_max_percent` (and, with the profile storage, below
  `storage_soc_percent`); a forced charge ends above its start and not above those two.
- Voltages per cell: release < threshold of the protection ≤ highest cell voltage, floor ≤ resting ≤ highest cell
  voltage, resting < threshold of the protection, sustain ≤ highest cell voltage.
- Where the number of cells is known, in the file or from the BMS: floor, resting and sustain voltage × cells ≤
  `bulk_voltage_v` (without one, the floor ≤ register 300 × cells) ≤ threshold of the protection × cells and the highest
  cell voltage × cells; what is not given comes from the chemistry.
- Over-voltage: `bulk_voltage_v` and `sustain_voltage_v` plus 0.4 V (what a solar charger may add) plus
  `over_voltage_margin_v` stay at or below `victron.thresholds.overvoltage_v` and `cell_max_voltage_v` × cells, and,
  once the BMS is known, its over-voltage cutoff × cells.
- Once the BMS is known, also: the number of cells, charge voltages above the under-voltage cutoff, thresholds that
  would alarm for ever, and currents at or below its over-current cutoffs.
- `victron.thresholds`: low below high, warning below alarm.
- `tinybms`: fastest ≤ base ≤ slowest interval, and two of the slowest within `victron.fresh_timeout_s`.
- `web_server`: the shortest interval is not above the update interval and the burst window.
- `wifi`: a static address needs address, netmask and a gateway in the same network; an access point needs a name and a
  password. `mqtt`: a password needs a user name, a client certificate its key. `logging`: syslog needs a server.
- `packs`: a port for each, names that differ by more than capitals, different ports and serial numbers, and one pack
  at least that is in service.
- `notifications`: at least one way that is on, with its address (`webhook.url`, `ntfy.topic`, `email.server` and
  `email.recipients`); user name and password, and both ends of the quiet hours, together; names that exist.

## Several packs

`packs` names each pack with the port of its BMS; as long as it is empty there is one, called `main`, whose port is
`hardware.uart`.

- Ports: names that stay, such as those of `/dev/serial/by-id`, because `/dev/ttyUSB0` is whichever adapter was found
  first. Two packs cannot share one, under another name neither, and `"auto"` is for a battery with one pack.
- A name stands in topics, paths, labels and in what is kept of the pack. Whoever adds a second pack and names the first
  one `main` goes on with its topics and its history.
- `enabled: false` takes a pack out of service, for example for work on it: it is not read, and no part of the battery.
  At least one pack stays in service.
- `serial_number` pins a BMS to a name. Without it the unit that answers at the port is the pack.
- By the API a pack is changed by its name, `{"packs": {"a": {"enabled": false}}}`, and goes with
  `{"packs": {"a": null}}`. A whole document (`PUT`) that has `packs` names all of them.
- `--device` of the command line takes the place of the port of the only pack; with several it is refused.

## Values that do not fit the battery

A value may be allowed and still contradict the battery: another chemistry, the voltage of a cell where that of the
pack is meant, the file of another pack.

- `tinybms-bridge check` finds what fits no battery: a pack voltage up to 4.5 V is one per cell.
- `doctor` finds what does not fit the BMS that is connected.
- The API, the settings page and edits of the file while the bridge runs: such a change is refused, with the range that
  fits, and the configuration in force stays. Only what a change brings refuses it; an old misfit keeps from no other.
- At the start, or when a BMS is met later: the value is not used. The log, the diagnostics and the notice
  *configuration* tell it.

While a voltage or the chemistry is not used, the charge target is the lower of register 300 × cells, the ceiling and
3.45 V (LFP), 4.00 V (Li-ion) or 2.50 V (LTO) per cell: leaving a value out must not raise anything. A current above the
cutoff of the BMS gives way to the usual share of the cutoff.

What fits:

- `cvl.chemistry`: one that register 300 leaves possible (to 3.00 V LTO, below 3.66 V LFP, to 3.80 V LFP or Li-ion,
  above Li-ion) and that rested cells do not contradict.
- `cvl.bulk_voltage_v`: from the floor to register 300 × cells (0.1 V more is rounding), to the ceiling, and to register
  315 × cells less 0.4 V and the margin.
- `victron.thresholds.overvoltage_v`: from the floor.
- `cvl.cell_max_voltage_v`: from the floor of the chemistry to register 315; above the ceiling of the chemistry only
  where the chemistry is certain.
- `cvl.floor_cell_voltage_v`: above register 316, up to the chemistry's resting voltage.
- `cvl.resting_cell_voltage_v`: from the floor to the careful target above, and below register 300.
- `cvl.cell_safety_threshold_v`: from the resting voltage to register 315. `cvl.cell_safety_release_v`: from the floor.
- `cvl.over_voltage_margin_v`: leaves room for the floor below register 315 × cells − 0.4 V.
- `victron.max_charge_current_a`: up to register 318. `victron.max_discharge_current_a`: up to register 317, or 305.

## Files of earlier versions and of the ESP32 firmware

`minimum_ccl_in_float_a` of 0.1.0 and of the firmware is `maximum_ccl_in_float_a`, for that is what it means, and
`cell_min_float_voltage_v` is `floor_cell_voltage_v`, which counts where both are given; both old names are read, with a
notice, until the version after this one.

`config.json` of the firmware, the samples of its README and what its REST interface returns are read as they are.
`cvl_algorithm` is the same section as `cvl`, `system` and `webserver` are `web_server`; short Wi-Fi names, flat
access-point keys, flat pins and the other names of its web page are known, offsets that the page gives in negative
volts become millivolts, and its line speeds, the 19200 of the README among them, the vendor's 115200. Each key
that is read differently or under another name, or that has no effect on Linux, gives a notice.
"""


def json_schema(language: Language = ENGLISH) -> dict[str, Any]:
    """Return the JSON Schema of the file, with ``unit``, ``rule``, ``multiline``, ``no_effect`` as more annotations.

    ``rule`` is what a key accepts as a sentence, the same that a wrong value is answered with. Titles and descriptions
    are in ``language``.
    """
    schema = CHECKER.json_schema()
    schema["description"] = _about("", Configuration, language)
    _explain(schema["properties"], Configuration, schema["$defs"], language)
    other_name = {"$ref": "#/$defs/Cvl", "description": "Other name of cvl; a file may have one of the two."}
    schema["properties"]["cvl_algorithm"] = other_name
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "tinybms-bridge configuration",
    }


def _explain(
    properties: dict[str, Any], section: type[Section], sections: dict[str, Any], language: Language, prefix: str = ""
) -> None:
    """Add what pydantic does not know of the keys of a section, and of the sections below it."""
    for name, key in keys_of(section).items():
        path = f"{prefix}{name}"
        if key.section is not None:
            _explain_section(path, key.section, sections, language)
            properties[name]["default"] = values_of(key.default)
            continue
        if key.entries is not None:
            _explain_section(f"{path}.{ENTRY}", key.entries.section, sections, language)
            properties[name]["propertyNames"] = {
                "pattern": key.entries.name.pattern,
                "maxLength": key.entries.name.longest,
                "rule": key.entries.expectation.say(language),
            }
        meaning = key.meaning
        english = meaning.title, meaning.help
        title, help_ = english if language == ENGLISH else KEYS.get(path, english)
        told = {
            "title": title,
            "description": help_,
            "unit": meaning.unit,
            "enum": list(meaning.accepted),
            "pattern": meaning.pattern,
            "rule": key.expectation.say(language),
            "multiline": meaning.multiline,
            "no_effect": "" if meaning.no_effect is None else meaning.no_effect.say(language),
        }
        properties[name] |= {word: value for word, value in told.items() if value} | {"default": _default(key)}


def _explain_section(path: str, section: type[Section], sections: dict[str, Any], language: Language) -> None:
    below = sections[section.__name__]
    below["description"] = _about(path, section, language)
    _explain(below["properties"], section, sections, language, f"{path}.")


def _about(path: str, section: type[Section], language: Language) -> str:
    """Return the description of a section."""
    english = section.__doc__ or ""
    return english if language == ENGLISH else SECTIONS.get(path, english)


def markdown() -> str:
    """Return the text of ``docs/configuration.md``."""
    tables = "\n".join(_sections(Configuration))
    return f"{_INTRODUCTION}\n{tables}\n{_CONCLUSION}"


def _sections(section: type[Section], prefix: str = "") -> Iterator[str]:
    for name, key in keys_of(section).items():
        path = f"{prefix}{name}"
        if key.entries is not None:
            yield _map(path, key, key.entries)
            path = f"{path}.{ENTRY}"
        inner = key.entries.section if key.entries is not None else key.section
        if inner is not None:
            if any(below.section is None for below in keys_of(inner).values()):
                yield _table(path, inner)
            yield from _sections(inner, f"{path}.")


def _map(path: str, key: Key, entries: Entries) -> str:
    """Return what a map of sections is; its keys follow under ``path.*``."""
    names = entries.expectation.text.removeprefix("must ")
    about = f"{key.meaning.help}\nA name must {names}; `{path}.{ENTRY}` below is any of them."
    return "\n".join([f"## `{path}`", "", about, ""])


def _table(path: str, section: type[Section]) -> str:
    rows = [
        f"| `{name}` | `{_cell(json.dumps(_default(key)))}` | {_cell(_accepted(key))} | {_cell(_meaning(key))} |"
        for name, key in keys_of(section).items()
        if key.section is None
    ]
    head = ["| Key | Default | Accepted | Meaning |", "|---|---|---|---|"]
    return "\n".join([f"## `{path}`", "", (section.__doc__ or "").strip(), "", *head, *rows, ""])


def _default(key: Key) -> object:
    """Return the default as a person would write it in the file."""
    default = key.default
    if key.is_secret:
        return default.value
    return int(default) if isinstance(default, float) and default.is_integer() else default


def _accepted(key: Key) -> str:
    unit = key.meaning.unit
    if key.choices:
        words = ", ".join(f"`{json.dumps(choice)}`" for choice in key.choices)
        words = f"{words} {unit}".rstrip()
    elif key.type is bool:
        words = "`true`, `false`"
    elif key.range is not None:
        whole = "whole, " if key.type is int else ""
        words = f"{whole}{key.range[0]} to {key.range[1]} {unit}".rstrip()
    else:
        return key.expectation.text.removeprefix("must be ")
    return f"{words}; `null`" if key.nullable else words


def _meaning(key: Key) -> str:
    meaning = key.meaning
    return f"{meaning.help} *Accepted; {meaning.no_effect}.*" if meaning.no_effect else meaning.help


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(markdown())
