"""classify: total over all bytes, codings, streams' and sockets' errors, errors inside a 200."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from provider_rows import AUTH, LIMITED, NOW, QUOTA, REGISTRY, TRANSIENT

from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.providers.classify import classify, classify_event, classify_success_body
from mitm_balancer.providers.model import Dialect, ErrorRule, PathRule, Provider
from mitm_balancer.providers.registry import BUILTIN

CUSTOM = Provider(name="corp", hosts=("llm.corp.example",), dialect=Dialect.OPENAI_CHAT, paths=(PathRule("/v1/*"),))
ANTHROPIC = REGISTRY.get("anthropic")
assert ANTHROPIC is not None

BODY = json.dumps({"error": {"message": "slow", "code": "insufficient_quota"}}).encode()

# Bytes near to the truth reach deeper than random ones: words of real bodies in random JSON.
WORDS = st.sampled_from(
    [
        "error",
        "message",
        "code",
        "type",
        "status",
        "details",
        "resets_at",
        "retryDelay",
        "metadata",
        "headers",
        "base_resp",
        "status_code",
        "quotaId",
        "9" * 400,
        "1e999",
        "36s",
        "-1",
        "try again in 5 days",
        "x-ratelimit-reset",
        "2026-13-45T00",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=15,
)
HEADER_NAMES = st.sampled_from(
    [
        b"retry-after",
        b"Retry-After-Ms",
        b"date",
        b"content-encoding",
        b"anthropic-ratelimit-unified-5h-status",
        b"anthropic-ratelimit-unified-reset",
        b"x-ratelimit-reset-tokens",
        b"x-error-json",
        b"x-quota-snapshot-chat",
    ]
) | st.binary(max_size=12)
HEADER_VALUES = st.sampled_from(
    [
        b"gzip",
        b"br",
        b"zstd, gzip",
        b"deflate",
        b"rejected",
        b"1e308",
        b"0001-01-01T00:00:00Z",
        b"Mon, 01 Jan 0001 00:00:00 GMT",
        b"nan",
        b"inf",
        b"9999-12-31T23:59:59-23:59",
    ]
) | st.binary(max_size=30)
HEADERS = st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=6)
BODIES = st.binary(max_size=300) | VALUES.map(lambda value: json.dumps(value).encode())


@given(st.sampled_from(BUILTIN), st.integers(-1, 1000), HEADERS, BODIES)
def test_any_answer_has_an_outcome(
    provider: Provider, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Never an exception, never a wait outside its bounds, never a message that floods."""
    answers = [
        classify(provider, status, headers, body, now=NOW, model="m"),
        classify_event(provider, body, headers=headers, now=NOW, model="m"),
        classify_success_body(provider, headers, body, now=NOW),
    ]
    for found in answers:
        assert isinstance(found, Outcome)
        assert found.wait is None or 0 <= found.wait <= 31 * 86_400
        assert len(found.message) <= 300
    assert answers[0].ok == (status < 400)
    assert not answers[1].ok


def raw_deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(body) + machine.flush()


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
        ("gzip, br", lambda body: brotli.compress(gzip.compress(body, mtime=0))),
        ("identity", bytes),
        ("gzip", bytes),  # a lie
        ("unheard-of", bytes),
    ],
)
def test_encoded_bodies_are_read(encoding: str, encode: Any) -> None:
    """An error that came compressed is understood as if it had not."""
    found = classify(CUSTOM, 429, ((b"Content-Encoding", encoding.encode()),), encode(BODY), now=NOW)
    assert (found.verdict, found.reason, found.message) == (QUOTA, "insufficient_quota", "slow")


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress, brotli.compress, zstandard.compress])
def test_a_decompression_bomb_is_cut(encode: Any) -> None:
    """64 MiB of blanks cost no more than the bound, and the beginning is still read."""
    name = {gzip.compress: b"gzip", zlib.compress: b"deflate", brotli.compress: b"br"}.get(encode, b"zstd")
    bomb = encode(BODY[:-1] + b" " * (64 << 20) + b"}")
    found = classify(CUSTOM, 429, ((b"content-encoding", name),), bomb, now=NOW)
    assert found.verdict is LIMITED or found.verdict is TRANSIENT


def test_a_success_is_a_success() -> None:
    found = classify(CUSTOM, 200, (), b"anything", now=NOW)
    assert found.ok and found.status == 200
    assert classify(CUSTOM, 307, (), b"", now=NOW).ok


def test_the_message_is_cut_and_on_one_line() -> None:
    body = json.dumps({"error": {"message": "line one\nline two " + "x" * 5000}}).encode()
    assert classify(CUSTOM, 400, (), body, now=NOW).message.startswith("line one line two xxx")
    assert len(classify(CUSTOM, 400, (), body, now=NOW).message) == 300
    html = b"<html><head><title>502 &amp; more</title></head><body>x</body></html>"
    assert classify(CUSTOM, 502, (), html, now=NOW).message == "502 & more"
    assert classify(CUSTOM, 502, (), b"<b>upstream</b> connect error", now=NOW).message == "upstream connect error"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "quota", "code": "insufficient_quota"},
        {"code": "insufficient_quota", "message": "x"},
        {"detail": {"code": "insufficient_quota"}},
        [{"error": {"code": "insufficient_quota"}}],
        {"error": {"message": json.dumps({"error": {"type": "insufficient_quota"}})}},
        {"body": {"error": {"code": "INSUFFICIENT_QUOTA"}}},
        {"response": {"error": {"code": "insufficient_quota"}}},
    ],
)
def test_every_shape_of_body(body: Any) -> None:
    """The code is found wherever the shapes of wire-facts 16.2 put it."""
    assert classify(CUSTOM, 429, (), json.dumps(body).encode(), now=NOW).reason == "insufficient_quota"


def test_codes_in_headers() -> None:
    aws = ((b"x-amzn-ErrorType", b"ThrottlingException:http://internal.amazon.com/coral/"),)
    assert classify(CUSTOM, 429, aws, b'{"message":"Too many tokens, wait"}', now=NOW).reason == "throttlingexception"
    codex = ((b"x-error-json", b"eyJlcnJvciI6eyJjb2RlIjoidG9rZW5fZXhwaXJlZCJ9fQ=="),)
    assert classify(CUSTOM, 403, codex, b"", now=NOW).verdict is AUTH


def test_a_challenge_page_blames_no_account() -> None:
    page = b"<!DOCTYPE html><title>Just a moment...</title><script>_cf_chl_opt</script>"
    found = classify(CUSTOM, 403, (), page, now=NOW)
    assert (found.reason, found.scope, found.redispatch) == ("cloudflare_challenge", Scope.REQUEST, False)
    assert classify(CUSTOM, 403, ((b"cf-mitigated", b"challenge"),), b"", now=NOW).reason == "cloudflare_challenge"


def test_a_users_own_rule_comes_first() -> None:
    """Rules of the configuration are rows before the provider's."""
    rule = ErrorRule(Verdict.QUOTA_EXHAUSTED, "corp", status=(418,), text="teapot", scope=Scope.PROVIDER, wait=5)
    mine = Provider(name="x", hosts=(), dialect=Dialect.OPENAI_CHAT, paths=(), errors=(rule,))
    found = classify(mine, 418, (), b'{"message":"I am a Teapot"}', now=NOW)
    assert (found.verdict, found.reason, found.scope, found.wait) == (QUOTA, "corp", Scope.PROVIDER, 5)
    assert classify(mine, 418, (), b'{"message":"coffee"}', now=NOW).verdict is Verdict.REQUEST_FAULT


def test_without_a_model_nothing_is_scoped_to_one() -> None:
    body = b'{"error":{"code":"model_not_found"}}'
    assert classify(CUSTOM, 404, (), body, now=NOW, model="m").scope is Scope.MODEL
    assert classify(CUSTOM, 404, (), body, now=NOW).scope is Scope.REQUEST


# -- errors inside a stream or a socket --

EVENTS = [
    ('{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', TRANSIENT, 529, True),
    ('{"type":"error","error":{"type":"rate_limit_error","message":"x"}}', LIMITED, 429, False),
    ('{"type":"error","error":{"type":"api_error","message":"x"}}', TRANSIENT, 500, False),
    ('{"type":"error","status":429,"error":{"type":"usage_limit_reached","resets_in_seconds":9}}', QUOTA, 429, False),
    ('{"type":"error","status_code":401,"error":{"type":"invalid_request_error","message":"x"}}', AUTH, 401, False),
    (
        '{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded",'
        '"message":"Please try again in 9s."}}}',
        LIMITED,
        429,
        False,
    ),
    (
        '{"type":"response.failed","response":{"error":{"code":"context_length_exceeded","message":"x"}}}',
        Verdict.REQUEST_FAULT,
        500,
        False,
    ),
    ('{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}', TRANSIENT, 503, False),
    ('{"error":{"code":502,"message":"x"},"choices":[{"finish_reason":"error"}]}', TRANSIENT, 502, False),
    ('{"error":"something else"}', TRANSIENT, 500, False),
    ("no json", TRANSIENT, 500, False),
]


@pytest.mark.parametrize(("payload", "verdict", "status", "capacity"), EVENTS)
def test_stream_errors_are_verdicts_like_statuses(payload: str, verdict: Verdict, status: int, capacity: bool) -> None:
    found = classify_event(CUSTOM, payload.encode(), now=NOW)
    assert (found.verdict, found.status, found.capacity) == (verdict, status, capacity)


def test_a_sockets_error_frame_brings_its_own_headers() -> None:
    frame = {"type": "error", "status": 429, "error": {"type": "rate_limit_error"}, "headers": {"Retry-After": 7}}
    found = classify_event(CUSTOM, json.dumps(frame).encode(), headers=((b"retry-after", b"99"),), now=NOW)
    assert (found.verdict, found.wait) == (LIMITED, 7)


def test_a_decoded_event_is_not_decoded_again() -> None:
    event = b'{"type":"error","error":{"type":"overloaded_error"}}'
    for coding in (b"br", b"gzip", b"deflate"):
        found = classify_event(CUSTOM, event, headers=((b"Content-Encoding", coding),), now=NOW)
        assert found.reason == "overloaded_error"
    coded = classify_event(CUSTOM, gzip.compress(event, mtime=0), headers=((b"Content-Encoding", b"gzip"),), now=NOW)
    assert coded.reason == "server_error"


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"error":' * 50_000, b'{"a":"' + b"quotaId " * 20_000, b"<" * 60_000]
)
def test_hostile_bodies_are_judged_in_time(body: bytes) -> None:
    """Too deep, too long, and shaped to make regular expressions backtrack; all providers together."""
    for provider in BUILTIN:
        assert classify(provider, 400, (), body, now=NOW).verdict is Verdict.REQUEST_FAULT


# -- errors inside a 200 --


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"id": "x", "choices": [{"message": {"content": "hi"}}], "error": None}, Verdict.SUCCESS),
        ({"choices": None, "base_resp": {"status_code": 0, "status_msg": "success"}}, Verdict.SUCCESS),
        ({"choices": [{"message": {"content": '{"error":{"code":"insufficient_quota"}}'}}]}, Verdict.SUCCESS),
        ({"error": {"code": 429, "message": "x"}, "choices": [{"code": "invalid_api_key"}]}, TRANSIENT),
        ({"object": "response", "status": "failed", "error": {"code": "rate_limit_exceeded"}}, LIMITED),
        ({"type": "error", "error": {"type": "authentication_error"}}, AUTH),
        ([{"error": {"code": 401, "status": "UNAUTHENTICATED"}}], AUTH),
        ({"object": "error", "code": "insufficient_quota", "message": "x"}, QUOTA),
        ("not an object", Verdict.SUCCESS),
    ],
)
def test_errors_inside_a_200(body: Any, verdict: Verdict) -> None:
    found = classify_success_body(CUSTOM, (), json.dumps(body).encode(), now=NOW)
    assert found.verdict is verdict
    zipped = gzip.compress(json.dumps(body).encode())
    assert classify_success_body(CUSTOM, ((b"content-encoding", b"gzip"),), zipped, now=NOW).verdict is verdict


def test_an_anthropic_stream_error_is_judged_with_the_heads_limit_headers() -> None:
    """The bare-429 row asks for missing headers: those of the response that carried the event count."""
    assert ANTHROPIC is not None
    event = b'{"type":"error","error":{"type":"rate_limit_error","message":"x"}}'
    head = ((b"Anthropic-Ratelimit-Unified-5h-Status", b"allowed"),)
    assert classify_event(ANTHROPIC, event, now=NOW, model="m").reason == "bare_429"
    assert classify_event(ANTHROPIC, event, headers=head, now=NOW, model="m").verdict is LIMITED
