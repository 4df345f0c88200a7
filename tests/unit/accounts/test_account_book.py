"""The book: what is saved comes back, known accounts are refreshed, names move with all that hangs on them."""

from collections.abc import Callable

import pytest
from account_samples import key, login

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountError, AccountSettings, StoredAccount
from mitm_balancer.store import CooldownRow, Store, UsageRow, WindowRow

type Books = Callable[[], AccountBook]


def cooldown(name: str, reason: str = "QuotaExhausted: five hours") -> CooldownRow:
    return CooldownRow(name, "", 2e9, 1.0, 2e9, reason)


def essence(account: StoredAccount | None) -> object:
    assert account is not None
    assert account.credential is not None
    return (account.name, account.credential, account.generation, account.settings, account.source)


def test_what_was_saved_comes_back_in_another_process(book: AccountBook, books: Books) -> None:
    credential = login("tok", "ref", email="me@example.com", account_uuid="u-1")
    settings = AccountSettings(2, 0.5, ("claude-*",), "https://gate.example/x", 3, ("work",))
    saved = book.save("anthropic", " Work Account!! ", credential, "login", settings)

    assert essence(books().find("anthropic/work-account")) == essence(saved)
    assert saved.credential == credential
    assert saved.settings == settings
    assert (saved.generation, saved.kind, saved.expires_at, saved.problem) == (1, "oauth", 2e9, "")


def test_a_known_credential_is_refreshed_under_its_old_name(book: AccountBook) -> None:
    book.save("anthropic", "work", login("a1", "r1", account_uuid="u"), "login", AccountSettings(priority=3))
    again = book.save("anthropic", "other", login("a2", "r2", account_uuid="u"), "import:claude")

    assert [account.name for account in book.all()] == ["anthropic/work"]
    assert (again.name, again.generation, again.source) == ("anthropic/work", 2, "import:claude")
    assert again.settings.priority == 3
    assert again.credential is not None
    assert again.credential.secret.reveal() == "a2"


def test_no_alias_gives_five_characters(book: AccountBook) -> None:
    alias = book.save("openai", None, key("one"), "add").alias
    assert len(alias) == 5
    assert alias.isalnum()
    assert book.save("openai", None, key("two"), "add").alias != alias


def test_a_renewal_of_an_older_generation_writes_nothing(book: AccountBook, books: Books) -> None:
    first = book.save("codex", "me", login("a1", "r1"), "login")
    renewed = book.renew(first.name, login("a2", "r2"), generation=first.generation)
    assert renewed is not None
    assert renewed.generation == 2

    assert books().renew(first.name, login("a3", "r3"), generation=first.generation) is None
    assert book.renew("codex/nobody", login("a3", "r3"), generation=1) is None
    found = books().find("codex/me")
    assert found is not None
    assert found.credential is not None
    assert found.credential.refresh is not None
    assert found.credential.refresh.reveal() == "r2"


def test_another_owner_under_an_old_alias_starts_clean(book: AccountBook, store: Store) -> None:
    before = book.save("anthropic", "work", key("old"), "add", AccountSettings(priority=5))
    store.save_cooldown(cooldown("anthropic/work")).result(5)
    after = book.save("anthropic", "work", key("new"), "add")

    assert store.cooldowns() == []
    assert after.id != before.id
    assert after.generation == before.generation + 1
    assert after.settings.priority == 5
    assert len(book.all()) == 1


def test_what_a_request_left_behind_a_removed_account_is_not_inherited(book: AccountBook, store: Store) -> None:
    book.save("anthropic", "work", key("old"), "add")
    book.remove("anthropic/work")
    store.save_cooldown(cooldown("anthropic/work")).result(5)
    book.save("anthropic", "work", key("new"), "add")
    assert store.cooldowns() == []


def test_new_tokens_of_an_account_end_a_refusal_but_no_limit(book: AccountBook, store: Store) -> None:
    saved = book.save("codex", "me", login("a1", "r1"), "login")
    for row in (cooldown("codex/me"), CooldownRow("codex/me", "gpt", 2e9, 1.0, 2e9, "AuthFailure: expired")):
        store.save_cooldown(row).result(5)
    book.renew("codex/me", login("a2", "r2"), generation=saved.generation)
    assert [row.reason for row in store.cooldowns()] == ["QuotaExhausted: five hours"]


def test_a_rename_takes_everything_along(book: AccountBook, store: Store) -> None:
    book.save("anthropic", "old", key("one"), "add", activate=True)
    book.save("anthropic", "other", key("two"), "add")
    store.add_usage([UsageRow("2026-01-01", "anthropic/old", "m", answers=3)])
    store.add_usage([UsageRow("2026-01-01", "anthropic/new", "m", answers=7)])
    store.save_windows([WindowRow("anthropic/old", "5h", 2e9), WindowRow("anthropic/new", "5h", 1.9e9)])
    store.save_binding("session", "anthropic/old", 1.0)
    store.save_owner("resource", "anthropic/old", 1.0)
    store.set_setting("order", {"anthropic/old": 4, "anthropic/new": 9}).result(5)
    store.set_setting("pins", {"session": "anthropic/old"}).result(5)
    store.put_state("in_use", {"pools": {"anthropic": {"": "anthropic/old"}}})
    store.save_cooldown(cooldown("anthropic/old")).result(5)
    store.save_cooldown(cooldown("anthropic/new", "of an account long gone")).result(5)
    store.set_account_flag("anthropic/old", "paused", True).result(5)

    assert book.rename("anthropic/old", "New").name == "anthropic/new"

    assert [account.name for account in book.all()] == ["anthropic/new", "anthropic/other"]
    assert store.cooldowns() == [cooldown("anthropic/new")]
    assert store.account_flags() == {"anthropic/new": {"paused": True}}
    assert [(row.account, row.answers) for row in store.usage("2026-01-01")] == [("anthropic/new", 3)]
    assert [(row.account, row.seen_at) for row in store.windows()] == [("anthropic/new", 2e9)]
    assert store.bindings() == [("session", "anthropic/new", 1.0)]
    assert store.owners() == [("resource", "anthropic/new", 1.0)]
    settings = store.settings()
    assert settings.pop("active_at").keys() == {"anthropic"}
    assert settings == {
        "active": {"anthropic": "anthropic/new"},
        "order": {"anthropic/new": 4},
        "pins": {"session": "anthropic/new"},
    }
    assert store.get_state("in_use") == {"pools": {"anthropic": {"": "anthropic/new"}}}


def test_a_rename_never_clobbers(book: AccountBook) -> None:
    book.save("anthropic", "one", key("one"), "add")
    book.save("anthropic", "two", key("two"), "add")
    with pytest.raises(AccountError, match="Account already exists: anthropic/two"):
        book.rename("anthropic/one", "two")
    with pytest.raises(AccountError, match="Account not found: anthropic/nobody"):
        book.rename("anthropic/nobody", "three")
    assert book.rename("anthropic/one", "one").name == "anthropic/one"


def test_after_a_removal_the_next_in_order_is_chosen(book: AccountBook, store: Store) -> None:
    for alias in ("first", "second", "third"):
        book.save("anthropic", alias, key(alias), "add", activate=alias == "second")
    store.save_cooldown(cooldown("anthropic/second")).result(5)
    store.set_account_flag("anthropic/second", "disabled", True).result(5)

    assert book.remove("anthropic/second", ["anthropic/second", "anthropic/third", "anthropic/first"]) == (
        "anthropic/third"
    )

    assert store.settings()["active"] == {"anthropic": "anthropic/third"}
    assert store.cooldowns() == []
    assert store.account_flags() == {}
    assert book.remove("anthropic/first") is None
    assert book.remove("anthropic/third") is None
    assert store.settings() == {}
    with pytest.raises(AccountError, match="Account not found"):
        book.remove("anthropic/third")


def test_a_bad_row_disables_itself_only(book: AccountBook, books: Books, store: Store) -> None:
    good, bad = book.save("openai", "good", key("one"), "add"), book.save("openai", "bad", key("two"), "add")

    def spoil(sql: str) -> StoredAccount:
        store.transact(lambda connection: connection.execute(sql, (bad.id,)))
        found, other = books().find("openai/bad"), books().find("openai/good")
        assert essence(other) == essence(good)
        assert found is not None
        return found

    unsettled = spoil("UPDATE accounts SET settings = '[1' WHERE id = ?")
    assert "settings" in unsettled.problem
    assert unsettled.credential is None
    store.transact(lambda c: c.execute("UPDATE accounts SET settings = '{}' WHERE id = ?", (bad.id,)))
    swapped = spoil("UPDATE accounts SET sealed = (SELECT sealed FROM accounts WHERE alias = 'good') WHERE id = ?")
    assert swapped.credential is None
    assert "was changed" in swapped.problem
    assert "damaged" in spoil("UPDATE accounts SET sealed = x'00' WHERE id = ?").problem
    assert "damaged" in spoil("UPDATE accounts SET sealed = NULL WHERE id = ?").problem
    assert book.save("openai", "bad", key("three"), "add").problem == ""
    found = books().find("openai/bad")
    assert found is not None
    assert found.credential is not None


def test_captured_credentials_wait_for_a_decision(book: AccountBook, books: Books) -> None:
    book.save("anthropic", "known", login("a", "r", account_uuid="u-known"), "login")
    assert book.capture("anthropic", login("a2", "r2", account_uuid="u-known"), "http") is None

    seen = book.capture("anthropic", login("b", "s", account_uuid="u-new"), "http")
    assert seen is not None
    again = book.capture("anthropic", login("b2", "s2", account_uuid="u-new"), "http")
    assert again is not None
    assert again.id == seen.id
    (waiting,) = books().pending()
    assert waiting.credential is not None
    assert waiting.credential.secret.reveal() == "b2"

    saved = book.accept(seen.id, "mine")
    assert (saved.name, saved.source) == ("anthropic/mine", "http")
    assert book.pending() == []
    with pytest.raises(AccountError, match="nothing is pending"):
        book.accept(seen.id, None)


def test_a_dismissed_credential_is_forgotten_and_not_asked_about_again(book: AccountBook, store: Store) -> None:
    seen = book.capture("openai", key("CANARY-dismissed"), "http")
    assert seen is not None
    book.dismiss(seen.id)

    assert book.pending() == []
    assert book.capture("openai", key("CANARY-dismissed"), "http") is None
    assert book.capture("openai", key("another"), "http") is not None
    kept = store.read("SELECT * FROM dismissed")
    assert len(kept) == 1
    assert "CANARY" not in str(kept)
