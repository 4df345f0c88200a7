"""What is learnt from which answer, by what a later request that names it is bound to."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from wire_requests import Fields, request

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.priority import Priority
from mitm_balancer.core.tail import Tail
from mitm_balancer.providers import anthropic, codex, gemini, openai, openrouter
from mitm_balancer.providers.model import Provider
from mitm_balancer.proxy.attempt import Answer
from mitm_balancer.proxy.bound import Binding, Resources
from mitm_balancer.proxy.runtime import Account, Claim, ProviderPool
from mitm_balancer.upstream.base import ConnInfo, Origin, RawHeaders

JSON: Fields = [(b"content-type", b"application/json")]
SSE: Fields = [(b"content-type", b"text/event-stream")]
FILE, RESP, CONTAINER = "file-BK7bzQj3FfZF", "resp_68f1a2b3c4d5", "container_01abcdef"


class Response:
    """A head; the body is in the answer's prefix."""

    reason, http_version = b"OK", b"HTTP/1.1"
    trailers: RawHeaders = ()
    info = ConnInfo(Origin("https", "x", 443))

    def __init__(self, headers: Fields, status: int = 200) -> None:
        self.headers: RawHeaders = tuple(headers)
        self.status = status

    async def read(self) -> bytes:
        return b""

    def close(self) -> None: ...


def claim(provider: Provider, path: str, method: str = "POST", names: str = "ab") -> Claim:
    """As the runtime makes it."""
    accounts = {f"{provider.name}/{n}": Account(f"{provider.name}/{n}", n, provider, None) for n in names}
    rule = provider.rule_for(method, path.partition("?")[0])
    assert rule is not None
    return Claim(ProviderPool(provider, accounts, Priority([]), RetryBudget()), rule.kind, rule)


def asks(known: Resources, provider: Provider, path: str, *refers: str, method: str = "POST", **more: Any) -> Binding:
    made = request(more.get("fields", []), path.encode(), method=method.encode())
    return known.of(claim(provider, path, method, more.get("names", "ab")), made, refers)


def answer(body: object, headers: Fields, status: int = 200) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(Response(headers, status), data, complete=True)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


CREATED = sse({"type": "response.created", "response": {"object": "response", "id": RESP}})
GENERATION = "gen-1759000000-abc"


@pytest.mark.parametrize(
    ("provider", "path", "body", "headers", "name"),
    [
        (openai, "/v1/files", {"id": FILE}, JSON, FILE),
        (openai, "/v1/files", gzip.compress(mtime=0, data=b'{"id": "%s"}' % FILE.encode()),
         [*JSON, (b"content-encoding", b"gzip")], FILE),
        (openai, "/v1/responses", {"id": RESP, "output": []}, JSON, RESP),
        (openai, "/v1/responses", CREATED, SSE, RESP),
        (openai, "/v1/responses", gzip.compress(CREATED, mtime=0), [*SSE, (b"content-encoding", b"gzip")], RESP),
        (openai, "/v1/responses", {"id": RESP, "output": [{"id": "msg_12345678901"}]}, JSON, "msg_12345678901"),
        (codex, "/backend-api/codex/responses", CREATED, SSE, RESP),
        (anthropic, "/v1/files", {"type": "file", "id": "file_011CNha8iCJcU1wXNR6q4V8w"}, JSON,
         "file_011CNha8iCJcU1wXNR6q4V8w"),
        (anthropic, "/v1/messages", {"id": "msg_1", "container": {"id": CONTAINER}}, JSON, CONTAINER),
        (gemini, "/v1beta/cachedContents", {"name": "cachedContents/c1"}, JSON, "cachedContents/c1"),
        (gemini, "/v1beta/interactions", {"id": "v1_1234567890"}, JSON, "v1_1234567890"),
        (openrouter, "/api/v1/chat/completions", {"id": GENERATION, "choices": []}, JSON, GENERATION),
        (openrouter, "/api/v1/chat/completions", b'data: {"id": "%s"}\n\n' % GENERATION.encode(), SSE, GENERATION),
    ],
)  # fmt: skip
def test_what_an_answer_made_binds(provider: Any, path: str, body: object, headers: Fields, name: str) -> None:
    """Another provider's account of the same id is another thing, and a failed answer made nothing."""
    owner = f"{provider.PROVIDER.name}/b"
    for status, expected in ((400, None), (200, owner)):
        known = Resources()
        asks(known, provider.PROVIDER, path).answered(owner, answer(body, headers, status))
        assert asks(known, provider.PROVIDER, path, "unknown-1234567890", name).pin == expected
        assert asks(known, openai.PROVIDER if provider is not openai else anthropic.PROVIDER,
                    "/v1/files", name).pin is None  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        (openai, "/v1/responses", {"id": RESP, "store": False, "output": [{"id": "msg_12345678901"}]}),
        (openai, "/v1/responses", b'{"id":"resp_1","store":false,"output":[{"id":"msg_12345678901"}]}'),
        (openai, "/v1/chat/completions", {"id": "msg_12345678901"}),
        (anthropic, "/v1/messages", {"id": "msg_12345678901"}),
    ],
)
def test_what_nobody_can_name_later_is_not_kept(provider: Any, path: str, body: object) -> None:
    known = Resources()
    asks(known, provider.PROVIDER, path).answered(f"{provider.PROVIDER.name}/a", answer(body, JSON))
    assert asks(known, provider.PROVIDER, path, "msg_12345678901").pin is None


def test_a_container_that_a_stream_tells_at_its_end() -> None:
    known = Resources()
    tail = Tail(Dialect.ANTHROPIC_MESSAGES)
    tail.feed(sse({"type": "message_delta", "delta": {"container": {"id": CONTAINER}}, "usage": {"output_tokens": 1}}))
    asks(known, anthropic.PROVIDER, "/v1/messages").ended("anthropic/a", tail)
    assert asks(known, anthropic.PROVIDER, "/v1/messages", CONTAINER).pin == "anthropic/a"


async def test_a_body_that_is_still_to_come_is_overheard() -> None:
    known = Resources()
    coming = Answer(Response(JSON), b'{"id": "%s"}' % FILE.encode())
    asks(known, openai.PROVIDER, "/v1/files").answered("openai/b", coming)
    assert asks(known, openai.PROVIDER, f"/v1/files/{FILE}", method="GET").pin is None
    assert await coming.response.read() == b""
    assert asks(known, openai.PROVIDER, f"/v1/files/{FILE}", method="GET").pin == "openai/b"


def test_the_first_that_is_known_decides_and_a_path_of_no_resource_binds_nothing() -> None:
    known = Resources()
    known.learn("openai", "openai/a", [RESP])
    known.learn("openai", "openai/b", [FILE])
    assert asks(known, openai.PROVIDER, "/v1/responses", RESP, FILE).pin == "openai/a"
    assert asks(known, openai.PROVIDER, f"/v1/chat/completions?x={FILE}").pin is None


def test_an_account_that_is_gone_binds_nobody() -> None:
    known = Resources()
    known.learn("openai", "openai/b", [FILE])
    assert asks(known, openai.PROVIDER, "/v1/responses", FILE, names="a").pin is None


def test_the_state_of_a_turn() -> None:
    """Preferred, not pinned; it goes to nobody else; one that nobody gave goes along."""
    known = Resources()
    path, state = "/backend-api/codex/responses", (b"X-Codex-Turn-State", b"opaque")
    asks(known, codex.PROVIDER, path).answered("codex/b", answer(b"", [*SSE, (b"x-codex-turn-state", b"opaque")]))
    bound = asks(known, codex.PROVIDER, path, fields=[state])
    assert (bound.pin, bound.turn) == (None, "codex/b")
    assert bound.gone("codex/a") == {b"x-codex-turn-state"}
    assert bound.gone("codex/b") == frozenset()
    assert asks(known, codex.PROVIDER, path, fields=[(b"x-codex-turn-state", b"other")]).gone("codex/a") == frozenset()


def test_news_is_kept_once_and_tells_no_id() -> None:
    kept: list[tuple[str, str]] = []
    known = Resources(keep=lambda key, account, at: kept.append((key, account)))
    for _ in range(3):
        known.learn("openai", "openai/a", [FILE])
    assert [account for _, account in kept] == ["openai/a"]
    assert FILE not in kept[0][0]
    assert "secret" not in repr(known)
