"""Anthropic's errors and limit headers, for the tables of their tests."""

from __future__ import annotations

from provider_rows import NOW


def error(kind: str, message: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def unified(**fields: str) -> dict[str, str]:
    return {"anthropic-ratelimit-unified-" + name.replace("__", "-"): value for name, value in fields.items()}


RATE = error("rate_limit_error", "This request would exceed your account's rate limit.")
IN_5H, IN_7D = str(int(NOW) + 3600), str(int(NOW) + 400_000)
