"""Where a session is survives a restart, apart from who made which resource."""

from collections.abc import Callable

import pytest
from store_helpers import eventually

from mitm_balancer.running.remembering import sessions
from mitm_balancer.store import Store
from mitm_balancer.store import store as module

type Opener = Callable[[], Store]


def test_kept_over_a_restart_newest_last(open_store: Opener) -> None:
    store = open_store()
    for row in (("k1", "p/a", 1.0), ("k2", "p/b", 2.0), ("k1", "p/c", 3.0)):
        store.save_binding(*row)
    store.save_owner("k3", "p/a", 1.0)
    expected = [("k2", "p/b", 2.0), ("k1", "p/c", 3.0)]
    assert store.bindings() == expected, "also while they wait to be written"
    store.close()
    store = open_store()
    assert store.bindings() == expected
    assert store.owners() == [("k3", "p/a", 1.0)]


def test_only_so_many_stay(open_store: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = {**module._HOUSEKEEPING, "binding": module._BOUND.format("bindings", 3)}
    monkeypatch.setattr(module, "_HOUSEKEEPING", bound)
    store = open_store()
    for n in range(7):
        store.save_binding(f"k{n}", "p/a", float(n))
    eventually(lambda: [key for key, _, _ in store.bindings()] == ["k4", "k5", "k6"])


def test_they_come_back_under_another_clock(open_store: Opener) -> None:
    """Stored in unix seconds, used in monotonic ones: a session keeps the rest of its day."""
    store = open_store()
    from mitm_balancer.proxy.session import Named

    first = sessions(store, 1_000_000.0, 50.0)
    tie = first.tie("p", Named("s"))
    assert tie is not None
    tie.bindings.bind(tie.keys.own, "p/a", 50.0)
    store.save_binding(tie.keys.own, "p/a", 1_000_000.0)
    day = 24 * 3600.0
    for later, home in ((10.0, "p/a"), (day - 1, "p/a"), (day + 1, None)):
        again = sessions(store, 1_000_000.0 + later, 7.0).tie("p", Named("s"))
        assert again is not None
        assert again.home(7.0) == home
