import json
import math
from dataclasses import replace
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.config import validation
from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Key, keys_of
from tinybms_bridge.config.models import Mqtt, Section
from tinybms_bridge.config.models.base import MASK, Secret
from tinybms_bridge.config.values import from_values, public_values, values_of
from tinybms_bridge.errors import ConfigError

TEXTS = st.text(max_size=5)


def values_for(key: Key) -> st.SearchStrategy[Any]:
    """Make values of a key's type and range."""
    if key.section is not None:
        return sections(key.section)
    if key.entries is not None:
        names = st.from_regex(key.entries.name.pattern, fullmatch=True).filter(key.entries.name.accepts)
        return st.dictionaries(names, sections(key.entries.section), max_size=3)
    low, high = key.range or (None, None)
    meaning = key.meaning
    if meaning.holds is not None and not key.nullable:
        made: st.SearchStrategy[Any] = st.just(key.default)
    elif meaning.holds is not None:
        made = st.floats(-40, 40).map(lambda x: [[x, 0.5], [x + 1, 1]])
    elif meaning.pattern:
        made = st.from_regex(meaning.pattern, fullmatch=True).filter(meaning.accepts)
    elif key.choices:
        made = st.sampled_from(key.choices)
    elif key.type is int:
        made = st.integers(None if low is None else math.ceil(low), None if high is None else math.floor(high))
    elif key.type is float:
        made = st.floats(low, high)
    else:
        made = of_type(key.type)
    return made | st.none() if key.nullable else made


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Make values of a type without a range."""
    plain: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: TEXTS,
        Any: st.lists(st.floats(0, 1), max_size=2),
        Secret: st.builds(Secret, TEXTS),
    }
    if get_origin(kind) is list:
        return st.lists(of_type(get_args(kind)[0]), max_size=3)
    if get_origin(kind) is dict:
        return st.dictionaries(TEXTS, of_type(get_args(kind)[1]), max_size=3)
    if get_origin(kind) is UnionType:
        return st.one_of(*map(of_type, get_args(kind)))
    return plain[kind]


def sections(section: type[Section]) -> st.SearchStrategy[Any]:
    """Make sections with any value at each key."""
    return st.builds(section, **{name: values_for(key) for name, key in keys_of(section).items()})


def nested(path: str, value: object) -> dict[str, Any]:
    """Return every value of the defaults, and another one at a path."""
    document = values_of(Configuration())
    *parents, name = path.split(".")
    owner = document
    for parent in parents:
        owner = owner[parent]
    owner[name] = value
    return document


@given(sections(Configuration))
@settings(max_examples=50, deadline=None)
def test_values_are_the_configuration_again(config: Configuration) -> None:
    """What one process writes another reads: through JSON, no value and no type is lost."""
    read = from_values(json.loads(json.dumps(values_of(config))))

    assert read == config
    assert repr(read) == repr(config)
    assert values_of(read) == values_of(config)


def test_a_key_that_is_missing_has_its_default() -> None:
    """A process of an earlier version does not know a key that is new."""
    assert from_values({}) == Configuration()
    assert from_values({"mqtt": {"port": 1884}}) == replace(Configuration(), mqtt=Mqtt(port=1884))


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("cvl.enabled", 1),
        ("cvl.enabled", None),
        ("cvl.chemistry", "lead"),
        ("cvl.chemistry", ["lfp"]),
        ("cvl.bulk_soc_threshold", "80"),
        ("cvl.bulk_soc_threshold", True),
        ("cvl.bulk_soc_threshold", math.nan),
        ("cvl.bulk_soc_threshold", math.inf),
        ("cvl.bulk_soc_threshold", 100.5),
        ("cvl.bulk_soc_threshold", -1),
        ("cvl.curves.charge_by_soc", [[1, 0], [0, 1]]),
        ("tinybms.poll_interval_ms", 19),
        ("hardware.can.bitrate", 123),
        ("hardware.uart.device", ""),
        ("mqtt.username", "x" * 257),
        ("wifi.sta_password", "short"),
        ("cvl.bulk_soc_threshold", 10**400),
        ("cvl.curves", None),
        ("cvl.curves.charge_by_soc", {"0": 1}),
        ("tinybms.poll_interval_ms", 100.0),
        ("tinybms.poll_interval_ms", True),
        ("tinybms.poll_interval_ms", None),
        ("hardware", []),
        ("hardware.uart.device", 7),
        ("hardware.can.options", {"fd": None}),
        ("hardware.can.options", [1]),
        ("web_server.cors_origins", "http://a"),
        ("web_server.cors_origins", [1]),
        ("mqtt.password", 12345678),
        ("mqtt.passwort", ""),
        ("mqqt", {}),
    ],
)
def test_values_that_their_key_does_not_accept_are_refused(path: str, wrong: object) -> None:
    """A number that is a text, a switch that is a number, or a limit out of its range never is in force."""
    with pytest.raises(ConfigError) as caught:
        from_values(nested(path, wrong))

    assert [problem.path for problem in caught.value.problems] == [path]


@pytest.mark.parametrize("wrong", [None, [], "{}", 5, True])
def test_what_is_no_object_is_refused(wrong: object) -> None:
    """Another document than a configuration is told, with no section to blame."""
    with pytest.raises(ConfigError, match="must be an object") as caught:
        from_values(wrong)

    assert [problem.path for problem in caught.value.problems] == [""]


def test_every_wrong_value_is_named_and_none_shown() -> None:
    """One look at the error is enough, and it holds no secret."""
    with pytest.raises(ConfigError) as caught:
        from_values({"mqtt": {"password": ["hush"], "port": "1"}, "cvl": {"enabled": "hush"}})

    assert [problem.path for problem in caught.value.problems] == ["cvl.enabled", "mqtt.port", "mqtt.password"]
    assert "hush" not in str(caught.value)


def test_values_belong_to_the_reader() -> None:
    """Whoever changes a document does not change the configuration in force."""
    config = from_values({"hardware": {"can": {"options": {"fd": True}}}, "web_server": {"cors_origins": ["http://a"]}})
    values = values_of(config)
    values["hardware"]["can"]["options"]["fd"] = False
    values["web_server"]["cors_origins"].clear()

    assert config.hardware.can.options == {"fd": True}
    assert config.web_server.cors_origins == ["http://a"]


def test_public_values_have_no_secret() -> None:
    """Only whether there is one, so that a page can say it."""
    config = replace(Configuration(), mqtt=Mqtt(password=Secret("hush hush")))

    assert public_values(config)["mqtt"]["password"] == MASK
    assert public_values(config)["web_server"]["password"] == ""
    assert values_of(config)["mqtt"]["password"] == "hush hush"


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, -0.05, 2, 3.4, 8, 50, 95.0, 1000, 10**30, math.nan, -math.inf, "", "auto", "x\n", [], {}]
)


def documents(section: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    """Make documents with some keys, known and unknown, whose values are good, nearly good, or anything."""
    keys: dict[str, st.SearchStrategy[Any]] = {"unknown": JUNK}
    for name, key in keys_of(section).items():
        good = values_for(key).map(lambda value: value.value if isinstance(value, Secret) else value)
        if key.section is not None:
            good = documents(key.section)
        elif key.entries is not None:
            names = st.sampled_from(["a", "A", "b", "a b", "_a", "[key]", "", "x" * 17, "candidates", "uart"])
            good = st.dictionaries(names, documents(key.entries.section) | JUNK, max_size=18)
        keys[name] = good | JUNK
    return st.fixed_dictionaries({}, optional=keys)


@given(documents(Configuration))
@settings(max_examples=200, deadline=None)
def test_values_are_judged_as_by_the_checker(document: dict[str, Any]) -> None:
    """The core, which has no checker, takes and refuses the same values at each key."""
    checked, problems = validation._by_key(document)
    try:
        read, wrong = from_values(document), set[str]()
    except ConfigError as error:
        read, wrong = None, {problem.path for problem in error.problems}

    assert wrong == {".".join(path) for path in problems}
    assert repr(read) == repr(checked)
