"""Playing a plan as an HTTP/1.1 response, byte by byte."""

from __future__ import annotations

import http
from collections.abc import Iterator
from dataclasses import dataclass

from mitm_balancer.testing.ledger import Record, now
from mitm_balancer.testing.plan import Action, Cut, Data, End, Head, Headers, Inform, Raw, Wait
from mitm_balancer.testing.step import Closing, CutHow, Framing
from mitm_balancer.testing.wire import Wire


@dataclass(slots=True)
class Answer:
    """Plays actions on the wire and keeps the record."""

    wire: Wire
    record: Record
    framing: Framing = Framing.LENGTH
    closing: Closing = Closing.KEEP

    async def play(self, actions: Iterator[Action]) -> bool:
        """True: the connection may be used again."""
        for action in actions:
            match action:
                case Wait(seconds):
                    await self.wire.presence.pause(seconds)
                case Inform(status, headers):
                    await self.wire.write(_head_bytes(status, headers))
                case Head():
                    await self._head(action)
                case Data(data):
                    await self._data(data)
                case Raw(data):
                    await self.wire.write(data)
                    self.record.bytes_sent += len(data)
                case End(trailers):
                    return await self._end(trailers)
                case Cut(CutHow.RST):
                    await self.wire.reset()
                    return False
                case Cut():
                    return False
        return False

    async def _head(self, head: Head) -> None:
        self.framing, self.closing = head.framing, head.closing
        headers = head.headers
        match head.framing:
            case Framing.CHUNKED:
                headers += (("transfer-encoding", "chunked"),)
            case Framing.LENGTH:
                headers += (("content-length", str(head.length)),)
        if head.closing is Closing.ANNOUNCED or head.framing is Framing.EOF:
            headers += (("connection", "close"),)
        await self.wire.write(_head_bytes(head.status, headers))
        self.record.status, self.record.head_at = head.status, now()

    async def _data(self, data: bytes) -> None:
        if not data or self.record.method == "HEAD":
            return
        if self.framing is Framing.CHUNKED:
            await self.wire.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        else:
            await self.wire.write(data)
        self.record.bytes_sent += len(data)

    async def _end(self, trailers: Headers) -> bool:
        if self.framing is Framing.CHUNKED and self.record.method != "HEAD":
            await self.wire.write(b"0\r\n" + b"".join(_line(pair) for pair in trailers) + b"\r\n")
        self.record.finished = True
        if self.closing is not Closing.KEEP or self.framing is Framing.EOF:
            return False
        return (self.record.header(b"connection") or "").lower() != "close"


def _head_bytes(status: int, headers: Headers) -> bytes:
    try:
        reason = http.HTTPStatus(status).phrase
    except ValueError:
        reason = "Overloaded" if status == 529 else "Unknown"
    return f"HTTP/1.1 {status} {reason}\r\n".encode() + b"".join(_line(pair) for pair in headers) + b"\r\n"


def _line(pair: tuple[str, str]) -> bytes:
    return f"{pair[0]}: {pair[1]}\r\n".encode("latin-1")
