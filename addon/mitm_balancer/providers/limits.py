"""Limit windows: what a provider's response headers say about how much is left, and when it comes back.

Which headers count is data in the provider (`Provider.limits`): patterns with the groups `field` and `window`. What a
field word means stands in the table below, once for all providers.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from mitm_balancer.core import resets
from mitm_balancer.providers.model import Provider


@dataclass(frozen=True, slots=True)
class Window:
    """One limit as the provider states it. Whatever it does not state is None or empty."""

    name: str
    used_percent: float | None = None
    """0 to 100, and beyond where a provider lets an account run over."""
    remaining: float | None = None
    limit: float | None = None
    wait: float | None = None
    """Seconds from now to its reset."""
    status: str = ""
    """The provider's own word, lower case."""
    minutes: int | None = None
    """Its length: Codex's names do not tell which of its windows is the short one (C3)."""

    @property
    def exhausted(self) -> bool:
        """Nothing is left: by the provider's own word if it gives one, else by its numbers."""
        if self.status in _PASSING:
            return False
        if self.status in _REFUSING:
            return True
        return self.remaining == 0 or (self.used_percent is not None and self.used_percent >= 100)

    def reset_at(self, now: float) -> float | None:
        """Unix seconds on our clock."""
        return None if self.wait is None else now + self.wait


_REFUSING = frozenset({"rejected", "rate_limited", "blocked", "payment_required", "yes"})
_PASSING = frozenset({"allowed", "allowed_warning", "available", "no"})

type _Parse = Callable[[str, float], object]


def _fraction(value: str, _: float) -> float | None:
    share = resets.number(value)
    return None if share is None else share * 100


def _number(value: str, _: float) -> float | None:
    return resets.number(value)


def _count(value: str, _: float) -> int | None:
    count = resets.number(value)
    return None if count is None else int(count)


def _status(value: str, _: float) -> str:
    return value.strip().lower()[:40]


def _reset(value: str, server_now: float) -> float | None:
    return resets.wait(value, server_now=server_now)


_FIELDS: dict[str, tuple[str, _Parse]] = {
    "limit": ("limit", _number),
    "remaining": ("remaining", _number),
    "reset": ("wait", _reset),
    "reset-at": ("wait", _reset),
    "reset-after-seconds": ("wait", _reset),
    "utilization": ("used_percent", _fraction),
    "used-percent": ("used_percent", _number),
    "window-minutes": ("minutes", _count),
    "status": ("status", _status),
    "over-limit": ("status", _status),
}
"""The word in the header -> (field of Window, reader). `snapshot` (Copilot) holds several at once: see `_snapshot`."""


def windows(provider: Provider, headers: Mapping[str, str], *, server_now: float) -> tuple[Window, ...]:
    """Every window that these response headers (lower-case names) speak of, in their order.

    `server_now` is the provider's clock, unix seconds (`resets.server_clock`).
    """
    found: dict[str, dict[str, object]] = {}
    for name, value in headers.items():
        for match in (pattern.fullmatch(name) for pattern in _patterns(provider.limits)):
            if match is None:
                continue
            window = match.groupdict().get("window") or "default"
            for key, read in _read(match["field"], value, server_now).items():
                if read is not None:
                    found.setdefault(window, {}).setdefault(key, read)
            break
    return tuple(Window(name, **fields) for name, fields in found.items())  # type: ignore[arg-type]


def exhausted(provider: Provider, found: tuple[Window, ...]) -> tuple[Window, ...]:
    """The windows that refuse: used up, and not of the kind that never refuses by itself."""
    return tuple(w for w in found if w.exhausted and not is_quiet(provider, w.name))


def is_quiet(provider: Provider, window: str) -> bool:
    """Whether a window of this name never refuses by itself (an overage budget): it says nothing of what is left."""
    return bool(provider.quiet_windows) and re.search(provider.quiet_windows, window) is not None


def is_of_model(provider: Provider, window: str) -> bool:
    """Whether a window of this name limits one model, not the account."""
    return bool(provider.model_windows) and re.search(provider.model_windows, window) is not None


def _read(field: str, value: str, server_now: float) -> dict[str, object]:
    if field in ("snapshot", "ratelimit"):
        return _snapshot(value, server_now)
    key, parse = _FIELDS[field]
    return {key: parse(value, server_now)}


def _snapshot(value: str, server_now: float) -> dict[str, object]:
    """Copilot: `ent=300&ov=0.0&ovPerm=false&rem=35.5&rst=2026-04-01T00%3A00%3A00Z`; `rem` is percent left (C12)."""
    fields = (
        {key: values[-1] for key, values in parse_qs(value, max_num_fields=32).items()} if len(value) < 2000 else {}
    )
    left, entitled = resets.number(fields.get("rem", "")), resets.number(fields.get("ent", ""))
    unlimited = entitled == -1 or fields.get("ovPerm") == "true"
    return {
        "used_percent": None if left is None or entitled == -1 else 100 - left,
        "limit": None if entitled == -1 else entitled,
        "wait": resets.wait(fields.get("rst", ""), server_now=server_now),
        "status": "available" if unlimited else "",
    }


@functools.lru_cache(maxsize=256)
def _patterns(limits: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(limit) for limit in limits)


def frame_windows(payload: bytes, *, server_now: float) -> tuple[Window, ...]:
    """The windows in a `codex.rate_limits` frame: over WebSocket the limit headers are missing (wire-facts 3.3)."""
    try:
        frame = json.loads(payload)
    except (ValueError, RecursionError):
        return ()
    stated = frame.get("rate_limits") if isinstance(frame, dict) else None
    if not isinstance(stated, dict):
        return ()
    return tuple(_frame_window(name, stated[name], server_now) for name in _PAIR if isinstance(stated.get(name), dict))


_PAIR = ("primary", "secondary")


def _frame_window(name: str, fields: dict[str, Any], server_now: float) -> Window:
    texts = {key: str(value) for key, value in fields.items() if isinstance(value, int | float | str)}
    return Window(
        name,
        used_percent=resets.number(texts.get("used_percent", "")),
        minutes=_count(texts.get("window_minutes", ""), server_now),
        wait=resets.wait(texts.get("reset_at", ""), server_now=server_now),
    )
