"""What differs between two configurations, and how a patch is laid over a document."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Entries, Key, Keys, keys_of
from tinybms_bridge.config.models.base import MASK, Secret, Section
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.words import message

__all__ = [
    "ConfigChange",
    "changed_paths",
    "merged",
    "with_kept",
    "with_own_values",
    "with_secrets_of",
    "without_masks",
    "without_new_defaults",
]

_ALL = keys_of(Configuration)


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One step from a configuration to the next."""

    old: Configuration
    new: Configuration
    changed_paths: tuple[str, ...]
    """Dotted paths of the keys whose effective value differs, in the order of the models."""
    notices: tuple[Notice, ...] = ()
    """Remarks on the new configuration, those on how it was given first."""
    revision: str = ""
    """The name of the new content, for who wants to know whether it is still the same."""

    def touches(self, *paths: str) -> bool:
        """Tell whether a key, or a key inside a section, named by one of ``paths`` has changed."""
        return any(
            changed == path or changed.startswith(f"{path}.") for changed in self.changed_paths for path in paths
        )


def changed_paths(old: Section, new: Section, prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of each key with different values in two sections of one type."""
    for name, key in keys_of(type(old)).items():
        before, after, path = getattr(old, name), getattr(new, name), f"{prefix}{name}"
        if key.section is not None:
            yield from changed_paths(before, after, f"{path}.")
        elif key.entries is not None:
            yield from _changed_entries(before, after, path)
        elif before != after:
            yield path


def _changed_entries(old: Mapping[str, Section], new: Mapping[str, Section], path: str) -> Iterator[str]:
    """Yield the path of each entry that comes or goes, and of each changed key in the others.

    The path of the map itself tells that entries which stay have another order.
    """
    stay = [name for name in old if name in new]
    if stay != [name for name in new if name in old]:
        yield path
    for name in {**old, **new}:
        if name in old and name in new:
            yield from changed_paths(old[name], new[name], f"{path}.{name}.")
        else:
            yield f"{path}.{name}"


def merged(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with a patch laid over it (RFC 7396): null takes a key away, objects are merged."""
    result = deepcopy(dict(document))
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = deepcopy(value)
    return result


def without_new_defaults(document: Mapping[str, Any], before: Mapping[str, Any], keys: Keys = _ALL) -> dict[str, Any]:
    """Return a valid document without the keys that only repeat their default and that ``before`` did not have.

    A client that sends back the effective configuration so changes nothing in the file.
    """
    result: dict[str, Any] = {}
    for name, value in document.items():
        key, earlier = keys.get(name), before.get(name)
        if key is not None and key.below is not None:
            section = without_new_defaults(value, earlier if isinstance(earlier, Mapping) else {}, key.below)
            if section or name in before or isinstance(keys, Entries):  # an entry is there by its name alone
                result[name] = section
        elif key is None or name in before or value != _plain(key.default):
            result[name] = value
    return result


def _plain(value: object) -> object:
    return value.value if isinstance(value, Secret) else value


def with_secrets_of(known: object, document: Mapping[str, Any], keys: Keys = _ALL) -> dict[str, Any]:
    """Return a document in which each secret that is only ``MASK`` has the value of ``known``, if there is one.

    A client that shows the masked configuration may so send it back as it is.
    """
    earlier = known if isinstance(known, Mapping) else {}
    result: dict[str, Any] = {}
    for name, value in document.items():
        key = keys.get(name)
        if key is not None and key.below is not None and isinstance(value, Mapping):
            result[name] = with_secrets_of(earlier.get(name), value, key.below)
        elif _is_mask(key, value) and name in earlier:
            result[name] = earlier[name]
        else:
            result[name] = value
    return result


def with_kept(known: object, document: Mapping[str, Any], keys: Keys = _ALL) -> dict[str, Any]:
    """Return the document of a section with each key of ``known`` that it does not name.

    Entries of a map are no such keys: a map that is named has those that it names, each with the keys known of it.
    """
    result = dict(document)
    for name, value in known.items() if isinstance(known, Mapping) else ():
        if name not in result and isinstance(keys, Entries):
            continue
        given, key = result.setdefault(name, value), keys.get(name)
        if key is not None and key.below is not None and isinstance(given, Mapping):
            result[name] = with_kept(value, given, key.below)
    return result


def with_own_values(
    document: Mapping[str, Any], base: Mapping[str, Any], shown: Mapping[str, object]
) -> tuple[dict[str, Any], list[str]]:
    """Return a document whose keys with their value of ``shown`` have that of ``base`` again, or none, and their paths.

    ``shown`` is, by path, what somebody else has put in the place of the user's values: a client that sends it back as
    it was shown has not chosen it.
    """
    result = deepcopy(dict(document))
    kept: list[str] = []
    for path, value in shown.items():
        *parents, key = path.split(".")
        owner: Any = result
        own: Any = base
        for parent in parents:
            owner, own = owner.get(parent, {}), own.get(parent, {})
        if key in owner and owner[key] == value:
            kept.append(path)
            if key in own:
                owner[key] = deepcopy(own[key])
            else:
                del owner[key]
    return result, kept


def without_masks(
    document: Mapping[str, Any], keys: Keys = _ALL, prefix: str = ""
) -> tuple[dict[str, Any], list[Notice]]:
    """Return a document without the secrets that are only ``MASK``, and a notice for each: a backup has no secrets."""
    result: dict[str, Any] = {}
    notices: list[Notice] = []
    for name, value in document.items():
        key = keys.get(name)
        if key is not None and key.below is not None and isinstance(value, Mapping):
            result[name], found = without_masks(value, key.below, f"{prefix}{name}.")
            notices += found
        elif _is_mask(key, value):
            notices.append(Notice(f"{prefix}{name}", message("config.masked_secret", mask=MASK)))
        else:
            result[name] = value
    return result, notices


def _is_mask(key: Key | None, value: object) -> bool:
    return key is not None and key.is_secret and value == MASK
