"""What this process knows of each account's logins: when to renew, when not to ask, and which are over.

No I/O; the clocks are given. The wall clock says when a token ends, because that outlives processes and sleep; but it
may jump, so a token that was renewed a moment ago by the monotonic clock is taken to be good whatever it says.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.oauth import request, rules
from mitm_balancer.accounts.oauth.answer import LIFE
from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin, NotNow, Renewal
from mitm_balancer.accounts.oauth.services import SERVICES
from mitm_balancer.core import resets

QUIET = 300.0
"""Seconds after a refresh in which a clock that says "it is time" is not believed."""


@dataclass(slots=True)
class _Known:
    """Times are monotonic."""

    share: float
    """Where between `rules.SHARE_LOW` and `SHARE_HIGH` the next refresh lies, 0 to 1."""
    generation: int = -1
    """That `over` and `renewed_at` speak of."""
    over: NeedsLogin | None = None
    renewed_at: float | None = None
    failures: int = 0
    not_before: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Memory:
    """By the id of an account."""

    wall: Callable[[], float]
    clock: Callable[[], float]
    rng: random.Random
    _known: dict[str, _Known] = field(default_factory=dict)

    def over(self, account: StoredAccount) -> NeedsLogin | None:
        """Whether this login is known to be over. Its access token may still serve for a while."""
        known = self._of(account)
        return known.over if known.generation == account.generation else None

    def expired(self, account: StoredAccount) -> bool:
        """Whether its access token is not worth sending, as far as the clock can be believed."""
        return rules.expired(_ends(account), self.wall()) and not self._quiet(account)

    def due(self, account: StoredAccount) -> bool:
        """Whether it is time to renew it ahead of its end."""
        if not renewable(account) or self.over(account) is not None or self._quiet(account):
            return False
        known = self._of(account)
        if self.clock() < known.not_before:
            return False
        return rules.due(_ends(account), _life(account), known.share, self.wall())

    def refused(self, account: StoredAccount) -> Renewal | None:
        """The answer to a wish that makes no sense now."""
        if not renewable(account):
            return NotNow("there is nothing to renew it with")
        if (over := self.over(account)) is not None:
            return over
        known, now = self._of(account), self.clock()
        if now < known.not_before:
            return NotNow(known.reason, known.not_before - now)
        if self._age(account) < rules.PAUSE:
            return NotNow("it was renewed a moment ago")
        return None

    def note(self, account: StoredAccount, result: Renewal) -> Renewal:
        """Keep what a refresh came to. Returns it, with the wait that holds."""
        known, now = self._of(account), self.clock()
        if isinstance(result, NotNow):
            known.failures += 1
            wait = rules.backoff(known.failures, result.wait)
            known.not_before, known.reason = now + wait, result.reason
            return result if result.wait is None else dataclasses.replace(result, wait=wait)
        known.failures, known.not_before = 0, 0.0
        if isinstance(result, Fresh):
            known.generation, known.over, known.renewed_at = result.account.generation, None, now
            known.share = self.rng.random()
        else:
            known.generation, known.over, known.renewed_at = account.generation, result, None
        return result

    def _age(self, account: StoredAccount) -> float:
        """Seconds since this very credential was made, as far as this process knows."""
        known = self._of(account)
        if known.renewed_at is None or known.generation != account.generation:
            return float("inf")
        return self.clock() - known.renewed_at

    def _quiet(self, account: StoredAccount) -> bool:
        """Whether it is too young to have ended. One that lives for a few minutes only is soon believed to have."""
        life = _life(account)
        half = QUIET if life is None else max(life / 2, rules.BACKOFF_FIRST)
        return self._age(account) < min(QUIET, half)

    def _of(self, account: StoredAccount) -> _Known:
        known = self._known.get(account.id)
        if known is None:
            known = self._known[account.id] = _Known(self.rng.random())
        return known


def renewable(account: StoredAccount) -> bool:
    """Whether the account has a login that renews itself."""
    return request.renewable(SERVICES.get(account.provider), account.credential)


def _life(account: StoredAccount) -> float | None:
    """Seconds that the access token was given for; of one that another program was given, at least what was left."""
    if account.credential is None or account.credential.expires_at is None:
        return None
    stated = resets.number(account.credential.extra.get(LIFE, ""))
    return stated if stated is not None else account.credential.expires_at - account.updated_at


def _ends(account: StoredAccount) -> float | None:
    return None if account.credential is None else account.credential.expires_at
