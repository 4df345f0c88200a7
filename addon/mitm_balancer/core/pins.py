"""Pins: what only one account may serve. A run (`balancer exec --account`), a session, or models by glob.

A run tells its accounts as the user name of its proxy URL, for that is all that every client passes on. Names hold no
`~`, and `~` needs no escaping in a URL (RFC 3986 2.3).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mitm_balancer.core.target import allows

SHORTEST = 8
"""Digits of a session's fingerprint that name it: what a trace shows."""

_RUN = "pin"


@dataclass(frozen=True, slots=True)
class Pin:
    """The one account that may serve what fits; the fields that are set must fit."""

    account: str
    """provider/alias."""
    model: str = ""
    """A glob over the client's model; empty: any."""
    session: str = ""
    """The agent's own id of a conversation, or the beginning of the fingerprint that a trace shows; empty: any."""

    def fits(self, model: str, ids: Collection[str], fingerprints: Collection[str]) -> bool:
        """Whether a request for `model` is meant, whose session has these names."""
        if self.model and not (model and allows((self.model,), model)):
            return False
        if not self.session or self.session in ids:
            return True
        return len(self.session) >= SHORTEST and any(found.startswith(self.session) for found in fingerprints)


@dataclass(frozen=True, slots=True)
class Pinned:
    """What one request is tied to, and by what: `this run`, `this session`, `claude-opus-*`."""

    account: str
    by: str

    @property
    def out(self) -> str:
        """Why nobody else serves, when this one cannot."""
        return f"{self.account} cannot serve now, and {self.by} is pinned to it"


def pinned(
    run: Sequence[str], pins: Sequence[Pin], model: str, ids: Collection[str], fingerprints: Collection[str]
) -> Iterator[Pinned]:
    """The pins that concern a request, the most particular first: its run, its session, its model."""
    yield from (Pinned(account, "this run") for account in run)
    fitting = [pin for pin in pins if pin.fits(model, ids, fingerprints)]
    yield from (Pinned(pin.account, "this session") for pin in fitting if pin.session)
    yield from (Pinned(pin.account, pin.model) for pin in fitting if not pin.session)


def user_of(accounts: Sequence[str]) -> str:
    """The user name that tells these accounts."""
    return "~".join([_RUN, *(part for account in accounts for part in account.split("/"))])


def accounts_of(user: str) -> tuple[str, ...]:
    """The accounts that a user name tells; none for anybody else's."""
    word, *parts = user.split("~")
    if word != _RUN or len(parts) % 2 or not all(parts):
        return ()
    return tuple(f"{provider}/{alias}" for provider, alias in zip(parts[::2], parts[1::2], strict=True))
