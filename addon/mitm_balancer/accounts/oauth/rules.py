"""When a login is renewed, and whether its refresh token may be used at all. Pure: every clock is an argument.

A rotating refresh token is used once. That it is about to be used is written down before (`Use`); what became of it
takes the note away, or says that it is dead. A note that is still there under the lock is therefore of a use whose
outcome nobody knows: the process was killed, or the answer was lost.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mitm_balancer.accounts.oauth.service import TokenService

AHEAD = 300.0
"""Seconds before its end that an access token is renewed at the latest: what the clients do (wire-facts 3.6, 17.6)."""

SHARE_LOW, SHARE_HIGH = 0.1, 0.2
"""Of its life, the part before its end in which it is renewed; where in between is drawn, so that accounts and proxies
that began together do not come back together (anchors)."""

SKEW = 15.0
"""Seconds before its end that a token is no longer sent: a request takes its time to get there."""

PAUSE = 60.0
"""Seconds after a refresh in which no other one is made for the account: a token that is refused when it is that young
is refused for another reason, and a clock that jumps must not start a storm."""

BACKOFF_FIRST, BACKOFF_MOST = 5.0, 600.0
"""Seconds after a refresh that failed without harm, doubling. (CPA blocks 5 s to 5 min.)"""

WAIT_MOST = 3600.0
"""A token endpoint that names a later time is asked again after an hour: a login is worth that."""


@dataclass(frozen=True, slots=True)
class Use:
    """The note about the use of one refresh token."""

    at: float
    """Unix seconds."""
    tries: int = 1
    dead: str = ""
    """Why only a new login helps; empty: nobody knows what became of it."""


class May(enum.Enum):
    """Whether a refresh token may be sent."""

    YES = "yes"
    NO = "no"


LOST = "the answer to its last renewal was lost, and a second use could end the login"


def may_use(service: TokenService, use: Use | None, now: float) -> tuple[May, str]:
    """Under the lock, before it is sent. With NO comes the reason."""
    if use is None or (not use.dead and not service.rotates):
        return May.YES, ""
    if use.dead:
        return May.NO, use.dead
    if use.tries < 2 and 0 <= now - use.at < service.grace:
        return May.YES, ""
    return May.NO, LOST


def ahead(life: float | None, share: float) -> float:
    """Seconds before its end that a token is to be renewed; `share`: 0 to 1. Never before half its life."""
    if life is None or life <= 0:
        return AHEAD
    part = life * (SHARE_LOW + (SHARE_HIGH - SHARE_LOW) * share)
    return min(max(AHEAD, part), life / 2)


def due(expires_at: float | None, life: float | None, share: float, now: float) -> bool:
    """Whether it is time to renew a token that ends then; one whose end is unknown is renewed when it is refused."""
    return expires_at is not None and now >= expires_at - ahead(life, share)


def expired(expires_at: float | None, now: float) -> bool:
    """Whether it makes no sense to send it."""
    return expires_at is not None and now >= expires_at - SKEW


def backoff(failures: int, wait: float | None) -> float:
    """Seconds until the next try, after that many failures in a row (1 is the first)."""
    grown = min(BACKOFF_FIRST * 2.0 ** min(failures - 1, 20), BACKOFF_MOST)
    return min(max(grown, wait or 0.0), WAIT_MOST)
