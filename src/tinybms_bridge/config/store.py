"""The configuration in force and its file: loading, changing, saving, following changes made by hand."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Any, Protocol

from tinybms_bridge.config.battery import check_alone, new_problems
from tinybms_bridge.config.changes import (
    ConfigChange,
    changed_paths,
    merged,
    with_kept,
    with_own_values,
    with_secrets_of,
    without_masks,
    without_new_defaults,
)
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.firmware import import_firmware
from tinybms_bridge.config.last_good import digest_of
from tinybms_bridge.config.loader import LoadedConfig, load
from tinybms_bridge.config.notices import Notice
from tinybms_bridge.config.validation import lookup
from tinybms_bridge.config.values import values_of
from tinybms_bridge.errors import BridgeError, ConfigError, ConfigProblem
from tinybms_bridge.hal.clock import SystemClock
from tinybms_bridge.hal.storage import Storage
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.words import message

__all__ = ["Adjust", "ConfigStore", "GoodCopy", "Guard", "Listener", "OtherRevisionError"]

Listener = Callable[[ConfigChange], None]
Guard = Callable[[Configuration], None]
Adjust = Callable[[Configuration], Configuration]

_CLOCK = SystemClock()
_CONNECTIONS = ("hardware", "packs", "web_server")


class OtherRevisionError(BridgeError):
    """The configuration is not the one any more that a change was made for: read it again."""


class GoodCopy(Protocol):
    """Where the last configuration that could be used is kept; a ``Storage`` is one."""

    def read(self) -> bytes | None:
        """Return it, or None when there is none. Raises OSError."""
        ...

    def write(self, data: bytes) -> None:
        """Keep it; called again with the same data at each start. Raises OSError."""
        ...


class ConfigStore:
    """Keeps one configuration in force; a bad file or a refused change never replaces it.

    Every method but ``subscribe`` reads or writes files: callers on the event loop use a thread. The store may be used
    from several threads. Only the keys that the user gave are written, in clear, so the file needs mode 0600; a value
    that is the default and was not in the file before counts as not given.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        last_good: GoodCopy | None = None,
        wall: Callable[[], datetime] = _CLOCK.wall,
    ) -> None:
        self._storage = storage
        self._last_good = last_good
        self._wall = wall
        self._loaded = LoadedConfig(Configuration(), {}, ())
        self._is_loaded = False
        self._seen: bytes | None = None
        self._mark = secrets.token_bytes(16)
        self._listeners: list[Listener] = []
        self._lock = RLock()
        self._changing = RLock()  # kept from a change until everybody knows it, so that changes are told in their order
        self.guards: list[Guard] = []
        """Asked before a change is saved; one that raises ConfigError refuses it. Edits of the file pass."""
        self.judges: list[Guard] = []
        """Asked before any change is in force, also an edit of the file; one that raises ConfigError refuses it."""
        self.adjust: Adjust = _as_it_is
        """Lays what the command line says over a configuration; raises ConfigError where that does not fit."""
        self._refused: bytes | None = None
        self.error: ConfigError | None = None
        """Why the file as it is now is not in force, or None."""
        self.fell_back = False
        """Whether ``load`` took the configuration in force from a last good copy."""
        self.loaded_at: datetime | None = None
        """When the configuration in force was read or changed; None before ``load``."""

    @property
    def configuration(self) -> Configuration:
        """The configuration in force; the defaults before ``load``."""
        return self._loaded.configuration

    @property
    def in_force(self) -> Configuration:
        """The configuration with what the command line says in its place, as the bridge uses it."""
        return self.adjusted(self.configuration)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Remarks on the configuration in force."""
        return self._loaded.notices

    @property
    def name(self) -> str:
        """What to call the file in messages."""
        return self._storage.name

    @property
    def digest(self) -> str | None:
        """``digest_of`` the file as it was last read or written; None when there is none."""
        return None if self._seen is None else digest_of(self._seen)

    @property
    def revision(self) -> str:
        """Another text for each content of the file; it tells nobody what the secrets are, and ends with this store."""
        return self._revision_of(self._loaded.document)

    def load(self) -> Configuration:
        """Read the file and return the configuration in force afterwards; never raises for what the file holds.

        A missing file gives the defaults. A file that cannot be used leaves ``error`` and the last good configuration:
        the one in force, else the last-good copy, else the file before the last save, else the defaults. Listeners
        are not called.
        """
        with self._lock:
            loaded = self._from_file()
            self._keep_good(self._seen if loaded else None)
            copy = None if loaded or self._is_loaded else self._good_copy()
            self.fell_back = copy is not None
            self._loaded = loaded or copy or self._loaded
            self._is_loaded = True
            self.loaded_at = self._wall() if loaded or copy else self.loaded_at
            return self._loaded.configuration

    def reload_if_changed(self) -> ConfigChange | None:
        """Follow a change of the file made by somebody else; return it, or None when nothing else is in force now.

        A bad file leaves ``error``; a file that has vanished changes nothing.
        """
        with self._changing:
            with self._lock:
                seen = self._seen
                loaded = self._judged(self._from_file())
                if loaded is None or self._seen is None or (self._seen == seen and self._refused is None):
                    return None
                self._refused = None
                change = self._adopt(loaded)
            self._tell(change)
        return change if change.changed_paths else None

    def update(self, patch: Mapping[str, Any], *, revision: str | None = None, dry_run: bool = False) -> ConfigChange:
        """Lay a patch over the user's keys (RFC 7396: null = default again), save and return the change.

        The names of the README and of the firmware are accepted. Raises ConfigError with every problem,
        OtherRevisionError when the configuration is not of ``revision`` any more, or OSError when the file cannot be
        read or written; then nothing has changed, as after a dry run.
        """
        wanted, told = import_firmware(patch)
        return self._lay(lambda base: merged(base, wanted), told, revision, dry_run=dry_run)

    def replace(
        self, document: Mapping[str, Any], *, revision: str | None = None, dry_run: bool = False
    ) -> ConfigChange:
        """Put a whole document in the place of the user's keys; otherwise as ``update``.

        What it does not name of ``hardware``, ``packs`` and ``web_server`` stays: an empty or partial document must cut
        off neither the BMS nor whoever sends it. A document that has ``packs`` names all of them.
        """
        wanted, told = import_firmware(document)
        return self._lay(lambda base: _with_connections(wanted, base), told, revision, dry_run=dry_run)

    def adjusted(self, config: Configuration) -> Configuration:
        """Return a configuration with what the command line says in its place."""
        try:
            return self.adjust(config)
        except ConfigError:  # the bridge does not use it either
            return config

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after each change, in the thread that made it; the result ends the subscription.

        Listeners hear of the changes in their order. They may look at the store, but must not change anything in it
        nor wait for somebody who does.
        """
        self._listeners.append(listener)

        def end() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return end

    def _from_file(self) -> LoadedConfig | None:
        """Return what the file holds, or None and leave ``error``."""
        try:
            data = self._storage.read()
        except OSError as error:
            problem = ConfigProblem("", None, message("file.unreadable", reason=error_words(error)))
            self.error = ConfigError([problem], source=self.name)
            return None
        self._seen = data
        if data is None:
            self.error = None
            notice = Notice("", message("config.no_file", file=self.name))
            return LoadedConfig(Configuration(), {}, (notice,))
        try:
            loaded = load(data, self.name)
        except ConfigError as error:
            self.error = error
            return None
        self.error = None
        unfit = (
            Notice(problem.path, message("config.not_used", problem=problem.message))
            for problem in check_alone(loaded.configuration)
        )
        return replace(loaded, notices=(*loaded.notices, *unfit))

    def _judged(self, loaded: LoadedConfig | None) -> LoadedConfig | None:
        """Return what the file holds if it may take the place of what is in force, else None and leave ``error``."""
        if loaded is None:
            return None
        try:
            self._ask(loaded.configuration)
        except ConfigError as error:
            self.error = ConfigError(error.problems, source=self.name)
            self._refused = self._seen
            return None
        self._keep_good(self._seen)
        return loaded

    def _ask(self, wanted: Configuration) -> None:
        """Raise ConfigError for a change to what fits no battery, or not this one."""
        problems = new_problems(check_alone(self._loaded.configuration), check_alone(wanted))
        if problems:
            raise ConfigError(problems, source=self.name)
        for judge in self.judges:
            judge(wanted)

    def _good_copy(self) -> LoadedConfig | None:
        copies = (self._last_good.read if self._last_good else lambda: None, self._storage.read_previous)
        for read in copies:
            with suppress(OSError, ConfigError):
                data = read()
                if data is not None:
                    loaded = load(data, self.name)
                    notice = Notice("", message("config.last_good", file=self.name))
                    return replace(loaded, notices=(notice, *loaded.notices))
        return None

    def _keep_good(self, data: bytes | None) -> None:
        if self._last_good is None or data is None:
            return
        with suppress(OSError):  # the copy is a convenience: the configuration itself is fine
            self._last_good.write(data)

    def _base(self) -> dict[str, Any]:
        """Return the keys to change: those of the file if somebody has changed it well, else those in force."""
        if not self._is_loaded:
            self.load()
        data = self._storage.read()
        if data is not None and data != self._seen:
            with suppress(ConfigError):
                return load(data, self.name).document
        return self._loaded.document

    def _revision_of(self, document: Mapping[str, Any]) -> str:
        text = json.dumps(document, sort_keys=True).encode()
        return hashlib.blake2b(text, digest_size=16, key=self._mark).hexdigest()

    def _lay(
        self,
        laid: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        told: Iterable[Notice],
        revision: str | None,
        *,
        dry_run: bool,
    ) -> ConfigChange:
        """Save what ``laid`` makes of the present keys, and tell everybody; a dry run only judges it."""
        with self._changing:
            with self._lock:
                base = self._base()
                if revision not in {None, self._revision_of(base)}:
                    raise OtherRevisionError(message("config.changed_since"))
                change = self._change(laid(base), base, told, dry_run=dry_run)
            if not dry_run:
                self._tell(change)
        return change

    def _change(
        self, document: Mapping[str, Any], base: Mapping[str, Any], told: Iterable[Notice], *, dry_run: bool
    ) -> ConfigChange:
        """Save a document in place of ``base``; ``told`` is about how it was given and goes to its sender only."""
        complete, masked = without_masks(with_secrets_of(base, document))
        valid = load(_text(complete), self.name)
        elsewhere = self._said_elsewhere()
        own, kept = with_own_values(valid.document, base, elsewhere)
        text = _text(without_new_defaults(own, base))
        loaded = load(text, self.name)
        loaded = replace(loaded, notices=(*masked, *loaded.notices))
        self._ask(loaded.configuration)
        for guard in self.guards:
            guard(loaded.configuration)
        if dry_run:
            change = self._step_to(loaded)
        else:
            data = text.encode()
            if data != self._seen:
                self._storage.write(data)
            self._seen, self._refused = data, None
            self.error = None
            self._keep_good(data)
            change = self._adopt(loaded)
        waiting = [_waits(path, value) for path, value in elsewhere.items() if change.touches(path)]
        return replace(change, notices=(*told, *map(_not_saved, kept), *waiting, *change.notices))

    def _said_elsewhere(self) -> dict[str, object]:
        """Return the values that the command line has put in the place of those of the file, by path."""
        own, used = self.configuration, self.in_force
        shown = values_of(used)
        return {path: lookup(shown, path.split(".")) for path in changed_paths(own, used)}

    def _adopt(self, loaded: LoadedConfig) -> ConfigChange:
        change = self._step_to(loaded)
        self._loaded = loaded
        self._is_loaded = True
        self.fell_back = False
        self.loaded_at = self._wall()
        return change

    def _step_to(self, loaded: LoadedConfig) -> ConfigChange:
        old, new = self._loaded.configuration, loaded.configuration
        revision = self._revision_of(loaded.document)
        return ConfigChange(old, new, tuple(changed_paths(old, new)), loaded.notices, revision)

    def _tell(self, change: ConfigChange) -> None:
        """Call every listener, even when one of them raises."""
        if change.changed_paths:
            with ExitStack() as calls:
                for listener in reversed(self._listeners):
                    calls.callback(listener, change)


def _as_it_is(config: Configuration) -> Configuration:
    return config


def _waits(path: str, value: object) -> Notice:
    return Notice(path, message("config.command_line_counts", value=json.dumps(value, ensure_ascii=False)))


def _not_saved(path: str) -> Notice:
    return Notice(path, message("config.command_line_not_saved"))


def _with_connections(document: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole document with the keys of ``base`` by which the bridge reaches the BMS and is reached."""
    known = {name: base[name] for name in _CONNECTIONS if name in base}
    return with_kept(known, document)


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
