"""Takes secrets and names of users out of texts that leave the machine, such as a support bundle.

What is known is taken out wherever it stands: every secret of the configuration, every user. What is not known is found
by its form: logins in addresses, bearer tokens, words such as ``password`` with what follows them.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.models.base import MASK, Section

__all__ = ["Redaction", "secrets_of", "user_names_of"]

_SHORT = 4
"""A shorter secret is taken out where it stands as a word: within words it would take most of a text along."""

_WORDS = r"pass(?:word|wd|phrase)?|pwd|secret|token|psk|api[_-]?key|private[_-]?key|cookie|csrf|session[_-]?(?:id|key)"
_FORMS = (
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), MASK),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[\w+/=.~-]{4,}"), rf"\1 {MASK}"),
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@:]*(?::[^\s/@]*)?@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)\b(set-cookie|cookie|authorization|x-csrf-token)(['\"]?\s*[:=]\s*)[^\r\n]+"), rf"\1\2{MASK}"),
    (re.compile(rf"(?i)\b([\w-]*(?:{_WORDS}))(['\"]?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&}}\])]+)"), rf"\1\2{MASK}"),
    (re.compile(r"(?s)-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*PRIVATE KEY-----|\Z)"), MASK),
)
_SECRET_NAME = re.compile(rf"(?i)(?:{_WORDS})$")


class Redaction:
    """Takes out what it was told, and what looks like a secret.

    Args:
        secrets: Replaced by ``MASK``, also as they are written in addresses, in JSON and in base64.
        names: Of users; replaced by ``user-1`` and so on, so that two of them stay two.

    """

    def __init__(self, secrets: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        replaced = {form: MASK for secret in secrets if secret for form in _forms_of(secret)}
        for number, name in enumerate(sorted(set(filter(None, names))), 1):
            replaced.setdefault(name, f"user-{number}")
        self._replaced = {key.lower(): value for key, value in replaced.items()}
        patterns = [_pattern(key, whole=value != MASK or len(key) < _SHORT) for key, value in _longest_first(replaced)]
        self._known = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def text(self, text: str) -> str:
        """Return a text without secrets and names."""
        if self._known is not None:
            text = self._known.sub(lambda match: self._replaced[match[0].lower()], text)
        for form, put in _FORMS:
            text = form.sub(put, text)
        return text

    def value(self, value: Any, name: str = "") -> Any:  # noqa: ANN401 -- any JSON value
        """Return a JSON value without secrets and names; keys stay, and what a key calls a secret is masked whole."""
        if isinstance(value, str):
            return MASK if value and _SECRET_NAME.search(name) else self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(each, str(key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each, name) for each in value]
        return value


def _forms_of(secret: str) -> Iterable[str]:
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    if len(secret) >= _SHORT:
        yield base64.b64encode(secret.encode()).decode()
        yield secret.encode().hex()


def _longest_first(replaced: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(replaced.items(), key=lambda item: len(item[0]), reverse=True)


def _pattern(text: str, *, whole: bool) -> str:
    return rf"(?<!\w){re.escape(text)}(?!\w)" if whole else re.escape(text)


def secrets_of(section: Section) -> list[str]:
    """Return every secret that a configuration holds."""
    found = []
    for name, key in keys_of(type(section)).items():
        value = getattr(section, name)
        if key.section is not None:
            found += secrets_of(value)
        elif key.entries is not None:
            found += [secret for each in value.values() for secret in secrets_of(each)]
        elif key.is_secret and value.value:
            found.append(value.value)
    return found


def user_names_of(configuration: Configuration) -> list[str]:
    """Return the user names and mail addresses that a configuration holds; that of its default is nobody's."""
    default, email = Configuration(), configuration.notifications.email
    named = (
        *(configuration.mqtt.username, configuration.web_server.username),
        *(email.username, email.sender, *email.recipients),
    )
    return [name for name in named if name not in ("", default.mqtt.username, default.web_server.username)]
