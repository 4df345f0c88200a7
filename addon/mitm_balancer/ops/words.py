"""What notices and events say, in the manner of the seed's toasts. Never a secret, never a header."""

from __future__ import annotations

from mitm_balancer.core.durations import countdown
from mitm_balancer.core.verdict import Verdict

_STATE = {
    Verdict.RATE_LIMITED: "is rate limited",
    Verdict.QUOTA_EXHAUSTED: "has used up its quota",
    Verdict.AUTH_FAILURE: "is refused: it needs a new login or key",
    Verdict.PERMISSION_FAILURE: "may not do this",
    Verdict.REGION_RESTRICTION: "is not served in this region",
    Verdict.MODEL_UNAVAILABLE: "does not have this model",
    Verdict.TRANSIENT_SERVER_FAILURE: "gets server errors",
    Verdict.TRANSPORT_FAILURE: "cannot be reached",
    Verdict.INTERRUPTED_EXECUTION: "broke off an answer",
}


def state(verdict: str, reason: str = "") -> str:
    """`is rate limited`; where no verdict says it, the reason does: `is out (paused by the operator)`."""
    for known, text in _STATE.items():
        if known == verdict:
            return text
    return f"is out ({reason})" if reason else "is out"


_BY_HAND = frozenset({Verdict.AUTH_FAILURE.value, Verdict.PERMISSION_FAILURE.value, Verdict.REGION_RESTRICTION.value})
"""Their time is only that of a second look; nobody should wait for it."""


def back(verdict: str, wait: float | None) -> str:
    """` (back in 12 min)`, or nothing where waiting does not help."""
    return "" if wait is None or wait <= 0 or verdict in _BY_HAND else f" (back in {countdown(wait)})"


def switched(account: str, verdict: str, reason: str, wait: float | None, to: str) -> str:
    """`anthropic/work is rate limited (back in 12 min): switching to spare`."""
    return f"{account} {state(verdict, reason)}{back(verdict, wait)}: switching to {to.partition('/')[2]}"


def exhausted(provider: str, wait: float | None) -> str:
    """`every anthropic account is out: the first is back in 12 min`."""
    end = "none comes back by itself" if wait is None else f"the first is back in {countdown(wait)}"
    return f"every {provider} account is out: {end}"


def rests(account: str, model: str, verdict: str, wait: float) -> str:
    """`anthropic/work rests for 12 min: it is rate limited`."""
    return f"{account} rests for {countdown(wait)}{f' from {model}' if model else ''}: it {state(verdict)}"


def limited(account: str, model: str, verdict: str, wait: float) -> str:
    """`anthropic/work is rate limited for claude-opus-4-5 (back in 12 min)`."""
    return f"{account} {state(verdict)}{f' for {model}' if model else ''}{back(verdict, wait)}"


def plain(text: str) -> str:
    """Fit for a terminal: what a provider or a client says may hold control characters."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
