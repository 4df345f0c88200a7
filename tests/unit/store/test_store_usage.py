"""Usage and limit windows in the store: counts add up, windows are replaced, old ones go."""

import time
from collections.abc import Callable

from store_helpers import eventually

from mitm_balancer.store import Store, UsageRow, WindowRow
from mitm_balancer.store.store import USAGE_DAYS_KEPT, WINDOW_SECONDS_KEPT

type Opener = Callable[[], Store]

TODAY = time.strftime("%Y-%m-%d")


def day_before(days: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - days * 86400))


def test_counts_add_up_over_flushes_processes_and_restarts(open_store: Opener) -> None:
    one, other = open_store(), open_store()
    row = UsageRow(TODAY, "anthropic/work", "claude", 2, 1, 10, 20, 3, 4, 5)
    one.add_usage([row, row])
    other.add_usage([row, UsageRow(TODAY, "anthropic/work", "", 1)])
    one.close()
    other.close()

    found = {(row.account, row.model): row for row in open_store().usage(TODAY)}
    assert found == {
        ("anthropic/work", "claude"): UsageRow(TODAY, "anthropic/work", "claude", 6, 3, 30, 60, 9, 12, 15),
        ("anthropic/work", ""): UsageRow(TODAY, "anthropic/work", "", 1),
    }


def test_a_day_is_asked_for_by_itself_and_old_ones_go(store: Store) -> None:
    old, young = day_before(USAGE_DAYS_KEPT + 2), day_before(USAGE_DAYS_KEPT - 2)
    store.add_usage([UsageRow(day, "a/b", "m", 1) for day in (old, young, TODAY)])
    eventually(lambda: not store.usage_waiting)

    assert [store.usage(day) for day in (old, young)] == [[], [UsageRow(young, "a/b", "m", 1)]]
    assert store.usage(TODAY) == [UsageRow(TODAY, "a/b", "m", 1)]


def test_what_is_not_on_disk_is_said_to_wait(store: Store) -> None:
    assert not store.usage_waiting
    store.add_usage([UsageRow(TODAY, "a/b", "m", 1)])
    assert store.usage_waiting
    eventually(lambda: not store.usage_waiting)


def test_the_newest_state_of_a_window_counts(open_store: Opener) -> None:
    store, now = open_store(), time.time()
    gone = WindowRow("a/b", "monthly", now - WINDOW_SECONDS_KEPT - 9)
    full = WindowRow("a/b", "7d", now, 42.5, 10.0, 100.0, now + 60, "allowed_warning", 300)
    store.save_windows([WindowRow("a/b", "5h", now - 5, 10.0), full, gone])
    store.save_windows([WindowRow("a/b", "5h", now, 20.0)])
    store.close()

    assert sorted(open_store().windows(), key=lambda row: row.name) == [WindowRow("a/b", "5h", now, 20.0), full]
