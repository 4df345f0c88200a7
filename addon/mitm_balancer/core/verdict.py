"""The verdict: what the end of one attempt means for the account and for the request (DESIGN section 5).

An `Outcome` is made by the provider tables from a response, or by the attempt itself from a transport failure, and is
all that the dispatcher, the health state and the trace ever see of it. Times are seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """How an attempt ended. The first member is the good end; the others are DESIGN section 5's classes."""

    SUCCESS = "Success"
    RATE_LIMITED = "RateLimited"
    QUOTA_EXHAUSTED = "QuotaExhausted"
    AUTH_FAILURE = "AuthFailure"
    PERMISSION_FAILURE = "PermissionFailure"
    POLICY_FAILURE = "PolicyFailure"
    REGION_RESTRICTION = "RegionRestriction"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    TRANSIENT_SERVER_FAILURE = "TransientServerFailure"
    TRANSPORT_FAILURE = "TransportFailure"
    INTERRUPTED_EXECUTION = "InterruptedExecution"
    REQUEST_FAULT = "RequestFault"


class Scope(enum.StrEnum):
    """Whom the outcome concerns beyond this one request."""

    REQUEST = "request"
    ACCOUNT = "account"
    MODEL = "model"
    """This account, for this model only."""
    PROVIDER = "provider"


class Sent(enum.StrEnum):
    """How much of the request had left when an attempt failed without an answer (P5)."""

    NOTHING = "nothing"
    """No byte was written, or the peer refused the stream: safe to re-issue."""
    PARTIAL = "partial"
    """The body was not complete: no provider bills an unfinished request, safe to re-issue."""
    ALL = "all"
    """Ambiguous: the provider may have worked, and may bill."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to."""

    verdict: Verdict
    reason: str = ""
    """A short machine word, the provider's own code where there is one (`rate_limit_error`, `connect`, ...)."""
    scope: Scope = Scope.REQUEST
    wait: float | None = None
    """Pushback in seconds from now, already clamped and corrected by the response's `Date`; None: nothing was said."""
    redispatch: bool = False
    """Another account may cure it."""
    capacity: bool = False
    """The provider has no capacity: counts for scope learning, never benches an account (DESIGN section 5)."""
    sent: Sent = Sent.ALL
    """Only meaningful without a response."""
    message: str = ""
    """The provider's own text, cut to 300 characters and free of secrets; for people, never for decisions."""
    status: int | None = None

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.SUCCESS

    @property
    def definite_refusal(self) -> bool:
        """The provider said no before it worked: nothing was billed, so walking the pool is free of any budget (P2)."""
        return self.verdict in _DEFINITE and not self.capacity

    @property
    def server_failure(self) -> bool:
        """The provider's servers, its network or ours: another attempt is paid from the budget (P2)."""
        return self.capacity or self.verdict in _FAULTS

    @property
    def unreached(self) -> bool:
        """Nothing had left: whether the provider, the way to it or our own network is at fault cannot be told."""
        return self.verdict is Verdict.TRANSPORT_FAILURE and self.sent is Sent.NOTHING

    @property
    def ambiguous(self) -> bool:
        """The whole request left and nothing came back: a second try may be billed twice (P5)."""
        return self.verdict is Verdict.TRANSPORT_FAILURE and self.sent is Sent.ALL


_DEFINITE = frozenset(
    {
        Verdict.RATE_LIMITED,
        Verdict.QUOTA_EXHAUSTED,
        Verdict.AUTH_FAILURE,
        Verdict.PERMISSION_FAILURE,
        Verdict.REGION_RESTRICTION,
        Verdict.MODEL_UNAVAILABLE,
    }
)

_FAULTS = frozenset({Verdict.TRANSIENT_SERVER_FAILURE, Verdict.TRANSPORT_FAILURE, Verdict.INTERRUPTED_EXECUTION})

SUCCESS = Outcome(Verdict.SUCCESS)
