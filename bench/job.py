"""What the runner asks of the load client, and what it gets back: one JSON object each way."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Load:
    """The work of one turn."""

    requests: int
    concurrency: int = 1
    keep: bool = True
    """Keep connections; otherwise a new one for every request, whose making counts as part of the request."""
    warmup: int = 3
    """Unmeasured requests per worker before the clock starts."""
    body: int = 4096
    """Bytes of the request."""
    answer: int = 600
    """Bytes of a JSON answer."""
    events: int = 0
    """Events of a streamed answer; 0: a JSON answer."""
    gap_ms: float = 0.0
    refuse: str = ""
    """`half`: every other request is refused (429) at its first attempt; `always`: all are, at every attempt."""


@dataclass(frozen=True, slots=True)
class Job:
    """A turn: the work, and the way to the origin."""

    load: Load
    port: int
    """Where to connect to: the proxy, or the origin itself."""
    server_name: str
    """Whom TLS must find."""
    ca: str
    tunnel: str = ""
    """`host:port` for CONNECT; empty: no proxy."""
    key: str = "sk-ant-api03-client"
    watch: int = 0
    """Process whose CPU time is read at the begin and the end of the measured part."""


@dataclass(slots=True)
class Result:
    """What one turn measured."""

    seconds: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    """Per request, from its start to the last byte of its answer."""
    attempts: list[int] = field(default_factory=list)
    """Per request, what the `x-balancer` header says; 0: no such header."""
    statuses: dict[str, int] = field(default_factory=dict)
    events: int = 0
    delays_ms: list[float] = field(default_factory=list)
    """Per paced event, from the origin's write to the client's read."""
    cpu_seconds: float = 0.0
