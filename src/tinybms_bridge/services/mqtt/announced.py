"""What has been published that matters later, on the disk: what is announced is taken back once it is not wanted."""

import logging
from dataclasses import dataclass
from typing import Any

import orjson

from tinybms_bridge.hal.documents import check_version, load, parse_json
from tinybms_bridge.hal.storage import Storage

__all__ = ["Announced", "load_announced", "save_announced"]

log = logging.getLogger(__name__)

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Announced:
    """What is remembered."""

    topics: tuple[str, ...] = ()
    """Retained messages at the broker that are to be removed when nobody wants them."""
    last_event: int = 0
    """Number of the last entry of the event list that was published; 0: none."""
    charged_kwh: float = 0.0
    """The most that was ever published; a lower number waits, so that one that is lost for a moment is no reset."""
    discharged_kwh: float = 0.0


def load_announced(storage: Storage) -> Announced:
    """Return what was remembered, or nothing where that cannot be read. Blocks."""
    return load(storage, "what MQTT has announced", _parse).value or Announced()


def save_announced(storage: Storage, announced: Announced) -> None:
    """Remember it. Blocks. Raises OSError."""
    storage.write(
        orjson.dumps(
            {
                "version": _VERSION,
                "topics": announced.topics,
                "last_event": announced.last_event,
                "charged_kwh": announced.charged_kwh,
                "discharged_kwh": announced.discharged_kwh,
            }
        )
    )


def _parse(data: bytes) -> Announced:
    found = parse_json(data)
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 -- what ``load`` expects of a document that cannot be used
    check_version(found.get("version"), _VERSION)
    topics = found.get("topics", ())
    return Announced(
        topics=tuple(each for each in topics if isinstance(each, str)) if isinstance(topics, list) else (),
        last_event=_number(found.get("last_event"), int),
        charged_kwh=_number(found.get("charged_kwh"), float),
        discharged_kwh=_number(found.get("discharged_kwh"), float),
    )


def _number(found: object, kind: type[Any]) -> Any:  # noqa: ANN401 -- int or float, as asked
    return kind(found) if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0 else kind(0)
