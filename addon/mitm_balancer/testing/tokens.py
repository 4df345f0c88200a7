"""A token endpoint for a `FakeProvider`: rotates, revokes the whole login when a refresh token is used twice, and fails
in the ways that real ones do.

    tokens = TokenEndpoint(fake)                    # POST fake.url/oauth/token
    login = tokens.login("work")                    # an access token that `fake` takes for the account `work`
    tokens.play(Mishap.CUT_AFTER)                   # the next refresh is done, and its answer is lost
    tokens.end_access("work")                       # what was given out is refused from now on
    assert tokens.reuses == 0
"""

from __future__ import annotations

import enum
import itertools
import json
import time
import urllib.parse
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from mitm_balancer.testing import steps
from mitm_balancer.testing.fakeprovider import FakeProvider
from mitm_balancer.testing.ledger import Record
from mitm_balancer.testing.step import FOREVER, Step

PATH = "/oauth/token"
EXCHANGE_PATH = "/copilot_internal/v2/token"
LIFE = 3600.0


class Mishap(enum.StrEnum):
    """What becomes of one refresh."""

    CUT_BEFORE = "cut before"
    """The request is read and the connection reset; nothing was done."""
    CUT_AFTER = "cut after"
    """It was done, and then the connection is reset."""
    HANG = "hang"
    """It was done, and never a word."""
    ERROR = "error"
    """500, nothing done."""
    BUSY = "busy"
    """429 with `retry-after: 7`, nothing done."""
    INVALID = "invalid"
    """400 invalid_grant, whatever the token."""
    GARBAGE = "garbage"
    """It was done, and the answer is a page of HTML with status 200."""
    SLOW = "slow"
    """Done, and told after a second."""


@dataclass(frozen=True, slots=True)
class Given:
    """The tokens of a login as they are now."""

    access: str
    refresh: str


@dataclass(slots=True)
class Login:
    """One family of tokens."""

    label: str
    given: Given
    used: list[str] = field(default_factory=list)
    """Refresh tokens that yielded their successor."""
    access: list[str] = field(default_factory=list)
    revoked: bool = False


class TokenEndpoint:
    """Plugs into a FakeProvider as a route. `rotates=False` is Google's way: the refresh token stays."""

    def __init__(
        self, fake: FakeProvider, *, rotates: bool = True, life: float | None = LIFE, reuse_code: str = "invalid_grant"
    ) -> None:
        self.fake, self.rotates, self.life, self.reuse_code = fake, rotates, life, reuse_code
        self.logins: dict[str, Login] = {}
        self.refreshes: list[str] = []
        """Labels of the refreshes that were done."""
        self.reuses = 0
        """Used refresh tokens that came again: each one is what must never happen."""
        self.asked: list[dict[str, str]] = []
        """The fields of every request."""
        self._mishaps: deque[Mishap] = deque()
        self._numbers = itertools.count(1)
        fake.route("POST", PATH, self._refresh)
        fake.route("GET", EXCHANGE_PATH, self._exchange)

    @property
    def url(self) -> str:
        """For `token_url`."""
        return self.fake.url + PATH

    @property
    def exchange_url(self) -> str:
        """The same for an exchange."""
        return self.fake.url + EXCHANGE_PATH

    def play(self, *mishaps: Mishap) -> None:
        """What becomes of the next ones; after them all is well."""
        self._mishaps.extend(mishaps)

    def login(self, label: str) -> Given:
        """A new login for an account of the fake."""
        login = self.logins[label] = Login(label, Given("", ""))
        self._give(login)
        return login.given

    def end_access(self, label: str) -> None:
        """The access tokens given out so far have ended."""
        for token in self.logins[label].access:
            self.fake.labels.pop(token, None)

    # -- the endpoint -------------------------------------------------------------------------------------------

    def _refresh(self, record: Record) -> Step:
        asked = _fields(record)
        self.asked.append(asked)
        token = asked.get("refresh_token", "")
        return self._answer(self._owner(token), token)

    def _exchange(self, record: Record) -> Step:
        token = (record.header(b"authorization") or "").removeprefix("token ")
        self.asked.append({"authorization": token})
        mishap = self._mishaps.popleft() if self._mishaps else None
        login = self._owner(token)
        if login is None or mishap is Mishap.INVALID:
            return steps.status(401, b'{"message": "Bad credentials"}')
        if (early := _early(mishap)) is not None:
            return early
        self.refreshes.append(login.label)
        access = self._new_access(login)
        body = {"token": access, "refresh_in": 1500, "endpoints": {"api": self.fake.url}}
        if self.life is not None:
            body["expires_at"] = int(time.time() + self.life)
        return _late(mishap, body)

    def _answer(self, login: Login | None, token: str) -> Step:
        mishap = self._mishaps.popleft() if self._mishaps else None
        if (early := _early(mishap)) is not None:
            return early
        if login is None or login.revoked:
            return _invalid("invalid_grant")
        if token in login.used:
            self.reuses += 1
            login.revoked = True
            self.end_access(login.label)
            return _invalid(self.reuse_code)
        if self.rotates:
            login.used.append(token)
        self.refreshes.append(login.label)
        given = self._give(login)
        body: dict[str, Any] = {"access_token": given.access, "token_type": "Bearer"}
        if self.rotates:
            body["refresh_token"] = given.refresh
        if self.life is not None:
            body["expires_in"] = self.life
        return _late(mishap, body)

    def _give(self, login: Login) -> Given:
        number = next(self._numbers)
        stays = login.given.refresh and not self.rotates
        refresh = login.given.refresh if stays else f"CANARY-REFRESH-{login.label}-{number}"
        login.given = Given(self._new_access(login, number), refresh)
        return login.given

    def _new_access(self, login: Login, number: int | None = None) -> str:
        access = f"sk-ant-oat01-CANARY-ACCESS-{login.label}-{number or next(self._numbers)}"
        self.fake.labels[access] = login.label
        login.access.append(access)
        return access

    def _owner(self, token: str) -> Login | None:
        return next((g for g in self.logins.values() if token and (token == g.given.refresh or token in g.used)), None)


def _fields(record: Record) -> dict[str, str]:
    if (record.header(b"content-type") or "").startswith("application/json"):
        return {str(key): str(value) for key, value in json.loads(record.body).items()}
    return {key: values[0] for key, values in urllib.parse.parse_qs(record.body.decode()).items()}


def _early(mishap: Mishap | None) -> Step | None:
    match mishap:
        case Mishap.CUT_BEFORE:
            return steps.reset_before_head()
        case Mishap.ERROR:
            return steps.status(500, b'{"error": "server_error"}')
        case Mishap.BUSY:
            return steps.status(429, b'{"error": "rate_limited"}', headers=[("retry-after", "7")])
        case Mishap.INVALID:
            return _invalid("invalid_grant")
        case _:
            return None


def _late(mishap: Mishap | None, body: dict[str, Any]) -> Step:
    told = steps.status(200, json.dumps(body), headers=[("content-type", "application/json")])
    match mishap:
        case Mishap.CUT_AFTER:
            return steps.reset_before_head()
        case Mishap.HANG:
            return told.but(silence=FOREVER)
        case Mishap.GARBAGE:
            return steps.status(200, b"<html>", headers=[("content-type", "text/html")])
        case Mishap.SLOW:
            return told.but(silence=1.0)
        case _:
            return told


def _invalid(code: str) -> Step:
    text = {"error": code, "error_description": "Refresh token not found or invalid"}
    return steps.status(400, json.dumps(text), headers=[("content-type", "application/json")])
