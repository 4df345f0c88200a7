"""What has become of stored accounts between two looks of a running proxy."""

import dataclasses
from pathlib import Path

from mitm_balancer.accounts.model import AccountSettings, Credential, StoredAccount
from mitm_balancer.running.stored_accounts import Fates, StoredAccounts, fates
from mitm_balancer.secrets import Secret


def account(row: str, alias: str, generation: int = 1) -> StoredAccount:
    credential = Credential("api", Secret(f"{row}-{generation}"))
    return StoredAccount(row, "openai", alias, credential, generation, AccountSettings(), "add", 1.0, 1.0)


NOTHING = Fates({}, frozenset(), frozenset())


def test_each_fate_is_told_from_the_others() -> None:
    old = [account("1", "same"), account("2", "old"), account("3", "gone"), account("4", "taken"), account("5", "new")]
    new = [account("1", "same"), account("2", "renamed"), account("9", "taken"), account("5", "new", 2),
           account("6", "fresh")]  # fmt: skip
    found = fates(old, new)
    assert found.renamed == {"openai/old": "openai/renamed"}
    assert found.others == {"openai/gone", "openai/taken", "openai/fresh"}
    assert found.renewed == {"openai/new"}
    assert fates(new, new) == NOTHING


def test_what_an_earlier_process_learnt_holds_at_the_start(tmp_path: Path) -> None:
    stored = StoredAccounts(None, tmp_path)
    assert stored.take([account("1", "a")]) == NOTHING
    assert stored.take([account("1", "a"), account("2", "b")]).others == {"openai/b"}


def test_when_it_was_used_makes_no_other_account() -> None:
    one = account("1", "a")
    assert one == dataclasses.replace(one, last_used_at=5.0)
    assert one != dataclasses.replace(one, generation=2)
