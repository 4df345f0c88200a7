"""Logins that renew themselves, as a call meets them: before an attempt when the token has ended, and after a 401.

The agent waits for a renewal as it would wait for an answer. When somebody else can serve, it does not wait long: the
renewal goes on by itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin, NotNow, Renewal
from mitm_balancer.core.health import NOT_RENEWED
from mitm_balancer.core.verdict import Outcome, Scope, Sent, Verdict
from mitm_balancer.proxy.tasks import spawn

if TYPE_CHECKING:
    from mitm_balancer.core.dispatch import Dispatch
    from mitm_balancer.proxy.runtime import Account, ProviderPool, Runtime

logger = logging.getLogger(__name__)

SHORT = 3.0
"""Seconds to wait when another account could serve: several times what a token endpoint takes."""

LONG = 45.0
"""Seconds to wait when nobody else can: as long as a renewal may take."""

SOON = 30.0
"""Seconds until an account is looked at again whose renewal takes longer than that; its success ends them at once."""


NEEDS_LOGIN = "needs_login"
"""The reason of an outcome: nothing but a new login brings the account back."""


class Logins(Protocol):
    """Where credentials are renewed."""

    def expired(self, name: str) -> bool:
        """Whether it makes no sense to send this account's credential."""
        ...

    async def renew(self, name: str, sent: str) -> Renewal:
        """Something newer than what was sent. Cancelling gives up the wait only."""
        ...


class NoLogins:
    """Every credential is as it is."""

    def expired(self, name: str) -> bool:  # noqa: ARG002
        return False

    async def renew(self, name: str, sent: str) -> Renewal:  # noqa: ARG002
        return NotNow("there is nothing to renew it with")


def current(pools: Mapping[str, ProviderPool], account: Account) -> Account:
    """The account with the credential that it has now: the request may be older than that."""
    pool = pools.get(account.provider.name)
    return account if pool is None or not account.renewable else pool.accounts.get(account.name, account)


async def ready(runtime: Runtime, account: Account, dispatch: Dispatch) -> tuple[Account, Outcome | None]:
    """The account as it is to be sent; an outcome when its token has ended and there is no new one yet."""
    account = current(runtime.pools, account)
    if not account.renewable or account.carrier is None or not runtime.logins.expired(account.name):
        return account, None
    ended = Outcome(
        Verdict.AUTH_FAILURE, "token_expired", Scope.ACCOUNT, redispatch=True, sent=Sent.NOTHING,
        message="its access token has ended",
    )  # fmt: skip
    refusal = await refused(runtime, account, ended, dispatch)
    return current(runtime.pools, account), refusal


async def refused(runtime: Runtime, account: Account, outcome: Outcome, dispatch: Dispatch) -> Outcome | None:
    """Renew a login that was refused. None: there is a new credential; else what the refusal amounts to."""
    assert account.carrier is not None
    patience = SHORT if _somebody_else(account, dispatch, runtime.clock()) else LONG
    result: Renewal
    try:
        async with asyncio.timeout(patience):
            result = await runtime.logins.renew(account.name, account.carrier.credential)
    except TimeoutError:
        result = NotNow("its renewal takes long", SOON)
    match result:
        case Fresh():
            return None
        case NotNow(_, None):
            return outcome
        case NotNow(reason, wait):
            text = f"its login could not be renewed: {reason}"
            return dataclasses.replace(outcome, reason=NOT_RENEWED, wait=wait, message=text)
        case NeedsLogin():
            return dataclasses.replace(outcome, reason=NEEDS_LOGIN, wait=None, message=f"{account.name} {result}")


def over(outcome: Outcome | None) -> bool:
    """Whether the account's login is over."""
    return outcome is not None and outcome.verdict is Verdict.AUTH_FAILURE and outcome.reason == NEEDS_LOGIN


def learn(runtime: Runtime, account: Account, model: str, outcome: Outcome) -> bool:
    """What an answer said of its account after it was committed. A login that was refused is renewed for the requests
    to come, and the refusal counts only if that fails. Returns whether a renewal was begun."""
    if outcome.verdict is not Verdict.AUTH_FAILURE or not account.renewable or account.carrier is None:
        runtime.learn(account.name, model, outcome)
        return False
    spawn(_renewed(runtime, account, account.carrier.credential, model, outcome), "balancer renewal after commit")
    return True


def nudge(runtime: Runtime, account: Account, outcome: Outcome) -> None:
    """A body that could not be sent twice was refused: the account is to be well again for the next request."""
    if outcome.verdict is Verdict.AUTH_FAILURE and account.renewable and account.carrier is not None:
        spawn(runtime.logins.renew(account.name, account.carrier.credential), "balancer renewal of an upload")


async def _renewed(runtime: Runtime, account: Account, sent: str, model: str, outcome: Outcome) -> None:
    result = await runtime.logins.renew(account.name, sent)
    if isinstance(result, NotNow) and result.wait is not None:
        outcome = dataclasses.replace(outcome, reason=NOT_RENEWED, wait=result.wait)
    if not isinstance(result, Fresh):
        runtime.learn(account.name, model, outcome)


def _somebody_else(account: Account, dispatch: Dispatch, now: float) -> bool:
    if dispatch.pin is not None or not dispatch.policy.failover:
        return False
    tried = {name for name, _ in dispatch.attempts} | {account.name}
    selection = dispatch.priority.select(dispatch.model, dispatch.health, now, without=tried)
    return selection.chosen is not None
