"""The trace record of one request: what `why` tells, what the content view shows, what `x-balancer` names."""

from __future__ import annotations

import time
from typing import Any

from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.proxy.attempt import Result
from mitm_balancer.proxy.routes import Route


class Record:
    """Grows with the call; `finish` gives it to the store. Holds no header, no body, no secret."""

    def __init__(self, request_id: str, method: str, host: str, path: str) -> None:
        self.request_id = request_id
        self.started = time.monotonic()
        self.data: dict[str, Any] = {
            "id": request_id,
            "at": time.time(),
            "request": f"{method} {host}{path.partition('?')[0]}",
            "attempts": [],
        }

    def facts(self, provider: str, kind: str, model: str, stream: bool) -> None:
        self.data.update(provider=provider, kind=kind, model=model, stream=stream)

    def attempt(self, route: Route, because: str, result: Result) -> None:
        outcome = result.outcome
        entry: dict[str, Any] = {
            "account": route.account.name,
            "because": because,
            "verdict": outcome.verdict.value,
            "seconds": round(result.seconds, 4),
        }
        if route.stand_in is not None:
            entry.update(provider=route.account.provider.name, model=route.model)
        if not outcome.ok:
            entry.update(reason=outcome.reason, message=outcome.message)
            if outcome.wait is not None:
                entry["wait"] = round(outcome.wait, 3)
            if outcome.ambiguous:
                entry["may_be_billed_twice"] = True
        status = result.answer.response.status if result.answer else outcome.status
        if status is not None:
            entry["status"] = status
        self.data["attempts"].append(entry)

    def passed_over(self, dispatch: Dispatch, now: float) -> None:
        """The targets that could not serve, and why; and how long it waited for a slot."""
        if dispatch.queued:
            self.data["queued_seconds"] = round(dispatch.queued, 3)
        if dispatch.switch is not None:
            self.data["switch"] = dispatch.switch.as_record()
        self.data["passed_over"] = [
            {
                "account": r.name,
                "reason": r.block.reason,
                **({} if r.block.until is None else {"back_in": round(max(0.0, r.block.until - now), 1)}),
            }
            for r in dispatch.rejected
        ]

    def committed(self, account: str, status: int, note: str = "") -> None:
        self.data.update(account=account, status=status, head_seconds=round(time.monotonic() - self.started, 4))
        if note:
            self.data["note"] = note

    def finish(self, ended: str, received: int) -> dict[str, Any]:
        self.data.update(ended=ended, bytes=received, seconds=round(time.monotonic() - self.started, 4))
        return self.data

    def so_far(self) -> dict[str, Any]:
        """A copy of what is known now."""
        return {**self.data, "attempts": list(self.data["attempts"])}

    def header(self, account: str) -> tuple[bytes, bytes]:
        """The `x-balancer` response header (contract)."""
        attempts = len(self.data["attempts"])
        return b"x-balancer", f"request={self.request_id}; account={account}; attempts={attempts}".encode()
