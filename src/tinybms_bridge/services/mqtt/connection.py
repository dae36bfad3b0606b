"""One connection to one broker: opened, and what it says of why it could not be or is no more."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from tinybms_bridge.config.models.mqtt import Mqtt
from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.words import Message, message

__all__ = ["Broker", "BrokerMessage", "brokers_of", "connected", "received", "tls_context", "together", "trouble_of"]

CONNECT_TIMEOUT_S = 10.0
"""A broker that accepts and does not answer is given up after this, as one that does not take a message."""
_CANCEL_AGAIN_S = 0.2
_LEAVE_S = 1.0
"""Nobody waits longer for the end of a connection: a broker that hangs would hold up a restart."""
_MOST_WAITING = 64
"""Commands that wait; more of them at once are no wish of a person, and are dropped."""
_QUIET = logging.getLogger("tinybms_bridge.services.mqtt.library")
_QUIET.setLevel(logging.CRITICAL)  # what it warns of is told by the service, once


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is."""

    host: str
    port: int
    encrypted: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.encrypted else 'mqtt'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class BrokerMessage:
    """A message of somebody else."""

    topic: str
    payload: bytes
    retained: bool


def brokers_of(config: Mqtt) -> tuple[Broker, ...]:
    """Return every broker of a configuration, in the order in which they are tried."""
    found = []
    for uri in (config.uri, *config.further_uris):
        parts = urlsplit(uri)
        encrypted = config.use_tls or parts.scheme == "mqtts"
        port = parts.port or (8883 if encrypted and config.port == Mqtt().port else config.port)
        found.append(Broker(parts.hostname or "", port, encrypted))
    return tuple(found)


def tls_context(config: Mqtt) -> ssl.SSLContext:
    """Return how brokers are recognised, and how the bridge shows who it is. Blocks. Raises LinkError."""
    try:
        context = ssl.create_default_context(cadata=config.server_certificate or None)
    except (ssl.SSLError, ValueError) as error:
        raise LinkError(message("mqtt.bad_authority", reason=_reason(error))) from error
    if config.client_certificate:
        text = f"{config.client_certificate}\n{config.client_key.value}\n"
        number = os.memfd_create("client", os.MFD_CLOEXEC)  # the library reads files only, and this one is on no disk
        try:
            os.write(number, text.encode())
            context.load_cert_chain(f"/proc/self/fd/{number}")
        except (ssl.SSLError, ValueError, OSError) as error:
            raise LinkError(message("mqtt.bad_client_certificate", reason=_reason(error))) from error
        finally:
            os.close(number)
    return context


@asynccontextmanager
async def connected(
    config: Mqtt, broker: Broker, will: tuple[str, bytes], context: ssl.SSLContext | None
) -> AsyncIterator[aiomqtt.Client]:
    """Be connected to a broker, which publishes ``will`` (topic and payload) when that ends without a word."""
    topic, payload = will
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=config.username or None,
        password=config.password.value or None,
        identifier=config.client_id,
        clean_session=config.clean_session,
        keepalive=config.keepalive_seconds,
        will=aiomqtt.Will(topic, payload, qos=1, retain=True),
        tls_context=context if broker.encrypted else None,
        timeout=CONNECT_TIMEOUT_S,
        max_queued_incoming_messages=_MOST_WAITING,
        max_inflight_messages=200,
        logger=_QUIET,
    )
    client.pending_calls_threshold = 10_000
    await _enter(client)
    try:
        yield client
    finally:
        await _leave(client)


async def _enter(client: aiomqtt.Client) -> None:
    """Connect. What fails, or is cancelled on the way, is closed: else it would go on to take our client id."""
    opening = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(aiomqtt.MqttError, OSError):
            await opening
            await _leave(client)
        raise
    except aiomqtt.MqttError:
        await _leave(client)
        raise


async def _leave(client: aiomqtt.Client) -> None:
    """Close a connection that may be only half there; the library would wait for a confirmation that cannot come."""
    with suppress(aiomqtt.MqttError, OSError, TimeoutError):
        async with asyncio.timeout(_LEAVE_S):
            await client.__aexit__(None, None, None)


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Run all of these until each has ended or one has failed, which ends the others and is raised.

    A task is cancelled until it has ended: ``asyncio.wait_for``, which the library uses, loses a cancellation when what
    it waits for comes at the same time, and a task group would wait for such a task for ever (Python before 3.12).
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        left = {task for task in tasks if not task.done()}
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def trouble_of(error: BaseException) -> Message:
    """Return why there is no connection to a broker, without anything that is secret."""
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in chain:
        chain.append(found)
        found = found.__cause__ or found.__context__
    for each in chain:
        told = _told(each)
        if told is not None:
            return told
    return message("mqtt.lost")


def _told(error: BaseException) -> Message | None:
    match error:
        case LinkError():
            return error.description
        case MqttConnectError(rc=code):
            return _refused(code)
        case ssl.SSLCertVerificationError():
            return message("mqtt.not_trusted", reason=error.verify_message)
        case ssl.SSLError():
            return message("mqtt.tls_failed", reason=_reason(error))
        case TimeoutError():
            return message("mqtt.no_answer", timeout_s=CONNECT_TIMEOUT_S)
        case socket.gaierror():
            return message("mqtt.no_name")
        case OSError():
            return message("mqtt.unreachable", reason=error_words(error))
        case aiomqtt.MqttError() if "timed out" in str(error):
            return message("mqtt.no_answer", timeout_s=CONNECT_TIMEOUT_S)
    return None


_REFUSALS: Mapping[object, str] = {
    **dict.fromkeys((4, 5, 134, 135), "login"),
    **dict.fromkeys((2, 133), "client_id"),
    **dict.fromkeys((3, 136), "busy"),
}
"""Codes of CONNACK in MQTT 3.1.1 (3.2.2.3) and, as the library turns them, in MQTT 5 (3.2.2.2)."""


def _refused(code: object) -> Message:
    number = getattr(code, "value", code)  # a ReasonCode of the library, or a plain number
    return message("mqtt.refused", why=_REFUSALS.get(number, "other"))


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(error)


async def received(client: aiomqtt.Client) -> AsyncIterator[BrokerMessage]:
    """Yield what comes, until the connection ends, for which it raises."""
    async for each in client.messages:
        yield BrokerMessage(str(each.topic), bytes(each.payload), bool(each.retain))
