"""The catalogue in English, of what the web server refuses."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WEB_SENTENCES"]

_REQUESTS = {
    "request.failed": "the request failed; the log says why",
    "request.invalid": "the request is not valid",
    "request.nothing_there": "there is nothing at {path}",
    "request.impossible": "{method} is not possible at {path}",
    "request.no_body": "the request needs a JSON body (Content-Type: application/json)",
    "request.no_json": "the body has to be JSON (Content-Type: application/json)",
    "request.not_json": "the body is not valid JSON",
    "request.not_utf8": "the body cannot be read as JSON in UTF-8",
    "request.large_head": "the head of the request is larger than {most} bytes",
    "request.large_body": "the body is larger than {most} bytes",
    "request.slow_body": "the body did not arrive within {seconds} s",
    "request.two_lengths": "Transfer-Encoding and Content-Length in one request: where its body ends cannot be told",
    "request.too_many_large": "too many large answers are asked for at once; try again in {seconds} s",
    "request.no_alarm": "no active alarm has this name",
    "request.no_pack": "there is no pack called '{name}'[; did you mean {meant:,}?]",
    "request.log_not_removed": "a log file cannot be removed: {reason}",
    "request.bms_not_read": "the settings of the BMS have not been read yet",
    "request.what_to_write": "give key and value, address and value, or values",
    "request.not_all_written": "not every setting was written ({failed:,})",
    "request.several_settings": "register {register} holds several: {names:,}",
    "request.times": "ISO 8601 (UTC unless it says otherwise), seconds since 1970, `now`, or relative such as `-24h`, `-7d`.",
    "request.no_time": "must be a time: {times}",
    "request.odd_time": "must be a time from 1970 to 2200",
    "request.begins_late": "must be before the end, {end} ({time})",
    "request.day_after_end": "must not be after the end, {end}",
    "request.days": "{days} days are too many: at most {most}",
    "request.step": "must be from 10 s to 366 d, for example 60, 15m or 1h",
    "request.steps": "{steps} steps are too many: at most {most} as {form}",
    "request.values": "{steps} steps of {series} series are too many values: at most {most}; ask for fewer, or for csv",
    "request.points": "must be at most {most} as {form}",
    "request.unknown_field": "there is no such field; there are {fields:,}[; did you mean {meant:,}?]",
    "inhibit.not_saved": "{direction:@direction} is stopped, but that could not be saved and would be lost by a restart: {reason}",
    "inhibit.release_not_saved": "{direction:@direction} is released, but that could not be saved and a restart would bring the stop back: {reason}",
}

_ACCOUNTS = {
    "account.login_required": "this needs a login",
    "account.admin_required": "this needs an administrator",
    "account.other_site": "a page of another site may not do this",
    "account.csrf_token": "the header X-CSRF-Token of the session is missing or wrong",
    "account.wrong_login": "the user name or the password is wrong",
    "account.too_many_tries": "too many tries; wait {seconds} s",
    "account.busy": "too many logins at once; try again in a moment",
    "account.setup_required": 'there is no administrator yet: "tinybms-bridge users" makes one, or the setup token that it prints',
    "account.setup_done": "there is an administrator already",
    "account.log_in": "there is an administrator already: log in",
    "account.wrong_setup_token": 'the setup token is wrong; "tinybms-bridge users setup-token" prints the present one',
    "account.name_rule": "a user name is 1 to 32 letters, digits, dots, hyphens or underscores and begins with a letter or digit",
    "account.password_rule": "a password is {shortest} to {longest} characters, not the user name and not one character repeated",
    "account.label_rule": "a label is 1 to {longest} printable characters",
    "account.user_exists": 'there is already a user "{name}"',
    "account.unknown_user": 'there is no user "{name}"',
    "account.too_many_users": "there are already {most} users",
    "account.last_admin": "the last administrator has to stay; make another one first",
    "account.invalid_token": "the token is not valid",
    "account.token_revoked": "the token has been revoked",
    "account.token_expired": "the token has expired on {day}",
    "account.token_days": "a token lives 1 to {most} days, not {days}",
    "account.unknown_token": "there is no such token",
    "account.no_such_token": '"{name}" has no token {token}',
    "account.too_many_tokens": "there are already {most} tokens; revoke one first",
    "account.token_password": "a token cannot change a password: log in for that",
    "account.token_new_user": "a token cannot make a user: log in for that",
    "account.token_user": "a token cannot change a user: log in for that",
    "account.token_token": "a token cannot make another token: log in for that",
}

_SERVER = {
    "web.port_in_use": "port {port} is in use by another program",
    "web.choose_port": "choose another one as web_server.port",
    "web.port_forbidden": "port {port} is not permitted",
    "web.choose_high_port": "choose one above 1023 as web_server.port, or give the service the right CAP_NET_BIND_SERVICE",
    "web.no_address": "this machine does not have the address {address}",
    "web.correct_address": "correct web_server.listen_address, or leave it empty",
    "web.port_closed": "port {port} cannot be opened: {reason}",
    "web.see_port": "see web_server.port",
    "web.certificate_and_key": "must be given, because the other one of certificate and key is given",
    "web.no_openssl": "needs the program openssl; install it, or give web_server.tls_certificate and tls_key",
    "web.openssl_failed": "openssl failed: {reason}",
    "web.openssl_hangs": "openssl did not end within {seconds} s",
    "web.certificate_not_kept": "the certificate cannot be kept: {reason}",
    "web.no_pair": "certificate and key cannot be used together: {reason}",
}

WEB_SENTENCES: Mapping[str, str] = MappingProxyType(_REQUESTS | _ACCOUNTS | _SERVER)
"""The sentence of each code."""
