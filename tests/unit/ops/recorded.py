"""Records of requests as the proxy leaves them, for the tests of those who read them."""

from __future__ import annotations

from typing import Any

from mitm_balancer.ops.events import EventType
from mitm_balancer.ops.steps import Step

AT = 1_790_000_000.0
OPUS = "claude-opus-4-5"


def tried(account: str, verdict: str = "Success", **more: Any) -> dict[str, Any]:
    """One attempt."""
    billed = "yes" if verdict == "Success" else "no"
    status = {"Success": 200, "RateLimited": 429}.get(verdict, 500)
    return {
        "account": account, "because": "first", "verdict": verdict, "seconds": 0.25, "billed": billed, "status": status,
    } | more  # fmt: skip


def record(*attempts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request that is over; the last attempt's account answered."""
    served = attempts[-1]["account"] if attempts and attempts[-1]["verdict"] == "Success" else "none"
    return {
        "id": "aaaabbbbcccc", "at": AT, "request": "POST api.anthropic.com/v1/messages", "attempts": list(attempts),
        "provider": "anthropic", "kind": "inference", "model": OPUS, "stream": True, "account": served, "status": 200,
        "head_seconds": 0.6, "seconds": 2.0, "bytes_out": 5000, "bytes_in": 100, "ended": "complete",
    } | more  # fmt: skip


def all_steps(data: dict[str, Any]) -> list[Step]:
    """Every step of a request that is over, in order."""
    steps: list[Step] = [(EventType.REQUEST_STARTED, AT, data, None)]
    for number, entry in enumerate(data["attempts"], 1):
        steps.append((EventType.ATTEMPT, AT, data, (number, entry["account"], entry["because"])))
        steps.append((EventType.VERDICT, AT, data, (number, entry)))
    return [
        *steps,
        (EventType.COMMIT, AT, data, len(data["attempts"])),
        (EventType.COMPLETED, AT, data, None),
    ]
