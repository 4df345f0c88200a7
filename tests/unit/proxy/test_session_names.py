"""Which session a request belongs to, as each client tells it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from wire_requests import request

from mitm_balancer.core.session import Bindings
from mitm_balancer.proxy import facts
from mitm_balancer.proxy.session import Named, Sessions, named

DIALECT = facts.Dialect.ANTHROPIC_MESSAGES


def of(body: dict[str, Any] | bytes | None = None, **headers: str) -> Named | None:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return named(request(fields, content=content), content)


def own(body: dict[str, Any]) -> str:
    found = of(body)
    return "" if found is None else found.own


OLD = "user_" + "0" * 64 + "_account_11111111-2222-3333-4444-555555555555_session_s-1"
NEW = json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s-2"})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"metadata": {"user_id": OLD}}, "s-1"),
        ({"metadata": {"user_id": OLD.replace("11111111-2222-3333-4444-555555555555", "")}}, "s-1"),
        ({"metadata": {"user_id": NEW}}, "s-2"),
        ({"prompt_cache_key": "s-3"}, "s-3"),
        ({"metadata": {"user_id": NEW}, "prompt_cache_key": "s-3"}, "s-2"),
        ({"model": "gemini", "project": "p", "request": {"session_id": "s-4", "contents": [{}]}}, "s-4"),
    ],
)
def test_bodies(body: dict[str, Any], expected: str) -> None:
    """Claude Code's two forms, Codex' and opencode's cache key, Gemini CLI's session."""
    assert own(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        {}, {"metadata": {"user_id": "customer-7"}}, {"metadata": {"user_id": 7}}, {"metadata": "text"},
        {"metadata": {"user_id": '{"session_id": 5}'}}, {"prompt_cache_key": 5}, {"request": "x"}, {"messages": "x"},
        {"messages": []}, {"system": "a prompt"}, {"messages": [{"role": "system", "content": "a prompt"}]},
        {"instructions": "a prompt", "input": []}, {"input": [{"role": "developer", "content": "x"}]},
    ],
)  # fmt: skip
def test_what_names_a_user_or_a_system_prompt_names_no_session(body: dict[str, Any]) -> None:
    """All sessions of an agent share its system prompt."""
    assert of(body) is None


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b'{"messages": ' + b"[" * 100_000])
def test_any_body_will_do(content: bytes | None) -> None:
    """Total."""
    assert of(content) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X_Claude_Code_Session_Id": "c", "session_id": "x"}, Named("c")),
        ({"thread_id": "t", "session_id": "s"}, Named("t")),
        ({"session-id": "s"}, Named("s")),
        ({"x_opencode_session": "o"}, Named("o")),
        ({"x_session_affinity": "a", "x_parent_session_id": "p"}, Named("a", ("p",))),
        ({"thread_id": "t", "x_codex_parent_thread_id": "p"}, Named("t", ("p",))),
        ({"x_parent_session_id": "p"}, Named("", ("p",))),
        ({"x_client_request_id": "r"}, None),
    ],
)
def test_headers(headers: dict[str, str], expected: Named | None) -> None:
    """A child agent tells its parent."""
    assert of(**headers) == expected


def test_headers_come_before_the_body() -> None:
    """It need not be read then."""
    assert of({"prompt_cache_key": "body"}, thread_id="header") == Named("header")


@pytest.mark.parametrize(
    "turns",
    [
        lambda *texts: {"system": "p", "messages": [{"role": "user", "content": t} for t in texts]},
        lambda *texts: {
            "messages": [{"role": "system", "content": "p"}, *({"role": "user", "content": t} for t in texts)]
        },
        lambda *texts: {"instructions": "p", "input": [{"role": "user", "content": t} for t in texts]},
        lambda *texts: {"systemInstruction": {}, "contents": [{"role": "user", "parts": [{"text": t}]} for t in texts]},
    ],
)
def test_a_conversation_is_known_by_its_beginning(turns: Any) -> None:
    """However long it becomes; another beginning is another session."""
    first = own(turns("a"))
    assert first
    assert own(turns("a", "b", "c")) == first
    assert own(turns("b", "a")) != first


def test_text_for_input_is_a_beginning_too() -> None:
    """OpenAI's short form."""
    assert own({"input": "hi"})
    assert own({"input": "hi"}) != own({"input": "ho"})


def test_the_body_is_read_through_its_coding() -> None:
    """As for the model."""
    body = gzip.compress(json.dumps({"prompt_cache_key": "s"}).encode())
    made = request([(b"content-encoding", b"gzip")], content=body)
    assert facts.read(made, DIALECT).session == Named("s")


def test_names_are_not_shown() -> None:
    """In a log they would tie conversations together."""
    assert "secret-name" not in repr(Named("secret-name", ("secret-name",)))


def test_ties_are_fingerprints_of_their_own_pool() -> None:
    """The same name at two providers is two sessions; a child without a name of its own is its parent."""
    kept: list[tuple[str, str, float]] = []
    sessions = Sessions(Bindings(), b"k", lambda *row: kept.append(row))
    assert sessions.tie("p", None) is None
    parent, child, other = (
        sessions.tie("p", Named("secret-name")),
        sessions.tie("p", Named("c", ("secret-name",))),
        sessions.tie("q", Named("secret-name")),
    )
    assert parent and child and other
    parent.served("p/a", 5.0, moves=False)
    assert (child.home(6.0), other.home(6.0)) == ("p/a", None)
    assert "secret-name" not in str(kept)
    assert [account for _, account, _ in kept] == ["p/a"]
    orphan = sessions.tie("p", Named("", ("secret-name",)))
    assert orphan and orphan.keys == parent.keys
