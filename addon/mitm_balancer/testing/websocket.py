"""WebSocket upgrades: a scripted refusal, or 101 and an echo, or Responses frames when the client asks for them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage

from mitm_balancer.providers.model import Dialect
from mitm_balancer.testing.answer import Answer
from mitm_balancer.testing.ask import Ask
from mitm_balancer.testing.ledger import Record, now
from mitm_balancer.testing.plan import Cut, Data, Head, Wait, plan
from mitm_balancer.testing.step import CutHow, Step, Trouble
from mitm_balancer.testing.voices import openai_errors
from mitm_balancer.testing.voices.base import dump
from mitm_balancer.testing.wire import ClientGoneError, Wire

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""
_READ = 65536


def is_upgrade(record: Record) -> bool:
    return (record.header(b"upgrade") or "").lower() == "websocket"


async def serve(wire: Wire, record: Record, step: Step, ask: Ask) -> bool:
    """Refuse, or talk until one side closes. True: the connection may be used again."""
    if step.fault is not None or step.cut is not None or step.raw or step.status is not None:
        return await Answer(wire, record).play(plan(step, ask))
    record.accepted_generation = False  # an open socket costs nothing; asking for a response does
    if step.silence:
        await wire.presence.pause(step.silence)
    await wire.write(_switch(record, step))
    record.status, record.head_at = 101, now()
    socket = Connection(ConnectionType.SERVER)
    try:
        await _talk(wire, socket, record, step, ask)
    except ClientGoneError:
        record.client_gone, record.gone_at = True, wire.presence.left_at
    return False


def _switch(record: Record, step: Step) -> bytes:
    key = (record.header(b"sec-websocket-key") or "").encode()
    token = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest()).decode()
    own = "".join(f"{name}: {value}\r\n" for name, value in step.headers)
    head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    return f"{head}sec-websocket-accept: {token}\r\n{own}\r\n".encode("latin-1")


async def _talk(wire: Wire, socket: Connection, record: Record, step: Step, ask: Ask) -> None:
    parts: list[str] = []  # a large frame of Codex arrives in pieces
    while True:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = await wire.reader.read(_READ)
        if not data:
            raise ClientGoneError
        socket.receive_data(data)
        for event in socket.events():
            match event:
                case Ping():
                    await wire.write(socket.send(event.response()))
                case CloseConnection():
                    await wire.write(socket.send(event.response()))
                    record.finished = True
                    return
                case TextMessage():
                    parts.append(event.data)
                    if not event.message_finished:
                        continue
                    record.messages.append("".join(parts))
                    parts.clear()
                    if not await _reply(wire, socket, record, step, ask):
                        return


async def _reply(wire: Wire, socket: Connection, record: Record, step: Step, ask: Ask) -> bool:
    """Answer the latest text frame; False: the step ended the connection."""
    asked = _responses_ask(record.messages[-1], ask)
    if asked is None:
        await _send(wire, socket, record, f"{ask.label}: {record.messages[-1]}")
        return True
    record.accepted_generation |= step.bills
    for action in plan(step, asked):
        match action:
            case Wait(seconds):
                await wire.presence.pause(seconds)
            case Data(data):
                for text in _texts(data, step, asked):
                    await _send(wire, socket, record, text)
            case Cut(CutHow.RST):
                await wire.reset()
                return False
            case Cut():
                return False
            case Head():
                pass
    return True


def _responses_ask(text: str, ask: Ask) -> Ask | None:
    """The frame as a streamed request, if it is Codex's `response.create` (wire-facts 3.1)."""
    try:
        frame: Any = json.loads(text)
    except ValueError:
        return None
    if not isinstance(frame, dict) or frame.get("type") != "response.create":
        return None
    model = str(frame.get("model") or ask.model)
    return replace(ask, dialect=Dialect.OPENAI_RESPONSES, stream=True, model=model)


def _texts(data: bytes, step: Step, ask: Ask) -> Iterator[str]:
    """A socket's frames are the JSON of the stream's `data:` lines; its errors have a shape of their own."""
    for line in data.splitlines():
        if not line.startswith(b"data: "):
            continue
        text = line.removeprefix(b"data: ").decode()
        if step.trouble is Trouble.ERROR and step.trouble_fault and '"response.failed"' in text[:40]:
            error = openai_errors.error(ask, step.trouble_fault)
            details = openai_errors.details(ask, step.trouble_fault)
            frame = {"type": "error", "status": error.status, "error": details, "headers": dict(error.headers)}
            text = dump(frame).decode()
        yield text


async def _send(wire: Wire, socket: Connection, record: Record, text: str) -> None:
    await wire.write(socket.send(TextMessage(data=text)))
    record.bytes_sent += len(text)
