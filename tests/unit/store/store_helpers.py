"""What the tests of the store share."""

import time
from collections.abc import Callable

from mitm_balancer.store import CooldownRow


def cooldown(name: str = "anthropic/work", model: str = "", **changed: object) -> CooldownRow:
    row = {"until": 2000.0, "observed_at": 1000.0, "duration": 1000.0, "reason": "rate_limit", "strikes": 1, **changed}
    return CooldownRow(name, model, **row)  # type: ignore[arg-type]


def eventually(check: Callable[[], object], timeout: float = 30.0) -> None:
    """Wait until `check` holds."""
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
