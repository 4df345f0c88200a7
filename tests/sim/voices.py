"""The words of two providers, as they stand on the wire (wire-facts 1.3, 1.4, 2.3, 16): the core's tables read them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from typing import Protocol

from mitm_balancer.providers import anthropic, openai
from mitm_balancer.providers.model import Provider
from sim.plan import Kind, Plan


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A quota window that refuses. `reset` is the true unix time of its end."""

    name: str
    reset: float
    model: str
    """ "" for all models."""


class Voice(Protocol):
    """One provider's way to say it. `now` is the true unix time."""

    provider: Provider

    def used_up(self, windows: Iterable[UsedUp], head: float, now: float, rng: Random) -> Plan: ...

    def error(self, kind: Kind, status: int, head: float, now: float, model: str) -> Plan: ...

    def error_event(self) -> bytes: ...


def _date(now: float) -> tuple[bytes, bytes]:
    return b"date", formatdate(math.floor(now), usegmt=True).encode()


class Anthropic:
    """A subscription: 5-hour, weekly and per-model windows with absolute resets."""

    provider = anthropic.PROVIDER

    def used_up(self, windows: Iterable[UsedUp], head: float, now: float, rng: Random) -> Plan:
        """Every rejected window is named; the longest of the plan's counts, and without one of those the model's."""
        windows = list(windows)
        whole = [w for w in windows if not w.model]
        longest = max(whole or windows, key=lambda w: w.reset)
        fields = [_date(now + head), (b"anthropic-ratelimit-unified-status", b"rejected")]
        for window in windows:
            name = b"anthropic-ratelimit-unified-" + window.name.encode()
            fields += [(name + b"-status", b"rejected"), (name + b"-reset", b"%d" % math.ceil(window.reset))]
        told = math.ceil(longest.reset) - math.floor(now + head)
        if rng.random() < 0.5:
            fields.append((b"retry-after", b"%d" % told))
        body = _anthropic("rate_limit_error", "This request would exceed your account's rate limit.")
        return Plan(Kind.QUOTA, head, 429, tuple(fields), body, told, "" if whole else longest.model)

    def error(self, kind: Kind, status: int, head: float, now: float, model: str) -> Plan:
        code, text = _ANTHROPIC.get((kind, status), ("api_error", "Internal server error"))
        return Plan(
            kind, head, status, (_date(now + head),), _anthropic(code, text.format(model)), model=_about(kind, model)
        )

    def error_event(self) -> bytes:
        return _anthropic("overloaded_error", "Overloaded")


_ANTHROPIC = {
    (Kind.AUTH, 401): ("authentication_error", "invalid x-api-key"),
    (Kind.FORBIDDEN, 403): ("permission_error", "This organization has been disabled."),
    (Kind.QUOTA, 400): ("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    (Kind.NO_MODEL, 404): ("not_found_error", "model: {}"),
    (Kind.CAPACITY, 529): ("overloaded_error", "Overloaded"),
    (Kind.CAPACITY, 429): ("rate_limit_error", "Error"),
    (Kind.REQUEST, 400): ("invalid_request_error", "messages: at least one message is required"),
    (Kind.REQUEST, 413): ("request_too_large", "Request exceeds the maximum size"),
}


def _anthropic(code: str, text: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": code, "message": text}}).encode()


class OpenAI:
    """Keys with limits per minute, told in any of four ways or not at all, and money that runs out without a date."""

    provider = openai.PROVIDER

    def used_up(self, windows: Iterable[UsedUp], head: float, now: float, rng: Random) -> Plan:
        window = max(windows, key=lambda w: w.reset)
        left = max(0.001, window.reset - now - head)
        fields, text, told = [_date(now + head)], "Rate limit reached for requests.", None
        match rng.randrange(4):
            case 0:
                told = float(math.ceil(left))
                fields.append((b"retry-after", b"%d" % told))
            case 1:
                told = math.ceil(left * 1000) / 1000
                fields.append((b"retry-after-ms", b"%d" % round(told * 1000)))
            case 2:
                told = math.ceil(left * 1000) / 1000
                text += f" Please try again in {told:.3f}s. Visit our site."
            case _:
                fields.append((b"x-ratelimit-limit-requests", b"500"))
        return Plan(Kind.RATE, head, 429, tuple(fields), _openai("rate_limit_exceeded", text), told)

    def error(self, kind: Kind, status: int, head: float, now: float, model: str) -> Plan:
        code, text = _OPENAI.get((kind, status), ("server_error", "The server had an error."))
        return Plan(
            kind, head, status, (_date(now + head),), _openai(code, text.format(model)), model=_about(kind, model)
        )

    def error_event(self) -> bytes:
        return _openai("server_is_overloaded", "The model is currently overloaded.")


_OPENAI = {
    (Kind.AUTH, 401): ("invalid_api_key", "Incorrect API key provided."),
    (Kind.FORBIDDEN, 403): ("account_deactivated", "Your account was deactivated."),
    (Kind.QUOTA, 429): ("insufficient_quota", "You exceeded your current quota, please check your plan."),
    (Kind.NO_MODEL, 404): ("model_not_found", "The model `{}` does not exist or you do not have access to it."),
    (Kind.CAPACITY, 503): ("server_is_overloaded", "The engine is currently overloaded."),
    (Kind.REQUEST, 400): ("context_length_exceeded", "This model's maximum context length is 128000 tokens."),
    (Kind.REQUEST, 422): ("invalid_request_error", "Unprocessable"),
}


def _openai(code: str, text: str) -> bytes:
    return json.dumps({"error": {"message": text, "type": code, "param": None, "code": code}}).encode()


def _about(kind: Kind, model: str) -> str:
    return model if kind is Kind.NO_MODEL else ""


STATUSES: dict[str, dict[Kind, tuple[int, ...]]] = {
    "anthropic": {
        Kind.AUTH: (401,),
        Kind.FORBIDDEN: (403,),
        Kind.QUOTA: (400,),
        Kind.NO_MODEL: (404,),
        Kind.SERVER: (500, 502, 503),
        Kind.CAPACITY: (529, 429),
        Kind.REQUEST: (400, 413),
    },
    "openai": {
        Kind.AUTH: (401,),
        Kind.FORBIDDEN: (403,),
        Kind.QUOTA: (429,),
        Kind.NO_MODEL: (404,),
        Kind.SERVER: (500, 502, 504),
        Kind.CAPACITY: (503,),
        Kind.REQUEST: (400, 422),
    },
}
"""With which statuses each provider says what."""
