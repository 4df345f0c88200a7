"""What an operator names: an account, a provider, or an alias that only one account has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class UnknownTargetError(Exception):
    """Nothing, or more than one thing, has that name. The text says what to type instead."""


@dataclass(frozen=True, slots=True)
class Named:
    """`name` is an account's (provider/alias) or a provider's; `accounts` are the accounts that it means."""

    name: str
    accounts: tuple[str, ...]

    @property
    def is_provider(self) -> bool:
        return "/" not in self.name


def find(text: str, accounts: Iterable[str]) -> Named:
    """The one that `text` means among these account names. Raises UnknownTargetError."""
    known = list(accounts)
    if text in known:
        return Named(text, (text,))
    if members := tuple(name for name in known if name.partition("/")[0] == text):
        return Named(text, members)
    same = [name for name in known if name.partition("/")[2] == text]
    if len(same) == 1:
        return Named(same[0], (same[0],))
    if same:
        raise UnknownTargetError(f"{text} is the alias of several accounts, say which: {', '.join(same)}")
    raise UnknownTargetError(nothing(text, known, candidates(known)))


def candidates(accounts: Iterable[str]) -> list[str]:
    """All that `find` takes without doubt, for completion: accounts, then providers, then aliases of their own."""
    known = list(accounts)
    providers = dict.fromkeys(name.partition("/")[0] for name in known)
    aliases = [name.partition("/")[2] for name in known]
    own = [alias for alias in aliases if aliases.count(alias) == 1 and alias not in providers]
    return [*known, *providers, *own]


def nothing(text: str, known: Sequence[str], words: Sequence[str], what: str = "account or provider") -> str:
    """Why `text` names none of the known accounts, and what to do; `words` is all that could have been meant."""
    if not known:
        return (
            f"there is no account {text}: no account is declared or stored; balancer accounts add PROVIDER stores one"
        )
    near = difflib.get_close_matches(text, words, n=1, cutoff=0.5)
    if near:
        return f"there is no {what} {text}; did you mean {near[0]}?"
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    return f"there is no {what} {text}; there are: {shown}"
