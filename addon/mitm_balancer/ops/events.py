"""Everything that is told of: the one place that names event types and their fields (docs/audit.md shows the same).

Two kinds. *Decisions* are the steps of one request; there are several per request, and they go to the audit log only.
*Changes* are rare: they go to the store as well, where `balancer events` reads them, and some of them make a notice.
An event never holds a secret, a header or a body.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class EventType(enum.StrEnum):
    """The names, as they stand in the audit log and in the store."""

    # Decisions.
    REQUEST_STARTED = "request_started"
    ATTEMPT = "attempt"
    VERDICT = "verdict"
    REDISPATCH = "redispatch"
    COMMIT = "commit"
    COMPLETED = "completed"
    # opencode-balancer's eight.
    PENDING_CONNECTION_CAPTURED = "pending_connection_captured"
    ACCOUNT_SAVED = "account_saved"
    ACCOUNT_ACTIVATED = "account_activated"
    ACCOUNT_REMOVED = "account_removed"
    USAGE_REFRESHED = "usage_refreshed"
    USAGE_UNAVAILABLE = "usage_unavailable"
    RATE_LIMIT_DETECTED = "rate_limit_detected"
    FAILOVER_PERFORMED = "failover_performed"
    # Accounts.
    ACCOUNT_RENAMED = "account_renamed"
    TOKEN_REFRESHED = "token_refreshed"  # noqa: S105 - a name
    REAUTH_REQUIRED = "reauth_required"
    # What becomes of them while they serve.
    COOLDOWN_STARTED = "cooldown_started"
    COOLDOWN_ENDED = "cooldown_ended"
    BREAKER_OPENED = "breaker_opened"
    BREAKER_CLOSED = "breaker_closed"
    EXHAUSTED = "exhausted"
    # The operator's hand.
    OPERATOR_PAUSED = "operator_paused"
    OPERATOR_DRAINED = "operator_drained"
    OPERATOR_DISABLED = "operator_disabled"
    OPERATOR_RESUMED = "operator_resumed"
    OPERATOR_CLEARED = "operator_cleared"
    OPERATOR_SWITCHED = "operator_switched"
    OPERATOR_ORDERED = "operator_ordered"
    OPERATOR_PINNED = "operator_pinned"
    CAPTURE_STARTED = "capture_started"
    CAPTURE_ENDED = "capture_ended"
    # The proxy itself.
    PROXY_STARTED = "proxy_started"
    PROXY_STOPPED = "proxy_stopped"
    CONFIG_RELOADED = "config_reloaded"
    CONFIG_REJECTED = "config_rejected"
    STORE_TROUBLE = "store_trouble"
    STORE_RECOVERED = "store_recovered"
    AUDIT_DROPPED = "audit_dropped"
    NOTICE_FAILED = "notice_failed"


DECISIONS = frozenset(
    {
        EventType.REQUEST_STARTED,
        EventType.ATTEMPT,
        EventType.VERDICT,
        EventType.REDISPATCH,
        EventType.COMMIT,
        EventType.COMPLETED,
    }
)
"""Those that only the audit log has: too many for the store."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened. `at` is wall-clock seconds."""

    type: str
    """An `EventType`; what is stored by another version may have a name that this one does not know."""
    at: float
    account: str = ""
    """provider/alias, a provider's name, or empty."""
    message: str = ""
    """One sentence for people."""
    data: Mapping[str, object] = field(default_factory=dict)
    """Among it `request_id`, `provider` and `model` where there is one, and the fields of the type."""


COMMON = {
    "ts": "when, ISO 8601 in UTC with milliseconds",
    "event": "its type",
    "request_id": "the request, as in the header `x-balancer`; where there is one",
    "account": "provider/alias",
    "provider": "the provider",
    "model": "the model that the client asked for",
    "message": "one sentence for people",
}
"""Fields of every line; an empty one is left out."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a type says, and the fields that its lines may have besides the common ones."""

    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


_COOLDOWN = {
    "verdict": "what the provider's answer was taken for",
    "reason": "the provider's own code for it",
    "wait_s": "seconds until it may serve again",
}

MEANINGS: Mapping[EventType, Meaning] = {
    EventType.REQUEST_STARTED: Meaning(
        "a request that is balanced has come in whole",
        {
            "request": "method, host and path, without the query",
            "kind": "`inference`, or `bound` to the account that made what it speaks of",
            "stream": "whether the answer is to be streamed",
            "session": "a fingerprint of the conversation; tells sessions apart and nothing else",
            "bytes_in": "size of its body",
        },
    ),
    EventType.ATTEMPT: Meaning(
        "it is sent to an account",
        {"attempt": "its number, from 1", "because": "why this account"},
    ),
    EventType.VERDICT: Meaning(
        "how the attempt ended, up to the commit point",
        {
            "attempt": "its number",
            "status": "HTTP status; missing: no answer came",
            "verdict": "Success, RateLimited, QuotaExhausted, ...",
            "reason": "the provider's own code, or where it failed",
            "wait_s": "when to come back, as the provider said",
            "billed": "`yes`, `no` or `maybe`",
            "connect_s": "making the connection; missing: one was reused",
            "head_s": "from its start to the head of the answer",
            "first_event_s": "from the head to the first meaningful event",
            "seconds": "from its start to the verdict",
        },
    ),
    EventType.REDISPATCH: Meaning(
        "another account gets it, or the same one again",
        {"attempt": "the number of the attempt to come", "previous": "the account that failed", "because": "why"},
    ),
    EventType.COMMIT: Meaning(
        "the first byte of this answer goes to the client: no further attempt",
        {
            "answered_by": "`account`, `balancer` (an error of our own) or `client` (its own credential)",
            "status": "what the client gets",
            "attempts": "how many there were",
            "seconds": "since the request came",
        },
    ),
    EventType.COMPLETED: Meaning(
        "the request is over",
        {
            "answered_by": "as at `commit`; missing: nobody",
            "status": "what the client got; missing: nothing",
            "ended": "`complete`, `cancelled by the client`, `broken: ...`, `internal error`",
            "attempts": "how many there were",
            "seconds": "from the request to the last byte",
            "queued_s": "waiting for a free slot",
            "held_s": "waiting for an account to come back, or between two attempts",
            "bytes_in": "size of the request's body",
            "bytes_out": "size of the answer's body",
            "tokens": "input, output, cache_read, cache_write, reasoning, where the answer told them",
            "stopped": "why there was no further attempt, when none succeeded",
            "switch": "a session has moved: from, to, why, and cold_tokens that were cached and had to be read anew",
            "resumed": "an answer that broke was gone on with: account, way, and after how many characters",
            "note": "what else there is to say",
        },
    ),
    EventType.PENDING_CONNECTION_CAPTURED: Meaning(
        "an agent's own login was seen, and can be accepted as an account", {"id": "for `balancer accounts accept`"}
    ),
    EventType.ACCOUNT_SAVED: Meaning(
        "an account was stored, or its credential renewed by hand",
        {"source": "`add`, `login`, `capture`, `import:<agent>`"},
    ),
    EventType.ACCOUNT_ACTIVATED: Meaning("an account was put first by hand"),
    EventType.ACCOUNT_REMOVED: Meaning("an account was removed"),
    EventType.ACCOUNT_RENAMED: Meaning("an account has another alias"),
    EventType.USAGE_REFRESHED: Meaning("an account's quota was read, and has changed"),
    EventType.USAGE_UNAVAILABLE: Meaning("an account's quota could not be read"),
    EventType.RATE_LIMIT_DETECTED: Meaning("the provider says that an account is at a limit", _COOLDOWN),
    EventType.FAILOVER_PERFORMED: Meaning(
        "an account that served is out, and another one serves in its place; told once, not for each request",
        {
            "previous": "the account that was left",
            "reason": "why",
            "wait_s": "seconds until it is back",
            "across": "whether it went to another provider",
        },
    ),
    EventType.TOKEN_REFRESHED: Meaning("an access token was renewed"),
    EventType.REAUTH_REQUIRED: Meaning(
        "an account needs a new login or key; nothing else brings it back",
        {"reason": "what the provider says", "cure": "what to do"},
    ),
    EventType.COOLDOWN_STARTED: Meaning("an account gets no work for a while", _COOLDOWN),
    EventType.COOLDOWN_ENDED: Meaning("it may serve again", {"reason": "of the cooldown"}),
    EventType.BREAKER_OPENED: Meaning("too many faults: an account gets no work", {"wait_s": "seconds until a probe"}),
    EventType.BREAKER_CLOSED: Meaning("its probes succeeded: it works again"),
    EventType.EXHAUSTED: Meaning(
        "no account of a provider can serve; told once, until one serves again",
        {"wait_s": "seconds until the first one is back"},
    ),
    EventType.OPERATOR_PAUSED: Meaning("no new work for an account or a provider"),
    EventType.OPERATOR_DRAINED: Meaning("it finishes what runs, then nothing more"),
    EventType.OPERATOR_DISABLED: Meaning("it is switched off"),
    EventType.OPERATOR_RESUMED: Meaning("such a state was ended"),
    EventType.OPERATOR_CLEARED: Meaning("its cooldowns and its breaker were forgotten"),
    EventType.OPERATOR_SWITCHED: Meaning("balancing was switched on or off"),
    EventType.OPERATOR_ORDERED: Meaning("the order of accounts or providers, or the strategy, was changed"),
    EventType.OPERATOR_PINNED: Meaning("a pin was set or removed"),
    EventType.CAPTURE_STARTED: Meaning("for some minutes, credentials that agents send are captured"),
    EventType.CAPTURE_ENDED: Meaning("that is over, by itself or by a command"),
    EventType.PROXY_STARTED: Meaning("the proxy serves", {"version": "of mitm-balancer", "pid": "of the process"}),
    EventType.PROXY_STOPPED: Meaning("the proxy ends in good order", {"pid": "of the process"}),
    EventType.CONFIG_RELOADED: Meaning("a changed configuration is in force", {"accounts": "how many it declares"}),
    EventType.CONFIG_REJECTED: Meaning(
        "a changed configuration has mistakes; the one before stays", {"problem": "what is wrong, with file and line"}
    ),
    EventType.STORE_TROUBLE: Meaning("the database cannot be written; traffic goes on", {"problem": "what is wrong"}),
    EventType.STORE_RECOVERED: Meaning("the database works again"),
    EventType.AUDIT_DROPPED: Meaning("lines of this log were lost", {"dropped": "how many"}),
    EventType.NOTICE_FAILED: Meaning(
        "the command or webhook of `notices` failed; told once, until it works again", {"problem": "what is wrong"}
    ),
}
