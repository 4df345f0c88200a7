"""HTTP/2, when ALPN picked it: the same plans, one task per stream."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.errors import ErrorCodes

from mitm_balancer.testing.director import Director
from mitm_balancer.testing.ledger import Record, now
from mitm_balancer.testing.plan import Action, Cut, Data, End, Head, Headers, Inform, Raw, Wait, plan
from mitm_balancer.testing.step import CutHow
from mitm_balancer.testing.wire import ClientGoneError, Presence, Wire

_READ = 65536
_CONFIG = h2.config.H2Configuration(client_side=False, header_encoding=None)


@dataclass(slots=True)
class _Stream:
    record: Record
    body: bytearray = field(default_factory=bytearray)
    presence: Presence = field(default_factory=Presence)
    window: asyncio.Event = field(default_factory=asyncio.Event)


async def serve(wire: Wire, director: Director, connection_id: int) -> None:
    """Streams until either side ends the connection."""
    async with asyncio.TaskGroup() as group:
        connection = _Connection(wire, director, connection_id, group)
        with contextlib.suppress(ClientGoneError, ConnectionError):
            await connection.run()
        connection.leave()
    await wire.close()


class _Connection:
    def __init__(self, wire: Wire, director: Director, connection_id: int, group: asyncio.TaskGroup) -> None:
        self._wire, self._director, self._id, self._group = wire, director, connection_id, group
        self._h2 = h2.connection.H2Connection(_CONFIG)
        self._streams: dict[int, _Stream] = {}

    async def run(self) -> None:
        self._h2.initiate_connection()
        await self._flush()
        while data := await self._wire.reader.read(_READ):
            try:
                events = self._h2.receive_data(data)
            except h2.exceptions.ProtocolError:
                events = []
            for event in events:
                self._handle(event)
            await self._flush()

    def leave(self) -> None:
        for stream in self._streams.values():
            stream.presence.leave()

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._streams[_id(event)] = _Stream(self._open(event.headers or []))
            case h2.events.DataReceived():
                self._streams[_id(event)].body += event.data or b""
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, _id(event))
            case h2.events.StreamEnded():
                self._group.create_task(self._answer(_id(event)), name=f"fake-h2-stream-{_id(event)}")
            case h2.events.StreamReset():
                self._streams[_id(event)].presence.leave()
            case h2.events.WindowUpdated():
                for stream in self._streams.values():
                    stream.window.set()

    def _open(self, fields: list[tuple[bytes, bytes]]) -> Record:
        pseudo = {name: value.decode("latin-1") for name, value in fields if name.startswith(b":")}
        headers = tuple((name, value) for name, value in fields if not name.startswith(b":"))
        return self._director.open(
            pseudo[b":method"],
            pseudo[b":path"],
            headers,
            connection_id=self._id,
            http_version="HTTP/2",
            raw_head=b"",
        )

    async def _answer(self, stream_id: int) -> None:
        stream = self._streams[stream_id]
        stream.record.body = bytes(stream.body)
        step, ask = self._director.decide(stream.record)
        try:
            for action in plan(step, ask):
                await self._play(stream_id, stream, action)
        except (ClientGoneError, h2.exceptions.StreamClosedError):
            stream.record.client_gone, stream.record.gone_at = True, stream.presence.left_at
        finally:
            stream.record.ended_at = now()
            del self._streams[stream_id]

    async def _play(self, stream_id: int, stream: _Stream, action: Action) -> None:
        stream.presence.check()
        record = stream.record
        match action:
            case Wait(seconds):
                await stream.presence.pause(seconds)
            case Inform(status, headers):
                if status != 100:  # h2 has no 100-continue to speak of: clients never wait for it here
                    self._h2.send_headers(stream_id, _fields(status, headers))
            case Head():
                length = () if action.length is None else (("content-length", str(action.length)),)
                self._h2.send_headers(stream_id, _fields(action.status, action.headers + length))
                record.status, record.head_at = action.status, now()
            case Data(data):
                await self._data(stream_id, stream, data)
            case End(trailers):
                if trailers:
                    self._h2.send_headers(stream_id, list(trailers), end_stream=True)
                else:
                    self._h2.end_stream(stream_id)
                record.finished = True
            case Cut(CutHow.RST):
                self._h2.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
            case Cut():
                self._h2.close_connection()
                await self._flush()
                await self._wire.close()
                return
            case Raw():
                raise NotImplementedError("raw bytes are for HTTP/1.1")
        await self._flush()

    async def _data(self, stream_id: int, stream: _Stream, data: bytes) -> None:
        while data:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size, len(data))
            if room <= 0:
                stream.window.clear()
                await stream.window.wait()
                stream.presence.check()
                continue
            self._h2.send_data(stream_id, data[:room])
            stream.record.bytes_sent += room
            data = data[room:]
            await self._flush()

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            await self._wire.write(data)


def _id(event: h2.events.Event) -> int:
    return int(getattr(event, "stream_id", 0) or 0)


def _fields(status: int, headers: Headers) -> list[tuple[str, str]]:
    return [(":status", str(status)), *((name.lower(), value) for name, value in headers)]
