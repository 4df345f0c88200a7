"""Too much runs already: said in the provider's shape, at once, with a wait that SDKs keep."""

from __future__ import annotations

import json

import pytest

from mitm_balancer.providers.model import Dialect
from mitm_balancer.proxy import answers

EXTRA = (b"x-balancer", b"request=r; account=none; attempts=0")


@pytest.mark.parametrize(
    ("dialect", "status", "word"),
    [
        (Dialect.ANTHROPIC_MESSAGES, 529, "overloaded_error"),
        (Dialect.OPENAI_CHAT, 503, "server_is_overloaded"),
        (Dialect.OPENAI_RESPONSES, 503, "server_is_overloaded"),
        (Dialect.GEMINI, 503, "UNAVAILABLE"),
    ],
)
def test_the_shape(dialect: Dialect, status: int, word: str) -> None:
    """The wait is short, so nothing keeps a client from trying again."""
    own = answers.overloaded(dialect, "the queue is full", EXTRA)
    headers = dict(own.response.headers.fields)
    assert own.response.status_code == status
    assert headers[b"retry-after"] == b"5"
    assert b"x-should-retry" not in headers
    assert headers[EXTRA[0]] == EXTRA[1]
    assert word in own.body.decode()
    assert "mitm-balancer: the queue is full" in json.dumps(json.loads(own.body))
