"""TLS: certificate files of the user, or a certificate made here with the ``openssl`` program. Every call blocks."""

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

from tinybms_bridge.errors import ConfigError, ConfigProblem
from tinybms_bridge.services.web.options import WebOptions
from tinybms_bridge.words import Message, message

__all__ = ["CERTIFICATE_FILE", "KEY_FILE", "ensure_self_signed", "tls_context"]

CERTIFICATE_FILE = "web-certificate.pem"
KEY_FILE = "web-key.pem"

_LIFE_DAYS = 820
"""Some systems refuse a certificate that is valid for more than 825 days."""
_RENEW_BEFORE_S = 30 * 24 * 3600
_OPENSSL_TIMEOUT_S = 60.0


def tls_context(options: WebOptions) -> ssl.SSLContext | None:
    """Return the context for HTTPS, or None for plain HTTP. Raises ConfigError with the key to mend."""
    if options.certificate or options.key:
        if not (options.certificate and options.key):
            missing = "tls_key" if options.certificate else "tls_certificate"
            raise _problem(missing, None, message("web.certificate_and_key"))
        return _load(Path(options.certificate), Path(options.key))
    if not options.self_signed:
        return None
    return _load(*ensure_self_signed(options.certificate_directory or Path.cwd()))


def ensure_self_signed(directory: Path) -> tuple[Path, Path]:
    """Return the paths of our own certificate and key; makes them when missing or about to expire."""
    program = shutil.which("openssl")
    if program is None:
        raise _problem("tls_self_signed", True, message("web.no_openssl"))
    certificate, key = directory / CERTIFICATE_FILE, directory / KEY_FILE
    if not (key.exists() and _is_good(program, certificate)):
        _make(program, certificate, key)
    return certificate, key


def _is_good(program: str, certificate: Path) -> bool:
    if not certificate.exists():
        return False
    check = [program, "x509", "-in", str(certificate), "-noout", "-checkend", str(_RENEW_BEFORE_S)]
    return _run(check).returncode == 0


def _make(program: str, certificate: Path, key: Path) -> None:
    host = socket.gethostname().split(".")[0][:60] or "tinybms-bridge"
    try:
        certificate.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=certificate.parent, prefix=".web-") as folder:  # mode 0700
            new_certificate, new_key = Path(folder) / "certificate", Path(folder) / "key"
            made = _run(_request(program, host, new_key, new_certificate))
            if made.returncode:
                reason = made.stderr.decode(errors="replace").strip()[-200:]
                raise _problem("tls_self_signed", True, message("web.openssl_failed", reason=reason))
            os.chmod(new_key, 0o600)
            new_key.replace(key)
            new_certificate.replace(certificate)
    except OSError as error:
        raise _problem("tls_self_signed", True, message("web.certificate_not_kept", reason=error)) from error


def _request(program: str, host: str, key: Path, certificate: Path) -> list[str]:
    names = f"DNS:{host},DNS:{host}.local,DNS:localhost,IP:127.0.0.1"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"]
    content = ["-days", str(_LIFE_DAYS), "-subj", f"/CN={host}", "-addext", f"subjectAltName={names}"]
    return [program, "req", "-x509", *kind, *content, "-keyout", str(key), "-out", str(certificate)]


def _run(arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(arguments, capture_output=True, check=False, timeout=_OPENSSL_TIMEOUT_S)  # noqa: S603 - no shell, our own arguments
    except subprocess.TimeoutExpired as error:
        raise _problem("tls_self_signed", True, message("web.openssl_hangs", seconds=_OPENSSL_TIMEOUT_S)) from error


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        if not os.access(path, os.R_OK):
            raise _problem(name, str(path), message("file.not_readable"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        told = message("web.no_pair", reason=error)
        raise _problem("tls_certificate", str(certificate), told) from error
    return context


def _no_password() -> str:
    """Keep OpenSSL from asking on the terminal."""
    raise ValueError("the key is protected by a password")


def _problem(key: str, value: object, told: Message) -> ConfigError:
    return ConfigError([ConfigProblem(f"web_server.{key}", value, told)])
