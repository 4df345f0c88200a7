"""What routing reads of a request; it must never fail, and never touch the bytes."""

from __future__ import annotations

import gzip
import json

import pytest
import zstandard
from wire_requests import request

from mitm_balancer.providers.model import Dialect
from mitm_balancer.proxy import facts
from mitm_balancer.proxy.facts import Facts

CHAT = Dialect.OPENAI_CHAT
BODY = json.dumps({"messages": [{"content": '"model": "liar"'}], "model": "m-1", "stream": True}).encode()


@pytest.mark.parametrize("dialect", [Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES])
def test_json_bodies(dialect: Dialect) -> None:
    """Only the outermost keys count."""
    made = request([], content=BODY)
    assert facts.read(made, dialect) == Facts("m-1", True)
    assert made.raw_content == BODY


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", gzip.compress(BODY, mtime=0)), ("zstd", zstandard.compress(BODY)), ("identity", BODY)],
)
def test_compressed_bodies(coding: str, body: bytes) -> None:
    """Codex sends zstd; the bytes stay as they are."""
    made = request([(b"Content-Encoding", coding.encode())], content=body)
    assert facts.read(made, CHAT) == Facts("m-1", True)
    assert made.raw_content == body


@pytest.mark.parametrize(
    "body",
    [
        None, b"", b"{", b"[]", b"[1]", b'"x"', b"null", b"\xff\xfe", b'{"model": "\xff"}', b'{"model": 5}',
        b'{"model": null, "stream": "true"}', b'{"model": ["m"], "stream": 1}', b'{"Model": "m"}',
        b'{"model": "\\ud800"}', b"NaN", b"{}" * 2, b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_what_cannot_be_read_gives_nothing(body: bytes | None) -> None:
    """Total: no exception, no guess."""
    assert facts.read(request([], content=body), CHAT) == Facts()


@pytest.mark.parametrize("coding", [b"gzip", b"zstd", b"br", b"deflate", b"unheard-of", b"gzip, br"])
def test_a_wrong_content_coding_gives_nothing(coding: bytes) -> None:
    """A header that lies, or that we do not know."""
    assert facts.read(request([(b"content-encoding", coding)], content=b"garbage"), CHAT) == Facts()


def test_deep_nesting_gives_nothing() -> None:
    """A body built to exhaust the stack is the provider's business to refuse."""
    body = b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b', "model": "m"}'
    assert facts.read(request([], content=body), CHAT) in (Facts(), Facts("m"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/v1beta/models/gemini-2.5-pro:generateContent", Facts("gemini-2.5-pro")),
        (b"/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", Facts("gemini-2.5-pro", True)),
        (b"/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent", Facts("g", True)),
        (b"/v1beta/models/gemini-2.5-pro", Facts("gemini-2.5-pro")),
        (b"/v1beta/models/gemini-2.5-pro?key=hidden", Facts("gemini-2.5-pro")),
        (b"/v1beta/files?name=/models/x:streamY", Facts()),
        (b"/v1beta/models", Facts()),
    ],
)
def test_gemini_says_it_in_the_path(path: bytes, expected: Facts) -> None:
    """Never in the query."""
    assert facts.read(request([], path, content=b'{"model": "liar"}'), Dialect.GEMINI) == expected


@pytest.mark.parametrize(
    ("body", "refers"),
    [
        ({"previous_response_id": "resp_1"}, ("resp_1",)),
        ({"conversation": {"id": "conv_1"}}, ("conv_1",)),
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, ("resp_1", "conv_1")),
        ({"container": "container_1", "x": [{"file_id": "file_1"}]}, ("container_1", "container_1", "file_1")),
        ({"container": {"id": "c_1", "skills": [{"skill_id": "skill_1"}, {}, 7]}}, ("c_1", "skill_1")),
        ({"container": {"skills": {"skill_id": "skill_1"}}}, ()),
        ({"previous_response_id": 7, "conversation": [], "container": {"skills": []}}, ()),
        ({"x": {"previous_response_id": "nested"}}, ()),
    ],
)
def test_ids_that_bind(body: dict[str, object], refers: tuple[str, ...]) -> None:
    """The one that binds most first, compressed or not."""
    content = json.dumps({"model": "m", **body}).encode()
    assert facts.read(request([], content=content), CHAT) == Facts("m", False, refers)
    coded = request([(b"content-encoding", b"zstd")], content=zstandard.compress(content))
    assert facts.read(coded, CHAT) == Facts("m", False, refers)


def test_gemini_names_caches_and_files_in_the_body() -> None:
    made = request([], b"/v1beta/models/g:generateContent", content=b'{"cachedContent": "cachedContents/c"}')
    assert facts.read(made, Dialect.GEMINI) == Facts("g", False, ("cachedContents/c",))
