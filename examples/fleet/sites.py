"""One credential per site: made, exchanged without a gap, withdrawn; and the accounts of the nodes that follow from it.

A site may publish below its own topics and read there, nothing else. Its user is ``SITE.NUMBER``: for an exchange the
next number is added, the bridge gets it, and the one before is withdrawn. The nodes hold hashes only; a password is
shown once, when it is made. They read the new file on a signal, without a restart, and end the connections of whoever
is gone.
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .messages import ROOT, SITE
from .stream import CONSUMER, STREAM

__all__ = ["Sites", "accounts", "hashed", "load", "main", "parser", "save"]

REGISTER, ACCOUNTS = "sites.json", "accounts.conf"
OWN_USERS = ("admin", CONSUMER)
"""Users of the account that are no sites: who makes the stream, and the consumer."""
MONITOR = "monitor"
"""The user of the system account, for ``nats`` and other tools."""
PASSWORD_BYTES = 24
HASH_ROUNDS = 4
"""bcrypt's least. A password of 192 random bits cannot be guessed, and a slow hash would only make a thousand bridges
that come back at once wait for each other: 1 ms each, where the usual 10 rounds take 60 ms."""
AT_ONCE = 2
"""Credentials of a site that are good at the same time."""


@dataclass(slots=True)
class Sites:
    """Hashes of passwords, by site and number of the credential, and of the users that are no sites."""

    sites: dict[str, dict[int, str]] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)

    def add(self, site: str, hash_of: Callable[[str], str] | None = None) -> tuple[str, str]:
        """Give a site a credential; return user and password.

        Raises:
            ValueError: The name is none, or it has two already.
        """
        if not SITE.fullmatch(site) or site in (*OWN_USERS, MONITOR):
            raise ValueError(f"{site!r} is no name of a site: 1 to 32 of a-z, 0-9 and - in between, no {OWN_USERS[0]}")
        present = self.sites.setdefault(site, {})
        if len(present) >= AT_ONCE:
            raise ValueError(f"{site} has {len(present)} credentials; withdraw {min(present)} first")
        number = max(present, default=0) + 1
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        present[number] = (hash_of or hashed)(password)
        return f"{site}.{number}", password

    def withdraw(self, site: str, number: int | None = None) -> int:
        """Take a credential from a site, the older one unless a number is given; return its number.

        Raises:
            ValueError: There is none.
        """
        present = self.sites.get(site, {})
        chosen = min(present, default=0) if number is None else number
        if chosen not in present:
            raise ValueError(f"{site} has no credential {chosen}" if present else f"there is no site {site!r}")
        del present[chosen]
        return chosen

    def remove(self, site: str) -> None:
        """Take a site off the register; what it has published stays.

        Raises:
            ValueError: There is none.
        """
        if self.sites.pop(site, None) is None:
            raise ValueError(f"there is no site {site!r}")

    def user(self, name: str, hash_of: Callable[[str], str] | None = None) -> str:
        """Give a user that is no site a new password; return it."""
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        self.users[name] = (hash_of or hashed)(password)
        return password


def hashed(password: str) -> str:
    """Return the hash of a password as NATS takes it."""
    import bcrypt

    return str(bcrypt.hashpw(password.encode(), bcrypt.gensalt(HASH_ROUNDS, prefix=b"2a")).decode())


def load(path: Path) -> Sites:
    """Return the register, empty where there is no file.

    Raises:
        ValueError: It is damaged.
        OSError: It cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Sites()
    try:
        sites = {
            str(site): {int(n): str(word) for n, word in known.items()} for site, known in content["sites"].items()
        }
        return Sites(sites, {str(name): str(word) for name, word in content["users"].items()})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no register of sites: {error!r}") from None


def save(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone to read."""
    partial = path.with_name(f"{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def as_json(sites: Sites) -> str:
    """Return the register as it is kept."""
    return json.dumps({"users": sites.users, "sites": sites.sites}, indent=1) + "\n"


def permissions(name: str) -> Mapping[str, Sequence[str]]:
    """Return what a user may publish and subscribe to."""
    if name in OWN_USERS[:1]:
        return {"publish": [">"], "subscribe": [">"]}
    if name == CONSUMER:
        asked = (f"CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}", f"STREAM.INFO.{STREAM}")
        acknowledged = f"$JS.ACK.{STREAM}.{CONSUMER}.>"
        return {
            "publish": [*(f"$JS.API.{subject}" for subject in asked), acknowledged],
            "subscribe": [f"_INBOX_{CONSUMER}.>"],
        }
    site = name.partition(".")[0]
    return {"publish": [f"{ROOT}.{site}.>"], "subscribe": [f"{ROOT}.{site}.>"]}


def accounts(sites: Sites) -> str:
    """Return the accounts of the nodes: one for the fleet with JetStream, and the system's."""
    users = dict(sorted(sites.users.items()))
    monitor = users.pop(MONITOR, None)
    users |= {f"{site}.{number}": word for site, known in sorted(sites.sites.items()) for number, word in known.items()}
    lines = [
        "# Made by `python -m fleet.sites`; the register beside it is what to change.",
        "accounts {",
        "  FLEET {",
        "    jetstream: enabled",
        "    users: [",
        *(f"      {_user(name, word)}" for name, word in users.items()),
        "    ]",
        "  }",
        "  SYS {",
        "    users: [",
        *([f'      {{ user: "{MONITOR}", password: "{monitor}" }}'] if monitor else []),
        "    ]",
        "  }",
        "}",
        "system_account: SYS",
    ]
    return "\n".join(lines) + "\n"


def _user(name: str, word: str) -> str:
    allowed = permissions(name)
    parts = [f"{what}: {{ allow: {json.dumps([*subjects])} }}" for what, subjects in allowed.items()]
    return f'{{ user: "{name}", password: "{word}", permissions: {{ {", ".join(parts)} }} }}'


def _carried_out(options: argparse.Namespace, sites: Sites) -> list[str]:
    """Do what was asked for; return what to say."""
    if options.command == "init":
        missing = [name for name in (*OWN_USERS, MONITOR) if name not in sites.users]
        return [f"{name} {sites.user(name)}" for name in missing] or ["nothing to do: all users are there"]
    if options.command == "user":
        return [f"{options.name} {sites.user(options.name)}"]
    if options.command == "list":
        return [f"{site} {' '.join(map(str, known)) or '-'}" for site, known in sorted(sites.sites.items())]
    if options.command == "remove":
        sites.remove(options.site)
        return [f"{options.site} removed"]
    if options.command == "withdraw":
        return [f"{options.site}.{sites.withdraw(options.site, options.number)} withdrawn"]
    return [" ".join(sites.add(site)) for site in options.site]


def parser() -> argparse.ArgumentParser:
    """Return the commands and their options."""
    made = argparse.ArgumentParser(prog="python -m fleet.sites", description="One credential per site.")
    made.add_argument("--folder", type=Path, default=Path(), help="where sites.json and accounts.conf are (here)")
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("init", help="make the users admin, fleet and monitor; prints their passwords once")
    add = commands.add_parser("add", help="give sites a credential, or a second one; prints user and password once")
    add.add_argument("site", nargs="+")
    withdraw = commands.add_parser("withdraw", help="take a credential from a site, the older one")
    withdraw.add_argument("site")
    withdraw.add_argument("--number", type=int, help="this one instead")
    remove = commands.add_parser("remove", help="take a site off the register, with its credentials")
    remove.add_argument("site")
    user = commands.add_parser("user", help="give one of admin, fleet and monitor a new password")
    user.add_argument("name", choices=(*OWN_USERS, MONITOR))
    commands.add_parser("list", help="sites with the numbers of their credentials")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Change the register and write the accounts; return 1 where that cannot be done."""
    options = parser().parse_args(arguments)
    register: Path = options.folder / REGISTER
    try:
        sites = load(register)
        said = _carried_out(options, sites)
        if options.command != "list":
            save(register, as_json(sites))
            save(options.folder / ACCOUNTS, accounts(sites))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
