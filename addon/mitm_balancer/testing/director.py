"""The director: which account a request belongs to, and which step of the script it gets."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from mitm_balancer.testing import steps
from mitm_balancer.testing.ask import Ask, AskKind, HeaderList, read_ask
from mitm_balancer.testing.ledger import Ledger, Record, now
from mitm_balancer.testing.step import Step

type Handler = Step | Callable[[Record], Step]

# Every place a dialect reads a credential from (wire-facts X1).
_HEADER_CARRIERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_QUERY_CARRIER = "key"


class Director:
    """Labels, script, routes and ledger of one fake provider; knows no sockets."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = dict(labels)
        """Credential -> label of its account. May be changed while running."""
        self.ledger = Ledger()
        self._queues: defaultdict[tuple[str, AskKind], deque[Step]] = defaultdict(deque)
        self._defaults: dict[tuple[str, AskKind], Step] = {}
        self._routes: dict[tuple[str, str], Handler] = {}
        self._numbers = 0

    def play(self, label: str, *script: Step, then: Step | None = None, kind: AskKind = AskKind.GENERATE) -> None:
        """Queue these steps for the account's requests of that kind; `then` is for all that come after them."""
        self._queues[label, kind].extend(script)
        if then is not None:
            self._defaults[label, kind] = then

    def route(self, method: str, path: str, handler: Handler) -> None:
        """Answer this exact path (without its query) before any credential is looked at, e.g. a token endpoint."""
        self._routes[method, path] = handler

    def left(self, label: str, kind: AskKind = AskKind.GENERATE) -> int:
        """Queued steps that nobody has asked for yet."""
        return len(self._queues[label, kind])

    def open(
        self, method: str, target: str, headers: HeaderList, *, connection_id: int, http_version: str, raw_head: bytes
    ) -> Record:
        """A new record in the ledger, as soon as a request's head is there."""
        self._numbers += 1
        record = Record(
            at=now(),
            number=self._numbers,
            connection_id=connection_id,
            http_version=http_version,
            method=method,
            target=target,
            headers=headers,
            raw_head=raw_head,
        )
        found = dict(_credentials(target, headers))
        record.carriers = tuple(found)
        record.label = next((self.labels[value] for value in found.values() if value in self.labels), None)
        self.ledger.records.append(record)
        return record

    def decide(self, record: Record) -> tuple[Step, Ask]:
        """The step for a request whose body is complete."""
        record.read_at = now()
        label = record.label
        ask = read_ask(
            record.method,
            record.target,
            record.headers,
            record.body,
            label=label or "unknown",
            number=record.number,
            now=time.time(),
        )
        step = self._step(record, ask)
        record.step = step.name
        record.accepted_generation = step.bills and ask.kind is AskKind.GENERATE
        return step, ask

    def _step(self, record: Record, ask: Ask) -> Step:
        handler = self._routes.get((record.method, record.target.partition("?")[0]))
        if handler is not None:
            return handler if isinstance(handler, Step) else handler(record)
        if record.label is None:
            return steps.unauthorized()
        key = (record.label, ask.kind)
        return self._queues[key].popleft() if self._queues[key] else self._defaults.get(key, Step())


def _credentials(target: str, headers: HeaderList) -> list[tuple[str, str]]:
    """(carrier, credential) for every place that has one, in the order of the carriers above."""
    found = []
    for carrier in _HEADER_CARRIERS:
        for name, value in headers:
            if name.lower() == carrier.encode() and value:
                text = value.decode("latin-1")
                found.append((carrier, text[7:] if text.lower().startswith("bearer ") else text))
    query = parse_qs(target.partition("?")[2])
    return found + [("?key", value) for value in query.get(_QUERY_CARRIER, [])]
