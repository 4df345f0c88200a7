"""The commit gate: how far a 200 must be read before its first byte may go to the client (DESIGN section 4.6, P4).

    HOLD --feed--> COMMIT        output came, or the byte bound was reached, or the coding cannot be read
         --feed--> FAILED        an error event came first: `error` holds its payload for `classify_event`
         --eof---> ENDED_EMPTY   the stream ended, or was cut, before it said anything

The caller keeps the bytes: it feeds a copy, and passes on what it held when the state is COMMIT. The time bound is the
caller's too. A state other than HOLD is final.
"""

from __future__ import annotations

import enum
import json

from mitm_balancer.core.decoding import Decoder
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.meaning import Meaning, meaning
from mitm_balancer.core.sse import Event, splitter

MAX_HELD = 64 * 1024
"""Bytes held back at most (DESIGN section 4.6), as they came from the wire."""


class GateState(enum.Enum):
    """See the module's diagram."""

    HOLD = enum.auto()
    COMMIT = enum.auto()
    FAILED = enum.auto()
    ENDED_EMPTY = enum.auto()


class Gate:
    """One response's gate. `content_type` and `content_encoding` are the header values as they came."""

    __slots__ = ("_decoder", "_dialect", "_limit", "_splitter", "_state", "error", "held", "malformed")

    def __init__(
        self, dialect: Dialect, *, content_type: str = "", content_encoding: str = "", limit: int = MAX_HELD
    ) -> None:
        self._dialect = dialect
        self._splitter = splitter(content_type)
        self._decoder = Decoder(content_encoding)
        self._limit = limit
        self._state = GateState.HOLD
        self.held = 0
        """Bytes fed while holding."""
        self.error = b""
        """FAILED: the data of the error event."""
        self.malformed = False
        """FAILED: it was no error of the provider's but an event that cannot be read: the provider is at work (P5)."""

    def __repr__(self) -> str:
        return f"<Gate {self._dialect} {self._state.name} {self.held} bytes>"

    @property
    def state(self) -> GateState:
        return self._state

    def feed(self, chunk: bytes) -> GateState:
        """The state after these bytes."""
        if self._state is not GateState.HOLD:
            return self._state
        self.held += len(chunk)
        self._look(self._splitter.feed(self._decoder.feed(chunk)))
        if self._state is GateState.HOLD and (self._decoder.blind or self.held >= self._limit):
            self._state = GateState.COMMIT
        return self._state

    def eof(self) -> GateState:
        """The state once the body has ended, cleanly or not."""
        if self._state is GateState.HOLD:
            self._look(self._splitter.eof())
        if self._state is GateState.HOLD:
            self._state = GateState.ENDED_EMPTY
        return self._state

    def _look(self, events: list[Event]) -> None:
        for event in events:
            match meaning(self._dialect, event):
                case Meaning.OUTPUT:
                    self._state = GateState.COMMIT
                    return
                case Meaning.ERROR:
                    self._state, self.error = GateState.FAILED, event.data
                    self.malformed = event.name != "error" and not _readable(event.data)
                    return


def _readable(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
