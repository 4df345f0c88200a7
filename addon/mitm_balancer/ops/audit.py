"""The audit log: one JSON object per line, rendered by structlog (docs/audit.md). Used by one thread."""

from __future__ import annotations

import datetime
import json
import logging
import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec
import structlog

from mitm_balancer.ops.events import COMMON, MEANINGS, Event
from mitm_balancer.ops.logfile import Sink

logger = logging.getLogger(__name__)

COMPLAIN_EVERY = 60.0

OTHER = "data"
"""Where fields stand that the schema does not know."""

_encode = msgspec.json.Encoder(enc_hook=str).encode
"""What JSON does not have becomes its text, so a Secret is `Secret(***)`."""

_IN_EVERY_LINE = ("request_id", "account", "provider", "model")

_FIELDS: Mapping[str, frozenset[str]] = {kind.value: frozenset(m.fields) for kind, m in MEANINGS.items()}


class AuditLog:
    """Lines gather until `flush`, which writes them in one piece."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lines: list[bytes] = []
        self._complained = -COMPLAIN_EVERY
        self.lost = 0
        """Lines that could not be written."""
        self.problem: str | None = None
        """Why not; None: the last ones were written."""
        # The renderer alone: a bound logger around it would cost as much again, for each line.
        self._render = structlog.processors.JSONRenderer(serializer=_serialize)
        self._second, self._stamp = -1, ""

    def add(self, event: Event) -> None:
        """One line."""
        self.put(event.type, event.at, fields(event))

    def put(self, kind: str, at: float, line: Mapping[str, Any]) -> None:
        """One line whose fields are those of the schema."""
        rendered = self._render(None, "", {"ts": self._at(at), "event": kind, **line})
        self._lines.append(cast(bytes, rendered))  # what the serializer gives

    def flush(self) -> None:
        """Write what has gathered. Trouble is said once a minute, and the lines are lost."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._sink.write(b"\n".join(lines) + b"\n")
        except (OSError, ValueError) as error:  # ValueError: standard output was closed
            self.lost += len(lines)
            self.problem = f"the audit log cannot be written: {error}"
            self._complain()
        else:
            self.problem = None

    def close(self) -> None:
        self.flush()
        self._sink.close()

    def _at(self, at: float) -> str:
        """As `stamp`, which is most of a line's cost: once for each second."""
        second = int(at)
        if second != self._second:
            self._second, self._stamp = second, stamp(second)[:-4]
        return f"{self._stamp}{int((at - second) * 1000):03}Z"

    def _complain(self) -> None:
        if time.monotonic() - self._complained >= COMPLAIN_EVERY:
            self._complained = time.monotonic()
            logger.warning("mitm-balancer: %s (%d lines lost)", self.problem, self.lost)


def fields(event: Event) -> dict[str, object]:
    """The fields of an event's line but for its type and time. Empty ones are left out, unknown ones stand apart."""
    data = event.data
    provider = data.get("provider") or event.account.partition("/")[0]
    account = event.account if "/" in event.account else ""
    common = (data.get("request_id"), account, provider, data.get("model"))
    line: dict[str, object] = {name: value for name, value in zip(_IN_EVERY_LINE, common, strict=True) if value}
    if event.message:
        line["message"] = event.message
    known, other = _FIELDS.get(event.type, frozenset()), {}
    for name, value in data.items():
        if name in known:
            if value is not None:
                line[name] = value
        elif name not in COMMON:
            other[name] = value
    if other:
        line[OTHER] = other
    return line


def stamp(at: float) -> str:
    """`2026-01-31T09:05:07.123Z`."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _serialize(line: Mapping[str, Any], **_: object) -> bytes:
    try:
        return _encode(line)
    except (TypeError, ValueError, RecursionError):  # a lone surrogate in a provider's text, an odd key, ...
        return json.dumps(line, default=str, skipkeys=True).encode()
