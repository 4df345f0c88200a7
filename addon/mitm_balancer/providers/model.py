"""What a provider is, as data. One file per provider makes one `Provider`; nothing here talks to the network.

Adding a provider is adding one file with a `PROVIDER = Provider(...)` and naming it in `registry.BUILTIN`.
"""

from __future__ import annotations

import enum
import fnmatch
import functools
import re
from collections.abc import Container
from dataclasses import dataclass, field

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.verdict import Scope, Verdict

__all__ = [
    "BEARER",
    "CARRIER_HEADERS",
    "CARRIER_QUERIES",
    "Auth",
    "CredentialForm",
    "Dialect",
    "ErrorRule",
    "PathKind",
    "PathRule",
    "Provider",
]


class PathKind(enum.StrEnum):
    """What the balancer does with a path (wire-facts section 24)."""

    INFERENCE = "inference"
    """Balanced."""
    BOUND = "bound"
    """Belongs to the account that made the resource."""
    CONTROL = "control"
    """The client's own login: passes with the client's own credential."""


@dataclass(frozen=True, slots=True)
class Auth:
    """Where a credential stands on the wire."""

    header: str | None = None
    """Lower case; None when the credential stands in the query."""
    prefix: str = ""
    query: str | None = None


BEARER = Auth(header="authorization", prefix="Bearer ")


@dataclass(frozen=True, slots=True)
class PathRule:
    """One line of a provider's path table; the first match wins, and what matches nothing is control plane."""

    pattern: str
    """A glob over the path without its query; `*` also crosses slashes."""
    kind: PathKind = PathKind.INFERENCE
    dialect: Dialect | None = None
    """The dialect spoken there; None: the provider's default."""
    methods: tuple[str, ...] = ()
    """Upper case; empty: any."""
    auth: Auth | None = None
    """Where credentials stand on this path, whatever their shape; None: where their `CredentialForm` says."""
    mirror: bool = False
    """Sources disagree about `auth` here (C15): a client that sends a bearer token gets a bearer token."""


# Every header that any dialect reads a credential from (wire-facts X1, X2): all of them leave the attempt's copy.
CARRIER_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})
CARRIER_QUERIES = frozenset({"key"})


@dataclass(frozen=True, slots=True)
class CredentialForm:
    """How credentials of one shape are placed. The first form whose `match` fits the credential is taken."""

    auth: Auth
    match: str = ""
    """A regular expression that the credential must match from its beginning; empty matches all."""
    add_tokens: tuple[tuple[str, str], ...] = ()
    """(header, token): append the token to that comma-separated header when it is missing."""
    drop_tokens: tuple[tuple[str, str], ...] = ()
    """(header, token): take the token out of that comma-separated header; an empty header goes."""


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of a provider's error table: all conditions that are set must hold; the first row that fits decides.

    Conditions are read from the body before the status (DESIGN section 5: the body decides).
    """

    verdict: Verdict
    reason: str = ""
    status: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()
    """Exact, lower case: any of them among the codes of the body (`answer.read` says what counts as one)."""
    text: str = ""
    """A regular expression, searched without case in the error's message (or in the raw body if it has none)."""
    raw: str = ""
    """A regular expression, searched without case in the whole decoded body."""
    window: str = ""
    """A regular expression: one limit window that is used up must have a name in which it is found."""
    header: tuple[str, str] | None = None
    """(lower-case name, regular expression for its value); the empty expression asks only that it is there."""
    without_headers: str = ""
    """A regular expression: no header name may match it."""
    scope: Scope | None = None
    """None: the verdict's usual scope."""
    redispatch: bool | None = None
    """None: the verdict's usual answer."""
    capacity: bool = False
    wait: float | None = None
    """Pushback in seconds to assume when the response states none."""
    resets: str = ""
    """A regular expression: the pushback is the reset of the windows so named; empty: of those that are used up."""
    until_midnight: str = ""
    """A zone name: the pushback is at least the time to the next midnight there (daily quotas)."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A vendor's API: its hosts, paths, credential placement and error table."""

    name: str
    hosts: tuple[str, ...]
    """`host`, `*.suffix` or `host:port`; without a port it is 443. A `*` elsewhere stands inside one label."""
    dialect: Dialect
    paths: tuple[PathRule, ...]
    forms: tuple[CredentialForm, ...] = (CredentialForm(BEARER),)
    companions: frozenset[str] = frozenset()
    """Account-bound request headers (lower case) that leave with the client's credential."""
    errors: tuple[ErrorRule, ...] = ()
    origin: str = ""
    """Scheme and host of the provider's own endpoint; empty: wherever the client went."""
    websocket_paths: tuple[str, ...] = ()
    websocket: str = "upgrade"
    """`upgrade`, or `refuse`: handshakes are answered with 426, and a client such as Codex goes on over HTTP."""
    limits: tuple[str, ...] = ()
    """Regular expressions for whole header names, with the groups `field` and, if there are several, `window`:
    what `limits.windows` makes of them is the field table there."""
    model_windows: str = ""
    """A regular expression over window names: those that limit one model, not the account."""
    quiet_windows: str = ""
    """A regular expression over window names: those that never refuse by themselves (overage budgets)."""
    stamp_offset: float = 0.0
    """Hours east of UTC of date stamps without a zone in this provider's texts."""
    account_headers: tuple[tuple[str, str], ...] = ()
    """(lower-case header, account field): set from the chosen account once the companions left, if it has the field."""
    account_body: tuple[tuple[str, str], ...] = ()
    """(path of JSON keys with dots, account field): spliced into the request body from the chosen account."""
    account_path: tuple[tuple[str, str], ...] = ()
    """(regular expression with one group, account field): that part of the path is replaced by the account's."""
    entries: tuple[tuple[Dialect, str], ...] = ()
    """(dialect, base path): where other providers' clients enter; none: as `paths` spells out (`entries.py`)."""
    needs_base_url: bool = False
    """The hosts are the account's own: nothing is claimed until an account states its `base_url`."""
    custom: bool = field(default=False)
    """Declared in the user's configuration."""

    def rule_for(self, method: str, path: str) -> PathRule | None:
        """The first row of the path table that fits, or None. `path` is without its query."""
        for rule in self.paths:
            if (not rule.methods or method in rule.methods) and _glob(rule.pattern).match(path):
                return rule
        return None

    def form_for(self, credential: str) -> CredentialForm:
        """How this credential is placed; the last form is the fallback."""
        for form in self.forms:
            if not form.match or re.match(form.match, credential):
                return form
        return self.forms[-1]

    def auth_for(self, rule: PathRule | None, credential: str, client_headers: Container[str] = ()) -> Auth:
        """Where the credential goes on this path; `client_headers` are the request's own names, lower case."""
        if rule is None or rule.auth is None:
            return self.form_for(credential).auth
        return BEARER if rule.mirror and "authorization" in client_headers else rule.auth


@functools.lru_cache(maxsize=512)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))
