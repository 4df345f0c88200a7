"""What the store alone tells of a login: for commands, which may run without a proxy."""

from __future__ import annotations

from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.oauth import rules
from mitm_balancer.accounts.oauth.memory import renewable
from mitm_balancer.accounts.oauth.outcome import NeedsLogin
from mitm_balancer.accounts.oauth.services import SERVICES
from mitm_balancer.accounts.oauth.uses import Uses
from mitm_balancer.store import Store

UNDER_WAY = 120.0
"""Seconds in which a note without an outcome may be that of a refresh that is still running."""


def standing(store: Store, account: StoredAccount, now: float) -> str:
    """Why nothing but a new login brings this account back; "" while it serves, or can be renewed. Blocks.

    `now`: unix seconds.
    """
    credential = account.credential
    if credential is None or credential.refresh is None or not renewable(account):
        return ""
    service = SERVICES[account.provider]
    use = Uses(store).find(service, credential.refresh)
    if use is None or not rules.expired(credential.expires_at, now):
        return ""
    may, why = rules.may_use(service, use, now)
    running = not use.dead and 0 <= now - use.at < UNDER_WAY
    return "" if may is rules.May.YES or running else str(NeedsLogin(why, service.cure))
