"""Cooldowns go to the store and come back, once."""

from __future__ import annotations

import random
from pathlib import Path

from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.recording import Recording, restore_cooldowns
from mitm_balancer.store import KnownRows, Store

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
