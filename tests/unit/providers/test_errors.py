"""Errors of our own have the provider's shape (P11): what we write, our own reader understands."""

from __future__ import annotations

import json

import pytest

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.providers import answer
from mitm_balancer.providers.errors import error_body

KEYS = {
    Dialect.ANTHROPIC_MESSAGES: {"type", "message"},
    Dialect.OPENAI_CHAT: {"message", "type", "param", "code"},
    Dialect.OPENAI_RESPONSES: {"message", "type", "param", "code"},
    Dialect.GEMINI: {"code", "message", "status"},
}


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_shape_is_the_dialects(dialect: Dialect) -> None:
    body = error_body(dialect, 429, "rate_limit_error", "all accounts are out")
    value = json.loads(body)
    assert value["error"].keys() == KEYS[dialect]
    assert (value.get("type") == "error") == (dialect is Dialect.ANTHROPIC_MESSAGES)
    read = answer.read(429, (), body, now=0)
    assert read.message == "all accounts are out"
    expected = "resource_exhausted" if dialect is Dialect.GEMINI else "rate_limit_error"
    assert expected in read.codes


def test_googles_status_follows_the_number() -> None:
    value = json.loads(error_body(Dialect.GEMINI, 503, "api_error", "x"))
    assert value["error"] == {"code": 503, "message": "x", "status": "UNAVAILABLE"}
