"""What the table tests of the providers share: a row is an answer and what it must come to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.providers.classify import classify
from mitm_balancer.providers.registry import BUILTIN, Registry

NOW = 1_790_000_000.0
"""2026-09-21T13:33:20Z"""
DATE = "Mon, 21 Sep 2026 14:13:20 GMT"
REGISTRY = Registry(BUILTIN)

# Short names for the tables.
LIMITED, QUOTA, AUTH = Verdict.RATE_LIMITED, Verdict.QUOTA_EXHAUSTED, Verdict.AUTH_FAILURE
DENIED, POLICY, REGION = Verdict.PERMISSION_FAILURE, Verdict.POLICY_FAILURE, Verdict.REGION_RESTRICTION
MODEL, TRANSIENT, FAULT = Verdict.MODEL_UNAVAILABLE, Verdict.TRANSIENT_SERVER_FAILURE, Verdict.REQUEST_FAULT
ACCOUNT, ONE_MODEL, REQUEST, PROVIDER = Scope.ACCOUNT, Scope.MODEL, Scope.REQUEST, Scope.PROVIDER


@dataclass(frozen=True)
class Row:
    """An answer of a provider, and what it must come to; None: not asked."""

    id: str
    status: int
    body: Any
    verdict: Verdict
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float | None = None
    no_wait: bool = False
    scope: Scope | None = None
    redispatch: bool | None = None
    capacity: bool = False
    reason: str | None = None


def outcome(provider: str, row: Row, now: float = NOW) -> Outcome:
    known = REGISTRY.get(provider)
    assert known is not None
    headers = tuple((name.encode(), value.encode()) for name, value in row.headers.items())
    return classify(known, row.status, headers, raw(row.body), now=now, model="m-1")


def raw(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def check(provider: str, row: Row) -> None:
    found = outcome(provider, row)
    assert found.verdict is row.verdict, found
    assert found.status == row.status
    assert found.capacity is row.capacity, found
    assert found.reason
    if row.wait is not None:
        assert found.wait is not None and abs(found.wait - row.wait) < 0.01, found
    if row.no_wait:
        assert found.wait is None, found
    if row.scope is not None:
        assert found.scope is row.scope, found
    if row.redispatch is not None:
        assert found.redispatch is row.redispatch, found
    if row.reason is not None:
        assert found.reason == row.reason, found
