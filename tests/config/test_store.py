import json
import stat
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.config.changes import ConfigChange
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.base import MASK
from tinybms_bridge.config.store import ConfigStore, OtherRevisionError
from tinybms_bridge.config.values import public_values
from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.hal.storage import FileStorage, MemoryStorage
from tinybms_lab.testing.words import said

GOOD = b'{"cvl": {"float_soc_threshold": 96}}'
OTHER = b'{"cvl": {"float_soc_threshold": 97}}'
BAD = b'{"cvl": {"float_soc_threshold": 400}}'


class BrokenStorage(MemoryStorage):
    """Storage whose reads or writes fail on demand."""

    def __init__(self, data: bytes | None = None) -> None:
        super().__init__(data)
        self.read_error: OSError | None = None
        self.write_error: OSError | None = None

    def read(self) -> bytes | None:
        if self.read_error is not None:
            raise self.read_error
        return super().read()

    def write(self, data: bytes) -> None:
        if self.write_error is not None:
            raise self.write_error
        super().write(data)


def loaded_store(data: bytes | None = GOOD) -> tuple[ConfigStore, BrokenStorage]:
    """Return a store that has loaded a document, and its storage."""
    storage = BrokenStorage(data)
    store = ConfigStore(storage)
    store.load()
    return store, storage


def saved(storage: MemoryStorage) -> Any:
    """Return the document in the storage."""
    assert storage.data is not None
    return json.loads(storage.data)


def test_a_good_file_is_in_force() -> None:
    """Loading returns what is in force afterwards."""
    store, _ = loaded_store()

    assert store.configuration.cvl.float_soc_threshold == 96.0
    assert store.load() is store.configuration
    assert store.error is None
    assert store.name == "memory"
    assert not store.fell_back


def test_a_missing_file_gives_the_defaults() -> None:
    """The first start has no file: that is no error, but worth a remark."""
    store, storage = loaded_store(None)

    assert store.configuration == Configuration()
    assert store.error is None
    assert [notice.message.text for notice in store.notices] == ["memory does not exist; every key has its default"]
    assert storage.writes == 0


def test_before_loading_the_defaults_are_in_force() -> None:
    """Nobody reads an undefined configuration."""
    assert ConfigStore(MemoryStorage(GOOD)).configuration == Configuration()


def test_remarks_are_kept() -> None:
    """The API shows them while the file is in force."""
    store, _ = loaded_store(b'{"hardware": {"uart": {"baudrate": 19200}}}')

    assert [notice.path for notice in store.notices] == ["hardware.uart.baudrate"]


@pytest.mark.parametrize("data", [BAD, b"", b"{", b"\xff", b"[]", b'{"cvl": 1}'])
def test_a_bad_file_does_not_raise(data: bytes) -> None:
    """The error is kept for the user; without any good copy the defaults are in force."""
    store, _ = loaded_store(data)

    assert store.configuration == Configuration()
    assert isinstance(store.error, ConfigError)
    assert store.error.source == "memory"
    assert not store.fell_back


def test_a_bad_file_at_the_start_gives_way_to_the_file_before() -> None:
    """After a slip in an editor the bridge starts with what worked last."""
    storage = MemoryStorage(BAD)
    storage.previous = GOOD
    store = ConfigStore(storage)

    assert store.load().cvl.float_soc_threshold == 96.0
    assert store.error is not None
    assert store.fell_back
    assert store.notices[0].message.text == "memory cannot be used; the last good configuration is in force"


def test_the_last_good_copy_is_better_than_the_file_before() -> None:
    """Files written by hand leave no predecessor: the store keeps its own copy."""
    storage = MemoryStorage(BAD)
    storage.previous = GOOD
    store = ConfigStore(storage, last_good=MemoryStorage(OTHER))

    assert store.load().cvl.float_soc_threshold == 97.0


def test_a_bad_last_good_copy_is_passed_over() -> None:
    """A copy of an older version may not be readable any more."""
    storage = MemoryStorage(BAD)
    storage.previous = GOOD
    store = ConfigStore(storage, last_good=MemoryStorage(b"{"))

    assert store.load().cvl.float_soc_threshold == 96.0


def test_good_files_are_copied() -> None:
    """Each good file that comes into force becomes the last good copy."""
    copy = MemoryStorage()
    store = ConfigStore(MemoryStorage(GOOD), last_good=copy)

    store.load()
    store.load()
    assert copy.data == GOOD

    store.update({"cvl": {"float_soc_threshold": 98}})
    assert saved(copy) == {"cvl": {"float_soc_threshold": 98}}


def test_a_copy_that_cannot_be_written_does_no_harm() -> None:
    """A full disk for the copy must not spoil a good configuration."""
    copy = BrokenStorage()
    copy.write_error = OSError(28, "No space left on device")
    store = ConfigStore(MemoryStorage(GOOD), last_good=copy)

    assert store.load().cvl.float_soc_threshold == 96.0
    assert store.error is None


def test_a_file_that_cannot_be_read_is_an_error_in_words() -> None:
    """Missing rights at the start are shown like a bad file."""
    storage = BrokenStorage(GOOD)
    storage.read_error = PermissionError(13, "Permission denied")
    store = ConfigStore(storage)

    assert store.load() == Configuration()
    assert str(store.error) == "memory: configuration: cannot be read: Permission denied"


def test_loading_again_keeps_what_is_in_force_when_the_file_is_bad() -> None:
    """A running bridge never changes because of a bad file."""
    store, storage = loaded_store()
    storage.data, storage.previous = BAD, OTHER

    assert store.load().cvl.float_soc_threshold == 96.0
    assert store.error is not None


def test_an_unchanged_file_is_no_change() -> None:
    """Looking at the file again and again does nothing."""
    store, _ = loaded_store()

    assert store.reload_if_changed() is None


def test_a_changed_file_is_followed() -> None:
    """Editing the file is as good as using the page."""
    store, storage = loaded_store()
    old = store.configuration
    storage.data = OTHER

    change = store.reload_if_changed()

    assert change is not None
    assert (change.old, change.new) == (old, store.configuration)
    assert change.changed_paths == ("cvl.float_soc_threshold",)
    assert store.reload_if_changed() is None


def test_a_bad_change_of_the_file_keeps_the_old_values() -> None:
    """The error is shown until the file is good again."""
    store, storage = loaded_store()
    storage.data = BAD

    assert store.reload_if_changed() is None
    assert store.configuration.cvl.float_soc_threshold == 96.0
    assert store.error is not None

    storage.data = GOOD
    assert store.reload_if_changed() is None
    assert store.error is None


def test_a_file_that_vanishes_changes_nothing() -> None:
    """Some editors remove a file for a moment while they save."""
    store, storage = loaded_store()
    storage.data = None

    assert store.reload_if_changed() is None
    assert store.configuration.cvl.float_soc_threshold == 96.0

    storage.data = OTHER
    assert store.reload_if_changed() is not None


def test_a_read_error_changes_nothing_and_passes() -> None:
    """A disk hiccup is shown and forgotten when the next look succeeds."""
    store, storage = loaded_store()
    storage.read_error = OSError(5, "Input/output error")
    assert store.reload_if_changed() is None
    assert store.error is not None

    storage.read_error = None
    assert store.reload_if_changed() is None
    assert store.error is None


def test_a_change_in_layout_only_is_no_change() -> None:
    """New line breaks or keys with default values restart nothing."""
    store, storage = loaded_store()
    storage.data = b'{"cvl": {\n "enabled": true, "float_soc_threshold": 96.0 }}'

    assert store.reload_if_changed() is None
    store.update({"mqtt": {"enabled": True}})
    assert saved(storage)["cvl"] == {"enabled": True, "float_soc_threshold": 96.0}


def test_an_update_is_validated_saved_and_in_force() -> None:
    """The body of POST /api/settings."""
    store, storage = loaded_store()

    change = store.update({"cvl": {"float_soc_threshold": 98}, "victron": {"thresholds": {"overvoltage_v": 59.0}}})

    assert change.changed_paths == ("victron.thresholds.overvoltage_v", "cvl.float_soc_threshold")
    assert store.configuration is change.new
    assert saved(storage) == {
        "cvl": {"float_soc_threshold": 98},
        "victron": {"thresholds": {"overvoltage_v": 59.0}},
    }


def test_only_the_keys_of_the_user_are_written() -> None:
    """A file stays small, and later versions may improve defaults that nobody chose."""
    store, storage = loaded_store(None)

    store.update({"mqtt": {"enabled": True}})

    assert saved(storage) == {"mqtt": {"enabled": True}}
    assert storage.data is not None
    assert storage.data.endswith(b"\n")


def test_null_gives_the_default_back() -> None:
    """A key that is taken away leaves the file."""
    store, storage = loaded_store()

    change = store.update({"cvl": {"float_soc_threshold": None}})

    assert change.new.cvl.float_soc_threshold is None
    assert saved(storage) == {"cvl": {}}


def test_a_refused_update_changes_nothing() -> None:
    """All problems come at once; file and configuration stay."""
    store, storage = loaded_store()
    before = store.configuration

    with pytest.raises(ConfigError) as caught:
        store.update({"cvl": {"float_soc_threshold": 90, "enabled": "no"}, "mqqt": {}})

    assert [problem.path for problem in caught.value.problems] == [
        "cvl.float_soc_threshold",
        "cvl.enabled",
        "mqqt",
    ]
    assert store.configuration is before
    assert storage.data == GOOD
    assert store.error is None


def test_an_update_that_cannot_be_written_changes_nothing() -> None:
    """What is not saved is not in force: after a restart it would be gone."""
    store, storage = loaded_store()
    storage.write_error = OSError(28, "No space left on device")
    before = store.configuration

    with pytest.raises(OSError, match="No space left"):
        store.update({"cvl": {"float_soc_threshold": 98}})

    assert store.configuration is before
    assert storage.data == GOOD


def test_an_update_without_a_difference_is_not_written() -> None:
    """Flash memory is not worn by a page that saves the same again."""
    store, storage = loaded_store()
    store.update({"mqtt": {"enabled": True}})
    writes = storage.writes

    assert store.update({"mqtt": {"enabled": True}}).changed_paths == ()
    assert storage.writes == writes


def test_an_update_under_other_names() -> None:
    """The page of the firmware and its scripts keep working; the file gets one set of names."""
    store, storage = loaded_store(b'{"cvl_algorithm": {"float_soc_threshold": 96}}')

    change = store.update({"cvl": {"float_offset": -0.2}, "system": {"web_port": 8088}})

    assert change.new.cvl.float_offset_mv == 200.0
    assert saved(storage) == {
        "cvl": {"float_soc_threshold": 96, "float_offset_mv": 200.0},
        "web_server": {"port": 8088},
    }


@pytest.mark.parametrize("method", ["update", "replace"])
@pytest.mark.parametrize("patch", [{"uart": {"baudrate": 19_200}}, {"uart_baudrate": 19_200}])
def test_what_is_read_differently_is_told_to_its_sender(method: str, patch: dict[str, Any]) -> None:
    """The API is as plain as `check`; the remark is about the request, not about the configuration in force."""
    store, storage = loaded_store(b"{}")

    change = getattr(store, method)({"hardware": patch})

    assert any("19200 is read as 115200" in notice.message.text for notice in change.notices)
    assert store.configuration.hardware.uart.baudrate == 115_200
    assert (saved(storage), change.changed_paths, store.notices) == ({}, (), ())


def test_a_line_speed_of_the_firmware_in_a_file_is_mended_with_the_next_change() -> None:
    """What is saved is what is in force."""
    store, storage = loaded_store(b'{"hardware": {"uart": {"baudrate": 19200}}}')
    assert [notice.path for notice in store.notices] == ["hardware.uart.baudrate"]

    store.update({"victron": {"stale_hold_s": 12}})

    assert saved(storage) == {"hardware": {"uart": {"baudrate": 115_200}}, "victron": {"stale_hold_s": 12}}
    assert store.notices == ()


def test_an_update_with_two_names_of_a_section_is_refused() -> None:
    """As in a file."""
    store, _ = loaded_store()

    with pytest.raises(ConfigError, match="same section"):
        store.update({"cvl": {}, "cvl_algorithm": {}})


@pytest.mark.parametrize("patch", [{"wifi": {"sta_ssid": "\ud800"}}, {"cvl": {"float_soc_threshold": float("nan")}}])
def test_an_update_that_no_file_could_hold_is_refused(patch: dict[str, Any]) -> None:
    """What is judged is the text that is written."""
    store, storage = loaded_store()

    with pytest.raises(ConfigError):
        store.update(patch)
    assert storage.data == GOOD


def test_an_update_keeps_what_was_edited_by_hand_meanwhile() -> None:
    """Page and editor used together: neither loses the other's change, and listeners hear of both."""
    store, storage = loaded_store()
    storage.data = b'{"cvl": {"float_soc_threshold": 97}, "mqtt": {"enabled": true}}'

    change = store.update({"cvl": {"float_exit_soc": 91}})

    assert change.changed_paths == ("cvl.float_soc_threshold", "cvl.float_exit_soc", "mqtt.enabled")
    assert saved(storage) == {"cvl": {"float_soc_threshold": 97, "float_exit_soc": 91}, "mqtt": {"enabled": True}}


def test_an_update_replaces_a_bad_file() -> None:
    """The way out of a slip without a shell: save on the page; the bad file is kept as the one before."""
    store, storage = loaded_store()
    storage.data = BAD
    store.reload_if_changed()

    store.update({"mqtt": {"enabled": True}})

    assert store.error is None
    assert saved(storage) == {"cvl": {"float_soc_threshold": 96}, "mqtt": {"enabled": True}}
    assert storage.previous == BAD


def test_an_update_before_loading_loads_first() -> None:
    """No order of calls can overwrite the file with a patch alone."""
    storage = MemoryStorage(GOOD)

    ConfigStore(storage).update({"mqtt": {"enabled": True}})

    assert saved(storage) == {"cvl": {"float_soc_threshold": 96}, "mqtt": {"enabled": True}}


def test_secrets_that_are_only_masked_are_kept() -> None:
    """The settings page sends back what it was shown."""
    store, storage = loaded_store(b'{"wifi": {"sta_password": "hush hush"}}')

    store.update({"wifi": {"sta_password": MASK, "sta_ssid": "Home"}})

    assert saved(storage) == {"wifi": {"sta_password": "hush hush", "sta_ssid": "Home"}}


def test_the_whole_masked_configuration_can_be_sent_back() -> None:
    """Export, then import: nothing changes."""
    store, _ = loaded_store(b'{"wifi": {"sta_password": "hush hush"}, "cvl": {"float_soc_threshold": 96}}')

    change = store.replace(public_values(store.configuration))

    assert change.changed_paths == ()
    assert change.new.wifi.sta_password.value == "hush hush"


@pytest.mark.parametrize("data", [None, b"{}", b'{"cvl": {"bulk_soc_threshold": 80.0, "enabled": true}, "mqtt": {}}'])
@pytest.mark.parametrize("method", ["update", "replace"])
def test_the_configuration_as_it_is_shown_adds_nothing_to_the_file(data: bytes | None, method: str) -> None:
    """No key without an effect appears, later defaults still count, and what the user wrote out stays."""
    store, storage = loaded_store(data)

    change = getattr(store, method)(public_values(store.configuration))

    assert saved(storage) == json.loads(data or b"{}")
    assert change.notices == ()


def test_a_default_that_is_written_badly_is_refused() -> None:
    """1 is not true, although Python takes them for equal."""
    store, storage = loaded_store()

    with pytest.raises(ConfigError, match=r"cvl\.enabled"):
        store.update({"cvl": {"enabled": 1}})

    assert storage.data == GOOD


def test_replacing_drops_what_is_not_given() -> None:
    """An imported file counts alone."""
    store, storage = loaded_store()

    change = store.replace({"mqtt": {"enabled": True}})

    assert change.changed_paths == ("cvl.float_soc_threshold", "mqtt.enabled")
    assert saved(storage) == {"mqtt": {"enabled": True}}
    assert storage.previous == GOOD


def test_a_refused_replacement_changes_nothing() -> None:
    """As with an update."""
    store, storage = loaded_store()

    with pytest.raises(ConfigError):
        store.replace({"cvl": {"float_soc_threshold": 1000}})
    assert storage.data == GOOD


def test_listeners_hear_of_every_change() -> None:
    """Update, replacement and a changed file are all told, in order."""
    store, storage = loaded_store()
    heard: list[ConfigChange] = []
    store.subscribe(heard.append)

    first = store.update({"mqtt": {"enabled": True}})
    second = store.replace({})
    storage.data = OTHER
    third = store.reload_if_changed()

    assert heard == [first, second, third]


def test_listeners_hear_of_changes_by_several_threads_in_their_order() -> None:
    """Each change begins where the one before ended, and whoever hears the last one knows what is in force."""
    store, _ = loaded_store(None)
    heard: list[ConfigChange] = []

    def listen(change: ConfigChange) -> None:
        time.sleep(
            0.001 * ((change.new.cvl.float_offset_mv or 0.0) % 3)
        )  # a listener that is slower for some than for others
        heard.append(change)

    store.subscribe(listen)
    threads = [threading.Thread(target=store.update, args=({"cvl": {"float_offset_mv": n}},)) for n in range(200, 212)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(heard) == 12
    assert all(before.new is after.old for before, after in pairwise(heard))
    assert heard[-1].new is store.configuration


def test_a_restored_backup_tells_which_secrets_are_missing() -> None:
    """A backup onto a new machine: what was masked is named, in the answer and afterwards."""
    store, storage = loaded_store(None)

    change = store.replace({"mqtt": {"username": "boat", "password": MASK}})

    told = [notice.path for notice in change.notices if MASK in notice.message.text]
    assert told == ["mqtt.password"]
    assert change.notices == store.notices
    assert saved(storage) == {"mqtt": {"username": "boat"}}


def test_the_time_of_loading_is_known() -> None:
    """Of the configuration in force, not of the last look at a bad file."""
    storage = MemoryStorage(GOOD)
    moments = iter(datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 5))
    store = ConfigStore(storage, wall=lambda: next(moments))
    assert store.loaded_at is None
    store.load()
    storage.data = BAD
    store.reload_if_changed()
    store.load()
    assert store.loaded_at == datetime(2026, 1, 1, tzinfo=UTC)
    store.update({"cvl": {"enabled": False}})
    assert store.loaded_at == datetime(2026, 1, 2, tzinfo=UTC)


def test_listeners_do_not_hear_of_nothing() -> None:
    """No change, no restart."""
    store, storage = loaded_store()
    heard: list[ConfigChange] = []
    store.subscribe(heard.append)

    store.update({"cvl": {"float_soc_threshold": 96}})
    store.reload_if_changed()
    storage.data = BAD
    store.reload_if_changed()
    with pytest.raises(ConfigError):
        store.update({"x": 1})

    assert heard == []


def test_a_subscription_can_end() -> None:
    """Ending it twice is harmless."""
    store, _ = loaded_store()
    heard: list[ConfigChange] = []
    end = store.subscribe(heard.append)

    end()
    end()
    store.update({"mqtt": {"enabled": True}})

    assert heard == []


def test_a_failing_listener_does_not_silence_the_others() -> None:
    """The change is saved and in force; everybody hears of it, then the error comes out."""
    store, storage = loaded_store()
    heard: list[ConfigChange] = []

    def fail(_change: ConfigChange) -> None:
        raise RuntimeError("listener")

    store.subscribe(fail)
    store.subscribe(heard.append)

    with pytest.raises(RuntimeError, match="listener"):
        store.update({"mqtt": {"enabled": True}})

    assert len(heard) == 1
    assert store.configuration.mqtt.enabled
    assert saved(storage)["mqtt"] == {"enabled": True}


def test_a_listener_may_use_the_store() -> None:
    """Listeners are called without the lock, so that they and other threads can go on."""
    store, _ = loaded_store()
    seen: list[bool] = []

    def look(_change: ConfigChange) -> None:
        thread = threading.Thread(target=lambda: seen.append(store.load().mqtt.enabled))
        thread.start()
        thread.join(timeout=30)

    store.subscribe(look)
    store.update({"mqtt": {"enabled": True}})

    assert seen == [True]


def test_updates_of_several_threads_are_all_kept() -> None:
    """The read, merge and write of one update are not torn by another."""
    store, storage = loaded_store(None)
    keys = ["bulk_soc_threshold", "transition_soc_threshold", "float_exit_soc", "soc_hysteresis_percent"]
    values = [70, 84, 91, 1]

    def work(key: str, value: int) -> None:
        for _ in range(10):
            store.update({"cvl": {key: value}})

    threads = [threading.Thread(target=work, args=pair) for pair in zip(keys, values, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert saved(storage) == {"cvl": dict(zip(keys, values, strict=True))}


def test_the_file_keeps_secrets_to_its_owner(tmp_path: Path) -> None:
    """Passwords are stored in clear: nobody else may read the file, nor the one before."""
    path = tmp_path / "config.json"
    store = ConfigStore(FileStorage(path))
    store.load()

    store.update({"wifi": {"sta_password": "hush hush"}})
    store.update({"wifi": {"sta_password": "hush again"}})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "config.json.bak").stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["wifi"]["sta_password"] == "hush again"
    assert b"hush hush" in (tmp_path / "config.json.bak").read_bytes()


def test_names_are_written_readably(tmp_path: Path) -> None:
    """A file with accents stays a file for people."""
    path = tmp_path / "config.json"

    ConfigStore(FileStorage(path)).update({"wifi": {"sta_ssid": "Café ☕"}})

    assert "Café ☕" in path.read_text(encoding="utf-8")


def test_a_store_finds_what_another_one_saved(tmp_path: Path) -> None:
    """Saving and starting again gives the same configuration."""
    path = tmp_path / "sub" / "config.json"
    change = ConfigStore(FileStorage(path)).update({"cvl": {"bulk_voltage_v": 56.0}, "victron": {"stale_hold_s": 9}})

    again = ConfigStore(FileStorage(path))

    assert again.load() == change.new
    assert again.notices == change.notices


PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "cvl": st.fixed_dictionaries(
            {},
            optional={
                "float_soc_threshold": st.sampled_from([90, 93, 96, None, 400, "x"]),
                "float_exit_soc": st.sampled_from([80, 91, 95, None]),
                "bulk_voltage_v": st.sampled_from([None, 56.0, 58.4]),
            },
        ),
        "victron": st.sampled_from([{"thresholds": {"overvoltage_v": 58.4}}, None, {"thresholds": None}, 5]),
        "mqtt": st.fixed_dictionaries({}, optional={"enabled": st.booleans() | st.just("yes")}),
    },
)


@given(st.lists(PATCHES, max_size=8))
@settings(max_examples=60, deadline=None)
def test_whatever_is_done_the_file_is_the_configuration(patches: list[dict[str, Any]]) -> None:
    """After any sequence of accepted and refused patches a new start gives what is in force."""
    storage = MemoryStorage()
    store = ConfigStore(storage)
    store.load()

    for patch in patches:
        before = store.configuration
        try:
            change = store.update(patch)
        except ConfigError:
            assert store.configuration is before
        else:
            assert change.old == before
            assert bool(change.changed_paths) == (change.new != before)

    assert ConfigStore(MemoryStorage(storage.data)).load() == store.configuration


def test_a_guard_refuses_before_anything_is_saved() -> None:
    """What only the running program can know, such as a port that is taken, is asked before the file is written."""
    store, storage = loaded_store()
    asked: list[Configuration] = []

    def refuse(wanted: Configuration) -> None:
        asked.append(wanted)
        raise ConfigError([ConfigProblem("web_server.port", 8088, said("is in use"))])

    store.guards.append(refuse)
    for change in (store.update, store.replace):
        with pytest.raises(ConfigError, match="is in use"):
            change({"web_server": {"port": 8088}})

    assert [each.web_server.port for each in asked] == [8088, 8088]
    assert storage.data == GOOD
    assert store.configuration.web_server.port == 8080


def test_a_guard_does_not_keep_an_edit_of_the_file_out() -> None:
    """The file is what the user wants; the part that cannot follow says so."""
    store, storage = loaded_store()
    store.guards.append(lambda _wanted: pytest.fail("asked"))
    storage.data = OTHER

    assert store.reload_if_changed() is not None


def test_a_judge_refuses_changes_and_edits_of_the_file() -> None:
    """What does not fit the battery is never in force by a change, whoever makes it; the file is told."""
    store, storage = loaded_store()
    before = store.configuration

    def refuse(wanted: Configuration) -> None:
        if wanted.cvl.chemistry == "lto":
            raise ConfigError([ConfigProblem("cvl.chemistry", "lto", said("contradicts the BMS"))], source="battery")

    store.judges.append(refuse)
    with pytest.raises(ConfigError, match="contradicts the BMS"):
        store.update({"cvl": {"chemistry": "lto"}})
    with pytest.raises(ConfigError, match="contradicts the BMS"):
        store.replace({"cvl": {"chemistry": "lto"}})
    storage.data = b'{"cvl": {"chemistry": "lto"}}'
    assert store.reload_if_changed() is None
    assert store.configuration is before
    assert store.error is not None
    assert "contradicts the BMS" in str(store.error)

    store.judges.clear()  # the BMS has been set right since
    change = store.reload_if_changed()
    assert change is not None
    assert change.changed_paths == ("cvl.chemistry", "cvl.float_soc_threshold")
    assert store.error is None


def test_a_refused_file_is_no_good_copy() -> None:
    """The next start would fall back to it."""
    storage, copy = MemoryStorage(b"{}"), MemoryStorage()
    store = ConfigStore(storage, last_good=copy)
    store.load()
    storage.data = b'{"cvl": {"bulk_voltage_v": 3.45}}'

    assert store.reload_if_changed() is None
    assert copy.data == b"{}"


def test_a_value_per_cell_is_refused_as_a_change_and_told_at_the_start() -> None:
    """A start goes on with what is safe; somebody who types it reads why not. It keeps from no other change."""
    store = ConfigStore(MemoryStorage(b"{}"))
    store.load()
    with pytest.raises(ConfigError, match="value per cell"):
        store.update({"cvl": {"bulk_voltage_v": 3.45}})

    started = ConfigStore(MemoryStorage(b'{"cvl": {"bulk_voltage_v": 3.45}}'))
    assert started.load().cvl.bulk_voltage_v == 3.45
    assert started.error is None
    (notice,) = [each for each in started.notices if "one set" not in each.message.text]
    assert notice.path == "cvl.bulk_voltage_v"
    assert notice.message.text == (
        "is a value per cell; that of the pack is meant: 55.2 V for example 16 cells; it is not used"
    )
    assert started.update({"cvl": {"enabled": False}}).new.cvl.bulk_voltage_v == 3.45


def laid_over(config: Configuration) -> Configuration:
    """Say, as a command line does, which port and which log level to use."""
    uart = replace(config.hardware.uart, device="/dev/ttyUSB3")
    hardware = replace(config.hardware, uart=uart)
    logging = replace(config.logging, log_level="DEBUG")
    return replace(config, hardware=hardware, logging=logging)


DEVICE = {"hardware": {"uart": {"device": "/dev/ttyS5", "timeout_ms": 400}}}


def test_in_force_is_what_the_command_line_says() -> None:
    """The file is one thing, what the bridge uses another."""
    store, _ = loaded_store(json.dumps(DEVICE).encode())
    assert store.in_force is store.configuration
    store.adjust = laid_over
    assert store.in_force.hardware.uart.device == "/dev/ttyUSB3"
    assert store.configuration.hardware.uart.device == "/dev/ttyS5"
    assert store.in_force.hardware.uart.timeout_ms == 400


@pytest.mark.parametrize("data", [None, json.dumps(DEVICE).encode()])
@pytest.mark.parametrize("method", ["update", "replace"])
def test_what_the_command_line_says_is_not_saved_when_it_is_sent_back(data: bytes | None, method: str) -> None:
    """A page that sends back all that it shows must not make a choice of one run that of the file."""
    store, storage = loaded_store(data)
    store.adjust = laid_over
    before = {} if data is None else json.loads(data)

    change = getattr(store, method)(public_values(store.in_force))

    assert saved(storage) == before
    assert change.changed_paths == ()
    told = {notice.path: notice.message.text for notice in change.notices}
    assert told["hardware.uart.device"] == told["logging.log_level"]
    assert (
        told["logging.log_level"] == "is what the command line says, so it is not saved; the file keeps its own value"
    )


def test_a_choice_that_the_command_line_hides_is_saved_and_told() -> None:
    """Nobody should wonder why a saved port is not used."""
    store, storage = loaded_store(json.dumps(DEVICE).encode())
    store.adjust = laid_over

    change = store.update({"hardware": {"uart": {"device": "/dev/ttyUSB9"}}})

    assert saved(storage)["hardware"]["uart"]["device"] == "/dev/ttyUSB9"
    assert store.in_force.hardware.uart.device == "/dev/ttyUSB3"
    (told,) = change.notices
    assert str(told).startswith("hardware.uart.device: is saved; until the program is started without it,")
    assert told.message.text.endswith('"/dev/ttyUSB3" is in force')


def test_a_command_line_that_does_not_fit_hides_nothing() -> None:
    """The bridge does not use such a configuration either; what was read is shown."""

    def refuse(_config: Configuration) -> Configuration:
        raise ConfigError([ConfigProblem("hardware", None, said("does not fit"))])

    store, _ = loaded_store()
    store.adjust = refuse
    assert store.in_force is store.configuration


def test_a_change_for_an_older_revision_is_refused() -> None:
    """Also when it was the file that somebody has edited: what it holds now has not been seen."""
    store, storage = loaded_store()
    seen = store.revision
    assert store.update({"cvl": {"float_soc_threshold": 97}}, revision=seen).revision == store.revision
    with pytest.raises(OtherRevisionError, match="changed since"):
        store.update({"cvl": {"float_exit_soc": 90}}, revision=seen)
    storage.data = GOOD
    with pytest.raises(OtherRevisionError):
        store.replace({}, revision=store.revision)
    assert storage.data == GOOD


def test_a_revision_says_nothing_of_secrets() -> None:
    """Two stores of one content have different ones: nobody can try passwords against it."""
    assert loaded_store()[0].revision != loaded_store()[0].revision


@pytest.mark.parametrize("method", ["update", "replace"])
def test_a_dry_run_judges_and_leaves_everything(method: str) -> None:
    """The file, what is in force and who listens; what saving would refuse is refused."""
    store, storage = loaded_store()
    heard: list[ConfigChange] = []
    store.subscribe(heard.append)
    change = getattr(store, method)({"cvl": {"float_soc_threshold": 97}}, dry_run=True)

    assert change.changed_paths == ("cvl.float_soc_threshold",)
    assert change.new.cvl.float_soc_threshold == 97.0
    assert (storage.data, store.configuration.cvl.float_soc_threshold, heard) == (GOOD, 96.0, [])
    with pytest.raises(ConfigError):
        getattr(store, method)({"cvl": {"float_soc_threshold": 400}}, dry_run=True)


FOUR: dict[str, Any] = {
    "packs": {name: {"uart": {"device": f"/dev/{name}"}} for name in "abcd"},
    "cvl": {"float_soc_threshold": 96},
}
"""A file with several packs."""


def store_of(document: dict[str, Any]) -> tuple[ConfigStore, BrokenStorage]:
    """Return a store that has loaded a document, and its storage."""
    return loaded_store(json.dumps(document).encode())


def test_one_pack_is_changed_by_its_name() -> None:
    """The button *out of service* of one pack says nothing of the others, nor of the rest of its own entry."""
    store, storage = store_of(FOUR)

    change = store.update({"packs": {"b": {"enabled": False}}})

    assert change.changed_paths == ("packs.b.enabled",)
    assert saved(storage) == {**FOUR, "packs": {**FOUR["packs"], "b": {"uart": {"device": "/dev/b"}, "enabled": False}}}
    assert list(store.configuration.packs) == ["a", "b", "c", "d"]
    assert store.update({"packs": {"b": {"enabled": None}}}).changed_paths == ("packs.b.enabled",)
    assert saved(storage) == FOUR


def test_a_pack_comes_and_goes_by_its_name() -> None:
    """Null takes an entry away, as it does with a key; without any there is the one of the short form again."""
    store, storage = store_of(FOUR)

    assert store.update({"packs": {"a": None, "e": {"uart": {"device": "/dev/e"}}}}).changed_paths == (
        "packs.a",
        "packs.e",
    )
    assert list(saved(storage)["packs"]) == ["b", "c", "d", "e"]
    assert len(store.update({"packs": None}).changed_paths) == 4
    assert "packs" not in saved(storage)


def test_a_mistyped_name_makes_no_pack() -> None:
    """It is refused for want of a port, and nothing is saved."""
    store, storage = store_of(FOUR)

    with pytest.raises(ConfigError) as caught:
        store.update({"packs": {"bb": {"enabled": False}}})

    assert [problem.path for problem in caught.value.problems] == ["packs.bb.uart.device"]
    assert saved(storage) == FOUR


@pytest.mark.parametrize("document", [{}, {"packs": {"main": {"uart": {"device": "/dev/x"}}}}])
def test_the_only_pack_is_not_taken_out_of_service(document: dict[str, Any]) -> None:
    """Also while it has no entry of its own: the answer is that it is the only one."""
    store, storage = store_of(document)

    with pytest.raises(ConfigError, match="it is the only pack") as caught:
        store.update({"packs": {"main": {"enabled": False}}})

    assert [problem.path for problem in caught.value.problems] == ["packs.main.enabled"]
    assert saved(storage) == document


def test_the_last_but_one_pack_may_go() -> None:
    """One with a name is left, which is no short form."""
    store, storage = store_of({"packs": {name: FOUR["packs"][name] for name in "ab"}})

    store.update({"packs": {"a": None}})

    assert saved(storage) == {"packs": {"b": {"uart": {"device": "/dev/b"}}}}


def test_a_partial_document_cuts_off_no_pack() -> None:
    """As it leaves the port of the only one; one that names packs names all of them, with what is known of each."""
    store, storage = store_of(
        {**FOUR, "packs": {**FOUR["packs"], "a": {"uart": {"device": "/dev/a"}, "enabled": False}}}
    )

    store.replace({"victron": {"battery_name": "Boat"}})
    assert list(store.configuration.packs) == ["a", "b", "c", "d"]

    store.replace({"packs": {"a": {"uart": {"timeout_ms": 500}}, "d": {}}})
    assert saved(storage)["packs"] == {
        "a": {"uart": {"device": "/dev/a", "timeout_ms": 500}, "enabled": False},
        "d": {"uart": {"device": "/dev/d"}},
    }


@pytest.mark.parametrize("method", ["update", "replace"])
def test_packs_as_they_are_shown_add_nothing_to_the_file(method: str) -> None:
    """A client that sends back what it read has set no defaults."""
    store, storage = store_of(FOUR)
    shown = public_values(store.configuration)

    assert getattr(store, method)(shown).changed_paths == ()
    assert saved(storage) == FOUR


def test_the_order_of_packs_is_that_of_the_file() -> None:
    """A patch leaves it; a file that has another one is followed."""
    store, storage = store_of(FOUR)
    store.update({"packs": {"d": {"enabled": False}, "a": {"enabled": False}}})
    assert list(store.configuration.packs) == ["a", "b", "c", "d"]

    storage.data = json.dumps({**FOUR, "packs": dict(reversed(FOUR["packs"].items()))}).encode()
    change = store.reload_if_changed()

    assert change is not None
    assert change.touches("packs")
    assert list(store.configuration.packs) == ["d", "c", "b", "a"]


def test_a_file_with_mistakes_in_its_packs_leaves_those_in_force() -> None:
    """Two at one port, by an edit of the file: a bridge that runs goes on with what it had."""
    store, storage = store_of(FOUR)
    storage.data = json.dumps({"packs": {name: {"uart": {"device": "/dev/same"}} for name in "ab"}}).encode()

    assert store.reload_if_changed() is None
    assert store.error is not None
    assert [problem.path for problem in store.error.problems] == ["packs.b.uart.device"]
    assert list(store.configuration.packs) == ["a", "b", "c", "d"]
