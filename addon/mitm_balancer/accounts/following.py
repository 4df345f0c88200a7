"""What becomes of a pair that an agent fetched by itself: a stored account follows it, or it waits for a decision.

Blocking: it works on the book.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from dataclasses import dataclass

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.exchange import Exchange
from mitm_balancer.accounts.model import Credential, StoredAccount
from mitm_balancer.accounts.sameness import same_account

LOST = 600.0
"""Seconds after its end that an access token has nobody who renews it: the balancer's own renewal comes before the end,
and again and again, unless the login is over."""


class Fate(enum.Enum):
    """What was done with it."""

    RENEWED = "renewed"
    """A stored account has it now."""
    LATE = "late"
    """It was a stored account's, which somebody else renewed in the meantime: two owners, and one of them is out."""
    PENDING = "pending"
    """The user is asked."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Followed:
    fate: Fate
    name: str = ""
    """The account, or the id of what is pending."""


def follows(account: StoredAccount) -> bool:
    """Whether an agent's refreshes concern it. A token without an end and without a refresh (`claude setup-token`) is
    one that nobody renews."""
    credential = account.credential
    if credential is None or credential.kind != "oauth":
        return False
    return credential.refresh is not None or credential.expires_at is not None


def learn(book: AccountBook, exchange: Exchange, *, capturing: bool, now: float) -> Followed:
    """Put it where it belongs. Durable when it returns; raises AccountError. `now`: unix seconds."""
    known = [a for a in book.all() if a.provider == exchange.provider and a.credential is not None]
    owner = _owner(known, exchange, now)
    if owner is not None:
        assert owner.credential is not None
        fresh = _renewed(owner.credential, exchange)
        saved = book.renew(owner.name, fresh, generation=owner.generation)
        if saved is None:
            is_there = book.find(owner.name)
            has = is_there.credential if is_there is not None else None
            there = has is not None and has.refresh == fresh.refresh
            return Followed(Fate.RENEWED if there else Fate.LATE, owner.name)
        return Followed(Fate.RENEWED, owner.name)
    if not capturing:
        return Followed(Fate.NOTHING)
    pending = book.capture(exchange.provider, exchange.credential, "capture")
    return Followed(Fate.NOTHING) if pending is None else Followed(Fate.PENDING, pending.id)


def _owner(known: Sequence[StoredAccount], exchange: Exchange, now: float) -> StoredAccount | None:
    """The account whose login this is: it shares the refresh token, or it has no (living) one of its own."""
    for account in known:
        if account.credential is not None and exchange.used is not None and account.credential.refresh == exchange.used:
            return account
    for account in known:
        credential = account.credential
        if credential is None or not follows(account) or not _leans(credential, now):
            continue
        if same_account(account.provider, credential, exchange.credential):
            return account
    return None


def _leans(credential: Credential, now: float) -> bool:
    """Whether it lives on an agent's access tokens; or could, because nothing has renewed it for too long."""
    return credential.refresh is None or (credential.expires_at is not None and credential.expires_at < now - LOST)


def _renewed(old: Credential, exchange: Exchange) -> Credential:
    """The new pair for who shared the old one. Everybody else gets the access token: the rest stays the agent's."""
    new = exchange.credential
    shares = old.refresh is not None and old.refresh == exchange.used
    return dataclasses.replace(
        new,
        refresh=new.refresh if shares else None,
        identity={**old.identity, **new.identity},
        extra={**old.extra, **new.extra},
    )
