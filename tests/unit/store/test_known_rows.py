"""Which stored cooldowns are news to a running process."""

from __future__ import annotations

from pathlib import Path

from mitm_balancer.store import CooldownRow, KnownRows, Store

ROW = CooldownRow("anthropic/a", "", 1_790_000_060.25, 1_790_000_000.125, 60.1, "RateLimited: 429", 2)


def test_what_was_read_or_written_is_no_news() -> None:
    """At the start everything is; read again, or written by this process, a row says nothing new."""
    known = KnownRows()
    assert known.unknown([ROW]) == [ROW]
    assert known.unknown([ROW]) == []
    other = CooldownRow("anthropic/b", "opus", 1.0, 0.0, 1.0, "QuotaExhausted: x")
    known.note(other)
    assert known.unknown([other, ROW]) == []


def test_what_another_process_wrote_is_news_once() -> None:
    """A row of the same account and model with anything else in it."""
    known = KnownRows()
    known.note(ROW)
    changed = CooldownRow(ROW.name, ROW.model, ROW.until + 1, ROW.observed_at, ROW.duration, ROW.reason, ROW.strikes)
    assert known.unknown([changed]) == [changed]
    assert known.unknown([changed]) == []


def test_a_row_comes_back_from_disk_as_it_was_written(tmp_path: Path) -> None:
    """To the last bit: else a row of our own would look like somebody else's."""
    home = tmp_path / "home"
    store = Store.open(home)
    known = KnownRows()
    known.note(ROW)
    assert store.save_cooldown(ROW).result(5)
    store.close()
    again = Store.open(home)
    assert again.cooldowns() == [ROW]
    assert known.unknown(again.cooldowns()) == []
    again.close()
