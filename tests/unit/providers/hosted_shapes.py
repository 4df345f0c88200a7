"""Error bodies and texts that many hosts share, for the tables of their tests."""

from __future__ import annotations

from typing import Any


def wrapped(message: str = "some message that is long enough", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


def google(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message}}


def flat(message: str, **fields: Any) -> dict[str, Any]:
    return {"message": message, **fields}


def base(code: int) -> dict[str, Any]:
    return {"base_resp": {"status_code": code, "status_msg": "x"}}


GROQ = "Rate limit reached for model `x` on tokens per minute (TPM): Limit 15000. Please try again in 5.289s."
GROQ_DAY = "Rate limit reached for model `x` on tokens per day (TPD): Limit 500000. Please try again in 7m12s."
CEREBRAS_RESETS = {
    "x-ratelimit-reset-requests-day": "33011.38",
    "x-ratelimit-reset-tokens-minute": "26.5",
    "x-ratelimit-remaining-tokens-minute": "900",
}
ZAI = "Usage limit reached for 5 hour. Your limit will reset at 2026-09-21 23:13:20"
