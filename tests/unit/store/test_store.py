"""The store's everyday: what is written is read, by this process at once and by others soon."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from store_helpers import cooldown, eventually

from mitm_balancer.secrets import Secret
from mitm_balancer.store import CooldownRow, Store, remaining, writer

type Opener = Callable[[], Store]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (1000.0, 1000.0),
        (1500.0, 500.0),
        (2000.0, 0.0),
        (9e9, 0.0),  # the clock went forward, or long ago
        (990.0, 1000.0),  # NTP stepped back a little: never more than the duration
        (940.0, 1000.0),
        (939.0, 1000.0),  # the clock went back: `until` means nothing
        (0.0, 1000.0),
    ],
)
def test_remaining(now: float, expected: float) -> None:
    assert remaining(cooldown(until=2000.0, observed_at=1000.0, duration=1000.0), now) == expected


def test_remaining_counts_in_full_only_after_a_jump_back() -> None:
    # until - now is 400 here, but the duration was 50: what was observed bounds it.
    row = cooldown(until=1400.0, observed_at=1000.0, duration=50.0)
    assert remaining(row, 1000.0) == 50.0
    # A reset that had nearly come when the clock went back two minutes: all of it counts again.
    row = cooldown(until=1010.0, observed_at=1000.0, duration=500.0)
    assert remaining(row, 941.0) == 69.0
    assert remaining(row, 939.0) == 500.0
    assert remaining(cooldown(duration=-1.0), 0.0) == 0.0


def test_everything_survives_a_restart(open_store: Opener) -> None:
    store = open_store()
    assert store.save_cooldown(cooldown(model="m", strikes=3)).result(5) is True
    store.put_state("status", {"pid": 1, "deep": [1, {"a": None}]})
    store.add_trace("r1", {"attempts": 2})
    store.set_account_flag("a/b", "paused", True)
    store.set_account_flag("a/b", "note", "till monday")
    store.add_event("failover", "a/b", "went on", {"n": 1})
    store.close()
    store = open_store()
    assert store.cooldowns() == [cooldown(model="m", strikes=3)]
    assert store.get_state("status") == {"pid": 1, "deep": [1, {"a": None}]}
    assert store.get_state("other") is None
    assert store.get_trace("r1") == store.get_trace("last") == {"attempts": 2}
    assert store.get_trace("r2") is None
    assert store.account_flags() == {"a/b": {"paused": True, "note": "till monday"}}
    (event,) = store.events()
    assert (event.type, event.account, event.message, event.data) == ("failover", "a/b", "went on", {"n": 1})
    assert store.events(after=event.seq) == []
    assert store.healthy is None


def test_an_empty_store_says_so(store: Store) -> None:
    assert (store.cooldowns(), store.account_flags(), store.events()) == ([], {}, [])
    assert store.get_trace("last") is None


@pytest.mark.parametrize("delay", [0.0, 60.0], ids=["written", "waiting"])
def test_reads_see_own_writes(open_store: Opener, monkeypatch: pytest.MonkeyPatch, delay: float) -> None:
    monkeypatch.setattr(writer, "BATCH_DELAY", delay)
    store = open_store()
    for n in range(3):
        store.put_state("k", {"n": n})
        store.add_trace("r", {"n": n})
        store.add_trace("s", {"n": -n})
    if not delay:
        eventually(lambda: not store._writer.pending("trace") and not store._writer.pending("state"))
    assert store.get_state("k") == {"n": 2}
    assert store.get_trace("r") == {"n": 2}
    assert store.get_trace("last") == {"n": -2}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stuck", [False, True], ids=["written", "waiting"])
def test_cooldowns_and_flags_in_their_order(open_store: Opener, stuck: bool) -> None:
    store, other = open_store(), open_store()
    if stuck:
        other._database.connection().execute("BEGIN IMMEDIATE")
    store.save_cooldown(cooldown("a/x", "m1"))
    store.save_cooldown(cooldown("a/x", "m2"))
    store.save_cooldown(cooldown("a/x"))
    store.save_cooldown(cooldown("a/xy"))
    store.clear_cooldown("a/x")
    store.save_cooldown(cooldown("a/xy", strikes=9))
    rows = {(row.name, row.model): row.strikes for row in store.cooldowns()}
    assert rows == {("a/x", "m1"): 1, ("a/x", "m2"): 1, ("a/xy", ""): 9}
    store.clear_cooldown("a/x", None)
    store.save_cooldown(cooldown("a/x", "m3"))
    store.set_account_flag("a/x", "paused", True)
    store.set_account_flag("a/x", "drained", True)
    store.set_account_flag("a/x", "paused", False)
    for stage in range(2):
        assert [(row.name, row.model) for row in store.cooldowns()] == [("a/xy", ""), ("a/x", "m3")]
        assert store.account_flags() == {"a/x": {"drained": True}}
        if stage == 0:
            if stuck:
                assert store._writer.pending("cooldown")
                other._database.connection().execute("COMMIT")
            eventually(lambda: not store._writer.pending("cooldown") and not store._writer.pending("flag"))
    assert other.account_flags() == {"a/x": {"drained": True}}


def test_changed_tells_of_others_only(open_store: Opener) -> None:
    store, other = open_store(), open_store()
    assert not store.changed()
    store.set_account_flag("a/b", "paused", True).result(5)
    assert not store.changed()
    assert other.changed()
    assert not other.changed()
    other.put_state("k", {})
    eventually(store.changed)
    assert not store.changed()


def test_another_process_sees_a_batched_write_within_a_second(open_store: Opener) -> None:
    store, other = open_store(), open_store()
    store.put_state("k", {"a": 1})
    eventually(lambda: other.get_state("k") == {"a": 1}, timeout=4)


def test_traces_and_events_are_bounded(open_store: Opener) -> None:
    store = open_store()
    for n in range(5100):
        store.add_trace(f"r{n}", {"n": n})
    store.close()
    store = open_store()
    kept = [n for n in range(5100) if store.get_trace(f"r{n}") is not None]
    assert kept == list(range(100, 5100))
    # A trace that is told again counts once and becomes the newest.
    store.add_trace("r100", {"n": "again"})
    store.close()
    store = open_store()
    assert store.get_trace("last") == {"n": "again"}
    assert store.get_trace("r101") is not None


def test_what_cannot_be_stored_holds_up_nothing_else(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    circular: dict[str, object] = {}
    circular["self"] = circular
    store.put_state("circular", circular)
    store.put_state("odd", {"secret": Secret("PLANTED"), "set": {1}, (1, 2): 3})  # type: ignore[dict-item]
    store.add_trace("\ud800", {"PLANTED": 1})
    bad = store.save_cooldown(cooldown("a/\ud800"))
    huge = store.save_cooldown(cooldown("a/huge", strikes=2**70))
    good = store.save_cooldown(cooldown("a/good"))
    assert good.result(5) is True
    assert bad.result(5) is True
    assert huge.result(5) is True
    assert [row.name for row in store.cooldowns()] == ["a/good"]
    assert store.healthy is None
    assert store.get_state("circular") == {"unreadable": "dict"}
    assert store.get_state("odd") == {"secret": "Secret(***)", "set": [1], "(1, 2)": 3}
    assert "the store refused a cooldown record: UnicodeEncodeError" in caplog.text
    assert "PLANTED" not in caplog.text


async def test_a_durable_write_can_be_awaited_and_not_be_cancelled(store: Store) -> None:
    future = store.save_cooldown(cooldown())
    assert await asyncio.wrap_future(future) is True
    assert not store.save_cooldown(cooldown()).cancel()


def test_writes_are_taken_in_microseconds(store: Store) -> None:
    started = time.perf_counter()
    for n in range(1000):
        store.add_trace(str(n), {"n": n})
        store.save_cooldown(cooldown())
    assert (time.perf_counter() - started) / 2000 < 0.001


def test_no_write_after_close_raises(home: Path) -> None:
    store = Store.open(home)
    store.close()
    store.put_state("k", {})
    assert store.save_cooldown(cooldown()).result(5) is False
    store.close()


def test_rows_are_frozen() -> None:
    with pytest.raises(AttributeError):
        cooldown().until = 1.0  # type: ignore[misc]
    assert CooldownRow.__slots__


def test_one_bad_trace_does_not_take_its_batch_along(store: Store) -> None:
    """Traces are written many at a time; the row at fault is found, the others are kept."""
    for number in range(5):
        store.add_trace(f"good{number}", {"n": number})
    store.add_trace("\ud800", {"n": -1})
    store.add_trace("last-one", {"n": 9})
    assert store.save_cooldown(cooldown("a/x")).result(5)
    assert [store.get_trace(f"good{number}") for number in range(5)] == [{"n": number} for number in range(5)]
    assert store.get_trace("last-one") == {"n": 9}
