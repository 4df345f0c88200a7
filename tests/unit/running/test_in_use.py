"""The account in use survives the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.priority import Priority
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.providers.registry import BUILTIN
from mitm_balancer.proxy.runtime import ProviderPool
from mitm_balancer.running.in_use import KEY, InUse
from mitm_balancer.store import Store

PROVIDER = next(provider for provider in BUILTIN if provider.name == "anthropic")


def pool(*aliases: str) -> ProviderPool:
    targets = [TargetInfo(f"anthropic/{alias}", "anthropic") for alias in aliases]
    return ProviderPool(PROVIDER, {}, Priority(targets, "drain"), RetryBudget())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    tmp_path.chmod(0o700)
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def test_a_new_process_goes_on_where_the_last_one_stopped(store: Store) -> None:
    """With its exceptions, and with the choices that were obeyed; a pool that is made again is left alone."""
    before = pool("a", "b", "c")
    before.priority.restore({"": "anthropic/b", "opus": "anthropic/c"})
    InUse(store).save_if_changed({"anthropic": before}, {"anthropic": "anthropic/a"})
    in_use, after = InUse(store), pool("a", "b", "c")
    in_use.restore(after)
    assert after.priority.in_use == {"": "anthropic/b", "opus": "anthropic/c"}
    assert in_use.chosen == {"anthropic": "anthropic/a"}
    again = pool("a", "b", "c")
    in_use.restore(again)
    assert again.priority.in_use == {}


def test_it_is_written_when_it_has_changed(store: Store) -> None:
    """And what belongs to a provider without accounts is not lost meanwhile."""
    mine = pool("a")
    mine.priority.active = "anthropic/a"
    InUse(store).save_if_changed({"anthropic": mine, "openai": mine}, {})
    in_use = InUse(store)
    in_use.restore(mine)
    store.put_state(KEY, {"mark": 1})
    in_use.save_if_changed({"anthropic": mine}, {})
    written = store.get_state(KEY)
    assert written == {"mark": 1}, "nothing had changed"
    in_use.save_if_changed({"anthropic": mine}, {"anthropic": "anthropic/a"})
    written = store.get_state(KEY)
    assert written is not None
    assert written["pools"] == {"anthropic": {"": "anthropic/a"}, "openai": {"": "anthropic/a"}}


@pytest.mark.parametrize("row", [{"pools": 5, "chosen": []}, {"pools": {"anthropic": {"": 5}}}, {}])
def test_a_row_that_makes_no_sense_means_nothing(store: Store, row: dict[str, object]) -> None:
    """It may be of another version."""
    store.put_state(KEY, row)
    in_use, mine = InUse(store), pool("a")
    in_use.restore(mine)
    assert (mine.priority.in_use, in_use.chosen) == ({}, {})


def test_without_a_store_nothing_is_remembered() -> None:
    """And nothing fails."""
    in_use = InUse(None)
    in_use.restore(pool("a"))
    in_use.save_if_changed({"anthropic": pool("a")}, {})


def test_an_order_that_was_changed_counts(store: Store) -> None:
    """Whom the operator has put ahead goes first; who was left out, or stands behind, changes nothing."""
    before = pool("a", "b")
    before.priority.active = "anthropic/b"
    InUse(store).save_if_changed({"anthropic": before}, {})
    stays = {"": "anthropic/b"}
    for now, expected in ((pool("b", "a"), {}), (pool("c", "a", "b"), {}), (pool("a", "b", "c"), stays)):
        InUse(store).restore(now)
        assert now.priority.in_use == expected
    for now, expected in (
        (pool("c", "b"), {}),
        (pool("b", "a"), {"": "anthropic/b"}),
        (pool("b"), {"": "anthropic/b"}),
    ):
        now.priority.adopt(before.priority)
        assert now.priority.in_use == expected
