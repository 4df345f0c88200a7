"""The ledger: what the fake provider saw and did, one record per request. It proves P5, cancellation and reuse."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mitm_balancer.testing.ask import HeaderList

TEST_ID = b"x-test-id"
"""Test clients name their requests with it: one id, one client request."""


@dataclass(slots=True)
class Record:
    """One request. Times are `time.monotonic()` seconds, comparable within this machine. Filled in as it goes."""

    at: float
    """When the request head had arrived."""
    number: int
    connection_id: int
    """Counts accepted connections from 1: equal ids mean reuse."""
    http_version: str
    method: str
    target: str
    headers: HeaderList = field(repr=False)
    raw_head: bytes = field(default=b"", repr=False)
    """Exactly the bytes up to and including the empty line; empty for HTTP/2."""
    body: bytes = field(default=b"", repr=False)
    """Transfer coding removed, content coding kept."""
    raw_body: bytes = field(default=b"", repr=False)
    """As on the wire, with chunk sizes; empty for HTTP/2."""
    label: str | None = None
    """The account whose credential came; None: nobody's."""
    carriers: tuple[str, ...] = ()
    """Every place a credential stood in: more than one is a leak of the client's own."""
    step: str = ""
    status: int | None = None
    accepted_generation: bool = False
    """The provider worked on it, and charges."""
    read_at: float | None = None
    """When the body was complete."""
    head_at: float | None = None
    """When the response head was written."""
    bytes_sent: int = 0
    """Of the response body, transfer coding not counted."""
    client_gone: bool = False
    """The peer closed the connection (or reset the stream) before the answer was over."""
    gone_at: float | None = None
    finished: bool = False
    """The answer was sent to its proper end."""
    ended_at: float | None = None
    messages: list[str] = field(default_factory=list, repr=False)
    """WebSocket text frames that came in."""

    @property
    def test_id(self) -> str:
        return self.header(TEST_ID) or ""

    def header(self, name: bytes) -> str | None:
        """The first value of that header (any casing), or None."""
        return next((v.decode("latin-1") for n, v in self.headers if n.lower() == name.lower()), None)


class Ledger:
    """The records in order of arrival; behaves as a read-only list."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.connections = 0
        """Accepted so far, also those that never asked anything."""

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, index: int) -> Record:
        return self.records[index]

    def of(self, label: str | None) -> list[Record]:
        """The requests that came with this account's credential."""
        return [record for record in self.records if record.label == label]

    def accepted(self) -> Counter[str]:
        """Accepted generations per client request id."""
        return Counter(record.test_id for record in self.records if record.accepted_generation)

    def clear(self) -> None:
        """Forget the requests, keep counting connections."""
        self.records.clear()


def now() -> float:
    return time.monotonic()
