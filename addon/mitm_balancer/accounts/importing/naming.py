"""Which alias an account gets when nobody names it: one that its owner would recognise."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from mitm_balancer.accounts.alias import normalized
from mitm_balancer.accounts.model import AccountError

MOST = 100


def propose(identity: Mapping[str, str], agent: str, taken: Container[str], own: str = "") -> str:
    """`own` (what it is called already), else the name in the e-mail, the whole e-mail, the plan, the agent; free."""
    fallback = ""
    for words in _candidates(identity, agent, own):
        try:
            alias = normalized(words)
        except AccountError:
            continue
        if alias not in taken:
            return alias
        fallback = fallback or alias
    numbered = (f"{(fallback or 'account')[:50]}-{number}" for number in range(2, MOST))
    return next((alias for alias in numbered if alias not in taken), "")


def _candidates(identity: Mapping[str, str], agent: str, own: str) -> Iterator[str]:
    yield own
    email = identity.get("email", "")
    yield email.partition("@")[0]
    yield email
    plan = identity.get("plan", "")
    if email and plan:
        yield f"{email.partition('@')[0]}-{plan}"
    if not email:
        yield plan
        yield agent
