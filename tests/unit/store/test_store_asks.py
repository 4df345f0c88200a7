"""Asking a running proxy through the store."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mitm_balancer.store import Store, StoreError
from mitm_balancer.store.asks import KEPT, ask, asked, replied, reply


@pytest.fixture
def store(tmp_path: Path):
    store = Store.open(tmp_path / "home")
    yield store
    store.close()


def test_an_ask_goes_over_and_its_answer_comes_back(store: Store, tmp_path: Path) -> None:
    proxy = Store.open(tmp_path / "home")
    proxy.changed()

    first = ask(store, "clear", {"names": ["a/b"], "model": None})
    second = ask(store, "obey", {})

    assert proxy.changed(), "the proxy sees that there is something"
    found = asked(proxy, time.time() - 5, time.time())
    assert [(a.seq, a.verb, dict(a.args)) for a in found] == [
        (first, "clear", {"names": ["a/b"], "model": None}),
        (second, "obey", {}),
    ]
    assert replied(store, first) is None
    reply(proxy, first, {"cleared": ["a/b"]})
    assert replied(store, first) == {"cleared": ["a/b"]}
    assert replied(store, second) is None
    left = [(a.seq, a.answered) for a in asked(proxy, time.time() - 5, time.time())]
    assert left == [(first, True), (second, False)], "clear is for every proxy of the home"
    reply(proxy, second, {})
    assert [a.seq for a in asked(proxy, time.time() - 5, time.time())] == [first], (
        "what one has done is not asked of another"
    )
    proxy.close()


def test_the_first_answer_counts(store: Store) -> None:
    number = ask(store, "obey", {})
    reply(store, number, {"by": 1})
    reply(store, number, {"by": 2})
    assert replied(store, number) == {"by": 1}


def test_what_nobody_waits_for_is_not_answered(store: Store) -> None:
    ask(store, "obey", {})
    assert asked(store, time.time() + 1, time.time(), 1) == []


def test_the_table_does_not_grow(store: Store) -> None:
    numbers = [ask(store, "obey", {}) for _ in range(KEPT + 20)]
    assert [a.seq for a in asked(store, 0, time.time())] == numbers[-KEPT:]


def test_nonsense_of_another_hand_is_an_ask_without_arguments(store: Store) -> None:
    number = ask(store, "clear", {})
    store.transact(lambda connection: connection.execute("UPDATE asks SET args = '[broken'"))
    assert [dict(a.args) for a in asked(store, 0, time.time())] == [{}]
    store.transact(lambda connection: connection.execute("UPDATE asks SET answer = '7'"))
    assert replied(store, number) == {}


def test_a_store_that_cannot_be_written_says_so(store: Store) -> None:
    store.transact(lambda connection: connection.execute("DROP TABLE asks"))
    with pytest.raises(StoreError, match="cannot be written"):
        ask(store, "obey", {})
