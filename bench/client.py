"""The load client, in a process of its own: reads a `Job` on stdin, writes a `Result` on stdout.

Raw asyncio on uvloop with a C parser, so that it stays well below what it measures.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
import uuid
from dataclasses import asdict
from typing import cast

import httptools
import uvloop

from bench import proc, wire
from bench.job import Job, Load, Result

LIMIT = 120.0
"""Seconds for one exchange; more is a hang."""
STAMP = re.compile(re.escape(wire.STAMP) + rb"(\d+)")
ATTEMPTS = re.compile(rb"attempts=(\d+)")


class Answer:
    """The answer that is being read."""

    def __init__(self) -> None:
        self.attempts = 0
        self.status = 0
        self.events = 0
        self.delays_ns: list[int] = []
        self.tail = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def body(self, data: bytes, now: int) -> None:
        """Count the whole events in `data`, and read their stamps."""
        data = self.tail + data
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            self.tail = data
            return
        self.tail = data[end:]
        self.events += data.count(b"\n\n", 0, end)
        if wire.STAMP in data:
            self.delays_ns += [now - int(sent) for sent in STAMP.findall(data, 0, end)]


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection, one exchange at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.streams = False
        self.received_ns = 0

    async def exchange(self, payload: bytes) -> Answer:
        self.parser = httptools.HttpResponseParser(self)
        self.answer = answer = Answer()
        self.transport.write(payload)
        async with asyncio.timeout(LIMIT):
            await answer.done
        return answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received_ns = time.monotonic_ns()
        self.parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done.done():
            self.answer.done.set_exception(ConnectionError(f"closed inside an exchange: {exc}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self.answer is not None
        if name.lower() == b"x-balancer" and (match := ATTEMPTS.search(value)):
            self.answer.attempts = int(match[1])
        elif name.lower() == b"content-type":
            self.streams = value.startswith(b"text/event-stream")

    def on_body(self, data: bytes) -> None:
        if self.streams:
            assert self.answer is not None
            self.answer.body(data, self.received_ns)

    def on_message_complete(self) -> None:
        assert self.answer is not None
        self.answer.status = self.parser.get_status_code()
        self.answer.done.set_result(None)


class Tunnel(asyncio.Protocol):
    """The plain part of a proxied connection: until CONNECT is answered."""

    def __init__(self) -> None:
        self.head = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.head += data
        if b"\r\n\r\n" in self.head and not self.ready.done():
            if self.head.split(b" ", 2)[1] == b"200":
                self.ready.set_result(None)
            else:
                self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"CONNECT failed: {self.head[:200]!r}"))


class Client:
    """Runs one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.tls = ssl.create_default_context(cafile=job.ca)
        self.body = wire.request_body(job.load.body, stream=bool(job.load.events))
        self.run_id = uuid.uuid4().hex
        self.result = Result()
        self.left = 0
        self.sent = 0

    async def run(self) -> Result:
        """Warm every worker's connection, then measure all of them at once."""
        load = self.job.load
        connections = [await self.connect() for _ in range(load.concurrency)]
        await asyncio.gather(*(self.warm(c) for c in connections))
        self.left = load.requests
        cpu = proc.cpu_seconds(self.job.watch) if self.job.watch else 0.0
        begin = time.perf_counter()
        await asyncio.gather(*(self.work(c) for c in connections))
        self.result.seconds = time.perf_counter() - begin
        self.result.cpu_seconds = proc.cpu_seconds(self.job.watch) - cpu if self.job.watch else 0.0
        for connection in connections:
            connection.transport.close()
        return self.result

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        job = self.job
        if not job.tunnel:
            _, direct = await loop.create_connection(
                Connection, "127.0.0.1", job.port, ssl=self.tls, server_hostname=job.server_name
            )
            return direct
        plain, tunnel = await loop.create_connection(Tunnel, "127.0.0.1", job.port)
        plain.write(f"CONNECT {job.tunnel} HTTP/1.1\r\nHost: {job.tunnel}\r\n\r\n".encode())
        await tunnel.ready
        connection = Connection()
        transport = await loop.start_tls(plain, connection, self.tls, server_hostname=job.server_name)
        assert transport is not None
        connection.transport = transport
        return connection

    async def warm(self, connection: Connection) -> None:
        """JSON exchanges, also where streams are measured: they warm the same connections."""
        payload = self.payload(wire.Ask())
        for _ in range(self.job.load.warmup):
            await connection.exchange(payload)

    async def work(self, connection: Connection) -> None:
        while self.left > 0:
            self.left -= 1
            payload = self.payload(self.ask())
            begin = time.perf_counter()
            if not self.job.load.keep:
                connection.transport.close()
                connection = await self.connect()
            answer = await connection.exchange(payload)
            self.record(answer, time.perf_counter() - begin)
        if not self.job.load.keep:
            connection.transport.close()

    def ask(self) -> wire.Ask:
        load = self.job.load
        self.sent += 1
        refuse = load.refuse
        if refuse == "half":
            refuse = f"{self.run_id}-{self.sent}" if self.sent % 2 else ""
        return wire.Ask(load.events, load.gap_ms, load.answer, refuse)

    def payload(self, ask: wire.Ask) -> bytes:
        return wire.request_head(len(self.body), self.job.key, ask) + self.body

    def record(self, answer: Answer, seconds: float) -> None:
        result = self.result
        result.latency_ms.append(seconds * 1000)
        result.attempts.append(answer.attempts)
        status = str(answer.status)
        result.statuses[status] = result.statuses.get(status, 0) + 1
        result.events += answer.events
        result.delays_ms += [ns / 1e6 for ns in answer.delays_ns]


def main() -> None:
    raw = json.load(sys.stdin)
    job = Job(**{**raw, "load": Load(**raw["load"])})
    json.dump(asdict(uvloop.run(Client(job).run())), sys.stdout)


if __name__ == "__main__":
    main()
