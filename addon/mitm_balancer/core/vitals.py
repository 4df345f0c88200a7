"""How well each account has worked lately, for the `score` strategy and for people: health, failure rate, latency.

Never a reason to bench anybody (that is `health`'s), only to prefer one. The past fades. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mitm_balancer.core.changes import Changes
from mitm_balancer.core.verdict import Outcome, Verdict

WEIGHT = 0.2
"""Of the newest sample in the moving averages: the last ten or so count."""

HALF_LIFE = 600.0
"""Seconds in which half of what was bad is forgotten: an account that nobody asks must be able to recover."""

MODELS_KEPT = 64

_BAD = frozenset({Verdict.TRANSIENT_SERVER_FAILURE, Verdict.TRANSPORT_FAILURE, Verdict.INTERRUPTED_EXECUTION})


@dataclass(slots=True)
class _Seen:
    health: float = 1.0
    failure: float = 0.0
    """Share of failures among the last `window` answers."""
    outcomes: int = 0
    """The last answers as bits, 1 is a failure."""
    count: int = 0
    at: float = 0.0
    latency: dict[str, float] = field(default_factory=dict)


class Vitals:
    """Of all accounts. `window`: answers that the failure rate looks at (`sliding_window_size`)."""

    def __init__(self, window: int = 10, changes: Changes | None = None) -> None:
        self.window = window
        self.changes = changes if changes is not None else Changes()
        self._seen: dict[str, _Seen] = {}

    def ended(self, name: str, model: str, outcome: Outcome, seconds: float, now: float) -> None:
        """An attempt ended; of a good one `seconds` is the time to its first meaningful byte."""
        bad = (outcome.capacity or outcome.verdict in _BAD) and not outcome.unreached
        if not bad and not outcome.ok:
            # A refusal cools, a fault of the request is nobody's, and who was not reached may be as well as ever: none
            # of them says how well the account works.
            return
        seen = self._seen.setdefault(name, _Seen(at=now))
        seen.health = self.health(name, now) * (1 - WEIGHT) + (not bad) * WEIGHT
        seen.outcomes = ((seen.outcomes << 1) | bad) & ((1 << self.window) - 1)
        seen.count = min(seen.count + 1, self.window)
        seen.failure = seen.outcomes.bit_count() / seen.count
        seen.at = now
        if not bad:
            self._time(seen, model, seconds)
        self.changes.note(name)

    def health(self, name: str, now: float) -> float:
        """0 to 1."""
        seen = self._seen.get(name)
        return 1.0 if seen is None else 1.0 - (1.0 - seen.health) * _faded(now - seen.at)

    def failure(self, name: str, now: float) -> float:
        """0 to 1."""
        seen = self._seen.get(name)
        return 0.0 if seen is None else seen.failure * _faded(now - seen.at)

    def latency(self, name: str, model: str) -> float | None:
        """Seconds to the first meaningful byte, of this model; None: not seen yet."""
        seen = self._seen.get(name)
        return None if seen is None else seen.latency.get(model)

    def rename(self, old: str, new: str) -> None:
        """The account has another name now."""
        self.forget(new)
        if (seen := self._seen.pop(old, None)) is not None:
            self._seen[new] = seen

    def forget(self, name: str) -> None:
        """Another account has that name now, or none."""
        self._seen.pop(name, None)
        self.changes.note(name)

    def known(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """Name and latency by model of all that have been seen, for the status view."""
        return ((name, seen.latency) for name, seen in self._seen.items())

    @staticmethod
    def _time(seen: _Seen, model: str, seconds: float) -> None:
        old = seen.latency.get(model)
        if old is None and len(seen.latency) >= MODELS_KEPT:
            seen.latency.pop(next(iter(seen.latency)))
        seen.latency[model] = seconds if old is None else old + (seconds - old) * WEIGHT


def _faded(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE))
