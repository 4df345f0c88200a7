"""Whether two credentials are the same account (behaviour spec 2.2, with its two faults mended).

A workspace id alone does not tell its members apart, and a rotated refresh token is no new account: the person counts
first, then the workspace, then the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mitm_balancer.accounts.model import Credential
from mitm_balancer.providers.identity import account_fields, jwt_claims

PERSON = ("account_uuid", "user_id")
"""Words that name one person at the provider for good."""

WORKSPACE = ("account_id", "org", "enterprise_url")
"""Words for what several persons may share, and one person may have several of."""

_OPENAI_AUTH, _OPENAI_PROFILE = "https://api.openai.com/auth", "https://api.openai.com/profile"


def same_account(provider: str, one: Credential, other: Credential) -> bool:
    """Whether both belong to one account of that provider."""
    if one.kind != other.kind:
        return False
    if one.secret == other.secret:
        return True
    if one.kind != "oauth":
        return False
    if one.refresh is not None and one.refresh == other.refresh:
        return True
    mine, theirs = known_identity(provider, one), known_identity(provider, other)
    if any(_differ(word, mine, theirs) for word in WORKSPACE):
        return False
    for word in (*PERSON, "email"):
        if word in mine and word in theirs:
            return mine[word].casefold() == theirs[word].casefold()
    return "account_id" in mine and "account_id" in theirs


def known_identity(provider: str, credential: Credential) -> dict[str, str]:
    """The words that are stored with it, and those that its token itself tells (unverified: it is the user's own)."""
    claims = jwt_claims(credential.secret.reveal()) if credential.kind == "oauth" else {}
    told = account_fields(provider, credential.secret.reveal())
    for word, found in _claimed(claims):
        told.setdefault(word, found)
    return told | {word: value for word, value in credential.identity.items() if value}


def marks(provider: str, credential: Credential) -> tuple[str, ...]:
    """Texts that each recognise this account again: what is kept of a dismissed one, as keyed fingerprints only."""
    found = [f"{credential.kind}\0secret\0{credential.secret.reveal()}"]
    if credential.refresh is not None:
        found.append(f"{credential.kind}\0refresh\0{credential.refresh.reveal()}")
    identity = known_identity(provider, credential) if credential.kind == "oauth" else {}
    person = next(((word, identity[word]) for word in (*PERSON, "email") if word in identity), None)
    workspace = next((identity[word] for word in WORKSPACE if word in identity), "")
    if person is not None or workspace:
        word, value = person or ("", "")
        found.append(f"{credential.kind}\0{word}\0{value.casefold()}\0{workspace}")
    return tuple(f"{provider}\0{mark}" for mark in found)


def _differ(word: str, mine: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    return word in mine and word in theirs and mine[word] != theirs[word]


def _claimed(claims: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Who a ChatGPT token says that its owner is (wire-facts 3.2)."""
    auth, profile = claims.get(_OPENAI_AUTH), claims.get(_OPENAI_PROFILE)
    places = (("user_id", auth, "chatgpt_user_id"), ("user_id", auth, "user_id"), ("email", profile, "email"))
    for word, place, key in places:
        value = place.get(key) if isinstance(place, dict) else None
        if isinstance(value, str) and value:
            yield word, value
