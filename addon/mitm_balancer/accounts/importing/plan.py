"""What was found, next to what is there already: what would become of each."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mitm_balancer.accounts.importing.model import Found, Harvest
from mitm_balancer.accounts.importing.naming import propose
from mitm_balancer.accounts.model import Credential, StoredAccount
from mitm_balancer.accounts.sameness import known_identity, same_account
from mitm_balancer.config import AccountSpec
from mitm_balancer.config.sources import Literal


class Share(enum.StrEnum):
    """What becomes of a login whose refresh token must have one owner."""

    ACCESS_ONLY = "access-only"
    """The agent stays the owner; the balancer lives on its access tokens."""
    MOVE = "move"
    """The balancer becomes the owner: the login goes out of the agent's file."""
    COPY = "copy"
    """Both have it, and the user knows."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One login or key, and what is known of it."""

    found: Found
    alias: str
    """What it would be called; for a known account its name as it is."""
    stored: StoredAccount | None = None
    """The account that it belongs to."""
    declared: str = ""
    """The account of the configuration that has this very credential."""
    twin: str = ""
    """Where the same account was found before."""

    @property
    def name(self) -> str:
        return self.stored.name if self.stored is not None else f"{self.found.provider}/{self.alias}"

    @property
    def news(self) -> bool:
        """Whether storing it would change anything."""
        if self.declared or self.twin:
            return False
        old = self.stored.credential if self.stored is not None else None
        new = self.found.credential
        return old is None or old.secret != new.secret or (old.refresh is not None and old.refresh != new.refresh)

    @property
    def has_more(self) -> bool:
        """Whether it has the refresh token that its account was stored without."""
        old = self.stored.credential if self.stored is not None else None
        lacking = old is not None and old.refresh is None and self.found.credential.refresh is not None
        return lacking and not self.declared and not self.twin

    @property
    def is_newer(self) -> bool:
        """Whether nobody would object: a new account, or newer tokens for one that lives on the agent's."""
        if self.stored is None or self.stored.credential is None:
            return self.news
        old, new = self.stored.credential, self.found.credential
        later = (new.expires_at or 0.0) > (old.expires_at or 0.0)
        return self.news and old.kind == "oauth" and old.refresh is None and later


def plan(
    harvests: Iterable[Harvest], stored: Sequence[StoredAccount], declared: Sequence[AccountSpec]
) -> list[Candidate]:
    """A candidate for each credential that was found, in that order. No two that are new get the same name."""
    candidates: list[Candidate] = []
    names = {account.name for account in stored} | {spec.name for spec in declared}
    for found in (found for harvest in harvests for found in harvest.found):
        candidate = _candidate(found, candidates, stored, declared, names)
        names.add(candidate.name)
        candidates.append(candidate)
    return candidates


def shared(credential: Credential, share: Share) -> Credential:
    """The credential as it is stored under that choice."""
    return dataclasses.replace(credential, refresh=None) if share is Share.ACCESS_ONLY else credential


def _candidate(
    found: Found,
    before: Sequence[Candidate],
    stored: Sequence[StoredAccount],
    declared: Sequence[AccountSpec],
    names: set[str],
) -> Candidate:
    provider = found.provider
    taken = {name.partition("/")[2] for name in names if name.startswith(f"{provider}/")}
    identity = known_identity(provider, found.credential)
    alias = propose(identity, found.agent, taken, found.alias)
    for other in before:
        if other.found.provider == provider and same_account(provider, other.found.credential, found.credential):
            return dataclasses.replace(other, found=found, twin=other.twin or other.found.place)
    for spec in declared:
        if spec.provider == provider and _is_declared(found, spec):
            return Candidate(found, spec.alias, declared=spec.name)
    for account in stored:
        of_it = account.provider == provider and account.credential is not None
        if of_it and account.credential and same_account(provider, account.credential, found.credential):
            return Candidate(found, account.alias, stored=account)
    return Candidate(found, alias)


def _is_declared(found: Found, spec: AccountSpec) -> bool:
    literal = isinstance(spec.credential, Literal) and spec.credential.secret == found.credential.secret
    return literal or found.is_read_from(spec.credential)
