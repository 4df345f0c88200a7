"""Who would serve now, as a store tells it: the same parts decide as in the proxy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mitm_balancer.config import parse
from mitm_balancer.running.preview import Pick, picks
from mitm_balancer.store import CooldownRow, Store

ACCOUNTS = """\
accounts:
  - {provider: anthropic, alias: a, credential: k}
  - {provider: anthropic, alias: b, credential: k, models: ["claude-*"]}
  - {provider: zai, alias: z, credential: k}
"""
MATRIX = "priority: {providers: [{provider: anthropic}, {provider: zai, model: {'*haiku*': air, '*': glm}}]}\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


def cool(store: Store, name: str, model: str = "") -> None:
    now = time.time()
    assert store.save_cooldown(CooldownRow(name, model, now + 600, now, 600.0, "RateLimited: limit", 1)).result()


def seen(text: str, store: Store | None, model: str = "", **unusable: str) -> dict[str, Pick]:
    named = {name.replace("_", "/"): why for name, why in unusable.items()}
    return {pick.provider: pick for pick in picks(parse(text, "c"), store, named, model)}


def test_without_a_store() -> None:
    found = seen(ACCOUNTS, None)
    assert {name: pick.account for name, pick in found.items()} == {"anthropic": "anthropic/a", "zai": "zai/z"}
    assert found["anthropic"].because == "operator order"


def test_cooldowns_states_and_what_cannot_be_used(store: Store) -> None:
    cool(store, "anthropic/a")
    found = seen(ACCOUNTS, store)["anthropic"]
    assert found.account == "anthropic/b"
    ((name, why, back),) = found.passed_over
    assert (name, why) == ("anthropic/a", "limit")
    assert back == pytest.approx(600, abs=5)
    assert store.set_account_flag("anthropic/b", "paused", True).result()
    assert seen(ACCOUNTS, store)["anthropic"].account == ""
    assert seen(ACCOUNTS, None, anthropic_a="no key")["anthropic"].account == "anthropic/b"


def test_a_provider_that_stands_in(store: Store) -> None:
    for name in ("anthropic/a", "anthropic/b"):
        cool(store, name)
    found = seen(ACCOUNTS + MATRIX, store)["anthropic"]
    assert (found.account, found.because) == ("zai/z", "in place of anthropic")
    found = seen(ACCOUNTS + MATRIX, store, "claude-haiku-4")["anthropic"]
    assert (found.account, found.model) == ("zai/z", "air")
    assert seen(ACCOUNTS + MATRIX + "balancing: false\n", store)["anthropic"].account == ""


def test_a_model_that_nobody_here_has(store: Store) -> None:
    cool(store, "anthropic/a")
    assert seen(ACCOUNTS, store, "gpt-5")["anthropic"].account == ""
    assert seen(ACCOUNTS, store, "claude-x")["anthropic"].account == "anthropic/b"


def test_the_choice_of_the_user_counts(store: Store) -> None:
    assert store.set_setting("active", {"anthropic": "anthropic/b"}).result()
    assert seen(ACCOUNTS, store)["anthropic"].account == "anthropic/b"


def test_a_provider_that_is_switched_off(store: Store) -> None:
    off = "priority: {providers: [{provider: anthropic, enabled: false}, {provider: zai}]}\n"
    found = seen(ACCOUNTS + off, store)
    assert (found["anthropic"].account, found["anthropic"].model) == ("zai/z", "")
    alone = "priority: {providers: [{provider: anthropic, enabled: false}]}\n"
    assert "anthropic" not in seen(ACCOUNTS + alone, store), "nobody could serve its clients: a blind tunnel"
