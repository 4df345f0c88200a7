"""The trace record of one request: what `why` tells, what the content view shows, what `x-balancer` names.

Its steps go to the recorder as they happen; the whole goes there at the end. It holds no header, no body, no secret.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.core.verdict import Outcome, Sent, Verdict
from mitm_balancer.ops.events import EventType
from mitm_balancer.proxy.attempt import Result
from mitm_balancer.proxy.routes import Route

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Recorder

SESSION_SHOWN = 8
"""Hex digits of a session's fingerprint: they tell the sessions of a day apart, and nothing else."""


LONGEST_REQUEST, LONGEST_MODEL = 400, 100
"""Characters: a client may send a megabyte of either."""


class Record:
    """Grows with the call; `finish` gives it to the store."""

    def __init__(self, request_id: str, method: str, host: str, path: str, recorder: Recorder | None = None) -> None:
        self.request_id = request_id
        self.started = time.monotonic()
        self.attempts: list[dict[str, Any]] = []
        self.data: dict[str, Any] = {
            "id": request_id,
            "at": time.time(),
            "request": f"{method} {host}{path.partition('?')[0]}"[:LONGEST_REQUEST],
            "attempts": self.attempts,
        }
        self._recorder = recorder
        self._begun = False
        self._under_way: tuple[str, str, float] | None = None

    # -- as it happens ------------------------------------------------------------------------------------------

    def facts(self, provider: str, kind: str, model: str, stream: bool) -> None:
        self.data.update(provider=provider, kind=kind, model=model[:LONGEST_MODEL], stream=stream)

    def begins(self, session: str = "", bytes_in: int | None = None) -> None:
        """All that is known before the first attempt is known. `session`: a fingerprint. Counts once."""
        if self._begun:
            return
        self._begun = True
        if session:
            self.data["session"] = session[:SESSION_SHOWN]
        if bytes_in is not None:
            self.data["bytes_in"] = bytes_in
        self._step(EventType.REQUEST_STARTED, self.data["at"])

    def tries(self, account: str, because: str) -> None:
        """An attempt starts."""
        now = time.time()
        self._under_way = (account, because, now)
        self._step(EventType.ATTEMPT, now, (len(self.attempts) + 1, account, because))

    def attempt(self, route: Route, because: str, result: Result) -> None:
        """It has ended, up to the commit point."""
        self._under_way = None
        entry = _entry(route, because, result)
        self.attempts.append(entry)
        self._step(EventType.VERDICT, time.time(), (len(self.attempts), entry))

    def refused(self, outcome: Outcome) -> None:
        """What the refusal of the last attempt turned out to be, once its login could not be renewed."""
        self.attempts[-1].update(reason=outcome.reason, message=outcome.message)

    def paused(self, seconds: float) -> None:
        """It waited for an account to come back, or between two attempts."""
        self.data["held_seconds"] = round(self.data.get("held_seconds", 0.0) + seconds, 3)

    def passed_over(self, dispatch: Dispatch, now: float) -> None:
        """The targets that could not serve, and why; and how long it waited for a slot."""
        if dispatch.waiting.queued:
            self.data["queued_seconds"] = round(dispatch.waiting.queued, 3)
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

    def stopped(self, because: str, *, exhausted: bool = False, wait: float | None = None) -> None:
        """No attempt succeeded, and there is no further one. `wait`: seconds until the first account is back."""
        self.data["stopped"] = because
        if exhausted:
            self.data["exhausted"] = True
            if wait is not None:
                self.data["back_in"] = round(wait, 1)

    def committed(self, account: str, status: int, note: str = "") -> None:
        """From now on the client gets this answer. `account`: its name, or who else answers."""
        self.data.update(account=account, status=status, head_seconds=round(time.monotonic() - self.started, 4))
        if note:
            self.data["note"] = note
        self._step(EventType.COMMIT, time.time(), len(self.attempts))

    # -- the end ------------------------------------------------------------------------------------------------

    def finish(self, ended: str, received: int) -> dict[str, Any]:
        """The whole record; nothing changes in it any more. `received`: bytes of the answer's body."""
        if self._under_way is not None:
            account, because, began = self._under_way
            entry = {"account": account, "because": because, "verdict": "", "billed": "maybe"}
            self.attempts.append(entry | {"reason": "cancelled", "seconds": round(time.time() - began, 4)})
        self.data.update(ended=ended, bytes_out=received, seconds=round(time.monotonic() - self.started, 4))
        return self.data

    def keep(self) -> None:
        """Give what is finished to the recorder."""
        self.begins()
        if self._recorder is not None:
            self._recorder.step(EventType.COMPLETED, time.time(), self.data, None)

    def so_far(self) -> dict[str, Any]:
        """A copy of what is known now."""
        return {**self.data, "attempts": list(self.attempts)}

    def header(self, account: str) -> tuple[bytes, bytes]:
        """The `x-balancer` response header (contract)."""
        return b"x-balancer", f"request={self.request_id}; account={account}; attempts={len(self.attempts)}".encode()

    def _step(self, kind: EventType, at: float, detail: object = None) -> None:
        if self._recorder is not None:
            self.begins()
            self._recorder.step(kind, at, self.data, detail)


def _entry(route: Route, because: str, result: Result) -> dict[str, Any]:
    outcome = result.outcome
    entry: dict[str, Any] = {
        "account": route.account.name,
        "because": because,
        "verdict": outcome.verdict.value,
        "seconds": round(result.seconds, 4),
        "billed": _billed(outcome),
    }
    if route.stand_in is not None:
        entry.update(provider=route.account.provider.name, model=route.model)
    for name in ("connect", "head", "first_event"):
        if (seconds := getattr(result, name)) is not None:
            entry[name] = round(seconds, 4)
    if not outcome.ok:
        entry.update(reason=outcome.reason, message=outcome.message)
        if outcome.wait is not None:
            entry["wait"] = round(outcome.wait, 3)
        if outcome.ambiguous:
            entry["may_be_billed_twice"] = True
    status = result.answer.response.status if result.answer else outcome.status
    if status is not None:
        entry["status"] = status
    return entry


def _billed(outcome: Outcome) -> str:
    """Whether the provider charges for it: an answer, a refusal (nobody bills those), or nobody knows (P5)."""
    if outcome.ok:
        return "yes"
    unknown = outcome.verdict is Verdict.TRANSPORT_FAILURE and outcome.sent is Sent.ALL
    return "maybe" if unknown else "no"
