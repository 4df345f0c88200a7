"""Where a pair goes that an agent fetched by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.exchange import Exchange
from mitm_balancer.accounts.following import Fate, follows, learn
from mitm_balancer.accounts.model import Credential, StoredAccount
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store

ANN = {"account_uuid": "ann", "org": "o"}
NOW = time.time()
LATER = NOW + 3600


def login(access: str, refresh: str | None, who: dict[str, str] = ANN, ends: float | None = LATER) -> Credential:
    extra = {"client_id": "c"}
    return Credential("oauth", Secret(access), None if refresh is None else Secret(refresh), ends, who, extra)


def renewal(used: str | None, refresh: str = "r2", who: dict[str, str] = ANN) -> Exchange:
    return Exchange("anthropic", login("a2", refresh, who), None if used is None else Secret(used))


def tokens(book: AccountBook, name: str) -> tuple[str, str | None]:
    account = book.find(name)
    assert account is not None
    assert account.credential is not None
    refresh = account.credential.refresh
    return account.credential.secret.reveal(), refresh.reveal() if refresh is not None else None


def test_who_shares_the_refresh_token_is_renewed(book: AccountBook) -> None:
    book.save("anthropic", "a", login("a1", "r1", {"plan": "max"}), "add")
    assert learn(book, renewal("r1"), capturing=False, now=NOW).fate is Fate.RENEWED
    assert tokens(book, "anthropic/a") == ("a2", "r2")
    account = book.find("anthropic/a")
    assert account is not None
    assert account.credential is not None
    assert account.credential.identity == {"plan": "max"} | ANN
    assert learn(book, renewal("r1", "r3"), capturing=False, now=NOW).fate is Fate.NOTHING  # that token is history


def test_who_lives_on_access_tokens_gets_no_more(book: AccountBook) -> None:
    book.save("anthropic", "a", login("a1", None), "add")
    assert learn(book, renewal("unknown"), capturing=True, now=NOW).fate is Fate.RENEWED
    assert tokens(book, "anthropic/a") == ("a2", None)
    assert book.pending() == []


def test_a_login_apart_of_the_same_person_changes_nothing(book: AccountBook) -> None:
    """The account has a refresh token of its own; the agent's is another one."""
    book.save("anthropic", "a", login("a1", "r1"), "add")
    assert learn(book, renewal("another"), capturing=True, now=NOW).fate is Fate.NOTHING
    assert tokens(book, "anthropic/a") == ("a1", "r1")


def test_an_account_whose_login_is_over_goes_along_with_the_agents(book: AccountBook) -> None:
    """Nothing has renewed it for hours. The agent's refresh token stays the agent's."""
    book.save("anthropic", "a", login("a1", "dead", ends=NOW - 7200), "login")
    assert learn(book, renewal(None), capturing=False, now=NOW).fate is Fate.RENEWED
    assert tokens(book, "anthropic/a") == ("a2", None)


def test_one_that_has_just_ended_is_left_to_its_own_renewal(book: AccountBook) -> None:
    book.save("anthropic", "a", login("a1", "r1", ends=NOW - 60), "login")
    assert learn(book, renewal(None), capturing=True, now=NOW).fate is Fate.NOTHING
    assert tokens(book, "anthropic/a") == ("a1", "r1")


def test_somebody_else_changes_nothing(book: AccountBook) -> None:
    book.save("anthropic", "a", login("a1", None), "add")
    bob = renewal("unknown", who={"account_uuid": "bob", "org": "o"})
    assert learn(book, bob, capturing=False, now=NOW).fate is Fate.NOTHING
    assert learn(book, bob, capturing=True, now=NOW).fate is Fate.PENDING
    assert tokens(book, "anthropic/a") == ("a1", None)
    assert [pending.provider for pending in book.pending()] == ["anthropic"]


def test_another_provider_with_the_same_token_changes_nothing(book: AccountBook) -> None:
    book.save("kimi", "a", login("a1", "r1"), "add")
    assert learn(book, renewal("r1"), capturing=False, now=NOW).fate is Fate.NOTHING
    assert tokens(book, "kimi/a") == ("a1", "r1")


def test_who_was_renewed_in_the_meantime_is_told(books: Callable[[], AccountBook], store: Store, home: Path) -> None:
    """Another process renews it between our reading and our writing."""
    other = books()

    class Raced(AccountBook):
        def all(self) -> list[StoredAccount]:
            found = super().all()
            other.renew("anthropic/a", login("ours", "r-ours"), generation=1)
            return found

    other.save("anthropic", "a", login("a1", "r1"), "add")
    assert learn(Raced(store, Vault.open(home)), renewal("r1"), capturing=False, now=NOW).fate is Fate.LATE
    assert tokens(other, "anthropic/a") == ("ours", "r-ours")


def _fields(account: StoredAccount, credential: Credential) -> dict[str, object]:
    fields = {name: getattr(account, name) for name in StoredAccount.__dataclass_fields__}
    return fields | {"credential": credential, "generation": 2}


@pytest.mark.parametrize(
    ("credential", "concerned"),
    [
        (login("a", "r"), True),
        (login("a", None), True),
        (login("a", None, ends=None), False),  # claude setup-token
        (Credential("api", Secret("k")), False),
        (None, False),
    ],
    ids=["pair", "access-only", "setup-token", "key", "bad-row"],
)
def test_whom_an_agents_refreshes_concern(book: AccountBook, credential: Credential | None, concerned: bool) -> None:
    saved = book.save("anthropic", "a", login("x", "y"), "add")
    assert follows(StoredAccount(**(_fields(saved, login("x", "y")) | {"credential": credential}))) is concerned
