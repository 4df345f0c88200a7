"""Cooldowns go to the store and come back, once. What happens goes to the store and to whoever listens, once."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.ops.audit import AuditLog
from mitm_balancer.ops.events import EventType
from mitm_balancer.running.recording import Listeners, Recording, restore_cooldowns
from mitm_balancer.store import EventRow, KnownRows, Store

LIMITED = Outcome(Verdict.RATE_LIMITED, "rate_limit_error", Scope.ACCOUNT, 3600.0, redispatch=True)


def test_what_the_recorder_wrote_is_not_read_again(tmp_path: Path) -> None:
    """To the last bit of its times: the end that is known by the monotonic clock is the better one."""
    store, known = Store.open(tmp_path / "home"), KnownRows()
    health = Health(random.Random(1))
    cooldown = health.record("anthropic/a", "opus", LIMITED, 5000.0)
    assert cooldown is not None
    recording = Recording(store, known)
    recording.cooldown(cooldown)
    recording.close()
    store.close()
    again = Store.open(tmp_path / "home")
    rows = again.cooldowns()
    again.close()
    assert len(rows) == 1
    assert known.unknown(rows) == []
    restarted = KnownRows()
    later = Health(random.Random(1))
    restore_cooldowns(later, restarted.unknown(rows), rows[0].observed_at + 600.0, 90.0)
    block = later.blocked("anthropic/a", "sonnet", 90.0)
    assert block is not None
    assert block.until is not None
    assert abs(block.until - (90.0 + cooldown.duration - 600.0)) < 1e-3


# -- events ---------------------------------------------------------------------------------------------------------

RECORD = {
    "id": "aaaabbbbcccc", "at": 1_790_000_000.0, "request": "POST x/y", "attempts": [], "provider": "anthropic",
    "kind": "inference", "model": "opus", "stream": False, "account": "none", "status": 429, "head_seconds": 0.1,
    "seconds": 0.1, "bytes_out": 5, "ended": "complete", "exhausted": True, "back_in": 60.0, "stopped": "all cool",
}  # fmt: skip
REFUSED = Outcome(Verdict.AUTH_FAILURE, "authentication_error", Scope.ACCOUNT, redispatch=True)


class Lines:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.data += data

    def close(self) -> None:
        self.closed = True

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.data.splitlines()]


def recorder(store: Store | None) -> tuple[Recording, Lines]:
    lines = Lines()
    recording = Recording(store, KnownRows())
    recording.listen(Listeners(AuditLog(lines)))
    return recording, lines


def test_an_event_goes_to_the_store_and_to_the_log(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    recording, lines = recorder(store)

    recording.event(EventType.OPERATOR_PAUSED, "a/b", "paused", {"request_id": "r"})
    recording.close()
    store.close()

    again = Store.open(tmp_path / "home")
    (row,) = again.events()
    again.close()
    assert (row.type, row.account, row.message, row.data) == ("operator_paused", "a/b", "paused", {"request_id": "r"})
    assert row.origin == "proxy", "it would be told a second time"
    assert lines.events == ["operator_paused"]


def test_without_a_store_it_is_told_all_the_same() -> None:
    recording, lines = recorder(None)
    health = Health(random.Random(1))
    for outcome in (LIMITED, REFUSED):
        cooldown = health.record(f"anthropic/{outcome.verdict.value}", "", outcome, 5000.0)
        assert cooldown is not None
        recording.cooldown(cooldown)

    recording.close()

    assert lines.events == ["rate_limit_detected", "cooldown_started", "cooldown_started", "reauth_required"]
    assert lines.closed


def test_the_steps_of_a_request_are_not_for_the_store_but_its_trace_is(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    recording, lines = recorder(store)

    recording.step(EventType.REQUEST_STARTED, 1.0, RECORD, None)
    recording.step(EventType.COMMIT, 2.0, RECORD, 0)
    recording.step(EventType.COMPLETED, 3.0, RECORD, None)
    recording.close()

    assert lines.events == ["request_started", "commit", "completed", "exhausted"]
    assert store.get_trace("aaaabbbbcccc") == RECORD
    store.close()
    again = Store.open(tmp_path / "home")
    assert [row.type for row in again.events()] == ["exhausted"]
    again.close()


def test_a_login_that_is_needed_is_told_once_whoever_notices() -> None:
    recording, lines = recorder(None)
    for _ in range(3):
        recording.event(EventType.REAUTH_REQUIRED, "a/b", "it needs a new login")
    recording.event(EventType.REAUTH_REQUIRED, "a/c", "it needs one, too")

    recording.close()

    assert lines.events == ["reauth_required"] * 2


def test_new_listeners_take_over_and_the_old_ones_are_closed() -> None:
    recording, first = recorder(None)
    second = Lines()
    recording.event(EventType.PROXY_STARTED)
    recording.listen(Listeners(AuditLog(second)))
    recording.event(EventType.PROXY_STOPPED)

    recording.close()

    assert (first.events, second.events) == (["proxy_started"], ["proxy_stopped"])
    assert first.closed and second.closed


def test_what_is_dropped_is_told_by_the_log_itself() -> None:
    recording, _ = recorder(None)
    go = threading.Event()

    stands = threading.Event()

    class Slow(Lines):
        def write(self, data: bytes) -> None:
            stands.set()
            go.wait(30)
            super().write(data)

    slow = Slow()
    recording.listen(Listeners(AuditLog(slow)))
    recording._desk._most = 50
    recording.event(EventType.PROXY_STARTED)
    assert stands.wait(30)
    started = time.perf_counter()
    for _ in range(80):
        recording.event(EventType.OPERATOR_CLEARED, "a/b")
    assert time.perf_counter() - started < 0.5
    assert recording.lost == 30
    go.set()

    recording.close()

    told = [json.loads(line) for line in slow.data.splitlines()]
    assert [line["event"] for line in told].count("operator_cleared") == 50
    assert [line["dropped"] for line in told if line["event"] == "audit_dropped"] == [30]


def test_what_another_process_has_stored_is_told_but_not_stored_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    recording, lines = recorder(store)

    recording.heard(EventRow(7, 1.0, "operator_paused", "a/b", "paused", {}))
    recording.close()
    store.close()

    again = Store.open(tmp_path / "home")
    assert again.events() == []
    again.close()
    assert lines.events == ["operator_paused"]
