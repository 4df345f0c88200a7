"""`rules:` of the configuration: the user's own rows, tried before a provider's error table."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mitm_balancer.config.accounts import known_provider
from mitm_balancer.config.checks import boolean, number, one_of, text, whole
from mitm_balancer.config.model import UserRule
from mitm_balancer.config.nodes import BadValueError, Table, Value
from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import ErrorRule, Provider

KEYS = ("provider", "status", "code", "text", "verdict", "scope", "wait_s", "redispatch")
CONDITIONS = ("status", "code", "text")

VERDICTS = tuple(
    verdict.value
    for verdict in Verdict
    # These three are no answers of a provider: nothing to recognise by a status or a text.
    if verdict not in (Verdict.SUCCESS, Verdict.TRANSPORT_FAILURE, Verdict.INTERRUPTED_EXECUTION)
)
SCOPES = (Scope.ACCOUNT.value, Scope.MODEL.value, Scope.REQUEST.value)

FAULTS_OF_THE_REQUEST = (Verdict.REQUEST_FAULT, Verdict.POLICY_FAILURE)
"""No other account cures these, and none is benched for them (P6)."""

LONGEST_WAIT = 31 * 24 * 3600.0
"""Seconds: quotas are monthly at most."""


def read_rules(value: Value, providers: Mapping[str, Provider]) -> tuple[UserRule, ...]:
    """Every sound row, in the order of the file: the first that fits decides."""
    return tuple(
        rule for entry in value.items() if (rule := entry.take(lambda entry: _rule(entry, providers))) is not None
    )


def _rule(value: Value, providers: Mapping[str, Provider]) -> UserRule | None:
    table = value.table(KEYS)
    provider = table.get("provider", lambda entry: known_provider(entry, providers), None)
    status = table.get("status", whole(400, 599), None)
    code = table.get("code", _code, None)
    pattern = table.get("text", _pattern, "")
    verdict = table.need("verdict", one_of(*VERDICTS), f"one of {', '.join(VERDICTS)}")
    scope = table.get("scope", one_of(*SCOPES), None)
    redispatch = table.get("redispatch", boolean, None)
    wait = table.get("wait_s", number(0, LONGEST_WAIT), None)
    if not any(key in table.entries for key in CONDITIONS):
        value.bad(f"expected at least one condition: {', '.join(CONDITIONS)}")
    if verdict is None:
        return None
    row = ErrorRule(
        Verdict(verdict),
        status=() if status is None else (status,),
        codes=() if code is None else (code,),
        text=pattern,
        scope=None if scope is None else Scope(scope),
        redispatch=redispatch,
        wait=wait,
    )
    _crosscheck(table, row)
    return UserRule(row, provider)


def _crosscheck(table: Table, row: ErrorRule) -> None:
    """Say what would have no effect, or the wrong one, instead of taking it in silence."""
    if row.verdict not in FAULTS_OF_THE_REQUEST:
        return
    if row.redispatch:
        table.entries["redispatch"].bad(f"a {row.verdict.value} is never given to another account")
    if row.scope not in (None, Scope.REQUEST):
        table.entries["scope"].bad(f"a {row.verdict.value} concerns the request only")
    if row.wait is not None:
        table.entries["wait_s"].bad(f"nobody waits after a {row.verdict.value}")


def _code(value: Value) -> str:
    """An error code as `answer.read` gives it: lower case; some providers' are numbers."""
    found = value.scalar()
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return text(value).strip().lower()


def _pattern(value: Value) -> str:
    found = text(value)
    try:
        re.compile(found, re.IGNORECASE)
    except re.error as error:
        # The library's own text may quote the value.
        place = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise BadValueError(f"expected a regular expression; this one is broken{place}") from None
    except (RecursionError, OverflowError):
        raise BadValueError("expected a regular expression that can be compiled") from None
    return found
