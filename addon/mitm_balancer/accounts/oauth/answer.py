"""What the token endpoint said: a new credential, the end of the login, try later, or nobody can tell. Pure.

No text of the answer is kept but its error code: it may quote the token (P7).
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.oauth.service import Form, TokenService
from mitm_balancer.core import resets
from mitm_balancer.providers.identity import account_fields, jwt_claims
from mitm_balancer.secrets import Secret

MAX_LIFE = 400 * 24 * 3600.0
"""Seconds: the longest known access token lives a year (wire-facts 1.6); a longer one is a broken answer."""

LIFE = "life"
"""Word of `Credential.extra`: seconds that the access token was given for."""

EXCHANGED_LIFE = 25 * 60.0
"""Seconds: the shortest that is known of an exchanged token (wire-facts 4.6), for an answer that says nothing."""

LONG_WAIT = 3600.0
"""Seconds after a refusal that says nothing of the token: a client id that is refused, an endpoint that is gone."""

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
_TOKEN = re.compile(r"[\x21-\x7e]{8,}")
"""RFC 6749 A.12: visible characters. Shorter than eight is none, and would be found by chance in any text."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The new credential; `identity` and `extra` are carried on."""

    credential: Credential


@dataclass(frozen=True, slots=True)
class Dead:
    """Only a new login helps."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing was changed there; `wait` seconds if it said so."""

    reason: str
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """It may have used the token up, and what it gave for it cannot be read."""

    reason: str


type Answer = Renewed | Dead | Later | Unclear


def read(
    service: TokenService, old: Credential, status: int, headers: Mapping[str, str], body: Any, *, now: float
) -> Answer:
    """The meaning of an answer. `headers` by lower-case name, `body` parsed JSON or None, `now` unix seconds."""
    server_now = resets.server_clock(headers.get("date"), now)
    own = old.refresh.reveal().lower() if old.refresh else ""
    codes = [code for code in _codes(body) if code not in own]
    if 200 <= status < 300:
        return _renewed(service, old, body, server_now=server_now, now=now)
    reason = next((code for code in codes if code in service.dead_codes), "") or next(iter(codes), "")
    reason = reason or f"status {status}"
    if service.dead_codes & set(codes) or status in service.dead_statuses:
        return Dead(reason)
    wait = resets.retry_after(dict(headers), server_now=server_now)
    if wait is None and 400 <= status < 500 and status not in (408, 425, 429):
        wait = LONG_WAIT
    return Later(reason, wait)


def _renewed(service: TokenService, old: Credential, body: Any, *, server_now: float, now: float) -> Answer:
    exchange = service.form is Form.EXCHANGE
    token = _token(body, "token" if exchange else "access_token")
    if token is None:
        return Unclear("an answer without a token")
    refresh = old.refresh if exchange else (_secret(_token(body, "refresh_token")) or old.refresh)
    life = _life(body, token, server_now)
    identity = {**old.identity, **account_fields(service.provider, token), **_identity(service, body)}
    extra = dict(old.extra)
    if exchange and (base := _copilot_base(old, body, token)):
        extra["base_url"] = base
    if life is None and exchange:
        life = EXCHANGED_LIFE
    expires_at = None if life is None else now + life
    extra |= {} if life is None else {LIFE: f"{life:.0f}"}
    return Renewed(
        dataclasses.replace(
            old, secret=Secret(token), refresh=refresh, expires_at=expires_at, identity=identity, extra=extra
        )
    )


def _life(body: Any, token: str, server_now: float) -> float | None:
    """Seconds that the access token lives: as said, else as its own claims say."""
    assert isinstance(body, dict)
    seconds = _number(body.get("expires_in"))
    if seconds is None and (stamp := _number(body.get("expires_at"))) is not None:
        seconds = stamp - server_now
    if seconds is None and (stamp := _number(jwt_claims(token).get("exp"))) is not None:
        seconds = stamp - server_now
    return None if seconds is None or not 0 < seconds < MAX_LIFE else seconds


def _identity(service: TokenService, body: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for word, path in service.identity.items():
        value = body
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value and value.isprintable() and len(value) < 200:
            found[word] = value
    return found


def _copilot_base(old: Credential, body: Any, token: str) -> str:
    """The account's own host: stated, or in the token as that of its proxy (wire-facts 4.1). Never one of others'."""
    endpoints = body.get("endpoints") if isinstance(body, dict) else None
    stated = endpoints.get("api") if isinstance(endpoints, dict) else None
    host = urllib.parse.urlsplit(stated).hostname if isinstance(stated, str) and stated.startswith("https://") else ""
    if not host and (proxy := re.search(r"(?:^|;)proxy-ep=proxy\.([a-z0-9.-]+)", token)):
        host = f"api.{proxy[1]}"
    own = urllib.parse.urlsplit("//" + old.extra.get("enterprise_url", "").split("//")[-1]).hostname
    ours = host == "api.githubcopilot.com" or (host or "").endswith(".githubcopilot.com")
    return f"https://{host}" if host and (ours or (own and host == f"copilot-api.{own}")) else ""


def _codes(body: Any) -> list[str]:
    """Error codes in the shapes that token endpoints use: `{"error": code}`, `{"error": {"code", "type"}}`."""
    if not isinstance(body, dict):
        return []
    error = body.get("error")
    named: Iterable[object] = (error.get("code"), error.get("type")) if isinstance(error, dict) else (error,)
    every = (*named, body.get("code"))
    return [code.lower() for code in every if isinstance(code, str) and _CODE.fullmatch(code)]


def _token(body: Any, key: str) -> str | None:
    value = body.get(key) if isinstance(body, dict) else None
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _secret(token: str | None) -> Secret | None:
    return None if token is None else Secret(token)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    return resets.number(str(value)) if isinstance(value, int | float | str) else None
