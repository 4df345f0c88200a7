"""An HTTP/2 client of the same shape as `rawclient`: many streams on one connection, directly or through a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes

from e2e.rawclient import RawClient

type Pairs = Sequence[tuple[str, str]]


@dataclass(slots=True)
class H2Answer:
    """One stream. Times are `time.monotonic()` seconds."""

    stream_id: int
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    informational: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    complete: bool = False
    error: str = ""
    """`reset <code>`, `goaway` or `eof` when the stream did not end properly."""
    head_at: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        return self.complete or bool(self.error)

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.chunks)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)


class H2Client:
    """One connection; `request` may run many times at once."""

    def __init__(self, raw: RawClient) -> None:
        self._raw = raw
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self._answers: dict[int, H2Answer] = {}
        self._room = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, host: str, port: int, *, proxy: tuple[str, int] | None = None, context: ssl.SSLContext) -> Self:
        """Connect; `context` is changed to offer h2 alone, and it fails when the peer does not take it."""
        context.set_alpn_protocols(["h2"])
        raw = await RawClient.open(host, port, proxy=proxy, context=context)
        if raw.writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            await raw.close()
            raise ConnectionError("the peer does not speak HTTP/2")
        client = cls(raw)
        client._h2.initiate_connection()
        await client._flush()
        client._reading = asyncio.get_running_loop().create_task(client._read(), name="h2-client")
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._raw.close()

    async def start(self, method: str, target: str, headers: Pairs = (), body: bytes = b"") -> H2Answer:
        """Send a request; the answer fills itself."""
        stream_id = self._h2.get_next_available_stream_id()
        answer = self._answers[stream_id] = H2Answer(stream_id)
        pseudo = [(":method", method), (":scheme", "https"), (":authority", self._raw.host), (":path", target)]
        self._h2.send_headers(stream_id, [*pseudo, *headers], end_stream=not body)
        await self._flush()
        while body:
            room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            part, body = body[:room], body[room:]
            self._h2.send_data(stream_id, part, end_stream=not body)
            await self._flush()
        return answer

    async def request(self, method: str, target: str, headers: Pairs = (), body: bytes = b"") -> H2Answer:
        """Send, and wait until the stream is over."""
        answer = await self.start(method, target, headers, body)
        async for _ in self.pieces(answer):
            pass
        return answer

    async def pieces(self, answer: H2Answer) -> AsyncIterator[bytes]:
        """The DATA frames as they come."""
        seen = 0
        while True:
            while seen < len(answer.chunks):
                seen += 1
                yield answer.chunks[seen - 1][1]
            if answer.over:
                return
            answer.changed.clear()
            await answer.changed.wait()

    async def cancel(self, answer: H2Answer) -> None:
        """RST_STREAM: the client has lost interest in this stream alone."""
        self._h2.reset_stream(answer.stream_id, ErrorCodes.CANCEL)
        await self._flush()

    def abort(self) -> None:
        """RST of the whole connection."""
        self._raw.abort()

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self._raw.reader.read(65536):
                for event in self._h2.receive_data(data):
                    self._handle(event)
                await self._flush()
        self._end_all("eof")

    def _handle(self, event: h2.events.Event) -> None:
        answer = self._answers.get(getattr(event, "stream_id", 0) or 0)
        match event:
            case h2.events.InformationalResponseReceived() if answer:
                answer.informational.append(list(event.headers or []))
            case h2.events.ResponseReceived() if answer:
                fields = list(event.headers or [])
                answer.status = int(dict(fields)[b":status"])
                answer.headers = [pair for pair in fields if not pair[0].startswith(b":")]
                answer.head_at = time.monotonic()
            case h2.events.DataReceived() if answer:
                answer.chunks.append((time.monotonic(), event.data or b""))
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, answer.stream_id)
            case h2.events.TrailersReceived() if answer:
                answer.trailers = list(event.headers or [])
            case h2.events.StreamEnded() if answer:
                answer.complete = True
            case h2.events.StreamReset() if answer:
                answer.error = f"reset {event.error_code}"
            case h2.events.ConnectionTerminated():
                self._end_all("goaway")
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._room.set()
        if answer:
            answer.changed.set()

    def _end_all(self, error: str) -> None:
        for answer in self._answers.values():
            if not answer.over:
                answer.error = error
                answer.changed.set()

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            await self._raw.send(data)
