"""What a simulated provider does with one attempt: the truth, which the core only sees the outside of."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mitm_balancer.core.verdict import Sent
from mitm_balancer.providers.limits import Window
from mitm_balancer.upstream.base import RawHeaders


class Kind(enum.Enum):
    """Whose business the end of an attempt is, in truth."""

    OK = enum.auto()
    RATE = enum.auto()
    """A short limit of the account (or of the account and model)."""
    QUOTA = enum.auto()
    AUTH = enum.auto()
    FORBIDDEN = enum.auto()
    """The account may not work at all."""
    NO_MODEL = enum.auto()
    SERVER = enum.auto()
    CAPACITY = enum.auto()
    TRANSPORT = enum.auto()
    REQUEST = enum.auto()
    """The request's own fault: every account would say so."""


DEFINITE = frozenset({Kind.RATE, Kind.QUOTA, Kind.AUTH, Kind.FORBIDDEN, Kind.NO_MODEL})
SERVER_SIDE = frozenset({Kind.SERVER, Kind.CAPACITY, Kind.TRANSPORT})


@dataclass(frozen=True, slots=True)
class Plan:
    """Times are seconds. A refusal is a status, a transport failure a `stage`, a success neither."""

    kind: Kind
    head: float
    """From the start of the attempt to the head, or to the failure."""
    status: int = 200
    headers: RawHeaders = ()
    body: bytes = b""
    told: float | None = None
    """The wait that the answer states."""
    model: str = ""
    """Whom the refusal concerns: "" the account, else only this model of it."""
    stage: str = ""
    sent: Sent = Sent.ALL
    first: float = 0.0
    """From the head to the first meaningful event."""
    length: float = 0.0
    """From the head to the end."""
    cut: float | None = None
    """From the head to a cut of the stream."""
    event: bytes = b""
    """An error event instead of the first meaningful one."""
    windows: tuple[Window, ...] = ()
    """What a success says about the account's quota."""
    fresh: int = 0
    """Tokens of the prompt that no cache held."""
    lost: int = 0
    """Of these, those that lie warm at another account."""
    worked: bool = False
    """The provider worked on it, so it may bill."""
